//! The faults, each a function that plays one round of it on a deployment at work.

mod brokers;
mod disk;
mod input;
mod lasting;
mod network;
mod processes;

use anyhow::{Result, bail};
use clap::ValueEnum;
use rand::rngs::SmallRng;
use tocsin_failpoint::FailPoint;

use crate::load::Order;
use crate::world::{Outcome, Place, World};

/// A fault. The numbers are those of the project's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Fault {
    /// 1: any process is killed at any time, and is started again at once or late.
    KillAtRandom,
    /// 2: a detector is killed at a named point of commit, checkpoint, restore or hand-over.
    KillAtPoint,
    /// 2: the dispatcher ends at a named point between the log, the store and endpoints.
    KillDispatcherAtPoint,
    /// 2: one process with the embedded log ends at a named point of its writes.
    KillAlone,
    /// 3: a process stands still for three session time-outs, and goes on.
    StandStill,
    /// 3: a second process starts under the name of one that runs.
    Twins,
    /// 4: all processes are restarted in turn, and detectors go from one to three to two.
    RollingRestart,
    /// 5: calls of transactions arrive late, twice, or without their connection.
    TransactionCalls,
    /// 5: records of a transaction arrive when another member has restored their partition.
    LateRecords,
    /// 6: one of three brokers is killed, and comes back.
    OneBroker,
    /// 6: two of three brokers are killed one after the other, and come back.
    TwoBrokers,
    /// 6: the coordinators of the group and of transactions move to other brokers.
    CoordinatorMoves,
    /// 7: the network of a process is cut one way, the other, or both, and its connections stay open.
    CutNetwork,
    /// 8: the network of a process is slow.
    SlowNetwork,
    /// 9: every process has a wrong clock, by up to an hour.
    Clocks,
    /// 10: the disk below the embedded log is full, and later read-only.
    FullDisk,
    /// 11: the file of the embedded log is cut at any length, or a bit of it is turned.
    DamagedLog,
    /// 12: records that are none stand among the events, and an intake is killed.
    Poison,
    /// 13: schema ids that nobody configured, or that name another schema than the record has.
    Registry,
    /// 14: events are late, too late and ahead of their time.
    Disorder,
    /// 15: one party floods its topic.
    Overload,
    /// 19: detectors go on with the program before, with this one, and back, in turn.
    Upgrade,
    /// 21: readers are slow and many.
    Readers,
    /// 23: nothing happens for a long time, and nothing grows.
    Soak,
}

/// On what a fault is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// One broker.
    One,
    /// Three brokers.
    Three,
    /// One broker with a second listener, before which a proxy can stand.
    Fronted,
    /// None: one process with all roles, on the embedded log.
    Embedded,
}

