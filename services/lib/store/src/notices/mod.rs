//! Notices: filing, answering and escalating them here, reading them in `list`, their columns in `row`. Whatever changes a notice holds the
//! case that it is about, so what the notices of a case come to is counted anew in one transaction with the change.

mod list;
mod row;
mod told;

use tocsin_casework::{
    Case, CaseId, ClockKind, Filing, Notice, NoticeCommand, NoticeEvent, NoticeId, NoticeKind, NoticeLoad,
    NoticeOutcome, NoticeRefusal, OPEN_NOTICES_MAX, Refusal, Team,
};
use tocsin_evidence::{Basis, Origin};
use tocsin_model::{ContentHash, FamilyId, KeyId, Timestamp};

pub use list::{NoticeCursor, NoticePage, NoticeQuery, NoticeState};
pub(crate) use row::{SELECT_NOTICES, notice};
pub use told::ToldNotice;

use crate::cases::{Step, case, insert, note_clock, update, write_step};
use crate::database::{Locked, Transaction, Value};
use crate::readers::Readers;
use crate::{Store, StoreError};

/// How many missed notices are escalated at a time.
pub const ESCALATED_MAX: u32 = 100;

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A case of the team.
    Case(CaseId),
    /// A family, or a content that may never have been seen: by the founder's strongest hash, or the content's.
    Family(FamilyId, ContentHash),
}

/// A notice after something happened to it.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// The notice.
    pub notice: Notice,
    /// What happened.
    pub event: NoticeEvent,
    /// The case that it is about.
    pub case: Case,
    /// The store's time.
    pub now: Timestamp,
}

