//! The shadow model: the whole log of sightings, read once and in order. What must have been counted comes from plain maps that share
//! nothing with the core but the event; what must have been said comes from key groups that nothing ever disturbed.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_detector::Partition;
use tocsin_log::{Record, RecordRef};
use tocsin_model::{Alert, Class, ClockFlag, ContentId, FamilyId, Kind, PlatformId};
use tocsin_velocity::Output;
use tocsin_wire::SightingsRecord;
use tocsin_wire::block::BlockReader;

use crate::history::Setting;
use crate::traffic::partitions;

/// Copies by content, class, platform and kind.
pub type Counts = BTreeMap<(ContentId, Class, PlatformId, Kind), u64>;

/// What the log of sightings holds.
#[derive(Debug, Default)]
pub struct Exact {
    /// Each event once.
    pub counts: Counts,
    /// The events that are there.
    pub tokens: BTreeSet<u64>,
}

impl Exact {
    /// Takes in the records of a partition.
    pub fn read(&mut self, records: &[Record]) {
        let mut scratch = Vec::new();
        for record in records {
            let value = record.value.as_deref().unwrap_or_default();
            let Ok(SightingsRecord::Block(block)) = SightingsRecord::decode(value) else {
                continue;
            };
            let reader = BlockReader::new(&block, &mut scratch).expect("an intake packs whole blocks");
            for sighting in reader.sightings() {
                let is_new = self.tokens.insert(sighting.event_token);
                let is_spread = matches!(sighting.kind, Kind::Upload | Kind::BlockedUpload | Kind::Share);
                if !is_new || !is_spread || sighting.clock == ClockFlag::Late {
                    continue;
                }
                for class in sighting.sharing.classes(sighting.party) {
                    let place = (sighting.content, class, sighting.platform, sighting.kind);
                    *self.counts.entry(place).or_insert(0) += 1;
                }
            }
        }
    }
}

/// A partition that nothing disturbed, and what it said.
#[derive(Debug)]
pub struct Undisturbed {
    /// As it is in the end.
    pub partition: Partition,
    /// By id.
    pub alerts: BTreeMap<u128, Alert>,
    /// Links and decisions for other groups, as they stand in the log.
    pub onward: Vec<Vec<u8>>,
    /// Of each member of a family elsewhere: the number of its newest figures.
    pub deltas: BTreeMap<(FamilyId, ContentId, Class), u64>,
}

impl Undisturbed {
    /// Plays the records of a partition.
    pub fn play(setting: &Setting, number: u32, records: &[Record]) -> Undisturbed {
        let config = setting.setup.group_config(&setting.detector);
        let mut undisturbed = Undisturbed {
            partition: Partition::new(number, partitions(), &config, 0),
            alerts: BTreeMap::new(),
            onward: Vec::new(),
            deltas: BTreeMap::new(),
        };
        for record in records {
            undisturbed.partition.apply(RecordRef {
                topic: &record.from.topic,
                partition: number,
                offset: record.offset,
                appended_at_ms: record.appended_at_ms,
                stamped_by: tocsin_log::StampedBy::Log,
                key: None,
                value: record.value.as_deref(),
                headers: tocsin_log::Headers::Slice(&record.headers),
            });
        }
        let said = undisturbed.partition.take_outputs();
        let alerts = said.alerts.into_iter().map(|alert| (alert.said.id.0, alert.said));
        undisturbed.alerts = alerts.collect();
        for onward in said.onward {
            match onward.said {
                Output::Link(link) => undisturbed.onward.push(SightingsRecord::Link(link).encode()),
                Output::Decision(decision) => undisturbed.onward.push(SightingsRecord::Decision(decision).encode()),
                Output::Delta(delta) => {
                    let newest = undisturbed
                        .deltas
                        .entry((delta.family, delta.member, delta.class))
                        .or_insert(0);
                    *newest = delta.number.max(*newest);
                }
                Output::Alert(_) | Output::Announcement(_) | Output::Withdrawal(_) => {}
            }
        }
        undisturbed
    }
}
