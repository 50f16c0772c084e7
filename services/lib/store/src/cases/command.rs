use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_casework::{By, Case, CaseId, Command, Event, Refusal, Team};
use tocsin_model::{DecisionId, KeyId, Timestamp};

use super::history::write_history;
use super::locked;
use super::row::{case, update};
use crate::database::{Locked, Transaction};
use crate::key::check_moderator;
use crate::outbox::{withdraw_decision, write_decision};
use crate::reviews::{draw_for_review, undraw};
use crate::{Store, StoreError};

/// A case after a command.
#[derive(Clone, Debug)]
pub struct Commanded {
    /// The case.
    pub case: Case,
    /// What happened.
    pub event: Event,
    /// The store's time.
    pub now: Timestamp,
}

impl Store {
    /// Carries out what a person does with a case of their team, and all that follows from it, or nothing: a decision is written with its
    /// outbox row and its deliveries, and one that is taken back loses them.
    ///
    /// # Errors
    /// As [`Case::apply`]; [`Refusal::NoSuchCase`], also for another team's; [`Refusal::NoSuchModerator`]; [`StoreError::KeyRevoked`]; or the
    /// database failed.
    pub async fn command(&self, team: Team, id: CaseId, by: By, command: &Command) -> Result<Commanded, StoreError> {
        let failed = StoreError::database("change a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // The keys first, then the case: whoever revokes a key locks them in the same order.
        crate::key::check_not_revoked(&mut transaction, by.who).await?;
        let is_received = match command {
            Command::HandOver { to, .. } => check_moderator(&mut transaction, *to, team).await?,
            _ => true,
        };
        let (mut case, now) = self.lock(&mut transaction, team, id).await?;
        let goes_out_at = match command {
            Command::Decide { undo_for, .. } => now + *undo_for,
            _ => now,
        };
        if !is_received {
            return refuse(transaction, Refusal::NoSuchModerator).await;
        }
        let event = match case.apply(by, command, now) {
            Ok(event) => event,
            Err(refusal) => return refuse(transaction, refusal).await,
        };
        match &event {
            Event::Decided(decision) => {
                write_decision(&mut transaction, &case, decision, goes_out_at).await?;
                draw_for_review(&mut transaction, (&case, decision), goes_out_at).await?;
            }
            Event::Withdrawn(decision) if !withdraw_decision(&mut transaction, *decision, now).await? => {
                return refuse(transaction, Refusal::DecisionFinal).await;
            }
            _ => {}
        }
        if let Event::Withdrawn(decision) = &event {
            undraw(&mut transaction, *decision).await?;
        }
        if event != Event::DecidedBefore {
            update(&mut transaction, &case, now).await.map_err(&failed)?;
            write_history(&mut transaction, (&case, by.who), &event, now).await?;
        }
        // The end of the chain is the last thing that is locked.
        if let Some(entry) = audited(&case, by.who, &event) {
            self.append_audit(&mut transaction, now, &[entry]).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(Commanded { case, event, now })
    }

    async fn lock(
        &self,
        transaction: &mut Transaction,
        team: Team,
        id: CaseId,
    ) -> Result<(Case, Timestamp), StoreError> {
        let failed = StoreError::database("lock a case");
        let values = [id.to_string().into(), team.to_number().into()];
        let rows = locked(
            transaction,
            "WHERE c.case_id = $1 AND c.team = $2",
            &values,
            Locked::Cases,
        )
        .await;
        let rows = rows.map_err(&failed)?;
        let locked = case(rows.first().ok_or(Refusal::NoSuchCase)?)?;
        let now = self.inner.clock.now(transaction).await.map_err(&failed)?;
        Ok((locked, now))
    }
}

/// What the audit chain says of it: of decisions, and of those that were taken back.
fn audited(case: &Case, who: KeyId, event: &Event) -> Option<Entry> {
    let by = Personal::new(Field::Key, who.to_string());
    let (case_id, family) = (case.id, case.family);
    let about = |decision: DecisionId| {
        let about = format!("case {case_id}, decision {:032x} of family {family}", decision.0);
        Personal::new(Field::About, about)
    };
    let (action, detail, personal) = match event {
        Event::Decided(decision) => {
            let rationale = Personal::new(Field::Rationale, decision.ruling.rationale.as_str());
            let personal = vec![by, about(decision.id), rationale];
            (Action::Decided, decision.ruling.verdict.name(), personal)
        }
        Event::Withdrawn(decision) => (Action::Withdrawn, "", vec![by, about(*decision)]),
        _ => return None,
    };
    Some(Entry {
        action,
        team: Some(case.team.scope()),
        object: "a case".to_owned(),
        detail: detail.to_owned(),
        personal,
    })
}

/// Ends the transaction at once, so that the case is not passed over by those who claim.
pub(super) async fn refuse<T>(transaction: Transaction, refusal: Refusal) -> Result<T, StoreError> {
    transaction
        .rollback()
        .await
        .map_err(StoreError::database("give up a change"))?;
    Err(refusal.into())
}
