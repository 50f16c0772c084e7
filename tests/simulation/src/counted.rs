//! What the state counts once its input was deleted and made anew: no restore reads it any more, so its newest hot records are read as they stand in the state topic.

use std::collections::BTreeMap;

use tocsin_log::{Record, TopicPartition};
use tocsin_model::{Kind, PlatformId};
use tocsin_sketch::codec::Decoder;
use tocsin_velocity::{HotKey, HotRecord, Resolution};
use tocsin_wire::state::{StateKey, StateRecord};
use tocsin_wire::topics;

use crate::broker::Broker;
use crate::oracle::Exact;

/// Copies of one content in one class, by platform and kind.
type Counts = BTreeMap<(PlatformId, Kind), u64>;

/// What is wrong with what is counted of a partition of the sightings; `first_act`: where it ended when all of it had been applied.
pub fn check(broker: &Broker, input: &TopicPartition, first_act: u64) -> Vec<String> {
    let former = broker.former(input);
    let up_to = |end: u64| former.iter().filter(move |record| record.offset < end).cloned();
    let hot = hot_records(broker, input.partition);
    let mut wrong = Vec::new();
    let least = Exact::of(up_to(first_act));
    for key in least.keys().filter(|key| !hot.contains_key(key)) {
        wrong.push(format!("I1: what was counted of {key:?} is gone"));
    }
    let went_on = broker.went_on.contains(input);
    let new = broker.committed(input).into_iter().map(|entry| entry.record.clone());
    let most = Exact::of(up_to(u64::MAX).chain(new));
    for (key, (applied_through, counted)) in &hot {
        let bounds = match went_on {
            true => [least.counts_of(key), most.counts_of(key)],
            false => {
                let exact = Exact::of(up_to(*applied_through)).counts_of(key);
                [exact.clone(), exact]
            }
        };
        let at = |counts: &Counts, place: &(PlatformId, Kind)| counts.get(place).copied().unwrap_or(0);
        for place in counted.keys().chain(bounds[1].keys()) {
            let (count, [low, high]) = (
                at(counted, place),
                [&bounds[0], &bounds[1]].map(|counts| at(counts, place)),
            );
            if !(low..=high).contains(&count) {
                wrong.push(format!(
                    "I1: {count} copies are counted of {key:?} {place:?} up to {applied_through} of a topic that was made anew, there were {low} to {high}"
                ));
            }
        }
    }
    wrong
}

/// The newest hot records that stand in the state topic: up to which offset each was applied, and what it counts.
fn hot_records(broker: &Broker, partition: u32) -> BTreeMap<HotKey, (u64, Counts)> {
    let mut newest: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for entry in broker.committed(&TopicPartition::new(topics::STATE, partition)) {
        let Record { key, value, .. } = &entry.record;
        newest.insert(
            key.as_deref().unwrap_or_default().to_vec(),
            value.as_deref().map(<[u8]>::to_vec),
        );
    }
    let hot = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
        let Some(StateKey::Hot { .. }) = StateKey::from_bytes(&key) else {
            return None;
        };
        let state = StateRecord::decode(&value?).expect("a detector writes whole records");
        let record = HotRecord::decode(&mut Decoder::new(&state.body)).expect("a detector writes whole records");
        let mut counts = Counts::new();
        for (platform, kind, _, count) in record.series(Resolution::Minutes15) {
            if kind.is_spread() {
                *counts.entry((platform, kind)).or_insert(0) += u64::from(count);
            }
        }
        let key = HotKey {
            content: record.content(),
            class: record.class(),
        };
        Some((key, (state.applied_through, counts)))
    };
    newest.into_iter().filter_map(hot).collect()
}

impl Exact {
    fn of(records: impl Iterator<Item = Record>) -> Exact {
        let mut exact = Exact::default();
        exact.read(&records.collect::<Vec<_>>());
        exact
    }

    fn keys(&self) -> impl Iterator<Item = HotKey> + '_ {
        self.counts.keys().map(|(content, class, ..)| HotKey {
            content: *content,
            class: *class,
        })
    }

    fn counts_of(&self, key: &HotKey) -> Counts {
        let of_key = self
            .counts
            .iter()
            .filter(|((content, class, ..), _)| (content, class) == (&key.content, &key.class));
        of_key
            .map(|((_, _, platform, kind), count)| ((*platform, *kind), *count))
            .collect()
    }
}
