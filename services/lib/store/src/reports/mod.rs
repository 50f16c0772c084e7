//! Reports: their rows are read here, a page at a time, and handed to the pure counts of `tocsin_report`. One transaction that sees one moment.

mod casework;
mod filed;
mod incidents;
mod owner;
mod restrictions;

use tocsin_casework::Team;
use tocsin_model::Milliseconds;
use tocsin_report::{Period, Tally};

pub use restrictions::{RestrictionCursor, RestrictionPage};

use crate::cases::FOLLOWED_FOR;
use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// A report rests on at most so many rows: of a longer one the days are to be fewer.
pub const REPORT_ROWS_MAX: u64 = 2_000_000;

/// So many rows are read at a time.
const PAGE: usize = 500;
/// What is confirmed within some days belongs to decisions that were out this long before at most: for so long they are followed, and a day for
/// clocks that disagree.
const OUT_BEFORE: Milliseconds = Milliseconds(FOLLOWED_FOR.0 + 24 * 60 * 60 * 1_000);

impl Store {
    /// What a team did within these days, counted: for [`tocsin_report::transparency`] and [`tocsin_report::terrorist_content`].
    ///
    /// # Errors
    /// [`StoreError::ReportTooLarge`]; [`StoreError::NoSuchParty`]; or the database failed.
    pub async fn tally(&self, team: Team, period: Period) -> Result<Tally, StoreError> {
        let failed = StoreError::database("read a report");
        let now = self.now().await.map_err(&failed)?;
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let owner = owner::read(&mut transaction, team).await?;
        let mut reading = Reading {
            transaction,
            tally: Tally::new(owner, period, now),
            room: REPORT_ROWS_MAX,
        };
        reading.cases().await?;
        reading.decisions().await?;
        reading.removals().await?;
        reading.notices().await?;
        reading.appeals().await?;
        reading.participations().await?;
        reading.transaction.rollback().await.map_err(failed)?;
        Ok(reading.tally)
    }
}

/// A report while its rows are read.
struct Reading {
    transaction: Transaction,
    tally: Tally,
    room: u64,
}

impl Reading {
    /// All rows of a statement that goes on after the last row of the page before: `after` are its first places, and the `next` of a row are those of the
    /// rows after it. The statement ends in a limit of [`PAGE`].
    async fn pages(
        &mut self,
        sql: &str,
        (fixed, mut after): (&[Value], Vec<Value>),
        next: impl Fn(&Row) -> Result<Vec<Value>, sqlx::Error>,
        mut take: impl AsyncFnMut(&mut Transaction, &mut Tally, &[Row]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("read a report");
        let sql = format!("{sql} LIMIT {PAGE}");
        loop {
            let values: Vec<Value> = fixed.iter().chain(&after).cloned().collect();
            let rows = self.transaction.fetch(&sql, &values).await.map_err(&failed)?;
            let left = self.room.checked_sub(rows.len() as u64);
            self.room = left.ok_or(StoreError::ReportTooLarge)?;
            take(&mut self.transaction, &mut self.tally, &rows).await?;
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = next(last).map_err(&failed)?,
                _ => return Ok(()),
            }
        }
    }

    fn team(&self) -> Value {
        self.tally.owner().team.to_number().into()
    }
}
