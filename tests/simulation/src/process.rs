//! What each process does with its turns: a detector is the detector; an intake packs and appends; a replica is the query role's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rand::Rng as _;
use tocsin_detector::{DetectorConfig, DetectorError, DetectorSetup, Means};
use tocsin_log::{AppenderOptions, CommitError, Durability, Log as _, LogError, SharedLog, TopicPartition};
use tocsin_query::replica::{AlertLimits, Feed, Position, ReplicaLimits, ReplicaState, Skipped, decode};
use tocsin_runtime::{Readiness, Shutdown};
use tocsin_wire::topics;

use crate::broker::ProcessId;
use crate::director::{Role, Start};
use crate::history::Setting;
use crate::log::ModelLog;
use crate::traffic::{PLAYED, partitions};
use crate::world::{Crashed, Site, World};

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to, or had nothing left to do.
    Done,
    /// At once.
    Crashed,
    /// With an error that a fault explains: it starts again.
    Failed(String),
    /// Since a topic was deleted and made anew, as it should: with the code that says so.
    Refused(&'static str),
    /// With an error that no fault explains.
    Wrong(String),
}

/// The life of a process, on a thread of its own.
pub fn live(world: &Arc<World>, start: &Start) -> Outcome {
    let (points, process) = (world.clone(), start.process);
    let hook = move |point| points.step(process, Site::Point(point));
    let _adopted = tocsin_failpoint::adopt(Some(Arc::new(hook)));
    let work = || match start.role {
        Role::Detector(number) => detect(world, process, number, &start.shutdown),
        Role::Intake(number) => take_in(world, process, number),
        Role::Replica => replicate(world, process),
    };
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        Err(payload) if payload.is::<Crashed>() => Outcome::Crashed,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or(payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Outcome::Wrong(format!("it panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn detect(world: &Arc<World>, process: ProcessId, number: usize, shutdown: &Shutdown) -> Outcome {
    let setting = world.setting();
    let log: SharedLog = Arc::new(ModelLog::new(world.clone(), process, setting.mutant));
    let setup = DetectorSetup {
        instance: format!("detector-{number}"),
        ..setting.setup.clone()
    };
    let ready = Readiness::new().flag("detector", "restoring");
    let clock = || world.instant();
    let ran = tocsin_detector::run(
        Means::simulated(&clock),
        &setting.detector,
        &setup,
        &log,
        &Registry::new(),
        &ready,
        shutdown,
    );
    match ran {
        Ok(()) => Outcome::Done,
        Err(error) if is_put_out(&error) && world.state().broker.group.is_inside(process) => Outcome::Wrong(format!(
            "a rebalance ended a member that is still inside: {}",
            chain(&error)
        )),
        Err(error) if is_explained(&error) => Outcome::Failed(chain(&error)),
        Err(error) => match error.code().filter(|code| world.state().director.expects(code)) {
            Some(code) => Outcome::Refused(code),
            None => Outcome::Wrong(chain(&error)),
        },
    }
}

/// Whether a process ended because it is no member any more.
fn is_put_out(error: &DetectorError) -> bool {
    let DetectorError::Commit(error) = error else {
        return false;
    };
    matches!(&**error, CommitError::Fenced(LogError::NotAMember { .. }))
}

/// Whether a fault of the broker is reason enough for this error.
fn is_explained(error: &DetectorError) -> bool {
    match error {
        DetectorError::Commit(error) => match &**error {
            CommitError::Fenced(_) | CommitError::Unknown(_) => true,
            CommitError::NotApplied(error) => matches!(error, LogError::Closed),
        },
        DetectorError::Log(error) => matches!(**error, LogError::Closed),
        DetectorError::GoneMeanwhile { .. } => true,
        _ => false,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    tocsin_runtime::roles::chain(error)
}

/// Appends its sources, each from where it was last known to stand. Another intake may do the same beside it.
fn take_in(world: &Arc<World>, process: ProcessId, number: usize) -> Outcome {
    let setting = world.setting();
    let log = ModelLog::new(world.clone(), process, setting.mutant);
    let options = AppenderOptions {
        name: "intake".to_owned(),
        durability: Durability::Ordered,
        gapless: true,
    };
    let appender = log.appender(options).expect("the model gives appenders");
    for source in setting.sources_of(number) {
        let items = match world.state().director.is_second_act() {
            true => setting.traffic.sources[source].len(),
            false => setting.traffic.first_act[source],
        };
        let mut at = world.state().taken_in.get(&source).copied().unwrap_or(0);
        while at < items {
            let to = (at + world.state().random.random_range(1..10)).min(items);
            if let Err(error) = appender.append(setting.traffic.pack(source, at, to)).wait() {
                return Outcome::Failed(chain(&error));
            }
            at = to;
            let state = &mut *world.state();
            let acknowledged = state.acknowledged.entry(source).or_insert(0);
            *acknowledged = at.max(*acknowledged);
            // Positions are stored now and then, and an intake that lost its source may store an older one.
            if state.random.random_bool(0.4) {
                state.taken_in.insert(source, at);
            }
        }
    }
    Outcome::Done
}

/// Follows state and alerts from the beginning, and sees that nothing goes back.
fn replicate(world: &Arc<World>, process: ProcessId) -> Outcome {
    let setting = world.setting();
    let log = ModelLog::new(world.clone(), process, setting.mutant);
    let places = (0..PLAYED).map(|number| TopicPartition::new(topics::STATE, number));
    let places: Vec<_> = places.chain([TopicPartition::new(topics::ALERTS, 0)]).collect();
    let starts: Vec<_> = places.iter().map(|place| (place.clone(), 0)).collect();
    let mut reader = log.tail_reader(&starts).expect("the topics are there");
    let replica = replica(&setting);
    loop {
        let mut wrong = None;
        let read = reader.poll(Duration::ZERO, 300, &mut |record| {
            let (Some(feed), position) = (Feed::of_topic(record.topic), Position::of(&record)) else {
                return;
            };
            let applied = decode(feed, &record).and_then(|change| {
                let held = held_before(&replica, &change);
                let as_of = as_of(&change);
                if held > as_of {
                    wrong.get_or_insert(format!("a hot record went back from {held:?} to {as_of:?}"));
                }
                replica.apply(position, change)
            });
            // A header that goes back is not answered from, and it must not come to that.
            if let Err(skipped) = applied {
                let skipped: Skipped = skipped;
                wrong.get_or_insert(format!(
                    "record {position:?} of {} was skipped: {skipped:?}",
                    record.topic
                ));
            }
        });
        let read = read.expect("the model reads");
        if let Some(wrong) = wrong {
            return Outcome::Wrong(format!("I5: {wrong}"));
        }
        let state = &mut *world.state();
        let is_level = places
            .iter()
            .all(|place| reader.position(place) == Some(state.broker.end(place)));
        if read == 0 && is_level && state.director.is_ending() {
            state.answers = Some(crate::check::answers(&replica, &setting));
            return Outcome::Done;
        }
    }
}

fn held_before(replica: &ReplicaState, change: &tocsin_query::replica::Change) -> Option<tocsin_model::Timestamp> {
    match change {
        tocsin_query::replica::Change::Hot(record, _) => {
            let scope = crate::check::scope_of(record.class());
            let visible = replica.hot.visible(record.content(), scope);
            let same = visible.iter().find(|held| held.class() == record.class());
            same.map(|held| held.as_of)
        }
        _ => None,
    }
}

fn as_of(change: &tocsin_query::replica::Change) -> Option<tocsin_model::Timestamp> {
    match change {
        tocsin_query::replica::Change::Hot(_, as_of) => Some(*as_of),
        _ => None,
    }
}

fn replica(setting: &Setting) -> ReplicaState {
    let limits = ReplicaLimits {
        hot_records_max: 10_000,
        announced_hashes_max: 10_000,
        alerts: AlertLimits {
            count_max: 10_000,
            age_ms_max: i64::MAX,
        },
    };
    let cold = setting.setup.group_config(&setting.detector).cold;
    ReplicaState::new(partitions(), cold, limits)
}

/// A detector's configuration for histories: everything is hot at its first copy, so that every count is exact.
pub fn detector_config(checkpoint_interval_s: u64) -> DetectorConfig {
    DetectorConfig {
        hot_limit: 1 << 16,
        sketch_width: 16,
        promote_at: 1,
        commit_interval_ms: 30,
        state_interval_ms: 90,
        checkpoint_interval_s,
        retry_tokens_max: 1 << 18,
        ..DetectorConfig::default()
    }
}
