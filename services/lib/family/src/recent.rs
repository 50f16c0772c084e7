use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use tocsin_model::{Class, ContentId, Event, Milliseconds, PartyId, Sharing, Timestamp, ToldBy};

use crate::names::{Name, Names};
use crate::pdq::{Found, Lookup, Pdq, PdqIndex, Slot};
use crate::video::{Most, Video};

/// How much the finder remembers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a content's further hashes and PDQ hashes are remembered: two hours by default.
    pub remembered: Milliseconds,
    /// The most contents with further hashes or PDQ hashes remembered.
    pub contents_max: usize,
    /// The most frames of videos remembered, of all contents together.
    pub frames_max: usize,
    /// The most hashes of announced contents, over all classes; a PDQ hash counts twice, since it is looked for in two ways. Beside them a quarter as
    /// many frames of videos are held.
    pub announced_max: usize,
    /// The most links remembered, so that they are not said again at once.
    pub links_max: usize,
    /// The most links that one party may assert in an hour: by its word alone (`same_as`), or of announced contents, by hashes that it names
    /// together. A crisis has some thousand variants.
    pub party_links_max: usize,
    /// The most frames of one party's videos that are looked up in a minute. What is beyond is found by its digest alone.
    pub party_frames_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            remembered: Milliseconds::from_hours(2),
            contents_max: 200_000,
            frames_max: 500_000,
            announced_max: 1_000_000,
            links_max: 200_000,
            party_links_max: 4_096,
            party_frames_max: 131_072,
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

/// The contents with further hashes or PDQ hashes of the last hours, by each of their hashes. Where there is no room the party of most of them gives
/// way, so that one that floods pushes nobody else's out.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// By number, in order of arrival; each with where its PDQ hashes and its frames stand.
    entries: HashMap<u64, (Remembered, Places)>,
    next_number: u64,
    /// Ascending: the oldest first.
    by_party: BTreeMap<PartyId, VecDeque<u64>>,
    /// No entry is older: until it is too old none is, and nothing is looked for.
    oldest_at: Option<Timestamp>,
    by_pdq: PdqIndex<u64>,
    by_frame: PdqIndex<u64>,
    /// How many of the frames are of each party; of none that has none.
    frames: BTreeMap<PartyId, usize>,
    lookup: Lookup,
    near: Vec<Found<u64>>,
    /// Ascending: the oldest first.
    by_hash: HashMap<ContentId, VecDeque<u64>>,
    /// The latest entries of a content of one party and sharing, ascending.
    latest: HashMap<(ContentId, PartyId, Sharing), VecDeque<u64>>,
    forgotten_early: u64,
    /// How many frames were looked up.
    frames_sought: usize,
}

#[derive(Debug)]
struct Places {
    pdqs: Vec<Slot>,
    frames: Vec<Slot>,
}

impl Recent {
    /// What is too old goes, or too much for one more.
    pub(crate) fn make_room(&mut self, now: Timestamp, limits: &Limits) {
        if self.oldest_at.is_some_and(|at| now - at > limits.remembered) {
            self.forget_older(now, limits);
        }
        while self.entries.len() >= limits.contents_max {
            // Of equally many the oldest goes.
            let share = |numbers: &VecDeque<u64>| (numbers.len(), Reverse(numbers.front().copied()));
            let largest = self.by_party.iter().max_by_key(|(_, numbers)| share(numbers));
            let Some(party) = largest.map(|(party, _)| *party) else {
                break;
            };
            self.forget_early(party);
        }
        while self.by_frame.len() + Event::FRAMES_MAX > limits.frames_max {
            let largest = self
                .frames
                .iter()
                .max_by_key(|(party, count)| (**count, Reverse(**party)));
            let Some(party) = largest.map(|(party, _)| *party) else {
                break;
            };
            self.forget_early(party);
        }
    }

    fn forget_early(&mut self, party: PartyId) {
        self.forgotten_early += 1;
        self.forget_oldest(party);
        self.lower_oldest_at(self.oldest(party).map(|entry| entry.at));
    }

    /// Of each party what is too old goes, up to the first entry that is not.
    fn forget_older(&mut self, now: Timestamp, limits: &Limits) {
        let parties: Vec<PartyId> = self.by_party.keys().copied().collect();
        self.oldest_at = None;
        for party in parties {
            let is_old = |entry: &&Remembered| now - entry.at > limits.remembered;
            while self.oldest(party).filter(is_old).is_some() {
                self.forget_oldest(party);
            }
            self.lower_oldest_at(self.oldest(party).map(|entry| entry.at));
        }
    }

    fn lower_oldest_at(&mut self, at: Option<Timestamp>) {
        self.oldest_at = self.oldest_at.into_iter().chain(at).min();
    }

