//! Publishes a scenario when its events are due, each party its own, whether anybody keeps up or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tocsin_loadtest::scenario::{Generated, Scenario, ScenarioConfig};
use tocsin_model::{Event, EventId, Name, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cast::Cast;
use super::lasts;
use super::truth::Truth;
use crate::client::Source;
use crate::replay::{Gateway, first_refusal, now};

/// The most events that a drill publishes in a second. What is due beyond comes later.
pub const EVENTS_PER_SECOND_MAX: u32 = 2_000;

/// Events that are due within this time go in one request.
const TOGETHER: Duration = Duration::from_millis(100);
/// The most events of one request.
const BATCH_MAX: usize = EVENTS_PER_SECOND_MAX as usize / 10;
/// Batches that wait for a party's gateway.
const WAITING_MAX: usize = 16;

/// Plays one scenario once.
pub(super) struct Player {
    scenario: ScenarioConfig,
    speed: f64,
    gateways: BTreeMap<Name, Gateway>,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    truth: Truth,
    /// The crises' events: what is sent a second time is no second copy. Bounded by the scenario.
    of_crises: BTreeSet<EventId>,
}

impl Player {
    pub(super) fn new(scenario: ScenarioConfig, speed: f64, (url, cast): (&str, &Cast)) -> Result<Player> {
        let gateways = cast.publishers.iter();
        let gateways = gateways.map(|publisher| {
            Ok((
                publisher.plays.clone(),
                Gateway::new(&Source::with_key(url, &publisher.key))?,
            ))
        });
        Ok(Player {
            gateways: gateways.collect::<Result<_>>()?,
            scenario,
            speed,
            written: Mutex::default(),
        })
    }

    /// What was published until now.
    pub(super) fn truth(&self) -> Truth {
        self.locked().truth.clone()
    }

    /// Publishes everything, and ends with the scenario's time.
    pub(super) async fn play(self: std::sync::Arc<Self>) -> Result<()> {
        let (began, start_now) = (Instant::now(), now());
        self.locked().truth.began_at_ms = start_now.0;
        let mut senders: BTreeMap<Name, mpsc::Sender<Vec<Event>>> = BTreeMap::new();
        let mut sending = JoinSet::new();
        for party in self.gateways.keys() {
            let (sender, batches) = mpsc::channel(WAITING_MAX);
            senders.insert(party.clone(), sender);
            sending.spawn(std::sync::Arc::clone(&self).send(party.clone(), batches));
        }
        let mut events = Scenario::new(&self.scenario).peekable();
        while let Some(first) = events.peek() {
            if let Some(wait) = self.due(first.received_at).checked_sub(began.elapsed()) {
                tokio::time::sleep(wait).await;
            }
            let until = began.elapsed() + TOGETHER;
            let mut batch: Vec<Generated> = Vec::new();
            while batch.len() < BATCH_MAX
                && let Some(generated) = events.next_if(|generated| self.due(generated.received_at) < until)
            {
                batch.push(generated);
            }
            let is_full = batch.len() == BATCH_MAX;
            if !self.hand_over(batch, &senders, (began, start_now)).await? {
                break;
            }
            if is_full {
                // No more than the limit, however far behind it is.
                tokio::time::sleep(until.saturating_sub(began.elapsed())).await;
            }
        }
        drop(senders);
        while let Some(sent) = sending.join_next().await {
            sent.context("a sender ends by itself")??;
        }
        // A scenario ends with its time, not with its last event.
        tokio::time::sleep(lasts(&self.scenario, self.speed).saturating_sub(began.elapsed())).await;
        Ok(())
    }

    /// Writes down what is published, and gives it to the parties' senders; waits where a gateway takes nothing. `false`: a sender ended, and says why when
    /// it is joined.
    async fn hand_over(
        &self,
        batch: Vec<Generated>,
        senders: &BTreeMap<Name, mpsc::Sender<Vec<Event>>>,
        (began, start_now): (Instant, Timestamp),
    ) -> Result<bool> {
        let mut by_party: BTreeMap<Name, Vec<Event>> = BTreeMap::new();
        {
            let mut written = self.locked();
            let Written { truth, of_crises } = &mut *written;
            for generated in batch {
                let late = began.elapsed().saturating_sub(self.due(generated.received_at));
                let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                truth.progress.behind_ms_max = truth.progress.behind_ms_max.max(late_ms);
                if generated.truth.is_some() && of_crises.insert(generated.event.event_id) {
                    truth.note(&generated, now().0);
                }
                let since_ms = (generated.event.occurred_at - self.scenario.start).0 as f64 / self.speed;
                let event = Event {
                    occurred_at: Timestamp(start_now.0 + since_ms as i64),
                    ..generated.event
                };
                by_party.entry(generated.party).or_default().push(event);
            }
        }
        for (party, events) in by_party {
            let sender = senders
                .get(&party)
                .context("the cast has every party of the scenario")?;
            if sender.send(events).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn send(self: std::sync::Arc<Self>, party: Name, mut batches: mpsc::Receiver<Vec<Event>>) -> Result<()> {
        let gateway = self.gateways.get(&party).context("there is one for each sender")?;
        while let Some(events) = batches.recv().await {
            let answer = gateway.publish(&events).await?;
            let count = |name: &str| answer[name].as_u64().unwrap_or(0);
            let truth = &mut self.locked().truth;
            truth.progress.published += count("accepted") + count("duplicates");
            truth.progress.refused += count("rejected");
            if truth.progress.first_refusal.is_none() {
                truth.progress.first_refusal = first_refusal(&answer);
            }
        }
        Ok(())
    }

    /// When something of the scenario is due, after it began here.
    fn due(&self, at: Timestamp) -> Duration {
        let since_ms = (at - self.scenario.start).0.max(0) as u64;
        Duration::from_millis(since_ms).div_f64(self.speed)
    }

    fn locked(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
