//! What hot records say of a case's clocks, and of where its family spreads, for the store to keep.

use std::collections::BTreeSet;

use tocsin_casework::{ClockKind, Code, PlatformClocks, Team};
use tocsin_model::{FamilyId, Kind, Milliseconds};
use tocsin_store::{Observed, STREAMS_MAX};

use super::{Figures, LOOK_AGAIN};

impl Figures {
    /// Looks at what the records that a team may see say of clocks, regions and languages, unless it was looked at just before: these change
    /// seldom, and a family is ranked again after [`LOOK_AGAIN`] whatever happens.
    pub(super) fn observe(&mut self, family: FamilyId, team: Team) {
        let former = self.observed.get(&(family, team));
        if former.is_some_and(|(at, _)| self.now < *at + LOOK_AGAIN) {
            return;
        }
        let mut clocks = PlatformClocks::default();
        let (mut regions, mut languages, mut streams) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let day = (self.now - Milliseconds::from_hours(24), self.now);
        for (record, _) in self.seen_by(family, team) {
            for (platform, kind, at) in record.first_of_each() {
                if kind.is_live() {
                    streams.insert((record.content(), platform));
                }
                let clock = match kind {
                    Kind::Upload | Kind::BlockedUpload | Kind::Share | Kind::LiveStart => ClockKind::FirstSeen,
                    Kind::Report => ClockKind::FirstReport,
                    Kind::Notice => ClockKind::Notice,
                    Kind::Removal => ClockKind::Removed,
                    _ => continue,
                };
                clocks.note(platform, clock, at);
            }
            regions.extend(record.regions(day.0, day.1).codes.into_iter().map(|(code, _)| code));
            languages.extend(record.languages(day.0, day.1).codes.into_iter().map(|(code, _)| code));
        }
        let stated = |codes: BTreeSet<Code>| codes.into_iter().filter(|code| *code != [0; 2]).collect();
        let observed = Observed {
            clocks: clocks.iter().collect(),
            streams: streams.into_iter().take(STREAMS_MAX).collect(),
            regions: stated(regions),
            languages: stated(languages),
        };
        if former.is_none_or(|(_, former)| *former != observed) {
            self.untold.insert((family, team));
        }
        self.observed.insert((family, team), (self.now, observed));
    }

    /// What the store is to be told of, at most so much; told again if it is not kept.
    pub(crate) fn take_untold(&mut self, most: usize) -> Vec<(FamilyId, Team, Observed)> {
        let taken: Vec<_> = self.untold.iter().take(most).copied().collect();
        let told = taken.into_iter().filter_map(|key| {
            self.untold.remove(&key);
            Some((key.0, key.1, self.observed.get(&key)?.1.clone()))
        });
        told.collect()
    }

    /// The store did not keep it.
    pub(crate) fn put_back(&mut self, family: FamilyId, team: Team) {
        if self.observed.contains_key(&(family, team)) {
            self.untold.insert((family, team));
        }
    }
}
