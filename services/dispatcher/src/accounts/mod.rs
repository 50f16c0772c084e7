//! Which of a party's own accounts uploaded the members of a family: read from the party's own ingest topic when it is asked for, and kept nowhere.
//!
//! No other party's topic is read, so nothing that another party sends can change an answer but by the members that both may see. Why so:
//! `decisions/accounts.md`.

mod members;
mod reading;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tocsin_log::{LogError, SharedLog};
use tocsin_model::{DeploymentKey, PartyId};

pub(crate) use members::Members;
pub(crate) use reading::{Asked, Cut, Page};

use reading::Limits;

use crate::ingest::IngestForm;

/// How many readings a process does at a time.
pub(crate) const READINGS_MAX: usize = 2;
/// What one holds at most: accounts, uploads and members, and what a client of the log fetched ahead.
pub(crate) const READING_BYTES: u64 = 24 << 20;
/// How many accounts one reading tells at most.
pub(crate) const ACCOUNTS_MAX: usize = 5_000;
/// How many uploads of members it counts.
const UPLOADS_MAX: usize = 250_000;
/// How many records it reads.
const RECORDS_MAX: u64 = 2_000_000;
/// How long it reads.
const TIME_MAX: Duration = Duration::from_secs(8);

/// What reads accounts, and who reads at the moment.
pub(crate) struct Accounts {
    log: SharedLog,
    key: DeploymentKey,
    form: IngestForm,
    reading: Mutex<BTreeSet<PartyId>>,
    metrics: AccountsMetrics,
}

/// Why nothing was read.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// A reading of this party is under way, or as many as there may be.
    Busy,
    /// The log failed; it was told where it did.
    Failed,
}

impl Accounts {
    pub(crate) fn new(
        log: SharedLog,
        key: DeploymentKey,
        form: IngestForm,
        registry: &Registry,
    ) -> Result<Accounts, prometheus::Error> {
        Ok(Accounts {
            log,
            key,
            form,
            reading: Mutex::default(),
            metrics: AccountsMetrics::register(registry)?,
        })
    }

    /// A turn, before anything is read for it: one for a party at a time, so that none keeps the others waiting with many keys.
    pub(crate) fn turn(self: &Arc<Self>, reader: PartyId) -> Result<Turn, NotRead> {
        Turn::take(self, reader).ok_or_else(|| {
            self.metrics.outcome("busy");
            NotRead::Busy
        })
    }

    /// Reads on a thread beside the async workers. Whoever does not wait for it any more ends it.
    pub(crate) async fn read(turn: Turn, asked: Asked, accounts_max: usize) -> Result<Page, NotRead> {
        let gone = Arc::new(AtomicBool::new(false));
        let _waiting = Waiting(Arc::clone(&gone));
        let limits = Limits {
            records_max: RECORDS_MAX,
            time_max: TIME_MAX,
            accounts_max: accounts_max.min(ACCOUNTS_MAX),
            uploads_max: UPLOADS_MAX,
        };
        let read = tokio::task::spawn_blocking(move || {
            let Turn { accounts, .. } = &turn;
            let began_at = Instant::now();
            let is_called_off = || gone.load(Ordering::Acquire);
            let form = (&accounts.form, &accounts.key);
            let read = reading::read(accounts.log.as_ref(), form, &asked, limits, &is_called_off);
            accounts.metrics.told(&read, began_at.elapsed());
            read
        });
        match read.await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(_)) | Err(_) => Err(NotRead::Failed),
        }
    }
}

/// Whoever reads has one until the reading is over.
pub(crate) struct Turn {
    accounts: Arc<Accounts>,
    reader: PartyId,
}

