//! Keeps `tocsin.parties` and the ingest topics in step with the store's registry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tocsin_log::{Append, Appender, Cleanup, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::PartitionCount;
use tocsin_runtime::{ReadinessFlag, Shutdown};
use tocsin_store::PartyRecord;
use tocsin_wire::PlatformRecord;
use tocsin_wire::topics::{self, TopicCleanup, TopicDeclaration};

use crate::telemetry::{PartiesAnnounced, PartiesNotAnnounced};
use crate::{Dispatcher, pause};

/// How often the version of the registry is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Sync {
    pub dispatcher: Arc<Dispatcher>,
    pub log: SharedLog,
    pub appender: Arc<dyn Appender>,
    pub partitions: PartitionCount,
    pub readiness: ReadinessFlag,
}

impl Sync {
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        // Everything is announced again at the start: the topic is compacted, and whoever wrote last may have died in between.
        let mut announced = None;
        while !shutdown.is_requested() {
            match self.announce(announced).await {
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
    async fn announce(&self, announced: Option<u64>) -> anyhow::Result<u64> {
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
            .map(|party| spec(&topics::ingest(&party.name), self.partitions))
            .collect();
        // The party first, its topic second: intake reads the parties whenever it is given a new topic, so it knows whose it is.
        let appends = changes.iter().map(append).collect();
        tokio::time::timeout(APPEND_TIMEOUT, self.appender.append(appends)).await??;
        let log = self.log.clone();
        tokio::task::spawn_blocking(move || log.ensure_topics(&specs)).await??;
        self.learn_names(&changes);
        // A change that came while we worked has a higher version than those we read: it is found the next time.
        let version = changes.iter().map(|party| party.version).max().unwrap_or(version);
        PartiesAnnounced {
            count: changes.len(),
            version,
        }
        .emit(&self.dispatcher.metrics);
        Ok(version)
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
        }
        *names = Arc::new(all);
    }
}

fn spec(declaration: &TopicDeclaration, partitions: PartitionCount) -> TopicSpec {
    TopicSpec {
        name: declaration.name.clone(),
        partitions: declaration.partition_count(partitions),
        cleanup: match declaration.cleanup {
            TopicCleanup::Delete => Cleanup::Delete,
            TopicCleanup::Compact => Cleanup::Compact,
        },
        retention_ms: declaration.retention_ms(),
        record_bytes_max: declaration.record_bytes_max,
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
