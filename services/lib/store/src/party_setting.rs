//! What a party chose for its own casework.

use tocsin_audit::Action;
use tocsin_casework::OnReupload;
use tocsin_model::PartyId;

use crate::audit::changed;
use crate::database::Transaction;
use crate::party::{is_revoked, raise_version, refuse_research};
use crate::{RESEARCH_PARTIES_MAX, Store, StoreError};

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

    /// Keeps whether a party takes part in the daily aggregates for researchers, as [`InResearch`] says: with all days that begin from now on, and with none that is
    /// published from now on.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], [`StoreError::PartyRevoked`], [`StoreError::ResearchParty`], [`StoreError::ResearchPartyCount`], or the database failed.
    pub async fn set_in_research(&self, party: PartyId, setting: InResearch) -> Result<(), StoreError> {
        let failed = StoreError::database("change a setting of a party");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        if is_revoked(&mut transaction, party, &failed).await? {
            return Err(StoreError::PartyRevoked { party });
        }
        refuse_research(&mut transaction, party).await?;
        // The registry's row is locked first: two that agree at once are both counted.
        raise_version(&mut transaction).await.map_err(&failed)?;
        let others =
            "SELECT count(*) AS parties FROM parties WHERE in_research = 1 AND revoked_at IS NULL AND party_id <> $1";
        let rows = transaction.fetch(others, &[i64::from(party.0).into()]).await;
        let others = rows.map_err(&failed)?.first().map(|row| row.integer("parties"));
        let others = others.transpose().map_err(&failed)?.unwrap_or(0);
        if setting == InResearch::Named && others >= RESEARCH_PARTIES_MAX as i64 {
            return Err(StoreError::ResearchPartyCount);
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let since = (setting == InResearch::Named).then_some(now.0);
        // Who says it again takes part since the first time.
        let sql = "UPDATE parties SET in_research = $2, in_research_since = COALESCE(CASE WHEN $2 = 1 THEN in_research_since END, $3) \
             WHERE party_id = $1 RETURNING name";
        let values = [i64::from(party.0).into(), (setting as i64).into(), since.into()];
        let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "name" })?;
        let name = row.text("name").map_err(&failed)?;
        let detail = format!("in research: {}", setting.name());
        self.append_audit(&mut transaction, now, &[changed(Action::PartyChanged, &name, &detail)])
            .await?;
        transaction.commit().await.map_err(&failed)
    }

    /// Whether a party takes part in the daily aggregates for researchers.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn in_research(&self, party: PartyId) -> Result<InResearch, StoreError> {
        let number = self.setting(party, "in_research").await?;
        InResearch::from_number(number).ok_or(StoreError::Malformed { field: "in_research" })
    }

    /// Whether a party may be named in reports.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn in_reports(&self, party: PartyId) -> Result<InReports, StoreError> {
        let number = self.setting(party, "in_reports").await?;
        InReports::from_number(number).ok_or(StoreError::Malformed { field: "in_reports" })
    }

    /// The number under which a setting is kept.
    async fn setting(&self, party: PartyId, column: &'static str) -> Result<i64, StoreError> {
        let failed = StoreError::database("read a setting of a party");
        let sql = format!("SELECT {column} FROM parties WHERE party_id = $1");
        let rows = self.database().fetch(&sql, &[i64::from(party.0).into()]).await;
        let rows = rows.map_err(&failed)?;
        let row = rows.first().ok_or_else(|| StoreError::NoSuchParty {
            party: party.0.to_string(),
        })?;
        row.integer(column).map_err(&failed)
    }
}

/// Whether a party takes part in the daily aggregates for researchers, by name. The numbers are those of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum InResearch {
    /// It does not: nothing of it is counted.
    #[default]
    Absent = 0,
    /// It does, from the first whole day on.
    Named = 1,
}

impl InResearch {
    fn from_number(number: i64) -> Option<InResearch> {
        [InResearch::Absent, InResearch::Named]
            .into_iter()
            .find(|setting| *setting as i64 == number)
    }

    /// Its name in commands.
    pub fn name(self) -> &'static str {
        match self {
            InResearch::Absent => "absent",
            InResearch::Named => "named",
        }
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
