//! One try of some deliveries of one endpoint.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tocsin_casework::Team;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::Append;
use tocsin_model::{Alert, DrillId};
use tocsin_runtime::Shutdown;
use tocsin_store::{Delivery, DeliveryEvent, DeliveryOutcome, Endpoint, StoreError};
use tocsin_wire::{Names, topics};

use super::email::{Letter, Mailbox, Mailed};
use super::event::CloudEvent;
use super::http::{Answer, Request};
use super::ozone_decision::stands_already;
use super::target::Target;
use super::telemetry::{DeliveryTried, EndpointGone};
use super::{APPEND_TIMEOUT, Deliveries, RECORDS_AT_ONCE, REQUESTS_AT_ONCE, REQUESTS_TIMEOUT, TAKEN_FOR, backoff};
use super::{coop, ozone, records, webhook};
use crate::registry::topic_spec;
use crate::telemetry::StoreFailed;

/// How often the store is asked to settle a try. It waits five seconds for a connection each time: all of them fit into
/// [`TAKEN_FOR`](super::TAKEN_FOR) behind a try.
const SETTLE_TRIES: u32 = 5;
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// The largest record, with room for what the log itself adds to the limit of the topics, a mebibyte.
const RECORD_BYTES_MAX: usize = (1 << 20) - 4_096;

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tried {
    Delivered,
    /// Not taken; for how long the endpoint wants to be left alone.
    Failed(String, Option<tocsin_model::Milliseconds>),
    /// Not taken, and not to be tried again.
    Refused(String),
    /// The endpoint wants nothing more.
    Gone,
}

