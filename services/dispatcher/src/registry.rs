//! Keeps `tocsin.parties` and the ingest topics in step with the store's registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tocsin_casework::ToolAddress;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Append, Appender, Cleanup, Compaction, Log, LogError, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::{PartitionCount, PartyId, PlatformId};
use tocsin_runtime::{ReadinessFlag, Shutdown};
use tocsin_store::PartyRecord;
use tocsin_wire::PlatformRecord;
use tocsin_wire::topics::{self, TopicCleanup, TopicDeclaration};

use crate::telemetry::{IngestTopicRefused, PartiesAnnounced, PartiesNotAnnounced};
use crate::{Dispatcher, pause};

/// How often the version of the registry is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a topic of another shape is left alone before it is looked at again: an operator has to mend it.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(60);

pub(crate) struct Sync {
    pub dispatcher: Arc<Dispatcher>,
    pub log: SharedLog,
    pub appender: Arc<dyn Appender>,
    pub partitions: PartitionCount,
    pub readiness: ReadinessFlag,
}

/// Ingest topics that exist in another shape. Bounded by the number of parties.
struct RefusedTopics {
    specs: Vec<TopicSpec>,
    looked_at: Instant,
}

impl Sync {
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        // Everything is announced again at the start: the topic is compacted, and whoever wrote last may have died in between.
        let mut announced = None;
        let mut refused = RefusedTopics {
            specs: Vec::new(),
            looked_at: Instant::now(),
        };
        while !shutdown.is_requested() {
            match self.announce(announced, &mut refused).await {
                Ok(version) => {
                    announced = Some(version);
                    self.readiness.set_ready();
                }
                Err(error) => PartiesNotAnnounced { error: &error }.emit(&self.dispatcher.metrics),
            }
            pause(LOOK_INTERVAL, &shutdown).await;
        }
        Ok(())
    }

    /// Announces what changed since `announced`; the version that is announced then.
    async fn announce(&self, announced: Option<u64>, refused: &mut RefusedTopics) -> anyhow::Result<u64> {
        if !refused.specs.is_empty() && refused.looked_at.elapsed() >= REFUSED_AGAIN_AFTER {
            let again = refused.specs.clone();
            self.make_topics(again, refused).await?;
        }
        let store = &self.dispatcher.store;
        let version = store.registry_version().await?;
        if announced == Some(version) {
            return Ok(version);
        }
        let changes = store.party_changes_since(announced.unwrap_or(0)).await?;
        if changes.is_empty() {
            return Ok(version);
        }
        let specs: Vec<TopicSpec> = changes
            .iter()
            .filter(|party| party.revoked_at.is_none())
            .map(|party| topic_spec(&topics::ingest(&party.name), self.partitions))
            .collect();
        // The party first, its topic second: intake reads the parties whenever it is given a new topic, so it knows whose it is.
        let appends = changes.iter().map(append).collect();
        tokio::time::timeout(APPEND_TIMEOUT, self.appender.append(appends)).await??;
        reach(FailPoint::PartiesAppended);
        self.make_topics(specs, refused).await?;
        let tools = store.tools().await?;
        self.learn_names(&changes);
        self.learn_tools(tools);
        // A change that came while we worked has a higher version than those we read: it is found the next time.
        let version = changes.iter().map(|party| party.version).max().unwrap_or(version);
        PartiesAnnounced {
            count: changes.len(),
            version,
        }
        .emit(&self.dispatcher.metrics);
        Ok(version)
    }

    /// Makes ingest topics. One that exists in another shape is told of and kept for later; it keeps no other party waiting.
    async fn make_topics(&self, specs: Vec<TopicSpec>, refused: &mut RefusedTopics) -> anyhow::Result<()> {
        let log = self.log.clone();
        let tried = specs.clone();
        let found = tokio::task::spawn_blocking(move || make_each(log.as_ref(), specs)).await??;
        refused.specs.retain(|spec| !tried.contains(spec));
        refused.looked_at = Instant::now();
        for (spec, error) in found {
            IngestTopicRefused {
                topic: &spec.name,
                error: &error,
            }
            .emit(&self.dispatcher.metrics);
            refused.specs.push(spec);
        }
        Ok(())
    }

    fn learn_names(&self, changes: &[PartyRecord]) {
        let mut names = self
            .dispatcher
            .names
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut all = names.as_ref().clone();
        for party in changes {
            all.parties.insert(party.id, party.name.clone());
            all.platforms.extend(party.platforms.iter().cloned());
            all.owners
                .extend(party.platforms.iter().map(|(platform, _)| (*platform, party.id)));
        }
        *names = Arc::new(all);
        self.dispatcher.told.notify_one();
    }

    fn learn_tools(&self, tools: Tools) {
        let known = &self.dispatcher.tools;
        *known.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(tools);
    }
}

/// Where the people of platforms look at contents, and whose the platforms are.
pub(crate) type Tools = BTreeMap<PlatformId, (PartyId, ToolAddress)>;

/// Makes topics one by one; those whose shape is another, and why. Any other failure may pass, and ends this.
fn make_each(log: &dyn Log, specs: Vec<TopicSpec>) -> Result<Vec<(TopicSpec, LogError)>, LogError> {
    let mut refused = Vec::new();
    for spec in specs {
        match log.ensure_topics(std::slice::from_ref(&spec)) {
            Ok(()) => {}
            Err(error @ (LogError::TopicMismatch { .. } | LogError::TopicRefused { .. })) => {
                refused.push((spec, error))
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// A topic as it is declared, in a deployment with so many partitions of sightings.
pub fn topic_spec(declaration: &TopicDeclaration, sightings: PartitionCount) -> TopicSpec {
    TopicSpec {
        name: declaration.name.clone(),
        partitions: declaration.partition_count(sightings),
        may_grow: declaration.may_grow,
        cleanup: match declaration.cleanup {
            TopicCleanup::Delete => Cleanup::Delete,
            TopicCleanup::Compact => Cleanup::Compact,
        },
        retention_ms: declaration.retention_ms(),
        record_bytes_max: declaration.record_bytes_max,
        compaction: declaration.compaction.map(|compaction| Compaction {
            segment_ms: u64::from(compaction.segment_minutes) * 60_000,
            lag_ms_max: u64::from(compaction.lag_minutes_max) * 60_000,
            dirty_percent_min: compaction.dirty_percent_min,
        }),
    }
}

fn append(party: &PartyRecord) -> Append {
    let record = tocsin_wire::PartyRecord {
        id: party.id,
        name: party.name.clone(),
        platforms: party
            .platforms
            .iter()
            .map(|(id, name)| PlatformRecord {
                id: *id,
                name: name.clone(),
            })
            .collect(),
        revoked: party.revoked_at.is_some(),
    };
    Append {
        to: TopicPartition::new(topics::PARTIES, 0),
        key: Some(Bytes::from(record.key())),
        value: Some(Bytes::from(record.encode())),
        headers: Vec::new(),
    }
}
