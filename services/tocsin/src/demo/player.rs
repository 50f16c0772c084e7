use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tocsin_loadtest::scenario::{DemoPlan, Generated};
use tocsin_model::{Event, Name, Timestamp};

use super::stage::Stage;
use crate::client::Source;
use crate::replay::{Gateway, first_refusal, now};
use tocsin_wire::document::HashText;

/// Publishes the plan's events when they are due, each party its own, and counts them.
pub struct Player {
    events: Vec<Generated>,
    gateways: BTreeMap<Name, Gateway>,
    crisis: BTreeSet<HashText>,
    start: Timestamp,
    /// Seconds of the plan that pass in a second.
    factor: f64,
    /// How long it plays.
    pub lasts: Duration,
    began: OnceLock<Instant>,
    tally: Mutex<Tally>,
}

/// What was published so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events the gateway took.
    pub taken: u64,
    /// Events it refused.
    pub refused: u64,
    /// Why the first of them.
    pub first_refusal: Option<String>,
    /// Events by platform and second of the demo.
    pub by_second: BTreeMap<String, Vec<u64>>,
    /// When the first copy of the crisis was published.
    pub crisis_began: Option<Instant>,
    /// Copies of the crisis, without reports of it.
    pub crisis_copies: u64,
}

/// Events that are due within this time go in one request.
const TOGETHER: Duration = Duration::from_millis(100);

impl Player {
    pub fn new(plan: &DemoPlan, lasts: Option<Duration>, stage: &Stage) -> Result<Player> {
        let planned = Duration::from_millis(plan.scenario.duration.0.unsigned_abs());
        let lasts = lasts.unwrap_or(planned);
        let events: Vec<Generated> = plan.events().collect();
        let of_crisis = events.iter().filter(|generated| generated.truth.is_some());
        let crisis = of_crisis
            .flat_map(|generated| &generated.event.content)
            .map(|hash| HashText {
                algorithm: hash.algorithm().name().to_owned(),
                value: hash.value_text(),
            });
        let gateways = stage.publishers.iter();
        let gateways =
            gateways.map(|(name, key)| Ok((name.clone(), Gateway::new(&Source::with_key(&stage.url, key))?)));
        Ok(Player {
            crisis: crisis.collect(),
            gateways: gateways.collect::<Result<_>>()?,
            events,
            start: plan.scenario.start,
            factor: planned.as_secs_f64() / lasts.as_secs_f64(),
            lasts,
            began: OnceLock::new(),
            tally: Mutex::default(),
        })
    }

    /// Publishes everything; ends when the last event is taken.
    pub async fn play(&self) -> Result<()> {
        let began = *self.began.get_or_init(Instant::now);
        let start_now = now();
        let mut rest = &self.events[..];
        while let Some(first) = rest.first() {
            if let Some(wait) = self.due(first.received_at).checked_sub(began.elapsed()) {
                tokio::time::sleep(wait).await;
            }
            let until = began.elapsed() + TOGETHER;
            let ready = rest.partition_point(|generated| self.due(generated.received_at) < until);
            let (batch, later) = rest.split_at(ready.max(1));
            self.publish(batch, began, start_now).await?;
            rest = later;
        }
        // The plan ends with its time, not with its last event.
        tokio::time::sleep(self.lasts.saturating_sub(began.elapsed())).await;
        Ok(())
    }

    /// How long it has been playing.
    pub fn elapsed(&self) -> Duration {
        self.began.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// A time of the plan, as long as it takes here.
    pub fn scaled(&self, planned: Duration) -> Duration {
        planned.div_f64(self.factor)
    }

    /// Whether a content belongs to the crisis, as the plan labels it.
    pub fn is_crisis(&self, hash: &HashText) -> bool {
        self.crisis.contains(hash)
    }

    /// The platforms that publish.
    pub fn platforms(&self) -> BTreeSet<String> {
        let names = self.events.iter().map(|generated| generated.event.platform.to_string());
        names.collect()
    }

    /// What was published so far.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn publish(&self, batch: &[Generated], began: Instant, start_now: Timestamp) -> Result<()> {
        let mut by_party: BTreeMap<&Name, Vec<Event>> = BTreeMap::new();
        for generated in batch {
            let mut event = generated.event.clone();
            let since_start_ms = (event.occurred_at - self.start).0 as f64 / self.factor;
            event.occurred_at = Timestamp(start_now.0 + since_start_ms as i64);
            by_party.entry(&generated.party).or_default().push(event);
        }
        for (party, events) in &by_party {
            let gateway = self
                .gateways
                .get(*party)
                .context("the stage has every party of the plan")?;
            let answer = gateway.publish(events).await?;
            let count = |name: &str| answer[name].as_u64().unwrap_or(0);
            let mut tally = self.tally();
            tally.taken += count("accepted") + count("duplicates");
            tally.refused += count("rejected");
            tally.first_refusal = tally.first_refusal.take().or_else(|| first_refusal(&answer));
        }
        self.tally().count(batch, began.elapsed());
        Ok(())
    }

    fn due(&self, at: Timestamp) -> Duration {
        let planned_ms = (at - self.start).0.max(0).unsigned_abs();
        Duration::from_millis(planned_ms).div_f64(self.factor)
    }
}

impl Tally {
    fn count(&mut self, batch: &[Generated], at: Duration) {
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        for generated in batch {
            let counts = self.by_second.entry(generated.event.platform.to_string()).or_default();
            if counts.len() <= second {
                counts.resize(second + 1, 0);
            }
            counts[second] += 1;
            if generated.truth.is_some() && generated.event.kind.is_spread() {
                self.crisis_began.get_or_insert_with(Instant::now);
                self.crisis_copies += 1;
            }
        }
    }
}
