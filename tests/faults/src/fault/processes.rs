//! Faults of Tocsin's own processes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use tocsin::serve::Role;
use tocsin_failpoint::{FailPoint, VARIABLE};
use tocsin_velocity::SNAPSHOT_VERSION;

use crate::process::Plan;
use crate::signal::Signal;
use crate::wait::{LONG, pass, until_within};
use crate::world::{MEMBERS, World, role_of};

/// How long a member's silence is taken for its end; see the settings of the Kafka clients.
const SESSION: Duration = Duration::from_secs(6);
/// Kills of one round.
const KILLS: usize = 2;

/// Kills members wherever they are. The first is a detector; it comes back at once, or when the others have taken over.
pub async fn kill_at_random(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    for kill in 0..KILLS {
        pass(Duration::from_millis(random.random_range(0..1_500))).await;
        let name = match kill {
            0 => *["detector-1", "detector-2"].choose(random).context("there are two")?,
            _ => MEMBERS.choose(random).context("there are members")?.1,
        };
        let is_late = random.random_bool(0.5);
        if role_of(name) == Role::Query {
            world.watch.ask(None);
        }
        let killed_at = Instant::now();
        println!("  kill {name}, {}", if is_late { "back late" } else { "back at once" });
        world.member(name)?.kill().await?;
        let plan = world.members.remove(name).context("it was there")?.plan;
        // Nobody stands in for the only one of its role.
        if is_late && matches!(role_of(name), Role::Detector | Role::Intake) {
            world.heals().await.context("the others take over")?;
        }
        world.start(plan).await?;
        world.heals().await?;
        if role_of(name) == Role::Detector {
            world.note_longest("detector_killed_seconds", world.longest_since(killed_at));
        }
    }
    Ok(())
}

/// The points that a detector on Kafka comes to; each round takes the next.
pub const POINTS: [FailPoint; 17] = [
    FailPoint::OnwardSettled,
    FailPoint::OutputsTaken,
    FailPoint::UnitComposed,
    FailPoint::UnitCommitted,
    FailPoint::TransactionBegun,
    FailPoint::RecordsDelivered,
    FailPoint::PositionsAdded,
    FailPoint::TransactionEnded,
    FailPoint::RoundBegun,
    FailPoint::ChangesTaken,
    FailPoint::GroupCut,
    FailPoint::RoundEnded,
    FailPoint::StateCollected,
    FailPoint::GroupDecoded,
    FailPoint::InputReplayed,
    FailPoint::PartitionBegun,
    FailPoint::LastUnitCommitted,
];

/// Detectors that join so that others let go of partitions.
const FURTHER: [&str; 2] = ["detector-3", "detector-4"];

/// A detector is restarted so that it ends at a named point, and then restarted for good.
pub async fn kill_at_point(world: &mut World<'_>, random: &mut SmallRng, number: u32) -> Result<()> {
    let point = POINTS[(number as usize - 1) % POINTS.len()];
    // What happens once a restart is met at the first or second partition, what happens at each unit after a while.
    let times = match point {
        FailPoint::StateCollected | FailPoint::InputReplayed | FailPoint::PartitionBegun => random.random_range(1..=2),
        FailPoint::RoundBegun | FailPoint::RoundEnded | FailPoint::LastUnitCommitted => 1,
        FailPoint::ChangesTaken => random.random_range(1..=4),
        _ => random.random_range(1..=30),
    };
    println!("  end at {}, time {times}", point.name());
    let name = "detector-1";
    let begun_at = Instant::now();
    world.member(name)?.terminate().await?;
    let mut plan = Plan::new(Role::Detector, name);
    plan.environment
        .push((VARIABLE.to_owned(), format!("{}:{times}", point.name())));
    world.spawn(plan)?;
    if point == FailPoint::LastUnitCommitted {
        // With two others each has one of the four partitions: with one alone the member that gives a partition away may be the other.
        world.ready(name).await?;
        for further in FURTHER {
            world.spawn(Plan::new(Role::Detector, further))?;
        }
    }
    let status = world
        .member(name)?
        .end()
        .await
        .with_context(|| format!("it does not come to {}", point.name()))?;
    let said = world.member(name)?.said();
    ensure!(said.contains(VARIABLE), "{name} ended elsewhere, {status}: {said}");
    world.start(Plan::new(Role::Detector, name)).await?;
    if point == FailPoint::LastUnitCommitted {
        for further in FURTHER {
            world.ready(further).await?;
        }
    }
    world.heals().await?;
    world.note_longest("detector_killed_seconds", world.longest_since(begun_at));
    Ok(())
}