    /// Remembers a content.
    pub(crate) fn add(&mut self, entry: Remembered) {
        let number = self.next_number;
        self.next_number += 1;
        self.lower_oldest_at(Some(entry.at));
        self.by_party.entry(entry.party).or_default().push_back(number);
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
        let pdqs = inserted.filter_map(Result::ok).collect();
        let frames = entry.videos().flat_map(Video::frames);
        let inserted = frames.map(|frame| self.by_frame.insert(*frame, number));
        let frames: Vec<Slot> = inserted.filter_map(Result::ok).collect();
        if !frames.is_empty() {
            *self.frames.entry(entry.party).or_default() += frames.len();
        }
        self.entries.insert(number, (entry, Places { pdqs, frames }));
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
        let entries = &self.entries;
        let is_wanted = |number: &u64| entries.get(number).is_some_and(|(entry, _)| wanted(entry));
        self.by_pdq.near(pdq, most, is_wanted, lookup, &mut near);
        self.near = near;
        self.near
            .iter()
            .filter_map(|found| Some((found.distance, self.entry(found.value)?)))
    }

    /// Of the contents remembered that are the same as a video, those that are wanted, with the share of frames that agree: of those with frames near
    /// to the most of its frames [`VIDEOS_MOST`] are compared with.
    pub(crate) fn same_video(&mut self, video: &Video, wanted: impl Fn(&Remembered) -> bool) -> Vec<(u16, Remembered)> {
        self.frames_sought += video.frames().len();
        let entries = &self.entries;
        let is_wanted = |number: &u64| entries.get(number).is_some_and(|(entry, _)| wanted(entry));
        let candidates = video.candidates(&self.by_frame, VIDEOS_MOST, is_wanted, &mut self.lookup, &mut self.near);
        let same = candidates.into_iter().filter_map(|number| {
            let entry = self.entry(number)?;
            let share = entry.videos().filter_map(|other| video.same(other)).max()?;
            Some((share, entry.clone()))
        });
        same.collect()
    }

    /// The contents remembered under a hash, in order of arrival.
    pub(crate) fn with_hash(&self, hash: ContentId) -> impl DoubleEndedIterator<Item = &Remembered> {
        let numbers = self.by_hash.get(&hash).into_iter().flatten();
        numbers.filter_map(|number| self.entry(*number))
    }

    fn entry(&self, number: u64) -> Option<&Remembered> {
        self.entries.get(&number).map(|(entry, _)| entry)
    }

    /// What a party's oldest entry is.
    fn oldest(&self, party: PartyId) -> Option<&Remembered> {
        self.entry(*self.by_party.get(&party)?.front()?)
    }

    pub(crate) fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }

    /// How many frames were looked up since the beginning.
    pub(crate) fn frames_sought(&self) -> usize {
        self.frames_sought
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn forget_oldest(&mut self, party: PartyId) {
        let Some(numbers) = self.by_party.get_mut(&party) else {
            return;
        };
        let number = numbers.pop_front();
        if numbers.is_empty() {
            self.by_party.remove(&party);
        }
        let Some((number, (entry, places))) = number.and_then(|number| self.entries.remove_entry(&number)) else {
            return;
        };
        for slot in places.pdqs {
            self.by_pdq.remove(slot);
        }
        if let Some(count) = self.frames.get_mut(&party) {
            *count -= places.frames.len();
            if *count == 0 {
                self.frames.remove(&party);
            }
        }
        for slot in places.frames {
            self.by_frame.remove(slot);
        }
        if let Some(latest) = self.latest.get_mut(&entry.whose()) {
            latest.pop_front_if(|oldest| *oldest == number);
            if latest.is_empty() {
                self.latest.remove(&entry.whose());
            }
        }
        for name in entry.names() {
            if let Some(numbers) = self.by_hash.get_mut(&name.id) {
                // Near the front, unless others named it before.
                if let Ok(place) = numbers.binary_search(&number) {
                    numbers.remove(place);
                }
                if numbers.is_empty() {
                    self.by_hash.remove(&name.id);
                }
            }
        }
    }
}

/// Of the videos remembered so many are looked at for one that is announced.
const VIDEOS_MOST: Most = Most {
    of_frame: 256,
    compared: 256,
};
/// Of a content that is announced so many entries with frames of each party are asked for whether they second what others told. Each is compared with
/// all videos of the content.
const SECONDING_MAX: usize = 4;
/// Of a content of one party and sharing so many entries are looked at for what is new.
const LATEST_MAX: usize = 4;

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

    pub(crate) fn videos(&self) -> impl Iterator<Item = &Video> {
        self.names().filter_map(|name| name.video.as_ref())
    }

    /// Of these entries of a content those with frames that are asked for whether they second others': of each party the first [`SECONDING_MAX`].
    pub(crate) fn seconding<'a>(entries: &[&'a Remembered]) -> impl Iterator<Item = &'a Remembered> {
        let mut of_party: BTreeMap<PartyId, usize> = BTreeMap::new();
        let with_frames = entries.iter().filter(|entry| entry.videos().next().is_some());
        with_frames.copied().filter(move |entry| {
            let count = of_party.entry(entry.party).or_default();
            *count += 1;
            *count <= SECONDING_MAX
        })
    }

    pub(crate) fn whose(&self) -> (ContentId, PartyId, Sharing) {
        (self.content(), self.party, self.sharing)
    }
}

