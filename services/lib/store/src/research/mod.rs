//! Daily aggregates for researchers: who takes part, what is counted of a day, and what was published of it, which never changes.

mod counting;

use sha2::{Digest as _, Sha256};
use tocsin_casework::Team;
use tocsin_model::{Milliseconds, Name, PartyId, Timestamp};
use tocsin_report::Day;
use tocsin_research::{Counts, Publication};

use crate::database::{Row, Transaction};
use crate::party::{name, number};
use crate::{Store, StoreError};

/// How long after its end a day is published: longer than events may be late, and than decisions can be taken back.
pub const RESEARCH_AFTER: Milliseconds = Milliseconds::from_hours(24);

/// The most parties that take part: a published day holds some KiB of each.
pub const RESEARCH_PARTIES_MAX: usize = 128;

/// The most days of a page.
pub const RESEARCH_DAYS_MAX: u32 = 500;

/// A published day as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResearchDay {
    /// The day.
    pub day: Day,
    /// The version of its tables.
    pub version: u32,
    /// When it was published.
    pub published_at: Timestamp,
    /// How many parties took part.
    pub populations: u64,
    /// The SHA-256 of its bytes, hexadecimal.
    pub digest: String,
}

/// The bytes of a published day: JSON of a [`Publication`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedDay {
    /// The bytes.
    pub document: String,
    /// Their SHA-256, hexadecimal.
    pub digest: String,
}

/// A party that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Participant {
    id: PartyId,
    name: Name,
    platforms: Vec<Name>,
}

impl Store {
    /// Publishes the next day that is due, if one is: [`RESEARCH_AFTER`] after its end, and each day behind the one before. The first is the first whole day
    /// on which a party takes part. Of what is not published no number is kept. Of a drill nothing is published. `None`: none is due, or another dispatcher was
    /// faster.
    ///
    /// # Errors
    /// The database failed.
    pub async fn publish_research_day(&self) -> Result<Option<Day>, StoreError> {
        if self.drill().is_some() {
            return Ok(None);
        }
        let failed = StoreError::database("publish a day for researchers");
        let now = self.now().await.map_err(&failed)?;
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let day = next_day(&mut reading).await?;
        let Some(day) = day.filter(|day| day.next().begins() + RESEARCH_AFTER <= now) else {
            reading.rollback().await.map_err(&failed)?;
            return Ok(None);
        };
        let counted = participants(&mut reading, day).await?;
        let mut parties: Vec<(Name, Vec<Name>, Counts)> = Vec::new();
        for party in &counted {
            let counts = counting::counts(&mut reading, Team::Party(party.id), day).await?;
            parties.push((party.name.clone(), party.platforms.clone(), counts));
        }
        reading.rollback().await.map_err(&failed)?;

        let publication = Publication::of(day, parties);
        let document = serde_json::to_string(&publication).expect("names and numbers are always JSON");
        let digest = hex::encode(Sha256::digest(document.as_bytes()));
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // Whoever took part no more meanwhile is not to be in it: it is counted again.
        if participants(&mut transaction, day).await? != counted {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        }
        let values = [
            day.to_string().into(),
            i64::from(publication.version).into(),
            now.into(),
            (publication.populations.len() as i64).into(),
            digest.into(),
            document.into(),
        ];
        // Another dispatcher may have been faster: what stands stands.
        let sql = "INSERT INTO research_days (day, version, published_at, populations, digest, document) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (day) DO NOTHING";
        let written = transaction.execute(sql, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok((written > 0).then_some(day))
    }

    /// The days that are published, ascending, after this one, at most `limit`; and whether there are more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn research_days(&self, after: Option<Day>, limit: u32) -> Result<(Vec<ResearchDay>, bool), StoreError> {
        let failed = StoreError::database("list days for researchers");
        let limit = limit.min(RESEARCH_DAYS_MAX);
        let sql = "SELECT day, version, published_at, populations, digest FROM research_days WHERE day > $1 ORDER BY day LIMIT $2";
        let after = after.map(|day| day.to_string()).unwrap_or_default();
        let values = [after.into(), (i64::from(limit) + 1).into()];
        let rows = self.database().fetch(sql, &values).await.map_err(&failed)?;
        let shown = rows.get(..limit as usize).unwrap_or(&rows);
        let days: Result<Vec<ResearchDay>, StoreError> = shown.iter().map(listed).collect();
        Ok((days?, rows.len() > shown.len()))
    }

