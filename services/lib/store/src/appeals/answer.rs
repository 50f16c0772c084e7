//! What a reviewer does with an appeal, and all that follows from an answer, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_casework::{
    Appeal, AppealCommand, AppealEvent, AppealId, AppealOutcome, AppealRuling, By, Case, CaseDecision, CaseId,
    Concerns, Team,
};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId, Timestamp, Verdict};

use super::row::{self, SELECT_APPEALS, appeal};
use super::{Appealed, ToldAppeal, by_id, give_up, happened, keep_case, locked, write_history};
use crate::cases::deciders::{Asked, Deciders, cases_of, holder, told};
use crate::cases::lineage::Lineage;
use crate::cases::{Step, end_of, of_family, party_name, update, wait_no_more, write_step};
use crate::database::{Locked, Transaction, Value, values_from};
use crate::outbox::write_decision;
use crate::readers::Readers;
use crate::watch::hold_opinions;
use crate::weighing::note_overturned;
use crate::{About, Store, StoreError};

/// How many contents one statement names.
const CONTENTS_PER_STATEMENT: usize = 200;
/// How many other appeals are locked by one statement.
const APPEALS_PER_STATEMENT: usize = 200;

impl Store {
    /// Carries out what a person does with an appeal of their team, and all that follows from it, or nothing: endpoints are told of an answer; a
    /// member that is overturned is an exception from what was decided before; a family that is overturned is decided anew, and the other appeals
    /// about it are answered with it. `family` is that of the content, where it is known now.
    ///
    /// # Errors
    /// As [`Appeal::apply`] and [`Case::overturn`]; [`AppealRefusal::NoSuchAppeal`](tocsin_casework::AppealRefusal::NoSuchAppeal), also for another
    /// team's; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn command_appeal(
        &self,
        (team, by): (Team, By),
        (id, family): (AppealId, Option<FamilyId>),
        command: &AppealCommand,
    ) -> Result<Appealed, StoreError> {
        let failed = StoreError::database("change an appeal");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by.who).await?;
        let known = by_id(&mut transaction, team, id).await?;
        let about = case_now(&mut transaction, &known, family).await?;
        // The case before the appeal: whoever overturns a family holds its case while they answer the others.
        let case = match command {
            AppealCommand::Answer(ruling) => {
                let place = (about, family.unwrap_or(known.family));
                self.case_of_appeal(&mut transaction, &known, ruling, place).await?
            }
            _ => {
                keep_case(&mut transaction, &known, Locked::CasesKept).await?;
                None
            }
        };
        let mut changed = locked(&mut transaction, team, id).await?;
        let also = case.as_ref().map(|case| case.id).or(about);
        let who = holder(&mut transaction, team, by.who).await?;
        let deciders = Box::pin(Deciders::of(
            &mut transaction,
            team,
            std::iter::once(Asked::from(&changed)),
            also,
        ))
        .await?;
        let part = deciders.part((&changed).into(), &who);
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
            _ => {
                row::update(&mut transaction, &appealed.appeal).await.map_err(&failed)?;
                write_history(&mut transaction, (&appealed.appeal, by.who), (event, ""), now).await?;
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(appealed)
    }

    /// The case of an appeal that is answered, locked: whoever tells members of a decision holds it too, and looks at the exceptions under that lock.
    /// Where all of a family is overturned that has none, a new one.
    async fn case_of_appeal(
        &self,
        transaction: &mut Transaction,
        known: &Appeal,
        ruling: &AppealRuling,
        (case, family): (Option<CaseId>, FamilyId),
    ) -> Result<Option<Case>, StoreError> {
        let about = match case {
            Some(case) => About::Case(case),
            None if ruling.verdict_of_family().is_some() => About::Family(family, known.filing.content.clone()),
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
        let (mut entries, mut is_overturned) = (Vec::new(), false);
        // A case that was opened for it, or that it belongs to since, is its case now: the one that is held.
        if let Some(case) = &case {
            appealed.appeal.case = Some(case.id);
        }
        match (ruling.verdict_of_family(), case) {
            (Some(verdict), Some(mut case)) => {
                let id = DecisionId(rand::random());
                let decided = case.overturn((by, id), (verdict, &ruling.note), now)?;
                if let Some(decision) = &decided {
                    write_decision(transaction, &case, decision, now).await?;
                    update(transaction, &case, now).await.map_err(&failed)?;
                    write_step(transaction, &decided_step(&case, decision, &id_text(decision)), now).await?;
                    entries.push(audited(&case, decision));
                    is_overturned = true;
                }
                let others = others_of(transaction, &appealed.appeal, &case).await?;
                for ids in others.chunks(APPEALS_PER_STATEMENT) {
                    for mut other in locked_all(transaction, ids).await? {
                        if other.settle_with(&appealed.appeal) {
                            row::update(transaction, &other).await.map_err(&failed)?;
                            entries.push(audited_answer(&other, by));
                            tell(transaction, &readers, &other, now).await?;
                            appealed.answered_with += 1;
                        }
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
        if is_overturned {
            note_overturned(transaction, &appealed.appeal, now).await?;
        }
        tell(transaction, &readers, &appealed.appeal, now).await?;
        let event = (AppealEvent::Answered, ruling.note.as_str());
        write_history(transaction, (&appealed.appeal, by), event, now).await?;
        entries.push(audited_answer(&appealed.appeal, by));
        // The end of the chain is the last thing that is locked.
        self.append_audit(transaction, now, &entries).await
    }
}

/// The case that an appeal is about now: that of the content's family, where it is known and decided; else that of what the appeal was filed about.
async fn case_now(
    transaction: &mut Transaction,
    appeal: &Appeal,
    family: Option<FamilyId>,
) -> Result<Option<CaseId>, StoreError> {
    let asked = match (family, appeal.case) {
        (None, Some(case)) => return Ok(Some(case)),
        (family, _) => family.unwrap_or(appeal.family),
    };
    let Some(own) = of_family(transaction, appeal.team, asked).await? else {
        return Ok(appeal.case);
    };
    let end = end_of(transaction, own.clone(), None).await?.unwrap_or(own);
    let filed = appeal.case.filter(|_| end.decision.is_none());
    Ok(Some(filed.unwrap_or(end.id)))
}

/// Takes a member out of what the team decided before: it is told of none of that again, and the party's opinion of it is withdrawn. Of what it was
/// told stays written, so that nobody tells it again who does not know of exceptions.
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
    wait_no_more(transaction, appeal.team, appeal.content).await?;
    if let Some(party) = party_name(transaction, appeal.team).await? {
        hold_opinions(transaction, (&party, None), &[&appeal.filing.content], (now, now)).await?;
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
        let sql = format!(
            "SELECT content FROM appeal_exceptions WHERE team = $1 AND excepted_at >= $2 AND content IN ({})",
            values_from(3, contents.len())
        );
        for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
            let content = ContentId::parse(&row.text("content").map_err(&failed)?);
            found.insert(content.ok_or(StoreError::Malformed { field: "content" })?);
        }
    }
    Ok(found)
}

/// The other appeals that wait about this case, about those that went into it, and about their families; by their order. Not those of contents that were
/// told of another case since: they parted from it.
async fn others_of(transaction: &mut Transaction, answered: &Appeal, case: &Case) -> Result<Vec<AppealId>, StoreError> {
    let failed = StoreError::database("find the other appeals about a family");
    let team = answered.team;
    let (cases, families) = (BTreeSet::from([case.id]), BTreeSet::new());
    let lineage = Lineage::of(transaction, team, (&cases, &families)).await?;
    let cases = lineage.together(case.id);
    let families = cases.iter().filter_map(|case| lineage.family(*case));
    let families: BTreeSet<String> = families.map(|family| family.to_string()).collect();
    let ids: Vec<String> = cases.iter().map(|case| case.to_string()).collect();
    let families: Vec<String> = families.into_iter().collect();
    let mut found: BTreeMap<i64, (AppealId, ContentId)> = BTreeMap::new();
    for (column, texts) in [("case_id", ids), ("family", families)] {
        for texts in texts.chunks(CONTENTS_PER_STATEMENT) {
            let mut values: Vec<Value> = vec![team.to_number().into(), answered.id.to_string().into()];
            values.extend(texts.iter().map(|text| Value::from(text.as_str())));
            let sql = format!(
                "SELECT a.sequence, a.appeal_id, a.content_id FROM appeals a WHERE a.team = $1 AND a.outcome IS NULL AND a.appeal_id <> $2 AND a.{column} IN ({})",
                values_from(3, texts.len())
            );
            for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
                let id = row.text("appeal_id").map_err(&failed)?.parse();
                let id = id.map_err(|_| StoreError::Malformed { field: "appeal_id" })?;
                let content = ContentId::parse(&row.text("content_id").map_err(&failed)?);
                let content = content.ok_or(StoreError::Malformed { field: "content_id" })?;
                found.insert(row.integer("sequence").map_err(&failed)?, (id, content));
            }
        }
    }
    let contents = found.values().map(|(_, content)| *content).collect();
    let told = told(transaction, team, &contents).await?;
    let of_decisions = cases_of(transaction, &told.values().copied().collect()).await?;
    let parted = |content: &ContentId| {
        let case = told.get(content).and_then(|decision| of_decisions.get(decision));
        case.is_some_and(|case| !cases.contains(case))
    };
    let others = found.into_values().filter(|(_, content)| !parted(content));
    Ok(others.map(|(id, _)| id).collect())
}

/// These appeals, locked in their order, as whoever locks more than one of them does.
async fn locked_all(transaction: &mut Transaction, ids: &[AppealId]) -> Result<Vec<Appeal>, StoreError> {
    let values: Vec<Value> = ids.iter().map(|id| Value::from(id.to_string())).collect();
    let sql = format!(
        "{SELECT_APPEALS} FROM appeals a WHERE a.appeal_id IN ({}) ORDER BY a.sequence{}",
        values_from(1, ids.len()),
        transaction.for_update(Locked::Appeals)
    );
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("lock the other appeals about a family"))?;
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

/// What the audit chain says of an answer.
fn audited_answer(answered: &Appeal, by: KeyId) -> Entry {
    let ruling = answered.answer.as_ref().map(|answer| &answer.ruling);
    let words = ruling.map_or("", |ruling| ruling.note.as_str());
    let detail = ruling.map(|ruling| format!("{} {}", ruling.outcome.name(), ruling.concerns.name()));
    let with = answered.answer.as_ref().and_then(|answer| answer.with);
    let with = with.map(|other| format!(", with appeal {other}")).unwrap_or_default();
    let about = format!("appeal {} about content {}{with}", answered.id, answered.content);
    Entry {
        action: Action::Answered,
        team: Some(answered.team.scope()),
        object: "an appeal".to_owned(),
        detail: detail.unwrap_or_default(),
        personal: vec![
            Personal::new(Field::Key, by.to_string()),
            Personal::new(Field::About, about),
            Personal::new(Field::Rationale, words),
        ],
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
