//! What a reviewer does who overturns a decision, beside the model.
use proptest::prelude::*;
use tocsin_casework::{Case, Desk, Resting};
use tocsin_model::{DecisionId, KeyId, Timestamp, Verdict};

use crate::Model;

/// Overturns it, and holds what becomes of it against the model.
pub(super) fn overturn(
    case: &mut Case,
    model: &mut Model,
    (number, who, is_news): (usize, KeyId, bool),
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let before = case.clone();
    let id = DecisionId(number as u128 + 1);
    let verdict = if is_news { Verdict::Newsworthy } else { Verdict::Benign };
    let result = case.overturn((who, id), (verdict, "why"), now);
    let held = model.lease.filter(|(_, until)| now < *until);
    let is_of_another = held.is_some_and(|(holder, _)| holder != who.0);
    let undoable = model.undo.as_ref().is_some_and(|(until, ..)| now < *until);
    prop_assert_eq!(result.is_ok(), !is_of_another && !undoable, "{:?} {:?}", result, model);
    let made = match result {
        Ok(Some(made)) => made,
        Ok(None) | Err(_) => {
            prop_assert_eq!(&*case, &before, "nothing is changed");
            let stands = model.decision.as_ref().map(|(.., ruling)| ruling.verdict);
            prop_assert!(is_of_another || undoable || stands == Some(verdict));
            return Ok(());
        }
    };
    prop_assert_eq!(case.decision_out(now), Some(&made), "it is out at once");
    if held.is_none() {
        let kept = |case: &Case| (case.draft.clone(), case.held_until, case.desk);
        prop_assert_eq!(kept(case), kept(&before), "it takes nothing from people");
    }
    let is_begun =
        before.draft.is_some() || before.desk != Desk::Moderators || before.held_until.is_some_and(|until| now < until);
    let is_begun = is_begun && held.is_none() || model.notices.iter().any(|notice| !notice.is_answered);
    model.leases += 1;
    model.version += 1;
    model.lease = None;
    model.undo = None;
    model.decision = Some((id, who.0, model.leases, made.ruling));
    if model.resting != Resting::Open || !is_begun {
        model.resting = Resting::Decided;
    }
    Ok(())
}
