use super::SELECT_CASES;
use crate::database::{Locked, Row, Transaction, Value};

/// The rows of the cases that `clause` names (`WHERE ... ORDER BY ... LIMIT ...`, of `cases c` alone), locked, in its order.
///
/// A statement of PostgreSQL that waited for a row reads that row again and nothing else: what is joined to it stays as it was before the wait, and a
/// decision that was made meanwhile would be missing. So cases are locked by one statement and read by another.
pub(crate) async fn locked(
    transaction: &mut Transaction,
    clause: &str,
    values: &[Value],
    how: Locked,
) -> Result<Vec<Row>, sqlx::Error> {
    let sql = format!("SELECT c.case_id FROM cases c {clause}{}", transaction.for_update(how));
    let held = transaction.fetch(&sql, values).await?;
    let sql = format!("{SELECT_CASES} WHERE c.case_id = $1");
    let mut rows = Vec::with_capacity(held.len());
    for row in &held {
        rows.append(&mut transaction.fetch(&sql, &[row.text("case_id")?.into()]).await?);
    }
    Ok(rows)
}
