use tocsin_audit::Action;
use tocsin_model::{Name, PartyId, PlatformId, Timestamp};

use crate::audit::changed;
use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// How many platforms a party may have.
pub const PLATFORMS_PER_PARTY_MAX: usize = 64;

/// What a party is. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PartyKind {
    /// It has platforms, and publishes what happens on them.
    Platforms = 1,
    /// It does research: it has no platform, and is told of nothing but aggregates.
    Research = 2,
}

/// A party and its platforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyRecord {
    /// Its number.
    pub id: PartyId,
    /// Its name: part of the name of its ingest topic.
    pub name: Name,
    /// What it is.
    pub kind: PartyKind,
    /// Its platforms, ascending by number; none of one that does research.
    pub platforms: Vec<(PlatformId, Name)>,
    /// Since when it is no longer a party.
    pub revoked_at: Option<Timestamp>,
    /// The version of the registry at its last change.
    pub version: u64,
}

impl Store {
    /// Adds a party with its platforms. Numbers and names are given once and never used again, also not after a revocation.
    ///
    /// # Errors
    /// No platform or too many, a name that is taken, or numbers used up.
    pub async fn add_party(&self, name: &Name, platforms: &[Name]) -> Result<PartyRecord, StoreError> {
        if !(1..=PLATFORMS_PER_PARTY_MAX).contains(&platforms.len()) {
            return Err(StoreError::PlatformCount { count: platforms.len() });
        }
        self.add_party_of(PartyKind::Platforms, name, platforms).await
    }

    /// Adds a party that does research. It has no platforms; it is not announced to those who read events, has no queue, and gets no endpoints.
    ///
    /// # Errors
    /// A name that is taken, numbers used up, or the database failed.
    pub async fn add_research_party(&self, name: &Name) -> Result<PartyRecord, StoreError> {
        self.add_party_of(PartyKind::Research, name, &[]).await
    }

    async fn add_party_of(&self, kind: PartyKind, name: &Name, platforms: &[Name]) -> Result<PartyRecord, StoreError> {
        let failed = StoreError::database("add a party");
        let taken = |name: &Name| {
            let name = name.clone();
            let failed = StoreError::database("add a party");
            move |error: sqlx::Error| match StoreError::is_unique_violation(&error) {
                true => StoreError::NameTaken { name },
                false => failed(error),
            }
        };
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // The registry's row is locked first: two additions at once get different numbers.
        let version = raise_version(&mut transaction).await.map_err(&failed)?;
        let party = next_number(&mut transaction, "SELECT max(party_id) AS number FROM parties").await?;
        let first_platform = next_number(&mut transaction, "SELECT max(platform_id) AS number FROM platforms").await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        transaction
            .execute(
                "INSERT INTO parties (party_id, name, added_at, version, kind) VALUES ($1, $2, $3, $4, $5)",
                &[
                    i64::from(party).into(),
                    name.as_str().into(),
                    now.into(),
                    version.into(),
                    (kind as i64).into(),
                ],
            )
            .await
            .map_err(taken(name))?;
        let mut numbered = Vec::with_capacity(platforms.len());
        for (index, platform) in platforms.iter().enumerate() {
            let id = u16::try_from(usize::from(first_platform) + index).map_err(|_| StoreError::NumbersExhausted)?;
            transaction
                .execute(
                    "INSERT INTO platforms (platform_id, party_id, name) VALUES ($1, $2, $3)",
                    &[i64::from(id).into(), i64::from(party).into(), platform.as_str().into()],
                )
                .await
                .map_err(taken(platform))?;
            numbered.push((PlatformId(id), platform.clone()));
        }
        self.append_audit(&mut transaction, now, &[changed(Action::PartyAdded, name.as_str(), "")])
            .await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(PartyRecord {
            id: PartyId(party),
            name: name.clone(),
            kind,
            platforms: numbered,
            revoked_at: None,
            version: version as u64,
        })
    }

