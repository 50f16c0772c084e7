use tocsin_model::{Alert, AlertLevel, Calibration, Milliseconds, PlatformNull, Timestamp};

use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError, nulls};

/// What is kept of one episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageEpisode {
    /// When its first alert rang.
    pub raised_at: Timestamp,
    /// The highest page score of its alerts.
    pub peak: f64,
    /// When it first paged.
    pub paged_at: Option<Timestamp>,
}

/// What a calibrator found.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The page score from which an episode is to page.
    pub page_threshold: f64,
    /// The budget behind it.
    pub pages_per_day: f64,
    /// How many episodes it rests on.
    pub episodes: u32,
    /// The time of the tick from which on it is to hold.
    pub effective_from: Timestamp,
    /// When it was made.
    pub at: Timestamp,
    /// What is ordinary on each platform that was calibrated.
    pub platforms: Vec<PlatformNull>,
}

/// What an alert is to the page of its episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpisodePage {
    /// It is the first that pages.
    First,
    /// It does not page, or an earlier one has.
    None,
}

/// Notes the page score of an alert, within the transaction that applies it. An alert of schema version 1 has none. [`Alert::paged`] means now or
/// before: which of them is the first follows from what was noted.
pub(crate) async fn note_page_score(transaction: &mut Transaction, alert: &Alert) -> Result<EpisodePage, sqlx::Error> {
    let has_score = alert.page_threshold > 0.0 && alert.page_score.is_finite();
    if alert.level == AlertLevel::Subsided || !has_score {
        return Ok(EpisodePage::None);
    }
    let key: [Value; 4] = [
        i64::from(alert.scope.own_class().number()).into(),
        alert.family.to_string().into(),
        i64::from(alert.episode).into(),
        alert.at.into(),
    ];
    let [class, family, episode, at] = key.clone();
    transaction
        .execute(
            "INSERT INTO page_episodes (class, family, episode, raised_at, peak) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (class, family, episode) DO UPDATE SET \
             raised_at = CASE WHEN excluded.raised_at < page_episodes.raised_at THEN excluded.raised_at ELSE page_episodes.raised_at END, \
             peak = CASE WHEN excluded.peak > page_episodes.peak THEN excluded.peak ELSE page_episodes.peak END",
            &[class, family, episode, at, alert.page_score.into()],
        )
        .await?;
    if !alert.paged {
        return Ok(EpisodePage::None);
    }
    let sql =
        "UPDATE page_episodes SET paged_at = $4 WHERE class = $1 AND family = $2 AND episode = $3 AND paged_at IS NULL";
    match transaction.execute(sql, &key).await? {
        0 => Ok(EpisodePage::None),
        _ => Ok(EpisodePage::First),
    }
}

