//! What is to run and when it is over: intakes until the traffic is in the log, detectors and a replica that start again whenever they
//! end, then a quiet time in which everything comes to its end. Of a second act (see [`crate::anew`]): detectors until all have refused.

use std::collections::BTreeMap;

use tocsin_log::{Append, TopicPartition};
use tocsin_model::Timestamp;
use tocsin_runtime::Shutdown;
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::{SightingsRecord, TickTime, topics};

use crate::anew::Anew;
use crate::broker::{Broker, ProcessId};
use crate::process::Outcome;
use crate::world::{Faults, State};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A detector, by its number.
    Detector(usize),
    /// An intake, by its number.
    Intake(usize),
    /// A read replica.
    Replica,
}

/// A process that is to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its id.
    pub process: ProcessId,
    /// Its name in traces.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Asks it to stop.
    pub shutdown: Shutdown,
    slot: usize,
}

/// Where a history stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Faults are in force.
    #[default]
    Disturbed,
    /// No more faults; ticks bring what is due, as many as are left.
    Closing(usize),
    /// Detectors are asked to stop.
    Ending,
    /// Of the second act: detectors run, or are about to, for so many steps.
    Reopened(u64),
    /// A topic was made anew: all detectors are to end.
    Anew,
}

/// A place for one process at a time.
#[derive(Debug)]
struct Slot {
    role: Role,
    running: Option<(ProcessId, Shutdown)>,
    starts_at_ms: Option<u64>,
    lives: u32,
    /// How often an intake begins at its beginning again, and whether it does so with its next start.
    feeds_left: u32,
    begins_again: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Director {
    slots: Vec<Slot>,
    phase: Phase,
    next_process: ProcessId,
    /// How long faults go on once everything is in the log.
    disturbed_steps_left: u64,
    /// Times of the closing ticks, last first.
    closing: Vec<Timestamp>,
    /// What stood when the detectors were last seen at rest, and how often each polled since.
    at_rest: Option<(Vec<u64>, BTreeMap<ProcessId, u32>)>,
    second_act: Option<Anew>,
    /// The id of the first process that starts after the topic was made anew.
    first_after_anew: Option<ProcessId>,
    /// Since when everything stands in it that comes.
    fed_at_ms: Option<u64>,
}

/// A detector that polled so often and found nothing has nothing left to do.
const POLLS_AT_REST: u32 = 4;

/// How often an intake appends what it has to a topic that was made anew: more than stood in the one before.
const FEEDS: u32 = 3;
/// How long detectors may go on once all of that stands there. They look each second, may be stopped for two sessions, and wait for partitions of
/// those that have ended.
const REFUSED_WITHIN_MS: u64 = 120_000;

impl Director {
    /// So many detectors and intakes, and a replica.
    pub fn new(detectors: usize, intakes: usize, disturbed_steps: u64, closing: Vec<Timestamp>) -> Director {
        let roles = (0..intakes)
            .map(Role::Intake)
            .chain((0..detectors).map(Role::Detector))
            .chain([Role::Replica]);
        let slot = |role| Slot {
            role,
            running: None,
            starts_at_ms: Some(0),
            lives: 0,
            feeds_left: 0,
            begins_again: false,
        };
        Director {
            slots: roles.map(slot).collect(),
            next_process: 1,
            disturbed_steps_left: disturbed_steps,
            closing,
            ..Director::default()
        }
    }

    /// When the next process starts.
    pub fn next_start_ms(&self) -> Option<u64> {
        self.slots.iter().filter_map(|slot| slot.starts_at_ms).min()
    }

    /// Whether the replica may stop at the end of the log.
    pub fn is_ending(&self) -> bool {
        let is_detector = |slot: &&Slot| matches!(slot.role, Role::Detector(_));
        let mut detectors = self.slots.iter().filter(is_detector);
        self.phase == Phase::Ending && detectors.all(|slot| slot.running.is_none())
    }

