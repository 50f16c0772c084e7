mod codec;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use tocsin_model::{ContentId, FamilyId, Joined, Milliseconds, Severity, Sighting, Timestamp};
use tocsin_sketch::{ColdCounts, Recorded};

use crate::flood::{Quarantine, longest_silent};
use crate::input::GroupConfig;
use crate::record::{Before, HotRecord, Resolution};
use crate::remembered::Remembered;

/// Everything one visibility class counts: cold counts for every content, exact records for the hot ones.
#[derive(Clone, Debug)]
pub(crate) struct ClassCounts {
    pub(crate) cold: ColdCounts,
    /// When the first sighting of this class came.
    pub(crate) since: Timestamp,
    hot: HashMap<ContentId, Hot, BuildHasherDefault<IdHasher>>,
    /// Floods: as many as there may be hot contents.
    quarantined: BTreeMap<ContentId, HotRecord>,
    /// Copies of contents that the cold counts do not tell from others, while there is no room among the hot ones: since when they are counted here
    /// they are the content's own.
    candidates: Remembered,
    /// How often platforms removed copies of contents that have no record.
    removals: Remembered,
    /// The quietest contents when the table was last looked through, with what they were worth then, the quietest last: who may have to go.
    quietest: Vec<(u64, ContentId)>,
    /// When the table may be looked through again: at most once a second of the group's time, so that a flood of new contents cannot make
    /// every event do it.
    looked_at: Timestamp,
    /// How often the shell took the list of changed records. Not part of the state.
    taken: u64,
}

/// A hot content.
#[derive(Clone, Debug)]
struct Hot {
    record: HotRecord,
    quiet: Quiet,
    /// It changed since that list was taken for the time before this one, and stands in the next.
    listed_in: u64,
}

/// Whether a sighting was counted in a hot record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// There is no record.
    Not,
    /// It was, for the first time since changed records were taken.
    First,
    /// It was, once more.
    Again,
}

/// Until when the rule is not asked again about a content that is a family of its own. Part of the state: copies that come late, or from few
/// accounts, may make it ring sooner than was foreseen, and whoever was restored must not ring for what the others have not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quiet {
    /// So many more copies are not expected to ring, or escalate,
    pub(crate) copies: u64,
    /// before this time.
    pub(crate) until: Timestamp,
}

/// Whether the rule need be asked about a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// There is no record to ask about.
    NoRecord,
    /// The answer is known.
    Quiet,
    /// It must be asked, unless the content is no family of its own.
    Open,
}

/// What a content says for room among the hot ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// So much spread in the last hour is its own.
    pub(crate) spread: u64,
    /// With less than this it takes nobody's room.
    pub(crate) least: u64,
}

/// What promotion did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There was room, or this content's record was dropped for it.
    Admitted {
        /// The content that had to go.
        evicted: Option<ContentId>,
    },
    /// Everything in the table spreads more.
    Refused,
}

/// Content ids are keyed hashes already: 64 of their bits are as good a hash as any.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

/// The ages from which on an upper bound is kept at promotion: the lengths of the windows, and between.
const BEFORE_AGES: [Milliseconds; 8] = [
    Milliseconds(0),
    Milliseconds::from_minutes(5),
    Milliseconds::from_minutes(15),
    Milliseconds::from_hours(1),
    Milliseconds::from_hours(3),
    Milliseconds::from_hours(6),
    Milliseconds::from_hours(12),
    Milliseconds::from_hours(25),
];

/// How far ahead of the group's time the cold counts take an event.
const AHEAD_MAX: Milliseconds = Milliseconds::from_minutes(15);

/// A live stream is worth as much room as this many copies an hour, however many watch it: whoever makes up viewers moves nothing that spreads
/// more than a content that has just become hot.
pub(crate) const LIVE_WORTH_MAX: u64 = 3;

/// The quietest contents are listed anew after this time, and sooner when none of the list may go, but never more often than `LOOKED_EVERY`: it costs
/// a look at each hot record.
const LISTED_FOR: Milliseconds = Milliseconds::from_minutes(1);
const LOOKED_EVERY: Milliseconds = Milliseconds::from_seconds(1);
/// A candidate's copies are counted for as long as the spread of a record is looked at when room is short.
const CLAIM_WITHIN: Milliseconds = Milliseconds::from_hours(1);
/// Removals of a content of which nothing was removed for so long are the first to be forgotten.
const REMOVALS_FRESH: Milliseconds = Milliseconds::from_hours(24);
/// How many of the quietest contents are listed at a time.
const QUIETEST_MAX: usize = 64;

