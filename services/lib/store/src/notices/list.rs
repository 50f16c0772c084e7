use std::fmt;
use std::str::FromStr;

use tocsin_casework::{CaseId, Notice, NoticeId, NoticeRefusal, Team};
use tocsin_model::{IdError, Timestamp};

use super::row::{SELECT_NOTICES, notice};
use crate::database::Value;
use crate::{Store, StoreError};

/// Which notices of which team, and how many.
#[derive(Clone, Debug)]
pub struct NoticeQuery {
    /// Whose.
    pub team: Team,
    /// In which state; `None`: all.
    pub state: Option<NoticeState>,
    /// Only of this case.
    pub case: Option<CaseId>,
    /// At most so many; at most [`NoticeQuery::LIMIT_MAX`].
    pub limit: u32,
    /// After the last notice of the page before.
    pub after: Option<NoticeCursor>,
}

/// How far a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// An answer is waited for.
    Open,
    /// Of these, the time does not run.
    Suspended,
    /// Of these, the time is over.
    Overdue,
    /// It was answered.
    Answered,
}

/// Where a page of notices ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeCursor {
    due_at: i64,
    sequence: i64,
}

/// Notices: those whose time runs first, by when they are due; then the latest first.
#[derive(Clone, Debug)]
pub struct NoticePage {
    /// The notices.
    pub notices: Vec<Notice>,
    /// Where to go on, if there may be more.
    pub next: Option<NoticeCursor>,
    /// The store's time of this answer.
    pub as_of: Timestamp,
}

impl NoticeQuery {
    /// The longest page.
    pub const LIMIT_MAX: u32 = 200;
}

impl NoticeState {
    /// All states.
    pub const ALL: [NoticeState; 4] = [
        NoticeState::Open,
        NoticeState::Suspended,
        NoticeState::Overdue,
        NoticeState::Answered,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            NoticeState::Open => "open",
            NoticeState::Suspended => "suspended",
            NoticeState::Overdue => "overdue",
            NoticeState::Answered => "answered",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<NoticeState> {
        NoticeState::ALL.into_iter().find(|state| state.name() == name)
    }

    fn condition(self) -> &'static str {
        match self {
            NoticeState::Open => " AND n.outcome IS NULL",
            NoticeState::Suspended => " AND n.outcome IS NULL AND n.ground IS NOT NULL",
            NoticeState::Overdue => " AND n.outcome IS NULL AND n.ground IS NULL AND n.overdue_at IS NOT NULL",
            NoticeState::Answered => " AND n.outcome IS NOT NULL",
        }
    }
}

/// What the order is by: what does not run is due last of all.
const DUE: &str = "CASE WHEN n.due_at IS NOT NULL AND n.ground IS NULL AND n.outcome IS NULL THEN n.due_at ELSE 9223372036854775807 END";

impl Store {
    /// A page of a team's notices.
    ///
    /// # Errors
    /// The database failed.
    pub async fn notices(&self, query: &NoticeQuery) -> Result<NoticePage, StoreError> {
        let failed = StoreError::database("read the notices");
        let as_of = self.now().await.map_err(&failed)?;
        let limit = query.limit.clamp(1, NoticeQuery::LIMIT_MAX);
        let mut values: Vec<Value> = vec![query.team.to_number().into(), i64::from(limit).into()];
        let mut condition = query.state.map_or("", NoticeState::condition).to_owned();
        if let Some(case) = query.case {
            values.push(case.to_string().into());
            condition.push_str(&format!(" AND n.case_id = ${}", values.len()));
        }
        if let Some(after) = query.after {
            values.extend([after.due_at.into(), after.sequence.into()]);
            let (due, sequence) = (values.len() - 1, values.len());
            condition.push_str(&format!(
                " AND ({DUE} > ${due} OR ({DUE} = ${due} AND n.sequence < ${sequence}))"
            ));
        }
        let sql = format!("{SELECT_NOTICES} WHERE n.team = $1{condition} ORDER BY {DUE}, n.sequence DESC LIMIT $2");
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let notices: Vec<Notice> = rows.iter().map(notice).collect::<Result<_, _>>()?;
        let last = rows.last().zip(notices.last()).filter(|_| rows.len() == limit as usize);
        let next = last.map(|(row, last)| {
            Ok(NoticeCursor {
                due_at: last.runs_until().map_or(i64::MAX, |due| due.0),
                sequence: row.integer("sequence")?,
            })
        });
        Ok(NoticePage {
            notices,
            next: next.transpose().map_err(&failed)?,
            as_of,
        })
    }

    /// A notice of this team, and the store's time of the answer.
    ///
    /// # Errors
    /// [`NoticeRefusal::NoSuchNotice`] also for another team's; or the database failed.
    pub async fn notice(&self, team: Team, id: NoticeId) -> Result<(Notice, Timestamp), StoreError> {
        let failed = StoreError::database("read a notice");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!("{SELECT_NOTICES} WHERE n.notice_id = $1 AND n.team = $2");
        let rows = self
            .database()
            .fetch(&sql, &[id.to_string().into(), team.to_number().into()])
            .await
            .map_err(&failed)?;
        Ok((notice(rows.first().ok_or(NoticeRefusal::NoSuchNotice)?)?, now))
    }

    /// How many notices of all teams wait for an answer, and of how many of these the time is over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_notices(&self) -> Result<(u64, u64), StoreError> {
        let failed = StoreError::database("count the notices");
        let sql = "SELECT count(*) AS waiting, count(CASE WHEN ground IS NULL THEN overdue_at END) AS overdue FROM notices WHERE outcome IS NULL";
        let rows = self.database().fetch(sql, &[]).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "notices" })?;
        let count = |field| row.integer(field).map(|count| count as u64).map_err(&failed);
        Ok((count("waiting")?, count("overdue")?))
    }
}

/// 16 hexadecimal digits of the time, 16 of the place.
impl fmt::Display for NoticeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.due_at, self.sequence)
    }
}

impl FromStr for NoticeCursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<NoticeCursor, IdError> {
        let (due_at, sequence) = text.split_at_checked(16).ok_or(IdError)?;
        let number = |digits: &str| {
            u64::from_str_radix(digits, 16)
                .map(|bits| bits as i64)
                .map_err(|_| IdError)
        };
        Ok(NoticeCursor {
            due_at: number(due_at)?,
            sequence: number(sequence)?,
        })
    }
}
