//! Who decided about what an appeal is against or what is reviewed, and so may not answer it: asked of the decisions themselves.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{Appeal, CaseId, Part, Review, Team};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId};

use super::lineage::Lineage;
use super::row::decision_id;
use crate::StoreError;
use crate::database::{Row, Transaction, Value, values_from};

/// How many ids one statement names.
const IDS_PER_STATEMENT: usize = 200;

/// A key, and the person of the team that it was issued to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reviewer {
    pub key: KeyId,
    pub person: Option<String>,
}

/// What is asked about: what an appeal or a review is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub case: Option<CaseId>,
    pub family: FamilyId,
    /// What the content was told of last counts too.
    pub content: Option<ContentId>,
    pub decision: Option<DecisionId>,
}

impl From<&Appeal> for Asked {
    fn from(appeal: &Appeal) -> Asked {
        Asked {
            case: appeal.case,
            family: appeal.family,
            content: Some(appeal.content),
            decision: appeal.decision,
        }
    }
}

impl From<&Review> for Asked {
    fn from(review: &Review) -> Asked {
        Asked {
            case: Some(review.case),
            family: review.family,
            content: None,
            decision: review.decision,
        }
    }
}

/// Who decided about some of what one team is asked about.
#[derive(Debug)]
pub(crate) struct Deciders {
    lineage: Lineage,
    /// Who decided about what is in the end in this case.
    of_end: BTreeMap<CaseId, BTreeSet<Reviewer>>,
    of_decision: BTreeMap<DecisionId, Reviewer>,
    /// Which decision each content was told of last.
    told: BTreeMap<ContentId, DecisionId>,
    /// A case that one of them turned out to be about.
    also: Option<CaseId>,
}

impl Deciders {
    /// Who decided about these cases of the team, about those that went into them or that they went into; who made the decision that
    /// each names; and of what its content was told of last. `also` is one more case of all of them.
    pub(crate) async fn of(
        transaction: &mut Transaction,
        team: Team,
        asked: impl Iterator<Item = Asked> + Clone,
        also: Option<CaseId>,
    ) -> Result<Deciders, StoreError> {
        let cases = asked.clone().filter_map(|of| of.case).chain(also).collect();
        let families = asked.clone().map(|of| of.family).collect();
        let contents: BTreeSet<ContentId> = asked.clone().filter_map(|of| of.content).collect();
        let told = told(transaction, team, &contents).await?;
        let named: BTreeSet<DecisionId> = asked.filter_map(|of| of.decision).collect();
        let decisions: BTreeSet<DecisionId> = named.iter().chain(told.values()).copied().collect();
        let mut deciders = Deciders {
            lineage: Lineage::of(transaction, team, (&cases, &families)).await?,
            of_end: BTreeMap::new(),
            of_decision: BTreeMap::new(),
            told,
            also,
        };
        let ids: Vec<String> = decisions.iter().map(|id| format!("{:032x}", id.0)).collect();
        for row in &decided(transaction, team, ("d.decision_id", ids)).await? {
            let id = row.text("id").map_err(StoreError::database("ask who decided"))?;
            deciders.of_decision.insert(decision_id(&id)?, reviewer(row)?);
        }
        let ids: Vec<String> = deciders.lineage.cases().map(|case| case.to_string()).collect();
        for row in &decided(transaction, team, ("d.case_id", ids)).await? {
            let id = row.text("id").map_err(StoreError::database("ask who decided"))?;
            let id = id.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?;
            let end = deciders.lineage.end(id);
            deciders.of_end.entry(end).or_default().insert(reviewer(row)?);
        }
        Ok(deciders)
    }

    /// What part this one had in what is asked about.
    pub(crate) fn part(&self, of: Asked, who: &Reviewer) -> Part {
        match self.about(of).iter().any(|decider| is_same(decider, who)) {
            true => Part::Decided,
            false => Part::None,
        }
    }

    /// That an appeal waits, and none of these may answer it.
    pub(crate) fn is_without_reviewer(&self, appeal: &Appeal, reviewers: &[Reviewer]) -> bool {
        let deciders = self.about(appeal.into());
        let decided = |who: &Reviewer| deciders.iter().any(|decider| is_same(decider, who));
        appeal.answer.is_none() && reviewers.iter().all(decided)
    }

    fn about(&self, of: Asked) -> BTreeSet<&Reviewer> {
        let of_family = self.lineage.case_of(of.family);
        let own = of.case.into_iter().chain(of_family).chain(self.also);
        let ends = own.map(|case| self.lineage.end(case));
        let of_cases = ends.filter_map(|end| self.of_end.get(&end)).flatten();
        let told = of.content.and_then(|content| self.told.get(&content)).copied();
        let decisions = of.decision.into_iter().chain(told);
        of_cases
            .chain(decisions.filter_map(|id| self.of_decision.get(&id)))
            .collect()
    }
}

/// One person, under whichever of their keys.
fn is_same(decider: &Reviewer, who: &Reviewer) -> bool {
    decider.key == who.key || (decider.person.is_some() && decider.person == who.person)
}

