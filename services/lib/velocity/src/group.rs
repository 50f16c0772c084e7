use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{
    AlertLevel, Class, ClockFlag, ContentHash, ContentId, Decision, Delta, DeploymentKey, Evidence, FamilyAnnouncement,
    FamilyId, GroupId, Kind, Link, Milliseconds, Sighting, Timestamp,
};
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_sketch::{ColdConfig, ColdCounts, Inserted, RecentTokens};

use crate::class::{Admission, ClassCounts};
use crate::deadline::{Deadlines, Duty};
use crate::episode::{REVIEW_EVERY, Rings};
use crate::family::{Families, Linked, decode_records, encode_records};
use crate::marks::Marks;
use crate::record::{HotRecord, Resolution};
use crate::trigger::{self, total};

/// What a group is told when it is made. The same for all groups of a deployment.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The permanent key: alert ids derive from it.
    pub key: DeploymentKey,
    /// Cold counts of every class.
    pub cold: ColdConfig,
    /// The most hot records per class, of this group. At least 1.
    pub hot_max: usize,
    /// A content becomes hot when its spread in the last hour may have reached this.
    pub promote_at: u32,
    /// How long an event id is remembered.
    pub retry_horizon: Milliseconds,
    /// The most event ids remembered.
    pub retry_tokens_max: usize,
}

/// What a group is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// An event.
    Sighting(&'a Sighting<'a>),
    /// A content of this group joins a family.
    Link(&'a Link),
    /// Figures of a member of a family whose home this is.
    Delta(&'a Delta),
    /// It is at least this late.
    Tick(Timestamp),
    /// People decided about a family whose home this is.
    Decision(&'a Decision),
}

/// What a group has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An alarm.
    Alert(tocsin_model::Alert),
    /// A content became hot.
    Announcement(FamilyAnnouncement),
    /// Figures for the home of a family in another group.
    Delta(Delta),
    /// A link for a content that lives in another group: its family joined another one.
    Link(Link),
}

/// A hot record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HotKey {
    /// The content.
    pub content: ContentId,
    /// The class.
    pub class: Class,
}

/// What happened to the inputs, for metrics. Not part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sightings that counted.
    pub counted: u64,
    /// Sightings that lie at or before their source's mark.
    pub resent: u64,
    /// Events whose id was seen within the horizon.
    pub retried: u64,
    /// Events beyond the allowed lateness, in no window.
    pub late: u64,
    /// Events of a kind this version does not know.
    pub unknown_kind: u64,
    /// Contents that became hot.
    pub promoted: u64,
    /// Hot contents that made room.
    pub evicted: u64,
    /// Contents that would have become hot, had there been room.
    pub hot_refused: u64,
    /// Links beyond the limit.
    pub links_refused: u64,
    /// Deltas that are broken, misdirected, or beyond the limit of members.
    pub deltas_refused: u64,
}

impl Counters {
    /// Adds another count.
    pub fn add(&mut self, other: Counters) {
        self.counted += other.counted;
        self.resent += other.resent;
        self.retried += other.retried;
        self.late += other.late;
        self.unknown_kind += other.unknown_kind;
        self.promoted += other.promoted;
        self.evicted += other.evicted;
        self.hot_refused += other.hot_refused;
        self.links_refused += other.links_refused;
        self.deltas_refused += other.deltas_refused;
    }
}

/// The state machine of one key group.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) id: GroupId,
    pub(crate) config: GroupConfig,
    pub(crate) now: Timestamp,
    pub(crate) marks: Marks,
    pub(crate) retries: RecentTokens,
    pub(crate) classes: BTreeMap<Class, ClassCounts>,
    pub(crate) families: Families,
    pub(crate) deadlines: Deadlines,
    pub(crate) delta_number: u64,
    version: u64,
    changed: BTreeSet<HotKey>,
    counters: Counters,
}