    /// Begins the second act.
    pub fn reopen(&mut self, anew: Anew, now_ms: u64) {
        self.phase = Phase::Reopened(anew.steps_before);
        self.second_act = Some(anew);
        for slot in &mut self.slots {
            slot.starts_at_ms = (slot.role != Role::Replica).then_some(now_ms);
            slot.begins_again = matches!(slot.role, Role::Intake(_));
            slot.feeds_left = if slot.begins_again { FEEDS } else { 0 };
        }
    }

    /// Whether it began.
    pub fn is_second_act(&self) -> bool {
        self.second_act.is_some()
    }

    /// The id of the first process that started after a topic was made anew, if one was.
    pub fn first_after_anew(&self) -> Option<ProcessId> {
        self.first_after_anew
    }

    /// Whether a detector may end with this code now.
    pub fn expects(&self, code: &str) -> bool {
        let anew = self.second_act.filter(|_| self.first_after_anew.is_some());
        anew.is_some_and(|anew| anew.codes().contains(&code))
    }

    /// Whether no intake runs, or will.
    fn is_fed(&self) -> bool {
        let is_in = |slot: &Slot| slot.running.is_none() && slot.starts_at_ms.is_none();
        let is_intake = |slot: &&Slot| matches!(slot.role, Role::Intake(_));
        self.slots.iter().filter(is_intake).all(is_in)
    }

    /// Moves the history on, and tells who starts now.
    pub(crate) fn direct(&mut self, state: &mut State, now_ms: u64) -> Vec<Start> {
        let intakes_done = self.is_fed();
        match self.phase {
            Phase::Disturbed if intakes_done && self.disturbed_steps_left == 0 => {
                state.faults = Faults::NONE;
                self.phase = Phase::Closing(self.closing.len());
                state.note(0, || "no more faults".to_owned());
            }
            Phase::Disturbed if intakes_done => self.disturbed_steps_left -= 1,
            Phase::Closing(left) if self.is_at_rest() => {
                self.at_rest = None;
                match self.closing.pop() {
                    Some(at) => {
                        tick_all(&mut state.broker, at, now_ms as i64);
                        self.phase = Phase::Closing(left - 1);
                        state.note(0, || format!("closing tick at {at:?}"));
                    }
                    None => {
                        self.phase = Phase::Ending;
                        state.note(0, || "all are asked to stop".to_owned());
                        for (_, shutdown) in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
                            shutdown.request();
                        }
                    }
                }
            }
            Phase::Reopened(0) => {
                self.phase = Phase::Anew;
                self.first_after_anew = Some(self.next_process);
                if let Some(Anew { topic, .. }) = self.second_act {
                    state.broker.make_anew(topic);
                    state.note(0, || format!("{topic} is deleted and made anew"));
                }
            }
            Phase::Reopened(left) => self.phase = Phase::Reopened(left - 1),
            Phase::Anew if intakes_done => {
                let since = *self.fed_at_ms.get_or_insert(now_ms);
                state.faults = Faults::NONE;
                if now_ms > since + REFUSED_WITHIN_MS {
                    self.phase = Phase::Ending;
                    for slot in &mut self.slots {
                        slot.starts_at_ms = None;
                        if let Some((process, shutdown)) = &slot.running {
                            state
                                .violations
                                .push(format!("process {process} goes on with a topic that was made anew"));
                            shutdown.request();
                        }
                    }
                }
            }
            Phase::Disturbed | Phase::Closing(_) | Phase::Ending | Phase::Anew => {}
        }
        let mut starts = Vec::new();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.starts_at_ms.is_none_or(|at| at > now_ms) {
                continue;
            }
            slot.starts_at_ms = None;
            slot.lives += 1;
            if std::mem::take(&mut slot.begins_again) {
                state.taken_in.clear();
            }
            let start = Start {
                process: self.next_process,
                name: format!("{}.{}", name(slot.role), slot.lives),
                role: slot.role,
                shutdown: Shutdown::new(),
                slot: number,
            };
            self.next_process += 1;
            slot.running = Some((start.process, start.shutdown.clone()));
            starts.push(start);
        }
        starts
    }

    /// A process ended; it starts again at `again_at_ms` if there is more to do. Tells what is wrong with how it ended.
    pub(crate) fn ended(&mut self, start: &Start, outcome: Outcome, again_at_ms: u64) -> Option<String> {
        let is_fed = self.is_fed();
        let slot = &mut self.slots[start.slot];
        slot.running = None;
        let goes_on = match start.role {
            // Who has refused when everything stands there refuses again and again.
            Role::Detector(_) => self.phase != Phase::Ending && !(is_fed && matches!(outcome, Outcome::Refused(_))),
            Role::Intake(_) if slot.feeds_left > 0 && outcome == Outcome::Done => {
                slot.feeds_left -= 1;
                slot.begins_again = true;
                true
            }
            Role::Intake(_) | Role::Replica => outcome != Outcome::Done,
        };
        slot.starts_at_ms = goes_on.then_some(again_at_ms);
        match outcome {
            Outcome::Wrong(wrong) => {
                // It would end so again and again.
                slot.starts_at_ms = None;
                Some(format!("{}: {wrong}", start.name))
            }
            Outcome::Done | Outcome::Crashed | Outcome::Failed(_) | Outcome::Refused(_) => None,
        }
    }

    /// A detector polls.
    pub(crate) fn polled(&mut self, broker: &Broker, process: ProcessId) {
        if !matches!(self.phase, Phase::Closing(_)) {
            return;
        }
        let standing = standing(broker);
        match &mut self.at_rest {
            Some((at, polls)) if Some(&*at) == standing.as_ref() => *polls.entry(process).or_insert(0) += 1,
            at_rest => *at_rest = standing.map(|standing| (standing, BTreeMap::new())),
        }
    }

    fn is_at_rest(&self) -> bool {
        let Some((_, polls)) = &self.at_rest else { return false };
        let mut detectors = self.slots.iter().filter(|slot| matches!(slot.role, Role::Detector(_)));
        detectors.all(|slot| {
            let running = slot.running.as_ref();
            running.is_some_and(|(process, _)| polls.get(process).is_some_and(|polls| *polls >= POLLS_AT_REST))
        })
    }
}

