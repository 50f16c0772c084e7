//! Copies of preservations: who makes which, when they are sealed, and when they go.

use tocsin_audit::Action;
use tocsin_casework::Team;
use tocsin_evidence::{Act, Preservation, PreservationId, SealedCopy};
use tocsin_model::{Milliseconds, PartyId, Timestamp};

use super::row::{SELECT_PRESERVATIONS, preservation};
use super::{NOBODY, audited, detail_of, fetch, locked, write};
use crate::database::{Locked, Value, values_from};
use crate::{Store, StoreError};

/// How many preservations end, or are told to have ended, at a time.
pub const EXPIRED_MAX: i64 = 100;

/// How many ids one statement names.
const IDS_PER_STATEMENT: usize = 200;

/// A copy that a dispatcher makes.
#[derive(Clone, Debug)]
pub struct SealClaim {
    /// What is to be copied.
    pub preservation: Preservation,
    /// The number of the try, from 1: of several that were begun the latest is believed.
    pub attempt: u64,
    /// The store's time.
    pub now: Timestamp,
}

/// A copy that is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedCopy {
    /// Its place among all preservations.
    pub place: i64,
    /// The preservation.
    pub id: PreservationId,
    /// Whether it is known to have been sealed: then there is one to delete.
    pub was_sealed: bool,
}

