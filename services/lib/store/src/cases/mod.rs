//! Cases: reading them here, changing them in `command` and `claim`, carrying them along with families in `merge`, their columns in `row`; what
//! platforms confirm of decisions in `acknowledgement`, who waits for it in `awaiting`.

mod acknowledgement;
mod acknowledgement_rows;
mod awaiting;
mod belonging;
mod care;
mod claim;
mod clocks;
mod command;
pub(crate) mod deciders;
mod fan_out;
mod glances;
mod history;
pub(crate) mod lineage;
mod locked;
mod members;
mod merge;
mod observed;
mod row;
mod shared;
mod standings;
mod streams;

use std::fmt;
use std::str::FromStr;

use tocsin_casework::{Case, CaseId, CaseState, Filter, Refusal, Team};
use tocsin_model::{FamilyId, IdError, Milliseconds, Timestamp};

pub(crate) use acknowledgement::wait_no_more;
pub use acknowledgement::{ACKNOWLEDGEMENTS_MAX, Acknowledged, HEARD_MAX, MemberAcknowledgement, MemberTally};
pub use acknowledgement_rows::AcknowledgementCounts;
pub use awaiting::{
    FOLLOWED_DECISIONS_MAX, FOLLOWED_FOR, FollowedDecision, Reminded, UNCONFIRMED_TOLD_MAX, Unconfirmed,
    UnconfirmedDecision, UnconfirmedMember,
};
pub(crate) use awaiting::{begin_awaiting, end_awaiting};
pub use belonging::Belonging;
pub use care::SHIFT_STEPS_KEPT;
pub(crate) use care::{Apart, write_step_apart};
pub use claim::{CANDIDATES_MAX, Choice, SKIPPED_FOR};
pub use clocks::CLOCKS_MAX;
pub(crate) use clocks::{clock, note_clock};
pub use command::Commanded;
pub(crate) use fan_out::party_name;
pub use fan_out::{DueFan, FAN_OUT_MAX, FannedOut};
pub use glances::{GLANCES_MAX, OVERLAP as GLANCES_OVERLAP, Watched};
pub use history::{HISTORY_MAX, HistoryEntry};
pub(crate) use history::{Step, write_step};
pub(crate) use locked::locked;
pub use members::CaseContents;
pub use merge::{Carried, FAMILIES_MAX, FamilyCase, FamilySaid};
pub(crate) use merge::{NOBODY, end_of, of_family};
pub use observed::Observed;
pub(crate) use row::{SELECT_CASES, case, decision_id, insert, team, time_if_any, update, verdict};
pub(crate) use shared::note_shared;
pub use shared::{SHARED_FAMILIES_MAX, SHARED_FOR, SharedFamily};
pub use standings::{Followed, STANDINGS_MAX};
pub use streams::{LiveMember, STREAMS_MAX};

use claim::filtered;

use crate::database::Value;
use crate::{Store, StoreError};

/// Which cases of which team, and how many.
#[derive(Clone, Debug)]
pub struct QueueQuery {
    /// Whose.
    pub team: Team,
    /// In which state.
    pub state: CaseState,
    /// Only such cases.
    pub filter: Filter,
    /// Cases of which a notice is due within this time go first.
    pub urgent_within: Milliseconds,
    /// At most so many; at most [`QueueQuery::LIMIT_MAX`].
    pub limit: u32,
    /// After the last case of the page before.
    pub after: Option<Cursor>,
}

impl QueueQuery {
    /// The longest page.
    pub const LIMIT_MAX: u32 = 200;
}

/// Where a page of the queue ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cursor {
    place: Place,
    case: CaseId,
}

/// By what a case stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Among those of which a notice is due soon.
    Due(Timestamp),
    /// Among the others.
    Priority(f64),
}

/// Cases: those of which a notice is due soon, the first due before the others; then by priority, highest first.
#[derive(Clone, Debug)]
pub struct QueuePage {
    /// The cases.
    pub cases: Vec<Case>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
    /// The store's time of this answer.
    pub as_of: Timestamp,
}