fn name(role: Role) -> String {
    match role {
        Role::Detector(number) => format!("detector-{number}"),
        Role::Intake(number) => format!("intake-{number}"),
        Role::Replica => "replica".to_owned(),
    }
}

/// The ends of all partitions of sightings, if every header is level with its partition and nothing is open.
fn standing(broker: &Broker) -> Option<Vec<u64>> {
    if broker.has_open() {
        return None;
    }
    let places = broker.places(topics::SIGHTINGS).into_iter();
    places
        .map(|place| {
            let end = broker.end(&place);
            let header = newest_header(broker, place.partition);
            (end == 0 || header.is_some_and(|header| header.next_offset == end)).then_some(end)
        })
        .collect()
}

/// The newest committed header of a partition.
pub fn newest_header(broker: &Broker, number: u32) -> Option<StateHeader> {
    let state = TopicPartition::new(topics::STATE, number);
    let entries = broker.committed(&state);
    let of_header = |key: &[u8]| matches!(StateKey::from_bytes(key), Some(StateKey::Header { .. }));
    let header = entries
        .iter()
        .rev()
        .find(|entry| entry.record.key.as_deref().is_some_and(of_header))?;
    let record = StateRecord::decode(header.record.value.as_deref()?).ok()?;
    StateHeader::decode(&record.body).ok()
}

fn tick_all(broker: &mut Broker, at: Timestamp, now_ms: i64) {
    for to in broker.places(topics::SIGHTINGS) {
        let tick = Append {
            to,
            key: None,
            value: Some(SightingsRecord::Tick(TickTime::At(at)).encode().into()),
            headers: Vec::new(),
        };
        broker.append(&tick, None, now_ms);
    }
}
