use std::fmt;
use std::str::FromStr;

use tocsin_casework::{AnsweredAppeal, Appeal, AppealCause, AppealId, AppealOutcome, CaseId, Concerns, Team};
use tocsin_model::{ContentId, IdError, Milliseconds, PlatformId, Timestamp};

use super::row::{SELECT_APPEALS, appeal};
use super::{APPEALS_PER_LOOK, by_id, waiting};
use crate::cases::deciders::{Asked, Deciders, reviewers};
use crate::cases::team;
use crate::database::{Row, Transaction, Value};
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
    /// Only what was filed of this platform.
    pub platform: Option<PlatformId>,
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

impl Store {
    /// A page of a team's appeals, the first filed first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn appeals(&self, query: &AppealQuery) -> Result<AppealPage, StoreError> {
        let failed = StoreError::database("read the appeals");
        let as_of = self.now().await.map_err(&failed)?;
        let limit = query.limit.clamp(1, AppealQuery::LIMIT_MAX) as usize;
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let reviewers = reviewers(&mut transaction, query.team).await?;
        let (mut listed, mut after, mut is_all) = (Vec::new(), query.after, false);
        while listed.len() < limit && !is_all {
            let look = match query.state {
                // Whether nobody may answer them is asked of many at a time.
                Some(AppealState::WithoutReviewer) => APPEALS_PER_LOOK,
                _ => limit,
            };
            let found = page(&mut transaction, query, after, look).await?;
            is_all = found.len() < look;
            let asked = found.iter().map(|(_, appeal)| Asked::from(appeal));
            let deciders = Box::pin(Deciders::of(&mut transaction, query.team, asked, None)).await?;
            for (cursor, appeal) in found {
                let is_without_reviewer = deciders.is_without_reviewer(&appeal, &reviewers);
                let is_asked = query.state != Some(AppealState::WithoutReviewer) || is_without_reviewer;
                after = Some(cursor);
                if is_asked {
                    listed.push(ListedAppeal {
                        appeal,
                        is_without_reviewer,
                    });
                }
                if listed.len() == limit {
                    break;
                }
            }
        }
        transaction.rollback().await.map_err(&failed)?;
        Ok(AppealPage {
            next: after.filter(|_| listed.len() == limit),
            appeals: listed,
            as_of,
        })
    }

    /// An appeal of this team, and the store's time of the answer.
    ///
    /// # Errors
    /// [`AppealRefusal::NoSuchAppeal`](tocsin_casework::AppealRefusal::NoSuchAppeal) also for another team's; or the database failed.
    pub async fn appeal(&self, team: Team, id: AppealId) -> Result<(ListedAppeal, Timestamp), StoreError> {
        let failed = StoreError::database("read an appeal");
        let now = self.now().await.map_err(&failed)?;
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let appeal = by_id(&mut transaction, team, id).await?;
        let reviewers = reviewers(&mut transaction, team).await?;
        let deciders = Box::pin(Deciders::of(
            &mut transaction,
            team,
            std::iter::once(Asked::from(&appeal)),
            None,
        ))
        .await?;
        transaction.rollback().await.map_err(&failed)?;
        let is_without_reviewer = deciders.is_without_reviewer(&appeal, &reviewers);
        let listed = ListedAppeal {
            appeal,
            is_without_reviewer,
        };
        Ok((listed, now))
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
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let counts = count(&mut transaction, team).await?;
        transaction.rollback().await.map_err(&failed)?;
        Ok((answered, counts, now))
    }

    /// How many appeals of all teams wait.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_appeals(&self) -> Result<AppealCounts, StoreError> {
        let failed = StoreError::database("count the appeals");
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let sql = "SELECT DISTINCT team FROM appeals WHERE outcome IS NULL";
        let rows = transaction.fetch(sql, &[]).await.map_err(&failed)?;
        let mut all = AppealCounts::default();
        for row in &rows {
            let counts = count(&mut transaction, team(row)?).await?;
            all.waiting += counts.waiting;
            all.without_reviewer += counts.without_reviewer;
        }
        transaction.rollback().await.map_err(&failed)?;
        Ok(all)
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
}

/// So many of the appeals that are asked for, after this place.
async fn page(
    transaction: &mut Transaction,
    query: &AppealQuery,
    after: Option<AppealCursor>,
    limit: usize,
) -> Result<Vec<(AppealCursor, Appeal)>, StoreError> {
    let failed = StoreError::database("read the appeals");
    let mut values: Vec<Value> = vec![query.team.to_number().into(), (limit as i64).into()];
    let mut condition = match query.state {
        None => "",
        Some(AppealState::Open | AppealState::WithoutReviewer) => " AND a.outcome IS NULL",
        Some(AppealState::Answered) => " AND a.outcome IS NOT NULL",
    }
    .to_owned();
    let mut only = |condition: &mut String, column: &str, value: Value| {
        values.push(value);
        condition.push_str(&format!(" AND a.{column} ${}", values.len()));
    };
    if let Some(case) = query.case {
        only(&mut condition, "case_id =", case.to_string().into());
    }
    if let Some(platform) = query.platform {
        only(&mut condition, "platform_id =", i64::from(platform.0).into());
    }
    if let Some(AppealCursor(sequence)) = after {
        only(&mut condition, "sequence >", sequence.into());
    }
    let sql = format!("{SELECT_APPEALS} FROM appeals a WHERE a.team = $1{condition} ORDER BY a.sequence LIMIT $2");
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    let read = |row: &Row| Ok((AppealCursor(row.integer("sequence").map_err(&failed)?), appeal(row)?));
    rows.iter().map(read).collect()
}

/// How many appeals of a team wait: at most as many as may are read, some at a time.
async fn count(transaction: &mut Transaction, team: Team) -> Result<AppealCounts, StoreError> {
    let reviewers = reviewers(transaction, team).await?;
    let mut counts = AppealCounts::default();
    let mut last: Option<Appeal> = None;
    loop {
        let found = waiting(transaction, team, ("", &[]), last.as_ref()).await?;
        let deciders = Box::pin(Deciders::of(transaction, team, found.iter().map(Asked::from), None)).await?;
        let without = found
            .iter()
            .filter(|appeal| deciders.is_without_reviewer(appeal, &reviewers));
        counts.waiting += found.len() as u64;
        counts.without_reviewer += without.count() as u64;
        if found.len() < APPEALS_PER_LOOK {
            return Ok(counts);
        }
        last = found.into_iter().last();
    }
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
