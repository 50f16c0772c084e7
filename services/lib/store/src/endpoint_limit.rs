//! What the endpoints of a deployment may be beside one another, asked inside the transaction that changes one.

use tocsin_model::Name;

use crate::StoreError;
use crate::database::Transaction;
use crate::endpoint::{ENDPOINTS_MAX, EndpointKind};
use crate::party::name;

/// Names the lock of those who write what endpoints may not be beside one another.
const ENDPOINTS_LOCK: i64 = 0x746f_6373_656e_6470;

/// Waits until nobody else writes what endpoints may not be beside one another. Before any of their rows is written: whoever has this lock waits for rows.
pub(crate) async fn one_change_at_a_time(transaction: &mut Transaction) -> Result<(), StoreError> {
    let locked = transaction.one_at_a_time(ENDPOINTS_LOCK).await;
    locked.map_err(StoreError::database("wait for other changes of endpoints"))
}

pub(crate) async fn refuse_one_too_many(transaction: &mut Transaction) -> Result<(), StoreError> {
    let failed = StoreError::database("count the endpoints");
    // Of two at once the one that counts later counts what the other wrote.
    transaction.one_at_a_time(ENDPOINTS_LOCK).await.map_err(&failed)?;
    let rows = transaction
        .fetch(
            "SELECT count(*) AS endpoints FROM endpoints WHERE disabled_at IS NULL",
            &[],
        )
        .await
        .map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "endpoints" })?;
    match row.integer("endpoints").map_err(&failed)? < ENDPOINTS_MAX as i64 {
        true => Ok(()),
        false => Err(StoreError::EndpointCount),
    }
}

/// Refuses what was just written of an endpoint if it delivers into the Osprey of another team: whoever reads a topic reads all of it. A topic of
/// a disabled endpoint is anybody's.
pub(crate) async fn refuse_topic_of_another(transaction: &mut Transaction, endpoint: &Name) -> Result<(), StoreError> {
    let failed = StoreError::database("find who delivers to a topic");
    // Of two at once the one that asks later sees what the other wrote.
    transaction.one_at_a_time(ENDPOINTS_LOCK).await.map_err(&failed)?;
    let sql = "SELECT o.endpoint, o.target FROM endpoints e JOIN endpoints o ON o.kind = e.kind AND o.target = e.target AND o.team <> e.team \
               WHERE e.endpoint = $1 AND e.kind = $2 AND e.disabled_at IS NULL AND o.disabled_at IS NULL ORDER BY o.endpoint";
    let values = [endpoint.as_str().into(), (EndpointKind::Osprey as i64).into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    Err(StoreError::TopicTaken {
        topic: row.text("target").map_err(&failed)?,
        endpoint: name(row, "endpoint")?,
    })
}
