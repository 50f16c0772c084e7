//! Which contents the team's cases know as members of a family, beside those that groups announce: what went cold is announced no more.

use std::collections::BTreeSet;

use tocsin_casework::{CaseId, ClockKind, Refusal, Team};
use tocsin_model::{ContentId, FamilyId, Timestamp};

use super::fan_out::IS_NOT_EXCEPTED;
use super::lineage::Lineage;
use crate::database::{Transaction, Value, values_from};
use crate::{Store, StoreError};

/// How many ids one statement names.
const IDS_PER_STATEMENT: usize = 200;

/// What a case, those that went into it and those that it went into know of their family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseContents {
    /// The case that people see of it.
    pub case: CaseId,
    /// Its family.
    pub family: FamilyId,
    /// The contents that founded the families of these cases, and those that were told of a decision of one.
    pub contents: BTreeSet<ContentId>,
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
    pub async fn case_contents(&self, team: Team, id: CaseId, limit: u32) -> Result<CaseContents, StoreError> {
        let failed = StoreError::database("read what belongs to a case");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let lineage = Lineage::of(&mut reading, team, (&BTreeSet::from([id]), &BTreeSet::new())).await?;
        lineage.family(id).ok_or(Refusal::NoSuchCase)?;
        let case = lineage.end(id);
        let family = lineage.family(case).ok_or(Refusal::NoSuchCase)?;
        let cases = lineage.together(id);
        let mut contents: BTreeSet<ContentId> = cases
            .iter()
            .filter_map(|case| lineage.family(*case))
            .map(|of| of.0)
            .collect();
        let ids: Vec<String> = cases.iter().map(ToString::to_string).collect();
        let mut since = None;
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            contents.extend(told(&mut reading, team, ids, limit).await?);
            let first = first(&mut reading, ids).await?;
            since = since.into_iter().chain(first).min();
        }
        let now = self.inner.clock.now(&mut reading).await.map_err(&failed)?;
        reading.rollback().await.map_err(&failed)?;
        Ok(CaseContents {
            case,
            family,
            contents,
            since,
            now,
        })
    }
}

async fn told(
    reading: &mut Transaction,
    team: Team,
    cases: &[String],
    limit: u32,
) -> Result<Vec<ContentId>, StoreError> {
    let failed = StoreError::database("read what was told of a case's decisions");
    let mut values: Vec<Value> = vec![team.to_number().into(), i64::from(limit).into()];
    values.extend(cases.iter().map(|case| Value::from(case.as_str())));
    let sql = format!(
        "SELECT m.content FROM member_decisions m JOIN decisions d ON d.decision_id = m.decision_id \
         WHERE m.team = $1 AND d.case_id IN ({}) AND {IS_NOT_EXCEPTED} ORDER BY m.content LIMIT $2",
        values_from(3, cases.len())
    );
    let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
    let contents = rows.iter().map(|row| {
        let content = ContentId::parse(&row.text("content").map_err(&failed)?);
        content.ok_or(StoreError::Malformed { field: "content" })
    });
    contents.collect()
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