impl Remembered {
    /// The frames of its videos are told by its party, and so far by nobody else.
    pub(crate) fn tells_frames_alone(&mut self) {
        for name in [&mut self.own].into_iter().chain(&mut self.further) {
            name.told_by = match name.video {
                Some(_) => ToldBy::Alone(self.party),
                None => ToldBy::Unknown,
            };
        }
    }

    pub(crate) fn forget_frames(&mut self) {
        [&mut self.own]
            .into_iter()
            .chain(&mut self.further)
            .for_each(Name::forget_frames);
    }

    /// Whether the scope of this class sees the event.
    pub(crate) fn is_in(&self, class: Class) -> bool {
        self.sharing.classes(self.party).any(|own| class.scope().contains(own))
    }

    /// Whether some scope sees both the event and what is announced in this class.
    pub(crate) fn is_seen_with(&self, class: Class) -> bool {
        self.classes_with(class).next().is_some()
    }

    /// The classes whose scopes see both the event and what is announced in this class.
    pub(crate) fn classes_with(&self, class: Class) -> impl Iterator<Item = Class> {
        let is_for_all = self.sharing == Sharing::All;
        let own = self.sharing.classes(self.party);
        let own = own.filter(move |own| !is_for_all && own.scope().contains(class));
        is_for_all.then_some(class).into_iter().chain(own)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is remembered is bounded, and a party that floods loses its own contents and nobody else's.

    use tocsin_model::{Algorithm, ContentHash};

    use super::*;

    fn named(number: u128) -> Name {
        let value = [number.to_be_bytes(); 2].concat();
        let hash = ContentHash::from_bytes(Algorithm::Sha256, value, None).expect("it has 32 bytes");
        Name::new(ContentId(number), hash)
    }

    fn entry(party: u16, content: u128, further: u128, at: i64) -> Remembered {
        Remembered {
            own: named(content),
            further: vec![named(further)],
            party: PartyId(party),
            sharing: Sharing::All,
            at: Timestamp(at),
        }
    }

    #[test]
    fn who_floods_loses_its_own() {
        let limits = Limits {
            contents_max: 100,
            ..Limits::default()
        };
        let mut recent = Recent::default();
        let mut see = |party, content, at| {
            recent.make_room(Timestamp(at), &limits);
            recent.add(entry(party, content, 7, at));
            recent.entries.len()
        };
        for content in 0..30 {
            see(1, 1_000 + content, 0);
        }
        for content in 0..5_000 {
            assert!(see(2, 10_000 + content, 1) <= 100);
        }
        // A third one that comes late has room too.
        for content in 0..20 {
            see(3, 100_000 + content, 2);
        }
        let of = |recent: &Recent, party| recent.by_party.get(&PartyId(party)).map_or(0, VecDeque::len);
        assert_eq!([1, 2, 3].map(|party| of(&recent, party)), [30, 50, 20]);
        assert_eq!(recent.forgotten_early(), 4_950);
        assert_eq!(
            recent.with_hash(ContentId(7)).count(),
            100,
            "all that are remembered, in order of arrival"
        );
        let contents: Vec<u128> = recent.with_hash(ContentId(7)).map(|entry| entry.content().0).collect();
        assert!(contents.is_sorted(), "{contents:?}");
        // Everybody's become too old.
        let much_later = Timestamp(limits.remembered.0 + 3);
        recent.make_room(much_later, &limits);
        assert!(recent.entries.is_empty() && recent.by_hash.is_empty() && recent.latest.is_empty());
        assert!(recent.by_party.is_empty());
        assert_eq!(recent.forgotten_early(), 4_950, "that is no want of room");
    }

    #[test]
    fn what_is_too_old_goes_at_once_whatever_came_before_it() {
        let limits = Limits {
            remembered: Milliseconds(100),
            contents_max: 3,
            ..Limits::default()
        };
        let mut recent = Recent::default();
        let mut left = |at, party, content, seen_at| {
            recent.make_room(Timestamp(at), &limits);
            recent.add(entry(party, content, 1, seen_at));
            let mut left: Vec<u128> = recent.entries.values().map(|(entry, _)| entry.content().0).collect();
            left.sort_unstable();
            left
        };
        assert_eq!(left(0, 1, 10, 0), [10]);
        assert_eq!(left(100, 2, 20, 100), [10, 20], "as old as is remembered");
        assert_eq!(left(101, 1, 11, 101), [11, 20]);
        // It came late: it is younger than it was seen, and stands behind a younger one of its party.
        assert_eq!(left(150, 1, 12, 60), [11, 12, 20]);
        assert_eq!(
            left(170, 3, 30, 170),
            [12, 20, 30],
            "there is no room: 11 of the party with most gives way"
        );
        assert_eq!(
            left(171, 3, 31, 171),
            [20, 30, 31],
            "12 is the first of its party now, and too old"
        );
        assert_eq!(left(201, 3, 32, 201), [30, 31, 32]);
    }
}
