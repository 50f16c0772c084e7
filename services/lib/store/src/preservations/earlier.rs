//! Removal orders that were filed before orders were preserved: made up for when a process starts.

use tocsin_audit::Action;
use tocsin_casework::{Notice, NoticeKind, NoticeOutcome, Team};
use tocsin_evidence::{
    Basis, Origin, PRESERVED_MONTHS, Preservation, PreservationId, RUNNING_PER_CASE_MAX, months_after,
};
use tocsin_model::{Milliseconds, PartyId, Timestamp};

use super::{NOBODY, audited, fetch, locked_case, write_placed};
use crate::cases::team;
use crate::notices::{SELECT_NOTICES, notice};
use crate::party::is_revoked;
use crate::{Store, StoreError};

/// How many removal orders are looked at in one go.
pub const EARLIER_MAX: i64 = 100;
/// No six months with the rest of their last day are longer.
const TERM_MAX: Milliseconds = Milliseconds::from_hours(186 * 24);

/// How far a look for orders from before came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlierOrders {
    /// How many were preserved.
    pub placed: usize,
    /// How many cannot be read, and are left.
    pub unreadable: usize,
    /// The place of the last that was looked at; `None`: there are no more.
    pub next: Option<i64>,
}

impl Store {
    /// Places what removal orders behind a place ask for, of which the six months are not over and whose case was never preserved for an order of that authority
    /// and reference; at most [`EARLIER_MAX`] are looked at. The months count from when an order was carried out, else from its filing, as if it had been
    /// preserved then. A case that has as many as may run is left: their copies hold its orders.
    ///
    /// # Errors
    /// [`StoreError::NoCustodyKey`], or the database failed; what was placed before stays.
    pub async fn preserve_earlier_orders(&self, after: i64) -> Result<EarlierOrders, StoreError> {
        let failed = StoreError::database("find orders from before");
        let now = self.now().await.map_err(&failed)?;
        let select = SELECT_NOTICES.replacen("SELECT ", "SELECT n.team, ", 1);
        let sql = format!(
            "{select} WHERE n.kind = $1 AND n.sequence > $2 AND (n.filed_at > $3 OR n.answered_at > $3) ORDER BY n.sequence LIMIT {EARLIER_MAX}"
        );
        let kind = NoticeKind::RemovalOrder as i64;
        let values = [kind.into(), after.into(), (now - TERM_MAX).into()];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let mut looked = EarlierOrders::default();
        for row in &rows {
            let placed = match (team(row), notice(row)) {
                (Ok(Team::Party(party)), Ok(order)) => self.preserve_earlier(party, &order).await,
                (Ok(Team::Coordinators), _) => Ok(false),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            match placed {
                Ok(placed) => looked.placed += usize::from(placed),
                // A later version wrote it, which preserves it itself.
                Err(StoreError::Malformed { .. }) => looked.unreadable += 1,
                Err(error) => return Err(error),
            }
            looked.next = Some(row.integer("sequence").map_err(&failed)?);
        }
        Ok(looked)
    }

    /// Whether the order was preserved now.
    async fn preserve_earlier(&self, party: PartyId, order: &Notice) -> Result<bool, StoreError> {
        let failed = StoreError::database("preserve an order from before");
        let signer = self.signer()?;
        let filing = &order.filing;
        let basis = Basis::of_order(&filing.authority, &filing.reference);
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // Held, so that of two who look one places it.
        let case = locked_case(&mut transaction, order.case).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let condition = "WHERE p.case_id = $1 ORDER BY p.sequence";
        let all = fetch(&mut transaction, condition, &[order.case.to_string().into()]).await?;
        let is_known = all
            .iter()
            .any(|one| matches!(one.origin, Origin::Notice(_)) && one.basis == basis);
        let running = all.iter().filter(|one| one.is_running(now)).count();
        let counts_from = counts_from(order);
        let is_over = months_after(counts_from, PRESERVED_MONTHS) <= now;
        let is_left = is_known || is_over || running >= RUNNING_PER_CASE_MAX || case.is_none();
        if is_left || is_revoked(&mut transaction, party, &failed).await? {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(false);
        }
        let of = (basis, Origin::Notice(order.id));
        let mut placed = Preservation::place(PreservationId(rand::random()), (party, order.case), of, counts_from)?;
        placed.placed_at = now;
        let noted = write_placed(&mut transaction, signer, (&placed, NOBODY), now).await?;
        let entry = audited((Action::Preserved, "placed", noted), &placed, None);
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }
}

fn counts_from(order: &Notice) -> Timestamp {
    let carried_out = order
        .answer
        .as_ref()
        .filter(|answer| matches!(answer.outcome, NoticeOutcome::Removed | NoticeOutcome::Disabled));
    carried_out.map_or(order.filed_at, |answer| answer.at)
}
