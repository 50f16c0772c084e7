//! Which copies were posted after others were told of a family, by the records that the team may see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tocsin_casework::CaseId;
use tocsin_model::{FamilyId, Kind, PlatformId, Timestamp};
use tocsin_store::SharedFamily;
use tocsin_velocity::Resolution;

use super::Figures;

/// The first copy on each platform that nobody blocked, of the case's family.
pub(crate) type Leaks = (CaseId, Vec<(PlatformId, Timestamp)>);

impl Figures {
    /// Keeps the records of these families from now on, beside the others; those that were dropped before are not looked for.
    pub(crate) fn share(&mut self, shared: Vec<SharedFamily>, at: Instant) {
        let families: BTreeSet<FamilyId> = shared.iter().map(|shared| shared.family).collect();
        let cases: BTreeSet<CaseId> = shared.iter().map(|shared| shared.case).collect();
        self.leaked.retain(|(case, _)| cases.contains(case));
        self.shared_with_others = shared;
        let former = std::mem::replace(&mut self.shared, families);
        for family in self.shared.difference(&former).copied().collect::<Vec<_>>() {
            self.take_back(family);
        }
        for family in former.difference(&self.shared).copied().collect::<Vec<_>>() {
            self.let_go(family, at);
        }
    }

    /// Copies that were posted on the team's platforms after others were told, where none was told of before.
    ///
    /// A copy is placed by the start of the bin that it was counted in, of the finest that is still kept of that time; one that is in a bin with the telling is
    /// not taken for one that came after it.
    pub(crate) fn leaks(&self) -> Vec<Leaks> {
        let mut leaks = Vec::new();
        for shared in &self.shared_with_others {
            let is_asked = |platform: PlatformId| {
                let is_own = shared.platforms.as_ref().is_none_or(|own| own.contains(&platform));
                is_own && !self.leaked.contains(&(shared.case, platform))
            };
            let mut first: BTreeMap<PlatformId, Timestamp> = BTreeMap::new();
            for (record, _) in self.seen_by(shared.family, shared.team) {
                let mut on: BTreeMap<PlatformId, Timestamp> = BTreeMap::new();
                for resolution in [Resolution::Seconds5, Resolution::Minute1, Resolution::Minutes15] {
                    let mut of_bins: BTreeMap<PlatformId, Timestamp> = BTreeMap::new();
                    let bins = record.series(resolution);
                    let copies = bins.filter(|(platform, kind, start, _)| {
                        matches!(kind, Kind::Upload | Kind::LiveStart) && shared.at <= *start && is_asked(*platform)
                    });
                    for (platform, _, start, _) in copies {
                        let earliest = of_bins.entry(platform).or_insert(start);
                        *earliest = start.min(*earliest);
                    }
                    for (platform, start) in of_bins {
                        let first = on.entry(platform).or_insert(start);
                        // All of a bin that ends before the first of a finer one is of copies before that.
                        if start + resolution.width() <= *first {
                            *first = start;
                        }
                    }
                }
                for (platform, start) in on {
                    let earliest = first.entry(platform).or_insert(start);
                    *earliest = start.min(*earliest);
                }
            }
            if !first.is_empty() {
                leaks.push((shared.case, first.into_iter().collect()));
            }
        }
        leaks
    }

    /// The store keeps these.
    pub(crate) fn leaks_told(&mut self, (case, leaks): &Leaks) {
        self.leaked.extend(leaks.iter().map(|(platform, _)| (*case, *platform)));
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what came behind the telling is a leak, once, on the team's platforms alone; what may have come before is none.

    use tocsin_casework::Team;
    use tocsin_model::{Milliseconds, PartyId};

    use super::super::tests::{hot, hot_at, take};
    use super::*;

    /// The nine copies of a hot record are within one bin, which begins here.
    const BIN: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn the_first_copy_is_found_where_finer_bins_hold_later_ones_alone() {
        let minutes = Milliseconds::from_minutes(1);
        let start_of = |bin: i64| Timestamp(BIN.0 - BIN.0.rem_euclid(bin));
        let told = start_of(15 * minutes.0);
        let early: Vec<i64> = (1..=9).collect();
        for (later, expected) in [
            (None, BIN),
            // Bins of five seconds are kept for half an hour, those of a minute for three hours.
            (Some(40), start_of(minutes.0)),
            (Some(240), start_of(15 * minutes.0)),
        ] {
            let (mut figures, start) = (Figures::new(2), Instant::now());
            let copies = early.iter().copied().chain(later.map(|later| later * minutes.0));
            let record = hot_at(1, copies);
            let case = CaseId(7);
            let shared = SharedFamily {
                team: Team::Party(PartyId(1)),
                case,
                family: record.0,
                at: told,
                platforms: None,
            };
            figures.share(vec![shared], start);
            take(&mut figures, &record, start, false);
            assert_eq!(figures.leaks(), [(case, vec![(PlatformId(1), expected)])], "{later:?}");
        }
    }

    #[test]
    fn a_copy_behind_the_telling_is_a_leak_of_the_teams_platforms() {
        let (mut figures, start, record) = (Figures::new(2), Instant::now(), hot(1));
        let case = CaseId(7);
        let told = |platform: Option<u16>, after| SharedFamily {
            team: Team::Party(PartyId(1)),
            case,
            family: record.0,
            at: BIN + Milliseconds(after),
            platforms: platform.map(|platform| BTreeSet::from([PlatformId(platform)])),
        };
        figures.share(vec![told(Some(1), 0)], start);
        take(&mut figures, &record, start, false);
        assert!(figures.spare.is_empty(), "it is kept though it has no open case");
        for (shared, expected) in [
            (told(Some(1), 0), vec![(case, vec![(PlatformId(1), BIN)])]),
            (told(None, 0), vec![(case, vec![(PlatformId(1), BIN)])]),
            (told(Some(2), 0), Vec::new()),
            (told(Some(1), 1), Vec::new()),
        ] {
            figures.share(vec![shared.clone()], start);
            assert_eq!(figures.leaks(), expected, "{shared:?}");
        }
        figures.share(vec![told(Some(1), 0)], start);
        let leak = figures.leaks().remove(0);
        figures.leaks_told(&leak);
        assert_eq!(figures.leaks(), [], "it was told of");
        figures.clear();
        take(&mut figures, &record, start, false);
        assert_eq!(figures.leaks(), [], "read again it was told of still");
        figures.share(Vec::new(), start);
        assert!(figures.spare.contains_key(&record.0), "nobody asks any more");
        figures.share(vec![told(Some(1), 0)], start);
        assert_eq!(figures.leaks().len(), 1, "of another sharing nothing was told");
    }
}
