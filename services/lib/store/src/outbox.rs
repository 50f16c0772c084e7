use tocsin_model::{ContentId, Decision, FamilyId, Milliseconds, Timestamp};

use crate::cases::{decision_id, team, verdict};
use crate::database::{Locked, Row, Transaction};
use crate::delivery::Readers;
use crate::{Store, StoreError};
use tocsin_casework::{Case, CaseDecision, Team};

/// A decision that is not yet on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its place in the outbox, ascending by the time of writing.
    pub sequence: i64,
    /// Whose decision it is.
    pub team: Team,
    /// The decision, as the detector is told of it.
    pub decision: Decision,
}

impl Store {
    /// Takes at most `limit` decisions to publish, oldest first. Nobody else gets them for `length`; those that are not acknowledged by
    /// then are given out again, so a decision is published at least once (its id makes a second time harmless).
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_take(&self, limit: u32, length: Milliseconds) -> Result<Vec<OutboxEntry>, StoreError> {
        let failed = StoreError::database("take decisions to publish");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = format!(
            "SELECT o.sequence, d.decision_id, d.verdict, d.decided_at, c.team, c.family FROM decision_outbox o \
             JOIN decisions d ON d.decision_id = o.decision_id JOIN cases c ON c.case_id = d.case_id \
             WHERE o.taken_until <= $1 ORDER BY o.sequence LIMIT $2{}",
            transaction.for_update(Locked::OutboxRowsNobodyHolds)
        );
        let rows = transaction
            .fetch(&sql, &[now.into(), i64::from(limit).into()])
            .await
            .map_err(&failed)?;
        let entries: Vec<OutboxEntry> = rows.iter().map(entry).collect::<Result<_, _>>()?;
        for entry in &entries {
            transaction
                .execute(
                    "UPDATE decision_outbox SET taken_until = $2 WHERE sequence = $1",
                    &[entry.sequence.into(), (now + length).into()],
                )
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(entries)
    }

    /// Says that these are on the log: they leave the outbox. Saying it again changes nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_acknowledge(&self, sequences: &[i64]) -> Result<(), StoreError> {
        let failed = StoreError::database("acknowledge published decisions");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        for sequence in sequences {
            transaction
                .execute("DELETE FROM decision_outbox WHERE sequence = $1", &[(*sequence).into()])
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// How many decisions are not yet on the log.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_length(&self) -> Result<u64, StoreError> {
        let failed = StoreError::database("count decisions to publish");
        let rows = self
            .database()
            .fetch("SELECT count(*) AS entries FROM decision_outbox", &[])
            .await
            .map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "entries" })?;
        Ok(row.integer("entries").map_err(&failed)? as u64)
    }
}

/// Writes a decision with its outbox row, and a delivery for each endpoint of its team.
pub(crate) async fn write_decision(
    transaction: &mut Transaction,
    case: &Case,
    decision: &CaseDecision,
) -> Result<(), StoreError> {
    let failed = StoreError::database("write a decision");
    let id = format!("{:032x}", decision.id.0);
    transaction
        .execute(
            "INSERT INTO decisions (decision_id, case_id, verdict, rationale, decided_by, decided_at, fencing) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                id.as_str().into(),
                case.id.to_string().into(),
                (decision.verdict as i64).into(),
                decision.rationale.as_str().into(),
                decision.decided_by.to_string().into(),
                decision.decided_at.into(),
                (decision.fencing as i64).into(),
            ],
        )
        .await
        .map_err(&failed)?;
    transaction
        .execute(
            "INSERT INTO decision_outbox (decision_id, taken_until) VALUES ($1, 0)",
            &[id.as_str().into()],
        )
        .await
        .map_err(&failed)?;
    let told = Decision {
        id: decision.id,
        family: case.family,
        scope: case.team.scope(),
        verdict: decision.verdict,
        at: decision.decided_at,
    };
    let readers = Readers::find(transaction).await?;
    readers.tell_decision(transaction, &told, decision.decided_at).await
}

fn entry(row: &Row) -> Result<OutboxEntry, StoreError> {
    let failed = StoreError::database("read a decision to publish");
    let family = row.text("family").map_err(&failed)?;
    let family = ContentId::parse(&family).ok_or(StoreError::Malformed { field: "family" })?;
    let team = team(row)?;
    Ok(OutboxEntry {
        sequence: row.integer("sequence").map_err(&failed)?,
        team,
        decision: Decision {
            id: decision_id(&row.text("decision_id").map_err(&failed)?)?,
            family: FamilyId(family),
            scope: team.scope(),
            verdict: verdict(row)?,
            at: Timestamp(row.integer("decided_at").map_err(&failed)?),
        },
    })
}
