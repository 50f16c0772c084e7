use std::collections::BTreeMap;

use tocsin_model::Timestamp;

use crate::appeal::{AppealCause, AppealOutcome, Concerns};
use crate::clocks::Waits;

/// What figures need to know of an answered appeal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweredAppeal {
    /// What became of the decision.
    pub outcome: AppealOutcome,
    /// How far that goes.
    pub concerns: Concerns,
    /// By which evidence it was caught, of what is overturned.
    pub cause: Option<AppealCause>,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// When it was answered.
    pub answered_at: Timestamp,
}

/// What a team's answered appeals come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppealSummary {
    /// How many were answered.
    pub answered: usize,
    /// How many had each outcome, and how far that goes; those that there are.
    pub outcomes: BTreeMap<(AppealOutcome, Concerns), usize>,
    /// How many were overturned for each cause; those that there are.
    pub causes: BTreeMap<AppealCause, usize>,
    /// From the filing to the answer. A clock that ran backwards counts as no time.
    pub to_answer: Option<Waits>,
}

impl AppealSummary {
    /// Of these.
    pub fn of(appeals: &[AnsweredAppeal]) -> AppealSummary {
        let mut summary = AppealSummary {
            answered: appeals.len(),
            ..AppealSummary::default()
        };
        for appeal in appeals {
            *summary.outcomes.entry((appeal.outcome, appeal.concerns)).or_default() += 1;
            if let Some(cause) = appeal.cause {
                *summary.causes.entry(cause).or_default() += 1;
            }
        }
        let took = |appeal: &AnsweredAppeal| (appeal.answered_at - appeal.filed_at).max(tocsin_model::Milliseconds(0));
        summary.to_answer = Waits::of(appeals.iter().map(took).collect());
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tocsin_model::Milliseconds;

    #[test]
    fn a_summary_counts_by_outcome_reach_and_cause() {
        use AppealOutcome::*;
        let appeal = |(outcome, concerns), cause, took: i64| AnsweredAppeal {
            outcome,
            concerns,
            cause,
            filed_at: Timestamp(100),
            answered_at: Timestamp(100 + took),
        };
        let summary = AppealSummary::of(&[
            appeal((Upheld, Concerns::Upload), None, 5),
            appeal((Overturned, Concerns::Family), Some(AppealCause::Judgement), 7),
            appeal((Overturned, Concerns::Member), Some(AppealCause::NearPicture), 9),
            appeal((Overturned, Concerns::Member), Some(AppealCause::NearPicture), -50),
        ]);
        assert_eq!(summary.answered, 4);
        assert_eq!(summary.outcomes.get(&(Overturned, Concerns::Member)), Some(&2));
        assert_eq!(summary.outcomes.get(&(Overturned, Concerns::Upload)), None);
        let causes: Vec<_> = summary.causes.into_iter().collect();
        assert_eq!(causes, [(AppealCause::Judgement, 1), (AppealCause::NearPicture, 2)]);
        let waits = summary.to_answer.map(|waits| (waits.median, waits.ninth_decile));
        assert_eq!(waits, Some((Milliseconds(5), Milliseconds(9))));
        assert_eq!(AppealSummary::of(&[]), AppealSummary::default());
    }
}
