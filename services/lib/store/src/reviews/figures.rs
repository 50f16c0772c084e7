use tocsin_casework::Team;
use tocsin_model::{Milliseconds, Timestamp, Verdict};

use super::row::verdict;
use crate::{Store, StoreError};

/// What a team's figures are made of. Nothing in it says who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewFigures {
    /// What the first decided and the second said, of the sample alone, and how often.
    pub pairs: Vec<(Verdict, Verdict, u64)>,
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
    /// What the reviews of a team come to that were answered within `period` until now; and the store's time.
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
        let sql = "SELECT kind, first, verdict, count(*) AS reviews, CAST(sum(changed) AS BIGINT) AS changed FROM reviews \
                   WHERE team = $1 AND answered_at > $2 AND verdict IS NOT NULL GROUP BY kind, first, verdict ORDER BY kind, first, verdict";
        let values = [team.to_number().into(), (now - period).into()];
        let rows = self.database().fetch(sql, &values).await.map_err(&failed)?;
        let mut figures = ReviewFigures::default();
        for row in &rows {
            let number = |field| row.integer(field).map_err(StoreError::database("sum reviews up"));
            let malformed = StoreError::Malformed { field: "verdict" };
            let (first, said) = match (verdict(number("first")?), verdict(number("verdict")?)) {
                (Some(first), Some(said)) => (first, said),
                _ => return Err(malformed),
            };
            let reviews = number("reviews")? as u64;
            match number("kind")? {
                1 => figures.pairs.push((first, said, reviews)),
                2 => {
                    figures.thirds += reviews;
                    figures.changed += number("changed")? as u64;
                }
                _ => {
                    figures.golden += reviews;
                    figures.golden_right += if first == said { reviews } else { 0 };
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
