use std::cell::RefCell;
use std::collections::BTreeSet;

use tocsin_model::{
    Class, ClockFlag, ContentHash, ContentId, FamilyAnnouncement, GroupId, HashRef, Kind, Milliseconds, Sighting,
    Timestamp,
};
use tocsin_sketch::{ColdCounts, Inserted, RecentTokens, Recorded};

use crate::by_class::ByClass;
use crate::calibrations::{Calibrations, Taken};
use crate::class::{Admission, Claim, ClassCounts, Counted, LIVE_WORTH_MAX};
use crate::deadline::{Deadlines, Duty};
use crate::family::Families;
use crate::flood::Quarantine;
use crate::input::{Counters, GroupConfig, HotKey, Input, Output};
use crate::learning::Outcomes;
use crate::marks::Marks;
use crate::populations::GroupPopulations;
use crate::record::HotRecord;
use crate::shadow::Shadow;
use crate::trigger::Room;
use crate::watched::WatchList;
use crate::weight::Weighings;

/// The state machine of one key group.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) id: GroupId,
    pub(crate) config: GroupConfig,
    pub(crate) now: Timestamp,
    pub(crate) marks: Marks,
    pub(crate) retries: RecentTokens,
    pub(crate) classes: ByClass<ClassCounts>,
    pub(crate) families: Families,
    pub(crate) deadlines: Deadlines,
    pub(crate) calibrations: Calibrations,
    pub(crate) watch_list: WatchList,
    pub(crate) delta_number: u64,
    pub(crate) outcomes: Outcomes,
    pub(crate) populations: GroupPopulations,
    pub(crate) weighings: Weighings,
    version: u64,
    /// Room for what a judgement looks at. Not part of the state, as all that follows.
    pub(crate) judged: RefCell<Room>,
    pub(crate) shadow: Option<Shadow>,
    pub(crate) changed: BTreeSet<HotKey>,
    pub(crate) counters: Counters,
}

/// A linked content keeps its place in the hot table so long after its latest event; then it gives way as any other.
const LINKED_PROTECTED: Milliseconds = Milliseconds::from_hours(1);

