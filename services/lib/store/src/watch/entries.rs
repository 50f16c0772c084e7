//! A list that is changed entry by entry.

use tocsin_model::{BankEntry, BankName, ContentHash, ListUpdate, Name, Opinion, Sampled, Severity, Timestamp};

use super::bank::{BankRecord, BankSettings, banks_in, make};
use super::follow::note_checkpoint;
use super::staging::{COLUMNS, INSERT_ENTRIES, columns};
use super::{Place, VALUES_PER_STATEMENT, place, severity, take_numbers};
use crate::database::{Row, Transaction, Value};
use crate::party::name;
use crate::{Store, StoreError};

/// How many updates one transaction makes at most.
pub const UPDATES_MAX: usize = 4_096;

/// What parties hold of one hash, ascending by party.
type Held<'a> = &'a [(Name, Opinion)];

/// What is being changed, and when.
struct Editing<'a> {
    bank: &'a BankRecord,
    now: Timestamp,
}

impl Store {
    /// Lists a content for a source, in the bank of the source's name, which is made when it is not there. Whether that changed anything:
    /// the same listing again does not.
    ///
    /// # Errors
    /// The database failed, or there are too many banks.
    pub async fn watch(&self, hash: &ContentHash, source: &Name, severity: Severity) -> Result<bool, StoreError> {
        let entry = BankEntry {
            severity: Some(severity),
            ..BankEntry::new(hash.clone())
        };
        self.change_own(source, ListUpdate::Listed(entry), None).await
    }