    /// All parties, also the revoked ones, ascending by number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list_parties(&self) -> Result<Vec<PartyRecord>, StoreError> {
        let sql = format!("{SELECT_PARTIES} {ORDER}");
        let rows = self.database().fetch(&sql, &[]).await;
        records(&rows.map_err(StoreError::database("list parties"))?)
    }

    /// The parties with platforms that were added or revoked after `version` of the registry, ascending by number: what those who read events are told of.
    ///
    /// # Errors
    /// The database failed.
    pub async fn party_changes_since(&self, version: u64) -> Result<Vec<PartyRecord>, StoreError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let rows = self
            .database()
            .fetch(
                &format!("{SELECT_PARTIES} WHERE a.version > $1 AND l.platform_id IS NOT NULL {ORDER}"),
                &[version.into()],
            )
            .await
            .map_err(StoreError::database("list parties"))?;
        records(&rows)
    }

    /// The party of this name.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn party_named(&self, name: &Name) -> Result<PartyRecord, StoreError> {
        let rows = self
            .database()
            .fetch(
                &format!("{SELECT_PARTIES} WHERE a.name = $1 {ORDER}"),
                &[name.as_str().into()],
            )
            .await
            .map_err(StoreError::database("find a party"))?;
        records(&rows)?.pop().ok_or_else(|| StoreError::NoSuchParty {
            party: name.to_string(),
        })
    }

    /// The party of this number.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn party_of(&self, party: PartyId) -> Result<PartyRecord, StoreError> {
        let sql = format!("{SELECT_PARTIES} WHERE a.party_id = $1 {ORDER}");
        let rows = self.database().fetch(&sql, &[i64::from(party.0).into()]).await;
        let rows = rows.map_err(StoreError::database("find a party"))?;
        records(&rows)?.pop().ok_or_else(|| StoreError::NoSuchParty {
            party: party.0.to_string(),
        })
    }

    /// The version of the registry: raised by every change, for those who poll.
    ///
    /// # Errors
    /// The database failed.
    pub async fn registry_version(&self) -> Result<u64, StoreError> {
        let failed = StoreError::database("read the registry's version");
        let rows = self
            .database()
            .fetch("SELECT version FROM registry", &[])
            .await
            .map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "version" })?;
        row.integer("version").map(|version| version as u64).map_err(&failed)
    }

    /// Revokes a party: its keys stop working and it gets no more cases. Revoking again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoSuchParty`], or the database failed.
    pub async fn revoke_party(&self, party: PartyId) -> Result<(), StoreError> {
        let failed = StoreError::database("revoke a party");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let version = raise_version(&mut transaction).await.map_err(&failed)?;
        if is_revoked(&mut transaction, party, &failed).await? {
            return Ok(());
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let rows = transaction
            .fetch(
                "UPDATE parties SET revoked_at = $2, version = $3 WHERE party_id = $1 RETURNING name",
                &[i64::from(party.0).into(), now.into(), version.into()],
            )
            .await
            .map_err(&failed)?;
        let revoked = rows.first().ok_or(StoreError::Malformed { field: "name" })?;
        let revoked = revoked.text("name").map_err(&failed)?;
        self.append_audit(&mut transaction, now, &[changed(Action::PartyRevoked, &revoked, "")])
            .await?;
        transaction.commit().await.map_err(&failed)?;
        self.inner.keys.clear();
        self.inner.sessions.clear();
        self.inner.certificates.clear();
        Ok(())
    }
}

const SELECT_PARTIES: &str = "SELECT a.party_id, a.name AS party_name, a.revoked_at, a.version, a.kind, l.platform_id, l.name AS platform_name \
     FROM parties a LEFT JOIN platforms l ON l.party_id = a.party_id";
const ORDER: &str = "ORDER BY a.party_id, l.platform_id";

