use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::ClockKind;
use tocsin_model::{PlatformId, Verdict};

use crate::day::Period;
use crate::row::{CaseRow, ContentKind};

/// How a case was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// It rang, and nobody reported it or wrote about it.
    NeverReported,
    /// It rang before anybody did.
    BeforeReport,
    /// Somebody did before it rang, or at the same time.
    AfterReport,
    /// It never rang.
    ByNotice,
}

/// The cases that were opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cases {
    /// That did not go into another.
    pub opened: BTreeMap<(ContentKind, Found), u64>,
    /// That did.
    pub merged: u64,
    /// By the verdict that stood at the end, of those that rang and of the others.
    pub decided: BTreeMap<(Verdict, bool), u64>,
    /// Without a decision at the end, of those that rang and of the others.
    pub undecided: BTreeMap<bool, u64>,
    /// Certainly closed unreviewed at the end.
    pub closed: u64,
    /// Closed unreviewed at the end, perhaps.
    pub perhaps_closed: u64,
}

impl Cases {
    /// Whether it counts as a case of its own.
    pub(crate) fn take(&mut self, row: &CaseRow, period: &Period, named: &BTreeSet<PlatformId>) -> bool {
        if !period.holds(row.opened_at) {
            return false;
        }
        if period.known(row.merged_at).is_some() {
            self.merged += 1;
            return false;
        }
        *self
            .opened
            .entry((row.kind, Found::of(row, period, named)))
            .or_default() += 1;
        let rang = period.known(row.alert_at).is_some();
        match row.verdict {
            Some(verdict) => *self.decided.entry((verdict, rang)).or_default() += 1,
            None => {
                *self.undecided.entry(rang).or_default() += 1;
                // What is in the queue since before the end was open at the end. What is closed by an alert of before was closed. Of what was decided
                // since it is not kept whether it was closed before.
                if row.closed_by.is_some_and(|at| at < period.ends()) {
                    self.closed += 1;
                } else if row.waiting_since >= period.ends() || row.closed_by.is_some() || row.is_decided {
                    self.perhaps_closed += 1;
                }
            }
        }
        true
    }
}

impl Found {
    pub(crate) const ALL: [Found; 4] = [
        Found::NeverReported,
        Found::BeforeReport,
        Found::AfterReport,
        Found::ByNotice,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Found::NeverReported => "never_reported",
            Found::BeforeReport => "before_report",
            Found::AfterReport => "after_report",
            Found::ByNotice => "by_notice",
        }
    }

    fn of(row: &CaseRow, period: &Period, named: &BTreeSet<PlatformId>) -> Found {
        let Some(rang) = period.known(row.alert_at) else {
            return Found::ByNotice;
        };
        let told = row.clocks.iter().filter_map(|(platform, kind, at)| {
            let is_told = matches!(kind, ClockKind::FirstReport | ClockKind::Notice);
            (is_told && named.contains(&platform)).then_some(at)
        });
        match period.known(told.chain(row.noticed_at).min()) {
            None => Found::NeverReported,
            Some(at) if rang < at => Found::BeforeReport,
            Some(_) => Found::AfterReport,
        }
    }
}