impl Fault {
    /// All of them.
    pub fn all() -> &'static [Fault] {
        Fault::value_variants()
    }

    /// As the command line and the figures spell it.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Rounds of a full run.
    pub fn rounds(self) -> u32 {
        match self {
            Fault::KillAtRandom | Fault::KillAtPoint | Fault::StandStill | Fault::RollingRestart => 50,
            Fault::KillDispatcherAtPoint => FailPoint::DISPATCHER.len() as u32,
            Fault::Soak => 1,
            _ => 5,
        }
    }

    /// On what it is played.
    pub fn cluster(self) -> Cluster {
        match self {
            Fault::OneBroker | Fault::TwoBrokers | Fault::CoordinatorMoves => Cluster::Three,
            Fault::TransactionCalls | Fault::LateRecords | Fault::CutNetwork | Fault::SlowNetwork => Cluster::Fronted,
            Fault::KillAlone | Fault::FullDisk | Fault::DamagedLog => Cluster::Embedded,
            _ => Cluster::One,
        }
    }

    /// What happens to the events.
    pub fn order(self) -> Order {
        match self {
            Fault::Disorder => Order::Disturbed,
            Fault::Registry => Order::Confluent,
            _ => Order::Ordinary,
        }
    }

    /// Whether a detector may be put out of its group by it, and then end by itself.
    pub fn may_fence(self) -> bool {
        !matches!(
            self,
            Fault::Poison
                | Fault::Registry
                | Fault::Disorder
                | Fault::Readers
                | Fault::Clocks
                | Fault::Soak
                | Fault::Upgrade
        )
    }

    /// Further settings of the deployment.
    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Fault::Registry => &[
                ("intake.confluent_schema_ids.17", "event/2"),
                ("intake.confluent_schema_ids.18", "event_batch/2"),
            ],
            Fault::Overload => &input::OVERLOAD_SETTINGS,
            // What a layout is kept for, a round of checkpoints, ends soon.
            Fault::Upgrade => &[("detector.checkpoint_interval_s", "1")],
            _ => &[],
        }
    }

    /// Plays one round on the embedded log. `number` counts from 1.
    ///
    /// # Errors
    /// The process does not come back.
    pub async fn play_alone(self, place: Place<'_>, random: &mut SmallRng, number: u32) -> Result<Outcome> {
        match self {
            Fault::KillAlone => disk::ended_at_point(place, random, number).await,
            Fault::FullDisk => disk::full(place, random).await,
            Fault::DamagedLog => disk::damaged(place, random).await,
            other => bail!("{} is played on brokers", other.name()),
        }
    }

    /// Plays one round on brokers. `number` counts from 1.
    ///
    /// # Errors
    /// The deployment does not come back.
    pub async fn play(self, world: &mut World<'_>, random: &mut SmallRng, number: u32) -> Result<()> {
        match self {
            Fault::KillAtRandom => processes::kill_at_random(world, random).await,
            Fault::KillAtPoint => processes::kill_at_point(world, random, number).await,
            Fault::KillDispatcherAtPoint => bail!("{} is played on a deployment of its own", self.name()),
            Fault::StandStill => processes::stand_still(world, random).await,
            Fault::Twins => processes::twins(world, random).await,
            Fault::RollingRestart => processes::rolling_restart(world, random).await,
            Fault::Upgrade => processes::upgrade(world, random).await,
            Fault::TransactionCalls => network::transaction_calls(world, random).await,
            Fault::LateRecords => network::late_records(world, random).await,
            Fault::CutNetwork => network::cut(world, random).await,
            Fault::SlowNetwork => network::slow(world, random).await,
            Fault::Poison => input::poison(world, random).await,
            Fault::Registry => input::registry(world, random).await,
            Fault::Disorder => input::disorder(world, random).await,
            Fault::Overload => input::overload(world).await,
            Fault::Clocks => lasting::clocks(world, random).await,
            Fault::Readers => lasting::readers(world).await,
            Fault::Soak => lasting::soak(world).await,
            Fault::KillAlone | Fault::FullDisk | Fault::DamagedLog => {
                bail!("{} is played without brokers", self.name())
            }
            Fault::OneBroker => brokers::one(world, random).await,
            Fault::TwoBrokers => brokers::two(world, random).await,
            Fault::CoordinatorMoves => brokers::coordinator(world, random).await,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: processes end at every named point but one: no family spans two groups in this load, so nothing is sent onward. The simulation ends
    //! processes there. And every fault is one that the README tells of.
    use std::collections::BTreeSet;

    use tocsin_failpoint::FailPoint;

    use super::{Fault, disk, processes};

    #[test]
    fn every_fault_stands_in_the_list_of_the_readme() {
        let readme = include_str!("../../README.md");
        let list = readme
            .split("## The faults")
            .nth(1)
            .and_then(|rest| rest.split("\n## ").next());
        let rows = list.unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
        let first_cells = rows.filter_map(|row| row.split(" | ").next());
        let told: Vec<&str> = first_cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let known: BTreeSet<String> = Fault::all().iter().map(|fault| fault.name()).collect();
        assert_eq!(
            told.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
            known
        );
        assert_eq!(told.len(), known.len(), "each once");
    }

    #[test]
    fn every_point_is_one_at_which_a_process_ends() {
        let played: BTreeSet<FailPoint> = processes::POINTS.into_iter().chain(disk::POINTS).collect();
        let played = played
            .into_iter()
            .chain([FailPoint::OnwardSent])
            .chain(FailPoint::DISPATCHER.iter().copied())
            .collect::<BTreeSet<_>>();
        assert_eq!(played, FailPoint::ALL.into_iter().collect());
    }
}
