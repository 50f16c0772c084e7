//! What a party chose for its own casework.

use tocsin_audit::Action;
use tocsin_casework::OnReupload;
use tocsin_model::PartyId;

use crate::audit::changed;
use crate::database::Transaction;
use crate::party::is_revoked;
use crate::{Store, StoreError};

impl Store {
    /// Keeps what a party wants done when copies come after their removal was confirmed. It holds for what comes from now on.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], [`StoreError::PartyRevoked`], or the database failed.
    pub async fn set_on_reupload(&self, party: PartyId, setting: OnReupload) -> Result<(), StoreError> {
        let failed = StoreError::database("change a setting of a party");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        if is_revoked(&mut transaction, party, &failed).await? {
            return Err(StoreError::PartyRevoked { party });
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "UPDATE parties SET on_reupload = $2 WHERE party_id = $1 RETURNING name";
        let values = [i64::from(party.0).into(), (setting as i64).into()];
        let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "name" })?;
        let name = row.text("name").map_err(&failed)?;
        let detail = format!("on a re-upload: {}", setting.name());
        self.append_audit(&mut transaction, now, &[changed(Action::PartyChanged, &name, &detail)])
            .await?;
        transaction.commit().await.map_err(&failed)
    }

    /// What a party wants done when copies come after their removal was confirmed.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn on_reupload(&self, party: PartyId) -> Result<OnReupload, StoreError> {
        let failed = StoreError::database("read a setting of a party");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let setting = on_reupload(&mut reading, party).await?;
        reading.rollback().await.map_err(&failed)?;
        Ok(setting)
    }
}

pub(crate) async fn on_reupload(transaction: &mut Transaction, party: PartyId) -> Result<OnReupload, StoreError> {
    let failed = StoreError::database("read a setting of a party");
    let sql = "SELECT on_reupload FROM parties WHERE party_id = $1";
    let rows = transaction.fetch(sql, &[i64::from(party.0).into()]).await;
    let rows = rows.map_err(&failed)?;
    let row = rows.first().ok_or_else(|| StoreError::NoSuchParty {
        party: party.0.to_string(),
    })?;
    let setting = OnReupload::from_number(row.integer("on_reupload").map_err(&failed)?);
    setting.ok_or(StoreError::Malformed { field: "on_reupload" })
}
