//! Which of a party's own accounts uploaded the members of a family: read from the party's own ingest topic when it is asked for, and kept nowhere.
//!
//! No other party's topic is read, so nothing that another party sends can change an answer but by the members that both may see. Why so:
//! `decisions/accounts.md`.

mod position;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tocsin_log::{LogError, SharedLog};
use tocsin_model::{DeploymentKey, PartyId};
use tocsin_wire::Schemas;
use tocsin_wire::osprey::Mapping;

pub(crate) use position::Positions;
pub(crate) use reading::{Asked, Begin, Cut, Page};

use reading::Limits;

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

/// How events stand in ingest topics: the same for whoever reads them.
#[derive(Clone, Debug)]
pub struct IngestForm {
    /// The schemas that are known.
    pub schemas: Schemas,
    /// What of a party's actions are events, by the party's name. Actions of a party without one are not read.
    pub mappings: BTreeMap<String, Mapping>,
    /// Whether records that their senders stamped are refused: always but in a replay.
    pub stamped_by_log: bool,
}

impl Default for IngestForm {
    fn default() -> Self {
        IngestForm {
            schemas: Schemas::builtin().clone(),
            mappings: BTreeMap::new(),
            stamped_by_log: true,
        }
    }
}

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

    /// Reads on a thread beside the async workers: for one party at a time one page, so that none keeps the others waiting with many keys. Whoever does not
    /// wait for it any more ends it.
    pub(crate) async fn read(self: &Arc<Self>, asked: Asked, accounts_max: usize) -> Result<Page, NotRead> {
        let Some(turn) = Turn::take(self, asked.party) else {
            self.metrics.outcome("busy");
            return Err(NotRead::Busy);
        };
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
struct Turn {
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
const OUTCOMES: [&str; 6] = ["whole", "accounts", "records", "time", "busy", "failed"];

impl AccountsMetrics {
    fn register(registry: &Registry) -> Result<AccountsMetrics, prometheus::Error> {
        let metrics = AccountsMetrics {
            readings: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_account_readings_total",
                    "Readings of the accounts that uploaded members, by outcome: whole, cut at a limit (accounts, records, time), busy or failed",
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
    //! Goal: a party has one reading at a time and a process two, and a reading that is over makes room.
    #![allow(clippy::unwrap_used)]

    use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};

    use super::*;

    #[test]
    fn readings_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap();
        let (key, registry) = (DeploymentKey::from_bytes([7; 32]), Registry::new());
        let accounts = Accounts::new(Arc::new(log), key, IngestForm::default(), &registry);
        let accounts = Arc::new(accounts.unwrap());
        let [one, two, three] = [1, 2, 3].map(PartyId);
        let first = Turn::take(&accounts, one).unwrap();
        assert!(Turn::take(&accounts, one).is_none(), "whatever key it has");
        let second = Turn::take(&accounts, two).unwrap();
        assert!(Turn::take(&accounts, three).is_none());
        assert_eq!(accounts.metrics.under_way.get(), 2);
        drop(first);
        assert!(Turn::take(&accounts, two).is_none());
        let third = Turn::take(&accounts, three).unwrap();
        drop((second, third));
        assert_eq!(accounts.metrics.under_way.get(), 0);
    }

    #[test]
    fn whoever_waits_no_more_ends_it() {
        let gone = Arc::new(AtomicBool::new(false));
        let waiting = Waiting(Arc::clone(&gone));
        assert!(!gone.load(Ordering::Acquire));
        drop(waiting);
        assert!(gone.load(Ordering::Acquire));
    }
}
