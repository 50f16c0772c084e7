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
        let detail = format!("on a re-upload: {}", setting.name());
        self.set(party, ("on_reupload", setting as i64), &detail).await
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

    /// Keeps a setting under its number; the audit says what it is.
    async fn set(&self, party: PartyId, (column, number): (&'static str, i64), detail: &str) -> Result<(), StoreError> {
        let failed = StoreError::database("change a setting of a party");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        if is_revoked(&mut transaction, party, &failed).await? {
            return Err(StoreError::PartyRevoked { party });
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = format!("UPDATE parties SET {column} = $2 WHERE party_id = $1 RETURNING name");
        let values = [i64::from(party.0).into(), number.into()];
        let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "name" })?;
        let name = row.text("name").map_err(&failed)?;
        self.append_audit(&mut transaction, now, &[changed(Action::PartyChanged, &name, detail)])
            .await?;
        transaction.commit().await.map_err(&failed)
    }

    /// Keeps whether a party may be named in the coordinators' reports, as [`InReports`] says. It holds for all reports that are made from now on.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], [`StoreError::PartyRevoked`], or the database failed.
    pub async fn set_in_reports(&self, party: PartyId, may: InReports) -> Result<(), StoreError> {
        let detail = format!("in reports: {}", may.name());
        self.set(party, ("in_reports", may as i64), &detail).await
    }

    /// Whether a party may be named in reports.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn in_reports(&self, party: PartyId) -> Result<InReports, StoreError> {
        let failed = StoreError::database("read a setting of a party");
        let sql = "SELECT in_reports FROM parties WHERE party_id = $1";
        let rows = self.database().fetch(sql, &[i64::from(party.0).into()]).await;
        let rows = rows.map_err(&failed)?;
        let row = rows.first().ok_or_else(|| StoreError::NoSuchParty {
            party: party.0.to_string(),
        })?;
        let number = row.integer("in_reports").map_err(&failed)?;
        InReports::from_number(number).ok_or(StoreError::Malformed { field: "in_reports" })
    }
}

/// Whether a party may be named in the coordinators' reports: among those who took part in incidents, and its platforms by how fast they were. The numbers are those of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum InReports {
    /// It did not agree: nothing is told of it.
    #[default]
    Unnamed = 0,
    /// It agreed.
    Named = 1,
}

impl InReports {
    /// The setting of this number.
    pub(crate) fn from_number(number: i64) -> Option<InReports> {
        [InReports::Unnamed, InReports::Named]
            .into_iter()
            .find(|setting| *setting as i64 == number)
    }

    /// Its name in commands.
    pub fn name(self) -> &'static str {
        match self {
            InReports::Unnamed => "unnamed",
            InReports::Named => "named",
        }
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
