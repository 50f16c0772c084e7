//! The memory that sightings will need, read before the first of them is applied.

use tocsin_model::{Class, SightingKeys};
use tocsin_sketch::ColdKeys;

use crate::class::ClassCounts;
use crate::group::Group;
use crate::record::HotRecord;

/// Of so many sightings the memory is fetched at once.
const AT_ONCE: usize = 64;

/// A sighting that is to come, and what it is counted in.
struct Ahead<'a> {
    group: &'a Group,
    keys: SightingKeys,
    /// Of class `all`, once anything was counted in it.
    counts: Option<(&'a ClassCounts, ColdKeys)>,
}

/// Reads the memory that sightings for all readers will need when they are applied to their groups, and gives some of it so that nobody leaves that out.
/// Changes nothing.
///
/// What is seen once is seldom near, and a processor waits for few pieces of memory at a time: as many as are asked for within some hundred
/// instructions. So one table is read for all sightings, then the next, and what is found by way of something else after that.
pub fn read_ahead<'a>(mut sightings: impl Iterator<Item = (&'a Group, SightingKeys)>) -> u8 {
    let mut near = 0;
    loop {
        let ahead: [Option<Ahead<'a>>; AT_ONCE] = std::array::from_fn(|_| sightings.next().map(Ahead::of));
        let each = || ahead.iter().flatten();
        let counted = || each().filter_map(|ahead| Some((ahead.keys, ahead.counts?)));
        for Ahead { group, keys, .. } in each() {
            near ^= group.retries.touch(keys.event_token);
        }
        for (_, (counts, cold)) in counted() {
            near ^= counts.cold.touch_filter(cold);
        }
        for (_, (counts, cold)) in counted() {
            near ^= counts.cold.touch_quarters(cold);
        }
        let mut records: [Option<(SightingKeys, &HotRecord)>; AT_ONCE] = [None; AT_ONCE];
        for (record, (keys, (counts, _))) in records.iter_mut().zip(counted()) {
            *record = counts.hot(keys.content).map(|record| (keys, record));
        }
        for (_, record) in records.iter().flatten() {
            near ^= record.touch_first();
        }
        for (keys, record) in records.iter().flatten() {
            near ^= record.touch(*keys);
        }
        if ahead[AT_ONCE - 1].is_none() {
            return near;
        }
    }
}

impl<'a> Ahead<'a> {
    fn of((group, keys): (&'a Group, SightingKeys)) -> Self {
        let counts = group.classes.get(Class::All);
        Ahead {
            group,
            keys,
            counts: counts.map(|counts| (counts, counts.cold.keys(keys.content))),
        }
    }
}
