//! What a reviewer does with an appeal, and all that follows from an answer, in one transaction.

use std::collections::BTreeSet;

use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_casework::{
    Appeal, AppealCommand, AppealEvent, AppealId, AppealOutcome, AppealRuling, By, Case, CaseDecision, Concerns,
    OPEN_APPEALS_MAX, Team,
};
use tocsin_model::{ContentId, DecisionId, KeyId, Timestamp, Verdict};

use super::row::{self, SELECT_APPEALS, appeal};
use super::{Appealed, ToldAppeal, by_id, give_up, happened, locked, part_of, write_history};
use crate::cases::{Step, party_name, update, wait_no_more, write_step};
use crate::database::{Locked, Transaction, Value};
use crate::delivery::Readers;
use crate::outbox::write_decision;
use crate::watch::hold_opinions;
use crate::{About, Store, StoreError};

/// How many contents one statement names.
const CONTENTS_PER_STATEMENT: usize = 200;

impl Store {
    /// Carries out what a person does with an appeal of their team, and all that follows from it, or nothing: endpoints are told of an answer; a
    /// member that is overturned is an exception from what was decided before; a family that is overturned is decided anew, and the other appeals
    /// about it are answered with it.
    ///
    /// # Errors
    /// As [`Appeal::apply`] and [`Case::overturn`]; [`AppealRefusal::NoSuchAppeal`](tocsin_casework::AppealRefusal::NoSuchAppeal), also for another
    /// team's; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn command_appeal(
        &self,
        (team, by): (Team, By),
        id: AppealId,
        command: &AppealCommand,
    ) -> Result<Appealed, StoreError> {
        let failed = StoreError::database("change an appeal");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by.who).await?;
        let known = by_id(&mut transaction, team, id).await?;
        // The case before the appeal: whoever overturns a family holds its case while they answer the others.
        let case = match command {
            AppealCommand::Answer(ruling) => self.case_of_appeal(&mut transaction, &known, ruling).await?,
            _ => None,
        };
        let mut changed = locked(&mut transaction, team, id).await?;
        let part = part_of(&mut transaction, &changed, by.who).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let event = match changed.apply((by, part), command, now) {
            Ok(event) => event,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        let mut appealed = happened(changed, event, now);
        match command {
            _ if event == AppealEvent::SaidBefore => {}
            AppealCommand::Answer(ruling) => {
                let carried_out = self
                    .carry_out_answer(&mut transaction, &mut appealed, (ruling, case), by.who)
                    .await;
                if let Err(error) = carried_out {
                    return give_up(transaction, error).await;
                }
            }
            _ => row::update(&mut transaction, &appealed.appeal).await.map_err(&failed)?,
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(appealed)
    }

    /// The case of an appeal that is answered, locked; where all of a family is overturned that has none, a new one.
    async fn case_of_appeal(
        &self,
        transaction: &mut Transaction,
        known: &Appeal,
        ruling: &AppealRuling,
    ) -> Result<Option<Case>, StoreError> {
        let about = match known.case {
            Some(case) => About::Case(case),
            None if ruling.verdict_of_family().is_some() => About::Family(known.family, known.filing.content.clone()),
            None => return Ok(None),
        };
        self.case_about(transaction, known.team, &about).await.map(Some)
    }

    async fn carry_out_answer(
        &self,
        transaction: &mut Transaction,
        appealed: &mut Appealed,
        (ruling, case): (&AppealRuling, Option<Case>),
        by: KeyId,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("answer an appeal");
        let now = appealed.now;
        let readers = Readers::find(transaction).await?;
        let mut entries = Vec::new();
        match (ruling.verdict_of_family(), case) {
            (Some(verdict), Some(mut case)) => {
                let id = DecisionId(rand::random());
                let decided = case.overturn((by, id), (verdict, &ruling.note), now)?;
                // A case that was opened for it, or that went into another since, is its case now.
                appealed.appeal.case = Some(case.id);
                if let Some(decision) = &decided {
                    write_decision(transaction, &case, decision, now).await?;
                    update(transaction, &case, now).await.map_err(&failed)?;
                    write_step(transaction, &decided_step(&case, decision, &id_text(decision)), now).await?;
                    entries.push(audited(&case, decision));
                }
                let others = open_of(transaction, &appealed.appeal, &case).await?;
                for mut other in others {
                    if other.settle_with(&appealed.appeal) {
                        row::update(transaction, &other).await.map_err(&failed)?;
                        tell(transaction, &readers, &other, now).await?;
                        appealed.answered_with += 1;
                    }
                }
                (appealed.decision, appealed.case) = (decided, Some(case));
            }
            _ if (ruling.outcome, ruling.concerns) == (AppealOutcome::Overturned, Concerns::Member) => {
                except(transaction, &appealed.appeal, now).await?;
            }
            _ => {}
        }
        row::update(transaction, &appealed.appeal).await.map_err(&failed)?;
        tell(transaction, &readers, &appealed.appeal, now).await?;
        let event = (AppealEvent::Answered, ruling.note.as_str());
        write_history(transaction, (&appealed.appeal, by), event, now).await?;
        // The end of the chain is the last thing that is locked.
        if !entries.is_empty() {
            self.append_audit(transaction, now, &entries).await?;
        }
        Ok(())
    }
}

