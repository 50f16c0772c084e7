mod following;
mod keeping;
mod leaking;
mod observing;
mod ranks;

pub use observing::platform_clocks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tocsin_casework::{CaseId, Team};
use tocsin_log::RecordRef;
use tocsin_model::{
    Class, ContentHash, ContentId, FamilyId, Milliseconds, PartitionCount, PartyId, PlatformId, Scope, Timestamp,
    Verdict, Weighing,
};
use tocsin_sketch::codec::Decoder;
use tocsin_store::{Observed, SharedFamily};
use tocsin_velocity::HotRecord;
use tocsin_velocity::evidence::evidence;
use tocsin_velocity::forecast::{Calibration, Model};
use tocsin_velocity::priority::{Setting, priority};
use tocsin_velocity::weight::Weights;
use tocsin_wire::state::{StateKey, StateRecord};

use crate::incidents::{FamilyReading, reading};

/// A figure that stands still sinks: so often it is looked at again, in the groups' time.
const LOOK_AGAIN: Milliseconds = Milliseconds::from_seconds(15);
/// For so long a family that has no open case is kept after its last record: its case comes after its figures, when the alert was applied
/// and the store told of it.
const SPARE_AGE_MAX: Duration = Duration::from_secs(600);

/// The hot records of families that have open cases, or may come to have one soon, as `tocsin.state` tells them, and what they make of priorities.
///
/// The probability and the exposure are those of `tocsin_velocity::priority`, with the calibration of forecasts that the version ships: what a
/// group has learned of its own forecasts is not in its hot records.
#[derive(Debug)]
pub(crate) struct Figures {
    records_max: usize,
    /// Each with the time up to which it counts.
    records: BTreeMap<(ContentId, Class), (HotRecord, Timestamp)>,
    members: BTreeMap<FamilyId, BTreeSet<(ContentId, Class)>>,
    /// Families without an open case. They go first where room is wanted, the one of which nothing was heard for the longest before the others.
    spare: BTreeMap<FamilyId, (Instant, u64)>,
    spare_order: BTreeMap<(Instant, u64), FamilyId>,
    spared: u64,
    /// When to look at a family again.
    due: BTreeSet<(Timestamp, FamilyId)>,
    due_at: BTreeMap<FamilyId, Timestamp>,
    /// Families of which a record changed.
    changed: BTreeSet<FamilyId>,
    /// Families that are kept for their own sake, whether or not they have an open case: those of open incidents.
    kept: BTreeSet<FamilyId>,
    /// Families of which records were dropped or left out since the state was read from its beginning; `None`: more than are remembered.
    lost: Option<BTreeSet<FamilyId>>,
    /// The same of decided families of which it is followed what platforms do; of those in `moved` a record changed.
    followed: BTreeSet<FamilyId>,
    moved: BTreeSet<FamilyId>,
    /// The same of families that others were told of, with who told them; and of which platforms it is known that copies were posted in spite of it.
    shared: BTreeSet<FamilyId>,
    shared_with_others: Vec<SharedFamily>,
    leaked: BTreeSet<(CaseId, PlatformId)>,
    /// The latest time of any group.
    now: Timestamp,
    /// The time of each partition.
    partition_as_of: BTreeMap<u32, Timestamp>,
    calibration: Calibration,
    /// How often evidence was right and wrong for each team, by its scope.
    weighings: BTreeMap<Scope, Weighing>,
    /// What was last observed of each open case, and when, in the groups' time; of those in `untold` the store does not know.
    observed: BTreeMap<(FamilyId, Team), (Timestamp, Observed)>,
    untold: BTreeSet<(FamilyId, Team)>,
    /// How many records of families with an open case were left out.
    pub left_out: u64,
}