impl Store {
    /// The episodes raised at or after `since`, by the alerts' times, ascending by them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn page_episodes(&self, since: Timestamp) -> Result<Vec<PageEpisode>, StoreError> {
        let failed = StoreError::database("read the episodes' page scores");
        let rows = self
            .database()
            .fetch(
                "SELECT raised_at, peak, paged_at FROM page_episodes WHERE raised_at >= $1 ORDER BY raised_at, family",
                &[since.into()],
            )
            .await
            .map_err(&failed)?;
        let episode = |row: &Row| {
            Ok(PageEpisode {
                raised_at: Timestamp(row.integer("raised_at")?),
                peak: row.real("peak")?,
                paged_at: row.integer_if_any("paged_at")?.map(Timestamp),
            })
        };
        rows.iter().map(episode).collect::<Result<_, _>>().map_err(&failed)
    }

    /// Forgets the episodes raised before; how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_page_episodes(&self, before: Timestamp) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget episodes");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let forgotten = transaction
            .execute("DELETE FROM page_episodes WHERE raised_at < $1", &[before.into()])
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }

    /// Makes `holder` the one dispatcher that does what one does alone (sets thresholds, publishes the watch list, follows lists, asks Ozones), for `length` from now by the database's clock,
    /// unless another is. Whether it is the one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hold_calibrator(&self, holder: &str, length: Milliseconds) -> Result<bool, StoreError> {
        let failed = StoreError::database("hold the calibrator's lease");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let held = transaction
            .execute(
                "UPDATE calibrator SET holder = $1, held_until = $2 WHERE holder = $1 OR held_until <= $3",
                &[holder.into(), (now + length).into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(held > 0)
    }

    /// A transaction of the one that [`Store::hold_calibrator`] names, and the database's time; `None` when `holder` is not that one any more. The row is
    /// changed so that it is locked: two at once do not give out one number.
    pub(crate) async fn begin_as_calibrator(
        &self,
        holder: &str,
        what: &'static str,
    ) -> Result<Option<(Transaction, Timestamp)>, StoreError> {
        let failed = StoreError::database(what);
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "UPDATE calibrator SET holder = holder WHERE holder = $1 AND held_until > $2";
        let held = transaction.execute(sql, &[holder.into(), now.into()]).await;
        if held.map_err(&failed)? == 0 {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        }
        Ok(Some((transaction, now)))
    }

    /// Since when episodes are observed: `now`, by the log's ticks, when this is asked for the first time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn observing_since(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let failed = StoreError::database("note since when episodes are observed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let rows = transaction
            .fetch(
                "UPDATE calibrator SET observing_since = COALESCE(observing_since, $1) RETURNING observing_since",
                &[now.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed {
            field: "observing_since",
        })?;
        row.integer("observing_since").map(Timestamp).map_err(&failed)
    }

    /// Numbers a threshold and writes it down, to be published; `None` when `holder` is not the calibrator any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_calibration(&self, holder: &str, made: Threshold) -> Result<Option<Calibration>, StoreError> {
        let what = "write a calibration";
        let Some((mut transaction, _)) = self.begin_as_calibrator(holder, what).await? else {
            return Ok(None);
        };
        let failed = StoreError::database(what);
        let rows = transaction
            .fetch("SELECT COALESCE(max(number), 0) AS number FROM calibrations", &[])
            .await
            .map_err(&failed)?;
        let last = rows.first().ok_or(StoreError::Malformed { field: "number" })?;
        let number = last.integer("number").map_err(&failed)? + 1;
        transaction
            .execute(
                "INSERT INTO calibrations (number, effective_from, page_threshold, pages_per_day, episodes, made_at, published, nulls) \
                 VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
                &[
                    number.into(),
                    made.effective_from.into(),
                    made.page_threshold.into(),
                    made.pages_per_day.into(),
                    i64::from(made.episodes).into(),
                    made.at.into(),
                    nulls::to_bytes(&made.platforms).into(),
                ],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Some(Calibration {
            number: number as u64,
            effective_from: made.effective_from,
            page_threshold: made.page_threshold,
            pages_per_day: made.pages_per_day,
            episodes: made.episodes,
            at: made.at,
            platforms: made.platforms,
        }))
    }

    /// The latest calibration, and whether it is published.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_calibration(&self) -> Result<Option<(Calibration, bool)>, StoreError> {
        let failed = StoreError::database("read the latest calibration");
        let rows = self
            .database()
            .fetch(
                "SELECT number, effective_from, page_threshold, pages_per_day, episodes, made_at, published, nulls \
                 FROM calibrations ORDER BY number DESC LIMIT 1",
                &[],
            )
            .await
            .map_err(&failed)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let platforms = nulls::from_bytes(&row.bytes("nulls").map_err(&failed)?)?;
        let read = |row: &Row| {
            let calibration = Calibration {
                number: row.integer("number")? as u64,
                effective_from: Timestamp(row.integer("effective_from")?),
                page_threshold: row.real("page_threshold")?,
                pages_per_day: row.real("pages_per_day")?,
                episodes: u32::try_from(row.integer("episodes")?).unwrap_or(u32::MAX),
                at: Timestamp(row.integer("made_at")?),
                platforms,
            };
            Ok((calibration, row.integer("published")? != 0))
        };
        read(row).map(Some).map_err(&failed)
    }

    /// Says that every partition of the log has this calibration.
    ///
    /// # Errors
    /// The database failed.
    pub async fn calibration_published(&self, number: u64) -> Result<(), StoreError> {
        let failed = StoreError::database("note a published calibration");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        transaction
            .execute(
                "UPDATE calibrations SET published = 1 WHERE number = $1",
                &[number.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}
