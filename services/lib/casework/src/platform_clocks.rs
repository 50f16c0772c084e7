use std::collections::BTreeMap;

use tocsin_model::{Milliseconds, PlatformId, Timestamp};

use crate::clocks::{Clocks, GOLDEN_HOUR, Waits};

/// What happened to a family on one platform. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ClockKind {
    /// It was uploaded, blocked, shared or broadcast.
    FirstSeen = 1,
    /// Somebody reported it.
    FirstReport = 2,
    /// An authority or a flagger wrote.
    Notice = 3,
    /// Others were told of it.
    Shared = 4,
    /// A copy was removed.
    Removed = 5,
    /// All copies that are known were removed.
    Confirmed = 6,
    /// A copy was posted after others were told of it.
    Leaked = 7,
}

/// When what happened first, on each platform. The earliest time that anybody tells counts, whatever the order in which it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformClocks(BTreeMap<(PlatformId, ClockKind), Timestamp>);

/// What the clocks of many cases come to on one platform. What would have taken less than nothing took nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformSummary {
    /// How many cases something is known of there.
    pub cases: usize,
    /// From the first sighting there, as all that follows, of the cases with both: to the first report.
    pub to_report: Option<Waits>,
    /// To the first notice.
    pub to_notice: Option<Waits>,
    /// To the alert.
    pub to_alert: Option<Waits>,
    /// To the time others were told.
    pub to_share: Option<Waits>,
    /// To the claim.
    pub to_claim: Option<Waits>,
    /// To the decision.
    pub to_decision: Option<Waits>,
    /// To the first removal.
    pub to_removal: Option<Waits>,
    /// To the removal of all that is known.
    pub to_confirmation: Option<Waits>,
    /// How many cases leaked there after others were told.
    pub leaked: usize,
    /// How many were removed there within [`GOLDEN_HOUR`] of their first sighting there.
    pub removed_in_golden_hour: usize,
}

impl ClockKind {
    /// All of them.
    pub const ALL: [ClockKind; 7] = [
        ClockKind::FirstSeen,
        ClockKind::FirstReport,
        ClockKind::Notice,
        ClockKind::Shared,
        ClockKind::Removed,
        ClockKind::Confirmed,
        ClockKind::Leaked,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            ClockKind::FirstSeen => "first_seen",
            ClockKind::FirstReport => "first_report",
            ClockKind::Notice => "notice",
            ClockKind::Shared => "shared",
            ClockKind::Removed => "removed",
            ClockKind::Confirmed => "confirmed",
            ClockKind::Leaked => "leaked",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<ClockKind> {
        ClockKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The one with this number of the store.
    pub fn from_number(number: i64) -> Option<ClockKind> {
        ClockKind::ALL.into_iter().find(|kind| *kind as i64 == number)
    }

    /// Whether a person may say when it was: what the events of a platform tell is not said by hand.
    pub fn is_told_by_people(self) -> bool {
        !matches!(self, ClockKind::FirstSeen | ClockKind::FirstReport | ClockKind::Notice)
    }
}

impl PlatformClocks {
    /// Takes note of a time; whether it is the earliest so far.
    pub fn note(&mut self, platform: PlatformId, kind: ClockKind, at: Timestamp) -> bool {
        let known = self.0.entry((platform, kind)).or_insert(Timestamp(i64::MAX));
        let is_earlier = at < *known;
        *known = at.min(*known);
        is_earlier
    }

    /// When something first happened on a platform.
    pub fn at(&self, platform: PlatformId, kind: ClockKind) -> Option<Timestamp> {
        self.0.get(&(platform, kind)).copied()
    }

    /// All that is known, ascending by platform, then by kind.
    pub fn iter(&self) -> impl Iterator<Item = (PlatformId, ClockKind, Timestamp)> + '_ {
        self.0.iter().map(|((platform, kind), at)| (*platform, *kind, *at))
    }

    /// The platforms that something is known of, ascending.
    pub fn platforms(&self) -> Vec<PlatformId> {
        let mut platforms: Vec<PlatformId> = self.0.keys().map(|(platform, _)| *platform).collect();
        platforms.dedup();
        platforms
    }
}

impl PlatformSummary {
    /// Of these cases, by platform.
    pub fn of(cases: &[(Clocks, PlatformClocks)]) -> BTreeMap<PlatformId, PlatformSummary> {
        let mut on: BTreeMap<PlatformId, Vec<usize>> = BTreeMap::new();
        for (index, (_, clocks)) in cases.iter().enumerate() {
            for platform in clocks.platforms() {
                on.entry(platform).or_default().push(index);
            }
        }
        on.into_iter()
            .map(|(platform, indices)| (platform, PlatformSummary::on(platform, &indices, cases)))
            .collect()
    }

    fn on(platform: PlatformId, indices: &[usize], cases: &[(Clocks, PlatformClocks)]) -> PlatformSummary {
        let known = || indices.iter().filter_map(|index| cases.get(*index));
        let waits = |end: &dyn Fn(&Clocks, &PlatformClocks) -> Option<Timestamp>| {
            let took = known().filter_map(|(of_case, clocks)| {
                let seen = clocks.at(platform, ClockKind::FirstSeen)?;
                Some((end(of_case, clocks)? - seen).max(Milliseconds(0)))
            });
            Waits::of(took.collect())
        };
        let to = |kind| waits(&|_, clocks| clocks.at(platform, kind));
        let in_time = known().filter(|(_, clocks)| {
            let seen = clocks.at(platform, ClockKind::FirstSeen);
            let removed = clocks.at(platform, ClockKind::Removed);
            seen.zip(removed)
                .is_some_and(|(seen, removed)| removed < seen + GOLDEN_HOUR)
        });
        PlatformSummary {
            cases: indices.len(),
            to_report: to(ClockKind::FirstReport),
            to_notice: to(ClockKind::Notice),
            to_alert: waits(&|of_case, _| of_case.alert_at),
            to_share: to(ClockKind::Shared),
            to_claim: waits(&|of_case, _| of_case.claimed_at),
            to_decision: waits(&|of_case, _| of_case.decided_at),
            to_removal: to(ClockKind::Removed),
            to_confirmation: to(ClockKind::Confirmed),
            leaked: known()
                .filter(|(_, clocks)| clocks.at(platform, ClockKind::Leaked).is_some())
                .count(),
            removed_in_golden_hour: in_time.count(),
        }
    }
}
