//! What the store keeps about a case, row by row, as JSON: what people did, decided, wanted and appealed against. Not the case itself, whose figures are told to
//! its team in a form of their own.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use tocsin_casework::{CaseId, Refusal, Team};

use crate::cases::lineage::Lineage;
use crate::database::{Row, Value, values_from};
use crate::{Store, StoreError};

/// How many rows are read at a time.
pub const CASE_ROWS_PAGE: u32 = 500;
/// The most cases whose rows are read together: the one and those that went into it.
const CASES_MAX: usize = 1_000;

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseRows {
    /// What people did with it.
    Steps,
    /// What was decided.
    Decisions,
    /// What authorities and flaggers wanted.
    Notices,
    /// What was appealed against.
    Appeals,
}

/// Some rows about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRowsRead {
    /// Each a line of JSON: the columns by their names, as the migrations describe them, times in milliseconds since 1970.
    pub lines: Vec<String>,
    /// Whether more cases went into it than are read together: rows of those are missing.
    pub is_cut: bool,
}

#[derive(Clone, Copy)]
enum Column {
    Text(&'static str),
    Number(&'static str),
}

use Column::{Number, Text};

impl CaseRows {
    /// All of them.
    pub const ALL: [CaseRows; 4] = [
        CaseRows::Steps,
        CaseRows::Decisions,
        CaseRows::Notices,
        CaseRows::Appeals,
    ];

    /// The name of the file that they are copied to.
    pub fn file(self) -> &'static str {
        match self {
            CaseRows::Steps => "steps.jsonl",
            CaseRows::Decisions => "decisions.jsonl",
            CaseRows::Notices => "notices.jsonl",
            CaseRows::Appeals => "appeals.jsonl",
        }
    }

    /// The table, and what its rows are ordered by: what comes later stands behind.
    fn table(self) -> (&'static str, &'static str) {
        match self {
            CaseRows::Steps => ("case_history", "sequence"),
            CaseRows::Decisions => ("decisions", "decided_at, decision_id"),
            CaseRows::Notices => ("notices", "sequence"),
            CaseRows::Appeals => ("appeals", "sequence"),
        }
    }

    /// Every column of the table.
    fn columns(self) -> &'static [Column] {
        match self {
            CaseRows::Steps => &[
                Number("sequence"),
                Text("case_id"),
                Number("at"),
                Text("key_id"),
                Text("kind"),
                Text("about"),
                Text("note"),
            ],
            CaseRows::Decisions => &[
                Text("decision_id"),
                Text("case_id"),
                Number("verdict"),
                Text("rationale"),
                Text("decided_by"),
                Number("decided_at"),
                Number("fencing"),
                Text("grounds"),
                Number("withdrawn_at"),
                Text("carried_from"),
                Number("evidence"),
            ],
            CaseRows::Notices => &[
                Number("sequence"),
                Text("notice_id"),
                Number("team"),
                Text("case_id"),
                Number("kind"),
                Text("authority"),
                Text("reference"),
                Number("part"),
                Text("content"),
                Number("platform_id"),
                Number("received_at"),
                Number("asked_due_at"),
                Text("urls"),
                Text("statement"),
                Text("filed_by"),
                Number("filed_at"),
                Number("due_at"),
                Number("ground"),
                Text("suspended_note"),
                Number("suspended_at"),
                Text("suspended_by"),
                Number("outcome"),
                Text("answer_note"),
                Number("answered_at"),
                Text("answered_by"),
                Number("overdue_at"),
            ],
            CaseRows::Appeals => &[
                Number("sequence"),
                Text("appeal_id"),
                Number("team"),
                Text("reference"),
                Number("platform_id"),
                Text("content"),
                Text("content_id"),
                Number("against"),
                Text("reason"),
                Text("family"),
                Text("case_id"),
                Text("decision_id"),
                Text("filed_by"),
                Number("filed_at"),
                Number("fencing"),
                Text("lease_holder"),
                Number("lease_expires_at"),
                Number("outcome"),
                Number("concerns"),
                Number("cause"),
                Number("verdict"),
                Text("answer_note"),
                Number("answered_at"),
                Text("answered_by"),
                Number("answered_under"),
                Text("answered_with"),
            ],
        }
    }
}

impl Column {
    fn name(self) -> &'static str {
        let (Text(name) | Number(name)) = self;
        name
    }

    fn of(self, row: &Row) -> Result<Json, sqlx::Error> {
        match self {
            Text(name) => row.text_if_any(name).map(Json::from),
            Number(name) => row.integer_if_any(name).map(Json::from),
        }
    }
}

impl Store {
    /// At most [`CASE_ROWS_PAGE`] rows behind the first `after` about a team's case and those that went into it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`], also for another team's; or the database failed.
    pub async fn case_rows(
        &self,
        (team, id): (Team, CaseId),
        of: CaseRows,
        after: u64,
    ) -> Result<CaseRowsRead, StoreError> {
        let failed = StoreError::database("read what is known of a case");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let lineage = Lineage::of(&mut reading, team, (&BTreeSet::from([id]), &BTreeSet::new())).await?;
        lineage.family(id).ok_or(Refusal::NoSuchCase)?;
        let together = lineage.together(id);
        let is_cut = together.len() > CASES_MAX || lineage.is_full();
        // The case itself, whatever else is left out.
        let others = together.into_iter().filter(|other| *other != id);
        let cases: Vec<CaseId> = std::iter::once(id).chain(others).take(CASES_MAX).collect();
        let mut values: Vec<Value> = vec![i64::from(CASE_ROWS_PAGE).into(), (after as i64).into()];
        values.extend(cases.iter().map(|case| Value::from(case.to_string())));
        let (table, order) = of.table();
        let columns: Vec<&str> = of.columns().iter().map(|column| column.name()).collect();
        let sql = format!(
            "SELECT {} FROM {table} WHERE case_id IN ({}) ORDER BY {order} LIMIT $1 OFFSET $2",
            columns.join(", "),
            values_from(3, cases.len())
        );
        let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
        reading.rollback().await.map_err(&failed)?;
        let line = |row: &Row| {
            let fields = of.columns().iter();
            let fields = fields.map(|column| Ok((column.name().to_owned(), column.of(row)?)));
            let fields: Map<String, Json> = fields.collect::<Result<_, sqlx::Error>>()?;
            Ok(Json::Object(fields).to_string())
        };
        let lines = rows.iter().map(line).collect::<Result<_, sqlx::Error>>();
        let lines = lines.map_err(&failed)?;
        Ok(CaseRowsRead { lines, is_cut })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: no column of what is copied is forgotten.
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn every_column_is_copied() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("store").display());
        let database = Database::open(&url).await.unwrap();
        for of in CaseRows::ALL {
            let sql = format!("SELECT name FROM pragma_table_info('{}') ORDER BY cid", of.table().0);
            let rows = database.fetch(&sql, &[]).await.unwrap();
            let wanted: Vec<String> = rows.iter().map(|row| row.text("name").unwrap()).collect();
            let copied: Vec<&str> = of.columns().iter().map(|column| column.name()).collect();
            assert_eq!(copied, wanted, "{of:?}");
        }
    }
}
