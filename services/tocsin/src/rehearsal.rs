//! A whole deployment inside this process, fed with recorded events whose time of receipt they supply.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use serde_json::Value;
use tocsin_intake::TimeSource;
use tocsin_log::{Append, Appender, AppenderOptions, Durability, Header, TopicPartition, read_through};
use tocsin_model::Name;
use tocsin_runtime::Shutdown;
use tocsin_runtime::tls::TlsConfig;
use tocsin_store::{KeySubject, Role as KeyRole, Roles};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

use crate::client::Source;
use crate::config::Config;
use crate::recorded::Recorded;
use crate::serve::{Process, Role, deployment_key};

/// A deployment under evaluation.
pub struct Rehearsal {
    process: Process,
    base: String,
    client: reqwest::Client,
    appender: Box<dyn Appender>,
    ingest: TopicPartition,
    party_key: String,
    coordinators_key: String,
    observer_key: String,
    /// Cursors of before the first alert.
    beginnings: BTreeMap<Reader, String>,
    published: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// The party that publishes everything.
    Publisher,
    /// The coordinators.
    Coordinators,
    /// A party that publishes nothing: it sees what is for all.
    Observer,
}

/// Nothing takes longer than this to settle.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// How often conditions are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const PUBLISHER: &str = "publisher";
const OBSERVER: &str = "observer";

impl Reader {
    /// Everybody.
    pub const ALL: [Reader; 3] = [Reader::Publisher, Reader::Coordinators, Reader::Observer];
}

impl Rehearsal {
    /// Starts all roles on free ports. The publisher owns `platforms`.
    ///
    /// # Errors
    /// Something of it cannot start.
    pub async fn start(mut config: Config, platforms: &[&str]) -> Result<Rehearsal> {
        config.http.listen = "127.0.0.1:0".to_owned();
        config.http.tls = TlsConfig::default();
        config.intake.time_source = TimeSource::Supplied;
        let (key, _) = deployment_key(&config)?;
        let mut process = Process::start(config, key, &Role::ALL, Shutdown::new()).await?;
        let address = process.listen().await?;
        let store = process.store.clone().context("a process with all roles has a store")?;
        let platforms = platforms
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Name>, _>>()?;
        let publisher = store.add_party(&PUBLISHER.parse()?, &platforms).await?;
        let observer = store.add_party(&OBSERVER.parse()?, &["elsewhere".parse()?]).await?;
        let reader = Roles::of(&[KeyRole::Reader]);
        let (_, party_key) = store.issue_key(KeySubject::Party(publisher.id), reader).await?;
        let (_, observer_key) = store.issue_key(KeySubject::Party(observer.id), reader).await?;
        let (_, coordinators_key) = store.issue_key(KeySubject::Coordinators, reader).await?;
        let options = AppenderOptions {
            name: "rehearsal".to_owned(),
            durability: Durability::Ordered,
            gapless: false,
        };
        let mut rehearsal = Rehearsal {
            appender: process.log.appender(options)?,
            ingest: TopicPartition::new(format!("{}{PUBLISHER}", topics::INGEST_PREFIX), 0),
            process,
            base: format!("http://{address}"),
            client: reqwest::Client::new(),
            party_key: party_key.expose().to_owned(),
            coordinators_key: coordinators_key.expose().to_owned(),
            observer_key: observer_key.expose().to_owned(),
            beginnings: BTreeMap::new(),
            published: 0,
        };
        rehearsal
            .until("the publisher's topic is there", || {
                rehearsal.process.log.bounds(&rehearsal.ingest).is_ok()
            })
            .await?;
        for reader in Reader::ALL {
            let beginning = rehearsal.beginning(reader).await?;
            rehearsal.beginnings.insert(reader, beginning);
        }
        Ok(rehearsal)
    }

