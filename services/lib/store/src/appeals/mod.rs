//! Appeals: filing and handing them out here, answering them in `answer`, reading them in `list`, their columns in `row`, what endpoints are told of
//! an answer in `told`. Who decided about a case is asked of the decisions themselves, in the transaction that hands an appeal out or answers it.
//!
//! Locks are taken in the order key, case, appeals.

mod answer;
mod list;
mod row;
mod told;

use tocsin_casework::{
    Against, Appeal, AppealCommand, AppealEvent, AppealFiling, AppealId, AppealRefusal, AppealSubject, By, Case,
    CaseDecision, OPEN_APPEALS_MAX, Part, Team,
};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId, Milliseconds, PlatformId, Timestamp};

pub(crate) use answer::{audited, decided_step, excepted};
pub use list::{APPEALS_SUMMED_MAX, AppealCounts, AppealCursor, AppealPage, AppealQuery, AppealState, ListedAppeal};
use row::{SELECT_APPEALS, appeal};
pub use told::ToldAppeal;

use crate::cases::{SELECT_CASES, Step, case, decision_id, end_of, of_family, write_step};
use crate::database::{Locked, Row, Transaction, Value};
use crate::{Store, StoreError};

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
    /// Files an appeal about a content of what is known as this family. The same appeal again, by its reference, is [`AppealEvent::SaidBefore`].
    ///
    /// What it is against is found by the decision that it names; else by the decision that the content was told of last; else by the team's case of the
    /// family. What is refused by a listing alone has no case.
    ///
    /// # Errors
    /// As [`AppealFiling::file`]; [`AppealRefusal::Differs`], [`AppealRefusal::NoSuchDecision`], [`AppealRefusal::ForeignPlatform`] and
    /// [`AppealRefusal::TooMany`]; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn file_appeal(
        &self,
        (team, by): (Team, KeyId),
        (content, family): (ContentId, FamilyId),
        filing: &AppealFiling,
    ) -> Result<Appealed, StoreError> {
        let failed = StoreError::database("file an appeal");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        if let Some(before) = named_so(&mut transaction, team, filing).await? {
            return self.appealed_before(transaction, filing, before).await;
        }
        if !is_own_platform(&mut transaction, team, filing.platform).await? {
            return give_up(transaction, AppealRefusal::ForeignPlatform).await;
        }
        let subject = match subject(&mut transaction, team, (content, family), filing.against).await? {
            Some(subject) => subject,
            None => return give_up(transaction, AppealRefusal::NoSuchDecision).await,
        };
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let filed = match filing.file(AppealId(rand::random()), (team, by), subject, now) {
            Ok(filed) => filed,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        if count_open(&mut transaction, &filed).await? >= OPEN_APPEALS_MAX {
            return give_up(transaction, AppealRefusal::TooMany).await;
        }
        if row::insert(&mut transaction, &filed).await.map_err(&failed)? == 0 {
            // Filed by another dispatcher between our look and our insert.
            let before = named_so(&mut transaction, team, filing).await?;
            let before = before.ok_or(AppealRefusal::Differs)?;
            return self.appealed_before(transaction, filing, before).await;
        }
        write_history(
            &mut transaction,
            (&filed, by),
            (AppealEvent::Filed, &filing.reason),
            now,
        )
        .await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(happened(filed, AppealEvent::Filed, now))
    }

    /// The answer to an appeal that was filed before; nothing of the transaction is kept.
    async fn appealed_before(
        &self,
        mut transaction: Transaction,
        filing: &AppealFiling,
        before: Appeal,
    ) -> Result<Appealed, StoreError> {
        let failed = StoreError::database("file an appeal");
        if !filing.says(&before) {
            return give_up(transaction, AppealRefusal::Differs).await;
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        transaction.rollback().await.map_err(&failed)?;
        Ok(happened(before, AppealEvent::SaidBefore, now))
    }

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
        let person = person_of(&mut transaction, who).await?;
        let mut values: Vec<Value> = vec![
            team.to_number().into(),
            now.into(),
            who.to_string().into(),
            person.into(),
        ];
        let mut condition = String::new();
        if let Some(platform) = platform {
            values.push(i64::from(platform.0).into());
            condition.push_str(" AND a.platform_id = $5");
        }
        // What another claimer holds is passed over, so that they do not queue behind each other.
        let sql = format!(
            "SELECT a.appeal_id FROM appeals a WHERE a.team = $1 AND a.outcome IS NULL AND (a.lease_expires_at IS NULL OR a.lease_expires_at <= $2) \
             AND NOT {}{condition} ORDER BY a.filed_at, a.sequence LIMIT 1{}",
            decided_by("$3", "$4"),
            transaction.for_update(Locked::AppealsNobodyHolds)
        );
        let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
        let Some(row) = rows.first() else {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        };
        let id = row.text("appeal_id").map_err(&failed)?;
        let id = id.parse().map_err(|_| StoreError::Malformed { field: "appeal_id" })?;
        let mut claimed = locked(&mut transaction, team, id).await?;
        let part = part_of(&mut transaction, &claimed, who).await?;
        let by = By {
            who,
            fencing: claimed.fencing,
            version: None,
        };
        match claimed.apply((by, part), &AppealCommand::Claim { length }, now) {
            Ok(_) => {}
            // Since the look they decided about it.
            Err(AppealRefusal::OwnDecision) => {
                transaction.rollback().await.map_err(&failed)?;
                return Ok(None);
            }
            Err(refusal) => return give_up(transaction, refusal).await,
        }
        row::update(&mut transaction, &claimed).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Some(happened(claimed, AppealEvent::Claimed, now)))
    }
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