impl Store {
    /// Files a notice: it joins the team's case of what it is about, or opens one. The same notice again, by authority, reference and part, is
    /// [`NoticeEvent::SaidBefore`].
    ///
    /// # Errors
    /// As [`Filing::file`]; [`NoticeRefusal::Differs`] and [`NoticeRefusal::TooMany`]; [`Refusal::NoSuchCase`], also for another team's;
    /// [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn file_notice(
        &self,
        (team, by): (Team, KeyId),
        about: &About,
        filing: &Filing,
    ) -> Result<Noticed, StoreError> {
        let failed = StoreError::database("file a notice");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        if let Some(before) = named_so(&mut transaction, team, filing).await? {
            return self.filed_before(transaction, about, (filing, before)).await;
        }
        let mut case = match self.case_about(&mut transaction, team, about).await {
            Ok(case) => case,
            Err(error) => return give_up(transaction, error).await,
        };
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let notice = match filing.file(NoticeId(rand::random()), case.id, by, now) {
            Ok(notice) => notice,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        let mut unanswered = unanswered_of(&mut transaction, case.id).await?;
        if unanswered.len() >= OPEN_NOTICES_MAX {
            return give_up(transaction, NoticeRefusal::TooMany).await;
        }
        if row::insert(&mut transaction, team, &notice).await.map_err(&failed)? == 0 {
            // Filed by another dispatcher between our look and our insert.
            let before = named_so(&mut transaction, team, filing).await?;
            let before = before.ok_or(NoticeRefusal::Differs)?;
            return self.filed_before(transaction, about, (filing, before)).await;
        }
        if let Some(platform) = filing.platform {
            let clock = (platform, ClockKind::Notice, notice.filing.received_at);
            note_clock(&mut transaction, case.id, clock).await.map_err(&failed)?;
        }
        unanswered.push(notice.clone());
        let event = NoticeEvent::Filed;
        case.take_notice(&notice, event, NoticeLoad::of(&unanswered), now);
        self.write_notice(&mut transaction, (&case, Some(by)), (&notice, event), now)
            .await?;
        if filing.kind == NoticeKind::RemovalOrder {
            let order = (
                Basis::of_order(&filing.authority, &filing.reference),
                Origin::Notice(notice.id),
                false,
            );
            Box::pin(self.preserve_for(&mut transaction, (team, case.id), order, (Some(by), now))).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(Noticed {
            notice,
            event,
            case,
            now,
        })
    }

    /// The answer to a notice that was filed before; nothing of the transaction is kept.
    async fn filed_before(
        &self,
        mut transaction: Transaction,
        about: &About,
        (filing, before): (&Filing, Notice),
    ) -> Result<Noticed, StoreError> {
        let failed = StoreError::database("find the case of a notice");
        let named = match about {
            // It may have gone into another before the notice was filed.
            About::Case(id) if *id != before.case => {
                let named = locked(&mut transaction, *id).await?;
                Some(unmerged(&mut transaction, named).await?.id)
            }
            About::Case(id) => Some(*id),
            About::Family(..) => None,
        };
        if !filing.says(named, &before) {
            return give_up(transaction, NoticeRefusal::Differs).await;
        }
        let case = locked(&mut transaction, before.case).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        transaction.rollback().await.map_err(&failed)?;
        Ok(Noticed {
            notice: before,
            event: NoticeEvent::SaidBefore,
            case,
            now,
        })
    }

    /// Carries out what a person does with a notice of their team.
    ///
    /// # Errors
    /// As [`Notice::apply`]; [`NoticeRefusal::NoSuchNotice`], also for another team's; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn command_notice(
        &self,
        (team, by): (Team, KeyId),
        id: NoticeId,
        command: &NoticeCommand,
    ) -> Result<Noticed, StoreError> {
        let failed = StoreError::database("change a notice");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        let known = by_id(&mut transaction, team, id).await?;
        let mut case = locked(&mut transaction, known.case).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        // Read again: now nobody else changes it.
        let mut changed = by_id(&mut transaction, team, id).await?;
        let event = match changed.apply(by, command, now) {
            Ok(event) => event,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        if event != NoticeEvent::SaidBefore {
            row::update(&mut transaction, &changed).await.map_err(&failed)?;
            let load = NoticeLoad::of(&unanswered_of(&mut transaction, case.id).await?);
            case.take_notice(&changed, event, load, now);
            self.write_notice(&mut transaction, (&case, Some(by)), (&changed, event), now)
                .await?;
            let outcome = changed.answer.as_ref().map(|answer| answer.outcome);
            let is_carried_out = matches!(outcome, Some(NoticeOutcome::Removed | NoticeOutcome::Disabled));
            if changed.filing.kind == NoticeKind::RemovalOrder && event == NoticeEvent::Answered && is_carried_out {
                // The six months count from the removal, and the decision is in the copy.
                let filing = &changed.filing;
                let order = (
                    Basis::of_order(&filing.authority, &filing.reference),
                    Origin::Notice(changed.id),
                    true,
                );
                Box::pin(self.preserve_for(&mut transaction, (team, case.id), order, (Some(by), now))).await?;
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(Noticed {
            notice: changed,
            event,
            case,
            now,
        })
    }

    /// Escalates the notices of all teams whose time is over and was not told of, the first due first, of at most [`ESCALATED_MAX`] cases. Each
    /// is escalated once, however many dispatchers ask.
    ///
    /// # Errors
    /// The database failed; what was escalated before stays so.
    pub async fn escalate_overdue(&self) -> Result<Vec<Noticed>, StoreError> {
        let failed = StoreError::database("find missed notices");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT DISTINCT case_id, min(due_at) AS due_at FROM notices WHERE {RUNNING} AND due_at <= $1 \
             GROUP BY case_id ORDER BY min(due_at), case_id LIMIT {ESCALATED_MAX}"
        );
        let rows = self.database().fetch(&sql, &[now.into()]).await.map_err(&failed)?;
        let (mut escalated, mut failure) = (Vec::new(), None);
        for row in &rows {
            let case = row.text("case_id").map_err(&failed)?;
            let case = case.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?;
            // One case that cannot be read does not hold up those behind it. It is told of when nothing else is.
            match self.escalate_case(case).await {
                Ok(of_case) => escalated.extend(of_case),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if escalated.is_empty() => Err(error),
            _ => Ok(escalated),
        }
    }

    async fn escalate_case(&self, id: CaseId) -> Result<Vec<Noticed>, StoreError> {
        let failed = StoreError::database("escalate missed notices");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let mut case = locked(&mut transaction, id).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let mut unanswered = unanswered_of(&mut transaction, id).await?;
        let load = NoticeLoad::of(&unanswered);
        let readers = Readers::find(&mut transaction).await?;
        let mut escalated = Vec::new();
        for missed in &mut unanswered {
            if !missed.escalate(now) {
                continue;
            }
            let event = NoticeEvent::Overdue;
            row::update(&mut transaction, missed).await.map_err(&failed)?;
            case.take_notice(missed, event, load, now);
            self.write_notice(&mut transaction, (&case, None), (missed, event), now)
                .await?;
            if let Some(told) = ToldNotice::of(missed, case.family) {
                readers.tell_notice(&mut transaction, (case.team, &told), now).await?;
            }
            escalated.push(Noticed {
                notice: missed.clone(),
                event,
                case: case.clone(),
                now,
            });
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(escalated)
    }

    /// The team's case of what a notice is about, locked; a new one if there is none.
    pub(crate) async fn case_about(
        &self,
        transaction: &mut Transaction,
        team: Team,
        about: &About,
    ) -> Result<Case, StoreError> {
        let failed = StoreError::database("find the case of a notice");
        match about {
            About::Case(id) => {
                let case = locked(transaction, *id).await?;
                if case.team != team {
                    return Err(Refusal::NoSuchCase.into());
                }
                unmerged(transaction, case).await
            }
            About::Family(family, hash) => {
                if let Some(case) = case_of_family(transaction, team, *family).await? {
                    return unmerged(transaction, case).await;
                }
                let now = self.inner.clock.now(transaction).await.map_err(&failed)?;
                let opened = Case::open_silent(CaseId(rand::random()), team, (*family, hash), now);
                if insert(transaction, &opened, now).await.map_err(&failed)? > 0 {
                    return Ok(opened);
                }
                // Another dispatcher opened it between our look and our insert.
                let case = case_of_family(transaction, team, *family).await?;
                Ok(case.ok_or(Refusal::NoSuchCase)?)
            }
        }
    }

    async fn write_notice(
        &self,
        transaction: &mut Transaction,
        (case, who): (&Case, Option<KeyId>),
        (notice, event): (&Notice, NoticeEvent),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        update(transaction, case, now)
            .await
            .map_err(StoreError::database("write the case of a notice"))?;
        let Some(kind) = event.name() else {
            return Ok(());
        };
        let note = match event {
            NoticeEvent::Suspended => notice.suspension.as_ref().map(|suspension| suspension.note.as_str()),
            NoticeEvent::Answered => notice.answer.as_ref().map(|answer| answer.note.as_str()),
            NoticeEvent::Filed => Some(notice.filing.statement.as_str()),
            NoticeEvent::Resumed | NoticeEvent::Overdue | NoticeEvent::SaidBefore => None,
        };
        let step = Step {
            case: case.id,
            who,
            kind,
            about: &notice.id.to_string(),
            note: note.unwrap_or_default(),
        };
        write_step(transaction, &step, now).await
    }
}

/// The case that a case went into, if it did; locked. A notice joins the one that people see.
pub(crate) async fn unmerged(transaction: &mut Transaction, mut case: Case) -> Result<Case, StoreError> {
    // What is no longer hot stays where it went, also when that goes on.
    for _ in 0..MERGED_STEPS_MAX {
        match case.merged_into() {
            Some(into) => case = locked(transaction, into).await?,
            None => return Ok(case),
        }
    }
    Err(Refusal::Merged(case.id).into())
}

/// So many cases went one into the next, at most, before the one that people see.
const MERGED_STEPS_MAX: usize = 16;

/// Of notices whose time runs and whose end was not told of.
const RUNNING: &str = "due_at IS NOT NULL AND ground IS NULL AND outcome IS NULL AND overdue_at IS NULL";

async fn locked(transaction: &mut Transaction, id: CaseId) -> Result<Case, StoreError> {
    let condition = "c.case_id = $1";
    let found = locked_where(transaction, condition, &[id.to_string().into()]).await?;
    Ok(found.ok_or(Refusal::NoSuchCase)?)
}

pub(crate) async fn case_of_family(
    transaction: &mut Transaction,
    team: Team,
    family: FamilyId,
) -> Result<Option<Case>, StoreError> {
    let values = [family.to_string().into(), team.to_number().into()];
    locked_where(transaction, "c.family = $1 AND c.team = $2", &values).await
}

async fn locked_where(
    transaction: &mut Transaction,
    condition: &str,
    values: &[Value],
) -> Result<Option<Case>, StoreError> {
    let rows = crate::cases::locked(transaction, &format!("WHERE {condition}"), values, Locked::Cases)
        .await
        .map_err(StoreError::database("lock the case of a notice"))?;
    rows.first().map(case).transpose()
}

async fn by_id(transaction: &mut Transaction, team: Team, id: NoticeId) -> Result<Notice, StoreError> {
    let sql = format!("{SELECT_NOTICES} WHERE n.notice_id = $1 AND n.team = $2");
    let rows = transaction
        .fetch(&sql, &[id.to_string().into(), team.to_number().into()])
        .await
        .map_err(StoreError::database("find a notice"))?;
    notice(rows.first().ok_or(NoticeRefusal::NoSuchNotice)?)
}

/// The notice of this authority, reference and part.
async fn named_so(transaction: &mut Transaction, team: Team, filing: &Filing) -> Result<Option<Notice>, StoreError> {
    let sql = format!("{SELECT_NOTICES} WHERE n.team = $1 AND n.authority = $2 AND n.reference = $3 AND n.part = $4");
    let values = [
        team.to_number().into(),
        filing.authority.as_str().into(),
        filing.reference.as_str().into(),
        i64::from(filing.part).into(),
    ];
    let rows = transaction
        .fetch(&sql, &values)
        .await
        .map_err(StoreError::database("find a notice by its reference"))?;
    rows.first().map(notice).transpose()
}

/// The notices of a case that are not answered, at most [`OPEN_NOTICES_MAX`].
async fn unanswered_of(transaction: &mut Transaction, case: CaseId) -> Result<Vec<Notice>, StoreError> {
    let sql = format!("{SELECT_NOTICES} WHERE n.case_id = $1 AND n.outcome IS NULL ORDER BY n.sequence");
    let rows = transaction
        .fetch(&sql, &[case.to_string().into()])
        .await
        .map_err(StoreError::database("read the notices of a case"))?;
    rows.iter().map(notice).collect()
}

/// Ends the transaction at once, so that the case is not passed over by those who claim.
async fn give_up<T>(transaction: Transaction, error: impl Into<StoreError>) -> Result<T, StoreError> {
    transaction
        .rollback()
        .await
        .map_err(StoreError::database("give up a notice"))?;
    Err(error.into())
}
