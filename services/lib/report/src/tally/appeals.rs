use std::collections::BTreeMap;

use tocsin_casework::{AppealCause, AppealOutcome, Concerns};

use crate::day::Period;
use crate::quantities::Quantities;
use crate::row::AppealRow;

/// The appeals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appeals {
    /// Filed in the days, by whether they are against a decision.
    pub filed: BTreeMap<bool, u64>,
    /// Answered in the days, whenever they were filed.
    pub answered: BTreeMap<(bool, AppealOutcome, Concerns), u64>,
    /// What was overturned, by the evidence it was caught by; `None`: it is not said.
    pub causes: BTreeMap<Option<AppealCause>, u64>,
    /// Filed and not answered by the end.
    pub open: u64,
    /// From the filing to the answer, in milliseconds.
    pub to_answer: Quantities,
}

impl Appeals {
    pub(crate) fn take(&mut self, row: &AppealRow, period: &Period) {
        if row.filed_at >= period.ends() {
            return;
        }
        if period.holds(row.filed_at) {
            *self.filed.entry(row.against_decision).or_default() += 1;
        }
        let Some((outcome, concerns, cause, at)) = row.answered.filter(|(.., at)| *at < period.ends()) else {
            self.open += 1;
            return;
        };
        if !period.holds(at) {
            return;
        }
        let key = (row.against_decision, outcome, concerns);
        *self.answered.entry(key).or_default() += 1;
        if outcome == AppealOutcome::Overturned {
            *self.causes.entry(cause).or_default() += 1;
        }
        let took = u64::try_from(at.0.saturating_sub(row.filed_at.0)).unwrap_or(0);
        self.to_answer.add(took);
    }

    /// How many were overturned in the days.
    pub(crate) fn overturned(&self) -> u64 {
        let overturned = self
            .answered
            .iter()
            .filter(|((_, outcome, _), _)| *outcome == AppealOutcome::Overturned);
        overturned.map(|(_, count)| count).sum()
    }
}

/// What an appeal is against, in reports.
pub(crate) fn against_name(against_decision: bool) -> &'static str {
    match against_decision {
        true => "decision",
        false => "block",
    }
}
