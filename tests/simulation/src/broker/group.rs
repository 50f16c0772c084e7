use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_log::TopicPartition;

use super::ProcessId;

/// The group of the detectors: cooperative, so a partition is given to its next owner when the one before has let it go or is out of the
/// group. Members have names: who comes back under a name takes the place of who had it.
#[derive(Debug)]
pub struct Group {
    partitions: Vec<TopicPartition>,
    members: BTreeMap<ProcessId, Member>,
    owners: BTreeMap<TopicPartition, ProcessId>,
    /// A rebalance waits until every member has answered.
    is_pending: bool,
    generation: u64,
    /// How often each partition was given to somebody.
    epochs: BTreeMap<TopicPartition, u64>,
}

#[derive(Debug, Default)]
struct Member {
    name: String,
    changes: VecDeque<Change>,
    /// What it was shown as revoked and lets go at its next poll.
    leaving: Vec<TopicPartition>,
    /// The partitions it may think its own, and the epoch in which it got each.
    held: BTreeMap<TopicPartition, u64>,
    /// Revoked and not let go yet.
    asked_for: BTreeSet<TopicPartition>,
    /// Out of the group: its session ended while it was away, or another came under its name.
    is_out: bool,
    /// Another came under its name: it never comes in again.
    is_replaced: bool,
    heard_at_ms: u64,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These are its own now.
    Assigned(Vec<TopicPartition>),
    /// These go.
    Revoked(Vec<TopicPartition>),
}

/// How long a member may be silent.
pub const SESSION_MS: u64 = 600;
/// How many owned partitions stay where they are when all are dealt out anew, on average.
const STICKY: f64 = 0.6;

impl Group {
    pub(super) fn new(partitions: Vec<TopicPartition>) -> Group {
        Group {
            partitions,
            members: BTreeMap::new(),
            owners: BTreeMap::new(),
            is_pending: false,
            generation: 0,
            epochs: BTreeMap::new(),
        }
    }

    /// A process joins under a name. If that name's last member is still inside, its partitions are the newcomer's at once.
    pub fn join(&mut self, process: ProcessId, name: &str, now_ms: u64) {
        let mut member = Member {
            name: name.to_owned(),
            heard_at_ms: now_ms,
            ..Member::default()
        };
        let mut inside = self
            .members
            .iter_mut()
            .filter(|(_, other)| !other.is_out && other.name == name);
        let before = inside.next().map(|(before, other)| {
            (other.is_out, other.is_replaced) = (true, true);
            *before
        });
        match before {
            None => self.is_pending = true,
            Some(before) => {
                let inherited: Vec<TopicPartition> = self
                    .owners
                    .iter()
                    .filter(|(_, owner)| **owner == before)
                    .map(|(place, _)| place.clone())
                    .collect();
                for place in &inherited {
                    self.give(place, process, &mut member);
                }
                if !inherited.is_empty() {
                    member.changes.push_back(Change::Assigned(inherited));
                }
            }
        }
        self.members.insert(process, member);
    }

    fn give(&mut self, place: &TopicPartition, process: ProcessId, member: &mut Member) {
        self.owners.insert(place.clone(), process);
        let epoch = self.epochs.entry(place.clone()).or_insert(0);
        *epoch += 1;
        member.held.insert(place.clone(), *epoch);
    }

    /// Puts out whoever was silent for too long. Tells whom.
    pub fn expire(&mut self, now_ms: u64) -> Vec<ProcessId> {
        let mut out = Vec::new();
        for (process, member) in &mut self.members {
            if !member.is_out && member.heard_at_ms + SESSION_MS < now_ms {
                member.is_out = true;
                out.push(*process);
            }
        }
        self.owners.retain(|_, owner| !out.contains(owner));
        self.is_pending |= !out.is_empty();
        out
    }

    /// A process is alive: its client's own thread says so while it is not stopped as a whole.
    pub fn heard(&mut self, process: ProcessId, now_ms: u64) {
        if let Some(member) = self.members.get_mut(&process) {
            member.heard_at_ms = now_ms;
        }
    }

    /// Something calls for a rebalance.
    pub fn disturb(&mut self) {
        self.is_pending = true;
    }

