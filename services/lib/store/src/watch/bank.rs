use tocsin_model::{BankName, Name, Sampled, Severity, Timestamp};

use super::take_numbers;
use crate::database::{Row, Transaction, Value};
use crate::party::name;
use crate::{Store, StoreError};

/// How many banks there may be: each is asked about every content that changes.
pub const BANKS_MAX: usize = 256;

/// What an operator says of a bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankSettings {
    /// Whose it is.
    pub source: Name,
    /// How grave its entries are that say nothing else.
    pub severity: Severity,
    /// Whether it is in use.
    pub enabled: bool,
    /// Which part of it is listed.
    pub sampled: Sampled,
}

/// A bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankRecord {
    /// Its name.
    pub name: BankName,
    /// What an operator said.
    pub settings: BankSettings,
    /// How many entries it has.
    pub entries: u64,
    /// When its settings or its list were last replaced, by the store's clock.
    pub changed_at: Timestamp,
    pub(crate) bank: i64,
    /// The list that it stands for.
    pub(crate) list: i64,
}

impl Store {
    /// All banks, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn banks(&self) -> Result<Vec<BankRecord>, StoreError> {
        let failed = StoreError::database("read the banks");
        let rows = self.database().fetch(SELECT_BANKS, &[]).await.map_err(&failed)?;
        rows.iter().map(bank).collect()
    }

    /// Makes a bank, or gives it other settings. Whether that changed anything; what it lists is then published anew.
    ///
    /// # Errors
    /// The database failed, or there would be more than [`BANKS_MAX`] banks.
    pub async fn set_bank(&self, name: &BankName, settings: &BankSettings) -> Result<bool, StoreError> {
        let failed = StoreError::database("change a bank");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        // Taken first, so that nobody changes banks meanwhile.
        let number = take_numbers(&mut transaction, 1).await?;
        let banks = banks_in(&mut transaction).await?;
        match banks.iter().find(|bank| bank.name == *name) {
            None => drop(make(&mut transaction, &banks, name, settings, (number, now)).await?),
            Some(bank) if bank.settings == *settings => {
                transaction.rollback().await.map_err(&failed)?;
                return Ok(false);
            }
            Some(bank) => {
                let mut values: Vec<Value> = columns(settings).into();
                values.extend([now.into(), bank.bank.into()]);
                transaction
                    .execute(
                        "UPDATE watch_banks SET source = $1, severity = $2, enabled = $3, sampled_ppm = $4, changed_at = $5 WHERE bank = $6",
                        &values,
                    )
                    .await
                    .map_err(&failed)?;
                sweep(&mut transaction, number, bank.bank, bank.list..=bank.list).await?;
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }
}

/// All banks, by name.
pub(super) async fn banks_in(transaction: &mut Transaction) -> Result<Vec<BankRecord>, StoreError> {
    let failed = StoreError::database("read the banks");
    let rows = transaction.fetch(SELECT_BANKS, &[]).await.map_err(&failed)?;
    rows.iter().map(bank).collect()
}

/// Makes a bank with an empty list, which has the number of the change that made it.
pub(super) async fn make(
    transaction: &mut Transaction,
    banks: &[BankRecord],
    name: &BankName,
    settings: &BankSettings,
    (list, now): (i64, Timestamp),
) -> Result<BankRecord, StoreError> {
    let failed = StoreError::database("make a bank");
    if banks.len() >= BANKS_MAX {
        return Err(StoreError::BanksExhausted);
    }
    let bank = banks.iter().map(|bank| bank.bank).max().unwrap_or(0) + 1;
    let mut values: Vec<Value> = columns(settings).into();
    values.extend([bank.into(), name.as_str().into(), list.into(), now.into()]);
    transaction
        .execute(
            "INSERT INTO watch_banks (source, severity, enabled, sampled_ppm, bank, name, list, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &values,
        )
        .await
        .map_err(&failed)?;
    transaction
        .execute(
            "INSERT INTO watch_lists (list, bank, state, entries, touched_at) VALUES ($1, $2, 1, 0, $3)",
            &[list.into(), bank.into(), now.into()],
        )
        .await
        .map_err(&failed)?;
    Ok(BankRecord {
        name: name.clone(),
        settings: settings.clone(),
        entries: 0,
        changed_at: now,
        bank,
        list,
    })
}

/// Has everything published anew that stands in one of two lists and not alike in the other; of one list, all of it.
pub(super) async fn sweep(
    transaction: &mut Transaction,
    number: i64,
    bank: i64,
    lists: std::ops::RangeInclusive<i64>,
) -> Result<(), StoreError> {
    transaction
        .execute(
            "INSERT INTO watch_sweeps (sweep, bank, before_list, after_list, algorithm, value) VALUES ($1, $2, $3, $4, 0, $5)",
            &[
                number.into(),
                bank.into(),
                (*lists.start()).into(),
                (*lists.end()).into(),
                Vec::new().into(),
            ],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("have a bank published"))
}

const SELECT_BANKS: &str = "SELECT b.bank, b.name, b.source, b.severity, b.enabled, b.sampled_ppm, b.list, b.changed_at, l.entries \
                            FROM watch_banks b JOIN watch_lists l ON l.list = b.list ORDER BY b.name";

fn columns(settings: &BankSettings) -> [Value; 4] {
    [
        settings.source.as_str().into(),
        i64::from(settings.severity.get()).into(),
        i64::from(settings.enabled).into(),
        i64::from(settings.sampled.parts_per_million()).into(),
    ]
}

fn bank(row: &Row) -> Result<BankRecord, StoreError> {
    let failed = StoreError::database("read a bank");
    let text = row.text("name").map_err(&failed)?;
    let sampled = u32::try_from(row.integer("sampled_ppm").map_err(&failed)?).ok();
    Ok(BankRecord {
        name: text.parse().map_err(|_| StoreError::Malformed { field: "name" })?,
        settings: BankSettings {
            source: name(row, "source")?,
            severity: super::severity_of(row.integer("severity").map_err(&failed)?)?,
            enabled: row.integer("enabled").map_err(&failed)? != 0,
            sampled: sampled
                .and_then(Sampled::from_parts_per_million)
                .ok_or(StoreError::Malformed { field: "sampled_ppm" })?,
        },
        entries: row.integer("entries").map_err(&failed)? as u64,
        changed_at: Timestamp(row.integer("changed_at").map_err(&failed)?),
        bank: row.integer("bank").map_err(&failed)?,
        list: row.integer("list").map_err(&failed)?,
    })
}
