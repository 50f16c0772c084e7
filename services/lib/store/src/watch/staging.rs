//! A whole list that replaces another: written beside it in bounded transactions, then put in force in one. Whoever ends in between leaves
//! the old list in force, and rows that [`Store::forget_lists`] takes away.

use std::collections::HashMap;

use tocsin_model::{BankEntry, BankName, Milliseconds, Timestamp};

use super::bank::{BankRecord, banks_in, sweep};
use super::entries::insert_opinions;
use super::{Place, VALUES_PER_STATEMENT, place, place_of, severity_value, take_numbers};
use crate::database::{Transaction, Value, values_from};
use crate::{Store, StoreError};

/// How many entries one transaction writes at most: others write to the database in between.
pub const STAGED_MAX: usize = 16_384;

/// A list that is being written and stands for no bank yet.
#[derive(Debug)]
pub struct StagedList {
    name: BankName,
    bank: i64,
    list: i64,
    /// The list that stood for the bank when this one was begun: when its entries were first listed.
    before: Option<i64>,
    last: Option<Place>,
    entries: u64,
}

/// A list was put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switched {
    /// How many entries the bank had.
    pub before: u64,
    /// How many it has.
    pub after: u64,
}

impl StagedList {
    /// How many entries are written.
    pub fn entries(&self) -> u64 {
        self.entries
    }
}