/// Takes a member out of what the team decided before: it is told of none of that again, and the party's opinion of it is withdrawn.
async fn except(transaction: &mut Transaction, appeal: &Appeal, now: Timestamp) -> Result<(), StoreError> {
    let failed = StoreError::database("except a member");
    let (team, content) = (appeal.team.to_number(), appeal.content.to_string());
    let sql = "INSERT INTO appeal_exceptions (team, content, appeal_id, excepted_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (team, content) DO UPDATE SET appeal_id = excluded.appeal_id, excepted_at = excluded.excepted_at";
    let values = [
        team.into(),
        content.as_str().into(),
        appeal.id.to_string().into(),
        now.into(),
    ];
    transaction.execute(sql, &values).await.map_err(&failed)?;
    let forget = "DELETE FROM member_decisions WHERE team = $1 AND content = $2";
    transaction
        .execute(forget, &[team.into(), content.into()])
        .await
        .map_err(&failed)?;
    wait_no_more(transaction, appeal.team, appeal.content).await?;
    if let Some(party) = party_name(transaction, appeal.team).await? {
        hold_opinions(transaction, (&party, None), &[&appeal.filing.content], now).await?;
    }
    Ok(())
}

/// Those of these contents that an appeal took out of what the team decided up to then.
pub(crate) async fn excepted(
    transaction: &mut Transaction,
    (team, decided_at): (Team, Timestamp),
    contents: &[ContentId],
) -> Result<BTreeSet<ContentId>, StoreError> {
    let failed = StoreError::database("ask which members are excepted");
    let mut found = BTreeSet::new();
    for contents in contents.chunks(CONTENTS_PER_STATEMENT) {
        let mut values: Vec<Value> = vec![team.to_number().into(), decided_at.into()];
        values.extend(contents.iter().map(|content| Value::from(content.to_string())));
        let names: Vec<String> = (3..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT content FROM appeal_exceptions WHERE team = $1 AND excepted_at >= $2 AND content IN ({})",
            names.join(", ")
        );
        for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
            let content = ContentId::parse(&row.text("content").map_err(&failed)?);
            found.insert(content.ok_or(StoreError::Malformed { field: "content" })?);
        }
    }
    Ok(found)
}

/// The other appeals of the team about this case or its family that wait for an answer, locked.
async fn open_of(transaction: &mut Transaction, answered: &Appeal, case: &Case) -> Result<Vec<Appeal>, StoreError> {
    let sql = format!(
        "{SELECT_APPEALS} FROM appeals a WHERE a.team = $1 AND a.outcome IS NULL AND (a.case_id = $2 OR a.family = $3 OR a.family = $4) \
         AND a.appeal_id <> $5 ORDER BY a.sequence LIMIT {}{}",
        // Those of the family that it was, and of the one that it is.
        2 * OPEN_APPEALS_MAX,
        transaction.for_update(Locked::Appeals)
    );
    let values = [
        case.team.to_number().into(),
        case.id.to_string().into(),
        case.family.to_string().into(),
        answered.family.to_string().into(),
        answered.id.to_string().into(),
    ];
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("find the other appeals about a family"))?;
    rows.iter().map(appeal).collect()
}

async fn tell(
    transaction: &mut Transaction,
    readers: &Readers,
    answered: &Appeal,
    now: Timestamp,
) -> Result<(), StoreError> {
    match ToldAppeal::of(answered) {
        Some(told) => readers.tell_appeal(transaction, (answered.team, &told), now).await,
        None => Ok(()),
    }
}

fn id_text(decision: &CaseDecision) -> String {
    format!("{:032x}", decision.id.0)
}

pub(crate) fn decided_step<'a>(case: &Case, decision: &CaseDecision, id: &'a str) -> Step<'a> {
    Step {
        case: case.id,
        who: Some(decision.decided_by),
        kind: "overturned",
        about: id,
        note: "",
    }
}

/// What the audit chain says of a decision that an answer made.
pub(crate) fn audited(case: &Case, decision: &CaseDecision) -> Entry {
    let verdict: Verdict = decision.ruling.verdict;
    let about = format!(
        "case {}, decision {} of family {}",
        case.id,
        id_text(decision),
        case.family
    );
    Entry {
        action: Action::Decided,
        team: Some(case.team.scope()),
        object: "a case".to_owned(),
        detail: verdict.name().to_owned(),
        personal: vec![
            Personal::new(Field::Key, decision.decided_by.to_string()),
            Personal::new(Field::About, about),
            Personal::new(Field::Rationale, decision.ruling.rationale.as_str()),
        ],
    }
}
