//! Appeals: handing them out here, filing them in `file`, answering them in `answer`, reading them in `list`, their columns in `row`, what endpoints
//! are told of an answer in `told`. Who decided is asked of [`Deciders`] in the transaction that hands an appeal out or answers it.
//!
//! Locks are taken in the order key, case, appeals.

mod answer;
mod file;
mod list;
mod row;
mod told;

use tocsin_casework::{
    Appeal, AppealCommand, AppealEvent, AppealId, AppealRefusal, By, Case, CaseDecision, Part, Team,
};
use tocsin_model::{KeyId, Milliseconds, PlatformId, Timestamp};

pub(crate) use answer::{audited, decided_step, excepted};
pub use list::{APPEALS_SUMMED_MAX, AppealCounts, AppealCursor, AppealPage, AppealQuery, AppealState, ListedAppeal};
use row::{SELECT_APPEALS, appeal};
pub use told::ToldAppeal;

use crate::cases::deciders::{Asked, Deciders, Reviewer, holder};
use crate::cases::{Apart, Step, write_step, write_step_apart};
use crate::database::{Locked, Transaction, Value};
use crate::{Store, StoreError};

/// So many appeals are asked about at a time.
const APPEALS_PER_LOOK: usize = 500;

/// An appeal after something happened to it.
#[derive(Clone, Debug)]
pub struct Appealed {
    /// The appeal.
    pub appeal: Appeal,
    /// What happened.
    pub event: AppealEvent,
    /// The decision about the whole family that came of it.
    pub decision: Option<CaseDecision>,
    /// The case that was decided so.
    pub case: Option<Case>,
    /// How many other appeals about the family were answered with it.
    pub answered_with: usize,
    /// The store's time.
    pub now: Timestamp,
}

impl Store {
    /// Hands out the appeal of a team that waits longest and that this person may answer; `None` when there is none. Two claimers never get the
    /// same.
    ///
    /// # Errors
    /// The length of the lease is out of range, the key is revoked, or the database failed.
    pub async fn claim_appeal(
        &self,
        team: Team,
        (who, length): (KeyId, Milliseconds),
        platform: Option<PlatformId>,
    ) -> Result<Option<Appealed>, StoreError> {
        let failed = StoreError::database("claim an appeal");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, who).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let who = holder(&mut transaction, team, who).await?;
        let mut values: Vec<Value> = vec![now.into()];
        let mut condition = " AND (a.lease_expires_at IS NULL OR a.lease_expires_at <= $2)".to_owned();
        if let Some(platform) = platform {
            values.push(i64::from(platform.0).into());
            condition.push_str(" AND a.platform_id = $3");
        }
        let mut last: Option<Appeal> = None;
        loop {
            let found = waiting(&mut transaction, team, (&condition, &values), last.as_ref()).await?;
            let deciders = Box::pin(Deciders::of(
                &mut transaction,
                team,
                found.iter().map(Asked::from),
                None,
            ))
            .await?;
            for seen in found
                .iter()
                .filter(|seen| deciders.part((*seen).into(), &who) == Part::None)
            {
                let Some(claimed) = take(&mut transaction, seen, (&who, length), now).await? else {
                    continue;
                };
                transaction.commit().await.map_err(&failed)?;
                return Ok(Some(happened(claimed, AppealEvent::Claimed, now)));
            }
            if found.len() < APPEALS_PER_LOOK {
                transaction.rollback().await.map_err(&failed)?;
                return Ok(None);
            }
            last = found.into_iter().last();
        }
    }
}

/// Takes an appeal that was seen, unless somebody else did or is about to, or holds its case just now: those are passed over, so that claimers do not queue behind each other.
async fn take(
    transaction: &mut Transaction,
    seen: &Appeal,
    (who, length): (&Reviewer, Milliseconds),
    now: Timestamp,
) -> Result<Option<Appeal>, StoreError> {
    let failed = StoreError::database("claim an appeal");
    if !keep_case(transaction, seen, Locked::CasesKeptNobodyHolds).await? {
        return Ok(None);
    }
    let sql = format!(
        "{SELECT_APPEALS} FROM appeals a WHERE a.appeal_id = $1{}",
        transaction.for_update(Locked::AppealsNobodyHolds)
    );
    let rows = transaction.fetch(&sql, &[seen.id.to_string().into()]).await;
    let Some(mut claimed) = rows.map_err(&failed)?.first().map(appeal).transpose()? else {
        return Ok(None);
    };
    let by = By {
        who: who.key,
        fencing: claimed.fencing,
        version: None,
    };
    match claimed.apply((by, Part::None), &AppealCommand::Claim { length }, now) {
        Ok(_) => {}
        Err(AppealRefusal::Claimed | AppealRefusal::Answered) => return Ok(None),
        Err(refusal) => return Err(refusal.into()),
    }
    row::update(transaction, &claimed).await.map_err(&failed)?;
    write_history(transaction, (&claimed, who.key), (AppealEvent::Claimed, ""), now).await?;
    Ok(Some(claimed))
}

