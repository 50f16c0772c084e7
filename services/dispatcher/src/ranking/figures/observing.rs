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
    /// seldom, and a family is ranked again after [`LOOK_AGAIN`] whatever happens. That a live stream began or ended is seen at once. Where no record is held of a
    /// family that may have some in the state, nothing is said: another dispatcher may hold them.
    pub(super) fn observe(&mut self, family: FamilyId, team: Team) {
        let records: Vec<&HotRecord> = self.seen_by(family, team).map(|(hot, _)| hot).collect();
        if self.latest().is_none() || (records.is_empty() && self.is_lost(&family)) {
            return;
        }
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
        let seen = match records.is_empty() {
            true => Seen::nothing(self.now),
            false => {
                let weights = Weights::of(self.weighings.get(&team.scope()), self.now);
                let watched = records.iter().filter_map(|record| record.watched()).max();
                let grave = severity(&evidence(&records, &weights, self.now), watched);
                Seen {
                    at: self.now,
                    platforms: clocks.platforms().into_iter().filter(on).collect(),
                    severity: if grave.is_finite() { grave } else { 1.0 },
                    live,
                }
            }
        };
        let observed = Observed {
            seen: Some(seen),
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

    /// Looks at all open cases anew: while the state was read, families were looked at of which records were still to come.
    pub(crate) fn observe_anew(&mut self) {
        self.untold.clear();
        let observed = std::mem::take(&mut self.observed);
        self.changed.extend(observed.into_keys().map(|(family, _)| family));
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

#[cfg(test)]
mod tests {
    //! Goal: what is told of a family is what the whole state says of it, as of a time; nothing is said of what was left out for want of room.
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use super::super::tests::{hot, take};
    use super::*;

    const TEAM: Team = Team::Coordinators;

    #[test]
    fn what_was_observed_while_the_state_was_read_is_not_told() {
        let (mut figures, start) = (Figures::new(9), Instant::now());
        let (early, late) = (hot(1), hot(2));
        take(&mut figures, &early, start, true);
        // Ranked between two batches, before its record comes, and not looked at again for a while.
        figures.observe(late.0, TEAM);
        take(&mut figures, &late, start, true);
        figures.observe(late.0, TEAM);
        figures.observe_anew();
        assert_eq!(figures.take_untold(9), [], "nothing was looked at as a whole yet");
        assert!(figures.changed.contains(&late.0), "it is looked at anew");
        figures.observe(late.0, TEAM);
        let told = figures.take_untold(9);
        assert_eq!((told.len(), told[0].0), (1, late.0));
        let seen = told[0].2.seen.clone().unwrap();
        assert_eq!(seen.platforms, [tocsin_model::PlatformId(1)]);
    }

    #[test]
    fn nothing_is_said_of_what_was_left_out() {
        let (mut figures, start) = (Figures::new(1), Instant::now());
        figures.observe(hot(3).0, TEAM);
        assert_eq!(figures.take_untold(9), [], "no time is known");
        let (held, left_out, cold) = (hot(1), hot(2), hot(3));
        take(&mut figures, &held, start, true);
        take(&mut figures, &left_out, start, true);
        figures.observe(left_out.0, TEAM);
        assert_eq!(figures.take_untold(9), []);
        figures.observe(cold.0, TEAM);
        let told = figures.take_untold(9);
        assert_eq!((told.len(), told[0].0), (1, cold.0));
        assert_eq!(told[0].2.seen, Some(Seen::nothing(figures.now)), "as of a time");
    }
}
