//! A bank that changed as a whole, walked through in the order of the hashes.

use std::collections::BTreeMap;

use tocsin_model::Name;

use super::bank::{BankRecord, banks_in};
use super::changes::{BatchOf, WatchBatch, WatchChange, standings};
use super::{Place, hash_at, place_of, take_numbers};
use crate::database::{Row, Transaction};
use crate::{Store, StoreError};

/// One content in the lists before and after: the severities of its own that the entries have, where there are entries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Compared {
    before: Option<Option<i64>>,
    after: Option<Option<i64>>,
    has_opinions: bool,
}

/// A stretch of a list, and whether it is its last.
struct Stretch {
    rows: Vec<Row>,
    is_last: bool,
}

impl Store {
    /// As [`Store::watch_batch`], of the oldest sweep. Numbers are taken before it is looked how contents stand, so a higher number has the
    /// later look.
    pub(super) async fn sweep_batch(
        &self,
        mut transaction: Transaction,
        limit: u32,
    ) -> Result<Option<WatchBatch>, StoreError> {
        let failed = StoreError::database("read what changed with a bank");
        let sql =
            "SELECT sweep, bank, before_list, after_list, algorithm, value FROM watch_sweeps ORDER BY sweep LIMIT 1";
        let rows = transaction.fetch(sql, &[]).await.map_err(&failed)?;
        let Some(row) = rows.first() else {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        };
        let (sweep, bank) = (
            row.integer("sweep").map_err(&failed)?,
            row.integer("bank").map_err(&failed)?,
        );
        let before = row.integer("before_list").map_err(&failed)?;
        let after = row.integer("after_list").map_err(&failed)?;
        let from = place_of(row)?;

        let first = take_numbers(&mut transaction, limit as usize * 4).await?;
        let (compared, through) = compare(&mut transaction, (before, after), &from, limit).await?;
        let is_told =
            |compared: &Compared| before == after || compared.before != compared.after || compared.has_opinions;
        let places: Vec<Place> = compared
            .into_iter()
            .filter(|(_, compared)| is_told(compared))
            .map(|(place, _)| place)
            .collect();
        let banks = banks_in(&mut transaction).await?;
        let standings = standings(&mut transaction, &banks, &places).await?;
        transaction.commit().await.map_err(&failed)?;
        let source = source_of(&banks, bank)?;
        let change = |((number, place), listed)| {
            Ok(WatchChange {
                number,
                hash: hash_at(place)?,
                listed,
                source: source.clone(),
            })
        };
        let listed = standings.into_iter().map(|standing| standing.listed);
        let changes = (first as u64..).zip(places).zip(listed).map(change);
        Ok(Some(WatchBatch {
            changes: changes.collect::<Result<_, StoreError>>()?,
            of: BatchOf::Sweep { sweep, through },
        }))
    }
}

/// What two lists hold of the contents behind `from`, as far as both were read; and how far that is, if it is not to the end.
async fn compare(
    transaction: &mut Transaction,
    (before, after): (i64, i64),
    from: &Place,
    limit: u32,
) -> Result<(BTreeMap<Place, Compared>, Option<Place>), StoreError> {
    let failed = StoreError::database("read an entry");
    let mut compared: BTreeMap<Place, Compared> = BTreeMap::new();
    let mut through: Option<Place> = None;
    let mut lists = vec![before];
    if after != before {
        lists.push(after);
    }
    for list in lists {
        for select in [ENTRIES, OPINIONS] {
            let stretch = stretch(transaction, select, (list, from), limit).await?;
            for row in &stretch.rows {
                let known = compared.entry(place_of(row)?).or_default();
                if select == OPINIONS {
                    known.has_opinions = true;
                    continue;
                }
                let severity = Some(row.integer_if_any("severity").map_err(&failed)?);
                if list == before {
                    known.before = severity;
                } else {
                    known.after = severity;
                }
            }
            if let Some(last) = stretch.rows.last().filter(|_| !stretch.is_last) {
                let last = place_of(last)?;
                through = Some(through.map_or(last.clone(), |through| through.min(last)));
            }
        }
    }
    if let Some(through) = &through {
        compared.retain(|place, _| place <= through);
    }
    Ok((compared, through))
}

const ENTRIES: &str = "SELECT algorithm, value, severity FROM watch_entries";
const OPINIONS: &str = "SELECT DISTINCT algorithm, value FROM watch_opinions";

async fn stretch(
    transaction: &mut Transaction,
    select: &str,
    (list, (algorithm, value)): (i64, &Place),
    limit: u32,
) -> Result<Stretch, StoreError> {
    let sql = format!("{select} WHERE list = $1 AND (algorithm, value) > ($2, $3) ORDER BY algorithm, value LIMIT $4");
    let values = [
        list.into(),
        (*algorithm).into(),
        value.clone().into(),
        i64::from(limit).into(),
    ];
    let rows = transaction
        .fetch(&sql, &values)
        .await
        .map_err(StoreError::database("walk through a list"))?;
    Ok(Stretch {
        is_last: rows.len() < limit as usize,
        rows,
    })
}

fn source_of(banks: &[BankRecord], bank: i64) -> Result<Name, StoreError> {
    let found = banks.iter().find(|record| record.bank == bank);
    found
        .map(|record| record.settings.source.clone())
        .ok_or(StoreError::Malformed { field: "bank" })
}
