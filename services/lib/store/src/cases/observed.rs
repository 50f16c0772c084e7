use tocsin_casework::{ClockKind, Code, Team};
use tocsin_model::{FamilyId, PlatformId, Timestamp};

use super::clocks::note_clock;
use super::row::codes_text;
use super::streams::{LiveMember, note_streams};
use crate::{Store, StoreError};

/// What the state tells of a family, as far as a team may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// When what first happened on which platform.
    pub clocks: Vec<(PlatformId, ClockKind, Timestamp)>,
    /// Its live streams, ascending. What was told before stays known.
    pub streams: Vec<LiveMember>,
    /// The regions in which it spread within the last day, ascending.
    pub regions: Vec<Code>,
    /// The languages in which it did, ascending.
    pub languages: Vec<Code>,
}

impl Store {
    /// Keeps what was observed of a family with the team's case of it, if there is one. Of clocks the earliest that is told counts; regions and
    /// languages stand in place of those before, and filters look at them. It is no change of what people decide on: the version stays.
    ///
    /// # Errors
    /// The database failed; it may be told again.
    pub async fn observe(&self, team: Team, family: FamilyId, observed: &Observed) -> Result<(), StoreError> {
        let failed = StoreError::database("keep what was observed of a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let known = "SELECT case_id FROM cases WHERE family = $1 AND team = $2";
        let rows = transaction
            .fetch(known, &[family.to_string().into(), team.to_number().into()])
            .await
            .map_err(&failed)?;
        let Some(row) = rows.first() else {
            return transaction.rollback().await.map_err(&failed);
        };
        let case = row.text("case_id").map_err(&failed)?;
        let id = case.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let (regions, languages) = (codes_text(&observed.regions), codes_text(&observed.languages));
        transaction
            .execute(
                "UPDATE cases SET regions = $2, languages = $3, touched_at = $4 WHERE case_id = $1 AND (regions <> $2 OR languages <> $3)",
                &[case.into(), regions.into(), languages.into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        note_streams(&mut transaction, id, &observed.streams).await?;
        for clock in &observed.clocks {
            note_clock(&mut transaction, id, *clock).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}
