//! Whether the counts that the groups answer with hold the truth, and how far they are off, on a sample of the day's contents.

use std::collections::{HashMap, HashSet};

use tocsin_loadtest::day::Family;
use tocsin_model::{Class, ClockFlag, ContentId, Sighting, Timestamp};
use tocsin_velocity::Group;
use tocsin_velocity::figures::WindowLength;

pub(super) use super::super::windows::Bound;
use super::super::windows::{Answer, answer};

/// The exact counts of a sample of contents.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    spread: HashMap<ContentId, Vec<Timestamp>>,
    numbers: HashSet<u64>,
}

/// One content in this many is in the sample, and each that spreads enough for people to ask about it.
const ONE_IN: u64 = 200;

impl Sample {
    /// Whether what is known by this scattered number is in the sample.
    pub(super) fn holds(family: Family, scattered: u64) -> bool {
        use tocsin_loadtest::day::FamilyKind::{Attack, Burst, Ordinary};
        match family.kind() {
            Ordinary | Attack => scattered.is_multiple_of(ONE_IN),
            Burst => scattered.is_multiple_of(ONE_IN / 10),
            _ => true,
        }
    }

    /// A sighting, which the groups are told too; `number` is that of its event, which a duplicate repeats.
    pub(super) fn add(&mut self, sighting: &Sighting<'_>, number: u64) {
        if sighting.kind.is_spread() && sighting.clock != ClockFlag::Late && self.numbers.insert(number) {
            self.spread
                .entry(sighting.content)
                .or_default()
                .push(sighting.occurred_at);
        }
    }

    /// What the groups answer for every window, beside what is true.
    pub(super) fn bounds(&self, groups: &[Group]) -> Vec<Bound> {
        let mut contents: Vec<_> = self.spread.iter().collect();
        contents.sort_unstable_by_key(|(content, _)| **content);
        let windows = contents
            .into_iter()
            .flat_map(|content| WindowLength::ALL.map(|length| (content, length)));
        windows
            .map(|((content, spread), length)| {
                let group = &groups[usize::from(content.group().0)];
                let answer: Answer = answer(group, *content, Class::All, length);
                let inside = |at: &&Timestamp| answer.from <= **at && **at < answer.to;
                Bound {
                    exact: spread.iter().filter(inside).count() as u64,
                    low: answer.spread.low,
                    high: answer.spread.high,
                    stated: answer.bound,
                }
            })
            .collect()
    }
}