/// Figures go to another group, and families of several records are judged, at the next multiple of this.
const SETTLE_EVERY: Milliseconds = Milliseconds(250);
/// The most members of one family that live in other groups.
const REMOTE_MEMBERS_MAX: usize = 4_096;
/// A linked content keeps its place in the hot table so long after its latest event; then it gives way as any other.
const LINKED_PROTECTED: Milliseconds = Milliseconds::from_hours(1);
/// Links and family states per hot record.
const LINKS_PER_HOT: usize = 16;
/// But never fewer than this.
const LINKS_MIN: usize = 1_024;

impl Group {
    /// An empty group.
    pub fn new(id: GroupId, config: GroupConfig) -> Self {
        Group {
            id,
            now: Timestamp::MIN,
            marks: Marks::default(),
            retries: RecentTokens::new(config.retry_horizon, config.retry_tokens_max),
            classes: BTreeMap::new(),
            families: Families::default(),
            deadlines: Deadlines::default(),
            delta_number: 0,
            version: 0,
            changed: BTreeSet::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// Applies one input and appends what follows from it.
    pub fn apply(&mut self, input: Input<'_>, out: &mut Vec<Output>) {
        if !matches!(input, Input::Tick(_)) {
            self.version += 1;
        }
        match input {
            Input::Sighting(sighting) => self.sighting(sighting, out),
            Input::Link(link) => self.link(link, out),
            Input::Delta(delta) => self.delta(delta, out),
            Input::Tick(now) => self.pass(now, out),
            Input::Decision(decision) => self.decision(decision, out),
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
        self.classes.get(&key.class)?.hot(key.content)
    }

    /// All hot records' places, ascending.
    pub fn hot_keys(&self) -> Vec<HotKey> {
        let keys = self.classes.iter().flat_map(|(class, counts)| {
            counts
                .hot_contents()
                .into_iter()
                .map(|content| HotKey { content, class: *class })
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys
    }

    /// The cold counts of every class.
    pub fn cold(&self) -> impl Iterator<Item = (Class, &ColdCounts)> {
        self.classes.iter().map(|(class, counts)| (*class, &counts.cold))
    }

    /// The hot records that changed since this was last asked, ascending; one that is gone from [`Group::hot`] was dropped.
    pub fn take_changed(&mut self) -> BTreeSet<HotKey> {
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

    /// The figures of every member whose family lives in another group. The state itself is the outbox: whoever restores a group sends
    /// them again, and what the home had already changes nothing.
    pub fn outbox(&self) -> Vec<Output> {
        let deltas = self.families.linked_members().into_iter();
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
    fn pass(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some((at, duty)) = self.deadlines.take_due(now) {
            self.now = self.now.max(at);
            self.version += 1;
            match duty {
                Duty::SendDelta(member, class) => self.send_delta(member, class, out),
                Duty::Judge(family, class) => self.judge(family, class, out),
                Duty::Review(family, class) => self.review(family, class, out),
            }
        }
        self.now = self.now.max(now);
    }

    fn count(&mut self, sighting: &Sighting<'_>, class: Class, out: &mut Vec<Output>) {
        let (content, at, now) = (sighting.content, sighting.occurred_at, self.now);
        let counts = self
            .classes
            .entry(class)
            .or_insert_with(|| ClassCounts::new(self.config.cold));
        let spread = if sighting.kind.is_spread() {
            counts.cold.record(content, at, now)
        } else {
            0
        };
        if counts.count_hot(sighting, at, now) {
            self.changed.insert(HotKey { content, class });
            return;
        }
        if spread < self.config.promote_at {
            return;
        }
        let Some(hash) = sighting.hash.to_hash() else { return };
        if self.promote(content, class, hash, Promotion::BySighting { at, spread }, out)
            && let Some(counts) = self.classes.get_mut(&class)
        {
            counts.count_hot(sighting, at, now);
        }
    }

    fn promote(
        &mut self,
        content: ContentId,
        class: Class,
        hash: ContentHash,
        why: Promotion,
        out: &mut Vec<Output>,
    ) -> bool {
        let now = self.now;
        let (spread, counted) = match why {
            Promotion::BySighting { at, spread } => (u64::from(spread), Some(at)),
            Promotion::ByLink => (u64::MAX, None),
        };
        let counts = self
            .classes
            .entry(class)
            .or_insert_with(|| ClassCounts::new(self.config.cold));
        let families = &self.families;
        let protected = |record: &HotRecord| {
            (families.is_linked(record.content()) && record.last_seen() + LINKED_PROTECTED > now)
                || families
                    .state(record.family(), class)
                    .is_some_and(|state| state.episode.open || !state.remote.is_empty())
        };
        match counts.admit(spread, self.config.hot_max, now, protected) {
            Admission::Refused => {
                self.counters.hot_refused += 1;
                return false;
            }
            Admission::Admitted { evicted: Some(evicted) } => {
                self.counters.evicted += 1;
                self.changed.insert(HotKey {
                    content: evicted,
                    class,
                });
            }
            Admission::Admitted { evicted: None } => {}
        }
        let family = families.of(content, class);
        counts.promote(HotRecord::new(content, class, family, hash.clone(), now), counted, now);
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

    /// A sighting of this class was counted: judges the scopes that see it.
    fn touched(&mut self, content: ContentId, class: Class, out: &mut Vec<Output>) {
        if class != Class::All {
            return self.touched_in_scope(content, class, out);
        }
        self.touched_in_scope(content, Class::All, out);
        for own in self.scopes_beyond_all(content) {
            self.touched_in_scope(content, own, out);
        }
    }

    /// The scopes beyond `all` in which something is known of this content or its family.
    fn scopes_beyond_all(&self, content: ContentId) -> Vec<Class> {
        let known = |class: &Class| {
            self.hot(HotKey { content, class: *class }).is_some()
                || self.families.has_link(content, *class)
                || self.families.state(self.families.of(content, *class), *class).is_some()
        };
        let counted = self.classes.keys().copied().filter(|class| *class != Class::All);
        let mut scopes: Vec<Class> = counted.filter(known).collect();
        // A decision makes a scope of its own where nothing but events for all was ever counted.
        let decided = self.families.scopes_with_state(self.families.of(content, Class::All));
        scopes.extend(decided);
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    fn touched_in_scope(&mut self, content: ContentId, class: Class, out: &mut Vec<Output>) {
        let family = self.families.of(content, class);
        if family.home() != self.id {
            let at = self.next_settling();
            self.deadlines.add(at, Duty::SendDelta(content, class));
        } else if class == Class::All && self.families.is_plain(family, class) {
            self.judge(family, class, out);
        } else {
            let at = self.next_settling();
            self.deadlines.add(at, Duty::Judge(family, class));
        }
    }

    fn next_settling(&self) -> Timestamp {
        self.now.floor_to(SETTLE_EVERY) + SETTLE_EVERY
    }

    /// The records of a family's members in one scope, this group's and those of other groups.
    fn records(&self, family: FamilyId, class: Class) -> Vec<&HotRecord> {
        let classes = [Some(Class::All), (class != Class::All).then_some(class)];
        let members = self.families.local_members(family, class);
        let mut records: Vec<&HotRecord> = members
            .iter()
            .flat_map(|member| {
                classes.into_iter().flatten().map(|class| HotKey {
                    content: *member,
                    class,
                })
            })
            .filter_map(|key| self.hot(key))
            .collect();
        let own = self.families.state(family, class);
        records.extend(own.iter().flat_map(|state| state.remote_records()));
        // A member of which only events for all are known sends figures for all alone: they are all there is of it in this scope too.
        if class != Class::All
            && let Some(for_all) = self.families.state(family, Class::All)
        {
            let is_told = |member: &ContentId| own.is_some_and(|state| state.remote.contains_key(member));
            let untold = for_all.remote.iter().filter(|(member, _)| !is_told(member));
            records.extend(untold.flat_map(|(_, (_, records))| records));
        }
        records
    }

    /// Asks the rule about a family in a scope. A scope beyond `all` is judged only where it holds more than scope `all` does.
    fn judge(&mut self, family: FamilyId, class: Class, out: &mut Vec<Output>) {
        let now = self.now;
        let records = self.records(family, class);
        let marked = self
            .families
            .state(family, class)
            .is_some_and(|state| state.verdict.is_some());
        if records.is_empty() || !(marked || records.iter().any(|record| record.class() == class)) {
            return;
        }
        let judgement = trigger::judge(&records, now);
        let open = self
            .families
            .state(family, class)
            .is_some_and(|state| state.episode.open);
        if judgement.rings == Rings::No && !open {
            return;
        }
        let hour = total(&records, Resolution::Minute1, 60, now);
        let state = self.families.state_mut(family, class, self.config.links_max());
        if let Some(level) = state.episode.judged(judgement.rings, hour, now) {
            self.alert(family, class, level, out);
        }
    }

    fn review(&mut self, family: FamilyId, class: Class, out: &mut Vec<Output>) {
        let now = self.now;
        let hour = total(&self.records(family, class), Resolution::Minute1, 60, now);
        let state = self.families.state_mut(family, class, self.config.links_max());
        let level = state.episode.reviewed(hour, now);
        if state.episode.open {
            self.deadlines.add(now + REVIEW_EVERY, Duty::Review(family, class));
        }
        if let Some(level) = level {
            self.alert(family, class, level, out);
        }
    }

    fn alert(&mut self, family: FamilyId, class: Class, level: AlertLevel, out: &mut Vec<Output>) {
        if level == AlertLevel::Raised {
            self.deadlines.add(self.now + REVIEW_EVERY, Duty::Review(family, class));
        }
        let records = self.records(family, class);
        if let Some(state) = self.families.state(family, class)
            && let Some(alert) = crate::alert::compose(
                &self.config.key,
                family,
                class.scope(),
                level,
                state,
                &records,
                self.now,
            )
        {
            out.push(Output::Alert(alert));
        }
    }

    fn link(&mut self, link: &Link, out: &mut Vec<Output>) {
        if link.content.group() != self.id {
            self.counters.links_refused += 1;
            return;
        }
        match self
            .families
            .link(link.content, link.class, link.family, self.config.links_max())
        {
            Linked::Joined { from } => self.joined(link, from, out),
            Linked::Unchanged => {}
            Linked::Refused => self.counters.links_refused += 1,
        }
    }

    fn joined(&mut self, link: &Link, from: FamilyId, out: &mut Vec<Output>) {
        let class = link.class;
        let key = HotKey {
            content: link.content,
            class,
        };
        if self.hot(key).is_none() {
            self.promote(link.content, class, link.hash.clone(), Promotion::ByLink, out);
        } else if let Some(record) = self.hot(key) {
            let (hash, family) = (record.hash().clone(), self.families.of(link.content, class));
            let content = link.content;
            out.push(Output::Announcement(FamilyAnnouncement {
                content,
                hash,
                family,
                class,
                at: self.now,
            }));
        }
        let classes: Vec<Class> = self.classes.keys().copied().collect();
        for own in classes {
            let family = self.families.of(link.content, own);
            if self
                .classes
                .get_mut(&own)
                .is_some_and(|counts| counts.set_family(link.content, family))
            {
                self.changed.insert(HotKey {
                    content: link.content,
                    class: own,
                });
            }
        }
        // The family it leaves rings no more on its own: its episode ends here and goes on in the family it joins.
        if from == FamilyId(link.content) && self.families.state(from, class).is_some_and(|state| state.episode.open) {
            let now = self.now;
            let level = self
                .families
                .state_mut(from, class, self.config.links_max())
                .episode
                .closed(now);
            let own = [Some(Class::All), (class != Class::All).then_some(class)]
                .into_iter()
                .flatten();
            let records: Vec<&HotRecord> = own
                .filter_map(|class| {
                    self.hot(HotKey {
                        content: link.content,
                        class,
                    })
                })
                .collect();
            // The family has no member left here, so the alert is composed from what was its only one.
            if let (Some(level), Some(state)) = (level, self.families.state(from, class)) {
                let key = &self.config.key;
                let alert = crate::alert::compose(key, from, class.scope(), level, state, &records, now);
                out.extend(alert.map(Output::Alert));
            }
        }
        self.touched(link.content, class, out);
    }

    fn send_delta(&mut self, member: ContentId, class: Class, out: &mut Vec<Output>) {
        if let Some(delta) = self.compose_delta(member, class, self.delta_number + 1) {
            self.delta_number += 1;
            out.push(Output::Delta(delta));
        }
    }

    fn compose_delta(&self, member: ContentId, class: Class, number: u64) -> Option<Delta> {
        let family = self.families.of(member, class);
        let own = [Some(Class::All), (class != Class::All).then_some(class)];
        let records: Vec<&HotRecord> = own
            .into_iter()
            .flatten()
            .filter_map(|class| self.hot(HotKey { content: member, class }))
            .collect();
        if family.home() == self.id || records.is_empty() {
            return None;
        }
        let mut bytes = Encoder::new();
        encode_records(records.into_iter(), &mut bytes);
        Some(Delta {
            family,
            member,
            class,
            number,
            records: bytes.finish(),
        })
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<Output>) {
        let mut input = Decoder::new(&delta.records);
        let Ok(records) = decode_records(&mut input) else {
            self.counters.deltas_refused += 1;
            return;
        };
        if delta.family.home() != self.id || input.finish().is_err() {
            self.counters.deltas_refused += 1;
            return;
        }
        let joined = self.families.of(delta.family.0, delta.class);
        if joined != delta.family {
            self.relink(delta, joined, &records, out);
            return;
        }
        let state = self
            .families
            .state_mut(delta.family, delta.class, self.config.links_max());
        let full = state.remote.len() >= REMOTE_MEMBERS_MAX;
        match state.remote.get_mut(&delta.member) {
            Some((number, _)) if *number >= delta.number => return,
            Some(latest) => *latest = (delta.number, records),
            None if full => {
                self.counters.deltas_refused += 1;
                return;
            }
            None => {
                state.remote.insert(delta.member, (delta.number, records));
            }
        }
        let at = self.next_settling();
        self.deadlines.add(at, Duty::Judge(delta.family, delta.class));
        if delta.class == Class::All {
            for own in self.families.scopes_with_state(delta.family) {
                self.deadlines.add(at, Duty::Judge(delta.family, own));
            }
        }
    }

    /// The founder of this family joined another: its members are told to follow.
    fn relink(&self, delta: &Delta, family: FamilyId, records: &[HotRecord], out: &mut Vec<Output>) {
        let Some(record) = records.first() else { return };
        out.push(Output::Link(Link {
            content: delta.member,
            hash: record.hash().clone(),
            family,
            evidence: Evidence::FounderLinked,
            party: None,
            class: delta.class,
            at: self.now,
        }));
    }

    fn decision(&mut self, decision: &Decision, out: &mut Vec<Output>) {
        let class = decision.scope.own_class();
        let family = self.families.of(decision.family.0, class);
        if family.home() != self.id || self.retries.insert(decision.id.0 as u64, self.now) == Inserted::Known {
            return;
        }
        let now = self.now;
        let open_for_all = self
            .families
            .state(family, Class::All)
            .is_some_and(|state| state.episode.open);
        let hour = total(&self.records(family, class), Resolution::Minute1, 60, now);
        let state = self.families.state_mut(family, class, self.config.links_max());
        state.verdict = Some(decision.verdict);
        let level = match state.episode.reasserted(now) {
            // Readers of this scope have seen scope `all`'s alert so far. From now on the scope has an episode of its own.
            None if open_for_all && class != Class::All => state.episode.judged(Rings::Yes, hour, now),
            level => level,
        };
        if let Some(level) = level {
            self.alert(family, class, level, out);
        }
    }
}

/// Why a content becomes hot.
#[derive(Clone, Copy, Debug)]
enum Promotion {
    /// It spreads: a sighting at `at` made it at most `spread` in the last hour.
    BySighting { at: Timestamp, spread: u32 },
    /// It was linked to a family.
    ByLink,
}

impl GroupConfig {
    fn links_max(&self) -> usize {
        (self.hot_max * LINKS_PER_HOT).max(LINKS_MIN)
    }
}
