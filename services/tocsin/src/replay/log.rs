use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use tocsin_log::{Append, Appender, AppenderOptions, Durability, LogError, SharedLog, TopicPartition};
use tocsin_model::Name;
use tocsin_store::{PartyRecord, Store, StoreError};
use tocsin_wire::PlatformRecord;

use super::{Destination, Pace, Replayed};
use crate::config::{Config, LogKind};
use crate::recorded::Recorded;
use crate::rehearsal::ingest_record;
use crate::serve::{open_log, open_store};
use crate::topics::{specs, topic_spec};

/// Appends events to the ingest topic of `party`, each with the recorded time of its receipt. A party that is absent is registered with
/// `platforms`, and its topic made.
///
/// All go to one partition: a recording is one order, and supplied time must not depend on which partition is read first.
///
/// # Errors
/// The log or the store cannot be opened (another process owns the embedded log), or the party has other platforms.
pub async fn into_log(
    config: &Config,
    (party, platforms): (&Name, &[Name]),
    recorded: &[Recorded],
    pace: Pace,
) -> Result<Replayed> {
    let log = open_log(config).map_err(explain_in_use)?;
    let store = open_store(config).await.context("open the store")?;
    let registered = register(&store, party, platforms).await;
    store.close().await;
    prepare_topic(config, &log, &registered?).await?;

    let mut destination = IngestPartition {
        appender: appender(&log)?,
        ingest: TopicPartition::new(tocsin_wire::topics::ingest_name(party), 0),
    };
    pace.play(recorded, &mut destination).await
}

struct IngestPartition {
    appender: Box<dyn Appender>,
    ingest: TopicPartition,
}

impl Destination for IngestPartition {
    async fn send(&mut self, batch: &[Recorded], replayed: &mut Replayed) -> Result<()> {
        let appends = batch.iter().map(|recorded| ingest_record(&self.ingest, recorded));
        self.appender.append(appends.collect()).await?;
        replayed.taken += batch.len() as u64;
        Ok(())
    }
}

fn appender(log: &SharedLog) -> Result<Box<dyn Appender>, LogError> {
    log.appender(AppenderOptions {
        name: "replay".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    })
}

fn explain_in_use(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(LogError::InUse { .. }) => error.context(
            "the embedded log has one owner at a time: stop that process, or replay through its gateway \
             with --url http://ADDRESS:PORT --key-file FILE",
        ),
        _ => error.context("open the log"),
    }
}

async fn register(store: &Store, party: &Name, platforms: &[Name]) -> Result<PartyRecord> {
    let found = match store.party_named(party).await {
        Err(StoreError::NoSuchParty { .. }) => {
            return store
                .add_party(party, platforms)
                .await
                .with_context(|| format!("register party {party} with the recorded platforms"));
        }
        found => found?,
    };
    ensure!(found.revoked_at.is_none(), "party {party} is revoked");
    for platform in platforms {
        let owns = found.platforms.iter().any(|(_, name)| name == platform);
        ensure!(
            owns,
            "party {party} is registered without the recorded platform {platform}"
        );
    }
    Ok(found)
}

/// Makes the party's topic where it is absent. The party is announced before that: intake reads the parties when it is given a new topic,
/// so it knows whose it is. Where the topic is there, the dispatcher has announced it.
async fn prepare_topic(config: &Config, log: &SharedLog, party: &PartyRecord) -> Result<()> {
    if config.log.kind == LogKind::Embedded {
        log.ensure_topics(&specs(config.sightings_partitions()))
            .context("make the topics")?;
    }
    let declaration = tocsin_wire::topics::ingest(&party.name);
    if log.bounds(&TopicPartition::new(declaration.name.as_str(), 0)).is_ok() {
        return Ok(());
    }
    let record = tocsin_wire::PartyRecord {
        id: party.id,
        name: party.name.clone(),
        platforms: party.platforms.iter().cloned().map(platform_record).collect(),
        revoked: false,
    };
    let announcement = Append {
        to: TopicPartition::new(tocsin_wire::topics::PARTIES, 0),
        key: Some(Bytes::from(record.key())),
        value: Some(Bytes::from(record.encode())),
        headers: Vec::new(),
    };
    appender(log)?
        .append(vec![announcement])
        .await
        .context("announce the party")?;
    log.ensure_topics(&[topic_spec(&declaration, config.sightings_partitions())])
        .context("make the party's topic")?;
    Ok(())
}

fn platform_record((id, name): (tocsin_model::PlatformId, Name)) -> PlatformRecord {
    PlatformRecord { id, name }
}
