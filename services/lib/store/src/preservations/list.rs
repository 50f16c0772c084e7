//! Reading preservations.

use tocsin_casework::{CaseId, Team};
use tocsin_evidence::{Preservation, PreservationId, PreservationRefusal, PreservationState, SignedEntry};
use tocsin_model::{PartyId, Timestamp};

use super::{Preserved, fetch};
use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// Which preservations of a party.
#[derive(Clone, Debug)]
pub struct PreservationQuery {
    /// The party.
    pub party: PartyId,
    /// Only those that have come so far.
    pub state: Option<PreservationState>,
    /// Only those of this case.
    pub case: Option<CaseId>,
    /// How many at most: 1 to [`PreservationQuery::LIMIT_MAX`].
    pub limit: u32,
    /// `next` of the page before.
    pub after: Option<PreservationId>,
}

impl PreservationQuery {
    /// The largest page.
    pub const LIMIT_MAX: u32 = 200;
}

/// A page of preservations, the latest first.
#[derive(Clone, Debug)]
pub struct PreservationPage {
    /// The preservations.
    pub preservations: Vec<Preservation>,
    /// Where the next page goes on, if there may be one.
    pub next: Option<PreservationId>,
    /// The store's time.
    pub as_of: Timestamp,
}

/// How many preservations of all parties there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreservationCounts {
    /// Those whose copy is still to be made.
    pub waiting: u64,
    /// Those whose copy is sealed.
    pub sealed: u64,
    /// Those that ended and whose copy is still to be deleted.
    pub ended: u64,
}

fn condition(state: PreservationState) -> &'static str {
    match state {
        PreservationState::Waiting => " AND p.ended_at IS NULL AND p.sealed_at IS NULL",
        PreservationState::Sealed => " AND p.ended_at IS NULL AND p.sealed_at IS NOT NULL",
        PreservationState::Ended => " AND p.ended_at IS NOT NULL AND p.deleted_at IS NULL",
        PreservationState::Deleted => " AND p.deleted_at IS NOT NULL",
    }
}

impl Store {
    /// A page of a party's preservations.
    ///
    /// # Errors
    /// The database failed.
    pub async fn preservations(&self, query: &PreservationQuery) -> Result<PreservationPage, StoreError> {
        let failed = StoreError::database("read preservations");
        let limit = query.limit.clamp(1, PreservationQuery::LIMIT_MAX);
        let mut values: Vec<Value> = vec![Team::Party(query.party).to_number().into(), i64::from(limit).into()];
        let mut conditions = query.state.map_or("", condition).to_owned();
        if let Some(case) = query.case {
            values.push(case.to_string().into());
            conditions.push_str(&format!(" AND p.case_id = ${}", values.len()));
        }
        if let Some(after) = query.after {
            values.push(after.to_string().into());
            conditions.push_str(&format!(
                " AND p.sequence < (SELECT a.sequence FROM preservations a WHERE a.preservation_id = ${} AND a.team = $1)",
                values.len()
            ));
        }
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let as_of = self.inner.clock.now(&mut reading).await.map_err(&failed)?;
        let sql = format!("WHERE p.team = $1{conditions} ORDER BY p.sequence DESC LIMIT $2");
        let preservations = fetch(&mut reading, &sql, &values).await?;
        reading.rollback().await.map_err(&failed)?;
        let last = preservations.last().filter(|_| preservations.len() == limit as usize);
        Ok(PreservationPage {
            next: last.map(|last| last.id),
            preservations,
            as_of,
        })
    }

    /// A preservation of this party with its custody.
    ///
    /// # Errors
    /// [`PreservationRefusal::NoSuchPreservation`], also for another party's; or the database failed.
    pub async fn preservation(&self, party: PartyId, id: PreservationId) -> Result<Preserved, StoreError> {
        let failed = StoreError::database("read a preservation");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut reading).await.map_err(&failed)?;
        let values = [id.to_string().into(), Team::Party(party).to_number().into()];
        let found = fetch(&mut reading, "WHERE p.preservation_id = $1 AND p.team = $2", &values).await?;
        let preservation = found
            .into_iter()
            .next()
            .ok_or(PreservationRefusal::NoSuchPreservation)?;
        let custody = custody(&mut reading, id).await?;
        reading.rollback().await.map_err(&failed)?;
        Ok(Preserved {
            preservation,
            custody,
            now,
        })
    }

    /// How many there are of all parties.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_preservations(&self) -> Result<PreservationCounts, StoreError> {
        let failed = StoreError::database("count preservations");
        let sql = "SELECT count(CASE WHEN ended_at IS NULL AND sealed_at IS NULL THEN 1 END) AS waiting, \
             count(CASE WHEN ended_at IS NULL AND sealed_at IS NOT NULL THEN 1 END) AS sealed, count(ended_at) AS ended \
             FROM preservations WHERE deleted_at IS NULL";
        let rows = self.database().fetch(sql, &[]).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "waiting" })?;
        let count = |field| row.integer(field).map(|count| count as u64).map_err(&failed);
        Ok(PreservationCounts {
            waiting: count("waiting")?,
            sealed: count("sealed")?,
            ended: count("ended")?,
        })
    }
}

/// All entries of a preservation's custody.
pub(super) async fn custody(transaction: &mut Transaction, id: PreservationId) -> Result<Vec<SignedEntry>, StoreError> {
    let sql = "SELECT entry FROM custody WHERE preservation_id = $1 ORDER BY sequence";
    let rows = transaction.fetch(sql, &[id.to_string().into()]).await;
    let rows = rows.map_err(StoreError::database("read a chain of custody"))?;
    rows.iter().map(entry).collect()
}

pub(super) fn entry(row: &Row) -> Result<SignedEntry, StoreError> {
    let line = row
        .text("entry")
        .map_err(StoreError::database("read a chain of custody"))?;
    SignedEntry::parse(&line).ok_or(StoreError::Malformed { field: "entry" })
}