impl Deliveries {
    pub(super) async fn try_some(&self, endpoint: &Endpoint, shutdown: &Shutdown) -> Result<(), StoreError> {
        let store = &self.dispatcher.store;
        let target = Target::of(endpoint.kind, &endpoint.target, &endpoint.settings, &endpoint.secrets);
        let at_once = match &target {
            Ok(Target::Kafka { .. } | Target::Osprey { .. }) => RECORDS_AT_ONCE,
            _ => REQUESTS_AT_ONCE,
        };
        // Before they are taken: what waits for a place at the relay is nobody's, and is not tried.
        let places = match (&target, &self.relay) {
            (Ok(Target::Email { .. }), Some(relay)) => tokio::select! {
                places = relay.places(at_once - 1) => Some(places),
                () = shutdown.requested() => return Ok(()),
            },
            _ => None,
        };
        // Whoever changed it meanwhile wants what waits to go out by what it is now: the next round does.
        if places.is_some() && !self.is_unchanged(endpoint).await? {
            return Ok(());
        }
        let at_once = places.as_ref().map_or(at_once, |places| places.count);
        let taken = store.take_deliveries(&endpoint.name, at_once, TAKEN_FOR).await?;
        if !taken.is_empty() {
            reach(FailPoint::DeliveriesTaken);
        }
        // Tried so often that whoever tried it last must have died each time.
        let (spent, taken): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|delivery| delivery.attempt > backoff::ATTEMPTS_MAX);
        let names = self.dispatcher.names();
        let tried = match &target {
            Ok(target) => self.send(endpoint, target, &taken, &names).await,
            Err(error) => vec![Tried::Failed(format!("endpoint_refused: {error}"), None); taken.len()],
        };
        drop(places);
        let is_gone = tried.contains(&Tried::Gone);
        if !tried.is_empty() {
            reach(FailPoint::DeliveriesSent);
        }
        let mut settled: Vec<(&Delivery, DeliveryOutcome)> = Vec::with_capacity(taken.len() + spent.len());
        for (delivery, tried) in taken.iter().zip(tried) {
            settled.push((delivery, outcome(delivery, tried)));
        }
        for delivery in &spent {
            let reason = "attempts_spent".to_owned();
            settled.push((delivery, DeliveryOutcome::Dead { reason }));
        }
        self.settle(&settled).await?;
        if !settled.is_empty() {
            reach(FailPoint::DeliveriesSettled);
        }
        for (delivery, outcome) in &settled {
            self.tell(endpoint, delivery, outcome);
        }
        if is_gone {
            store.disable_endpoint(&endpoint.name, "gone").await?;
            EndpointGone {
                endpoint: &endpoint.name,
                kind: endpoint.kind,
            }
            .emit(&self.metrics);
        }
        Ok(())
    }

    async fn is_unchanged(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        let now = self.dispatcher.store.open_endpoint(&endpoint.name).await?;
        Ok(now.is_some_and(|now| (&now.target, &now.settings) == (&endpoint.target, &endpoint.settings)))
    }

    /// Asks the store again while it does not answer: what is not settled is sent once more.
    async fn settle(&self, settled: &[(&Delivery, DeliveryOutcome)]) -> Result<(), StoreError> {
        for _ in 1..SETTLE_TRIES {
            match self.dispatcher.store.settle_deliveries(settled).await {
                Err(error @ StoreError::Database { .. }) => {
                    StoreFailed { error: &error }.emit(&self.dispatcher.metrics);
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
                settled => return settled,
            }
        }
        self.dispatcher.store.settle_deliveries(settled).await
    }

    /// What became of each, in order.
    async fn send(&self, endpoint: &Endpoint, target: &Target, taken: &[Delivery], names: &Names) -> Vec<Tried> {
        let drill = self.dispatcher.store.drill();
        let appends: Option<Vec<Append>> = match target {
            Target::Kafka { topic } => {
                let event = |delivery: &Delivery| {
                    let event = CloudEvent::of(&delivery.event, names, endpoint.team);
                    records::cloud_event(topic, &event.of_drill(drill))
                };
                Some(taken.iter().map(event).collect())
            }
            Target::Osprey { topic, shape } => {
                let action =
                    |delivery: &Delivery| Some(records::action(topic, *shape, alert(delivery)?, names, endpoint.team));
                taken.iter().map(action).collect()
            }
            Target::Webhook { .. } | Target::Coop { .. } | Target::Ozone { .. } | Target::Email { .. } => None,
        };
        if let Some(appends) = appends {
            // The log refuses all of an append for one record that is too large.
            let fits: Vec<bool> = appends
                .iter()
                .map(|append| append.bytes() <= RECORD_BYTES_MAX)
                .collect();
            let appends = appends.into_iter().zip(&fits).filter(|(_, fits)| **fits);
            let appends = appends.map(|(append, _)| append).collect();
            let tried = match self.append(endpoint, target, appends, names).await {
                Ok(()) => Tried::Delivered,
                Err(error) => {
                    tracing::warn!(endpoint = %endpoint.name, error = %format_args!("{error:#}"), "a topic took no deliveries");
                    Tried::Failed("append_failed".to_owned(), None)
                }
            };
            let too_large = Tried::Failed("too_large".to_owned(), None);
            let tried = fits.into_iter().map(|fits| if fits { &tried } else { &too_large });
            return tried.cloned().collect();
        }
        if let Target::Email { to } = target {
            let mailed = taken
                .iter()
                .map(|delivery| self.mail(to, delivery, (names, endpoint.team)));
            return futures::future::join_all(mailed).await;
        }
        let requests =
            taken.iter().map(
                async |delivery| match requests(target, delivery, (names, endpoint.team), drill) {
                    Some(requests) => self.post(target, requests).await,
                    None => Tried::Failed("not_of_this_kind".to_owned(), None),
                },
            );
        futures::future::join_all(requests).await
    }

    async fn mail(&self, to: &Mailbox, delivery: &Delivery, (names, reader): (&Names, Team)) -> Tried {
        let Some(relay) = &self.relay else {
            return Tried::Failed("no_relay".to_owned(), None);
        };
        let Some(letter) = Letter::of(delivery, names, reader, relay.public_url()) else {
            return Tried::Refused("not_of_this_kind".to_owned());
        };
        match relay.send(to, &letter).await {
            Mailed::Taken => Tried::Delivered,
            Mailed::NotNow(reason) => Tried::Failed(reason, None),
            Mailed::Never(reason) => Tried::Refused(reason),
        }
    }

    /// One after another, up to the first that is not taken: at the next try those before it are known there.
    async fn post(&self, target: &Target, requests: Vec<Request>) -> Tried {
        let ends_at = tokio::time::Instant::now() + REQUESTS_TIMEOUT;
        for request in requests {
            let answer = tokio::time::timeout_at(ends_at, self.client.post(request)).await;
            match tried(target, answer.unwrap_or(Answer::None("timeout"))) {
                Tried::Delivered => {}
                failed => return failed,
            }
        }
        Tried::Delivered
    }

    async fn append(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        appends: Vec<Append>,
        names: &Names,
    ) -> anyhow::Result<()> {
        if let Target::Kafka { topic } = target {
            self.make_topic(endpoint, topic, names).await?;
        }
        tokio::time::timeout(APPEND_TIMEOUT, self.appender.append(appends))
            .await
            .context("the log did not take the records in time")??;
        Ok(())
    }

    /// A party's topic is made when it is first written to. It must be that of the endpoint's own party.
    async fn make_topic(&self, endpoint: &Endpoint, topic: &str, names: &Names) -> anyhow::Result<()> {
        let party = topics::party_of_deliveries(topic).context("no topic of deliveries")?;
        let is_own = match endpoint.team {
            Team::Party(id) => names.parties.get(&id) == Some(&party),
            Team::Coordinators => false,
        };
        anyhow::ensure!(
            is_own,
            "the topic {topic} is not, or not yet known to be, of the endpoint's party"
        );
        if self.knows_topic(topic) {
            return Ok(());
        }
        let spec = topic_spec(&topics::deliveries(&party), self.partitions);
        let log = self.log.clone();
        tokio::task::spawn_blocking(move || log.ensure_topics(&[spec])).await??;
        self.learn_topic(topic);
        Ok(())
    }

    fn tell(&self, endpoint: &Endpoint, delivery: &Delivery, outcome: &DeliveryOutcome) {
        let (outcome, reason) = match outcome {
            DeliveryOutcome::Delivered => ("delivered", ""),
            DeliveryOutcome::Retry { reason, .. } => ("retried", reason.as_str()),
            DeliveryOutcome::Dead { reason } => ("dead", reason.as_str()),
        };
        DeliveryTried {
            endpoint: &endpoint.name,
            kind: endpoint.kind,
            outcome,
            delivery: &delivery.id,
            attempt: delivery.attempt,
            reason,
        }
        .emit(&self.metrics);
    }
}

