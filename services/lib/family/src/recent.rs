use std::collections::{HashMap, VecDeque};

use tocsin_model::{ContentId, Milliseconds, PartyId, Sharing, Timestamp};

use crate::names::{Name, Names};
use crate::pdq::{Found, Lookup, Pdq, PdqIndex, Slot};

/// How much the finder remembers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a content's further hashes and PDQ hashes are remembered: two hours by default.
    pub remembered: Milliseconds,
    /// The most contents with further hashes or PDQ hashes remembered.
    pub contents_max: usize,
    /// The most hashes of announced contents, over all classes; a PDQ hash counts twice, since it is looked for in two ways.
    pub announced_max: usize,
    /// The most links remembered, so that they are not said again at once.
    pub links_max: usize,
    /// The most links that one party may assert in an hour: by its word alone (`same_as`), or of announced contents, by hashes that it names
    /// together. A crisis has some thousand variants.
    pub party_links_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            remembered: Milliseconds::from_hours(2),
            contents_max: 200_000,
            announced_max: 1_000_000,
            links_max: 200_000,
            party_links_max: 4_096,
        }
    }
}

/// A content that was seen with further hashes, or with PDQ hashes.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// The content, by its strongest hash.
    pub(crate) own: Name,
    pub(crate) further: Vec<Name>,
    pub(crate) party: PartyId,
    pub(crate) sharing: Sharing,
    pub(crate) at: Timestamp,
}

/// The contents with further hashes or PDQ hashes of the last hours, by each of their hashes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Each with where its PDQ hashes stand.
    by_arrival: VecDeque<(Remembered, Vec<Slot>)>,
    by_pdq: PdqIndex<u64>,
    lookup: Lookup,
    near: Vec<Found<u64>>,
    first_number: u64,
    /// Ascending: the oldest first.
    by_hash: HashMap<ContentId, VecDeque<u64>>,
    /// The latest entries of a content of one party and sharing, ascending.
    latest: HashMap<(ContentId, PartyId, Sharing), VecDeque<u64>>,
    forgotten_early: u64,
}

impl Recent {
    /// What is too old goes, or too much for one more.
    pub(crate) fn make_room(&mut self, now: Timestamp, limits: &Limits) {
        while let Some((oldest, _)) = self.by_arrival.front() {
            let expired = now - oldest.at > limits.remembered;
            if !expired && self.by_arrival.len() < limits.contents_max {
                break;
            }
            self.forgotten_early += u64::from(!expired);
            self.forget_oldest();
        }
    }

    /// Remembers a content.
    pub(crate) fn add(&mut self, entry: Remembered) {
        let number = self.first_number + self.by_arrival.len() as u64;
        for name in entry.names() {
            self.by_hash.entry(name.id).or_default().push_back(number);
        }
        let latest = self.latest.entry(entry.whose()).or_default();
        if latest.len() == LATEST_MAX {
            latest.pop_front();
        }
        latest.push_back(number);
        // There is always room: an event has 16 hashes at most.
        let inserted = entry.pdqs().map(|pdq| self.by_pdq.insert(*pdq, number));
        let slots = inserted.filter_map(Result::ok).collect();
        self.by_arrival.push_back((entry, slots));
    }

    /// The names of an entry that none of the latest ones says which stay for half the time at least; `None` where one says them all: of a
    /// content that spreads one entry is enough.
    pub(crate) fn new_names(&self, entry: &Remembered, limits: &Limits) -> Option<Names> {
        let numbers = self.latest.get(&entry.whose()).into_iter().flatten();
        let latest = numbers.filter_map(|number| self.entry(*number));
        let latest = latest.filter(|latest| (entry.at - latest.at).0 <= limits.remembered.0 / 2);
        let is_same = |latest: &Remembered| latest.further == entry.further;
        if latest.clone().any(is_same) {
            return None;
        }
        let mut said = Names::default();
        for latest in latest {
            said.add(latest.names());
        }
        Some(said.add(entry.names()))
    }

    /// Of the contents remembered near a PDQ hash, those that are wanted: the nearest `most`, with their distances.
    pub(crate) fn near(
        &mut self,
        pdq: &Pdq,
        most: usize,
        wanted: impl Fn(&Remembered) -> bool,
    ) -> impl Iterator<Item = (u32, &Remembered)> {
        let (lookup, mut near) = (&mut self.lookup, std::mem::take(&mut self.near));
        let (by_arrival, first_number) = (&self.by_arrival, self.first_number);
        let is_wanted = |number: &u64| entry(by_arrival, first_number, *number).is_some_and(&wanted);
        self.by_pdq.near(pdq, most, is_wanted, lookup, &mut near);
        self.near = near;
        self.near
            .iter()
            .filter_map(|found| Some((found.distance, self.entry(found.value)?)))
    }

    /// The contents remembered under a hash, in order of arrival.
    pub(crate) fn with_hash(&self, hash: ContentId) -> impl DoubleEndedIterator<Item = &Remembered> {
        let numbers = self.by_hash.get(&hash).into_iter().flatten();
        numbers.filter_map(|number| self.entry(*number))
    }

    fn entry(&self, number: u64) -> Option<&Remembered> {
        entry(&self.by_arrival, self.first_number, number)
    }

    pub(crate) fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }

    fn forget_oldest(&mut self) {
        let Some((entry, slots)) = self.by_arrival.pop_front() else {
            return;
        };
        let number = self.first_number;
        self.first_number += 1;
        for slot in slots {
            self.by_pdq.remove(slot);
        }
        if let Some(latest) = self.latest.get_mut(&entry.whose()) {
            latest.pop_front_if(|oldest| *oldest == number);
            if latest.is_empty() {
                self.latest.remove(&entry.whose());
            }
        }
        for name in entry.names() {
            if let Some(numbers) = self.by_hash.get_mut(&name.id) {
                numbers.pop_front_if(|oldest| *oldest == number);
                if numbers.is_empty() {
                    self.by_hash.remove(&name.id);
                }
            }
        }
    }
}

/// Of a content of one party and sharing so many entries are looked at for what is new.
const LATEST_MAX: usize = 4;

fn entry(by_arrival: &VecDeque<(Remembered, Vec<Slot>)>, first_number: u64, number: u64) -> Option<&Remembered> {
    let place = usize::try_from(number.checked_sub(first_number)?).ok()?;
    by_arrival.get(place).map(|(entry, _)| entry)
}

impl Remembered {
    pub(crate) fn content(&self) -> ContentId {
        self.own.id
    }

    /// All its hashes, the strongest first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        [&self.own].into_iter().chain(&self.further)
    }

    pub(crate) fn pdqs(&self) -> impl Iterator<Item = &Pdq> {
        self.names().filter_map(|name| name.pdq.as_ref())
    }

    pub(crate) fn whose(&self) -> (ContentId, PartyId, Sharing) {
        (self.content(), self.party, self.sharing)
    }
}
