use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{Ranks, Team};
use tocsin_log::RecordRef;
use tocsin_model::{Class, ContentId, FamilyId, Milliseconds, Timestamp, Verdict};
use tocsin_sketch::codec::Decoder;
use tocsin_velocity::HotRecord;
use tocsin_velocity::evidence::evidence;
use tocsin_velocity::forecast::{Calibration, Model};
use tocsin_velocity::priority::{Setting, priority};
use tocsin_wire::state::{StateKey, StateRecord};

/// The most hot records that are kept; what comes beyond is left out, and the store's priority holds.
pub(crate) const RECORDS_MAX: usize = 200_000;
/// A figure that stands still sinks: so often it is looked at again, in the groups' time.
const LOOK_AGAIN: Milliseconds = Milliseconds::from_seconds(15);

/// The hot records of families that have open cases, as `tocsin.state` tells them, and what they make of priorities.
///
/// The probability and the exposure are those of `tocsin_velocity::priority`, with the calibration of forecasts that the version ships: what a
/// group has learned of its own forecasts is not in its hot records.
#[derive(Debug)]
pub(crate) struct Figures {
    records_max: usize,
    records: BTreeMap<(ContentId, Class), HotRecord>,
    members: BTreeMap<FamilyId, BTreeSet<(ContentId, Class)>>,
    /// When to look at a family again.
    due: BTreeSet<(Timestamp, FamilyId)>,
    due_at: BTreeMap<FamilyId, Timestamp>,
    /// Families of which a record changed.
    changed: BTreeSet<FamilyId>,
    /// The latest time of any group.
    now: Timestamp,
    calibration: Calibration,
    /// How many records were left out.
    pub left_out: u64,
}

impl Figures {
    pub(crate) fn new(records_max: usize) -> Figures {
        Figures {
            records_max,
            records: BTreeMap::new(),
            members: BTreeMap::new(),
            due: BTreeSet::new(),
            due_at: BTreeMap::new(),
            changed: BTreeSet::new(),
            now: Timestamp(i64::MIN),
            calibration: Calibration::new(&Model::SHIPPED),
            left_out: 0,
        }
    }

    /// Takes a record of `tocsin.state`. What is none, or is of no family with an open case, changes nothing.
    pub(crate) fn take(&mut self, record: &RecordRef<'_>, is_wanted: impl Fn(FamilyId) -> bool) {
        match (record.key.and_then(StateKey::from_bytes), record.value) {
            (Some(StateKey::Hot { content, class, .. }), None) => self.forget((content, class)),
            (Some(StateKey::Hot { content, class, .. }), Some(value)) => {
                if let Some((hot, as_of)) = decode(value) {
                    self.now = self.now.max(as_of);
                    match (hot.content(), hot.class()) == (content, class) && is_wanted(hot.family()) {
                        true => self.put((content, class), hot),
                        false => self.forget((content, class)),
                    }
                }
            }
            (Some(StateKey::Header { .. }), Some(value)) => {
                if let Ok(header) = StateRecord::decode(value) {
                    self.now = self.now.max(header.as_of);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, key: (ContentId, Class), hot: HotRecord) {
        if self.records.len() >= self.records_max && !self.records.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let family = hot.family();
        if self.records.get(&key).is_some_and(|former| former.family() != family) {
            self.forget(key);
        }
        self.records.insert(key, hot);
        self.members.entry(family).or_default().insert(key);
        self.changed.insert(family);
    }

    fn forget(&mut self, key: (ContentId, Class)) {
        let Some(former) = self.records.remove(&key) else {
            return;
        };
        let family = former.family();
        if let Some(members) = self.members.get_mut(&family) {
            members.remove(&key);
            if members.is_empty() {
                self.members.remove(&family);
            }
        }
        self.changed.insert(family);
    }

    /// Ranks anew the families whose figures moved, and those that stood still for a while; how many.
    pub(crate) fn rank(&mut self, ranks: &mut Ranks) -> usize {
        while let Some((at, family)) = self.due.first().copied().filter(|(at, _)| *at <= self.now) {
            self.due.remove(&(at, family));
            self.due_at.remove(&family);
            self.changed.insert(family);
        }
        let changed = std::mem::take(&mut self.changed);
        for family in &changed {
            if let Some(at) = self.due_at.remove(family) {
                self.due.remove(&(at, *family));
            }
            if !ranks.has_family(*family) {
                self.drop_family(*family);
                continue;
            }
            ranks.set_live(*family, |team, verdict| self.priority(*family, team, verdict));
            if self.members.contains_key(family) {
                let at = self.now + LOOK_AGAIN;
                self.due.insert((at, *family));
                self.due_at.insert(*family, at);
            }
        }
        changed.len()
    }

    /// Its cases are all decided or closed.
    fn drop_family(&mut self, family: FamilyId) {
        for key in self.members.remove(&family).unwrap_or_default() {
            self.records.remove(&key);
        }
    }

    /// What acting on the family is worth to a team: by the records that it may see. `None` where there is none.
    fn priority(&self, family: FamilyId, team: Team, verdict: Option<Verdict>) -> Option<f64> {
        let own = team.scope().own_class();
        let keys = self.members.get(&family)?.iter();
        let seen = keys.filter(|(_, class)| *class == Class::All || *class == own);
        let records: Vec<&HotRecord> = seen.filter_map(|key| self.records.get(key)).collect();
        if records.is_empty() {
            return None;
        }
        let setting = Setting {
            verdict,
            watched: records.iter().filter_map(|record| record.watched()).max(),
            calibration: &self.calibration,
            now: self.now,
        };
        Some(priority(&evidence(&records, self.now), setting).priority)
    }

    /// How many families have live figures.
    pub(crate) fn families(&self) -> usize {
        self.members.len()
    }
}

fn decode(value: &[u8]) -> Option<(HotRecord, Timestamp)> {
    let record = StateRecord::decode(value).ok()?;
    let mut input = Decoder::new(&record.body);
    let hot = HotRecord::decode(&mut input).ok()?;
    input.finish().ok()?;
    Some((hot, record.as_of))
}
