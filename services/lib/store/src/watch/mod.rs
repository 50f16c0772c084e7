//! The watch list: banks and their entries, what parties hold of them, and what of it the log does not know yet.
//!
//! A bank stands for one list of entries. A list is replaced as a whole by writing another beside it and switching ([`Store::begin_list`]),
//! or changed entry by entry ([`Store::update_list`]). Either way what may have changed for the key groups is written down in the same
//! transaction and published from there in bounded batches ([`Store::watch_batch`]).

mod bank;
mod changes;
mod entries;
mod follow;
mod held;
mod listing;
mod rule;
mod staging;
mod sweep;

pub use bank::{BANKS_MAX, BankRecord, BankSettings};
pub use changes::{WatchBatch, WatchChange};
pub use entries::UPDATES_MAX;
pub(crate) use entries::hold_opinions;
pub use follow::FollowState;
pub use held::HeldOpinion;
pub use listing::{ListingsOf, WatchCursor, WatchListing};
pub use staging::{STAGED_MAX, StagedList, Switched};

use tocsin_model::{Algorithm, ContentHash, Severity};

use crate::StoreError;
use crate::database::{Row, Transaction, Value};

/// A hash as a key of the tables: its algorithm's number and its bytes. Ordered as the tables are.
pub(crate) type Place = (i64, Vec<u8>);

/// How many values one statement names.
const VALUES_PER_STATEMENT: usize = 1_000;

fn place(hash: &ContentHash) -> Place {
    (i64::from(hash.algorithm() as u8), hash.value().to_vec())
}

fn place_of(row: &Row) -> Result<Place, StoreError> {
    let failed = StoreError::database("read a watched hash");
    Ok((
        row.integer("algorithm").map_err(&failed)?,
        row.bytes("value").map_err(&failed)?,
    ))
}

fn hash_at((number, value): Place) -> Result<ContentHash, StoreError> {
    let algorithm = u8::try_from(number).ok().and_then(Algorithm::from_number);
    let algorithm = algorithm.ok_or(StoreError::Malformed { field: "algorithm" })?;
    ContentHash::from_bytes(algorithm, value, None).map_err(|_| StoreError::Malformed { field: "value" })
}

fn severity(row: &Row) -> Result<Option<Severity>, StoreError> {
    let number = row
        .integer_if_any("severity")
        .map_err(StoreError::database("read a severity"))?;
    number.map(severity_of).transpose()
}

fn severity_of(number: i64) -> Result<Severity, StoreError> {
    let severity = u8::try_from(number).ok().and_then(Severity::new);
    severity.ok_or(StoreError::Malformed { field: "severity" })
}

fn severity_value(severity: Option<Severity>) -> Value {
    severity.map(|severity| i64::from(severity.get())).into()
}

/// Takes so many numbers of the watch list; the first of them. Whoever changes the list waits here for those who are changing it.
async fn take_numbers(transaction: &mut Transaction, count: usize) -> Result<i64, StoreError> {
    let failed = StoreError::database("number a change of the watch list");
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = transaction
        .fetch(
            "UPDATE watch_list SET number = number + $1 RETURNING number",
            &[count.into()],
        )
        .await
        .map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "number" })?;
    Ok(row.integer("number").map_err(&failed)? - count + 1)
}
