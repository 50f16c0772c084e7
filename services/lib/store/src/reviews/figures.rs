use tocsin_casework::Team;
use tocsin_model::{Milliseconds, Timestamp, Verdict};

use super::row::verdict;
use crate::{Store, StoreError};

/// The most answered reviews that figures are made of: the latest of the period.
const REVIEWS_SUMMED_MAX: u32 = 100_000;

/// What a team's figures are made of. Nothing in it says who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewFigures {
    /// What the first decided and the second said, of the sample alone.
    pub pairs: Vec<(Verdict, Verdict)>,
    /// How many were answered by a third.
    pub thirds: u64,
    /// In how many of these the decision changed.
    pub changed: u64,
    /// How many golden cases were answered.
    pub golden: u64,
    /// How many of them as is known.
    pub golden_right: u64,
    /// How many wait for a second or a third.
    pub waiting: u64,
}

impl Store {
    /// What the reviews of a team come to that were answered within `period` until now, the latest of at most 100,000; and the store's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn review_figures(
        &self,
        team: Team,
        period: Milliseconds,
    ) -> Result<(ReviewFigures, Timestamp), StoreError> {
        let failed = StoreError::database("sum reviews up");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT kind, first, verdict, changed FROM reviews WHERE team = $1 AND answered_at > $2 AND verdict IS NOT NULL \
             ORDER BY answered_at DESC, sequence DESC LIMIT {REVIEWS_SUMMED_MAX}"
        );
        let values = [team.to_number().into(), (now - period).into()];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let mut figures = ReviewFigures::default();
        for row in &rows {
            let number = |field| row.integer(field).map_err(StoreError::database("sum reviews up"));
            let malformed = StoreError::Malformed { field: "verdict" };
            let (first, said) = match (verdict(number("first")?), verdict(number("verdict")?)) {
                (Some(first), Some(said)) => (first, said),
                _ => return Err(malformed),
            };
            match number("kind")? {
                1 => figures.pairs.push((first, said)),
                2 => {
                    figures.thirds += 1;
                    figures.changed += number("changed")? as u64;
                }
                _ => {
                    figures.golden += 1;
                    figures.golden_right += u64::from(first == said);
                }
            }
        }
        let sql = "SELECT count(*) AS waiting FROM reviews WHERE team = $1 AND verdict IS NULL AND kind <> 3 AND asked_at <= $2";
        let values = [team.to_number().into(), now.into()];
        let rows = self.database().fetch(sql, &values).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "reviews" })?;
        figures.waiting = row.integer("waiting").map_err(&failed)? as u64;
        Ok((figures, now))
    }
}