impl ClassCounts {
    pub(crate) fn new(config: &GroupConfig, since: Timestamp) -> Self {
        let remembered_max = config.remembered_max();
        ClassCounts {
            cold: ColdCounts::new(config.cold),
            since,
            hot: HashMap::default(),
            quarantined: BTreeMap::new(),
            candidates: Remembered::new(remembered_max, CLAIM_WITHIN),
            removals: Remembered::new(remembered_max, REMOVALS_FRESH),
            quietest: Vec::new(),
            looked_at: Timestamp::MIN,
            taken: 0,
        }
    }

    pub(crate) fn hot(&self, content: ContentId) -> Option<&HotRecord> {
        self.hot.get(&content).map(|hot| &hot.record)
    }

    pub(crate) fn quarantined(&self, content: ContentId) -> Option<&HotRecord> {
        self.quarantined.get(&content)
    }

    /// The contents in quarantine, ascending.
    pub(crate) fn quarantined_contents(&self) -> impl Iterator<Item = ContentId> + '_ {
        self.quarantined.keys().copied()
    }

    /// Moves a hot record into quarantine. At the limit the one that was seen longest ago leaves it: its content is returned.
    pub(crate) fn quarantine(
        &mut self,
        content: ContentId,
        limit: usize,
        begin: impl FnOnce(&mut HotRecord),
    ) -> Option<ContentId> {
        let mut record = self.hot.remove(&content)?.record;
        begin(&mut record);
        let is_full = self.quarantined.len() >= limit;
        let left_out = if is_full {
            longest_silent(self.quarantined.values())
        } else {
            None
        };
        if let Some(content) = left_out {
            self.release(content, record.last_seen());
        }
        self.quarantined.insert(content, record);
        left_out
    }

    /// Ends a quarantine. What the record knows of removals is remembered. Whether there was one.
    fn release(&mut self, content: ContentId, now: Timestamp) -> bool {
        let record = self.quarantined.remove(&content);
        record.inspect(|record| self.remember_removals(record, now)).is_some()
    }

    /// The record goes: its removals are remembered.
    fn remember_removals(&mut self, record: &HotRecord, now: Timestamp) {
        if record.signals.removals > 0 {
            let count = u32::try_from(record.signals.removals).unwrap_or(u32::MAX);
            self.removals.add(record.content(), count, now);
        }
    }

    /// A platform removed a copy of a content that has no record.
    pub(crate) fn note_removal(&mut self, content: ContentId, now: Timestamp) {
        self.removals.add(content, 1, now);
    }

    /// Takes note of a copy that the cold counts do not tell from those of others, if there is no room for it among the hot ones.
    #[inline]
    pub(crate) fn note_candidate(&mut self, content: ContentId, recorded: Recorded, limit: usize, now: Timestamp) {
        if recorded.beyond && self.hot.len() >= limit {
            self.candidates.add_within(content, CLAIM_WITHIN, now);
        }
    }

    /// So many copies of the last hour and up to 15 minutes more are sure to be the content's own, but for equal fingerprints. What others fill the cold counts
    /// with does not raise it.
    pub(crate) fn claim(&self, content: ContentId, recorded: Recorded, now: Timestamp) -> u64 {
        u64::from(recorded.own) + u64::from(self.candidates.within(content, CLAIM_WITHIN, now))
    }

    /// Takes a sighting of a content that may be in quarantine: whether it stays there. One that leaves it has no record any more.
    pub(crate) fn count_quarantined(
        &mut self,
        sighting: &Sighting<'_>,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<Quarantine> {
        let record = self.quarantined.get_mut(&sighting.content)?;
        let goes_on = record.count_in_quarantine(sighting, at, now);
        if goes_on == Quarantine::Ends {
            self.release(sighting.content, now);
        }
        Some(goes_on)
    }

    /// Takes note of one more copy. Whether the rule need be asked.
    #[inline]
    pub(crate) fn question(&mut self, content: ContentId, now: Timestamp) -> Question {
        let Some(hot) = self.hot.get_mut(&content) else {
            return Question::NoRecord;
        };
        hot.quiet.copies = hot.quiet.copies.saturating_sub(1);
        if hot.quiet.copies > 0 && now < hot.quiet.until {
            Question::Quiet
        } else {
            Question::Open
        }
    }

    pub(crate) fn set_quiet(&mut self, content: ContentId, quiet: Quiet) {
        if let Some(hot) = self.hot.get_mut(&content) {
            hot.quiet = quiet;
        }
    }

    /// The contents with a record, ascending.
    pub(crate) fn hot_contents(&self) -> Vec<ContentId> {
        let mut contents: Vec<_> = self.hot.keys().copied().collect();
        contents.sort_unstable();
        contents
    }

    /// Makes room for a content: free room, or that of the quietest record of the list that spread less when it was listed than the content
    /// claims, has not spread since, and is not `protected`.
    ///
    /// A claim is what is sure of the content's spread and no upper bound: a bound grows with what others fill the cold counts with, so whoever
    /// sends contents that come once would push out what spreads.
    pub(crate) fn admit(
        &mut self,
        claim: Claim,
        limit: usize,
        now: Timestamp,
        protected: impl Fn(&HotRecord) -> bool,
    ) -> Admission {
        if self.hot.len() < limit {
            return Admission::Admitted { evicted: None };
        }
        let Claim { spread, least } = claim;
        if spread < least {
            return Admission::Refused;
        }
        if now >= self.looked_at + LISTED_FOR {
            self.list_quietest(now, &protected);
        }
        let mut evicted = self.evict_listed(spread, now, &protected);
        if evicted.is_none() && now >= self.looked_at + LOOKED_EVERY {
            self.list_quietest(now, &protected);
            evicted = self.evict_listed(spread, now, &protected);
        }
        match evicted {
            Some(_) => Admission::Admitted { evicted },
            None => Admission::Refused,
        }
    }

    fn evict_listed(
        &mut self,
        spread: u64,
        now: Timestamp,
        protected: &impl Fn(&HotRecord) -> bool,
    ) -> Option<ContentId> {
        while let Some((listed, content)) = self.quietest.last().copied()
            && listed < spread
        {
            self.quietest.pop();
            let may_go = |record: &HotRecord| worth(record, now) <= listed && !protected(record);
            if self.hot(content).is_some_and(may_go)
                && let Some(gone) = self.hot.remove(&content)
            {
                self.remember_removals(&gone.record, now);
                return Some(content);
            }
        }
        None
    }

    fn list_quietest(&mut self, now: Timestamp, protected: &impl Fn(&HotRecord) -> bool) {
        let free = self
            .hot
            .values()
            .map(|hot| &hot.record)
            .filter(|record| !protected(record));
        let mut listed: Vec<_> = free
            .map(|record| (worth(record, now), record.last_seen(), record.content()))
            .collect();
        if listed.len() > QUIETEST_MAX {
            listed.select_nth_unstable(QUIETEST_MAX);
            listed.truncate(QUIETEST_MAX);
        }
        listed.sort_unstable_by(|a, b| b.cmp(a));
        self.quietest = listed.into_iter().map(|(worth, _, content)| (worth, content)).collect();
        self.looked_at = now;
    }

    /// Puts in a record for a content that becomes hot. What the cold counts know of it becomes the record's interval before
    /// promotion; `counted` is a sighting that stands in the cold counts already and will be counted exactly.
    pub(crate) fn promote(&mut self, mut record: HotRecord, counted: Option<Timestamp>, now: Timestamp) {
        let content = record.content();
        record.set_before(self.before(content, counted, now));
        record.signals.removals = u64::from(self.removals.take(content));
        self.candidates.take(content);
        self.insert(record);
    }

    fn insert(&mut self, record: HotRecord) {
        let hot = Hot {
            record,
            quiet: Quiet::default(),
            listed_in: 0,
        };
        self.hot.insert(hot.record.content(), hot);
    }

    /// So much spread was probably counted in the last hour.
    pub(crate) fn cold_hour(&self, content: ContentId, now: Timestamp) -> u64 {
        let to = now + AHEAD_MAX + Milliseconds(1);
        let [hour] = self.cold.bounds(content, [now - Milliseconds::from_hours(1)], to);
        hour.probable
    }

    fn before(&self, content: ContentId, counted: Option<Timestamp>, now: Timestamp) -> Before {
        let to = now + AHEAD_MAX + Milliseconds(1);
        let starts = BEFORE_AGES.map(|age| now - age);
        let mut bounds = starts.map(|from| (from, 0u32));
        let mut probable = [0u32; BEFORE_AGES.len()];
        for (place, found) in self.cold.bounds(content, starts, to).into_iter().enumerate() {
            let counted = u64::from(counted.is_some_and(|at| bounds[place].0 <= at));
            let before = |count: u64| u32::try_from(count.saturating_sub(counted)).unwrap_or(u32::MAX);
            bounds[place].1 = before(found.high);
            probable[place] = before(found.probable);
        }
        // What bounds a longer time bounds the shorter ones in it.
        for shorter in (1..bounds.len()).rev() {
            bounds[shorter - 1].1 = bounds[shorter - 1].1.min(bounds[shorter].1);
            probable[shorter - 1] = probable[shorter - 1].min(probable[shorter]);
        }
        if bounds.iter().all(|(_, high)| *high == 0) {
            return Before::NOTHING;
        }
        // A bound says nothing new where a longer time has the same.
        let informative = |place: &usize| bounds.get(place + 1).is_none_or(|longer| longer.1 > bounds[*place].1);
        let count = (0..bounds.len()).filter(informative).count();
        let mut since = Vec::with_capacity(count);
        since.extend((0..bounds.len()).filter(informative).map(|place| bounds[place]));
        let of_others = |place: usize| bounds[place].1.saturating_sub(probable[place]);
        let mut others = Vec::new();
        if (0..bounds.len()).any(|place| of_others(place) > 0) {
            others.extend((0..bounds.len()).filter(informative).map(of_others));
        }
        Before { to, since, others }
    }

    /// Counts a sighting in the content's record, if it has one.
    pub(crate) fn count_hot(&mut self, sighting: &Sighting<'_>, at: Timestamp, now: Timestamp) -> Counted {
        let Some(hot) = self.hot.get_mut(&sighting.content) else {
            return Counted::Not;
        };
        hot.record.count(sighting, at, now);
        if std::mem::replace(&mut hot.listed_in, self.taken + 1) == self.taken + 1 {
            Counted::Again
        } else {
            Counted::First
        }
    }

    /// The shell has taken the list of changed records.
    pub(crate) fn changes_taken(&mut self) {
        self.taken += 1;
    }

    pub(crate) fn set_family(&mut self, content: ContentId, family: FamilyId, joined: Option<Joined>) -> bool {
        let hot = self.hot.get_mut(&content).map(|hot| &mut hot.record);
        match hot.or_else(|| self.quarantined.get_mut(&content)) {
            Some(record) if record.family() != family => {
                record.set_family(family, joined);
                true
            }
            _ => false,
        }
    }

    /// Says in the content's record how grave it is. Whether it has a record that said otherwise.
    pub(crate) fn set_watched(&mut self, content: ContentId, watched: Option<(Severity, Timestamp)>) -> bool {
        // What floods is to ring as well: its record goes, so that the next sighting begins a new one.
        if let Some((_, at)) = watched
            && self.release(content, at)
        {
            return true;
        }
        match self.hot.get_mut(&content) {
            Some(hot) if hot.record.watched() != watched.map(|(severity, _)| severity) => {
                hot.record.set_watched(watched);
                true
            }
            _ => false,
        }
    }

    /// Says in the content's record when an alert told that it is live. Whether it has a record of a stream that runs.
    pub(crate) fn set_live_told(&mut self, content: ContentId, told_at: Timestamp, now: Timestamp) -> bool {
        let record = self.hot.get_mut(&content).map(|hot| &mut hot.record);
        record.is_some_and(|record| record.set_live_told(told_at, now))
    }
}

/// What a record is worth when room is short: its spread in the last hour, and the viewers it has now if it is live.
fn worth(record: &HotRecord, now: Timestamp) -> u64 {
    let viewers = record.live().map_or(0, |live| live.viewers(now));
    record.recent_spread(Resolution::Minute1, 60, now) + viewers.min(LIVE_WORTH_MAX)
}