/// Keeps the case of an appeal, whose history tells of its claim, before the appeal is locked: whoever answers others with one holds the case and waits
/// for them. Whether it was to be had.
async fn keep_case(transaction: &mut Transaction, appeal: &Appeal, how: Locked) -> Result<bool, StoreError> {
    let Some(case) = appeal.case else {
        return Ok(true);
    };
    let sql = format!(
        "SELECT c.case_id FROM cases c WHERE c.case_id = $1{}",
        transaction.for_update(how)
    );
    let rows = transaction.fetch(&sql, &[case.to_string().into()]).await;
    let rows = rows.map_err(StoreError::database("keep the case of an appeal"))?;
    Ok(!rows.is_empty())
}

fn happened(appeal: Appeal, event: AppealEvent, now: Timestamp) -> Appealed {
    Appealed {
        appeal,
        event,
        decision: None,
        case: None,
        answered_with: 0,
        now,
    }
}

/// The appeals of a team that wait, the longest waiting first, after this place; at most [`APPEALS_PER_LOOK`].
async fn waiting(
    transaction: &mut Transaction,
    team: Team,
    (condition, more): (&str, &[Value]),
    after: Option<&Appeal>,
) -> Result<Vec<Appeal>, StoreError> {
    let failed = StoreError::database("read the appeals that wait");
    let mut values: Vec<Value> = vec![team.to_number().into()];
    values.extend(more.iter().cloned());
    let mut place = String::new();
    if let Some(after) = after {
        let first = values.len() + 1;
        values.extend([after.filed_at.into(), after.id.to_string().into()]);
        // Of those that were filed at one time by their order.
        place = format!(
            " AND (a.filed_at > ${first} OR (a.filed_at = ${first} AND a.sequence > (SELECT l.sequence FROM appeals l WHERE l.appeal_id = ${})))",
            first + 1
        );
    }
    let sql = format!(
        "{SELECT_APPEALS} FROM appeals a WHERE a.team = $1 AND a.outcome IS NULL{condition}{place} ORDER BY a.filed_at, a.sequence LIMIT {APPEALS_PER_LOOK}"
    );
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    rows.iter().map(appeal).collect()
}

async fn by_id(transaction: &mut Transaction, team: Team, id: AppealId) -> Result<Appeal, StoreError> {
    let sql = format!("{SELECT_APPEALS} FROM appeals a WHERE a.appeal_id = $1 AND a.team = $2");
    found(transaction, &sql, team, id).await
}

/// As it is now, locked.
async fn locked(transaction: &mut Transaction, team: Team, id: AppealId) -> Result<Appeal, StoreError> {
    let sql = format!(
        "{SELECT_APPEALS} FROM appeals a WHERE a.appeal_id = $1 AND a.team = $2{}",
        transaction.for_update(Locked::Appeals)
    );
    found(transaction, &sql, team, id).await
}

async fn found(transaction: &mut Transaction, sql: &str, team: Team, id: AppealId) -> Result<Appeal, StoreError> {
    let rows = transaction
        .fetch(sql, &[id.to_string().into(), team.to_number().into()])
        .await
        .map_err(StoreError::database("find an appeal"))?;
    appeal(rows.first().ok_or(AppealRefusal::NoSuchAppeal)?)
}

/// Writes down in the history of its case what happened to an appeal, if it has one and it is told there; else as a step of whoever did it alone.
async fn write_history(
    transaction: &mut Transaction,
    (appeal, who): (&Appeal, KeyId),
    (event, note): (AppealEvent, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Some(case), Some(kind)) = (appeal.case, event.name()) else {
        let apart = match event {
            AppealEvent::Claimed => Apart::Claimed,
            AppealEvent::Released => Apart::Released,
            AppealEvent::Answered => Apart::Answered,
            AppealEvent::Filed | AppealEvent::Renewed | AppealEvent::SaidBefore => return Ok(()),
        };
        return write_step_apart(transaction, who, (apart, 1.0), now).await;
    };
    let step = Step {
        case,
        who: Some(who),
        kind,
        about: &appeal.id.to_string(),
        note,
    };
    write_step(transaction, &step, now).await
}

/// Ends the transaction at once, so that nothing that it holds is passed over by those who claim.
async fn give_up<T>(transaction: Transaction, error: impl Into<StoreError>) -> Result<T, StoreError> {
    transaction
        .rollback()
        .await
        .map_err(StoreError::database("give up an appeal"))?;
    Err(error.into())
}
