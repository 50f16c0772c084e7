//! What the log is still to be told: contents that changed one by one, then banks of which everything may have changed.

use std::collections::{BTreeMap, HashMap};

use tocsin_model::{ContentHash, Name, Opinion, Severity};

use super::bank::{BankRecord, banks_in};
use super::entries::opinion;
use super::rule::{Said, Standing, standing};
use super::{Place, VALUES_PER_STATEMENT, hash_at, place_of, severity};
use crate::database::{Row, Transaction, Value, values_from};
use crate::party::name;
use crate::{Store, StoreError};

/// What is to be published of one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchChange {
    /// Grows with every change of the list.
    pub number: u64,
    /// The hash that is watched.
    pub hash: ContentHash,
    /// How grave it is; `None`: it is not listed any more.
    pub listed: Option<Severity>,
    /// Whose change this is.
    pub source: Name,
}

/// What is to be published at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchBatch {
    /// The changes. There may be none where two lists of a bank are alike.
    pub changes: Vec<WatchChange>,
    pub(super) of: BatchOf,
}

/// What is done once a batch is on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BatchOf {
    /// Contents that changed one by one: those of these numbers are said.
    Pending,
    /// A bank: it is said up to here, or wholly.
    Sweep { sweep: i64, through: Option<Place> },
}

impl Store {
    /// Whether anything is to be published.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_is_pending(&self) -> Result<bool, StoreError> {
        let failed = StoreError::database("look for changes of the watch list");
        let sql = "SELECT number FROM (SELECT number FROM watch_pending UNION ALL SELECT sweep AS number FROM watch_sweeps) AS all_of LIMIT 1";
        let rows = self.database().fetch(sql, &[]).await.map_err(&failed)?;
        Ok(!rows.is_empty())
    }

    /// The next changes to publish, made of at most `limit` rows; `None`: the log knows everything. What is not acknowledged by
    /// [`Store::watch_published`] comes again, with a number as high or higher.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_batch(&self, limit: u32) -> Result<Option<WatchBatch>, StoreError> {
        let failed = StoreError::database("read the changes of the watch list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let rows = transaction
            .fetch(
                "SELECT algorithm, value, number, source FROM watch_pending ORDER BY number LIMIT $1",
                &[i64::from(limit).into()],
            )
            .await
            .map_err(&failed)?;
        if rows.is_empty() {
            return self.sweep_batch(transaction, limit).await;
        }
        let banks = banks_in(&mut transaction).await?;
        let places: Vec<Place> = rows.iter().map(place_of).collect::<Result<_, _>>()?;
        let standings = standings(&mut transaction, &banks, &places).await?;
        transaction.rollback().await.map_err(&failed)?;
        let change = |((row, place), standing): ((&Row, Place), Standing)| {
            Ok(WatchChange {
                number: row.integer("number").map_err(&failed)? as u64,
                hash: hash_at(place)?,
                listed: standing.listed,
                source: name(row, "source")?,
            })
        };
        let changes = rows.iter().zip(places).zip(standings).map(change);
        Ok(Some(WatchBatch {
            changes: changes.collect::<Result<_, StoreError>>()?,
            of: BatchOf::Pending,
        }))
    }

    /// Says that a batch is on the log. What changed again meanwhile has another number and is still to come.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_published(&self, batch: &WatchBatch) -> Result<(), StoreError> {
        let failed = StoreError::database("note published changes of the watch list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        match &batch.of {
            BatchOf::Pending => {
                for changes in batch.changes.chunks(VALUES_PER_STATEMENT) {
                    let number = |change: &WatchChange| i64::try_from(change.number).unwrap_or(i64::MAX).into();
                    let numbers: Vec<Value> = changes.iter().map(number).collect();
                    let sql = format!(
                        "DELETE FROM watch_pending WHERE number IN ({})",
                        values_from(1, numbers.len())
                    );
                    transaction.execute(&sql, &numbers).await.map_err(&failed)?;
                }
            }
            BatchOf::Sweep {
                sweep,
                through: Some((algorithm, value)),
            } => {
                transaction
                    .execute(
                        "UPDATE watch_sweeps SET algorithm = $1, value = $2 WHERE sweep = $3",
                        &[(*algorithm).into(), value.clone().into(), (*sweep).into()],
                    )
                    .await
                    .map_err(&failed)?;
            }
            BatchOf::Sweep { sweep, through: None } => {
                transaction
                    .execute("DELETE FROM watch_sweeps WHERE sweep = $1", &[(*sweep).into()])
                    .await
                    .map_err(&failed)?;
            }
        }
        transaction.commit().await.map_err(&failed)
    }
}

