use tocsin_model::{ContentId, Decision, DecisionId, FamilyId, Milliseconds, Timestamp, ToldDecision};

use crate::cases::{begin_awaiting, decision_id, end_awaiting, team, verdict};
use crate::database::{Locked, Row, Transaction};
use crate::decision_json::{grounds_from_json, grounds_to_json};
use crate::ozone_subjects::{restore_earlier, supersede_earlier, tell_subjects, withdraw_subjects};
use crate::readers::Readers;
use crate::weighing::evidence_of;
use crate::{Store, StoreError};
use tocsin_casework::{Case, CaseDecision, Team};

/// No earlier decision of the same case is still in the outbox (`decision_outbox o`, `decisions d`).
const IS_NEXT_OF_CASE: &str = "NOT EXISTS (SELECT 1 FROM decision_outbox e JOIN decisions b ON b.decision_id = e.decision_id \
     WHERE b.case_id = d.case_id AND e.sequence < o.sequence)";

/// A decision that is not yet on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its place in the outbox, ascending by the time of writing.
    pub sequence: i64,
    /// Whose decision it is.
    pub team: Team,
    /// The decision, as the log is told of it.
    pub told: ToldDecision,
}

impl Store {
    /// Takes at most `limit` decisions to publish that can no longer be taken back, oldest first. Nobody else gets them for `length`; those that are
    /// not acknowledged by then are given out again, so a decision is published at least once (its id makes a second time harmless). The decisions of
    /// one case go out one after the other: the next is given out once the one before is acknowledged.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_take(&self, limit: u32, length: Milliseconds) -> Result<Vec<OutboxEntry>, StoreError> {
        let failed = StoreError::database("take decisions to publish");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = format!(
            "SELECT o.sequence, d.decision_id, d.verdict, d.grounds, d.decided_at, c.team, c.family FROM decision_outbox o \
             JOIN decisions d ON d.decision_id = o.decision_id JOIN cases c ON c.case_id = d.case_id \
             WHERE o.taken_until <= $1 AND o.due_at <= $1 AND {IS_NEXT_OF_CASE} ORDER BY o.sequence LIMIT $2{}",
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

    /// In how long the next decision is to be published: zero or less if it is late, `None` where none waits. What waits for an earlier one of its
    /// case does not count.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_due_in(&self) -> Result<Option<Milliseconds>, StoreError> {
        let failed = StoreError::database("ask for the next decision to publish");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT min(CASE WHEN o.taken_until > o.due_at THEN o.taken_until ELSE o.due_at END) AS due_at FROM decision_outbox o \
             JOIN decisions d ON d.decision_id = o.decision_id WHERE {IS_NEXT_OF_CASE}"
        );
        let rows = self.database().fetch(&sql, &[]).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "due_at" })?;
        let due_at = row.integer_if_any("due_at").map_err(&failed)?;
        Ok(due_at.map(|due_at| Timestamp(due_at) - now))
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

/// Writes a decision with its outbox row, a delivery for each endpoint of its team, and that its family's members are to be told of it. None of it
/// goes out before `goes_out_at`.
pub(crate) async fn write_decision(
    transaction: &mut Transaction,
    case: &Case,
    decision: &CaseDecision,
    goes_out_at: Timestamp,
) -> Result<(), StoreError> {
    write_mark(transaction, case, decision, goes_out_at).await?;
    let told = told_of(case, decision);
    transaction
        .execute(
            "INSERT INTO decision_fans (decision_id, due_at) VALUES ($1, $2)",
            &[format!("{:032x}", decision.id.0).into(), goes_out_at.into()],
        )
        .await
        .map_err(StoreError::database("write a decision"))?;
    begin_awaiting(transaction, case, decision, goes_out_at).await?;
    let readers = Readers::find(transaction).await?;
    let times = (decision.decided_at, goes_out_at);
    let after = supersede_earlier(transaction, (case.id, decision.id), decision.decided_at).await?;
    readers
        .tell_decision(transaction, (&told, decision.decided_by), (times.0, times.1, after))
        .await?;
    tell_subjects(transaction, &readers, (case, &told), times).await
}

