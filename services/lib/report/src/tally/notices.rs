use std::collections::BTreeMap;

use tocsin_casework::{NoticeKind, NoticeOutcome, SuspensionGround};

use crate::day::Period;
use crate::names::Names;
use crate::quantities::Quantities;
use crate::row::NoticeRow;

/// The notices that were received. Kinds, outcomes and grounds by the numbers of the store; outcome 0 is none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notices {
    pub by_authority: Names<(i64, i64)>,
    /// All of them, whoever sent them.
    pub by_outcome: BTreeMap<(i64, i64), u64>,
    /// Of a kind whose time ran: whether it was answered in time.
    pub in_time: BTreeMap<(i64, bool), u64>,
    /// Of a kind whose time ran anew after the end: whether it was over, or did not run, at the end is not kept.
    pub perhaps_late: BTreeMap<i64, u64>,
    /// Orders that were neither carried out nor taken back at the end while their time did not run, by the ground.
    pub not_carried_out: BTreeMap<i64, u64>,
    /// From the receipt to the answer, in milliseconds.
    pub to_answer: BTreeMap<i64, Quantities>,
}

impl Notices {
    pub(crate) fn new() -> Notices {
        Notices {
            by_authority: Names::new(),
            by_outcome: BTreeMap::new(),
            in_time: BTreeMap::new(),
            perhaps_late: BTreeMap::new(),
            not_carried_out: BTreeMap::new(),
            to_answer: BTreeMap::new(),
        }
    }

    pub(crate) fn take(&mut self, row: &NoticeRow, period: &Period) {
        if !period.holds(row.received_at) {
            return;
        }
        let kind = row.kind as i64;
        let answered = row.answered.filter(|(_, at)| *at < period.ends());
        let outcome = answered.map_or(0, |(outcome, _)| outcome as i64);
        self.by_authority.add(&row.authority, (kind, outcome));
        *self.by_outcome.entry((kind, outcome)).or_default() += 1;
        if let Some((_, at)) = answered {
            let took = u64::try_from(at.0.saturating_sub(row.received_at.0)).unwrap_or(0);
            self.to_answer.entry(kind).or_default().add(took);
        }
        let suspended = row.suspended.filter(|(_, at)| *at < period.ends());
        match (row.due_at, suspended) {
            // It ran out before it was suspended.
            (Some(due), Some((_, at))) if at > due => *self.in_time.entry((kind, false)).or_default() += 1,
            // Its time did not run out.
            (_, Some(_)) | (None, _) => {}
            (Some(_), None) if row.ran_anew_at.is_some_and(|at| at >= period.ends()) => {
                *self.perhaps_late.entry(kind).or_default() += 1;
            }
            (Some(due), None) => {
                let is_in_time = match answered {
                    Some((_, at)) => Some(at <= due),
                    None if due < period.ends() => Some(false),
                    None => None,
                };
                if let Some(is_in_time) = is_in_time {
                    *self.in_time.entry((kind, is_in_time)).or_default() += 1;
                }
            }
        }
        if let (NoticeKind::RemovalOrder, Some((ground, _))) = (row.kind, suspended)
            && matches!(answered, None | Some((NoticeOutcome::Kept, _)))
        {
            *self.not_carried_out.entry(ground as i64).or_default() += 1;
        }
    }
}

impl Notices {
    /// Orders not carried out, by the ground: between how many.
    pub(crate) fn orders_not_carried_out(&self) -> Vec<(i64, (u64, u64))> {
        let order = NoticeKind::RemovalOrder as i64;
        let perhaps = self.perhaps_late.get(&order).copied().unwrap_or(0);
        let grounds = SuspensionGround::ALL.iter().map(|ground| *ground as i64);
        let counted = grounds.map(|ground| {
            let low = self.not_carried_out.get(&ground).copied().unwrap_or(0);
            (ground, (low, low + perhaps))
        });
        counted.filter(|(_, (_, high))| *high > 0).collect()
    }
}

/// The name of an outcome, by its number.
pub(crate) fn outcome_name(number: i64) -> &'static str {
    NoticeOutcome::from_number(number).map_or("not_answered", NoticeOutcome::name)
}

/// The name of a kind, by its number.
pub(crate) fn kind_name(number: i64) -> &'static str {
    NoticeKind::from_number(number).map_or("unknown", NoticeKind::name)
}

/// The name of a ground, by its number.
pub(crate) fn ground_name(number: i64) -> &'static str {
    SuspensionGround::from_number(number).map_or("unknown", SuspensionGround::name)
}