/// How each of these contents is listed now, in their order.
pub(super) async fn standings(
    transaction: &mut Transaction,
    banks: &[BankRecord],
    places: &[Place],
) -> Result<Vec<Standing>, StoreError> {
    let in_use: Vec<&BankRecord> = banks.iter().filter(|bank| bank.settings.enabled).collect();
    let mut entries: HashMap<(i64, Place), Option<Severity>> = HashMap::new();
    let mut opinions: HashMap<(i64, Place), Vec<(Name, Opinion)>> = HashMap::new();
    // Places of one algorithm share a statement, in whatever order they come.
    let mut by_algorithm: BTreeMap<i64, Vec<&Vec<u8>>> = BTreeMap::new();
    for (algorithm, value) in places {
        by_algorithm.entry(*algorithm).or_default().push(value);
    }
    let any_opinion = transaction
        .fetch("SELECT list FROM watch_opinions LIMIT 1", &[])
        .await
        .map_err(StoreError::database("look for opinions"))?;
    for bank in &in_use {
        for (algorithm, all) in &by_algorithm {
            for chunk in all.chunks(VALUES_PER_STATEMENT) {
                let key = |value: Vec<u8>| (bank.list, (*algorithm, value));
                if bank.entries > 0 {
                    for row in &of_values(transaction, ENTRIES, bank.list, (*algorithm, chunk)).await? {
                        entries.insert(key(place_of(row)?.1), severity(row)?);
                    }
                }
                if !any_opinion.is_empty() {
                    for row in &of_values(transaction, OPINIONS, bank.list, (*algorithm, chunk)).await? {
                        opinions.entry(key(place_of(row)?.1)).or_default().push(opinion(row)?);
                    }
                }
            }
        }
    }
    let standing_of = |place: &Place| {
        let hash = hash_at(place.clone())?;
        let mut said: Vec<Said<'_>> = Vec::new();
        for bank in &in_use {
            let key = (bank.list, place.clone());
            let entry = entries.get(&key);
            let opinions = opinions.get(&key).map_or(&[][..], Vec::as_slice);
            if entry.is_some() || !opinions.is_empty() {
                said.push(Said {
                    sampled: bank.settings.sampled,
                    entry: entry.map(|own| own.unwrap_or(bank.settings.severity)),
                    opinions,
                });
            }
        }
        Ok(standing(&hash, &said))
    };
    places.iter().map(standing_of).collect()
}

const ENTRIES: &str = "SELECT algorithm, value, severity FROM watch_entries";
const OPINIONS: &str = "SELECT algorithm, value, party, opinion FROM watch_opinions";

/// The rows of a list that have one of these values.
async fn of_values(
    transaction: &mut Transaction,
    select: &'static str,
    list: i64,
    (algorithm, values): (i64, &[&Vec<u8>]),
) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "{select} WHERE list = $1 AND algorithm = $2 AND value IN ({})",
        values_from(3, values.len())
    );
    let mut bound: Vec<Value> = vec![list.into(), algorithm.into()];
    bound.extend(values.iter().map(|value| Value::from((*value).clone())));
    transaction
        .fetch(&sql, &bound)
        .await
        .map_err(StoreError::database("read how contents are listed"))
}