/// A decision of a case as others are told of it.
pub(crate) fn told_of(case: &Case, decision: &CaseDecision) -> ToldDecision {
    ToldDecision {
        decision: Decision {
            id: decision.id,
            family: case.family,
            scope: case.team.scope(),
            verdict: decision.ruling.verdict,
            at: decision.decided_at,
        },
        grounds: decision.ruling.grounds.clone(),
    }
}

/// Writes a decision with its outbox row: the key groups are told of it, and nobody else.
pub(crate) async fn write_mark(
    transaction: &mut Transaction,
    case: &Case,
    decision: &CaseDecision,
    goes_out_at: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::database("write a decision");
    let id = format!("{:032x}", decision.id.0);
    transaction
        .execute(
            "INSERT INTO decisions (decision_id, case_id, verdict, rationale, decided_by, decided_at, fencing, grounds, evidence) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                id.as_str().into(),
                case.id.to_string().into(),
                (decision.ruling.verdict as i64).into(),
                decision.ruling.rationale.as_str().into(),
                decision.decided_by.to_string().into(),
                decision.decided_at.into(),
                (decision.fencing as i64).into(),
                grounds_to_json(&decision.ruling.grounds).into(),
                evidence_of(case).into(),
            ],
        )
        .await
        .map_err(&failed)?;
    transaction
        .execute(
            "INSERT INTO decision_outbox (decision_id, taken_until, due_at) VALUES ($1, 0, $2)",
            &[id.as_str().into(), goes_out_at.into()],
        )
        .await
        .map(drop)
        .map_err(&failed)
}

/// Takes a decision out of the outbox and from every endpoint's deliveries; whether nothing of it went out. If something did, the
/// transaction must not be committed.
pub(crate) async fn withdraw_decision(
    transaction: &mut Transaction,
    decision: DecisionId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let failed = StoreError::database("take a decision back");
    let id = format!("{:032x}", decision.0);
    // By what was done and not by the time: a clock that runs backwards must not take back what is out.
    let unpublished = "DELETE FROM decision_outbox WHERE decision_id = $1 AND taken_until = 0";
    if transaction
        .execute(unpublished, &[id.as_str().into()])
        .await
        .map_err(&failed)?
        == 0
    {
        return Ok(false);
    }
    let untried = "DELETE FROM deliveries WHERE event_id = $1 AND state = 1 AND attempts = 0";
    transaction
        .execute(untried, &[id.as_str().into()])
        .await
        .map_err(&failed)?;
    let tried = "SELECT 1 FROM deliveries WHERE event_id = $1";
    if !transaction
        .fetch(tried, &[id.as_str().into()])
        .await
        .map_err(&failed)?
        .is_empty()
    {
        return Ok(false);
    }
    if !withdraw_subjects(transaction, decision, now).await? {
        return Ok(false);
    }
    restore_earlier(transaction, decision, now).await?;
    for (sql, values) in [
        (
            "DELETE FROM decision_fans WHERE decision_id = $1",
            vec![id.as_str().into()],
        ),
        (
            "DELETE FROM delivery_events WHERE event_id = $1",
            vec![id.as_str().into()],
        ),
        (
            "UPDATE decisions SET withdrawn_at = $2 WHERE decision_id = $1",
            vec![id.as_str().into(), now.into()],
        ),
    ] {
        transaction.execute(sql, &values).await.map_err(&failed)?;
    }
    end_awaiting(transaction, &id).await?;
    Ok(true)
}

fn entry(row: &Row) -> Result<OutboxEntry, StoreError> {
    let failed = StoreError::database("read a decision to publish");
    let family = row.text("family").map_err(&failed)?;
    let family = ContentId::parse(&family).ok_or(StoreError::Malformed { field: "family" })?;
    let team = team(row)?;
    Ok(OutboxEntry {
        sequence: row.integer("sequence").map_err(&failed)?,
        team,
        told: ToldDecision {
            decision: Decision {
                id: decision_id(&row.text("decision_id").map_err(&failed)?)?,
                family: FamilyId(family),
                scope: team.scope(),
                verdict: verdict(row)?,
                at: Timestamp(row.integer("decided_at").map_err(&failed)?),
            },
            grounds: grounds_from_json(&row.text("grounds").map_err(&failed)?)?,
        },
    })
}