/// Who moderates for a team: its people, where keys were issued to people; else each key. A machine's key, as that of an adapter, is nobody who
/// answers where there are people.
pub(crate) async fn reviewers(transaction: &mut Transaction, team: Team) -> Result<Vec<Reviewer>, StoreError> {
    let failed = StoreError::database("ask who moderates");
    let sql = "SELECT k.key_id AS decided_by, k.person FROM api_keys k WHERE k.subject = $1 AND k.revoked_at IS NULL \
               AND ' ' || k.roles || ' ' LIKE '% moderator %'";
    let rows = transaction.fetch(sql, &[team.to_number().into()]).await;
    let found = rows
        .map_err(&failed)?
        .iter()
        .map(reviewer)
        .collect::<Result<Vec<_>, _>>();
    let mut found = found?;
    if found.iter().any(|reviewer| reviewer.person.is_some()) {
        found.retain(|reviewer| reviewer.person.is_some());
    }
    Ok(found)
}

/// Whose this key is.
pub(crate) async fn holder(transaction: &mut Transaction, team: Team, key: KeyId) -> Result<Reviewer, StoreError> {
    let failed = StoreError::database("ask whose a key is");
    let sql = "SELECT person FROM api_keys WHERE key_id = $1 AND subject = $2";
    let values = [key.to_string().into(), team.to_number().into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let person = rows.first().map(|row| row.text_if_any("person")).transpose();
    Ok(Reviewer {
        key,
        person: person.map_err(&failed)?.flatten(),
    })
}

/// Of which decision of the team each of these contents was told last.
pub(crate) async fn told(
    transaction: &mut Transaction,
    team: Team,
    contents: &BTreeSet<ContentId>,
) -> Result<BTreeMap<ContentId, DecisionId>, StoreError> {
    let failed = StoreError::database("ask what contents were told of");
    let contents: Vec<String> = contents.iter().map(|content| content.to_string()).collect();
    let mut found = BTreeMap::new();
    for contents in contents.chunks(IDS_PER_STATEMENT) {
        let mut values: Vec<Value> = vec![team.to_number().into()];
        values.extend(contents.iter().map(|content| Value::from(content.as_str())));
        let sql = format!(
            "SELECT content, decision_id FROM member_decisions WHERE team = $1 AND content IN ({})",
            values_from(2, contents.len())
        );
        for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
            let content = ContentId::parse(&row.text("content").map_err(&failed)?);
            let content = content.ok_or(StoreError::Malformed { field: "content" })?;
            found.insert(content, decision_id(&row.text("decision_id").map_err(&failed)?)?);
        }
    }
    Ok(found)
}

/// The cases of these decisions.
pub(crate) async fn cases_of(
    transaction: &mut Transaction,
    decisions: &BTreeSet<DecisionId>,
) -> Result<BTreeMap<DecisionId, CaseId>, StoreError> {
    let failed = StoreError::database("ask what decisions are about");
    let ids: Vec<String> = decisions.iter().map(|id| format!("{:032x}", id.0)).collect();
    let mut found = BTreeMap::new();
    for ids in ids.chunks(IDS_PER_STATEMENT) {
        let values: Vec<Value> = ids.iter().map(|id| Value::from(id.as_str())).collect();
        let sql = format!(
            "SELECT decision_id, case_id FROM decisions WHERE decision_id IN ({})",
            values_from(1, ids.len())
        );
        for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
            let id = decision_id(&row.text("decision_id").map_err(&failed)?)?;
            let case = row.text("case_id").map_err(&failed)?.parse();
            found.insert(id, case.map_err(|_| StoreError::Malformed { field: "case_id" })?);
        }
    }
    Ok(found)
}

/// Who made the decisions of which a column has one of these values, and that value. Those that were taken back are none.
async fn decided(
    transaction: &mut Transaction,
    team: Team,
    (column, ids): (&str, Vec<String>),
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for ids in ids.chunks(IDS_PER_STATEMENT) {
        let mut values: Vec<Value> = vec![team.to_number().into()];
        values.extend(ids.iter().map(|id| Value::from(id.as_str())));
        let sql = format!(
            "SELECT DISTINCT {column} AS id, d.decided_by, w.person FROM decisions d LEFT JOIN api_keys w ON w.key_id = d.decided_by AND w.subject = $1 \
             WHERE d.withdrawn_at IS NULL AND {column} IN ({})",
            values_from(2, ids.len())
        );
        let found = transaction.fetch(&sql, &values).await;
        rows.extend(found.map_err(StoreError::database("ask who decided"))?);
    }
    Ok(rows)
}

fn reviewer(row: &Row) -> Result<Reviewer, StoreError> {
    let failed = StoreError::database("ask who decided");
    let key = row.text("decided_by").map_err(&failed)?.parse();
    Ok(Reviewer {
        key: key.map_err(|_| StoreError::Malformed { field: "decided_by" })?,
        person: row.text_if_any("person").map_err(&failed)?,
    })
}
