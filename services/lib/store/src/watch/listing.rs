//! What banks say of a content, for people and for whoever looks a hash up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tocsin_model::{Aggregate, BankName, ContentHash, Name, Severity, Timestamp};

use super::bank::banks_in;
use super::changes::standings;
use super::{Place, VALUES_PER_STATEMENT, hash_at, place, place_of, severity};
use crate::database::{Row, Value, values_from};
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

/// The entries of a hash, by bank, and what parties hold of it together.
pub type ListingsOf = (Vec<WatchListing>, Option<Aggregate>);

const LISTED: &str = "SELECT b.name, e.algorithm, e.value, COALESCE(e.severity, b.severity) AS severity, e.source_id, e.tags, e.listed_at, \
                      e.updated_at FROM watch_banks b JOIN watch_entries e ON e.list = b.list WHERE b.enabled = 1 AND e.algorithm = $1";

impl WatchCursor {
    /// A page that ended with this hash of this bank, whether it is listed there still or not.
    pub fn behind(bank: &BankName, hash: &ContentHash) -> Self {
        WatchCursor {
            bank: bank.clone(),
            place: place(hash),
        }
    }
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
    pub async fn listings_of(&self, hash: &ContentHash) -> Result<ListingsOf, StoreError> {
        let of_each = self.listings_of_each(std::slice::from_ref(hash)).await?;
        Ok(of_each.into_iter().next().unwrap_or_default())
    }

    /// What [`Store::listings_of`] tells, of each of these hashes in their order: a few statements for a thousand of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn listings_of_each(&self, hashes: &[ContentHash]) -> Result<Vec<ListingsOf>, StoreError> {
        let failed = StoreError::database("look hashes up in the watch list");
        let mut by_algorithm: BTreeMap<i64, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for (algorithm, value) in hashes.iter().map(place) {
            by_algorithm.entry(algorithm).or_default().insert(value);
        }
        // Banks, entries and opinions as of one moment.
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let banks = banks_in(&mut transaction).await?;
        let mut listings: HashMap<Place, Vec<WatchListing>> = HashMap::new();
        for (algorithm, values) in by_algorithm {
            let values: Vec<Vec<u8>> = values.into_iter().collect();
            for values in values.chunks(VALUES_PER_STATEMENT) {
                let sql = format!(
                    "{LISTED} AND e.value IN ({}) ORDER BY b.name",
                    values_from(2, values.len())
                );
                let mut bound: Vec<Value> = vec![algorithm.into()];
                bound.extend(values.iter().cloned().map(Value::from));
                for row in &transaction.fetch(&sql, &bound).await.map_err(&failed)? {
                    let text = row.text("name").map_err(&failed)?;
                    let record = banks.iter().find(|record| record.name.as_str() == text);
                    let Some(record) = record else { continue };
                    let listing = listing(row, (&record.name, &record.settings.source))?;
                    // What is not sampled is not listed, but its bank may still hold an opinion of it.
                    let of_hash = listings.entry((algorithm, listing.hash.value().to_vec())).or_default();
                    if record.settings.sampled.takes(&listing.hash) {
                        of_hash.push(listing);
                    }
                }
            }
        }
        let places: Vec<Place> = listings.keys().cloned().collect();
        let standings = standings(&mut transaction, &banks, &places).await?;
        transaction.rollback().await.map_err(&failed)?;
        let opinions = places.into_iter().zip(standings);
        let opinions: HashMap<Place, Option<Aggregate>> =
            opinions.map(|(place, standing)| (place, standing.aggregate)).collect();
        let of_each = hashes.iter().map(|hash| {
            let place = place(hash);
            let listings = listings.get(&place).cloned().unwrap_or_default();
            (listings, opinions.get(&place).copied().flatten())
        });
        Ok(of_each.collect())
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
