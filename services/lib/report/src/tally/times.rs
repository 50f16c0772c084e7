use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{ClockKind, GOLDEN_HOUR};
use tocsin_model::{PlatformId, Timestamp};

use crate::day::Period;
use crate::quantities::Quantities;
use crate::row::CaseRow;

/// A step of a case, from the first sighting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Report,
    Notice,
    Alert,
    Share,
    Claim,
    Decision,
    Removal,
    Confirmation,
}

/// How long steps took. `None` is the team: from the first sighting anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// In milliseconds.
    pub took: BTreeMap<(Option<PlatformId>, Step), Quantities>,
    /// Within the golden hour: decided of the team, removed on a platform.
    pub in_golden_hour: BTreeMap<Option<PlatformId>, u64>,
    /// Cases that leaked on a platform after others were told.
    pub leaked: BTreeMap<PlatformId, u64>,
}

impl Times {
    pub(crate) fn take(&mut self, row: &CaseRow, period: &Period, named: &BTreeSet<PlatformId>) {
        let of_case = [
            (Step::Alert, row.alert_at),
            (Step::Claim, row.claimed_at),
            (Step::Decision, row.decided_at),
        ];
        self.measure(None, row.first_seen, &of_case, period);
        self.golden(None, row.first_seen, period.known(row.decided_at));
        for platform in row.clocks.platforms() {
            if !named.contains(&platform) {
                continue;
            }
            let at = |kind| row.clocks.at(platform, kind);
            let on_platform = [
                (Step::Report, at(ClockKind::FirstReport)),
                (Step::Notice, at(ClockKind::Notice)),
                (Step::Share, at(ClockKind::Shared)),
                (Step::Removal, at(ClockKind::Removed)),
                (Step::Confirmation, at(ClockKind::Confirmed)),
            ];
            let seen = at(ClockKind::FirstSeen);
            self.measure(Some(platform), seen, &of_case, period);
            self.measure(Some(platform), seen, &on_platform, period);
            self.golden(Some(platform), seen, period.known(at(ClockKind::Removed)));
            if period.known(at(ClockKind::Leaked)).is_some() {
                *self.leaked.entry(platform).or_default() += 1;
            }
        }
    }

    fn measure(
        &mut self,
        on: Option<PlatformId>,
        seen: Option<Timestamp>,
        ends: &[(Step, Option<Timestamp>)],
        period: &Period,
    ) {
        for (step, end) in ends {
            if let (Some(seen), Some(end)) = (seen, period.known(*end)) {
                // Clocks of sources and of the store may disagree: what would have taken less than nothing took nothing.
                let took = u64::try_from(end.0.saturating_sub(seen.0)).unwrap_or(0);
                self.took.entry((on, *step)).or_default().add(took);
            }
        }
    }

    fn golden(&mut self, on: Option<PlatformId>, seen: Option<Timestamp>, end: Option<Timestamp>) {
        if let (Some(seen), Some(end)) = (seen, end)
            && end < seen + GOLDEN_HOUR
        {
            *self.in_golden_hour.entry(on).or_default() += 1;
        }
    }
}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Step::Report => "report",
            Step::Notice => "notice",
            Step::Alert => "alert",
            Step::Share => "share",
            Step::Claim => "claim",
            Step::Decision => "decision",
            Step::Removal => "removal",
            Step::Confirmation => "confirmation",
        }
    }
}
