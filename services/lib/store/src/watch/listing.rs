//! What banks say of a content, for people and for whoever looks a hash up.

use tocsin_model::{Aggregate, BankName, ContentHash, Name, Severity, Timestamp};

use super::changes::standings;
use super::{Place, hash_at, place, place_of, severity};
use crate::database::{Row, Value};
use crate::party::name;
use crate::{Store, StoreError};

/// One bank's entry of one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchListing {
    /// The hash that is watched.
    pub hash: ContentHash,
    /// In which bank.
    pub bank: BankName,
    /// Whose bank it is.
    pub source: Name,
    /// How grave it is.
    pub severity: Severity,
    /// The source's own name of it.
    pub source_id: Option<String>,
    /// The source's tags.
    pub tags: Vec<String>,
    /// When it was first listed: as the source says, or by the store's clock.
    pub listed_at: Timestamp,
    /// When it was last changed, likewise.
    pub updated_at: Timestamp,
}

/// Where a page of entries ended.
#[derive(Clone, Debug)]
pub struct WatchCursor {
    bank: BankName,
    place: Place,
}

impl Store {
    /// At most `limit` entries of a bank, or of all banks one after the other, by hash within a bank; and where to go on, if there may be
    /// more. Banks that are not in use are told of too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_listings(
        &self,
        bank: Option<&BankName>,
        after: Option<&WatchCursor>,
        limit: u32,
    ) -> Result<(Vec<WatchListing>, Option<WatchCursor>), StoreError> {
        let failed = StoreError::database("read the watch list");
        let banks = self.banks().await?;
        let wanted = banks
            .iter()
            .filter(|record| bank.is_none_or(|bank| record.name == *bank))
            .filter(|record| after.is_none_or(|after| record.name >= after.bank));
        let mut listings: Vec<WatchListing> = Vec::new();
        for record in wanted {
            let missing = limit as usize - listings.len();
            let after = after.filter(|after| after.bank == record.name);
            let (algorithm, value) = after.map_or((0, Vec::new()), |after| after.place.clone());
            let rows = self
                .database()
                .fetch(
                    "SELECT algorithm, value, COALESCE(severity, $2) AS severity, source_id, tags, listed_at, updated_at FROM watch_entries \
                     WHERE list = $1 AND (algorithm, value) > ($3, $4) ORDER BY algorithm, value LIMIT $5",
                    &[
                        record.list.into(),
                        i64::from(record.settings.severity.get()).into(),
                        algorithm.into(),
                        value.into(),
                        (missing as i64).into(),
                    ],
                )
                .await
                .map_err(&failed)?;
            let source = (&record.name, &record.settings.source);
            let read: Vec<WatchListing> = rows.iter().map(|row| listing(row, source)).collect::<Result<_, _>>()?;
            listings.extend(read);
            if listings.len() >= limit as usize {
                break;
            }
        }
        let next = listings.last().filter(|_| listings.len() >= limit as usize);
        let next = next.map(|last| WatchCursor {
            bank: last.bank.clone(),
            place: place(&last.hash),
        });
        Ok((listings, next))
    }

    /// What parties hold together of each of these hashes, in their order; `None` where nobody in a bank that is in use says anything of it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn opinions_of(&self, hashes: &[ContentHash]) -> Result<Vec<Option<Aggregate>>, StoreError> {
        let failed = StoreError::database("read what parties hold of hashes");
        let banks = self.banks().await?;
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let places: Vec<Place> = hashes.iter().map(place).collect();
        let standings = standings(&mut transaction, &banks, &places).await?;
        transaction.rollback().await.map_err(&failed)?;
        Ok(standings.iter().map(|standing| standing.aggregate).collect())
    }

    /// The entries of a hash in the banks that are in use and sample it, by bank, and what parties hold of it together: what a look-up
    /// answers from.
    ///
    /// # Errors
    /// The database failed.
    pub async fn listings_of(&self, hash: &ContentHash) -> Result<(Vec<WatchListing>, Option<Aggregate>), StoreError> {
        let failed = StoreError::database("look a hash up in the watch list");
        let (algorithm, value) = place(hash);
        let rows = self
            .database()
            .fetch(
                "SELECT b.name, b.source, e.algorithm, e.value, COALESCE(e.severity, b.severity) AS severity, e.source_id, e.tags, \
                 e.listed_at, e.updated_at FROM watch_banks b JOIN watch_entries e ON e.list = b.list \
                 WHERE b.enabled = 1 AND e.algorithm = $1 AND e.value = $2 ORDER BY b.name",
                &[Value::from(algorithm), Value::from(value)],
            )
            .await
            .map_err(&failed)?;
        if rows.is_empty() {
            return Ok((Vec::new(), None));
        }
        let banks = self.banks().await?;
        let mut listings = Vec::new();
        for row in &rows {
            let text = row.text("name").map_err(&failed)?;
            let bank: BankName = text.parse().map_err(|_| StoreError::Malformed { field: "name" })?;
            let record = banks.iter().find(|record| record.name == bank);
            if record.is_some_and(|record| record.settings.sampled.takes(hash)) {
                listings.push(listing(row, (&bank, &name(row, "source")?))?);
            }
        }
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let places = [place(hash)];
        let standing = standings(&mut transaction, &banks, &places).await?;
        transaction.rollback().await.map_err(&failed)?;
        Ok((listings, standing.first().and_then(|standing| standing.aggregate)))
    }
}

fn listing(row: &Row, (bank, source): (&BankName, &Name)) -> Result<WatchListing, StoreError> {
    let failed = StoreError::database("read an entry");
    let tags = row.text_if_any("tags").map_err(&failed)?.unwrap_or_default();
    Ok(WatchListing {
        hash: hash_at(place_of(row)?)?,
        bank: bank.clone(),
        source: source.clone(),
        severity: severity(row)?.ok_or(StoreError::Malformed { field: "severity" })?,
        source_id: row.text_if_any("source_id").map_err(&failed)?,
        tags: tags.split_whitespace().map(str::to_owned).collect(),
        listed_at: Timestamp(row.integer("listed_at").map_err(&failed)?),
        updated_at: Timestamp(row.integer("updated_at").map_err(&failed)?),
    })
}
