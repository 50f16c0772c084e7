use std::fmt;
use std::str::FromStr;

use tocsin_casework::{
    AnsweredAppeal, Appeal, AppealCause, AppealId, AppealOutcome, AppealRefusal, CaseId, Concerns, Team,
};
use tocsin_model::{ContentId, IdError, Milliseconds, Timestamp};

use super::row::{SELECT_APPEALS, appeal};
use super::{decided_by, moderates};
use crate::database::{Row, Value};
use crate::{Store, StoreError};

/// The most answered appeals that figures are made of: the latest of the period.
pub const APPEALS_SUMMED_MAX: u32 = 100_000;

/// Which appeals of which team, and how many.
#[derive(Clone, Debug)]
pub struct AppealQuery {
    /// Whose.
    pub team: Team,
    /// In which state; `None`: all.
    pub state: Option<AppealState>,
    /// Only of this case.
    pub case: Option<CaseId>,
    /// At most so many; at most [`AppealQuery::LIMIT_MAX`].
    pub limit: u32,
    /// After the last appeal of the page before.
    pub after: Option<AppealCursor>,
}

/// How far an appeal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppealState {
    /// It waits for a reviewer, or somebody holds it.
    Open,
    /// Of these, nobody of the team may answer it: all who moderate decided.
    WithoutReviewer,
    /// It was answered.
    Answered,
}

/// Where a page of appeals ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppealCursor(i64);

/// An appeal, and whether somebody may answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAppeal {
    /// The appeal.
    pub appeal: Appeal,
    /// It waits, and all who moderate for the team decided.
    pub is_without_reviewer: bool,
}

/// Appeals in the order in which they were filed.
#[derive(Clone, Debug)]
pub struct AppealPage {
    /// The appeals.
    pub appeals: Vec<ListedAppeal>,
    /// Where to go on, if there may be more.
    pub next: Option<AppealCursor>,
    /// The store's time of this answer.
    pub as_of: Timestamp,
}

/// How many appeals wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppealCounts {
    /// For an answer.
    pub waiting: u64,
    /// Of these, nobody of the team may answer it.
    pub without_reviewer: u64,
}

impl AppealQuery {
    /// The longest page.
    pub const LIMIT_MAX: u32 = 200;
}