impl Store {
    /// Begins a list that is to replace that of a bank.
    ///
    /// # Errors
    /// The database failed, or there is no such bank.
    pub async fn begin_list(&self, name: &BankName) -> Result<StagedList, StoreError> {
        let failed = StoreError::database("begin a list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let list = take_numbers(&mut transaction, 1).await?;
        let banks = banks_in(&mut transaction).await?;
        let bank = banks.into_iter().find(|bank| bank.name == *name);
        let bank = bank.ok_or_else(|| StoreError::NoSuchBank { bank: name.clone() })?;
        transaction
            .execute(
                "INSERT INTO watch_lists (list, bank, state, entries, touched_at) VALUES ($1, $2, 0, 0, $3)",
                &[list.into(), bank.bank.into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(StagedList {
            name: bank.name,
            bank: bank.bank,
            list,
            before: (bank.entries > 0).then_some(bank.list),
            last: None,
            entries: 0,
        })
    }

    /// Writes at most [`STAGED_MAX`] more entries, ascending by algorithm and value, each hash once in the whole list: so the tables grow at
    /// their end, which is many times faster than in places.
    ///
    /// # Errors
    /// The database failed, the list was forgotten, or the entries are too many or not in order.
    pub async fn stage(&self, staged: &mut StagedList, entries: &[BankEntry]) -> Result<(), StoreError> {
        let failed = StoreError::database("write a list");
        let places: Vec<Place> = entries.iter().map(|entry| place(&entry.hash)).collect();
        let mut all = staged.last.iter().chain(&places);
        let ascends = all.clone().zip(all.by_ref().skip(1)).all(|(one, next)| one < next);
        if entries.len() > STAGED_MAX || !ascends {
            return Err(StoreError::ListOutOfOrder);
        }
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let kept = transaction
            .execute(
                "UPDATE watch_lists SET entries = entries + $1, touched_at = $2 WHERE list = $3 AND state = 0",
                &[(entries.len() as i64).into(), now.into(), staged.list.into()],
            )
            .await
            .map_err(&failed)?;
        if kept == 0 {
            transaction.rollback().await.map_err(&failed)?;
            return Err(StoreError::ListForgotten);
        }
        for (chunk, places) in entries
            .chunks(VALUES_PER_STATEMENT)
            .zip(places.chunks(VALUES_PER_STATEMENT))
        {
            let listed_before = match staged.before {
                Some(before) => first_listed(&mut transaction, before, places).await?,
                None => HashMap::new(),
            };
            let mut values: Vec<Value> = Vec::with_capacity(chunk.len() * COLUMNS);
            for (entry, place) in chunk.iter().zip(places) {
                let before = listed_before.get(place).copied();
                let listed_at = before.into_iter().chain(entry.listed_at).min().unwrap_or(now);
                values.extend(columns(
                    staged.list,
                    place,
                    entry,
                    listed_at,
                    entry.updated_at.unwrap_or(now),
                ));
            }
            let sql = format!("{INSERT_ENTRIES} {}", transaction.rows(chunk.len(), COLUMNS));
            transaction.execute(&sql, &values).await.map_err(&failed)?;
            insert_opinions(&mut transaction, staged.list, chunk).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        staged.last = places.into_iter().last().or(staged.last.take());
        staged.entries += entries.len() as u64;
        Ok(())
    }

    /// Puts the list in force, in one transaction: before it the bank stands for its old list, after it for this one. The difference is
    /// then published. What the party whose bank this is holds of hashes, noted one by one ([`Store::hold_opinion`]), stands in the new list too.
    ///
    /// # Errors
    /// The database failed, or the list was forgotten.
    pub async fn switch_list(&self, staged: StagedList) -> Result<Switched, StoreError> {
        let failed = StoreError::database("put a list in force");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let number = take_numbers(&mut transaction, 1).await?;
        let banks = banks_in(&mut transaction).await?;
        let bank = banks.into_iter().find(|bank| bank.bank == staged.bank);
        let bank = bank.ok_or(StoreError::NoSuchBank { bank: staged.name })?;
        let in_force = transaction
            .execute(
                "UPDATE watch_lists SET state = 1, touched_at = $1 WHERE list = $2 AND state = 0",
                &[now.into(), staged.list.into()],
            )
            .await
            .map_err(&failed)?;
        if in_force == 0 {
            transaction.rollback().await.map_err(&failed)?;
            return Err(StoreError::ListForgotten);
        }
        keep_opinions(&mut transaction, &bank, staged.list).await?;
        transaction
            .execute("UPDATE watch_lists SET state = 2 WHERE list = $1", &[bank.list.into()])
            .await
            .map_err(&failed)?;
        transaction
            .execute(
                "UPDATE watch_banks SET list = $1, changed_at = $2 WHERE bank = $3",
                &[staged.list.into(), now.into(), bank.bank.into()],
            )
            .await
            .map_err(&failed)?;
        sweep(&mut transaction, number, bank.bank, bank.list..=staged.list).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Switched {
            before: bank.entries,
            after: staged.entries,
        })
    }

    /// Takes away at most `limit` entries, and about as many opinions, of lists that stand for nothing: those that were replaced and whose difference
    /// is published, and those that nobody wrote to for `abandoned_after`. How many; 0: there is nothing to take away.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_lists(&self, limit: u32, abandoned_after: Milliseconds) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget a list");
        let now = self.now().await.map_err(&failed)?;
        let sql = "SELECT list FROM watch_lists WHERE (state = 2 OR (state = 0 AND touched_at <= $1)) AND list NOT IN \
                   (SELECT before_list FROM watch_sweeps UNION SELECT after_list FROM watch_sweeps) ORDER BY list LIMIT 1";
        let values = [(now - abandoned_after).into()];
        // Looking costs a read; only who finds something writes.
        if self.database().fetch(sql, &values).await.map_err(&failed)?.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        take_numbers(&mut transaction, 1).await?;
        let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
        let Some(row) = rows.first() else { return Ok(0) };
        let list = row.integer("list").map_err(&failed)?;
        // Nobody switches to it from now on.
        transaction
            .execute("UPDATE watch_lists SET state = 2 WHERE list = $1", &[list.into()])
            .await
            .map_err(&failed)?;
        let mut forgotten = 0;
        let mut is_empty = true;
        // One hash has several opinions, which go together.
        let opinions = limit.max(2 * tocsin_model::BankEntry::OPINIONS_MAX as u32);
        for (table, limit) in [("watch_entries", limit), ("watch_opinions", opinions)] {
            let first_kept = format!(
                "SELECT algorithm, value FROM {table} WHERE list = $1 ORDER BY algorithm, value LIMIT 1 OFFSET $2"
            );
            let rows = transaction
                .fetch(&first_kept, &[list.into(), i64::from(limit).into()])
                .await
                .map_err(&failed)?;
            let mut which = "list = $1".to_owned();
            let mut values = vec![list.into()];
            if let Some(row) = rows.first() {
                let (algorithm, value) = place_of(row)?;
                which += " AND (algorithm, value) < ($2, $3)";
                values.extend([algorithm.into(), value.into()]);
                is_empty = false;
            }
            let delete = format!("DELETE FROM {table} WHERE {which}");
            forgotten += transaction.execute(&delete, &values).await.map_err(&failed)?;
        }
        if is_empty {
            let delete = "DELETE FROM watch_lists WHERE list = $1";
            forgotten += transaction.execute(delete, &[list.into()]).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }
}

/// Takes the opinions of the bank's own party over into a list: where the list says itself what that party holds, that stands; and what was held of an
/// entry that is withdrawn goes with it, as where entries are withdrawn one by one.
async fn keep_opinions(transaction: &mut Transaction, bank: &BankRecord, list: i64) -> Result<(), StoreError> {
    let of = |table: &str, list: &str| {
        format!("SELECT 1 FROM {table} x WHERE x.list = {list} AND x.algorithm = o.algorithm AND x.value = o.value")
    };
    let sql = format!(
        "INSERT INTO watch_opinions (list, algorithm, value, party, opinion) \
         SELECT $1, o.algorithm, o.value, o.party, o.opinion FROM watch_opinions o WHERE o.list = $2 AND o.party = $3 \
         AND (EXISTS ({}) OR NOT EXISTS ({})) AND NOT EXISTS ({} AND x.party = $3)",
        of("watch_entries", "$1"),
        of("watch_entries", "$2"),
        of("watch_opinions", "$1"),
    );
    let Some(party) = bank.name.own_source() else {
        return Ok(());
    };
    transaction
        .execute(&sql, &[list.into(), bank.list.into(), party.as_str().into()])
        .await
        .map(drop)
        .map_err(StoreError::database("keep opinions of a list"))
}

pub(super) const COLUMNS: usize = 8;
pub(super) const INSERT_ENTRIES: &str =
    "INSERT INTO watch_entries (list, algorithm, value, severity, source_id, tags, listed_at, updated_at) VALUES";

pub(super) fn columns(
    list: i64,
    (algorithm, value): &Place,
    entry: &BankEntry,
    listed_at: Timestamp,
    updated_at: Timestamp,
) -> [Value; COLUMNS] {
    let tags = (!entry.tags.is_empty()).then(|| entry.tags.join(" "));
    [
        list.into(),
        (*algorithm).into(),
        value.clone().into(),
        severity_value(entry.severity),
        entry.source_id.clone().into(),
        tags.into(),
        listed_at.into(),
        updated_at.into(),
    ]
}

/// When these were first listed that stand in a list. The places ascend, so those of one algorithm lie together.
async fn first_listed(
    transaction: &mut Transaction,
    list: i64,
    places: &[Place],
) -> Result<HashMap<Place, Timestamp>, StoreError> {
    let failed = StoreError::database("read when an entry was listed");
    let mut listed = HashMap::new();
    for places in places.chunk_by(|(one, _), (other, _)| one == other) {
        let sql = format!(
            "SELECT algorithm, value, listed_at FROM watch_entries WHERE list = $1 AND algorithm = $2 AND value IN ({})",
            values_from(3, places.len())
        );
        let mut values: Vec<Value> = vec![list.into(), places[0].0.into()];
        values.extend(places.iter().map(|(_, value)| Value::from(value.clone())));
        for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
            let at = Timestamp(row.integer("listed_at").map_err(&failed)?);
            listed.insert(place_of(row)?, at);
        }
    }
    Ok(listed)
}
