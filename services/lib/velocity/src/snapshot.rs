use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use tocsin_model::{Class, GroupId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};
use tocsin_sketch::{ColdCounts, RecentTokens};

use crate::calibrations::Calibrations;
use crate::class::ClassCounts;
use crate::deadline::{Deadlines, decode_class};
use crate::family::Families;
use crate::group::Group;
use crate::input::GroupConfig;
use crate::learning::Outcomes;
use crate::marks::Marks;
use crate::populations::GroupPopulations;
use crate::watched::WatchList;
use crate::weight::Weighings;

/// The version of the layout below.
pub const SNAPSHOT_VERSION: u16 = 10;
/// The layouts that are read. 9 knew neither removals of contents that are not hot, nor candidates, nor what of a bound is of others; 8 knew no weights of evidence, nor how members in other groups joined; 7 knew no frames that contents have in common; 6 did not keep by which families a content came into its own, nor in which one an episode was raised; 5 kept neither
/// how a content joined its family nor since when it is watched; 4 knew no populations, no nulls and no repeats either: such a group begins to keep
/// them.
pub const SNAPSHOT_VERSIONS_READ: RangeInclusive<u16> = 4..=SNAPSHOT_VERSION;
/// The layouts that are written: see [`SnapshotLayout`].
pub const SNAPSHOT_VERSIONS_WRITTEN: RangeInclusive<u16> = SNAPSHOT_VERSION - 1..=SNAPSHOT_VERSION;

/// A layout that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapshotLayout {
    /// 9, for going back to a program that knows no later one: removals of contents that are not hot are forgotten there.
    Before,
    /// [`SNAPSHOT_VERSION`].
    #[default]
    Current,
}

impl SnapshotLayout {
    /// Its version.
    pub fn version(self) -> u16 {
        match self {
            SnapshotLayout::Before => SNAPSHOT_VERSION - 1,
            SnapshotLayout::Current => SNAPSHOT_VERSION,
        }
    }

    /// The layout of this version, if it is written.
    pub fn of_version(version: u16) -> Option<Self> {
        [SnapshotLayout::Before, SnapshotLayout::Current]
            .into_iter()
            .find(|layout| layout.version() == version)
    }
}

impl Group {
    /// The state without its cold counts. Equal states have equal bytes.
    pub fn encode_core(&self) -> Vec<u8> {
        self.encode_core_in(SnapshotLayout::Current)
    }

    /// The same in a stated layout.
    pub fn encode_core_in(&self, layout: SnapshotLayout) -> Vec<u8> {
        let mut out = Encoder::new();
        out.number(u64::from(layout.version()));
        out.number(u64::from(self.id.0));
        out.signed(self.now.0);
        out.number(self.delta_number);
        self.marks.encode(&mut out);
        self.retries.encode(&mut out);
        self.families.encode(&mut out);
        self.deadlines.encode(&mut out);
        self.outcomes.encode(&mut out);
        self.calibrations.encode(&mut out);
        self.watch_list.encode(&mut out);
        self.populations.encode(&mut out);
        self.weighings.encode(&mut out);
        out.number(self.classes.len() as u64);
        for (class, counts) in self.classes.iter() {
            out.number(u64::from(class.number()));
            counts.encode_hot(layout, &mut out);
        }
        out.finish()
    }

    /// The cold counts of one class.
    pub fn encode_cold(cold: &ColdCounts) -> Vec<u8> {
        let mut out = Encoder::new();
        cold.encode(&mut out);
        out.finish()
    }

    /// The state from the bytes of [`Group::encode_core`] and of the cold counts of every class.
    ///
    /// # Errors
    /// The bytes are not a state of [`SNAPSHOT_VERSIONS_READ`], or a class's cold counts are missing.
    pub fn decode(config: GroupConfig, core: &[u8], cold: &BTreeMap<Class, Vec<u8>>) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(core);
        let version: u16 = input.narrow("snapshot version")?;
        if !SNAPSHOT_VERSIONS_READ.contains(&version) {
            return Err(DecodeError::Invalid("snapshot version"));
        }
        let (has_populations, has_since) = (version >= 5, version >= 6);
        let mut group = Group::new(GroupId(input.narrow("group")?), config);
        group.now = Timestamp(input.signed()?);
        group.delta_number = input.number()?;
        group.marks = Marks::decode(&mut input)?;
        group.retries = RecentTokens::decode(group.config.retry_horizon, group.config.retry_tokens_max, &mut input)?;
        group.families = Families::decode(version, &mut input)?;
        group.deadlines = Deadlines::decode(&mut input)?;
        group.outcomes = Outcomes::decode(&mut input)?;
        group.calibrations = Calibrations::decode(has_populations, &mut input)?;
        group.watch_list = WatchList::decode(has_since, group.now, &mut input)?;
        if has_populations {
            group.populations = GroupPopulations::decode(&mut input)?;
        }
        if version >= 9 {
            group.weighings = Weighings::decode(&mut input)?;
        }
        for _ in 0..input.length(3)? {
            let class = decode_class(&mut input)?;
            let mut counts = ClassCounts::new(&group.config, group.now);
            counts.decode_hot(version, group.now, &mut input)?;
            let bytes = cold.get(&class).ok_or(DecodeError::Invalid("set of cold counts"))?;
            let mut cold_input = Decoder::new(bytes);
            counts.cold = ColdCounts::decode(group.config.cold, &mut cold_input)?;
            cold_input.finish()?;
            group.classes.insert(class, counts);
        }
        input.finish()?;
        Ok(group)
    }
}
