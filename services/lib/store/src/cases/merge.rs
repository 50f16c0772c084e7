//! Cases of families that join one another and part again: carried along here, by the rules of `tocsin_casework`.

use tocsin_casework::{Case, CaseDecision, CaseId, MergeEffects, MergedLease, Merging, Ruling, Team};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId, Timestamp, Verdict};

use super::history::{Step, write_step};
use super::row::{SELECT_CASES, case, insert, team, update};
use super::streams::carry_streams;
use crate::database::{Locked, Row, Transaction, Value};
use crate::outbox::{write_decision, write_mark};
use crate::ozone_subjects::tell_joined;
use crate::{Store, StoreError};

/// How many families are asked for at a time.
pub const FAMILIES_MAX: usize = 1_000;
/// Who merges and splits: nobody.
pub(crate) const NOBODY: KeyId = KeyId(0);
/// A case went into one that went into one ...: so many steps are followed, and what is farther waits.
const STEPS_MAX: usize = 16;

/// Which family a team's case is about, and how far it was carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyCase {
    /// Whose case.
    pub team: Team,
    /// Its family.
    pub family: FamilyId,
    /// When a group said to which family it belongs, of what was heard last.
    pub said_at: Option<Timestamp>,
    /// Whether it went into another one.
    pub is_merged: bool,
}

/// What a group said of a family: to which it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilySaid {
    /// Whose case is carried.
    pub team: Team,
    /// Which family.
    pub family: FamilyId,
    /// The family that it joined; itself, if it is on its own.
    pub joined: FamilyId,
    /// When it was said, by the group's time.
    pub at: Timestamp,
}

/// What became of the case.
#[derive(Clone, Debug, PartialEq)]
pub enum Carried {
    /// It went into the case of the family that its family joined.
    Merged {
        /// It, and the one that remains.
        cases: Box<[Case; 2]>,
        /// What else came of it.
        effects: MergeEffects,
    },
    /// It is on its own again.
    Split(Box<Case>),
    /// It was in the end in the case where it belongs, by way of another one.
    Moved,
    /// What was said was known, or newer is known.
    Unchanged,
    /// The team has no case yet of the family that it joined, and this one is closed, or where it went before.
    Alone,
    /// A decision can still be taken back, a notice waits for its answer, or somebody is at one of them: again a little later.
    Later,
}

impl FamilySaid {
    /// Whether it says more than what was said last. A group may take a family in and let it go at one time: then the parting is the later of the
    /// two.
    pub fn is_news(&self, known: Option<Timestamp>) -> bool {
        match self.joined == self.family {
            true => known.is_none_or(|known| known <= self.at),
            false => known.is_none_or(|known| known < self.at),
        }
    }
}

impl Store {
    /// The teams' cases of these families, at most [`FAMILIES_MAX`] of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cases_of_families(&self, families: &[FamilyId]) -> Result<Vec<FamilyCase>, StoreError> {
        let failed = StoreError::database("find the cases of families");
        if families.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<Value> = families
            .iter()
            .take(FAMILIES_MAX)
            .map(|family| family.to_string().into())
            .collect();
        let names: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT team, family, said_at, merged_into FROM cases WHERE family IN ({}) ORDER BY family, team",
            names.join(", ")
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        rows.iter().map(family_case).collect()
    }

    /// Carries a team's case along with its family: merges it into the case of the family that was joined, which is opened where there is none, or
    /// splits it off again, with all that follows. Saying the same again, or what is older than what was said last, changes nothing, so that several
    /// dispatchers may say it.
    ///
    /// # Errors
    /// The database failed; it may be said again.
    pub async fn carry(&self, said: &FamilySaid) -> Result<(Carried, Timestamp), StoreError> {
        let failed = StoreError::database("carry a case along with its family");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let carried = Box::pin(carry(self, &mut transaction, said)).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        match carried {
            Carried::Merged { .. } | Carried::Split(_) | Carried::Moved => transaction.commit().await,
            Carried::Unchanged | Carried::Alone | Carried::Later => transaction.rollback().await,
        }
        .map_err(&failed)?;
        Ok((carried, now))
    }

    /// The cases that went into this one of the team, by their ids, at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn merged_cases(&self, team: Team, into: CaseId, limit: u32) -> Result<Vec<Case>, StoreError> {
        let sql = format!("{SELECT_CASES} WHERE c.merged_into = $1 AND c.team = $2 ORDER BY c.case_id LIMIT $3");
        let values = [
            into.to_string().into(),
            team.to_number().into(),
            i64::from(limit).into(),
        ];
        let rows = self.database().fetch(&sql, &values).await;
        let rows = rows.map_err(StoreError::database("read merged cases"))?;
        rows.iter().map(case).collect()
    }
}

