//! Which contents the team's cases know as members of a family, beside those that groups announce: what went cold is announced no more.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{CaseId, ClockKind, Refusal, Team};
use tocsin_model::{ContentId, FamilyId, Timestamp};

use super::fan_out::content;
use super::lineage::Lineage;
use super::{SELECT_CASES, case};
use crate::database::{Row, Transaction, Value, values_from};
use crate::{Store, StoreError};

/// How many ids one statement names.
const IDS_PER_STATEMENT: usize = 200;
/// How many contents are read that appeals took out of decisions, the latest: people say of each.
const EXCEPTED_MAX: i64 = 50_000;

/// What a case, those that went into it and those that it went into know of their family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseContents {
    /// The case that people see of it.
    pub case: CaseId,
    /// Its family.
    pub family: FamilyId,
    /// The families of these cases, this one among them: each has the name of the content that founded it.
    pub families: BTreeSet<FamilyId>,
    /// The contents that were told of a decision of one, and the family that each was said last to belong to, where that was noted.
    pub told: BTreeMap<ContentId, Option<FamilyId>>,
    /// Whether more were told.
    pub has_more: bool,
    /// What the decision that is out is not about: its exceptions, and what appeals took out of it.
    pub excepted: BTreeSet<ContentId>,
    /// When the first of it was seen or reported; `None` where nobody says that it ever was, as of a case that a notice opened.
    pub since: Option<Timestamp>,
    /// The store's time of the answer.
    pub now: Timestamp,
}

impl Store {
    /// What is known of the family of a team's case from the casework alone: at most `limit` contents that were told of decisions.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`] also for another team's; or the database failed.
    pub async fn case_contents(&self, team: Team, id: CaseId, limit: usize) -> Result<CaseContents, StoreError> {
        let failed = StoreError::database("read what belongs to a case");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let lineage = Lineage::of(&mut reading, team, (&BTreeSet::from([id]), &BTreeSet::new())).await?;
        lineage.family(id).ok_or(Refusal::NoSuchCase)?;
        let case = lineage.end(id);
        let family = lineage.family(case).ok_or(Refusal::NoSuchCase)?;
        let cases = lineage.together(id);
        let ids: Vec<String> = cases.iter().map(ToString::to_string).collect();
        let (mut told, mut since) = (BTreeMap::new(), None);
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            // One more than there is room for says that there are more.
            if told.len() <= limit {
                told.extend(told_of(&mut reading, team, ids, limit + 1 - told.len()).await?);
            }
            let first = first(&mut reading, ids).await?;
            since = since.into_iter().chain(first).min();
        }
        let has_more = told.len() > limit;
        while told.len() > limit {
            told.pop_last();
        }
        let now = self.inner.clock.now(&mut reading).await.map_err(&failed)?;
        let excepted = excepted(&mut reading, (team, case), now).await?;
        reading.rollback().await.map_err(&failed)?;
        Ok(CaseContents {
            case,
            family,
            families: cases.iter().filter_map(|case| lineage.family(*case)).collect(),
            told,
            has_more,
            excepted,
            since,
            now,
        })
    }
}

async fn told_of(
    reading: &mut Transaction,
    team: Team,
    cases: &[String],
    limit: usize,
) -> Result<Vec<(ContentId, Option<FamilyId>)>, StoreError> {
    let failed = StoreError::database("read what was told of a case's decisions");
    let mut values: Vec<Value> = vec![team.to_number().into(), (limit as i64).into()];
    values.extend(cases.iter().map(|case| Value::from(case.as_str())));
    let sql = format!(
        "SELECT m.content, m.belongs_to FROM member_decisions m JOIN decisions d ON d.decision_id = m.decision_id \
         WHERE m.team = $1 AND d.case_id IN ({}) ORDER BY m.content LIMIT $2",
        values_from(3, cases.len())
    );
    let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
    rows.iter().map(|row| Ok((content(row)?, belongs_to(row)?))).collect()
}

/// What the decision of a case that is out at `now` is not about.
async fn excepted(
    reading: &mut Transaction,
    (team, id): (Team, CaseId),
    now: Timestamp,
) -> Result<BTreeSet<ContentId>, StoreError> {
    let failed = StoreError::database("read what a decision is not about");
    let sql = format!("{SELECT_CASES} WHERE c.case_id = $1 AND c.team = $2");
    let values = [id.to_string().into(), team.to_number().into()];
    let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
    let shown = case(rows.first().ok_or(Refusal::NoSuchCase)?)?;
    let Some(decision) = shown.decision_out(now) else {
        return Ok(BTreeSet::new());
    };
    let mut excepted: BTreeSet<ContentId> = decision.ruling.grounds.exceptions.iter().copied().collect();
    let sql = "SELECT content FROM appeal_exceptions WHERE team = $1 AND excepted_at >= $2 ORDER BY excepted_at DESC LIMIT $3";
    let values = [team.to_number().into(), decision.decided_at.into(), EXCEPTED_MAX.into()];
    for row in &reading.fetch(sql, &values).await.map_err(&failed)? {
        excepted.insert(content(row)?);
    }
    Ok(excepted)
}

/// The family that a member was said last to belong to.
pub(super) fn belongs_to(row: &Row) -> Result<Option<FamilyId>, StoreError> {
    let failed = StoreError::database("read where a member belongs");
    let family = row.text_if_any("belongs_to").map_err(failed)?;
    let family = family.map(|text| ContentId::parse(&text).ok_or(StoreError::Malformed { field: "belongs_to" }));
    Ok(family.transpose()?.map(FamilyId))
}

/// When the first was seen or reported that these cases know of; not after the first was opened, whatever the clocks of sources say.
async fn first(reading: &mut Transaction, cases: &[String]) -> Result<Option<Timestamp>, StoreError> {
    let failed = StoreError::database("read when cases were first seen");
    let values: Vec<Value> = cases.iter().map(|case| Value::from(case.as_str())).collect();
    let named = values_from(1, cases.len());
    let [seen, reported] = [ClockKind::FirstSeen as i64, ClockKind::FirstReport as i64];
    let sql = format!(
        "SELECT min(opened_at) AS opened, min(first_seen) AS seen, \
         (SELECT min(at) FROM case_clocks WHERE clock IN ({seen}, {reported}) AND case_id IN ({named})) AS told \
         FROM cases WHERE case_id IN ({named})"
    );
    let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "first_seen" })?;
    let mut first = None;
    for column in ["seen", "told"] {
        let at = row.integer_if_any(column).map_err(&failed)?;
        // The greatest number stands for a case that was never seen.
        let at = at.filter(|at| *at < i64::MAX).map(Timestamp);
        first = first.into_iter().chain(at).min();
    }
    let opened = row.integer("opened").map(Timestamp).map_err(&failed)?;
    Ok(first.map(|first: Timestamp| first.min(opened)))
}
