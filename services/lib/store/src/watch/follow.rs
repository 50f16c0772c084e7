use tocsin_model::Timestamp;

use crate::database::{Row, Transaction};
use crate::{Store, StoreError};

/// How far a followed list was read, and how that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowState {
    /// The name under which it is followed.
    pub name: String,
    /// Where to go on, in the source's own words; `None`: at the beginning.
    pub checkpoint: Option<String>,
    /// When it was last asked, by the store's clock.
    pub attempted_at: Timestamp,
    /// When it last told something that was taken.
    pub advanced_at: Option<Timestamp>,
    /// The code of what was wrong at the last attempt.
    pub problem: Option<String>,
}

impl Store {
    /// How far each followed list was read, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn follow_states(&self) -> Result<Vec<FollowState>, StoreError> {
        let failed = StoreError::database("read how far lists were followed");
        let rows = self
            .database()
            .fetch(
                "SELECT name, checkpoint, attempted_at, advanced_at, problem FROM watch_follows ORDER BY name",
                &[],
            )
            .await
            .map_err(&failed)?;
        let state = |row: &Row| {
            Ok(FollowState {
                name: row.text("name")?,
                checkpoint: row.text_if_any("checkpoint")?,
                attempted_at: Timestamp(row.integer("attempted_at")?),
                advanced_at: row.integer_if_any("advanced_at")?.map(Timestamp),
                problem: row.text_if_any("problem")?,
            })
        };
        rows.iter().map(state).collect::<Result<_, _>>().map_err(&failed)
    }

    /// Notes that a followed list was asked, and the code of what was wrong, if anything was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_attempt(&self, follow: &str, problem: Option<&str>) -> Result<(), StoreError> {
        let failed = StoreError::database("note how a list was followed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        transaction
            .execute(
                "INSERT INTO watch_follows (name, attempted_at, problem) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET attempted_at = excluded.attempted_at, problem = excluded.problem",
                &[follow.into(), now.into(), problem.map(str::to_owned).into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Forgets how far a list was followed: it is read from the beginning next time. Whether it was known.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_follow(&self, follow: &str) -> Result<bool, StoreError> {
        let failed = StoreError::database("forget how far a list was followed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let forgotten = transaction
            .execute("DELETE FROM watch_follows WHERE name = $1", &[follow.into()])
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten > 0)
    }
}

/// Notes where to go on.
pub(super) async fn note_checkpoint(
    transaction: &mut Transaction,
    follow: &str,
    checkpoint: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    transaction
        .execute(
            "INSERT INTO watch_follows (name, checkpoint, attempted_at, advanced_at) VALUES ($1, $2, $3, $3) \
             ON CONFLICT (name) DO UPDATE SET checkpoint = excluded.checkpoint, attempted_at = excluded.attempted_at, \
             advanced_at = excluded.advanced_at, problem = NULL",
            &[follow.into(), checkpoint.into(), now.into()],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("note where to go on with a list"))
}
