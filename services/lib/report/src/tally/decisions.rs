use std::collections::BTreeMap;

use tocsin_model::{RecommendedAction, Verdict};

use crate::day::Period;
use crate::names::Names;
use crate::row::{ContentKind, DecisionRow};

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decisions {
    pub by_ruling: BTreeMap<(Verdict, Option<RecommendedAction>), u64>,
    pub by_policy: Names<(Verdict, ContentKind)>,
}

impl Decisions {
    pub(crate) fn new() -> Decisions {
        Decisions {
            by_ruling: BTreeMap::new(),
            by_policy: Names::new(),
        }
    }

    pub(crate) fn take(&mut self, row: &DecisionRow, period: &Period) {
        if period.holds(row.decided_at) {
            *self.by_ruling.entry((row.verdict, row.action)).or_default() += 1;
            self.by_policy.add(&row.policy, (row.verdict, row.kind));
        }
    }
}
