//! An open load: every event has a time at which it is due, whatever the path does meanwhile.

use std::time::Duration;

use anyhow::Context as _;
use tocsin_loadtest::day::{Day, DayPlan, FamilyKind, Grouping, Identity, Scale};
use tocsin_loadtest::scenario::{PartyPlan, Scenario};
use tocsin_log::TopicSpec;
use tocsin_model::{ContentHash, Event, Milliseconds, Name};

use super::corpus::{self, Framing, Run};
use super::latency::{Load, Traffic, WARM_UP};
use super::pipeline::{ingest_topics, now};

/// A marker is due this often: all its copies at once.
const MARKER_EVERY: Duration = Duration::from_millis(20);
/// The ordinary traffic of a day of a scenario: its crisis is as large at any scale.
const DAY_SCALE: Scale = Scale(0.001);

/// An event and where it goes.
#[derive(Debug)]
pub(super) struct Due {
    /// Since the load began.
    pub(super) at: Duration,
    /// Who sends it, by its place in [`Schedule::parties`].
    pub(super) party: usize,
    /// Of the party's ingest topic.
    pub(super) partition: u32,
    pub(super) event: Event,
}

/// What is due at one look.
#[derive(Debug, Default)]
pub(super) struct Lot {
    pub(super) due: Vec<Due>,
    /// Contents among them that will ring, and when their copies are due: without a time where they only have to ring.
    pub(super) markers: Vec<(ContentHash, Option<Duration>)>,
}

/// What is due when.
pub(super) struct Schedule {
    rate: f64,
    run: Run,
    whole: Duration,
    /// All parties; those before `sends_from` do not send.
    parties: Vec<PartyPlan>,
    topics: Vec<TopicSpec>,
    sends_from: usize,
    events: Box<dyn Iterator<Item = (Name, Event)>>,
    /// How many events there are: a source may have fewer than were asked for.
    ordinary: u64,
    sent: u64,
    marked: u32,
}

impl Schedule {
    pub(super) fn new(load: &Load) -> Schedule {
        let whole = WARM_UP + load.lasts;
        let ordinary = (load.rate * whole.as_secs_f64()) as u64;
        let span = Milliseconds(whole.as_millis() as i64);
        let mut scenario = corpus::ordinary(Framing::Single, load.run, ordinary, now(), span);
        let (parties, topics) = (scenario.parties.clone(), ingest_topics(&scenario));
        scenario.parties.drain(..load.parties_from);
        let events: Box<dyn Iterator<Item = (Name, Event)>> = match load.traffic {
            Traffic::Ordinary => Box::new(Scenario::new(&scenario).map(|generated| (generated.party, generated.event))),
            Traffic::Scenario(scenario, seed) => Box::new(from_its_crisis(DayPlan::new(scenario, DAY_SCALE, seed))),
        };
        Schedule {
            rate: load.rate,
            run: load.run,
            whole,
            parties,
            topics,
            sends_from: load.parties_from,
            events,
            ordinary,
            sent: 0,
            marked: 0,
        }
    }

    /// Who may send.
    pub(super) fn parties(&self) -> &[PartyPlan] {
        &self.parties
    }

    /// Events so far, markers not counted.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// What is due since the last look, at most a tenth of a second's ordinary events, so that markers that are due wait for no more.
    ///
    /// # Errors
    /// An event is of a party that does not send.
    pub(super) fn due(&mut self, since: Duration) -> anyhow::Result<Lot> {
        let mut lot = Lot::default();
        let due = (since.as_secs_f64() * self.rate) as u64;
        let ends = due.min(self.sent + (self.rate / 10.0) as u64 + 1).min(self.ordinary);
        while self.sent < ends {
            let Some((name, event)) = self.events.next() else {
                self.ordinary = self.sent;
                break;
            };
            let party = self.parties.iter().position(|party| party.name == name);
            let party = party.context("every party has a topic")?;
            let partition = (self.sent % u64::from(self.topics[party].partitions)) as u32;
            let at = Duration::from_secs_f64(self.sent as f64 / self.rate);
            lot.due.push(Due {
                at,
                party,
                partition,
                event,
            });
            self.sent += 1;
        }
        while MARKER_EVERY * self.marked <= since.min(self.whole) {
            self.mark(&mut lot);
            self.marked += 1;
        }
        Ok(lot)
    }

    /// Whether everything was due, and given out, by then.
    pub(super) fn is_over(&self, since: Duration) -> bool {
        let due = (since.as_secs_f64() * self.rate) as u64;
        since >= self.whole && self.sent >= due.min(self.ordinary)
    }

    /// Markers for every ingest partition, those of silent parties too: once they have rung, everything before them was taken.
    pub(super) fn last(&self, since: Duration) -> Lot {
        let mut lot = Lot::default();
        for party in 0..self.parties.len() {
            for partition in 0..self.topics[party].partitions {
                let place = format!("{:?} end {partition}", self.run);
                let marker = corpus::markers(&self.parties[party], &place, now()).into_iter().next();
                if let Some((hash, copies)) = marker {
                    lot.markers.push((hash, None));
                    Self::add_copies(&mut lot, since, (party, partition), copies);
                }
            }
        }
        lot
    }

    fn mark(&self, lot: &mut Lot) {
        let at = MARKER_EVERY * self.marked;
        let senders = self.parties.len() - self.sends_from;
        let party = self.sends_from + self.marked as usize % senders;
        let partition = self.marked % self.topics[party].partitions;
        let place = format!("{:?} {}", self.run, self.marked);
        let ahead = self.marked as usize % usize::from(corpus::PARTITIONS);
        let marker = corpus::markers(&self.parties[party], &place, now())
            .into_iter()
            .nth(ahead);
        if let Some((hash, copies)) = marker {
            if at >= WARM_UP {
                lot.markers.push((hash, Some(at)));
            }
            Self::add_copies(lot, at, (party, partition), copies);
        }
    }

    fn add_copies(lot: &mut Lot, at: Duration, (party, partition): (usize, u32), copies: Vec<Event>) {
        lot.due.extend(copies.into_iter().map(|event| Due {
            at,
            party,
            partition,
            event,
        }));
    }
}

/// The records of a day from the first that is about its crisis on, or from its beginning where there is none. They come as fast as the rate says,
/// so each happens when it is made, and none comes twice: a retry would have the time of the first.
fn from_its_crisis(mut plan: DayPlan) -> impl Iterator<Item = (Name, Event)> {
    plan.disorder.duplicate_share = 0.0;
    let identity = Identity::new(&plan, Grouping::Asserted);
    let has_crisis = !plan.crises.is_empty();
    let before =
        move |record: &tocsin_loadtest::day::Occurrence| has_crisis && record.family.kind() != FamilyKind::Crisis;
    Day::new(&plan).skip_while(before).map(move |record| {
        let event = Event {
            occurred_at: now(),
            ..identity.event(&record)
        };
        (identity.party(&record).clone(), event)
    })
}