/// How many cases of a team are in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCounts {
    /// Whose.
    pub team: Team,
    /// Waiting.
    pub open: u64,
    /// Held by somebody.
    pub claimed: u64,
}

impl Store {
    /// A page of a team's cases in one state: what is due soon, then by priority. What becomes due soon between two pages of a walk may be told
    /// twice or, as what a claim takes away, not at all.
    ///
    /// # Errors
    /// The database failed.
    pub async fn queue(&self, query: &QueueQuery) -> Result<QueuePage, StoreError> {
        let now = self.now().await.map_err(StoreError::database("read the queue"))?;
        let limit = query.limit.clamp(1, QueueQuery::LIMIT_MAX);
        let mut cases = match query.after.map(|cursor| cursor.place) {
            Some(Place::Priority(_)) => Vec::new(),
            Some(Place::Due(_)) | None => self.queue_part(query, (now, limit), true).await?,
        };
        let urgent = cases.len();
        if urgent < limit as usize {
            let rest = limit - urgent as u32;
            cases.extend(self.queue_part(query, (now, rest), false).await?);
        }
        let next = cases
            .last()
            .filter(|_| cases.len() == limit as usize)
            .map(|last| Cursor {
                place: match last.notices.due_at {
                    Some(due_at) if urgent == cases.len() => Place::Due(due_at),
                    _ => Place::Priority(last.priority),
                },
                case: last.id,
            });
        Ok(QueuePage {
            cases,
            next,
            as_of: now,
        })
    }

    /// The part of the queue that is due soon, or the other, from where the cursor says.
    async fn queue_part(
        &self,
        query: &QueueQuery,
        (now, limit): (Timestamp, u32),
        is_urgent: bool,
    ) -> Result<Vec<Case>, StoreError> {
        let in_state = match query.state {
            CaseState::Open => "c.resting = 1 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2)",
            CaseState::Claimed => "c.lease_expires_at > $2",
            CaseState::Decided => "c.resting = 2 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2)",
            CaseState::Closed => {
                "c.resting = 3 AND c.merged_into IS NULL AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2)"
            }
            CaseState::Merged => "c.merged_into IS NOT NULL AND CAST($2 AS BIGINT) IS NOT NULL",
        };
        let mut values: Vec<Value> = vec![
            query.team.to_number().into(),
            now.into(),
            i64::from(limit).into(),
            (now + query.urgent_within).into(),
        ];
        let (part, order) = match is_urgent {
            true => ("c.due_at <= $4", "c.due_at"),
            false => ("(c.due_at IS NULL OR c.due_at > $4)", "c.priority DESC"),
        };
        let after = match query.after.map(|cursor| (cursor.place, cursor.case)) {
            Some((Place::Due(due_at), case)) if is_urgent => {
                values.extend([due_at.into(), case.to_string().into()]);
                " AND (c.due_at, c.case_id) > ($5, $6)"
            }
            Some((Place::Priority(priority), case)) if !is_urgent => {
                values.extend([priority.into(), case.to_string().into()]);
                " AND c.priority <= $5 AND (c.priority < $5 OR c.case_id > $6)"
            }
            _ => "",
        };
        let filter = filtered(&query.filter, &mut values);
        let sql = format!(
            "{SELECT_CASES} WHERE c.team = $1 AND {in_state} AND {part}{after}{filter} ORDER BY {order}, c.case_id LIMIT $3"
        );
        let rows = self.database().fetch(&sql, &values).await;
        let rows = rows.map_err(StoreError::database("read the queue"))?;
        rows.iter().map(case).collect()
    }