/// Whether a party is revoked; `failed` says in what the database failed.
///
/// # Errors
/// [`StoreError::NoSuchParty`], or the database failed.
pub(crate) async fn is_revoked(
    transaction: &mut Transaction,
    party: PartyId,
    failed: impl Fn(sqlx::Error) -> StoreError,
) -> Result<bool, StoreError> {
    let rows = transaction
        .fetch(
            "SELECT revoked_at FROM parties WHERE party_id = $1",
            &[i64::from(party.0).into()],
        )
        .await
        .map_err(&failed)?;
    let row = rows.first().ok_or_else(|| StoreError::NoSuchParty {
        party: party.0.to_string(),
    })?;
    Ok(row.integer_if_any("revoked_at").map_err(&failed)?.is_some())
}

pub(crate) async fn raise_version(transaction: &mut Transaction) -> Result<i64, sqlx::Error> {
    let rows = transaction
        .fetch("UPDATE registry SET version = version + 1 RETURNING version", &[])
        .await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.integer("version")
}

async fn next_number(transaction: &mut Transaction, select_highest: &str) -> Result<u16, StoreError> {
    let failed = StoreError::database("number a party");
    let rows = transaction
        .fetch(select_highest, &[] as &[Value])
        .await
        .map_err(&failed)?;
    let highest = rows.first().ok_or(StoreError::Malformed { field: "number" })?;
    let highest = highest.integer_if_any("number").map_err(&failed)?.unwrap_or(0);
    u16::try_from(highest + 1).map_err(|_| StoreError::NumbersExhausted)
}

/// Folds rows of (party, platform), ascending by party, into records.
fn records(rows: &[Row]) -> Result<Vec<PartyRecord>, StoreError> {
    let failed = StoreError::database("read a party");
    let mut records: Vec<PartyRecord> = Vec::new();
    for row in rows {
        let id = PartyId(number(row, "party_id")?);
        let platform = match row.integer_if_any("platform_id").map_err(&failed)? {
            None => None,
            Some(_) => Some((PlatformId(number(row, "platform_id")?), name(row, "platform_name")?)),
        };
        match records.last_mut() {
            Some(record) if record.id == id => record.platforms.extend(platform),
            _ => records.push(PartyRecord {
                id,
                name: name(row, "party_name")?,
                kind: kind(row)?,
                platforms: platform.into_iter().collect(),
                revoked_at: row.integer_if_any("revoked_at").map_err(&failed)?.map(Timestamp),
                version: row.integer("version").map_err(&failed)? as u64,
            }),
        }
    }
    Ok(records)
}

/// Refuses what is for parties with platforms alone.
///
/// # Errors
/// [`StoreError::ResearchParty`], [`StoreError::NoSuchParty`], or the database failed.
pub(crate) async fn refuse_research(transaction: &mut Transaction, party: PartyId) -> Result<(), StoreError> {
    let failed = StoreError::database("ask what a party is");
    let sql = "SELECT kind FROM parties WHERE party_id = $1";
    let rows = transaction.fetch(sql, &[i64::from(party.0).into()]).await;
    let rows = rows.map_err(failed)?;
    let row = rows.first().ok_or_else(|| StoreError::NoSuchParty {
        party: party.0.to_string(),
    })?;
    match kind(row)? {
        PartyKind::Platforms => Ok(()),
        PartyKind::Research => Err(StoreError::ResearchParty { party }),
    }
}

fn kind(row: &Row) -> Result<PartyKind, StoreError> {
    let number = row.integer("kind").map_err(StoreError::database("read a party"))?;
    [PartyKind::Platforms, PartyKind::Research]
        .into_iter()
        .find(|kind| *kind as i64 == number)
        .ok_or(StoreError::Malformed { field: "kind" })
}

pub(crate) fn number(row: &Row, field: &'static str) -> Result<u16, StoreError> {
    let value = row.integer(field).map_err(StoreError::database("read a number"))?;
    u16::try_from(value).map_err(|_| StoreError::Malformed { field })
}

pub(crate) fn name(row: &Row, field: &'static str) -> Result<Name, StoreError> {
    let text = row.text(field).map_err(StoreError::database("read a name"))?;
    text.parse().map_err(|_| StoreError::Malformed { field })
}
