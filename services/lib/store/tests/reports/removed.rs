//! What truly was removed, for the model.

use std::collections::BTreeMap;

use tocsin_casework::{NoticeKind, NoticeOutcome};
use tocsin_model::{Timestamp, Verdict};
use tocsin_report::Period;

use crate::model::{Model, Removed, Truth, Truths, is_labelled};
use crate::player::kind;

impl Model {
    pub fn of_removals(&self, truths: &mut Truths, period: &Period) {
        let mut of_families: BTreeMap<u128, Vec<(u128, &Removed)>> = BTreeMap::new();
        for (decision, removed) in self.removed.iter().filter(|(_, removed)| removed.is_told) {
            of_families
                .entry(removed.family)
                .or_default()
                .push((*decision, removed));
        }
        for (family, mut all) in of_families {
            all.sort_by_key(|(_, removed)| removed.out_at);
            self.of_removed(truths, period, family, &all);
        }
    }

    /// Each content counts once, however often it was decided.
    fn of_removed(&self, truths: &mut Truths, period: &Period, family: u128, all: &[(u128, &Removed)]) {
        let (on, end) = ("platform=alpha-app", period.ends());
        let members_removed = format!("members_removed[{on}]");
        let was_confirmed = all.iter().any(|(_, removed)| removed.is_confirmed_in(period));
        truths.within(members_removed.clone(), u64::from(was_confirmed));
        let mut is_after_measures = Vec::new();
        for (decision, removed) in all {
            let decided = self.decisions.iter().find(|decided| decided.id.0 == *decision);
            let is_violating = decided.is_some_and(|decided| decided.verdict == Verdict::Violating);
            let is_ordered = |until: Timestamp| {
                self.notices.iter().any(|order| {
                    let is_done = order
                        .answered
                        .is_some_and(|(outcome, at)| outcome == NoticeOutcome::Removed && at < end);
                    order.kind == NoticeKind::RemovalOrder && order.family == family && order.at <= until && is_done
                })
            };
            let held = removed.confirmations.iter().filter(|(at, ..)| period.holds(*at));
            is_after_measures.extend(held.map(|(at, ..)| is_violating && !is_ordered(*at)));
            if removed.out_at < end && removed.returned > 0 {
                truths.widen(&members_removed, 1);
                truths.widen("items_after_measures[]", 1);
                truths.widen(&format!("never_confirmed[{on}]"), 1);
                truths.widen(&format!("returned[{on}]"), removed.returned);
                truths.widen("returned[]", removed.returned);
            }
            if removed.is_confirmed_in(period) {
                truths.within(format!("returned[{on}]"), removed.returned);
                truths.within("returned[]".to_owned(), removed.returned);
            }
        }
        let is_all = !is_after_measures.is_empty() && is_after_measures.iter().all(|is| *is);
        let is_any = is_after_measures.iter().any(|is| *is);
        let of = truths.0.entry("items_after_measures[]".to_owned());
        if let Truth::Among(least, most) = of.or_insert(Truth::Among(0, 0)) {
            (*least, *most) = (*least + u64::from(is_all), *most + u64::from(is_any));
        }
        let of_last = all.iter().rev().find_map(|(_, removed)| {
            let last = removed.confirmations.last().filter(|_| removed.is_confirmed);
            last.filter(|(at, ..)| period.holds(*at))
        });
        let last_views = all.iter().rev().find_map(|(_, removed)| {
            let last = removed.confirmations.last().filter(|_| removed.is_confirmed)?;
            period.holds(last.0).then_some(&removed.views)
        });
        if let Some(views) = last_views {
            views.count(truths, on);
        }
        if let Some((_, copies, removals)) = of_last {
            truths.add(format!("removals[{on}]"), *removals);
            let label = match is_labelled(family, *copies) {
                true => "label=tvec",
                false => "labels=none",
            };
            truths.count(format!("platform_labels[{on},content={},{label}]", kind(family)));
            let size = match *copies {
                0 => "0",
                1 => "1",
                2..=9 => "2 to 9",
                10..=99 => "10 to 99",
                100..=999 => "100 to 999",
                _ => "1000 and more",
            };
            truths.count(format!("copies_before_removal[{on},copies={size}]"));
        }
        let last = all.iter().rfind(|(_, removed)| period.holds(removed.out_at));
        let is_never = last.is_some_and(|(_, removed)| {
            !removed.was_removed_before && !removed.confirmations.iter().any(|(at, ..)| *at < end)
        });
        truths.within(format!("never_confirmed[{on}]"), u64::from(is_never));
    }
}