async fn carry(store: &Store, transaction: &mut Transaction, said: &FamilySaid) -> Result<Carried, StoreError> {
    let Some(own) = of_family(transaction, said.team, said.family).await? else {
        return Ok(Carried::Unchanged);
    };
    let joins = said.joined != said.family;
    // A group may take a family in and let it go at one time: then the parting is the later of the two.
    let is_known = own
        .said_at
        .is_some_and(|known| if joins { known >= said.at } else { known > said.at });
    if is_known || (!joins && own.merged.is_none()) {
        return Ok(Carried::Unchanged);
    }
    if !joins {
        let Some([mut own]) = lock(transaction, [&own]).await? else {
            return Ok(Carried::Later);
        };
        let now = now(store, transaction).await?;
        split(transaction, &mut own, said.at, now).await?;
        write(transaction, &own, now).await?;
        return Ok(Carried::Split(Box::new(own)));
    }
    let joined = match of_family(transaction, said.team, said.joined).await? {
        Some(joined) => joined,
        None => match own.successor(CaseId(rand::random()), said.joined, said.at) {
            Some(heir) if own.merged.is_none() => {
                let now = now(store, transaction).await?;
                let inserted = insert(transaction, &heir, now).await;
                // Another one may have opened one meanwhile.
                if inserted.map_err(StoreError::database("open the case of a family"))? == 0 {
                    return Ok(Carried::Later);
                }
                came_from(transaction, ("cases", "case_id"), &heir.id.to_string(), own.id).await?;
                heir
            }
            _ => return Ok(Carried::Alone),
        },
    };
    // `None` also where what it joins went into it before and has not left yet, as far as is known.
    let Some(remaining) = end_of(transaction, joined.clone(), Some(own.id)).await? else {
        return Ok(Carried::Later);
    };
    if let Some(merged) = own.merged {
        let Some(end) = end_of(transaction, own.clone(), None).await? else {
            return Ok(Carried::Later);
        };
        if end.id == remaining.id && merged.into == joined.id {
            return Ok(Carried::Unchanged);
        }
        if end.id == remaining.id {
            let Some([mut own, joined]) = lock(transaction, [&own, &joined]).await? else {
                return Ok(Carried::Later);
            };
            let now = now(store, transaction).await?;
            own.belongs_to(joined.id, said.at);
            write(transaction, &own, now).await?;
            return Ok(Carried::Moved);
        }
    }
    if own.notices.open > 0 {
        return Ok(Carried::Later);
    }
    let Some([mut own, mut remaining]) = lock(transaction, [&own, &remaining]).await? else {
        return Ok(Carried::Later);
    };
    let now = now(store, transaction).await?;
    split(transaction, &mut own, said.at, now).await?;
    let effects = match remaining.take_in(&mut own, said.at, now) {
        Merging::Done(effects) => effects,
        Merging::Later => return Ok(Carried::Later),
    };
    if let Some(decision) = &effects.carried {
        let decision = CaseDecision {
            id: DecisionId(rand::random()),
            ..decision.clone()
        };
        remaining.decision = Some(decision.clone());
        write_decision(transaction, &remaining, &decision, now).await?;
        let id = format!("{:032x}", decision.id.0);
        came_from(transaction, ("decisions", "decision_id"), &id, own.id).await?;
        if let Some(copied) = &own.decision {
            carry_evidence(transaction, (copied.id, decision.id)).await?;
        }
    }
    if effects.is_disputed {
        let dispute = CaseDecision {
            id: DecisionId(rand::random()),
            ruling: Ruling::of(Verdict::Disputed, ""),
            decided_by: NOBODY,
            decided_at: now,
            fencing: remaining.fencing,
        };
        write_mark(transaction, &remaining, &dispute, now).await?;
    }
    for case in [&own, &remaining] {
        write(transaction, case, now).await?;
    }
    carry_clocks(transaction, own.id, remaining.id).await?;
    carry_streams(transaction, (own.id, remaining.id), now).await?;
    tell_joined(transaction, &own, (&remaining, now)).await?;
    let note = note(&effects);
    let (own_id, remaining_id) = (own.id.to_string(), remaining.id.to_string());
    write_step(transaction, &step(own.id, "merged_into", &remaining_id, &note), now).await?;
    write_step(transaction, &step(remaining.id, "merged_from", &own_id, &note), now).await?;
    Ok(Carried::Merged {
        cases: Box::new([own, remaining]),
        effects,
    })
}

/// Keeps of which case a row that a merge wrote is a copy.
async fn came_from(
    transaction: &mut Transaction,
    (table, column): (&str, &str),
    id: &str,
    from: CaseId,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE {table} SET carried_from = $2 WHERE {column} = $1");
    let written = transaction.execute(&sql, &[id.into(), from.to_string().into()]).await;
    written
        .map(drop)
        .map_err(StoreError::database("keep where a copy came from"))
}

/// What spoke for a family when it was decided spoke for the copy of its decision.
async fn carry_evidence(transaction: &mut Transaction, (from, to): (DecisionId, DecisionId)) -> Result<(), StoreError> {
    let sql = "UPDATE decisions SET evidence = (SELECT d.evidence FROM decisions d WHERE d.decision_id = $1) \
               WHERE decision_id = $2 AND EXISTS (SELECT 1 FROM decisions d WHERE d.decision_id = $1)";
    let ids = [from, to].map(|id| format!("{:032x}", id.0).into());
    let carried = transaction.execute(sql, &ids).await;
    carried
        .map(drop)
        .map_err(StoreError::database("carry what spoke for a family"))
}