impl Turn {
    fn take(accounts: &Arc<Accounts>, reader: PartyId) -> Option<Turn> {
        let mut reading = accounts.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.len() >= READINGS_MAX || !reading.insert(reader) {
            return None;
        }
        accounts.metrics.under_way.set(reading.len() as i64);
        Some(Turn {
            accounts: Arc::clone(accounts),
            reader,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut reading = self.accounts.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.remove(&self.reader);
        self.accounts.metrics.under_way.set(reading.len() as i64);
    }
}

/// Tells the reading when nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What an operator sees of readings. No label names a party, a case or an account.
struct AccountsMetrics {
    readings: IntCounterVec,
    records: IntCounter,
    seconds: Histogram,
    under_way: IntGauge,
}

/// What becomes of a reading.
const OUTCOMES: [&str; 7] = ["whole", "accounts", "records", "time", "busy", "called_off", "failed"];

impl AccountsMetrics {
    fn register(registry: &Registry) -> Result<AccountsMetrics, prometheus::Error> {
        let metrics = AccountsMetrics {
            readings: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_account_readings_total",
                    "Readings of the accounts that uploaded members, by outcome: whole, cut at a limit (accounts, records, time), busy, called_off by who asked, or failed",
                ),
                &["outcome"],
            )?,
            records: IntCounter::new(
                "tocsin_dispatcher_account_records_total",
                "Records of ingest topics read for them",
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new("tocsin_dispatcher_account_reading_seconds", "How long they took")
                    .buckets(vec![0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0]),
            )?,
            under_way: IntGauge::new("tocsin_dispatcher_account_readings", "Readings under way")?,
        };
        for outcome in OUTCOMES {
            metrics.readings.with_label_values(&[outcome]);
        }
        registry.register(Box::new(metrics.readings.clone()))?;
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.under_way.clone()))?;
        Ok(metrics)
    }

    fn outcome(&self, outcome: &'static str) {
        self.readings.with_label_values(&[outcome]).inc();
    }

    fn told(&self, read: &Result<Page, LogError>, took: Duration) {
        match read {
            Ok(page) => {
                self.outcome(page.cut.map_or("whole", Cut::name));
                self.records.inc_by(page.records);
            }
            // Whoever asked went away.
            Err(LogError::CalledOff { .. }) => self.outcome("called_off"),
            Err(error) => {
                self.outcome("failed");
                tracing::warn!(
                    error = tocsin_runtime::roles::chain(error),
                    "reading the accounts that uploaded members failed"
                );
            }
        }
        self.seconds.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a party has one reading at a time and a process two, and a reading that is over, or that nobody waits for, makes room.
    #![allow(clippy::unwrap_used)]

    use std::collections::{BTreeMap, HashSet};

    use tocsin_casework::UploaderOrder;
    use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
    use tocsin_log::{Append, AppenderOptions, Cleanup, Durability, Log as _, TopicPartition, TopicSpec};
    use tocsin_model::Timestamp;

    use super::*;
    use crate::ingest::Begin;

    fn accounts(log: EmbeddedLog) -> Arc<Accounts> {
        let (key, registry) = (DeploymentKey::from_bytes([7; 32]), Registry::new());
        let accounts = Accounts::new(Arc::new(log), key, IngestForm::default(), &registry);
        Arc::new(accounts.unwrap())
    }

    fn outcome(accounts: &Accounts, outcome: &str) -> u64 {
        accounts.metrics.readings.with_label_values(&[outcome]).get()
    }

    #[test]
    fn readings_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let accounts = accounts(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap());
        let [one, two, three] = [1, 2, 3].map(PartyId);
        let first = accounts.turn(one).unwrap();
        assert!(accounts.turn(one).is_err(), "whatever key it has");
        let second = accounts.turn(two).unwrap();
        assert!(accounts.turn(three).is_err());
        assert_eq!((accounts.metrics.under_way.get(), outcome(&accounts, "busy")), (2, 2));
        drop(first);
        assert!(accounts.turn(two).is_err());
        let third = accounts.turn(three).unwrap();
        drop((second, third));
        assert_eq!(accounts.metrics.under_way.get(), 0);
    }

    /// The one thread that may wait is taken until whoever asked is gone.
    #[test]
    fn whoever_waits_no_more_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap();
        let topic = "tocsin.ingest.alpha";
        log.ensure_topics(&[TopicSpec {
            name: topic.to_owned(),
            partitions: 1,
            cleanup: Cleanup::Delete,
            retention_ms: None,
            record_bytes_max: 1 << 20,
            may_grow: true,
            compaction: None,
        }])
        .unwrap();
        let options = AppenderOptions {
            name: "test".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        let record = Append {
            to: TopicPartition::new(topic, 0),
            key: None,
            value: Some(vec![1].into()),
            headers: Vec::new(),
        };
        log.appender(options).unwrap().append(vec![record]).wait().unwrap();
        let accounts = accounts(log);
        let asked = Asked {
            party: PartyId(1),
            party_name: "alpha".to_owned(),
            platforms: BTreeMap::new(),
            members: HashSet::new(),
            begin: Begin::Since(Timestamp(0)),
            kept_from: Timestamp(0),
            order: UploaderOrder::First,
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).enable_all().build().unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async {
            let before = tokio::task::spawn_blocking(move || wait.recv());
            let turn = accounts.turn(PartyId(1)).unwrap();
            let read = Accounts::read(turn, asked.clone(), 10);
            let waited = tokio::time::timeout(Duration::from_millis(10), read).await;
            assert!(waited.is_err(), "it is not begun");
            assert_eq!(accounts.metrics.under_way.get(), 1);
            go.send(()).unwrap();
            before.await.unwrap().unwrap();
            // Behind it on the same thread.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            let told = ["called_off", "failed", "whole"].map(|name| outcome(&accounts, name));
            assert_eq!((told, accounts.metrics.under_way.get()), ([1, 0, 0], 0));
            let turn = accounts.turn(PartyId(1)).unwrap();
            let page = Accounts::read(turn, asked, 10).await.unwrap();
            assert_eq!((page.records, outcome(&accounts, "whole")), (1, 1));
        });
    }
}
