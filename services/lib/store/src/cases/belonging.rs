//! To which families members belong that were told of decisions: as a group said it last, for when they are hot no more and nobody says it.

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_model::{ContentId, FamilyId, Timestamp};

use super::fan_out::content;
use super::team;
use crate::database::{Value, values_from};
use crate::{Store, StoreError};

/// How many ids one statement names.
const IDS_PER_STATEMENT: usize = 200;

/// A member that a team was told a decision of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Belonging {
    /// Whose decision.
    pub team: Team,
    /// Which.
    pub content: ContentId,
    /// The family that it was said last to belong to for the team; `None` where that was not noted.
    pub belongs_to: Option<FamilyId>,
    /// When that was said; where it was not noted, when it was said that the content belongs to the decision's family.
    pub said_at: Timestamp,
}

impl Store {
    /// Those of these contents that were told of decisions, for each team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn belongings(&self, contents: &[ContentId]) -> Result<Vec<Belonging>, StoreError> {
        let failed = StoreError::database("read where members belong");
        let mut found = Vec::new();
        for contents in contents.chunks(IDS_PER_STATEMENT) {
            let values: Vec<Value> = contents
                .iter()
                .map(|content| Value::from(content.to_string()))
                .collect();
            let sql = format!(
                "SELECT team, content, belongs_to, said_at FROM member_decisions WHERE content IN ({}) ORDER BY team, content",
                values_from(1, contents.len())
            );
            for row in &self.database().fetch(&sql, &values).await.map_err(&failed)? {
                found.push(Belonging {
                    team: team(row)?,
                    content: content(row)?,
                    belongs_to: super::members::belongs_to(row)?,
                    said_at: Timestamp(row.integer("said_at").map_err(&failed)?),
                });
            }
        }
        Ok(found)
    }

    /// Notes to which families members belong now. What was said before what is known changes nothing: whoever reads from the beginning says it again.
    ///
    /// # Errors
    /// The database failed; it may be said again.
    pub async fn note_belongings(&self, belongings: &[Belonging]) -> Result<(), StoreError> {
        let failed = StoreError::database("note where members belong");
        if belongings.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // In one order, whoever notes.
        for of in belongings.iter().collect::<BTreeSet<_>>() {
            let family = of.belongs_to.map(|family| family.to_string());
            let values = [
                of.team.to_number().into(),
                of.content.to_string().into(),
                family.into(),
                of.said_at.into(),
            ];
            let sql = "UPDATE member_decisions SET belongs_to = $3, said_at = $4 WHERE team = $1 AND content = $2 AND said_at <= $4";
            transaction.execute(sql, &values).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}