    /// Takes a source's listing of a content back. Whether there was one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unwatch(&self, hash: &ContentHash, source: &Name) -> Result<bool, StoreError> {
        self.change_own(source, ListUpdate::Withdrawn(hash.clone()), None).await
    }

    /// Notes what a party holds of a content, in the bank of the party's name; `None` takes it back. Whether that changed anything.
    ///
    /// # Errors
    /// The database failed, or there are too many banks.
    pub async fn hold_opinion(
        &self,
        hash: &ContentHash,
        party: &Name,
        opinion: Option<Opinion>,
    ) -> Result<bool, StoreError> {
        let update = ListUpdate::Withdrawn(hash.clone());
        self.change_own(party, update, Some(opinion)).await
    }

    /// Makes the changes that a followed list told of, in order and all or none, together with the place where to go on. How many of them
    /// changed anything.
    ///
    /// # Errors
    /// The database failed, there is no such bank, or there are more than [`UPDATES_MAX`] updates.
    pub async fn update_list(
        &self,
        bank: &BankName,
        updates: &[ListUpdate],
        follow: Option<(&str, &str)>,
    ) -> Result<u64, StoreError> {
        let failed = StoreError::database("change a list");
        if updates.len() > UPDATES_MAX {
            return Err(StoreError::ListOutOfOrder);
        }
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let first = take_numbers(&mut transaction, updates.len()).await?;
        let banks = banks_in(&mut transaction).await?;
        let found = banks.iter().find(|record| record.name == *bank);
        let bank = found.ok_or_else(|| StoreError::NoSuchBank { bank: bank.clone() })?;
        let editing = Editing { bank, now };
        let mut changed = 0;
        for (number, update) in (first..).zip(updates) {
            let (is_changed, added) = apply(&mut transaction, &editing, update).await?;
            add_entries(&mut transaction, &editing, added).await?;
            if is_changed {
                note_pending(&mut transaction, update.hash(), number, &bank.settings.source).await?;
                changed += 1;
            }
        }
        if let Some((follow, checkpoint)) = follow {
            note_checkpoint(&mut transaction, follow, checkpoint, now).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(changed)
    }

    /// One change of a source's own bank: an update, or instead of it an opinion.
    async fn change_own(
        &self,
        source: &Name,
        update: ListUpdate,
        opinion: Option<Option<Opinion>>,
    ) -> Result<bool, StoreError> {
        let failed = StoreError::database("change the watch list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let first = take_numbers(&mut transaction, 2).await?;
        let banks = banks_in(&mut transaction).await?;
        let bank = own_bank(&mut transaction, (&banks, source), (first, now)).await?;
        let editing = Editing { bank: &bank, now };
        let is_changed = match opinion {
            Some(opinion) => hold(&mut transaction, (&bank, now), (update.hash(), source), opinion).await?,
            None => {
                let (is_changed, added) = apply(&mut transaction, &editing, &update).await?;
                add_entries(&mut transaction, &editing, added).await?;
                is_changed
            }
        };
        if !is_changed {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(false);
        }
        note_pending(&mut transaction, update.hash(), first + 1, source).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }
}

/// Notes what a party holds of these contents since `held_at`, in the bank of its name; `None` takes it back.
pub(crate) async fn hold_opinions(
    transaction: &mut Transaction,
    (party, opinion): (&Name, Option<Opinion>),
    hashes: &[&ContentHash],
    (held_at, now): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    if hashes.is_empty() {
        return Ok(());
    }
    let first = take_numbers(transaction, hashes.len() + 1).await?;
    let banks = banks_in(transaction).await?;
    let bank = own_bank(transaction, (&banks, party), (first, now)).await?;
    for (number, hash) in (first + 1..).zip(hashes) {
        if hold(transaction, (&bank, held_at), (hash, party), opinion).await? {
            note_pending(transaction, hash, number, party).await?;
        }
    }
    Ok(())
}

/// The bank of a source's name, which is made when it is not there.
async fn own_bank(
    transaction: &mut Transaction,
    (banks, source): (&[BankRecord], &Name),
    (number, now): (i64, Timestamp),
) -> Result<BankRecord, StoreError> {
    let name = BankName::of_source(source);
    if let Some(bank) = banks.iter().find(|bank| bank.name == name) {
        return Ok(bank.clone());
    }
    let settings = BankSettings {
        source: source.clone(),
        severity: Severity::MIN,
        enabled: true,
        sampled: Sampled::ALL,
    };
    make(transaction, banks, &name, &settings, (number, now)).await
}

/// Notes what a party holds of one content. Whether that changed anything.
async fn hold(
    transaction: &mut Transaction,
    (bank, held_at): (&BankRecord, Timestamp),
    (hash, party): (&ContentHash, &Name),
    opinion: Option<Opinion>,
) -> Result<bool, StoreError> {
    let held = opinions_of(transaction, bank.list, &place(hash)).await?;
    let mut next: Vec<(Name, Opinion)> = held.iter().filter(|(of, _)| of != party).cloned().collect();
    next.extend(opinion.map(|opinion| (party.clone(), opinion)));
    next.sort();
    replace_opinions(transaction, (bank, Some(held_at)), hash, (&held, &next)).await
}

/// Makes one change. Whether it may change how the content is listed, and how many entries there are more.
async fn apply(
    transaction: &mut Transaction,
    editing: &Editing<'_>,
    update: &ListUpdate,
) -> Result<(bool, i64), StoreError> {
    let failed = StoreError::database("change an entry");
    let (list, place) = (editing.bank.list, place(update.hash()));
    let key: [Value; 3] = [list.into(), place.0.into(), place.1.clone().into()];
    let rows = transaction
        .fetch(
            "SELECT severity, listed_at FROM watch_entries WHERE list = $1 AND algorithm = $2 AND value = $3",
            &key,
        )
        .await
        .map_err(&failed)?;
    let known = rows.first();
    let held = opinions_of(transaction, list, &place).await?;
    match update {
        ListUpdate::Listed(entry) => {
            let mut opinions = entry.opinions.clone();
            opinions.sort();
            let is_held_otherwise =
                replace_opinions(transaction, (editing.bank, None), &entry.hash, (&held, &opinions)).await?;
            let listed_at = match known {
                Some(row) => Some(Timestamp(row.integer("listed_at").map_err(&failed)?)),
                None => None,
            };
            let severity_before = known.map(severity).transpose()?;
            let listed_at = listed_at
                .into_iter()
                .chain(entry.listed_at)
                .min()
                .unwrap_or(editing.now);
            let row = columns(list, &place, entry, listed_at, entry.updated_at.unwrap_or(editing.now));
            let sql = format!(
                "{INSERT_ENTRIES} {} ON CONFLICT (list, algorithm, value) DO UPDATE SET severity = excluded.severity, \
                 source_id = excluded.source_id, tags = excluded.tags, listed_at = excluded.listed_at, updated_at = excluded.updated_at",
                transaction.rows(1, COLUMNS)
            );
            transaction.execute(&sql, &row).await.map_err(&failed)?;
            let is_changed = severity_before != Some(entry.severity) || is_held_otherwise;
            Ok((is_changed, i64::from(known.is_none())))
        }
        ListUpdate::Withdrawn(hash) => {
            // The opinions went with the entry they were about; those that a party holds without listing it stay.
            if known.is_none() {
                return Ok((false, 0));
            }
            replace_opinions(transaction, (editing.bank, None), hash, (&held, &[])).await?;
            transaction
                .execute(
                    "DELETE FROM watch_entries WHERE list = $1 AND algorithm = $2 AND value = $3",
                    &key,
                )
                .await
                .map_err(&failed)?;
            Ok((true, -1))
        }
    }
}

async fn add_entries(transaction: &mut Transaction, editing: &Editing<'_>, added: i64) -> Result<(), StoreError> {
    if added == 0 {
        return Ok(());
    }
    transaction
        .execute(
            "UPDATE watch_lists SET entries = entries + $1, touched_at = $2 WHERE list = $3",
            &[added.into(), editing.now.into(), editing.bank.list.into()],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("count entries"))
}

async fn note_pending(
    transaction: &mut Transaction,
    hash: &ContentHash,
    number: i64,
    source: &Name,
) -> Result<(), StoreError> {
    let (algorithm, value) = place(hash);
    transaction
        .execute(
            "INSERT INTO watch_pending (algorithm, value, number, source) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (algorithm, value) DO UPDATE SET number = excluded.number, source = excluded.source",
            &[algorithm.into(), value.into(), number.into(), source.as_str().into()],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("note a change of the watch list"))
}

/// The opinions that stand in a list of one hash, ascending by party.
async fn opinions_of(
    transaction: &mut Transaction,
    list: i64,
    (algorithm, value): &Place,
) -> Result<Vec<(Name, Opinion)>, StoreError> {
    let rows = transaction
        .fetch(
            "SELECT party, opinion FROM watch_opinions WHERE list = $1 AND algorithm = $2 AND value = $3 ORDER BY party",
            &[list.into(), (*algorithm).into(), value.clone().into()],
        )
        .await
        .map_err(StoreError::database("read opinions"))?;
    let mut opinions: Vec<(Name, Opinion)> = rows.iter().map(opinion).collect::<Result<_, _>>()?;
    // A database may order names in its own way.
    opinions.sort();
    Ok(opinions)
}

/// One row's party and what it holds.
pub(super) fn opinion(row: &Row) -> Result<(Name, Opinion), StoreError> {
    let number = row
        .integer("opinion")
        .map_err(StoreError::database("read an opinion"))?;
    let opinion = u8::try_from(number).ok().and_then(Opinion::from_number);
    Ok((
        name(row, "party")?,
        opinion.ok_or(StoreError::Malformed { field: "opinion" })?,
    ))
}

/// Puts the second opinions, ascending, in the place of the first; what a party holds already it goes on holding since when it did. Since when the others are
/// held is not known of those that a list brings. Whether they differ.
async fn replace_opinions(
    transaction: &mut Transaction,
    (bank, held_at): (&BankRecord, Option<Timestamp>),
    hash: &ContentHash,
    (held, next): (Held<'_>, Held<'_>),
) -> Result<bool, StoreError> {
    if held == next {
        return Ok(false);
    }
    let failed = StoreError::database("replace opinions");
    let (algorithm, value) = place(hash);
    for (party, _) in held
        .iter()
        .filter(|(party, _)| !next.iter().any(|(kept, _)| kept == party))
    {
        let sql = "DELETE FROM watch_opinions WHERE list = $1 AND algorithm = $2 AND value = $3 AND party = $4";
        let values = [
            bank.list.into(),
            algorithm.into(),
            value.clone().into(),
            party.as_str().into(),
        ];
        transaction.execute(sql, &values).await.map_err(&failed)?;
    }
    // One party has one opinion; of several the last.
    for (party, opinion) in next.iter().filter(|opinion| !held.contains(opinion)) {
        let sql = "INSERT INTO watch_opinions (list, algorithm, value, party, opinion, held_at) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (list, algorithm, value, party) DO UPDATE SET opinion = excluded.opinion, held_at = excluded.held_at";
        let values = [
            bank.list.into(),
            algorithm.into(),
            value.clone().into(),
            party.as_str().into(),
            i64::from(*opinion as u8).into(),
            held_at.map(|at| at.0).into(),
        ];
        transaction.execute(sql, &values).await.map_err(&failed)?;
    }
    Ok(true)
}

/// Writes the opinions of entries that have none yet.
pub(super) async fn insert_opinions(
    transaction: &mut Transaction,
    list: i64,
    entries: &[BankEntry],
) -> Result<(), StoreError> {
    const COLUMNS: usize = 5;
    let of_entry = |entry: &BankEntry| {
        let (algorithm, value) = place(&entry.hash);
        // One party has one opinion; of several the last.
        let opinions: std::collections::BTreeMap<Name, Opinion> = entry.opinions.iter().cloned().collect();
        opinions
            .into_iter()
            .map(move |(party, opinion)| -> [Value; COLUMNS] {
                [
                    list.into(),
                    algorithm.into(),
                    value.clone().into(),
                    party.as_str().into(),
                    i64::from(opinion as u8).into(),
                ]
            })
            .collect::<Vec<_>>()
    };
    let rows: Vec<[Value; COLUMNS]> = entries
        .iter()
        .filter(|entry| !entry.opinions.is_empty())
        .flat_map(of_entry)
        .collect();
    for chunk in rows.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO watch_opinions (list, algorithm, value, party, opinion) VALUES {}",
            transaction.rows(chunk.len(), COLUMNS)
        );
        transaction
            .execute(&sql, chunk.as_flattened())
            .await
            .map_err(StoreError::database("write opinions"))?;
    }
    Ok(())
}