impl Figures {
    /// None yet, and never more than `records_max` records, with those of families that have no open case.
    pub(crate) fn new(records_max: usize) -> Figures {
        Figures {
            records_max,
            records: BTreeMap::new(),
            members: BTreeMap::new(),
            spare: BTreeMap::new(),
            spare_order: BTreeMap::new(),
            spared: 0,
            due: BTreeSet::new(),
            due_at: BTreeMap::new(),
            changed: BTreeSet::new(),
            kept: BTreeSet::new(),
            lost: Some(BTreeSet::new()),
            followed: BTreeSet::new(),
            moved: BTreeSet::new(),
            shared: BTreeSet::new(),
            shared_with_others: Vec::new(),
            leaked: BTreeSet::new(),
            now: Timestamp(i64::MIN),
            partition_as_of: BTreeMap::new(),
            calibration: Calibration::new(&Model::SHIPPED),
            weighings: BTreeMap::new(),
            observed: BTreeMap::new(),
            untold: BTreeSet::new(),
            left_out: 0,
        }
    }

    /// Forgets everything but which families are kept and what evidence is worth, which the store says: it is read from the beginning again.
    pub(crate) fn clear(&mut self) {
        let (kept, followed) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.followed));
        let weighings = std::mem::take(&mut self.weighings);
        let shared = (
            std::mem::take(&mut self.shared),
            std::mem::take(&mut self.shared_with_others),
            std::mem::take(&mut self.leaked),
        );
        *self = Figures::new(self.records_max);
        (self.kept, self.followed, self.weighings) = (kept, followed, weighings);
        (self.shared, self.shared_with_others, self.leaked) = shared;
    }

    /// The family of a content by the records that a team may see; `None` where there is none.
    pub(crate) fn family_of(&self, content: ContentId, team: Team) -> Option<FamilyId> {
        let classes = [team.scope().own_class(), Class::All];
        let mut records = classes.iter().filter_map(|class| self.records.get(&(content, *class)));
        records.next().map(|(hot, _)| hot.family())
    }

    /// Takes a record of `tocsin.state` that is read `at`; what is none changes nothing. `is_wanted` says whether a family has an open case.
    pub(crate) fn take(&mut self, record: &RecordRef<'_>, at: Instant, is_wanted: impl Fn(FamilyId) -> bool) {
        match (record.key.and_then(StateKey::from_bytes), record.value) {
            (Some(StateKey::Hot { content, class, .. }), None) => self.forget((content, class)),
            (Some(StateKey::Hot { content, class, .. }), Some(value)) => {
                if let Some((hot, as_of)) = decode(value) {
                    self.now = self.now.max(as_of);
                    match (hot.content(), hot.class()) == (content, class) {
                        true => {
                            let is_wanted = self.is_kept(hot.family()) || is_wanted(hot.family());
                            self.put((content, class), (hot, as_of), (at, is_wanted));
                        }
                        false => self.forget((content, class)),
                    }
                }
            }
            (Some(StateKey::Header { .. }), Some(value)) => {
                if let Ok(header) = StateRecord::decode(value) {
                    self.now = self.now.max(header.as_of);
                    self.partition_as_of.insert(record.partition, header.as_of);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, key: (ContentId, Class), (hot, as_of): (HotRecord, Timestamp), (at, is_wanted): (Instant, bool)) {
        let family = hot.family();
        if self
            .records
            .get(&key)
            .is_some_and(|(former, _)| former.family() != family)
        {
            self.forget(key);
        }
        while self.records.len() >= self.records_max && !self.records.contains_key(&key) {
            if !self.drop_longest_spare() {
                self.left_out += u64::from(is_wanted);
                self.lose(family);
                return;
            }
        }
        self.records.insert(key, (hot, as_of));
        self.members.entry(family).or_default().insert(key);
        if self.followed.contains(&family) {
            self.moved.insert(family);
        }
        if is_wanted {
            self.take_back(family);
            self.changed.insert(family);
        } else {
            self.spare(family, at);
        }
    }

    fn forget(&mut self, key: (ContentId, Class)) {
        let Some((former, _)) = self.records.remove(&key) else {
            return;
        };
        let family = former.family();
        if let Some(members) = self.members.get_mut(&family) {
            members.remove(&key);
            if members.is_empty() {
                self.members.remove(&family);
            }
        }
        if !self.spare.contains_key(&family) {
            self.changed.insert(family);
        } else if !self.members.contains_key(&family) {
            self.take_back(family);
        }
    }

    /// It has no open case: none yet, or they are all decided or closed.
    fn spare(&mut self, family: FamilyId, at: Instant) {
        self.take_back(family);
        let of_family = (family, Team::Coordinators)..=(family, Team::Party(PartyId(u16::MAX)));
        let known: Vec<_> = self.observed.range(of_family).map(|(key, _)| *key).collect();
        for key in known {
            self.observed.remove(&key);
            self.untold.remove(&key);
        }
        if self.members.contains_key(&family) {
            self.spared += 1;
            let place = (at, self.spared);
            self.spare.insert(family, place);
            self.spare_order.insert(place, family);
        }
    }

    /// It has an open case, or no record.
    fn take_back(&mut self, family: FamilyId) {
        if let Some(place) = self.spare.remove(&family) {
            self.spare_order.remove(&place);
        }
    }

    /// Whether there was one.
    fn drop_longest_spare(&mut self) -> bool {
        let Some((_, family)) = self.spare_order.pop_first() else {
            return false;
        };
        self.spare.remove(&family);
        self.lose(family);
        for key in self.members.remove(&family).unwrap_or_default() {
            self.records.remove(&key);
        }
        true
    }

    /// The records of a family that a team may see, each with the time up to which it counts.
    fn seen_by(&self, family: FamilyId, team: Team) -> impl Iterator<Item = &(HotRecord, Timestamp)> {
        let own = team.scope().own_class();
        let keys = self.members.get(&family).into_iter().flatten();
        let seen = keys.filter(move |(_, class)| *class == Class::All || *class == own);
        seen.filter_map(|key| self.records.get(key))
    }

    /// Takes the latest weighing of each team. Figures that stand still follow when they are looked at again.
    pub(crate) fn set_weighings(&mut self, weighings: Vec<Weighing>) {
        let by_scope = weighings.into_iter().map(|weighing| (weighing.scope, weighing));
        self.weighings = by_scope.collect();
    }

    /// What acting on the family is worth to a team: by the records that it may see. `None` where there is none.
    fn priority(&self, family: FamilyId, team: Team, verdict: Option<Verdict>) -> Option<f64> {
        let records: Vec<&HotRecord> = self.seen_by(family, team).map(|(hot, _)| hot).collect();
        if records.is_empty() {
            return None;
        }
        let weights = Weights::of(self.weighings.get(&team.scope()), self.now);
        let setting = Setting {
            verdict,
            weights,
            watched: records.iter().filter_map(|record| record.watched()).max(),
            calibration: &self.calibration,
            now: self.now,
        };
        Some(priority(&evidence(&records, &weights, self.now), setting).priority)
    }

    /// The strongest hash of each content of a family inside a team's scope, and whether everyone may see that content; at most `max`.
    pub(crate) fn hashes(&self, family: FamilyId, team: Team, max: usize) -> BTreeMap<ContentId, (ContentHash, bool)> {
        let own = team.scope().own_class();
        let mut hashes = BTreeMap::new();
        let keys = self.members.get(&family).into_iter().flatten();
        for key in keys.filter(|(_, class)| *class == Class::All || *class == own) {
            if let Some((hot, _)) = self
                .records
                .get(key)
                .filter(|_| hashes.len() < max || hashes.contains_key(&key.0))
            {
                let (_, for_all) = hashes.entry(key.0).or_insert_with(|| (hot.hash().clone(), false));
                *for_all |= key.1 == Class::All;
            }
        }
        hashes
    }

    /// What `each` makes of the records of these contents that a team may see, each with the time up to which it counts.
    pub(crate) fn each_of<T>(
        &self,
        contents: &[ContentId],
        team: Team,
        each: impl Fn(&HotRecord, Timestamp) -> Option<T>,
    ) -> Vec<T> {
        let classes = [team.scope().own_class(), Class::All];
        let keys = contents
            .iter()
            .flat_map(|content| classes.map(|class| (*content, class)));
        let records = keys.filter_map(|key| self.records.get(&key));
        records.filter_map(|(hot, as_of)| each(hot, *as_of)).collect()
    }

    /// Whether records of one of these families may be missing for want of room.
    pub(crate) fn has_lost(&self, families: &BTreeSet<FamilyId>) -> bool {
        families.iter().any(|family| self.is_lost(family))
    }

    /// The latest time of any group, where one was told.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        (self.now > Timestamp(i64::MIN)).then_some(self.now)
    }

    /// What is known of families that are one inside a team's scope, to which the platforms of `is_own` belong. `None` where nothing of them is hot there, or a partition has not told its time yet.
    pub(crate) fn reading(
        &self,
        families: &BTreeSet<FamilyId>,
        team: Team,
        (partitions, promote_at): (PartitionCount, u32),
        is_own: impl Fn(PlatformId) -> bool,
    ) -> Option<FamilyReading> {
        let own = team.scope().own_class();
        let records: Vec<&(HotRecord, Timestamp)> =
            families.iter().flat_map(|family| self.seen_by(*family, team)).collect();
        let time_of = |group| self.partition_as_of.get(&partitions.partition_of(group)).copied();
        // The records of a unit come before the header that tells its time: each knows better up to when it counts.
        let mut as_of = self.now;
        for family in families {
            as_of = as_of.min(time_of(family.home())?);
        }
        for (hot, counted) in &records {
            as_of = as_of.min(time_of(hot.content().group())?.max(*counted));
        }
        let records: Vec<&HotRecord> = records.into_iter().map(|(hot, _)| hot).collect();
        reading(&records, own, (as_of, promote_at), &self.calibration, is_own)
    }

    /// How many families with an open case have live figures.
    pub(crate) fn families(&self) -> usize {
        self.members.len() - self.spare.len()
    }
}

fn decode(value: &[u8]) -> Option<(HotRecord, Timestamp)> {
    let record = StateRecord::decode(value).ok()?;
    let mut input = Decoder::new(&record.body);
    let hot = HotRecord::decode(&mut input).ok()?;
    input.finish().ok()?;
    Some((hot, record.as_of))
}

#[cfg(test)]
pub(super) mod tests {
    //! Goal: what is kept for cases to come is bounded in number and age, and gives way to what is wanted.
    #![allow(clippy::unwrap_used)]

    use tocsin_log::{Headers, StampedBy};
    use tocsin_model::{
        Algorithm, ClockFlag, ContentHash, DeploymentKey, Kind, PartyId, PlatformId, Sharing, Sighting,
        SourceCoordinate, SourceId, Surface,
    };
    use tocsin_sketch::ColdConfig;
    use tocsin_sketch::codec::Encoder;
    use tocsin_velocity::{Group, GroupConfig, HotKey, Input};

    use std::sync::Mutex;

    use tocsin_casework::Ranks;

    use super::*;

    /// A hot record of a content, as it stands in `tocsin.state`.
    pub(crate) fn hot(byte: u8) -> (FamilyId, Vec<u8>, Vec<u8>) {
        hot_at(byte, 1..=9)
    }

    /// One whose copies come so many milliseconds after a moment.
    pub(crate) fn hot_at(byte: u8, copies: impl IntoIterator<Item = i64>) -> (FamilyId, Vec<u8>, Vec<u8>) {
        let upload = |after| (after, PlatformId(1), Kind::Upload, Sighting::NO_LABEL);
        hot_of(byte, copies.into_iter().map(upload))
    }

    /// One of events that come so many milliseconds after it, each on a platform, of a kind, with the confidence of its label.
    pub(crate) fn hot_of(
        byte: u8,
        events: impl IntoIterator<Item = (i64, PlatformId, Kind, u8)>,
    ) -> (FamilyId, Vec<u8>, Vec<u8>) {
        let key = DeploymentKey::from_bytes([7; 32]);
        let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap();
        let (content, class) = (key.content_id(&hash), Class::All);
        let config = GroupConfig {
            key,
            cold: ColdConfig {
                width: 64,
                seed: 11,
                lateness: Milliseconds::from_hours(2),
            },
            hot_max: 16,
            promote_at: 3,
            retry_horizon: Milliseconds::from_minutes(130),
            shadow: None,
            retry_tokens_max: 10_000,
        };
        let mut group = Group::new(content.group(), config);
        for (copy, (after, platform, kind, tvec_confidence)) in (1..).zip(events) {
            let at = Timestamp(1_700_000_000_000 + after);
            let sighting = Sighting {
                source: SourceCoordinate {
                    source: SourceId(1),
                    offset: copy,
                    index: 0,
                },
                event_token: copy.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                party: PartyId(1),
                platform,
                kind,
                sharing: Sharing::All,
                surface: Surface::Feed,
                clock: ClockFlag::Plausible,
                occurred_at: at,
                received_at: at,
                content,
                hash: hash.view(),
                account: None,
                account_epoch: 0,
                audience: 1_000,
                region: [0; 2],
                language: [0; 2],
                tvec_confidence,
            };
            group.apply(Input::Sighting(&sighting), &mut Vec::new());
        }
        let mut body = Encoder::new();
        group.kept(HotKey { content, class }).unwrap().encode(&mut body);
        let record = StateRecord {
            applied_through: 1,
            as_of: Timestamp(1_700_000_001_000),
            format: 1,
            chunk: 0,
            chunks: 1,
            body: body.finish(),
        };
        let group = content.group();
        let key = StateKey::Hot { group, content, class };
        (FamilyId(content), key.to_bytes(), record.encode())
    }

    pub(crate) fn take(
        figures: &mut Figures,
        (_, key, value): &(FamilyId, Vec<u8>, Vec<u8>),
        at: Instant,
        is_wanted: bool,
    ) {
        let record = RecordRef {
            topic: "tocsin.state",
            partition: 0,
            offset: 0,
            appended_at_ms: 0,
            stamped_by: StampedBy::Log,
            key: Some(key),
            value: Some(value),
            headers: Headers::Slice(&[]),
        };
        figures.take(&record, at, |_| is_wanted);
    }

    #[test]
    fn what_nobody_wants_yet_goes_first_and_after_a_while() {
        let records: Vec<_> = (1..=4).map(hot).collect();
        let (mut figures, start) = (Figures::new(2), Instant::now());
        for record in &records[..3] {
            take(&mut figures, record, start, false);
        }
        let kept = |figures: &Figures, record: usize| figures.members.contains_key(&records[record].0);
        assert_eq!([0, 1, 2].map(|record| kept(&figures, record)), [false, true, true]);
        assert_eq!((figures.families(), figures.left_out), (0, 0));

        take(&mut figures, &records[3], start, true);
        assert_eq!([1, 2, 3].map(|record| kept(&figures, record)), [false, true, true]);
        // No case is left of what was wanted: it is kept as the others, until it is too old.
        let ranks = Mutex::new(Ranks::new(10));
        figures.rank(&ranks, start + SPARE_AGE_MAX);
        assert_eq!(figures.spare.len(), 2);
        figures.rank(&ranks, start + SPARE_AGE_MAX + Duration::from_secs(1));
        assert_eq!([2, 3].map(|record| kept(&figures, record)), [false, true]);

        take(&mut figures, &records[2], start, true);
        take(&mut figures, &records[3], start, true);
        take(&mut figures, &records[1], start, true);
        assert_eq!((figures.records.len(), figures.families(), figures.left_out), (2, 2, 1));
        assert!(figures.spare.is_empty() && figures.spare_order.is_empty());
    }
}