/// That the holder of a key, or whoever else it was issued to, decided about the case of appeal or review `a`, or about one that went into it or that it went
/// into. `key` and `person` are columns or parameters.
pub(crate) fn decided_by(key: &str, person: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM decisions d LEFT JOIN api_keys w ON w.key_id = d.decided_by WHERE d.withdrawn_at IS NULL \
         AND (d.decision_id = a.decision_id OR d.case_id = a.case_id OR d.case_id IN (SELECT m.case_id FROM cases m WHERE m.merged_into = a.case_id) \
         OR d.case_id = (SELECT n.merged_into FROM cases n WHERE n.case_id = a.case_id)) \
         AND (d.decided_by = {key} OR (w.subject = a.team AND w.person = {person})))"
    )
}

/// That the key of this table may moderate.
fn moderates(table: &str) -> String {
    format!("{table}.revoked_at IS NULL AND ' ' || {table}.roles || ' ' LIKE '% moderator %'")
}

/// What part this key's holder had in what is appealed against.
async fn part_of(transaction: &mut Transaction, appeal: &Appeal, who: KeyId) -> Result<Part, StoreError> {
    let person = person_of(transaction, who).await?;
    let sql = format!(
        "SELECT 1 AS decided FROM appeals a WHERE a.appeal_id = $1 AND {}",
        decided_by("$2", "$3")
    );
    let values = [appeal.id.to_string().into(), who.to_string().into(), person.into()];
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("ask who decided"))?;
    Ok(match rows.is_empty() {
        true => Part::None,
        false => Part::Decided,
    })
}

pub(crate) async fn person_of(transaction: &mut Transaction, key: KeyId) -> Result<Option<String>, StoreError> {
    let failed = StoreError::database("ask whose a key is");
    let sql = "SELECT person FROM api_keys WHERE key_id = $1";
    let rows = transaction.fetch(sql, &[key.to_string().into()]).await;
    let rows = rows.map_err(&failed)?;
    let person = rows.first().map(|row| row.text_if_any("person")).transpose();
    Ok(person.map_err(&failed)?.flatten())
}

