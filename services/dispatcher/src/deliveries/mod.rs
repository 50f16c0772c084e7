//! Deliveries: what the store keeps for an endpoint is taken, sent, and settled.
//!
//! Invariants:
//! * Each endpoint is worked on by itself, a few deliveries at a time: one that hangs delays no other.
//! * A try lasts less long than the delivery is ours, so two dispatchers do not send at once; whoever dies in between leaves it to the next
//!   one, under the same id.
//! * No more is sent than the store's rows say, and those say what the endpoint's team may see.

mod address;
mod backoff;
mod coop;
mod email;
mod event;
mod http;
mod notice;
mod ozone;
mod ozone_decision;
mod records;
mod sentence;
mod signature;
mod target;
mod telemetry;
mod try_once;
mod unconfirmed;
mod webhook;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tocsin_log::{Appender, SharedLog};
use tocsin_model::{Milliseconds, Name, PartitionCount};
use tocsin_runtime::Shutdown;
use tocsin_store::Endpoint;
use tokio::task::JoinSet;

pub(crate) use address::Networks;
pub(crate) use coop::item_data as coop_item_data;
pub(crate) use email::Relay;
pub use email::{MailConfig, MailError, MailTls};
pub(crate) use http::HttpClient;
pub(crate) use ozone::{OzoneInwards, credentials as ozone_credentials, record as ozone_record};
pub use signature::new_signing_secret;
pub(crate) use target::ozone_inwards;
pub use target::{EndpointRefused, check_endpoint};
pub(crate) use telemetry::DeliveryMetrics;

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, housekeeping};
use telemetry::DeliveriesCounted;

/// How often to look without being woken: for what is due again, and for what other dispatchers left behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const COUNT_INTERVAL: Duration = Duration::from_secs(10);
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long deliveries that were taken are ours. Longer than a try: see [`http::ANSWER_TIMEOUT`], [`APPEND_TIMEOUT`],
/// [`REQUESTS_TIMEOUT`] and [`email::MESSAGE_TIMEOUT`].
const TAKEN_FOR: Milliseconds = Milliseconds::from_seconds(60);
/// How many requests an endpoint gets at once.
const REQUESTS_AT_ONCE: u32 = 4;
/// How many records a topic gets at once.
const RECORDS_AT_ONCE: u32 = 256;
const APPEND_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the requests of one delivery take together.
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(25);

/// What deliveries are made with.
pub(crate) struct Deliveries {
    pub dispatcher: Arc<Dispatcher>,
    pub log: SharedLog,
    pub appender: Arc<dyn Appender>,
    pub client: HttpClient,
    /// Where mail is handed to; `None`: none is sent.
    pub relay: Option<Relay>,
    pub metrics: DeliveryMetrics,
    pub partitions: PartitionCount,
    /// Topics of parties that are known to exist. Bounded by the endpoints there are.
    pub topics: Mutex<BTreeSet<String>>,
}

impl Deliveries {
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let deliveries = Arc::new(self);
        let (mut work, mut busy) = (JoinSet::new(), BTreeSet::new());
        let mut counted_at = None::<Instant>;
        let mut forgotten_at = None::<Instant>;
        while !shutdown.is_requested() {
            deliveries.begin(&mut work, &mut busy, &shutdown).await;
            if counted_at.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL) {
                counted_at = Some(Instant::now());
                deliveries.count().await;
            }
            if forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_INTERVAL) {
                forgotten_at = Some(Instant::now());
                deliveries.forget().await;
            }
            tokio::select! {
                () = deliveries.dispatcher.told.notified() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = shutdown.requested() => {}
                Some(done) = work.join_next() => { busy.remove(&done?); }
            }
        }
        // What was sent is settled before the process ends: nobody sends it again.
        while let Some(done) = work.join_next().await {
            done?;
        }
        Ok(())
    }

    /// Begins a round for each endpoint that has something due and is not being worked on.
    async fn begin(self: &Arc<Self>, work: &mut JoinSet<Name>, busy: &mut BTreeSet<Name>, shutdown: &Shutdown) {
        let due = match self.dispatcher.store.endpoints_due().await {
            Ok(due) => due,
            Err(error) => return StoreFailed { error: &error }.emit(&self.dispatcher.metrics),
        };
        // A process that starts knows no names until it has read the registry; what it sent would name platforms by numbers.
        if self.dispatcher.names().parties.is_empty() {
            return;
        }
        for endpoint in due {
            if busy.insert(endpoint.name.clone()) {
                work.spawn(Arc::clone(self).round(endpoint, shutdown.clone()));
            }
        }
    }

    /// Takes a few deliveries of an endpoint, tries each once, and says what became of them.
    async fn round(self: Arc<Self>, endpoint: Endpoint, shutdown: Shutdown) -> Name {
        if let Err(error) = self.try_some(&endpoint, &shutdown).await {
            StoreFailed { error: &error }.emit(&self.dispatcher.metrics);
            // Not at once again: the store has to come back first.
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        endpoint.name
    }

    async fn count(&self) {
        match self.dispatcher.store.delivery_counts().await {
            Ok(counts) => DeliveriesCounted { counts }.emit(&self.metrics),
            Err(error) => StoreFailed { error: &error }.emit(&self.dispatcher.metrics),
        }
    }

    async fn forget(&self) {
        let age = housekeeping::remembered_for();
        if let Err(error) = self.dispatcher.store.forget_deliveries(age).await {
            StoreFailed { error: &error }.emit(&self.dispatcher.metrics);
        }
    }

    fn knows_topic(&self, topic: &str) -> bool {
        self.topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(topic)
    }

    fn learn_topic(&self, topic: &str) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.to_owned());
    }
}

#[cfg(test)]
#[path = "../../../lib/model/tests/example/mod.rs"]
mod example;

#[cfg(test)]
mod tests {
    //! Goal: what is taken is ours for longer than any try lasts.

    use super::*;

    #[test]
    fn a_try_ends_before_the_delivery_is_given_out_again() {
        let ours = Duration::from_millis(TAKEN_FOR.0 as u64);
        for limit in [
            http::ANSWER_TIMEOUT,
            APPEND_TIMEOUT,
            REQUESTS_TIMEOUT,
            email::MESSAGE_TIMEOUT,
        ] {
            assert!(limit * 2 < ours, "{limit:?}");
        }
    }
}