    async fn beginning(&self, reader: Reader) -> Result<String> {
        let began = Instant::now();
        loop {
            let (status, page) = self.get(reader, "/v1/alerts", &[]).await?;
            if status == 200 {
                return Ok(page["next"].as_str().context("an answer has a cursor")?.to_owned());
            }
            ensure!(
                status == 503 && began.elapsed() < SETTLE_MAX,
                "GET /v1/alerts answers {status}: {page}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Publishes events in their order, all in one partition: one recorded order. Hands so many to the log at once.
    ///
    /// # Errors
    /// The log refuses them.
    pub async fn publish(&mut self, recorded: &[Recorded], at_once: usize) -> Result<()> {
        for batch in recorded.chunks(at_once.max(1)) {
            let appends = batch
                .iter()
                .map(|recorded| ingest_record(&self.ingest, recorded))
                .collect();
            self.appender.append(appends).await?;
            self.published += batch.len() as u64;
        }
        Ok(())
    }

    /// Waits until everything published is counted, checkpointed, and known to the readers' replica.
    ///
    /// # Errors
    /// It does not settle, or a role failed.
    pub async fn settle(&self) -> Result<()> {
        self.until("intake has read everything", || {
            self.intake_position() == Some(self.published)
        })
        .await?;
        self.until("the detector has applied and checkpointed everything", || {
            self.detector_is_level()
        })
        .await?;
        // The log is quiet from here on, so a replica that stands at its end knows everything.
        self.until("the replica has read the state and the alerts", || {
            self.replica_is_level().unwrap_or(false)
        })
        .await
    }

    fn replica_is_level(&self) -> Result<bool> {
        let mut read = BTreeMap::new();
        for family in self.process.registry.gather() {
            if family.name() != "tocsin_query_next_offset" {
                continue;
            }
            for metric in family.get_metric() {
                let labels: BTreeMap<&str, &str> = metric
                    .get_label()
                    .iter()
                    .map(|label| (label.name(), label.value()))
                    .collect();
                let place = (labels["topic"].to_owned(), labels["partition"].to_owned());
                read.insert(place, metric.get_gauge().get_value() as u64);
            }
        }
        let state =
            (0..u32::from(self.process.config.sightings_partitions().get())).map(|number| (topics::STATE, number));
        for (topic, number) in state.chain([(topics::ALERTS, 0)]) {
            let (_, end) = self.process.log.bounds(&TopicPartition::new(topic, number))?;
            if read.get(&(topic.to_owned(), number.to_string())) != Some(&end) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sum of a metric over its labels.
    pub fn gauge_sum(&self, name: &str) -> f64 {
        let families = self.process.registry.gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        metrics
            .map(|metric| metric.get_gauge().get_value() + metric.get_counter().get_value())
            .sum()
    }

    /// Where a reader asks, and as whom.
    pub fn source(&self, reader: Reader) -> Source {
        let key = match reader {
            Reader::Publisher => &self.party_key,
            Reader::Coordinators => &self.coordinators_key,
            Reader::Observer => &self.observer_key,
        };
        Source::with_key(&self.base, key)
    }

    /// The answer to a `GET`, and its status.
    ///
    /// # Errors
    /// There is no answer, or it is not JSON.
    pub async fn get(&self, reader: Reader, path: &str, query: &[(&str, &str)]) -> Result<(u16, Value)> {
        let source = self.source(reader);
        let request = self
            .client
            .get(format!("{}{path}", source.url))
            .query(query)
            .bearer_auth(source.key.unwrap_or_default());
        let response = request.send().await.with_context(|| format!("GET {path}"))?;
        let status = response.status().as_u16();
        let body = response
            .json()
            .await
            .with_context(|| format!("GET {path} answers JSON"))?;
        Ok((status, body))
    }

    /// The ids of all alerts this reader may see, ascending.
    ///
    /// # Errors
    /// The API does not answer as it is described.
    pub async fn alert_ids(&self, reader: Reader) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut since = self.beginnings[&reader].clone();
        loop {
            let query = [("limit", "500"), ("since", &since)];
            let (status, page) = self.get(reader, "/v1/alerts", &query).await?;
            ensure!(status == 200, "GET /v1/alerts answers {status}: {page}");
            ensure!(
                page["gap"] == Value::Bool(false),
                "the replica no longer holds all alerts"
            );
            let alerts = page["alerts"].as_array().context("alerts is a list")?;
            ids.extend(
                alerts
                    .iter()
                    .filter_map(|alert| alert["id"].as_str())
                    .map(str::to_owned),
            );
            if page["more"] != Value::Bool(true) {
                break;
            }
            since = page["next"].as_str().context("an answer has a cursor")?.to_owned();
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// A role failed.
    pub async fn stop(self) -> Result<()> {
        drop(self.appender);
        self.process.roles.shutdown().request();
        self.process.join().await
    }

    /// How many records of the ingest partition intake has finished with.
    fn intake_position(&self) -> Option<u64> {
        let mut position = None;
        let topic = TopicPartition::new(topics::INTAKE, 0);
        self.read_all(&topic, |_, value| {
            if let Ok(state) = tocsin_intake::SourceState::decode(value) {
                position = position.max(Some(state.next_offset));
            }
        })
        .ok()?;
        position
    }

    fn detector_is_level(&self) -> bool {
        let partitions = self.process.config.sightings_partitions().get();
        (0..u32::from(partitions)).all(|partition| self.partition_is_level(partition).unwrap_or(false))
    }

    fn partition_is_level(&self, partition: u32) -> Result<bool> {
        let (_, end) = self
            .process
            .log
            .bounds(&TopicPartition::new(topics::SIGHTINGS, partition))?;
        let mut header = None;
        self.read_all(&TopicPartition::new(topics::STATE, partition), |key, value| {
            if let Some(StateKey::Header { .. }) = StateKey::from_bytes(key) {
                header = StateRecord::decode(value)
                    .ok()
                    .and_then(|record| StateHeader::decode(&record.body).ok());
            }
        })?;
        Ok(header.is_some_and(|header| header.next_offset == end && header.checkpoint_offset == end))
    }

    fn read_all(&self, place: &TopicPartition, mut sink: impl FnMut(&[u8], &[u8])) -> Result<()> {
        read_through(self.process.log.as_ref(), place, .., &|| false, &mut |record| {
            if let (Some(key), Some(value)) = (record.key, record.value) {
                sink(key, value);
            }
        })?;
        Ok(())
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) -> Result<()> {
        let began = Instant::now();
        while !tokio::task::block_in_place(&holds) {
            if began.elapsed() > SETTLE_MAX {
                bail!("gave up waiting until {what}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The ingest record of one event, with the time of its receipt.
pub fn ingest_record(to: &TopicPartition, recorded: &Recorded) -> Append {
    let received_at = Header {
        name: "tocsin-received-at".to_owned(),
        value: Bytes::from(recorded.received_at.0.to_string()),
    };
    Append {
        to: to.clone(),
        key: None,
        value: Some(Bytes::from(tocsin_wire::event::encode_single_object(&recorded.event))),
        headers: vec![received_at],
    }
}

/// Figures by name, ascending: what an evaluation writes.
pub type Figures = BTreeMap<&'static str, Value>;