    /// What was published of a day; `None`: nothing was, yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn research_day(&self, day: Day) -> Result<Option<PublishedDay>, StoreError> {
        let failed = StoreError::database("read a day for researchers");
        let sql = "SELECT digest, document FROM research_days WHERE day = $1";
        let rows = self.database().fetch(sql, &[day.to_string().into()]).await;
        let rows = rows.map_err(&failed)?;
        let published = |row: &Row| {
            Ok(PublishedDay {
                document: row.text("document").map_err(&failed)?,
                digest: row.text("digest").map_err(&failed)?,
            })
        };
        rows.first().map(published).transpose()
    }
}

/// The day behind the last one that is published, or the first whole one on which a party takes part.
async fn next_day(transaction: &mut Transaction) -> Result<Option<Day>, StoreError> {
    let failed = StoreError::database("find the next day for researchers");
    let last = "SELECT max(day) AS day FROM research_days";
    let rows = transaction.fetch(last, &[]).await.map_err(&failed)?;
    let last = rows.first().map(|row| row.text_if_any("day")).transpose();
    if let Some(last) = last.map_err(&failed)?.flatten() {
        return Ok(Some(day_of(&last)?.next()));
    }
    let first = "SELECT min(in_research_since) AS since FROM parties WHERE in_research = 1 AND revoked_at IS NULL";
    let rows = transaction.fetch(first, &[]).await.map_err(&failed)?;
    let since = rows.first().map(|row| row.integer_if_any("since")).transpose();
    let since = since.map_err(&failed)?.flatten().map(Timestamp);
    Ok(since.map(|since| {
        let day = Day::of(since);
        if day.begins() == since { day } else { day.next() }
    }))
}

/// Who took part for the whole of a day, and still does.
async fn participants(transaction: &mut Transaction, day: Day) -> Result<Vec<Participant>, StoreError> {
    let failed = StoreError::database("find who takes part for researchers");
    let sql = "SELECT a.party_id, a.name AS party, l.name AS platform FROM parties a JOIN platforms l ON l.party_id = a.party_id \
         WHERE a.in_research = 1 AND a.in_research_since <= $1 AND a.revoked_at IS NULL ORDER BY a.party_id, l.platform_id";
    let rows = transaction.fetch(sql, &[day.begins().into()]).await;
    let mut participants: Vec<Participant> = Vec::new();
    for row in &rows.map_err(&failed)? {
        let id = PartyId(number(row, "party_id")?);
        let platform = name(row, "platform")?;
        match participants.last_mut() {
            Some(last) if last.id == id => last.platforms.push(platform),
            _ => participants.push(Participant {
                id,
                name: name(row, "party")?,
                platforms: vec![platform],
            }),
        }
    }
    Ok(participants)
}

fn listed(row: &Row) -> Result<ResearchDay, StoreError> {
    let failed = StoreError::database("list days for researchers");
    let version = u32::try_from(row.integer("version").map_err(&failed)?);
    Ok(ResearchDay {
        day: day_of(&row.text("day").map_err(&failed)?)?,
        version: version.map_err(|_| StoreError::Malformed { field: "version" })?,
        published_at: Timestamp(row.integer("published_at").map_err(&failed)?),
        populations: row.integer("populations").map_err(&failed)? as u64,
        digest: row.text("digest").map_err(&failed)?,
    })
}

fn day_of(text: &str) -> Result<Day, StoreError> {
    text.parse().map_err(|_| StoreError::Malformed { field: "day" })
}
