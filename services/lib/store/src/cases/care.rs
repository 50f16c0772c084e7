use tocsin_casework::{PauseRules, Shift, ShiftStep, ShiftStepKind};
use tocsin_model::{KeyId, Milliseconds, Timestamp};

use super::row::verdict;
use crate::database::{Row, Transaction};
use crate::{Store, StoreError};

/// The most steps of one person that are read of cases, and as many of reviews and appeals: the latest.
const STEPS_MAX: i64 = 10_000;
/// How long steps of reviews and appeals are kept: longer than anybody may look back.
pub const SHIFT_STEPS_KEPT: Milliseconds = Milliseconds::from_hours(48);

/// A step of somebody's shift that the history of no case tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    /// A review or an appeal was taken.
    Claimed,
    /// It was given back.
    Released,
    /// It was answered.
    Answered,
}

impl Apart {
    fn name(self) -> &'static str {
        match self {
            Apart::Claimed => "claimed",
            Apart::Released => "released",
            Apart::Answered => "answered",
        }
    }
}

impl Store {
    /// What the person with this key did within `length` until now, with cases, appeals and second reviews, for that person alone; and the store's time of
    /// the answer. Of more than 10,000 steps the latest count.
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
        Ok((self.shift_until(key, (now, length), rules).await?, now))
    }

    /// The same until a time that the store told a moment ago, for whoever knows it: it is not asked again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn shift_until(
        &self,
        key: KeyId,
        (now, length): (Timestamp, Milliseconds),
        rules: &PauseRules,
    ) -> Result<Shift, StoreError> {
        let failed = StoreError::database("read a shift");
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
        let apart =
            "SELECT at, kind, severity FROM shift_steps WHERE key_id = $1 AND at >= $2 ORDER BY sequence DESC LIMIT $3";
        let apart = self
            .database()
            .fetch(apart, &[key.to_string().into(), back.into(), STEPS_MAX.into()])
            .await
            .map_err(&failed)?;
        let held = "SELECT 1 FROM cases WHERE lease_holder = $1 AND lease_expires_at > $2 \
                    UNION ALL SELECT 1 FROM appeals WHERE lease_holder = $1 AND lease_expires_at > $2 \
                    UNION ALL SELECT 1 FROM reviews WHERE lease_holder = $1 AND lease_expires_at > $2 LIMIT 1";
        let held = self.database().fetch(held, &[key.to_string().into(), now.into()]).await;
        let is_holding = !held.map_err(&failed)?.is_empty();
        let of_cases: Vec<ShiftStep> = rows.iter().rev().map(step).collect::<Result<_, _>>()?;
        let apart: Vec<ShiftStep> = apart.iter().rev().map(step_apart).collect::<Result<_, _>>()?;
        let steps = in_order(of_cases, apart);
        Ok(Shift::of(steps, (since, now), is_holding, rules))
    }
}

impl Store {
    /// Forgets steps of reviews and appeals that are older than [`SHIFT_STEPS_KEPT`]; how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_shift_steps(&self) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget steps of shifts");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let over = "DELETE FROM shift_steps WHERE at < $1";
        let forgotten = transaction.execute(over, &[(now - SHIFT_STEPS_KEPT).into()]).await;
        let forgotten = forgotten.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }
}

/// Writes down a step that no history tells.
pub(crate) async fn write_step_apart(
    transaction: &mut Transaction,
    who: KeyId,
    (kind, severity): (Apart, f64),
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = [who.to_string().into(), now.into(), kind.name().into(), severity.into()];
    let sql = "INSERT INTO shift_steps (key_id, at, kind, severity) VALUES ($1, $2, $3, $4)";
    let written = transaction.execute(sql, &values).await;
    written
        .map(drop)
        .map_err(StoreError::database("write down a step of a shift"))
}

/// Two lists of steps as one, by their times; each stays in the order in which it was done, whichever way the clock ran.
fn in_order(of_cases: Vec<ShiftStep>, apart: Vec<ShiftStep>) -> Vec<ShiftStep> {
    let mut steps = Vec::with_capacity(of_cases.len() + apart.len());
    let (mut of_cases, mut apart) = (of_cases.into_iter().peekable(), apart.into_iter().peekable());
    while let Some(first) = of_cases.peek() {
        while let Some(step) = apart.next_if(|step| step.at < first.at) {
            steps.push(step);
        }
        steps.extend(of_cases.next());
    }
    steps.extend(apart);
    steps
}

fn step_apart(row: &Row) -> Result<ShiftStep, StoreError> {
    let failed = StoreError::database("read a shift");
    let kind = row.text("kind").map_err(&failed)?;
    Ok(ShiftStep {
        at: Timestamp(row.integer("at").map_err(&failed)?),
        kind: match kind.as_str() {
            "claimed" => ShiftStepKind::Claimed,
            "released" => ShiftStepKind::GivenBack,
            _ => ShiftStepKind::Other,
        },
        severity: row.real("severity").map_err(&failed)?,
    })
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