impl Group {
    /// An empty group.
    pub fn new(id: GroupId, config: GroupConfig) -> Self {
        Group {
            id,
            now: Timestamp::MIN,
            marks: Marks::default(),
            retries: RecentTokens::new(config.retry_horizon, config.retry_tokens_max),
            classes: ByClass::default(),
            families: Families::default(),
            deadlines: Deadlines::default(),
            calibrations: Calibrations::default(),
            watch_list: WatchList::default(),
            delta_number: 0,
            outcomes: Outcomes::default(),
            populations: GroupPopulations::default(),
            weighings: Weighings::default(),
            version: 0,
            judged: RefCell::default(),
            shadow: config.shadow.map(Shadow::new),
            changed: BTreeSet::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// Applies one input and appends what follows from it.
    pub fn apply(&mut self, input: Input<'_>, out: &mut Vec<Output>) {
        // A calibration, or a weighing, goes to every group and may say nothing new: then nothing needs a new checkpoint.
        if !matches!(input, Input::Tick(_) | Input::Calibration(_) | Input::Weighing(_)) {
            self.version += 1;
        }
        match input {
            Input::Sighting(sighting) => self.sighting(sighting, out),
            Input::Link(link) => self.link(link, out),
            Input::Delta(delta) => self.delta(delta, out),
            Input::Tick(now) => self.pass(now, out),
            Input::Decision(decision) => self.decision(decision, out),
            Input::Calibration(calibration) => match self.calibrations.take(calibration, self.now) {
                Taken::New => self.version += 1,
                Taken::Known => {}
                Taken::Refused => self.counters.calibrations_refused += 1,
            },
            Input::Watch(watch) => self.watch(watch, out),
            Input::Weighing(weighing) => match self.weighings.take(weighing) {
                Taken::New => self.version += 1,
                Taken::Known => {}
                Taken::Refused => self.counters.weighings_refused += 1,
            },
        }
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The latest time it was told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The hot record of a content in a class.
    pub fn hot(&self, key: HotKey) -> Option<&HotRecord> {
        self.classes.get(key.class)?.hot(key.content)
    }

    /// All hot records' places, ascending.
    pub fn hot_keys(&self) -> Vec<HotKey> {
        let keys = self.classes.iter().flat_map(|(class, counts)| {
            counts
                .hot_contents()
                .into_iter()
                .map(move |content| HotKey { content, class })
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys
    }

    /// The cold counts of every class.
    pub fn cold(&self) -> impl Iterator<Item = (Class, &ColdCounts)> {
        self.classes.iter().map(|(class, counts)| (class, &counts.cold))
    }

    /// The hot records that changed since this was last asked, ascending; one that is gone from [`Group::kept`] was dropped.
    pub fn take_changed(&mut self) -> BTreeSet<HotKey> {
        self.classes.iter_mut().for_each(|(_, counts)| counts.changes_taken());
        std::mem::take(&mut self.changed)
    }

    /// What was counted since this was last asked.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Grows whenever anything but the time changed: a group of the same version needs no new checkpoint. Not part of the state.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The figures of every member whose family lives in another group, in every scope that sees it there. The state itself is the outbox:
    /// whoever restores a group sends them again, and what the home had already changes nothing.
    pub fn outbox(&self) -> Vec<Output> {
        let mut members = BTreeSet::new();
        for (member, class) in self.families.linked_members() {
            members.insert((member, class));
            if class == Class::All {
                // A link that everybody sees joins the content in every scope.
                let scopes = self.scopes_beyond_all(member).into_iter();
                members.extend(scopes.map(|own| (member, own)));
            }
        }
        let deltas = members.into_iter();
        deltas
            .filter_map(|(member, class)| self.compose_delta(member, class, self.delta_number))
            .map(Output::Delta)
            .collect()
    }

    /// Open episodes of all scopes.
    pub fn open_episodes(&self) -> usize {
        self.families.open_episodes()
    }

    fn sighting(&mut self, sighting: &Sighting<'_>, out: &mut Vec<Output>) {
        if !self.marks.advance(sighting.source) {
            self.counters.resent += 1;
            return;
        }
        self.pass(sighting.received_at, out);
        if self.retries.insert(sighting.event_token, self.now) == Inserted::Known {
            self.counters.retried += 1;
            return;
        }
        if sighting.kind == Kind::Unknown {
            self.counters.unknown_kind += 1;
            return;
        }
        if sighting.clock == ClockFlag::Late {
            self.counters.late += 1;
            return;
        }
        self.counters.counted += 1;
        for class in sighting.sharing.classes(sighting.party) {
            self.count(sighting, class, out);
        }
        for class in sighting.sharing.classes(sighting.party) {
            self.touched(sighting.content, class, out);
        }
    }

    /// Moves time on. What becomes due acts at its own time.
    pub(crate) fn pass(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        // Who was never told the time had none at which anything could be due: it is due now.
        if self.now == Timestamp::MIN {
            self.now = now;
        }
        if self.populations.is_due(now) {
            self.close_hours(now, out);
        }
        self.do_what_is_due(now, out);
        self.now = self.now.max(now);
    }

    /// Does what is due at or before `now`, each at its own time.
    pub(crate) fn do_what_is_due(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some((at, duty)) = self.deadlines.take_due(now) {
            self.now = self.now.max(at);
            self.version += 1;
            match duty {
                Duty::SendDelta(member, class) => self.send_delta(member, class, out),
                Duty::Judge(family, class) => {
                    self.ask_shadow(family, class);
                    self.judge(family, class, out);
                }
                Duty::Review(family, class) => self.review(family, class, out),
                Duty::Learn(family, class) => self.learn(family, class, at),
            }
        }
    }

    fn count(&mut self, sighting: &Sighting<'_>, class: Class, out: &mut Vec<Output>) {
        let (content, at, now) = (sighting.content, sighting.occurred_at, self.now);
        let counts = self
            .classes
            .get_or_insert_with(class, || ClassCounts::new(&self.config, now));
        match counts.count_hot(sighting, at, now) {
            Counted::Not => {}
            counted => {
                if sighting.kind.is_spread() {
                    counts.cold.record_known(content, at, now);
                }
                if counted == Counted::First {
                    self.changed.insert(HotKey { content, class });
                }
                if sighting.kind.is_live() {
                    self.end_quiet(content, class);
                }
                return;
            }
        }
        let recorded = if sighting.kind.is_spread() {
            counts.cold.record(content, at, now)
        } else {
            Recorded::default()
        };
        match counts.count_quarantined(sighting, at, now) {
            None => {}
            Some(goes_on) => {
                self.changed.insert(HotKey { content, class });
                if goes_on == Quarantine::Stays {
                    return;
                }
            }
        }
        counts.note_candidate(content, recorded, self.config.hot_max, now);
        // What is hot is left out: one content that spreads would make its hour look busy.
        if class == Class::All && sighting.kind.is_spread() {
            self.populations.count(sighting.platform, at);
        }
        // What was linked while the table was full becomes hot as soon as there is room, and what is watched at its first sighting.
        let is_watched = self.watch_list.severity(content).is_some();
        let is_live = sighting.kind.is_live();
        let is_named = is_live || is_watched || self.families.has_link(content, class);
        if recorded.high >= self.config.promote_at || is_named {
            self.count_first(sighting, class, recorded, out);
        } else if sighting.kind == Kind::Removal {
            self.note_removal(content, class);
        }
    }

    /// A platform removed a copy of a content that has no record.
    #[inline(never)]
    fn note_removal(&mut self, content: ContentId, class: Class) {
        if let Some(counts) = self.classes.get_mut(class) {
            counts.note_removal(content, self.now);
        }
    }

    /// Makes a content hot by a sighting that the cold counts know, and counts it. Apart from [`Group::count`], whose other sightings need none
    /// of the room on the stack that this takes.
    #[inline(never)]
    fn count_first(&mut self, sighting: &Sighting<'_>, class: Class, recorded: Recorded, out: &mut Vec<Output>) {
        let (content, at, now) = (sighting.content, sighting.occurred_at, self.now);
        let is_live = sighting.kind.is_live();
        let claim = match self.classes.get(class) {
            _ if is_live => live_worth(sighting),
            Some(counts) => counts.claim(content, recorded, now),
            None => 0,
        };
        // What is live, or was linked, takes room that nobody needs with fewer copies than it takes to become hot by itself.
        let least = match is_live || self.families.has_link(content, class) {
            true => 0,
            false => u64::from(self.config.promote_at),
        };
        let HashRef { algorithm, value } = sighting.hash;
        if ContentHash::check(algorithm, value, None).is_err() {
            return;
        }
        // Copied only when there is room: most of what a full table is asked for is refused.
        let hash = || sighting.hash.to_hash().expect("it was checked");
        let why = Promotion::BySighting {
            counted: sighting.kind.is_spread().then_some(at),
            claim: Claim { spread: claim, least },
        };
        let is_hot = self.promote(content, class, hash, why, out);
        let Some(counts) = self.classes.get_mut(class) else {
            return;
        };
        if is_hot {
            counts.count_hot(sighting, at, now);
            self.counters.live += u64::from(is_live);
        } else if sighting.kind == Kind::Removal {
            counts.note_removal(content, now);
        }
    }

    pub(crate) fn promote(
        &mut self,
        content: ContentId,
        class: Class,
        hash: impl FnOnce() -> ContentHash,
        why: Promotion,
        out: &mut Vec<Output>,
    ) -> bool {
        let now = self.now;
        let watched = self.watch_list.watched(content);
        let counts = self
            .classes
            .get_or_insert_with(class, || ClassCounts::new(&self.config, now));
        let without_least = |spread: u64| Claim { spread, least: 0 };
        let (claim, counted) = match why {
            // Nothing that merely spreads is worth more room than what somebody looks out for.
            Promotion::BySighting { counted, .. } if watched.is_some() => (without_least(u64::MAX), counted),
            Promotion::BySighting { counted, claim } => (claim, counted),
            // A link alone proves no spread: whoever asserts thousands must not push out what spreads.
            Promotion::ByLink => (without_least(counts.cold_hour(content, now).saturating_add(1)), None),
        };
        let families = &self.families;
        let protected = |record: &HotRecord| {
            let linked = [class, Class::All].map(|class| families.has_link(record.content(), class));
            (linked.contains(&true) && record.last_seen() + LINKED_PROTECTED > now)
                || families
                    .state(record.family(), class)
                    .is_some_and(|state| state.episode.open || !state.remote.is_empty())
        };
        match counts.admit(claim, self.config.hot_max, now, protected) {
            Admission::Refused => {
                self.counters.hot_refused += 1;
                return false;
            }
            Admission::Admitted { evicted: Some(evicted) } => {
                let evicted = HotKey {
                    content: evicted,
                    class,
                };
                self.counters.evicted += 1;
                self.changed.insert(evicted);
                // What is watched stays announced, hot or not: others join it by its hashes.
                if class != Class::All || self.watch_list.severity(evicted.content).is_none() {
                    out.push(Output::Withdrawal(evicted));
                }
            }
            Admission::Admitted { evicted: None } => {}
        }
        let hash = hash();
        let family = families.of(content, class);
        let mut record = HotRecord::new(content, class, family, hash.clone(), now);
        record.set_family(family, families.joined(content, class));
        record.set_watched(watched);
        counts.promote(record, counted, now);
        self.counters.promoted += 1;
        self.changed.insert(HotKey { content, class });
        out.push(Output::Announcement(FamilyAnnouncement {
            content,
            hash,
            family,
            class,
            at: now,
        }));
        true
    }
}

/// The room that a live stream is worth at first: whoever opens thousands that nobody watches pushes out what nobody passes on.
fn live_worth(sighting: &Sighting<'_>) -> u64 {
    let viewers = match sighting.kind {
        Kind::LiveHeartbeat => u64::from(sighting.audience),
        _ => 1,
    };
    viewers.clamp(1, LIVE_WORTH_MAX)
}

/// Why a content becomes hot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Promotion {
    /// It spreads, is live or is watched, as a sighting says. If that was a spread, it stands in the cold counts at `counted`.
    BySighting { counted: Option<Timestamp>, claim: Claim },
    /// It was linked to a family.
    ByLink,
}
