use tocsin_casework::{PauseRules, Shift, ShiftStep, ShiftStepKind};
use tocsin_model::{KeyId, Milliseconds, Timestamp};

use super::row::verdict;
use crate::database::Row;
use crate::{Store, StoreError};

/// The most steps of one person that are read: the latest.
const STEPS_MAX: i64 = 10_000;

impl Store {
    /// What the person with this key did within `length` until now, for that person alone; and the store's time of the answer. Of more than 10,000
    /// steps the latest count.
    ///
    /// # Errors
    /// The database failed.
    pub async fn shift(
        &self,
        key: KeyId,
        length: Milliseconds,
        rules: &PauseRules,
    ) -> Result<(Shift, Timestamp), StoreError> {
        let failed = StoreError::database("read a shift");
        let now = self.now().await.map_err(&failed)?;
        let since = now - length;
        let back = since.min(now - PauseRules::LOOKS_BACK);
        // A decision that was taken back is named in the history for ever; whether it was stands beside it. Who is handed a case looks at it.
        let rows = self
            .database()
            .fetch(
                "SELECT h.at, h.kind, c.severity, d.verdict FROM (\
                 SELECT sequence, case_id, at, kind, about FROM case_history WHERE key_id = $1 AND at >= $2 \
                 UNION ALL SELECT sequence, case_id, at, 'claimed' AS kind, about FROM case_history \
                 WHERE kind = 'handed_over' AND about = $1 AND at >= $2) h \
                 JOIN cases c ON c.case_id = h.case_id \
                 LEFT JOIN decisions d ON d.decision_id = h.about AND d.withdrawn_at IS NULL \
                 ORDER BY h.sequence DESC LIMIT $3",
                &[key.to_string().into(), back.into(), STEPS_MAX.into()],
            )
            .await
            .map_err(&failed)?;
        let held = "SELECT 1 FROM cases WHERE lease_holder = $1 AND lease_expires_at > $2 LIMIT 1";
        let held = self.database().fetch(held, &[key.to_string().into(), now.into()]).await;
        let is_holding = !held.map_err(&failed)?.is_empty();
        let steps: Vec<ShiftStep> = rows.iter().rev().map(step).collect::<Result<_, _>>()?;
        Ok((Shift::of(steps, (since, now), is_holding, rules), now))
    }
}

fn step(row: &Row) -> Result<ShiftStep, StoreError> {
    let failed = StoreError::database("read a shift");
    let kind = row.text("kind").map_err(&failed)?;
    let kind = match kind.as_str() {
        // Whoever answers an appeal looks at what it is about.
        "claimed" | "appeal_claimed" => ShiftStepKind::Claimed,
        "decided" => match row.integer_if_any("verdict").map_err(&failed)? {
            Some(_) => ShiftStepKind::Decided(verdict(row)?),
            None => ShiftStepKind::Other,
        },
        "released" | "skipped" => ShiftStepKind::GivenBack,
        "handed_over" | "escalated" => ShiftStepKind::HandedOn,
        "held" => ShiftStepKind::Held,
        "withdrawn" => ShiftStepKind::TakenBack,
        _ => ShiftStepKind::Other,
    };
    Ok(ShiftStep {
        at: Timestamp(row.integer("at").map_err(&failed)?),
        kind,
        severity: row.real("severity").map_err(&failed)?,
    })
}