/// A detector or an intake is frozen for three session time-outs: the others take over, and it goes on in the belief that nothing happened.
pub async fn stand_still(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let frozen = ["detector-1", "detector-2", "detector-1", "detector-2", "intake-1"];
    let name = *frozen.choose(random).context("there are some")?;
    pass(Duration::from_millis(random.random_range(0..1_500))).await;
    println!("  freeze {name}");
    let frozen_at = Instant::now();
    world.member(name)?.signal(Signal::Stop)?;
    let took_over = world.heals().await;
    pass(SESSION * 3).await;
    world.member(name)?.signal(Signal::Continue)?;
    took_over.context("the others take over")?;
    world.note_longest("take_over_seconds", world.longest_since(frozen_at));
    // It may go on, or end to be started again: both are right, wrong counts are not. A member that the group has put out hears of it when it polls,
    // and until then tries its last unit for some twelve seconds.
    pass(SESSION * 3).await;
    world.heals().await?;
    Ok(())
}

/// A detector is started while one of its name runs, as by an orchestrator that took it for dead. One of the two has to end, whichever it is, and
/// the other goes on.
pub async fn twins(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let name = *["detector-1", "detector-2"].choose(random).context("there are two")?;
    pass(Duration::from_millis(random.random_range(0..1_500))).await;
    println!("  another {name} starts");
    let began_at = Instant::now();
    let mut twin = world.twin(world.plan(Role::Detector, name))?;
    let first_ended = until_within(LONG, "one of two processes of one name ends", async || {
        let first = world.member(name)?.ended()?.map(|_| true);
        Ok(first.or(twin.ended()?.map(|_| false)))
    })
    .await?;
    world.note_longest("one_of_two_ended_seconds", began_at.elapsed());
    println!("  the {} ends", if first_ended { "first" } else { "second" });
    if first_ended {
        world.members.insert(name.to_owned(), twin);
    }
    world.heals().await?;
    Ok(())
}

/// Every process is restarted in turn, then detectors go from one to three to two.
pub async fn rolling_restart(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let mut order = MEMBERS;
    rand::seq::SliceRandom::shuffle(&mut order[..], random);
    for (role, name) in order {
        if role == Role::Query {
            world.watch.ask(None);
        }
        world.member(name)?.terminate().await?;
        world.start(Plan::new(role, name)).await?;
    }
    world.heals().await.context("after a rolling restart")?;
    leave(world, "detector-2").await?;
    world.heals().await.context("with one detector")?;
    for name in ["detector-2", "detector-3"] {
        world.start(Plan::new(Role::Detector, name)).await?;
    }
    shared(world, &["detector-1", "detector-2", "detector-3"]).await?;
    world.heals().await.context("with three detectors")?;
    let leaving = *["detector-1", "detector-2", "detector-3"]
        .choose(random)
        .context("there are three")?;
    leave(world, leaving).await?;
    world.heals().await.context("with two detectors")?;
    Ok(())
}

/// Detectors are restarted in turn as the program before, which writes the layout of state before, as this one, and back again, one of them each time
/// without being asked to stop. While some are the one and some the other partitions go from each to each.
pub async fn upgrade(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    for version in [
        SNAPSHOT_VERSION - 1,
        SNAPSHOT_VERSION,
        SNAPSHOT_VERSION - 1,
        SNAPSHOT_VERSION,
    ] {
        println!("  detectors write version {version}");
        let mut names = ["detector-1", "detector-2"];
        rand::seq::SliceRandom::shuffle(&mut names[..], random);
        for (place, name) in names.into_iter().enumerate() {
            match place {
                0 => world.member(name)?.terminate().await?,
                _ => world.member(name)?.kill().await?,
            }
            let plan = world.plan(Role::Detector, name);
            world
                .start(plan.with(&format!("detector.state_version={version}")))
                .await?;
        }
        world.heals().await?;
        let written = world.state_is_written_in(version).await;
        written.with_context(|| format!("the state is written in version {version}"))?;
    }
    Ok(())
}

async fn leave(world: &mut World<'_>, name: &str) -> Result<()> {
    println!("  {name} leaves");
    world.members.remove(name).context("it is there")?.terminate().await
}

/// Waits until each has some of the partitions.
async fn shared(world: &mut World<'_>, names: &[&str]) -> Result<()> {
    let mut apis = Vec::new();
    for name in names {
        apis.push(world.member(name)?.api().await?);
    }
    until_within(LONG, "each detector has partitions", async || {
        for api in &apis {
            if api.metric("tocsin_detector_partitions").await?.unwrap_or(0.0) < 1.0 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}
