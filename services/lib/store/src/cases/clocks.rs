use std::collections::BTreeMap;

use tocsin_casework::{Case, CaseId, ClockKind, Clocks, PlatformClocks, Refusal, Team};
use tocsin_model::{KeyId, Milliseconds, PlatformId, Timestamp};

use super::history::{Step, write_step};
use super::locked;
use super::row::{case, time_if_any};
use crate::database::{Locked, Row, Transaction};
use crate::{Store, StoreError};

/// The most cases that a summary is made of: the latest of the period.
pub const CLOCKS_MAX: u32 = 100_000;

/// A platform, what happened there, and when.
pub(crate) type Clock = (PlatformId, ClockKind, Timestamp);

/// The latest cases of a team (`$1`) that were opened after `$2` and did not go into another.
const LATEST: &str =
    "FROM cases WHERE team = $1 AND opened_at > $2 AND merged_into IS NULL ORDER BY opened_at DESC, case_id LIMIT";

impl Store {
    /// The clocks of a team's cases that were opened within `period` until now, and those of each platform, the latest first, at most
    /// [`CLOCKS_MAX`]; and the store's time. What went into another case counts with that.
    ///
    /// # Errors
    /// The database failed.
    pub async fn clocks(
        &self,
        team: Team,
        period: Milliseconds,
    ) -> Result<(Vec<(Clocks, PlatformClocks)>, Timestamp), StoreError> {
        let failed = StoreError::database("read the clocks of cases");
        let now = self.now().await.map_err(&failed)?;
        let values = [team.to_number().into(), (now - period).into()];
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let sql = format!(
            "SELECT case_id, first_seen, first_alert_at, opened_at, first_claimed_at, first_decided_at {LATEST} {CLOCKS_MAX}"
        );
        let cases = reading.fetch(&sql, &values).await.map_err(&failed)?;
        let sql = format!(
            "SELECT k.case_id, k.platform_id, k.clock, k.at FROM case_clocks k \
             JOIN (SELECT case_id {LATEST} {CLOCKS_MAX}) latest ON latest.case_id = k.case_id"
        );
        let on_platforms = reading.fetch(&sql, &values).await.map_err(&failed)?;
        reading.rollback().await.map_err(&failed)?;
        let mut of_case: BTreeMap<String, PlatformClocks> = BTreeMap::new();
        for row in &on_platforms {
            let (platform, kind, at) = clock(row)?;
            let case = row.text("case_id").map_err(&failed)?;
            of_case.entry(case).or_default().note(platform, kind, at);
        }
        let clocks = cases.iter().map(|row| {
            let null_if_none = |column| row.integer_if_any(column).map(|time| time.map(Timestamp));
            let case = row.text("case_id").map_err(&failed)?;
            let clocks = Clocks {
                first_seen: time_if_any(row, "first_seen")?,
                alert_at: time_if_any(row, "first_alert_at")?,
                opened_at: row.integer("opened_at").map(Timestamp).map_err(&failed)?,
                claimed_at: null_if_none("first_claimed_at").map_err(&failed)?,
                decided_at: null_if_none("first_decided_at").map_err(&failed)?,
            };
            Ok((clocks, of_case.remove(&case).unwrap_or_default()))
        });
        Ok((clocks.collect::<Result<_, StoreError>>()?, now))
    }

    /// A case of this team with the clocks of each platform, and the store's time of the answer.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`](tocsin_casework::Refusal::NoSuchCase) also for another team's; or the database failed.
    pub async fn case_clocks(&self, team: Team, id: CaseId) -> Result<(Case, PlatformClocks, Timestamp), StoreError> {
        let failed = StoreError::database("read the clocks of a case");
        let (case, now) = self.case(team, id).await?;
        let sql = "SELECT platform_id, clock, at FROM case_clocks WHERE case_id = $1";
        let rows = self
            .database()
            .fetch(sql, &[id.to_string().into()])
            .await
            .map_err(&failed)?;
        let mut clocks = PlatformClocks::default();
        for row in &rows {
            let (platform, kind, at) = clock(row)?;
            clocks.note(platform, kind, at);
        }
        Ok((case, clocks, now))
    }

    /// Keeps when something first happened on a platform, as a person says it: the earliest that is told counts. The history of the case has it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`](tocsin_casework::Refusal::NoSuchCase) also for another team's; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn tell_clock(
        &self,
        (team, by): (Team, KeyId),
        id: CaseId,
        (platform, kind, at): (PlatformId, ClockKind, Timestamp),
    ) -> Result<(Case, PlatformClocks, Timestamp), StoreError> {
        let failed = StoreError::database("keep a clock of a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        // The case first, as whoever carries its clocks along does.
        let values = [id.to_string().into(), team.to_number().into()];
        let clause = "WHERE c.case_id = $1 AND c.team = $2";
        let rows = locked(&mut transaction, clause, &values, Locked::Cases)
            .await
            .map_err(&failed)?;
        let told = case(rows.first().ok_or(Refusal::NoSuchCase)?)?;
        if let Some(into) = told.merged_into() {
            return Err(Refusal::Merged(into).into());
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let is_earlier = note_clock(&mut transaction, id, (platform, kind, at))
            .await
            .map_err(&failed)?;
        if is_earlier {
            let step = Step {
                case: id,
                who: Some(by),
                kind: "clock_told",
                about: kind.name(),
                note: "",
            };
            write_step(&mut transaction, &step, now).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        self.case_clocks(team, id).await
    }
}

/// Keeps a time unless an earlier one is known; whether it was kept.
pub(crate) async fn note_clock(
    transaction: &mut Transaction,
    case: CaseId,
    (platform, kind, at): Clock,
) -> Result<bool, sqlx::Error> {
    let values = [
        case.to_string().into(),
        i64::from(platform.0).into(),
        (kind as i64).into(),
        at.into(),
    ];
    let kept = transaction
        .execute(
            "INSERT INTO case_clocks (case_id, platform_id, clock, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (case_id, platform_id, clock) DO UPDATE SET at = excluded.at WHERE excluded.at < case_clocks.at",
            &values,
        )
        .await?;
    Ok(kept > 0)
}

/// A clock from its columns.
pub(crate) fn clock(row: &Row) -> Result<Clock, StoreError> {
    let number = |field| {
        row.integer(field)
            .map_err(StoreError::database("read a clock of a case"))
    };
    let platform = u16::try_from(number("platform_id")?).map_err(|_| StoreError::Malformed { field: "platform_id" })?;
    let kind = ClockKind::from_number(number("clock")?).ok_or(StoreError::Malformed { field: "clock" })?;
    Ok((PlatformId(platform), kind, Timestamp(number("at")?)))
}
