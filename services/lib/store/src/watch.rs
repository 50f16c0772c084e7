use tocsin_model::{Algorithm, ContentHash, Name, Severity, Timestamp};

use crate::database::{Row, Transaction, Value};
use crate::party::name;
use crate::{Store, StoreError};

/// One source's listing of one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchListing {
    /// The hash that is watched.
    pub hash: ContentHash,
    /// Who listed it.
    pub source: Name,
    /// How grave it is.
    pub severity: Severity,
    /// When, by the store's clock.
    pub listed_at: Timestamp,
}

/// What is to be published of one content: it is listed while any source lists it, as gravely as the gravest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchChange {
    /// Grows with every change of the list.
    pub number: u64,
    /// The hash that is watched.
    pub hash: ContentHash,
    /// How grave it is; `None`: no source lists it any more.
    pub listed: Option<Severity>,
    /// Whose change this is.
    pub source: Name,
}

impl Store {
    /// Lists a content for a source. Whether that changed anything: the same listing again does not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch(&self, hash: &ContentHash, source: &Name, severity: Severity) -> Result<bool, StoreError> {
        let failed = StoreError::database("add to the watch list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let [algorithm, value] = place(hash);
        let changed = transaction
            .execute(
                "INSERT INTO watch_sources (algorithm, value, source, severity, listed_at) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (algorithm, value, source) DO UPDATE SET severity = excluded.severity, listed_at = excluded.listed_at \
                 WHERE watch_sources.severity <> excluded.severity",
                &[
                    algorithm,
                    value,
                    source.as_str().into(),
                    i64::from(severity.get()).into(),
                    now.into(),
                ],
            )
            .await
            .map_err(&failed)?;
        self.note_change(transaction, hash, source, changed).await
    }

    /// Takes a source's listing of a content back. Whether there was one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unwatch(&self, hash: &ContentHash, source: &Name) -> Result<bool, StoreError> {
        let failed = StoreError::database("take off the watch list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let [algorithm, value] = place(hash);
        let changed = transaction
            .execute(
                "DELETE FROM watch_sources WHERE algorithm = $1 AND value = $2 AND source = $3",
                &[algorithm, value, source.as_str().into()],
            )
            .await
            .map_err(&failed)?;
        self.note_change(transaction, hash, source, changed).await
    }

    /// Commits, with a change to publish where a row changed.
    async fn note_change(
        &self,
        mut transaction: Transaction,
        hash: &ContentHash,
        source: &Name,
        changed: u64,
    ) -> Result<bool, StoreError> {
        let failed = StoreError::database("change the watch list");
        if changed == 0 {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(false);
        }
        let rows = transaction
            .fetch("UPDATE watch_list SET number = number + 1 RETURNING number", &[])
            .await
            .map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "number" })?;
        let number = row.integer("number").map_err(&failed)?;
        let [algorithm, value] = place(hash);
        transaction
            .execute(
                "INSERT INTO watch_changes (algorithm, value, number, source, published) VALUES ($1, $2, $3, $4, 0) \
                 ON CONFLICT (algorithm, value) DO UPDATE SET number = excluded.number, source = excluded.source, published = 0",
                &[algorithm, value, number.into(), source.as_str().into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }

    /// Every listing of every source, by hash and source.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_listings(&self) -> Result<Vec<WatchListing>, StoreError> {
        let failed = StoreError::database("read the watch list");
        let rows = self
            .database()
            .fetch(
                "SELECT algorithm, value, source, severity, listed_at FROM watch_sources ORDER BY algorithm, value, source",
                &[],
            )
            .await
            .map_err(&failed)?;
        let listing = |row: &Row| {
            Ok(WatchListing {
                hash: hash(row)?,
                source: name(row, "source")?,
                severity: severity(row)?.ok_or(StoreError::Malformed { field: "severity" })?,
                listed_at: Timestamp(row.integer("listed_at").map_err(&failed)?),
            })
        };
        rows.iter().map(listing).collect()
    }

    /// At most `limit` changes that are not on the log yet, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_changes(&self, limit: u32) -> Result<Vec<WatchChange>, StoreError> {
        let failed = StoreError::database("read the changes of the watch list");
        let rows = self
            .database()
            .fetch(
                "SELECT c.number, c.algorithm, c.value, c.source, \
                 (SELECT max(s.severity) FROM watch_sources s WHERE s.algorithm = c.algorithm AND s.value = c.value) AS severity \
                 FROM watch_changes c WHERE c.published = 0 ORDER BY c.number LIMIT $1",
                &[i64::from(limit).into()],
            )
            .await
            .map_err(&failed)?;
        let change = |row: &Row| {
            Ok(WatchChange {
                number: row.integer("number").map_err(&failed)? as u64,
                hash: hash(row)?,
                listed: severity(row)?,
                source: name(row, "source")?,
            })
        };
        rows.iter().map(change).collect()
    }

    /// Says that these changes are on the log. What changed again meanwhile has another number and is still to come.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_published(&self, changes: &[WatchChange]) -> Result<(), StoreError> {
        let failed = StoreError::database("note published changes of the watch list");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        for change in changes {
            let number = i64::try_from(change.number).unwrap_or(i64::MAX);
            // Nothing more is to be said of what nobody lists.
            let sql = match change.listed {
                Some(_) => "UPDATE watch_changes SET published = 1 WHERE number = $1",
                None => "DELETE FROM watch_changes WHERE number = $1",
            };
            transaction.execute(sql, &[number.into()]).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}

pub(crate) fn place(hash: &ContentHash) -> [Value; 2] {
    [i64::from(hash.algorithm() as u8).into(), hash.value().to_vec().into()]
}

fn hash(row: &Row) -> Result<ContentHash, StoreError> {
    let failed = StoreError::database("read a watched hash");
    let number = row.integer("algorithm").map_err(&failed)?;
    let algorithm = u8::try_from(number).ok().and_then(Algorithm::from_number);
    let algorithm = algorithm.ok_or(StoreError::Malformed { field: "algorithm" })?;
    ContentHash::from_bytes(algorithm, row.bytes("value").map_err(&failed)?, None)
        .map_err(|_| StoreError::Malformed { field: "value" })
}

pub(crate) fn severity(row: &Row) -> Result<Option<Severity>, StoreError> {
    let number = row
        .integer_if_any("severity")
        .map_err(StoreError::database("read a severity"))?;
    let read = |number| u8::try_from(number).ok().and_then(Severity::new);
    number
        .map(|number| read(number).ok_or(StoreError::Malformed { field: "severity" }))
        .transpose()
}