/// What first happened on a platform to one of two cases that became one first happened to both. A case keeps its own for when it parts again.
async fn carry_clocks(transaction: &mut Transaction, from: CaseId, to: CaseId) -> Result<(), StoreError> {
    let sql = "INSERT INTO case_clocks (case_id, platform_id, clock, at) \
               SELECT $2, platform_id, clock, at FROM case_clocks WHERE case_id = $1 \
               ON CONFLICT (case_id, platform_id, clock) DO UPDATE SET at = excluded.at WHERE excluded.at < case_clocks.at";
    let carried = transaction
        .execute(sql, &[from.to_string().into(), to.to_string().into()])
        .await;
    carried
        .map(drop)
        .map_err(StoreError::database("carry the clocks of a case"))
}

/// Splits it off what it went into, if it did.
async fn split(
    transaction: &mut Transaction,
    case: &mut Case,
    said_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(from) = case.merged_into() else {
        return Ok(());
    };
    case.split_off(said_at, now);
    let (own_id, from_id) = (case.id.to_string(), from.to_string());
    write_step(transaction, &step(case.id, "split_from", &from_id, ""), now).await?;
    write_step(transaction, &step(from, "split_off", &own_id, ""), now).await
}

/// A step that nobody did: a group said it of families.
fn step<'a>(case: CaseId, kind: &'static str, about: &'a str, note: &'a str) -> Step<'a> {
    Step {
        case,
        who: None,
        kind,
        about,
        note,
    }
}

/// What came of a merge, in the words of the history.
fn note(effects: &MergeEffects) -> String {
    let lease = match effects.lease {
        MergedLease::None => None,
        MergedLease::Moved(_) => Some("lease_moved"),
        MergedLease::Ended(_) => Some("lease_ended"),
    };
    let words = [
        effects.is_disputed.then_some("disputed"),
        effects.carried.is_some().then_some("decision_carried"),
        lease,
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

async fn write(transaction: &mut Transaction, case: &Case, now: Timestamp) -> Result<(), StoreError> {
    let written = update(transaction, case, now).await;
    written.map_err(StoreError::database("write a case that was carried along"))
}

async fn now(store: &Store, transaction: &mut Transaction) -> Result<Timestamp, StoreError> {
    let now = store.inner.clock.now(transaction).await;
    now.map_err(StoreError::database("ask the clock"))
}

/// As it is now; nothing is locked.
pub(crate) async fn of_family(
    transaction: &mut Transaction,
    team: Team,
    family: FamilyId,
) -> Result<Option<Case>, StoreError> {
    let sql = format!("{SELECT_CASES} WHERE c.family = $1 AND c.team = $2");
    let rows = transaction
        .fetch(&sql, &[family.to_string().into(), team.to_number().into()])
        .await
        .map_err(StoreError::database("find the case of a family"))?;
    rows.first().map(case).transpose()
}

/// The case that it went into in the end: itself, where it went nowhere. `None`: that is too far, or goes by this one.
pub(crate) async fn end_of(
    transaction: &mut Transaction,
    mut end: Case,
    not_by: Option<CaseId>,
) -> Result<Option<Case>, StoreError> {
    for _ in 0..STEPS_MAX {
        if Some(end.id) == not_by {
            return Ok(None);
        }
        let Some(into) = end.merged_into() else {
            return Ok(Some(end));
        };
        let sql = format!("{SELECT_CASES} WHERE c.case_id = $1");
        let rows = transaction
            .fetch(&sql, &[into.to_string().into()])
            .await
            .map_err(StoreError::database("find the case that another went into"))?;
        end = case(rows.first().ok_or(StoreError::Malformed { field: "merged_into" })?)?;
    }
    Ok(None)
}

/// These cases, locked; `None` if somebody holds one of them, or changed where it went. Nobody is waited for, so that nobody waits in a circle.
pub(super) async fn lock<const COUNT: usize>(
    transaction: &mut Transaction,
    found: [&Case; COUNT],
) -> Result<Option<[Case; COUNT]>, StoreError> {
    let mut held = Vec::with_capacity(COUNT);
    for seen in found {
        let values = [seen.id.to_string().into()];
        let rows = super::locked(transaction, "WHERE c.case_id = $1", &values, Locked::CasesNobodyHolds)
            .await
            .map_err(StoreError::database("lock a case that is carried along"))?;
        let read = rows.first().map(case).transpose()?;
        held.extend(read.filter(|case| (case.merged, case.said_at) == (seen.merged, seen.said_at)));
    }
    Ok(held.try_into().ok())
}

fn family_case(row: &Row) -> Result<FamilyCase, StoreError> {
    let failed = StoreError::database("find the cases of families");
    let family = ContentId::parse(&row.text("family").map_err(&failed)?);
    Ok(FamilyCase {
        team: team(row)?,
        family: FamilyId(family.ok_or(StoreError::Malformed { field: "family" })?),
        said_at: row.integer_if_any("said_at").map_err(&failed)?.map(Timestamp),
        is_merged: row.text_if_any("merged_into").map_err(&failed)?.is_some(),
    })
}