    /// Ends a rebalance once every member has been heard by now: a new generation, in which some partitions are to move and those that are
    /// free are given. Tells whether it did.
    pub fn rebalance(&mut self, now_ms: u64, random: &mut SmallRng) -> bool {
        let inside = self.members.iter().filter(|(_, member)| !member.is_out);
        let inside: Vec<(ProcessId, u64)> = inside.map(|(process, member)| (*process, member.heard_at_ms)).collect();
        let is_complete = inside.iter().all(|(_, heard_at_ms)| *heard_at_ms == now_ms);
        if !self.is_pending || !is_complete || inside.is_empty() {
            return false;
        }
        self.is_pending = false;
        self.generation += 1;
        let mut assigned: BTreeMap<ProcessId, Vec<TopicPartition>> = BTreeMap::new();
        let mut revoked: BTreeMap<ProcessId, Vec<TopicPartition>> = BTreeMap::new();
        for place in self.partitions.clone() {
            let target = inside[random.random_range(0..inside.len())].0;
            match self.owners.get(&place).copied() {
                Some(owner) if owner == target || random.random_bool(STICKY) => {}
                Some(owner) => {
                    let member = self.members.get_mut(&owner).expect("an owner is a member");
                    if member.asked_for.insert(place.clone()) {
                        revoked.entry(owner).or_default().push(place);
                    }
                }
                None => {
                    let mut member = self.members.remove(&target).expect("a target is a member");
                    self.give(&place, target, &mut member);
                    self.members.insert(target, member);
                    assigned.entry(target).or_default().push(place);
                }
            }
        }
        let revoked = revoked
            .into_iter()
            .map(|(process, places)| (process, Change::Revoked(places)));
        let assigned = assigned
            .into_iter()
            .map(|(process, places)| (process, Change::Assigned(places)));
        for (process, change) in revoked.chain(assigned) {
            let member = self.members.get_mut(&process).expect("only members are told");
            member.changes.push_back(change);
        }
        true
    }

    /// A poll: what was shown as revoked goes, and the next change is told.
    pub fn poll(&mut self, process: ProcessId) -> Option<Change> {
        let member = self.members.get_mut(&process)?;
        if member.is_out {
            let lost: Vec<TopicPartition> = std::mem::take(&mut member.held).into_keys().collect();
            if !lost.is_empty() {
                return Some(Change::Revoked(lost));
            }
            // What was lost has been let go: it comes in anew.
            let (name, heard_at_ms) = (std::mem::take(&mut member.name), member.heard_at_ms);
            self.members.remove(&process);
            self.join(process, &name, heard_at_ms);
            return None;
        }
        for place in std::mem::take(&mut member.leaving) {
            member.held.remove(&place);
            member.asked_for.remove(&place);
            self.owners.remove(&place);
            self.is_pending = true;
        }
        let change = member.changes.pop_front();
        if let Some(Change::Revoked(places)) = &change {
            member.leaving.extend(places.iter().cloned());
        }
        change
    }

    /// The generation a member shows: its client takes part in rebalances by itself. `None` for one that is out.
    pub fn generation_of(&self, process: ProcessId) -> Option<u64> {
        self.is_inside(process).then_some(self.generation)
    }

    /// Whether another process came under the name of this one.
    pub fn is_replaced(&self, process: ProcessId) -> bool {
        self.members.get(&process).is_some_and(|member| member.is_replaced)
    }

    /// Whether a process is a member.
    pub fn is_inside(&self, process: ProcessId) -> bool {
        self.members.get(&process).is_some_and(|member| !member.is_out)
    }

    /// Whether the coordinator takes positions that show this generation.
    pub fn accepts(&self, process: ProcessId, generation: u64) -> bool {
        self.is_inside(process) && generation == self.generation
    }

    /// The epoch in which a process got a partition.
    pub fn epoch_held(&self, process: ProcessId, place: &TopicPartition) -> Option<u64> {
        self.members.get(&process)?.held.get(place).copied()
    }

    /// The newest epoch of a partition.
    pub fn epoch(&self, place: &TopicPartition) -> u64 {
        self.epochs.get(place).copied().unwrap_or(0)
    }
}
