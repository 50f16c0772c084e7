//! Reports: their rows are read here, a page at a time, and handed to the pure counts of `tocsin_report`. One transaction that sees one moment.

mod casework;
mod filed;
mod incidents;
mod owner;
mod restrictions;

use tocsin_casework::Team;
use tocsin_report::{Period, Tally};

pub(crate) use casework::{ABOUT, kind};
pub use restrictions::{RestrictionCursor, RestrictionPage};

use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// A report rests on at most so many rows: of a longer one the days are to be fewer.
pub const REPORT_ROWS_MAX: u64 = 2_000_000;

/// So many rows are read at a time.
const PAGE: usize = 500;
impl Store {
    /// What a team did within these days, counted: for [`tocsin_report::transparency`] and [`tocsin_report::terrorist_content`].
    ///
    /// # Errors
    /// [`StoreError::ReportTooLarge`]; [`StoreError::NoSuchParty`]; or the database failed.
    pub async fn tally(&self, team: Team, period: Period) -> Result<Tally, StoreError> {
        self.tally_of(team, period, REPORT_ROWS_MAX).await
    }

    /// As [`Store::tally`], of at most so many rows.
    async fn tally_of(&self, team: Team, period: Period, room: u64) -> Result<Tally, StoreError> {
        let failed = StoreError::database("read a report");
        let now = self.now().await.map_err(&failed)?;
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let owner = owner::read(&mut transaction, team).await?;
        let mut reading = Reading {
            transaction,
            tally: Tally::new(owner, period, now),
            room,
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
        places: (&[Value], Vec<Value>),
        next: impl Fn(&Row) -> Result<Vec<Value>, sqlx::Error>,
        take: impl AsyncFnMut(&mut Transaction, &mut Tally, &[Row]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.pages_of(PAGE, sql, places, next, take).await
    }

    /// As [`Reading::pages`], so many rows at a time.
    async fn pages_of(
        &mut self,
        page: usize,
        sql: &str,
        (fixed, mut after): (&[Value], Vec<Value>),
        next: impl Fn(&Row) -> Result<Vec<Value>, sqlx::Error>,
        mut take: impl AsyncFnMut(&mut Transaction, &mut Tally, &[Row]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("read a report");
        let sql = format!("{sql} LIMIT {page}");
        loop {
            let values: Vec<Value> = fixed.iter().chain(&after).cloned().collect();
            let rows = self.transaction.fetch(&sql, &values).await.map_err(&failed)?;
            let left = self.room.checked_sub(rows.len() as u64);
            self.room = left.ok_or(StoreError::ReportTooLarge)?;
            take(&mut self.transaction, &mut self.tally, &rows).await?;
            match rows.last() {
                Some(last) if rows.len() == page => after = next(last).map_err(&failed)?,
                _ => return Ok(()),
            }
        }
    }

    fn team(&self) -> Value {
        self.tally.owner().team.to_number().into()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a report rests on no more rows than it may, and on just as many.
    #![allow(clippy::unwrap_used)]

    use tocsin_casework::{Filing, NoticeKind};
    use tocsin_model::{Algorithm, ContentHash, ContentId, FamilyId, Timestamp};

    use super::*;
    use crate::{About, Clock, KeySubject, Roles};

    #[tokio::test]
    async fn a_report_of_too_many_rows_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("store").display());
        let now = Timestamp(1_800_000_000_000);
        let store = Store::open_with_clock(&url, Clock::standing_at(now)).await.unwrap();
        let party = store
            .add_party(&"alpha".parse().unwrap(), &["app".parse().unwrap()])
            .await
            .unwrap();
        let (key, _) = store
            .issue_key(KeySubject::Party(party.id), Roles::all())
            .await
            .unwrap();
        let team = Team::Party(party.id);
        let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![1; 32], None).unwrap();
        for number in 0..3 {
            let filing = Filing {
                kind: NoticeKind::Referral,
                authority: "an authority".to_owned(),
                reference: number.to_string(),
                part: 0,
                content: Some(hash.clone()),
                platform: None,
                received_at: now,
                due_at: None,
                urls: Vec::new(),
                statement: "look".to_owned(),
            };
            let about = About::Family(FamilyId(ContentId(1)), hash.clone());
            Box::pin(store.file_notice((team, key), &about, &filing)).await.unwrap();
        }
        let day = tocsin_report::Day::of(now);
        let period = Period::new(day, day).unwrap();
        // One case and three notices.
        assert!(store.tally_of(team, period, 4).await.is_ok());
        let refused = store.tally_of(team, period, 3).await;
        assert!(matches!(refused, Err(StoreError::ReportTooLarge)));
    }
}