/// The team's case and decision that an appeal comes down to; `None`: it names a decision that the team did not make, or took back.
async fn subject(
    transaction: &mut Transaction,
    team: Team,
    (content, family): (ContentId, FamilyId),
    against: Against,
) -> Result<Option<AppealSubject>, StoreError> {
    let failed = StoreError::database("find what an appeal is against");
    let decided = "SELECT d.decision_id, c.case_id FROM decisions d JOIN cases c ON c.case_id = d.case_id";
    let (sql, value) = match against {
        Against::Decision(id) => (
            format!("{decided} WHERE c.team = $1 AND d.decision_id = $2 AND d.withdrawn_at IS NULL"),
            format!("{:032x}", id.0),
        ),
        Against::Block => (
            format!(
                "{decided} JOIN member_decisions t ON t.decision_id = d.decision_id WHERE t.team = $1 AND t.content = $2"
            ),
            content.to_string(),
        ),
    };
    let rows = transaction.fetch(&sql, &[team.to_number().into(), value.into()]).await;
    let rows = rows.map_err(&failed)?;
    let (case, decision) = match (rows.first(), against) {
        (Some(row), _) => {
            let decision = decision_id(&row.text("decision_id").map_err(&failed)?)?;
            (case_by_id(transaction, row).await?, Some(decision))
        }
        (None, Against::Decision(_)) => return Ok(None),
        (None, Against::Block) => (of_family(transaction, team, family).await?, None),
    };
    let Some(case) = case else {
        return Ok(Some(AppealSubject {
            content,
            family,
            case: None,
            decision: None,
        }));
    };
    // The one that people see, as far as it is found.
    let case = end_of(transaction, case.clone(), None).await?.unwrap_or(case);
    let stands: Option<DecisionId> = case.decision.as_ref().map(|decision| decision.id);
    Ok(Some(AppealSubject {
        content,
        family: case.family,
        case: Some(case.id),
        decision: decision.or(stands),
    }))
}

async fn case_by_id(transaction: &mut Transaction, row: &Row) -> Result<Option<Case>, StoreError> {
    let failed = StoreError::database("find the case of an appeal");
    let id = row.text("case_id").map_err(&failed)?;
    let sql = format!("{SELECT_CASES} WHERE c.case_id = $1");
    let rows = transaction.fetch(&sql, &[id.into()]).await.map_err(&failed)?;
    rows.first().map(case).transpose()
}

/// Whether a platform is the party's; the coordinators have none of their own, and say what they were told.
async fn is_own_platform(transaction: &mut Transaction, team: Team, platform: PlatformId) -> Result<bool, StoreError> {
    let Team::Party(party) = team else {
        return Ok(true);
    };
    let sql = "SELECT 1 AS own FROM platforms WHERE platform_id = $1 AND party_id = $2";
    let values = [i64::from(platform.0).into(), i64::from(party.0).into()];
    let rows = transaction.fetch(sql, &values).await;
    Ok(!rows
        .map_err(StoreError::database("ask whose a platform is"))?
        .is_empty())
}

async fn count_open(transaction: &mut Transaction, appeal: &Appeal) -> Result<usize, StoreError> {
    let failed = StoreError::database("count the appeals about a family");
    let sql = "SELECT count(*) AS appeals FROM appeals WHERE team = $1 AND family = $2 AND outcome IS NULL";
    let values = [appeal.team.to_number().into(), appeal.family.to_string().into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "appeals" })?;
    Ok(row.integer("appeals").map_err(&failed)? as usize)
}

/// The appeal of this reference.
async fn named_so(
    transaction: &mut Transaction,
    team: Team,
    filing: &AppealFiling,
) -> Result<Option<Appeal>, StoreError> {
    let sql = format!("{SELECT_APPEALS} FROM appeals a WHERE a.team = $1 AND a.reference = $2");
    let values = [team.to_number().into(), filing.reference.as_str().into()];
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("find an appeal by its reference"))?;
    rows.first().map(appeal).transpose()
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

/// Writes down in the history of its case what happened to an appeal, if it has one and it is told there.
async fn write_history(
    transaction: &mut Transaction,
    (appeal, who): (&Appeal, KeyId),
    (event, note): (AppealEvent, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Some(case), Some(kind)) = (appeal.case, event.name()) else {
        return Ok(());
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
