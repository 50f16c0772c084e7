use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tocsin_model::{DeploymentKey, KeyId, Scope};
use tocsin_runtime::streams::{self, KeyChecks};
use tocsin_runtime::{ReadinessFlag, Shutdown};
use tocsin_store::Store;
use tokio::sync::{Semaphore, watch};

use crate::banks::Banks;
use crate::frames::Frames;
use crate::incidents::Incidents;
use crate::listings::Listings;
use crate::metrics::Metrics;
use crate::replica::ReplicaState;
use crate::routes::{LeakThroughCache, Meter, TrendingCache};
use crate::tail::now_ms;

/// The streams of this service: by scope and key.
pub type StreamSlots = streams::StreamSlots<Scope, KeyId>;
/// The place of one of them.
pub(crate) type QuerySlot = streams::StreamSlot<Scope, KeyId>;

/// What every request shares. Cheap to clone.
#[derive(Clone)]
pub struct QueryState {
    shared: Arc<Shared>,
}

struct Shared {
    replica: ReplicaState,
    store: Store,
    key: DeploymentKey,
    alert_partitions: u32,
    metrics: Metrics,
    shutdown: Shutdown,
    readiness: ReadinessFlag,
    is_ready: AtomicBool,
    arrivals: watch::Sender<u64>,
    slots: Arc<StreamSlots>,
    stall_max: Duration,
    record_interval: Duration,
    look_up_time_max: Duration,
    frames: Arc<Frames>,
    key_checks: KeyChecks,
    trending: TrendingCache,
    leak_through: LeakThroughCache,
    bank_sightings_turn: Arc<Semaphore>,
    look_ups: Meter,
    reads: Meter,
    look_up_turns: Arc<Semaphore>,
    banks: Banks,
    listings: Listings,
    incidents: Incidents,
}

/// So many look-ups are made at a time.
const LOOK_UPS_AT_ONCE: usize = 4;

/// What a [`QueryState`] is made of.
pub struct QueryStateParts {
    /// The replica.
    pub replica: ReplicaState,
    /// Where keys are checked.
    pub store: Store,
    /// The permanent key: names contents and seals cursors.
    pub key: DeploymentKey,
    /// How many partitions the alerts topic has.
    pub alert_partitions: u32,
    /// The metrics.
    pub metrics: Metrics,
    /// The request to stop, at which streams end.
    pub shutdown: Shutdown,
    /// Set when the replica caught up.
    pub readiness: ReadinessFlag,
    /// The streams that may be open.
    pub slots: StreamSlots,
    /// How much each key may look up.
    pub look_ups: Meter,
    /// How much else each key may ask.
    pub reads: Meter,
    /// After how long a reader that takes nothing is sent away.
    pub stall_max: Duration,
    /// How often a stream that goes on is recorded.
    pub record_interval: Duration,
    /// How long a look-up may take.
    pub look_up_time_max: Duration,
    /// How old what is known of live incidents may be when a look-up is answered from it.
    pub incidents_age_max: Duration,
}

impl QueryState {
    /// A state that is not ready yet.
    pub fn new(parts: QueryStateParts) -> Self {
        QueryState {
            shared: Arc::new(Shared {
                replica: parts.replica,
                store: parts.store,
                key: parts.key,
                alert_partitions: parts.alert_partitions,
                metrics: parts.metrics,
                shutdown: parts.shutdown,
                readiness: parts.readiness,
                is_ready: AtomicBool::new(false),
                arrivals: watch::Sender::new(0),
                slots: Arc::new(parts.slots),
                stall_max: parts.stall_max,
                record_interval: parts.record_interval,
                look_up_time_max: parts.look_up_time_max,
                frames: Arc::default(),
                key_checks: KeyChecks::default(),
                trending: TrendingCache::default(),
                leak_through: LeakThroughCache::default(),
                bank_sightings_turn: Arc::new(Semaphore::new(1)),
                look_ups: parts.look_ups,
                reads: parts.reads,
                look_up_turns: Arc::new(Semaphore::new(LOOK_UPS_AT_ONCE)),
                banks: Banks::default(),
                listings: Listings::default(),
                incidents: Incidents::new(parts.incidents_age_max),
            }),
        }
    }

    /// The replica.
    pub fn replica(&self) -> &ReplicaState {
        &self.shared.replica
    }

    /// Whether the replica caught up with what the log held when it started.
    pub fn is_ready(&self) -> bool {
        self.shared.is_ready.load(Ordering::Acquire)
    }

    /// The replica caught up: requests are answered from now on.
    pub fn set_ready(&self) {
        self.shared.is_ready.store(true, Ordering::Release);
        self.shared.metrics.ready.set(1);
        self.shared.readiness.set_ready();
    }

    /// Wakes the streams when alerts came in.
    pub fn alerts_arrived(&self) {
        let newest = self.replica().alerts.newest_sequence();
        self.shared
            .arrivals
            .send_if_modified(|sequence| std::mem::replace(sequence, newest) != newest);
    }

    /// Tells the readers of every scope what moved since the last time.
    pub fn make_frames(&self) {
        let started_at = Instant::now();
        self.shared.frames.make(self.replica(), now_ms());
        self.shared.frames.rest(self.replica());
        self.shared
            .metrics
            .frame_seconds
            .set(started_at.elapsed().as_secs_f64());
    }

    /// The number of the newest frame of what moved in a scope; `None` where nobody follows it.
    pub fn newest_frame(&self, scope: Scope) -> Option<u64> {
        self.shared.frames.newest(scope)
    }

    pub(crate) fn key_checks(&self) -> &KeyChecks {
        &self.shared.key_checks
    }

    pub(crate) fn frames(&self) -> &Arc<Frames> {
        &self.shared.frames
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn key(&self) -> &DeploymentKey {
        &self.shared.key
    }

    pub(crate) fn alert_partitions(&self) -> u32 {
        self.shared.alert_partitions
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shared.shutdown
    }

    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.shared.arrivals.subscribe()
    }

    pub(crate) fn slots(&self) -> &Arc<StreamSlots> {
        &self.shared.slots
    }

    pub(crate) fn stall_max(&self) -> Duration {
        self.shared.stall_max
    }

    pub(crate) fn record_interval(&self) -> Duration {
        self.shared.record_interval
    }

    pub(crate) fn look_up_time_max(&self) -> Duration {
        self.shared.look_up_time_max
    }

    pub(crate) fn look_ups(&self) -> &Meter {
        &self.shared.look_ups
    }

    pub(crate) fn reads(&self) -> &Meter {
        &self.shared.reads
    }

    pub(crate) fn look_up_turns(&self) -> &Arc<Semaphore> {
        &self.shared.look_up_turns
    }

    pub(crate) fn banks(&self) -> &Banks {
        &self.shared.banks
    }

    pub(crate) fn listings(&self) -> &Listings {
        &self.shared.listings
    }

    pub(crate) fn incidents(&self) -> &Incidents {
        &self.shared.incidents
    }

    pub(crate) fn leak_through(&self) -> &LeakThroughCache {
        &self.shared.leak_through
    }

    /// Whoever tells what was seen of a bank: one at a time.
    pub(crate) fn bank_sightings_turn(&self) -> &Arc<Semaphore> {
        &self.shared.bank_sightings_turn
    }

    pub(crate) fn trending(&self) -> &TrendingCache {
        &self.shared.trending
    }
}