    /// How many cases wait and how many are held, per team that has such, ascending by team. What is open is counted in an index, not row by row.
    ///
    /// # Errors
    /// The database failed.
    pub async fn queue_counts(&self) -> Result<Vec<QueueCounts>, StoreError> {
        let failed = StoreError::database("count the queue");
        let now = self.now().await.map_err(&failed)?;
        let rows = self
            .database()
            .fetch(
                "SELECT team, CAST(sum(open - held) AS BIGINT) AS waiting, CAST(sum(claimed) AS BIGINT) AS claimed FROM (\
                 SELECT team, count(*) AS open, 0 AS held, 0 AS claimed FROM cases WHERE resting = 1 GROUP BY team \
                 UNION ALL SELECT team, 0 AS open, count(CASE WHEN resting = 1 THEN 1 END) AS held, count(*) AS claimed FROM cases \
                 WHERE lease_holder IS NOT NULL AND lease_expires_at > $1 GROUP BY team) counted GROUP BY team ORDER BY team",
                &[now.into()],
            )
            .await
            .map_err(&failed)?;
        rows.iter()
            .map(|row| {
                Ok(QueueCounts {
                    team: team(row)?,
                    open: row.integer("waiting").map_err(&failed)? as u64,
                    claimed: row.integer("claimed").map_err(&failed)? as u64,
                })
            })
            .collect()
    }

    /// The case that a team has of a family, if it has one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn case_of_family(&self, team: Team, family: FamilyId) -> Result<Option<Case>, StoreError> {
        let sql = format!("{SELECT_CASES} WHERE c.family = $1 AND c.team = $2");
        let rows = self
            .database()
            .fetch(&sql, &[family.to_string().into(), team.to_number().into()])
            .await
            .map_err(StoreError::database("read a case"))?;
        rows.first().map(case).transpose()
    }

    /// The case in which a family of the team is worked on: its own, or the one that this went into. With it the store's time.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`], also where it went farther than is followed; or the database failed.
    pub async fn remaining_case(&self, team: Team, family: FamilyId) -> Result<(Case, Timestamp), StoreError> {
        let failed = StoreError::database("find the case of a family");
        let now = self.now().await.map_err(&failed)?;
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let own = of_family(&mut transaction, team, family).await?;
        let end = match own {
            Some(own) => end_of(&mut transaction, own, None).await?,
            None => None,
        };
        transaction.rollback().await.map_err(&failed)?;
        Ok((end.ok_or(Refusal::NoSuchCase)?, now))
    }

    /// A case of this team, and the store's time of the answer.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`] also for another team's case; or the database failed.
    pub async fn case(&self, team: Team, id: CaseId) -> Result<(Case, Timestamp), StoreError> {
        let failed = StoreError::database("read a case");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!("{SELECT_CASES} WHERE c.case_id = $1 AND c.team = $2");
        let rows = self
            .database()
            .fetch(&sql, &[id.to_string().into(), team.to_number().into()])
            .await
            .map_err(&failed)?;
        Ok((case(rows.first().ok_or(Refusal::NoSuchCase)?)?, now))
    }
}

/// Where it is among what is due soon, a `u`; 16 hexadecimal digits of the time or of the priority's bits; then the case's id.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Due(at) => write!(f, "u{:016x}{}", at.0, self.case),
            Place::Priority(priority) => write!(f, "{:016x}{}", priority.to_bits(), self.case),
        }
    }
}

impl FromStr for Cursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Cursor, IdError> {
        let (is_due, text) = text.strip_prefix('u').map_or((false, text), |text| (true, text));
        let (bits, case) = text.split_at_checked(16).ok_or(IdError)?;
        let bits = u64::from_str_radix(bits, 16).map_err(|_| IdError)?;
        let place = match is_due {
            true => Place::Due(Timestamp(bits as i64)),
            false => Place::Priority(f64::from_bits(bits)),
        };
        if matches!(place, Place::Priority(priority) if !priority.is_finite()) {
            return Err(IdError);
        }
        Ok(Cursor {
            place,
            case: case.parse()?,
        })
    }
}
