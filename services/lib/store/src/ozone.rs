//! How far the events of Ozone were read, and what became of each: so that each counts once.

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_model::{DecisionId, KeyId, Milliseconds, Name, Timestamp};

use crate::database::{Transaction, Value};
use crate::key::check_moderator;
use crate::ozone_subjects::forget_subjects;
use crate::{Store, StoreError};

/// The most events that are noted at a time: a page of Ozone.
pub const OZONE_EVENTS_MAX: usize = 100;

impl Store {
    /// Up to when, by its clock, the events of an Ozone were read, and since when they are taken; `since` for both where it is asked for the first time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ozone_position(
        &self,
        endpoint: &Name,
        since: Timestamp,
    ) -> Result<(Timestamp, Timestamp), StoreError> {
        let failed = StoreError::database("read how far Ozone was read");
        let rows = self
            .database()
            .fetch(
                "SELECT read_through, begun_at FROM ozone_positions WHERE endpoint = $1",
                &[endpoint.as_str().into()],
            )
            .await
            .map_err(&failed)?;
        match rows.first() {
            Some(row) => {
                let time = |name: &str| row.integer(name).map(Timestamp).map_err(&failed);
                Ok((time("read_through")?, time("begun_at")?.max(since)))
            }
            None => Ok((since, since)),
        }
    }

    /// Which of these events were looked at before; of more than [`OZONE_EVENTS_MAX`] the first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ozone_events_known(&self, endpoint: &Name, events: &[i64]) -> Result<BTreeSet<i64>, StoreError> {
        if events.is_empty() {
            return Ok(BTreeSet::new());
        }
        let failed = StoreError::database("find the events of Ozone that were looked at");
        let events = events.iter().take(OZONE_EVENTS_MAX).map(|event| (*event).into());
        let values: Vec<Value> = std::iter::once(endpoint.as_str().into()).chain(events).collect();
        let names: Vec<String> = (2..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT event FROM ozone_events WHERE endpoint = $1 AND event IN ({})",
            names.join(", ")
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let event = |row: &crate::database::Row| row.integer("event").map_err(&failed);
        rows.iter().map(event).collect()
    }

    /// Notes what became of an event that was created then, by Ozone's clock; now, where that is not known. What was noted first stands.
    /// Nothing is noted where the endpoint has another target since.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_ozone_event(
        &self,
        endpoint: (&Name, &str),
        (event, created_at): (i64, Option<Timestamp>),
        outcome: &str,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("note an event of Ozone");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        if !is_target(&mut transaction, endpoint).await? {
            return transaction.rollback().await.map_err(&failed);
        }
        let at = created_at.unwrap_or(now);
        note(&mut transaction, endpoint.0, (event, at), outcome).await?;
        transaction.commit().await.map_err(&failed)
    }

    /// Notes up to when, by its clock, the events of an Ozone were read. It never goes back. Nothing is noted where the endpoint has another target
    /// since.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_ozone_position(
        &self,
        endpoint: (&Name, &str),
        read_through: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("note how far Ozone was read");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        if !is_target(&mut transaction, endpoint).await? {
            return transaction.rollback().await.map_err(&failed);
        }
        transaction
            .execute(
                "INSERT INTO ozone_positions (endpoint, read_through) VALUES ($1, $2) \
                 ON CONFLICT (endpoint) DO UPDATE SET read_through = excluded.read_through \
                 WHERE excluded.read_through > ozone_positions.read_through",
                &[endpoint.0.as_str().into(), read_through.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Forgets what became of events that are not read again: created longer than `overlap` before the time up to which their Ozone was read, however long
    /// that is ago. How many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_ozone_events(&self, overlap: Milliseconds) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget events of Ozone");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let forgotten = transaction
            .execute(
                "DELETE FROM ozone_events WHERE created_at < \
                 (SELECT read_through - $1 FROM ozone_positions WHERE ozone_positions.endpoint = ozone_events.endpoint)",
                &[overlap.0.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }

    /// Whether a decision of this id was made and not taken back.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_decision(&self, decision: DecisionId) -> Result<bool, StoreError> {
        let id = format!("{:032x}", decision.0);
        let sql = "SELECT 1 AS found FROM decisions WHERE decision_id = $1";
        let rows = self.database().fetch(sql, &[id.into()]).await;
        Ok(!rows.map_err(StoreError::database("find a decision"))?.is_empty())
    }

    /// Whether a key may decide for a team: a moderator's, of this team, and not revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_moderator(&self, key: KeyId, team: Team) -> Result<bool, StoreError> {
        let failed = StoreError::database("find a moderator");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let is_moderator = check_moderator(&mut transaction, key, team).await?;
        transaction.rollback().await.map_err(&failed)?;
        Ok(is_moderator)
    }
}

/// Whether this is still the target of an endpoint, which then stays so until the transaction ends.
pub(crate) async fn is_target(
    transaction: &mut Transaction,
    (endpoint, target): (&Name, &str),
) -> Result<bool, StoreError> {
    // A row that is written is held.
    let sql = "UPDATE endpoints SET target = target WHERE endpoint = $1 AND target = $2";
    let held = transaction
        .execute(sql, &[endpoint.as_str().into(), target.into()])
        .await;
    held.map(|rows| rows > 0)
        .map_err(StoreError::database("find the target of an endpoint"))
}

/// Forgets what became of the events of an Ozone, and what was reported in it, where another one takes its place.
pub(crate) async fn forget_former(
    transaction: &mut Transaction,
    endpoint: &Name,
    now: Timestamp,
) -> Result<(), StoreError> {
    forget_subjects(transaction, endpoint, now).await?;
    let sql = "DELETE FROM ozone_events WHERE endpoint = $1";
    let forgotten = transaction.execute(sql, &[endpoint.as_str().into()]).await;
    forgotten
        .map(drop)
        .map_err(StoreError::database("begin to read another Ozone"))
}

/// Takes what happens in an Ozone from `now` on, and nothing of what happened before.
pub(crate) async fn begin_anew(
    transaction: &mut Transaction,
    endpoint: &Name,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO ozone_positions (endpoint, read_through, begun_at) VALUES ($1, $2, $2) \
               ON CONFLICT (endpoint) DO UPDATE SET read_through = excluded.read_through, begun_at = excluded.begun_at";
    let begun = transaction.execute(sql, &[endpoint.as_str().into(), now.into()]).await;
    begun.map(drop).map_err(StoreError::database("begin to read an Ozone"))
}

/// Notes what became of an event that was created then; whether nothing was noted of it before.
pub(crate) async fn note(
    transaction: &mut Transaction,
    endpoint: &Name,
    (event, created_at): (i64, Timestamp),
    outcome: &str,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO ozone_events (endpoint, event, outcome, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (endpoint, event) DO NOTHING";
    let values = [
        endpoint.as_str().into(),
        event.into(),
        outcome.into(),
        created_at.into(),
    ];
    let noted = transaction.execute(sql, &values).await;
    noted
        .map(|rows| rows > 0)
        .map_err(StoreError::database("note an event of Ozone"))
}
