//! Which cases belong together: those that went one into the other, up and down. Asked when it is needed, for cases part again.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{CaseId, Team};
use tocsin_model::{ContentId, FamilyId};

use crate::StoreError;
use crate::database::{Row, Transaction, Value, values_from};

/// The most cases that are read at a time. Those that are nearest are read first; what is farther is not known of.
pub(crate) const LINEAGE_MAX: usize = 10_000;
/// So many steps are followed in each direction, as many as `carry` follows.
const STEPS_MAX: usize = 16;
/// How many ids one statement names.
const IDS_PER_STATEMENT: usize = 200;

/// The cases of a team that some of its cases and families went into or came from.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    cases: BTreeMap<CaseId, Known>,
    of_family: BTreeMap<FamilyId, CaseId>,
    from: BTreeMap<CaseId, Vec<CaseId>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    family: FamilyId,
    into: Option<CaseId>,
}

impl Lineage {
    /// What belongs together with these cases and with the cases of these families, as it is now.
    pub(crate) async fn of(
        transaction: &mut Transaction,
        team: Team,
        (cases, families): (&BTreeSet<CaseId>, &BTreeSet<FamilyId>),
    ) -> Result<Lineage, StoreError> {
        let mut lineage = Lineage::default();
        let asked = families.iter().map(|family| family.to_string()).collect();
        lineage.read(transaction, team, ("family", asked)).await?;
        let mut up: BTreeSet<CaseId> = cases.clone();
        for _ in 0..=STEPS_MAX {
            up.retain(|case| !lineage.cases.contains_key(case));
            let asked = up.iter().map(|case| case.to_string()).collect();
            lineage.read(transaction, team, ("case_id", asked)).await?;
            up = lineage.cases.values().filter_map(|known| known.into).collect();
        }
        let mut down: Vec<CaseId> = lineage.cases.keys().copied().collect();
        for _ in 0..STEPS_MAX {
            let asked = down.iter().map(|case| case.to_string()).collect();
            down = lineage.read(transaction, team, ("merged_into", asked)).await?;
        }
        for (id, known) in &lineage.cases {
            if let Some(into) = known.into {
                lineage.from.entry(into).or_default().push(*id);
            }
        }
        Ok(lineage)
    }

    /// All that were read.
    pub(crate) fn cases(&self) -> impl Iterator<Item = CaseId> + '_ {
        self.cases.keys().copied()
    }

    /// Whether so many were read that there may be more.
    pub(crate) fn is_full(&self) -> bool {
        self.cases.len() >= LINEAGE_MAX
    }

    /// The team's case of this family, if it has one.
    pub(crate) fn case_of(&self, family: FamilyId) -> Option<CaseId> {
        self.of_family.get(&family).copied()
    }

    /// The family of a case.
    pub(crate) fn family(&self, case: CaseId) -> Option<FamilyId> {
        self.cases.get(&case).map(|known| known.family)
    }

    /// The case that people see of what this one went into.
    pub(crate) fn end(&self, mut case: CaseId) -> CaseId {
        for _ in 0..STEPS_MAX {
            match self.cases.get(&case).and_then(|known| known.into) {
                Some(into) => case = into,
                None => break,
            }
        }
        case
    }

    /// All cases that are in the end in the same one as this; itself among them.
    pub(crate) fn together(&self, case: CaseId) -> BTreeSet<CaseId> {
        let mut found = BTreeSet::new();
        let mut next = vec![self.end(case)];
        while let Some(case) = next.pop() {
            if found.insert(case) {
                next.extend(self.from.get(&case).into_iter().flatten());
            }
        }
        found.insert(case);
        found
    }

    /// Reads the cases of which a column has one of these values; those that were not known.
    async fn read(
        &mut self,
        transaction: &mut Transaction,
        team: Team,
        (column, ids): (&str, Vec<String>),
    ) -> Result<Vec<CaseId>, StoreError> {
        let failed = StoreError::database("read which cases belong together");
        let mut new = Vec::new();
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            let left = LINEAGE_MAX.saturating_sub(self.cases.len());
            if left == 0 {
                break;
            }
            let mut values: Vec<Value> = vec![team.to_number().into()];
            values.extend(ids.iter().map(|id| Value::from(id.as_str())));
            let sql = format!(
                "SELECT case_id, family, merged_into FROM cases WHERE team = $1 AND {column} IN ({}) LIMIT {left}",
                values_from(2, ids.len())
            );
            for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
                let (id, known) = known(row)?;
                if self.cases.insert(id, known).is_none() {
                    new.push(id);
                }
                self.of_family.insert(known.family, id);
            }
        }
        Ok(new)
    }
}

fn known(row: &Row) -> Result<(CaseId, Known), StoreError> {
    let failed = StoreError::database("read which cases belong together");
    let malformed = |field| StoreError::Malformed { field };
    let id = row.text("case_id").map_err(&failed)?;
    let family = ContentId::parse(&row.text("family").map_err(&failed)?);
    let into = row.text_if_any("merged_into").map_err(&failed)?;
    let known = Known {
        family: FamilyId(family.ok_or(malformed("family"))?),
        into: into
            .map(|id| id.parse().map_err(|_| malformed("merged_into")))
            .transpose()?,
    };
    Ok((id.parse().map_err(|_| malformed("case_id"))?, known))
}
