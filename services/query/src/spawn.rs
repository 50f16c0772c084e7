use std::time::{Duration, Instant};

use prometheus::Registry;
use tocsin_log::{LogError, SharedLog, TopicPartition};
use tocsin_model::{DeploymentKey, PartitionCount};
use tocsin_runtime::Roles;
use tocsin_runtime::readiness::ReadinessFlag;
use tocsin_runtime::roles::RolesError;
use tocsin_sketch::ColdConfig;
use tocsin_store::Store;

use crate::config::QueryConfig;
use crate::cursor::Cursor;
use crate::incidents::{self, INCIDENTS_AGE_MAX};
use crate::metrics::Metrics;
use crate::replica::{AlertLimits, Feed, ReplicaLimits, ReplicaState};
use crate::routes::{LOOK_UP_TIME_MAX, Meter, Metered, RECORD_INTERVAL, STALL_MAX, StreamLimits};
use crate::state::{QueryState, QueryStateParts, StreamSlots};
use crate::tail::Tail;

/// Frames of what moves are a second apart.
const FRAME_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether a second is over, and whether to stop.
const FRAME_STEP: Duration = Duration::from_millis(50);

/// What the query role stands on.
pub struct QueryParts {
    /// What an operator chose.
    pub config: QueryConfig,
    /// The log; its topics exist.
    pub log: SharedLog,
    /// Where keys are checked.
    pub store: Store,
    /// The permanent key of the deployment.
    pub key: DeploymentKey,
    /// How many partitions sightings and state are configured to have: by it the detector spreads the groups.
    pub partitions: PartitionCount,
    /// The configuration of the detector's cold counts: the same, or its bytes are refused.
    pub cold: ColdConfig,
    /// Where metrics go.
    pub registry: Registry,
    /// Set when the replica caught up.
    pub readiness: ReadinessFlag,
}

/// The query role could not be started.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The log does not answer.
    #[error("look up the topics")]
    Log(#[from] LogError),
    /// A topic is missing, or has a number of partitions that cannot be.
    #[error("topic {topic} has {partitions} partitions")]
    Topic {
        /// The topic.
        topic: &'static str,
        /// How many partitions it has; 0 when it is missing.
        partitions: u32,
    },
    /// The state topic has another number of partitions than is configured.
    #[error("topic {topic} has {partitions} partitions, {configured} are configured")]
    OtherPartitionCount {
        /// The topic.
        topic: &'static str,
        /// How many it has.
        partitions: u32,
        /// How many it should have.
        configured: u16,
    },
    /// A metric of this name is registered already.
    #[error("register the metrics")]
    Metrics(#[from] prometheus::Error),
    /// The thread could not be started.
    #[error("start the thread that follows the log")]
    Thread(#[from] RolesError),
}

/// Starts the thread that follows the log, among `roles`, and returns what [`crate::router`] serves.
///
/// # Errors
/// See [`QueryError`].
pub fn spawn(parts: QueryParts, roles: &mut Roles) -> Result<QueryState, QueryError> {
    let topics = parts.log.topics()?;
    let partitions_of = |feed: Feed| {
        let found = topics.iter().find(|topic| topic.name == feed.topic());
        found.map_or(0, |topic| topic.partitions)
    };
    check_partitions(partitions_of, parts.partitions)?;
    let metrics = Metrics::new(&parts.registry)?;
    let config = &parts.config;
    let limits = ReplicaLimits {
        hot_records_max: config.hot_records_max,
        announced_hashes_max: config.announced_hashes_max,
        alerts: AlertLimits {
            count_max: config.alerts_per_scope_max,
            age_ms_max: i64::from(config.alerts_retention_hours) * 3_600_000,
        },
    };
    let state = QueryState::new(QueryStateParts {
        replica: ReplicaState::new(parts.partitions, parts.cold, limits),
        store: parts.store,
        key: parts.key,
        alert_partitions: partitions_of(Feed::Alerts),
        slots: StreamSlots::new(
            StreamLimits {
                count_max: config.streams_max,
                per_scope_max: config.streams_per_scope_max,
                per_key_max: config.streams_per_key_max,
            },
            metrics.streams.clone(),
        ),
        look_ups: Meter::new(Metered::LookUps, config.look_ups_per_minute),
        reads: Meter::new(Metered::Reads, config.reads_per_minute),
        metrics,
        shutdown: roles.shutdown().clone(),
        readiness: parts.readiness,
        stall_max: STALL_MAX,
        record_interval: RECORD_INTERVAL,
        look_up_time_max: LOOK_UP_TIME_MAX,
        incidents_age_max: INCIDENTS_AGE_MAX,
    });
    let partitions = Feed::ALL
        .into_iter()
        .flat_map(|feed| (0..partitions_of(feed)).map(move |partition| TopicPartition::new(feed.topic(), partition)))
        .collect();
    let tail = Tail::new(parts.log, state.clone(), roles.shutdown().clone(), partitions);
    roles.spawn_thread("query-tail", move || {
        tail.run();
        Ok(())
    })?;
    incidents::begin(&state);
    let (frames, shutdown) = (state.clone(), roles.shutdown().clone());
    roles.spawn_thread("query-frames", move || {
        let mut made_at = Instant::now();
        while !shutdown.is_requested() {
            std::thread::sleep(FRAME_STEP);
            if made_at.elapsed() >= FRAME_INTERVAL {
                made_at = Instant::now();
                frames.make_frames();
            }
        }
        Ok(())
    })?;
    Ok(state)
}

fn check_partitions(partitions_of: impl Fn(Feed) -> u32, configured: PartitionCount) -> Result<(), QueryError> {
    for feed in Feed::ALL {
        let (topic, partitions) = (feed.topic(), partitions_of(feed));
        if !(1..=Cursor::PARTITIONS_MAX).contains(&(partitions as usize)) {
            return Err(QueryError::Topic { topic, partitions });
        }
        // Where the two differ, groups would be looked for in partitions in which the detector did not put them.
        if feed == Feed::State && partitions != u32::from(configured.get()) {
            let configured = configured.get();
            return Err(QueryError::OtherPartitionCount {
                topic,
                partitions,
                configured,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Goal: a replica is of the partitions that the detector is configured to have, or of none.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_state_topic_has_as_many_partitions_as_are_configured() {
        let configured = PartitionCount::new(4).unwrap();
        let check = |of_state, of_others| {
            let partitions_of = |feed| if feed == Feed::State { of_state } else { of_others };
            check_partitions(partitions_of, configured)
        };
        assert!(check(4, 1).is_ok());
        for partitions in [1, 3, 8] {
            let refused = check(partitions, 1);
            assert!(
                matches!(refused, Err(QueryError::OtherPartitionCount { configured: 4, .. })),
                "{refused:?}"
            );
        }
        for (of_state, of_others) in [(0, 1), (4, 0)] {
            let refused = check(of_state, of_others);
            assert!(
                matches!(refused, Err(QueryError::Topic { partitions: 0, .. })),
                "{refused:?}"
            );
        }
    }
}
