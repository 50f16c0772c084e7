use tocsin_casework::{Clocks, Team};
use tocsin_model::{Milliseconds, Timestamp};

use super::row::time_if_any;
use crate::{Store, StoreError};

/// The most cases that a summary is made of: the latest of the period.
pub const CLOCKS_MAX: u32 = 100_000;

impl Store {
    /// The clocks of a team's cases that were opened within `period` until now, the latest first, at most [`CLOCKS_MAX`]; and the store's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn clocks(&self, team: Team, period: Milliseconds) -> Result<(Vec<Clocks>, Timestamp), StoreError> {
        let failed = StoreError::database("read the clocks of cases");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT first_seen, first_alert_at, opened_at, first_claimed_at, first_decided_at FROM cases \
             WHERE team = $1 AND opened_at > $2 ORDER BY opened_at DESC LIMIT {CLOCKS_MAX}"
        );
        let rows = self
            .database()
            .fetch(&sql, &[team.to_number().into(), (now - period).into()])
            .await
            .map_err(&failed)?;
        let clocks = rows.iter().map(|row| {
            let null_if_none = |column| row.integer_if_any(column).map(|time| time.map(Timestamp));
            Ok(Clocks {
                first_seen: time_if_any(row, "first_seen")?,
                alert_at: time_if_any(row, "first_alert_at")?,
                opened_at: row.integer("opened_at").map(Timestamp).map_err(&failed)?,
                claimed_at: null_if_none("first_claimed_at").map_err(&failed)?,
                decided_at: null_if_none("first_decided_at").map_err(&failed)?,
            })
        });
        Ok((clocks.collect::<Result<_, StoreError>>()?, now))
    }
}
