//! What hot records say of a case's clocks, and of where its family spreads, for the store to keep.

use std::collections::BTreeSet;

use tocsin_casework::{ClockKind, Code, PlatformClocks, Seen, Team};
use tocsin_model::{FamilyId, Kind, LiveFigures, Milliseconds};
use tocsin_store::{Observed, STREAMS_MAX};
use tocsin_velocity::evidence::evidence;
use tocsin_velocity::priority::severity;
use tocsin_velocity::weight::Weights;
use tocsin_velocity::{HotRecord, live_figures};

use super::{Figures, LOOK_AGAIN};

/// A severity is told again when it moved by as much: labels move it a little with each event.
const SEVERITY_STEP: f64 = 0.05;
/// So often it is told again that a family has a live stream, though nothing moved: an alert meanwhile may have said otherwise of an earlier time.
const LIVE_AGAIN: Milliseconds = Milliseconds::from_minutes(1);

impl Figures {
    /// Looks at what the records that a team may see say of clocks, platforms, severity, regions and languages, unless it was looked at just before: these change
    /// seldom, and a family is ranked again after [`LOOK_AGAIN`] whatever happens. That a live stream began or ended is seen at once.
    pub(super) fn observe(&mut self, family: FamilyId, team: Team) {
        let records: Vec<&HotRecord> = self.seen_by(family, team).map(|(hot, _)| hot).collect();
        let live = live_figures(&records, self.now);
        let former = self.observed.get(&(family, team));
        if former.is_some_and(|(at, former)| self.now < *at + LOOK_AGAIN && running(former.live()) == running(live)) {
            return;
        }
        let clocks = platform_clocks(&records);
        let (mut regions, mut languages, mut streams) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let day = (self.now - Milliseconds::from_hours(24), self.now);
        for record in &records {
            let live = record.first_of_each().filter(|(_, kind, _)| kind.is_live());
            streams.extend(live.map(|(platform, ..)| (record.content(), platform)));
            regions.extend(record.regions(day.0, day.1).codes.into_iter().map(|(code, _)| code));
            languages.extend(record.languages(day.0, day.1).codes.into_iter().map(|(code, _)| code));
        }
        let stated = |codes: BTreeSet<Code>| codes.into_iter().filter(|code| *code != [0; 2]).collect();
        let on = |platform: &_| clocks.at(*platform, ClockKind::FirstSeen).is_some();
        let seen = (!records.is_empty()).then(|| {
            let weights = Weights::of(self.weighings.get(&team.scope()), self.now);
            let watched = records.iter().filter_map(|record| record.watched()).max();
            let grave = severity(&evidence(&records, &weights, self.now), watched);
            Seen {
                at: self.now,
                platforms: clocks.platforms().into_iter().filter(on).collect(),
                severity: if grave.is_finite() { grave } else { 1.0 },
                live,
            }
        });
        let observed = Observed {
            seen,
            clocks: clocks.iter().collect(),
            streams: streams.into_iter().take(STREAMS_MAX).collect(),
            regions: stated(regions),
            languages: stated(languages),
        };
        let now = self.now;
        match self.observed.get_mut(&(family, team)) {
            Some((at, former)) if !is_news(former, &observed) => *at = now,
            _ => {
                self.untold.insert((family, team));
                self.observed.insert((family, team), (now, observed));
            }
        }
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

/// What hot records of one family say of when what first happened to it on each platform.
pub fn platform_clocks(records: &[&HotRecord]) -> PlatformClocks {
    let mut clocks = PlatformClocks::default();
    for (platform, kind, at) in records.iter().flat_map(|record| record.first_of_each()) {
        let clock = match kind {
            Kind::Upload | Kind::BlockedUpload | Kind::Share | Kind::LiveStart => ClockKind::FirstSeen,
            Kind::Report => ClockKind::FirstReport,
            Kind::Notice => ClockKind::Notice,
            Kind::Removal => ClockKind::Removed,
            _ => continue,
        };
        clocks.note(platform, clock, at);
    }
    clocks
}

/// How many streams run; none where nothing is known of any.
fn running(live: Option<LiveFigures>) -> u32 {
    live.map_or(0, |live| live.running)
}

/// Whether the store is to be told anew.
fn is_news(former: &Observed, observed: &Observed) -> bool {
    let told = |observed: &Observed| {
        let Observed {
            seen: _,
            clocks,
            streams,
            regions,
            languages,
        } = observed.clone();
        (clocks, streams, regions, languages)
    };
    let seen_anew = match (&former.seen, &observed.seen) {
        (Some(former), Some(seen)) => {
            let viewers = |seen: &Seen| seen.live.map(|live| (live.streams, live.running, live.viewers));
            former.platforms != seen.platforms
                || (former.severity - seen.severity).abs() >= SEVERITY_STEP
                || viewers(former) != viewers(seen)
                || (seen.live.is_some() && former.at + LIVE_AGAIN <= seen.at)
        }
        (former, seen) => former.is_some() != seen.is_some(),
    };
    seen_anew || told(former) != told(observed)
}