impl AppealState {
    /// All states.
    pub const ALL: [AppealState; 3] = [AppealState::Open, AppealState::WithoutReviewer, AppealState::Answered];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            AppealState::Open => "open",
            AppealState::WithoutReviewer => "without_reviewer",
            AppealState::Answered => "answered",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<AppealState> {
        AppealState::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// That an appeal waits and nobody of its team may answer it.
fn is_without_reviewer() -> String {
    format!(
        "(a.outcome IS NULL AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.subject = a.team AND {} AND NOT {}))",
        moderates("k"),
        decided_by("k.key_id", "k.person")
    )
}

impl Store {
    /// A page of a team's appeals, the first filed first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn appeals(&self, query: &AppealQuery) -> Result<AppealPage, StoreError> {
        let failed = StoreError::database("read the appeals");
        let as_of = self.now().await.map_err(&failed)?;
        let limit = query.limit.clamp(1, AppealQuery::LIMIT_MAX);
        let mut values: Vec<Value> = vec![query.team.to_number().into(), i64::from(limit).into()];
        let mut condition = match query.state {
            None => String::new(),
            Some(AppealState::Open) => " AND a.outcome IS NULL".to_owned(),
            Some(AppealState::WithoutReviewer) => format!(" AND {}", is_without_reviewer()),
            Some(AppealState::Answered) => " AND a.outcome IS NOT NULL".to_owned(),
        };
        if let Some(case) = query.case {
            values.push(case.to_string().into());
            condition.push_str(&format!(" AND a.case_id = ${}", values.len()));
        }
        if let Some(AppealCursor(sequence)) = query.after {
            values.push(sequence.into());
            condition.push_str(&format!(" AND a.sequence > ${}", values.len()));
        }
        let sql = format!(
            "{SELECT_APPEALS}, CAST(CASE WHEN {} THEN 1 ELSE 0 END AS BIGINT) AS is_without_reviewer FROM appeals a \
             WHERE a.team = $1{condition} ORDER BY a.sequence LIMIT $2",
            is_without_reviewer()
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let appeals = rows.iter().map(listed).collect::<Result<_, _>>()?;
        let last = rows.last().filter(|_| rows.len() == limit as usize);
        let next = last.map(|row| row.integer("sequence").map(AppealCursor));
        Ok(AppealPage {
            appeals,
            next: next.transpose().map_err(&failed)?,
            as_of,
        })
    }

    /// An appeal of this team, and the store's time of the answer.
    ///
    /// # Errors
    /// [`AppealRefusal::NoSuchAppeal`] also for another team's; or the database failed.
    pub async fn appeal(&self, team: Team, id: AppealId) -> Result<(ListedAppeal, Timestamp), StoreError> {
        let failed = StoreError::database("read an appeal");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "{SELECT_APPEALS}, CAST(CASE WHEN {} THEN 1 ELSE 0 END AS BIGINT) AS is_without_reviewer FROM appeals a WHERE a.appeal_id = $1 AND a.team = $2",
            is_without_reviewer()
        );
        let rows = self
            .database()
            .fetch(&sql, &[id.to_string().into(), team.to_number().into()])
            .await
            .map_err(&failed)?;
        Ok((listed(rows.first().ok_or(AppealRefusal::NoSuchAppeal)?)?, now))
    }

    /// What a team's figures are made of: its appeals that were answered within `period` until now, the latest first, at most
    /// [`APPEALS_SUMMED_MAX`]; how many wait; and the store's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answered_appeals(
        &self,
        team: Team,
        period: Milliseconds,
    ) -> Result<(Vec<AnsweredAppeal>, AppealCounts, Timestamp), StoreError> {
        let failed = StoreError::database("read the answered appeals");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT outcome, concerns, cause, filed_at, answered_at FROM appeals WHERE team = $1 AND answered_at > $2 AND outcome IS NOT NULL \
             ORDER BY answered_at DESC, sequence DESC LIMIT {APPEALS_SUMMED_MAX}"
        );
        let values = [team.to_number().into(), (now - period).into()];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let answered = rows.iter().map(answered).collect::<Result<_, _>>()?;
        let counts = self.count(" AND a.team = $1", &[team.to_number().into()]).await?;
        Ok((answered, counts, now))
    }

    /// How many appeals of all teams wait.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_appeals(&self) -> Result<AppealCounts, StoreError> {
        self.count("", &[]).await
    }

    /// Whether an appeal took this content out of what the team decided up to then.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_excepted_by_appeal(
        &self,
        (team, decided_at): (Team, Timestamp),
        content: ContentId,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS excepted FROM appeal_exceptions WHERE team = $1 AND excepted_at >= $2 AND content = $3";
        let values = [team.to_number().into(), decided_at.into(), content.to_string().into()];
        let rows = self.database().fetch(sql, &values).await;
        Ok(!rows
            .map_err(StoreError::database("ask whether a member is excepted"))?
            .is_empty())
    }

    async fn count(&self, condition: &str, values: &[Value]) -> Result<AppealCounts, StoreError> {
        let failed = StoreError::database("count the appeals");
        let sql = format!(
            "SELECT count(*) AS waiting, count(CASE WHEN {} THEN 1 END) AS without_reviewer FROM appeals a WHERE a.outcome IS NULL{condition}",
            is_without_reviewer()
        );
        let rows = self.database().fetch(&sql, values).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "appeals" })?;
        let count = |field| row.integer(field).map(|count| count as u64).map_err(&failed);
        Ok(AppealCounts {
            waiting: count("waiting")?,
            without_reviewer: count("without_reviewer")?,
        })
    }
}

fn listed(row: &Row) -> Result<ListedAppeal, StoreError> {
    let is_without_reviewer = row.integer("is_without_reviewer");
    Ok(ListedAppeal {
        appeal: appeal(row)?,
        is_without_reviewer: is_without_reviewer.map_err(StoreError::database("read an appeal"))? == 1,
    })
}

fn answered(row: &Row) -> Result<AnsweredAppeal, StoreError> {
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| row.integer(field).map_err(StoreError::database("read an answer"));
    let cause = row
        .integer_if_any("cause")
        .map_err(StoreError::database("read an answer"))?;
    Ok(AnsweredAppeal {
        outcome: AppealOutcome::from_number(number("outcome")?).ok_or(malformed("outcome"))?,
        concerns: Concerns::from_number(number("concerns")?).ok_or(malformed("concerns"))?,
        cause: cause
            .map(|number| AppealCause::from_number(number).ok_or(malformed("cause")))
            .transpose()?,
        filed_at: Timestamp(number("filed_at")?),
        answered_at: Timestamp(number("answered_at")?),
    })
}

/// 16 hexadecimal digits of the place.
impl fmt::Display for AppealCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for AppealCursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<AppealCursor, IdError> {
        let bits = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        bits.map(|bits| AppealCursor(bits as i64)).ok_or(IdError)
    }
}
