//! What readers were told of accounts that are not theirs: the same for all readers of a scope, on the grid and within the budget of the ledger.

use std::sync::{Mutex, PoisonError};

use tocsin_model::{FamilyId, PlatformId, Scope};
use tocsin_suppression::{Ledger, LedgerLimits, Shown, Told};

/// The accounts of one family on platforms of others: of each platform, and whether its number is an upper bound.
pub type OthersAccounts = Vec<(PlatformId, Shown, bool)>;

/// What was told last of each family and scope.
#[derive(Debug)]
pub struct Disclosed {
    ledger: Mutex<Ledger<(Scope, FamilyId), OthersAccounts>>,
}

impl Default for Disclosed {
    fn default() -> Self {
        Disclosed {
            ledger: Mutex::new(Ledger::new(LedgerLimits::SHIPPED)),
        }
    }
}

impl Disclosed {
    /// What the readers of a scope are told of a family now. `None` when too many families were asked about: only the coarsest answer may be given.
    pub fn tell(
        &self,
        scope: Scope,
        family: FamilyId,
        now_ms: i64,
        fresh: Told<OthersAccounts>,
    ) -> Option<Told<OthersAccounts>> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.tell((scope, family), now_ms, fresh)
    }

    /// How many families are remembered, of each scope.
    pub fn len(&self) -> usize {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