impl Store {
    /// A preservation whose copy is to be made, for `length`: that of the first party behind `after` that has one, so that none keeps the others waiting; of a
    /// party the oldest.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_unsealed(
        &self,
        after: Option<PartyId>,
        length: Milliseconds,
    ) -> Result<Option<SealClaim>, StoreError> {
        let failed = StoreError::database("find what is to be sealed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let after = after.map_or(i64::MIN, |party| Team::Party(party).to_number());
        let condition = format!(
            "WHERE p.sealed_at IS NULL AND p.ended_at IS NULL AND p.seal_claimed_until <= $1 AND p.until_at > $1 \
             ORDER BY CASE WHEN p.team > $2 THEN 0 ELSE 1 END, p.team, p.sequence LIMIT 1{}",
            transaction.for_update(Locked::PreservationsNobodyHolds)
        );
        let found = fetch(&mut transaction, &condition, &[now.into(), after.into()]).await?;
        let Some(preservation) = found.into_iter().next() else {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        };
        let id = preservation.id.to_string();
        let sql = "UPDATE preservations SET seal_attempt = seal_attempt + 1, seal_claimed_until = $2 WHERE preservation_id = $1";
        let values = [id.as_str().into(), (now + length).into()];
        transaction.execute(sql, &values).await.map_err(&failed)?;
        let sql = "SELECT seal_attempt FROM preservations WHERE preservation_id = $1";
        let rows = transaction.fetch(sql, &[id.into()]).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "seal_attempt" })?;
        let attempt = row.integer("seal_attempt").map_err(&failed)? as u64;
        transaction.commit().await.map_err(&failed)?;
        Ok(Some(SealClaim {
            preservation,
            attempt,
            now,
        }))
    }

    /// Goes on with a try for `length` from now; whether it is still wanted, and no other was begun.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew_seal(
        &self,
        (id, attempt): (PreservationId, u64),
        length: Milliseconds,
    ) -> Result<bool, StoreError> {
        let failed = StoreError::database("go on sealing");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "UPDATE preservations SET seal_claimed_until = $3 \
             WHERE preservation_id = $1 AND seal_attempt = $2 AND sealed_at IS NULL AND ended_at IS NULL";
        let values = [id.to_string().into(), (attempt as i64).into(), (now + length).into()];
        let renewed = transaction.execute(sql, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(renewed > 0)
    }

    /// Notes that a try sealed a copy; whether it counts: not where the preservation ended meanwhile, has another copy, or another try was begun, which takes
    /// the copy that it finds.
    ///
    /// # Errors
    /// [`StoreError::NoCustodyKey`], or the database failed.
    pub async fn sealed(&self, (id, attempt): (PreservationId, u64), copy: SealedCopy) -> Result<bool, StoreError> {
        let failed = StoreError::database("note what was sealed");
        let signer = self.signer()?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let mut sealed = locked(&mut transaction, id).await?;
        if sealed.ended.is_some() || sealed.copy.is_some() {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(sealed.ended.is_none() && sealed.copy.is_some_and(|known| known.manifest == copy.manifest));
        }
        let sql = "SELECT 1 FROM preservations WHERE preservation_id = $1 AND seal_attempt = $2";
        let values = [id.to_string().into(), (attempt as i64).into()];
        if transaction.fetch(sql, &values).await.map_err(&failed)?.is_empty() {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(false);
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        sealed.copy = Some(copy);
        let detail = detail_of([
            ("manifest_sha256", hex::encode(copy.manifest)),
            ("events", copy.events.to_string()),
            ("bytes", copy.bytes.to_string()),
        ]);
        let noted = write(&mut transaction, signer, (&sealed, NOBODY), (Act::Sealed, detail), now).await?;
        let entry = audited((Action::Preserved, "sealed", noted), &sealed, None);
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }

    /// Ends what is over by the store's clock, the first over first, at most [`EXPIRED_MAX`]; how many.
    ///
    /// # Errors
    /// [`StoreError::NoCustodyKey`], or the database failed; what ended before stays so.
    pub async fn expire_preservations(&self) -> Result<usize, StoreError> {
        let failed = StoreError::database("end preservations");
        let signer = self.signer()?;
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT preservation_id FROM preservations WHERE ended_at IS NULL AND until_at <= $1 ORDER BY until_at, sequence LIMIT {EXPIRED_MAX}"
        );
        let rows = self.database().fetch(&sql, &[now.into()]).await.map_err(&failed)?;
        let mut ended = 0;
        for row in &rows {
            let id = row.text("preservation_id").map_err(&failed)?;
            let id = id.parse().map_err(|_| StoreError::Malformed {
                field: "preservation_id",
            })?;
            let mut transaction = self.database().begin().await.map_err(&failed)?;
            let mut over = locked(&mut transaction, id).await?;
            let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
            // It may have been extended, or ended, since.
            if !over.expire(now) {
                transaction.rollback().await.map_err(&failed)?;
                continue;
            }
            let act = (Act::Expired, detail_of([]));
            let noted = write(&mut transaction, signer, (&over, NOBODY), act, now).await?;
            let entry = audited((Action::Preserved, "expired", noted), &over, None);
            self.append_audit(&mut transaction, now, &[entry]).await?;
            transaction.commit().await.map_err(&failed)?;
            ended += 1;
        }
        Ok(ended)
    }

    /// Those that ended and whose copies are still to be deleted, at most [`EXPIRED_MAX`] behind a place, the first placed first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ended_preservations(&self, after: i64) -> Result<Vec<EndedCopy>, StoreError> {
        let failed = StoreError::database("find what is to be deleted");
        let sql = format!(
            "SELECT sequence, preservation_id, sealed_at FROM preservations WHERE ended_at IS NOT NULL AND deleted_at IS NULL AND sequence > $1 \
             ORDER BY sequence LIMIT {EXPIRED_MAX}"
        );
        let rows = self.database().fetch(&sql, &[after.into()]).await.map_err(&failed)?;
        let ended = rows.iter().map(|row| {
            let id = row.text("preservation_id").map_err(&failed)?;
            Ok(EndedCopy {
                place: row.integer("sequence").map_err(&failed)?,
                id: id.parse().map_err(|_| StoreError::Malformed {
                    field: "preservation_id",
                })?,
                was_sealed: row.integer_if_any("sealed_at").map_err(&failed)?.is_some(),
            })
        });
        ended.collect()
    }

    /// Which of these have no copy any more: it is noted that it was deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn deleted_among(&self, ids: &[PreservationId]) -> Result<Vec<PreservationId>, StoreError> {
        let mut deleted = Vec::new();
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            let values: Vec<Value> = ids.iter().map(|id| id.to_string().into()).collect();
            let condition = format!(
                "WHERE p.deleted_at IS NOT NULL AND p.preservation_id IN ({})",
                values_from(1, ids.len())
            );
            let sql = format!("{SELECT_PRESERVATIONS} {condition}");
            let rows = self.database().fetch(&sql, &values).await;
            let rows = rows.map_err(StoreError::database("find what was deleted"))?;
            for row in &rows {
                deleted.push(preservation(row)?.id);
            }
        }
        Ok(deleted)
    }

    /// Notes that the copy of one that ended is deleted; whether that was new.
    ///
    /// # Errors
    /// [`StoreError::NoCustodyKey`], or the database failed.
    pub async fn deleted_copy(&self, id: PreservationId) -> Result<bool, StoreError> {
        let failed = StoreError::database("note what was deleted");
        let signer = self.signer()?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let mut deleted = locked(&mut transaction, id).await?;
        if deleted.ended.is_none() || deleted.deleted_at.is_some() {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(false);
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        deleted.deleted_at = Some(now);
        let act = (Act::Deleted, detail_of([]));
        let noted = write(&mut transaction, signer, (&deleted, NOBODY), act, now).await?;
        let entry = audited((Action::Preserved, "deleted", noted), &deleted, None);
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }
}
