//! Who lists a content: what a look-up asks about single hashes.

use tocsin_model::{ContentHash, Name, Timestamp};

use crate::watch::{place, severity};
use crate::{Store, StoreError, WatchListing, party};

impl Store {
    /// Who lists this hash, by source: at most `limit` of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn listings_of(&self, hash: &ContentHash, limit: u32) -> Result<Vec<WatchListing>, StoreError> {
        let failed = StoreError::database("read who lists a hash");
        let [algorithm, value] = place(hash);
        let rows = self
            .database()
            .fetch(
                "SELECT source, severity, listed_at FROM watch_sources WHERE algorithm = $1 AND value = $2 ORDER BY source LIMIT $3",
                &[algorithm, value, i64::from(limit).into()],
            )
            .await
            .map_err(&failed)?;
        let listing = |row| {
            Ok(WatchListing {
                hash: hash.clone(),
                source: party::name(row, "source")?,
                severity: severity(row)?.ok_or(StoreError::Malformed { field: "severity" })?,
                listed_at: Timestamp(row.integer("listed_at").map_err(&failed)?),
            })
        };
        rows.iter().map(listing).collect()
    }

    /// All sources that list anything, by name: at most `limit` of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch_list_sources(&self, limit: u32) -> Result<Vec<Name>, StoreError> {
        let rows = self
            .database()
            .fetch(
                "SELECT DISTINCT source FROM watch_sources ORDER BY source LIMIT $1",
                &[i64::from(limit).into()],
            )
            .await
            .map_err(StoreError::database("read who lists anything"))?;
        rows.iter().map(|row| party::name(row, "source")).collect()
    }
}