fn requests(
    target: &Target,
    delivery: &Delivery,
    (names, reader): (&Names, Team),
    drill: Option<DrillId>,
) -> Option<Vec<Request>> {
    let request = match target {
        Target::Webhook { url, secrets } => {
            let event = CloudEvent::of(&delivery.event, names, reader).of_drill(drill);
            webhook::request((url, secrets), &delivery.id, &event, now_s())
        }
        Target::Coop { url, api_key, settings } => {
            coop::request(url, api_key, settings, alert(delivery)?, (names, reader))
        }
        Target::Ozone { url, secret, settings } => {
            return ozone::requests((url, secret), settings, delivery, (names, reader));
        }
        Target::Kafka { .. } | Target::Osprey { .. } | Target::Email { .. } => None,
    };
    Some(vec![request?])
}

fn alert(delivery: &Delivery) -> Option<&Alert> {
    match &delivery.event {
        DeliveryEvent::Alert(alert) => Some(alert),
        DeliveryEvent::Decision(_)
        | DeliveryEvent::Members(_)
        | DeliveryEvent::Appeal(_)
        | DeliveryEvent::Unconfirmed(_)
        | DeliveryEvent::Reported(_)
        | DeliveryEvent::Notice(_)
        | DeliveryEvent::Incident(_) => None,
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

fn tried(target: &Target, answer: Answer) -> Tried {
    match answer {
        Answer::Status { code: 400, refusal, .. }
            if matches!(target, Target::Ozone { .. }) && stands_already(&refusal) =>
        {
            Tried::Delivered
        }
        Answer::Status { code: 200..=299, .. } => Tried::Delivered,
        Answer::Status { code: 410, .. } => Tried::Gone,
        Answer::Status { code, retry_after, .. } => Tried::Failed(format!("status_{code}"), retry_after),
        Answer::None(reason) => Tried::Failed(reason.to_owned(), None),
    }
}

fn outcome(delivery: &Delivery, tried: Tried) -> DeliveryOutcome {
    match tried {
        Tried::Delivered => DeliveryOutcome::Delivered,
        Tried::Gone => {
            let reason = "gone".to_owned();
            DeliveryOutcome::Dead { reason }
        }
        Tried::Refused(reason) => DeliveryOutcome::Dead { reason },
        Tried::Failed(reason, retry_after) => match backoff::wait_after(delivery.attempt, &delivery.id, retry_after) {
            Some(after) => DeliveryOutcome::Retry { after, reason },
            None => DeliveryOutcome::Dead { reason },
        },
    }
}
