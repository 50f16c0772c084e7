use std::fmt;
use std::str::FromStr;

use tocsin_model::{ContentId, DecisionId, FamilyId, IdError, KeyId, Milliseconds, Timestamp, Verdict, parse_hex_id};

use crate::alert_json;
use crate::database::{Locked, Row, Transaction, Value};
use crate::outbox::write_decision;
use crate::{Store, StoreError};
use tocsin_casework::{Case, CaseDecision, CaseId, CaseState, Episode, Lease, Refusal, Resting, Ruling, Team};

/// Which cases of which team, and how many.
#[derive(Clone, Debug)]
pub struct QueueQuery {
    /// Whose.
    pub team: Team,
    /// In which state.
    pub state: CaseState,
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
    priority: f64,
    case: CaseId,
}

/// Cases by priority, highest first.
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
    /// A page of a team's cases in one state, by priority.
    ///
    /// # Errors
    /// The database failed.
    pub async fn queue(&self, query: &QueueQuery) -> Result<QueuePage, StoreError> {
        let failed = StoreError::database("read the queue");
        let now = self.now().await.map_err(&failed)?;
        let limit = query.limit.clamp(1, QueueQuery::LIMIT_MAX);
        let in_state = match query.state {
            CaseState::Open => "c.resting = 1 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2)",
            CaseState::Claimed => "c.lease_expires_at > $2",
            CaseState::Decided => "c.resting = 2 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2)",
            CaseState::Closed => "c.resting = 3 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2)",
        };
        let mut values: Vec<Value> = vec![query.team.to_number().into(), now.into(), i64::from(limit).into()];
        let after = match query.after {
            None => "",
            Some(cursor) => {
                values.push(cursor.priority.into());
                values.push(cursor.case.to_string().into());
                " AND (c.priority < $4 OR (c.priority = $4 AND c.case_id > $5))"
            }
        };
        let sql = format!(
            "{SELECT_CASES} WHERE c.team = $1 AND {in_state}{after} ORDER BY c.priority DESC, c.case_id LIMIT $3"
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let cases: Vec<Case> = rows.iter().map(case).collect::<Result<_, _>>()?;
        let next = cases
            .last()
            .filter(|_| cases.len() == limit as usize)
            .map(|last| Cursor {
                priority: last.priority,
                case: last.id,
            });
        Ok(QueuePage {
            cases,
            next,
            as_of: now,
        })
    }

    /// How many cases wait and how many are held, per team that has any, ascending by team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn queue_counts(&self) -> Result<Vec<QueueCounts>, StoreError> {
        let failed = StoreError::database("count the queue");
        let now = self.now().await.map_err(&failed)?;
        let rows = self
            .database()
            .fetch(
                "SELECT team, count(CASE WHEN lease_expires_at > $1 THEN 1 END) AS claimed, \
                 count(CASE WHEN resting = 1 AND (lease_expires_at IS NULL OR lease_expires_at <= $1) THEN 1 END) AS waiting \
                 FROM cases GROUP BY team ORDER BY team",
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

    /// Claims the waiting case of the highest priority; `None` when none waits. Two claimers never get the same case.
    ///
    /// # Errors
    /// The length of the lease is out of range, or the database failed.
    pub async fn claim_best(
        &self,
        team: Team,
        who: KeyId,
        length: Milliseconds,
    ) -> Result<Option<(Case, Timestamp)>, StoreError> {
        let failed = StoreError::database("claim the best case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        // Cases that another transaction holds are passed over, so claimers do not queue behind each other. If only such are left they are
        // waited for: an alert that is being applied must not make the queue look empty.
        let mut rows = Vec::new();
        for locked in [Locked::CasesNobodyHolds, Locked::Cases] {
            let sql = format!(
                "{SELECT_CASES} WHERE c.team = $1 AND c.resting = 1 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2) \
                 ORDER BY c.priority DESC, c.case_id LIMIT 1{}",
                transaction.for_update(locked)
            );
            rows = transaction
                .fetch(&sql, &[team.to_number().into(), now.into()])
                .await
                .map_err(&failed)?;
            if !rows.is_empty() {
                break;
            }
        }
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let mut claimed = case(row)?;
        if let Err(refusal) = claimed.claim(who, length, now) {
            return refuse(transaction, refusal).await;
        }
        update(&mut transaction, &claimed).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Some((claimed, now)))
    }

    /// Claims a given case.
    ///
    /// # Errors
    /// As [`Case::claim`], [`Refusal::NoSuchCase`], or the database failed.
    pub async fn claim(
        &self,
        team: Team,
        id: CaseId,
        who: KeyId,
        length: Milliseconds,
    ) -> Result<(Case, Timestamp), StoreError> {
        self.change(team, id, |case, now| case.claim(who, length, now).map(drop))
            .await
    }

    /// Lets the lease end `length` from now.
    ///
    /// # Errors
    /// As [`Case::renew`], [`Refusal::NoSuchCase`], or the database failed.
    pub async fn renew(
        &self,
        team: Team,
        id: CaseId,
        (who, fencing): (KeyId, u64),
        length: Milliseconds,
    ) -> Result<(Case, Timestamp), StoreError> {
        self.change(team, id, |case, now| case.renew(who, fencing, length, now).map(drop))
            .await
    }

    /// Gives the case back.
    ///
    /// # Errors
    /// As [`Case::release`], [`Refusal::NoSuchCase`], or the database failed.
    pub async fn release(
        &self,
        team: Team,
        id: CaseId,
        (who, fencing): (KeyId, u64),
    ) -> Result<(Case, Timestamp), StoreError> {
        self.change(team, id, |case, now| case.release(who, fencing, now)).await
    }

    /// Decides the case and gives it back. The decision and its outbox row are written together or not at all; the same decision sent
    /// again under the same lease changes nothing.
    ///
    /// # Errors
    /// As [`Case::decide`], [`Refusal::NoSuchCase`], or the database failed.
    pub async fn decide(
        &self,
        team: Team,
        id: CaseId,
        holder: (KeyId, u64),
        ruling: (Verdict, &str),
    ) -> Result<(Case, Timestamp), StoreError> {
        let failed = StoreError::database("decide a case");
        let (mut transaction, mut decided, now) = self.lock(team, id).await?;
        match decided.decide(DecisionId(rand::random()), holder, ruling, now) {
            Err(refusal) => return refuse(transaction, refusal).await,
            Ok(Ruling::MadeBefore(_)) => {}
            Ok(Ruling::Made(decision)) => {
                write_decision(&mut transaction, &decided, &decision).await?;
                update(&mut transaction, &decided).await.map_err(&failed)?;
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok((decided, now))
    }

    /// Loads a case under a lock, applies a rule to it and writes it back.
    async fn change(
        &self,
        team: Team,
        id: CaseId,
        rule: impl FnOnce(&mut Case, Timestamp) -> Result<(), Refusal>,
    ) -> Result<(Case, Timestamp), StoreError> {
        let failed = StoreError::database("change a case");
        let (mut transaction, mut case, now) = self.lock(team, id).await?;
        if let Err(refusal) = rule(&mut case, now) {
            return refuse(transaction, refusal).await;
        }
        update(&mut transaction, &case).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok((case, now))
    }

    async fn lock(&self, team: Team, id: CaseId) -> Result<(Transaction, Case, Timestamp), StoreError> {
        let failed = StoreError::database("lock a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let sql = format!(
            "{SELECT_CASES} WHERE c.case_id = $1 AND c.team = $2{}",
            transaction.for_update(Locked::Cases)
        );
        let rows = transaction
            .fetch(&sql, &[id.to_string().into(), team.to_number().into()])
            .await
            .map_err(&failed)?;
        let locked = case(rows.first().ok_or(Refusal::NoSuchCase)?)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        Ok((transaction, locked, now))
    }
}

/// Ends the transaction at once, so that the case is not passed over by those who claim.
async fn refuse<T>(transaction: Transaction, refusal: Refusal) -> Result<T, StoreError> {
    transaction
        .rollback()
        .await
        .map_err(StoreError::database("give up a change"))?;
    Err(refusal.into())
}

pub(crate) const SELECT_CASES: &str = "SELECT c.case_id, c.team, c.family, c.opened_at, c.first_alert_at, c.last_alert_at, \
     c.own_episode, c.own_going_on, c.all_episode, c.all_going_on, c.priority, c.alert, c.resting, c.fencing, \
     c.lease_holder, c.lease_expires_at, c.decision_id, d.verdict, d.rationale, d.decided_by, d.decided_at, d.fencing AS decision_fencing \
     FROM cases c LEFT JOIN decisions d ON d.decision_id = c.decision_id";

/// Inserts a case unless the team has one of the family; how many rows.
pub(crate) async fn insert(transaction: &mut Transaction, case: &Case) -> Result<u64, sqlx::Error> {
    let mut values: Vec<Value> = vec![
        case.id.to_string().into(),
        case.team.to_number().into(),
        case.family.to_string().into(),
        case.opened_at.into(),
    ];
    values.extend(changing(case));
    transaction
        .execute(
            "INSERT INTO cases (case_id, team, family, opened_at, first_alert_at, last_alert_at, own_episode, own_going_on, \
             all_episode, all_going_on, priority, alert_id, alert, resting, fencing, lease_holder, lease_expires_at, decision_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
             ON CONFLICT (family, team) DO NOTHING",
            &values,
        )
        .await
}

/// Writes back all that changes of a case that this transaction holds locked.
pub(crate) async fn update(transaction: &mut Transaction, case: &Case) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![case.id.to_string().into()];
    values.extend(changing(case));
    transaction
        .execute(
            "UPDATE cases SET first_alert_at = $2, last_alert_at = $3, own_episode = $4, own_going_on = $5, all_episode = $6, \
             all_going_on = $7, priority = $8, alert_id = $9, alert = $10, resting = $11, fencing = $12, lease_holder = $13, \
             lease_expires_at = $14, decision_id = $15 WHERE case_id = $1",
            &values,
        )
        .await
        .map(drop)
}

/// The columns that change, in the order of both statements.
fn changing(case: &Case) -> [Value; 14] {
    let id_text = |id: DecisionId| format!("{:032x}", id.0);
    [
        case.first_alert_at.into(),
        case.last_alert_at.into(),
        i64::from(case.own_episode.number).into(),
        i64::from(case.own_episode.going_on).into(),
        i64::from(case.all_episode.number).into(),
        i64::from(case.all_episode.going_on).into(),
        case.priority.into(),
        case.alert.id.to_string().into(),
        alert_json::to_json(&case.alert).into(),
        (case.resting as i64).into(),
        (case.fencing as i64).into(),
        case.lease.map(|lease| lease.holder.to_string()).into(),
        case.lease.map(|lease| lease.expires_at.0).into(),
        case.decision.as_ref().map(|decision| id_text(decision.id)).into(),
    ]
}

/// A case from a row of [`SELECT_CASES`].
pub(crate) fn case(row: &Row) -> Result<Case, StoreError> {
    let failed = StoreError::database("read a case");
    let malformed = |field| StoreError::Malformed { field };
    let time = |field| {
        row.integer(field)
            .map(Timestamp)
            .map_err(StoreError::database("read a case"))
    };
    let episode = |number, going_on| -> Result<Episode, StoreError> {
        let failed = StoreError::database("read a case");
        let value = row.integer(number).map_err(&failed)?;
        Ok(Episode {
            number: u32::try_from(value).map_err(|_| malformed(number))?,
            going_on: row.integer(going_on).map_err(&failed)? == 1,
        })
    };
    let lease = match (
        row.text_if_any("lease_holder").map_err(&failed)?,
        row.integer_if_any("lease_expires_at").map_err(&failed)?,
    ) {
        (Some(holder), Some(expires_at)) => Some(Lease {
            holder: holder.parse().map_err(|_| malformed("lease_holder"))?,
            expires_at: Timestamp(expires_at),
        }),
        _ => None,
    };
    let family = ContentId::parse(&row.text("family").map_err(&failed)?).ok_or(malformed("family"))?;
    Ok(Case {
        id: row
            .text("case_id")
            .map_err(&failed)?
            .parse()
            .map_err(|_| malformed("case_id"))?,
        team: team(row)?,
        family: FamilyId(family),
        opened_at: time("opened_at")?,
        first_alert_at: time("first_alert_at")?,
        last_alert_at: time("last_alert_at")?,
        own_episode: episode("own_episode", "own_going_on")?,
        all_episode: episode("all_episode", "all_going_on")?,
        alert: alert_json::from_json(&row.text("alert").map_err(&failed)?)?,
        priority: row.real("priority").map_err(&failed)?,
        resting: Resting::from_number(row.integer("resting").map_err(&failed)?).ok_or(malformed("resting"))?,
        fencing: row.integer("fencing").map_err(&failed)? as u64,
        lease,
        decision: decision(row)?,
    })
}

fn decision(row: &Row) -> Result<Option<CaseDecision>, StoreError> {
    let failed = StoreError::database("read a decision");
    let Some(id) = row.text_if_any("decision_id").map_err(&failed)? else {
        return Ok(None);
    };
    Ok(Some(CaseDecision {
        id: decision_id(&id)?,
        verdict: verdict(row)?,
        rationale: row.text("rationale").map_err(&failed)?,
        decided_by: row
            .text("decided_by")
            .map_err(&failed)?
            .parse()
            .map_err(|_| StoreError::Malformed { field: "decided_by" })?,
        decided_at: Timestamp(row.integer("decided_at").map_err(&failed)?),
        fencing: row.integer("decision_fencing").map_err(&failed)? as u64,
    }))
}

pub(crate) fn decision_id(text: &str) -> Result<DecisionId, StoreError> {
    let id = parse_hex_id(text).map_err(|_| StoreError::Malformed { field: "decision_id" })?;
    Ok(DecisionId(id))
}

pub(crate) fn verdict(row: &Row) -> Result<Verdict, StoreError> {
    let number = row.integer("verdict").map_err(StoreError::database("read a verdict"))?;
    let verdict = u8::try_from(number).ok().and_then(Verdict::from_number);
    verdict.ok_or(StoreError::Malformed { field: "verdict" })
}

pub(crate) fn team(row: &Row) -> Result<Team, StoreError> {
    let number = row.integer("team").map_err(StoreError::database("read a team"))?;
    Team::from_number(number).ok_or(StoreError::Malformed { field: "team" })
}

/// 16 hexadecimal digits of the priority's bits, then the case's id.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.priority.to_bits(), self.case)
    }
}

impl FromStr for Cursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Cursor, IdError> {
        let (bits, case) = text.split_at_checked(16).ok_or(IdError)?;
        let priority = f64::from_bits(u64::from_str_radix(bits, 16).map_err(|_| IdError)?);
        if !priority.is_finite() {
            return Err(IdError);
        }
        Ok(Cursor {
            priority,
            case: case.parse()?,
        })
    }
}
