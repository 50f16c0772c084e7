//! Which records are kept though their families have no open case, and of which some are missing.

use std::collections::BTreeSet;
use std::time::Instant;

use tocsin_model::FamilyId;

use super::Figures;

impl Figures {
    /// Records of it are in the state and not here.
    pub(super) fn lose(&mut self, family: FamilyId) {
        if let Some(lost) = &mut self.lost {
            lost.insert(family);
            if lost.len() > self.records_max {
                self.lost = None;
            }
        }
    }

    /// Keeps the records of these families from now on, beside those of families with open cases. Whether records of one that was not kept before may
    /// have been dropped or left out: then the state must be read again to find them.
    pub(crate) fn keep(&mut self, families: BTreeSet<FamilyId>, at: Instant) -> bool {
        let former = std::mem::replace(&mut self.kept, families);
        let new: Vec<FamilyId> = self.kept.difference(&former).copied().collect();
        for family in &new {
            self.take_back(*family);
        }
        for family in former.difference(&self.kept).copied().collect::<Vec<_>>() {
            self.let_go(family, at);
        }
        new.iter().any(|family| self.is_lost(family))
    }

    /// Whether the records of a family are kept though it has no open case.
    pub(super) fn is_kept(&self, family: FamilyId) -> bool {
        self.kept.contains(&family) || self.followed.contains(&family) || self.shared.contains(&family)
    }

    /// The records of a family are no longer kept for this reason.
    pub(super) fn let_go(&mut self, family: FamilyId, at: Instant) {
        if !self.is_kept(family) {
            // One with an open case is taken back when its ranks are looked at.
            self.spare(family, at);
            self.changed.insert(family);
        }
    }

    /// Whether records of a family may be in the state and not here.
    pub(super) fn is_lost(&self, family: &FamilyId) -> bool {
        self.lost.as_ref().is_none_or(|lost| lost.contains(family))
    }
}
