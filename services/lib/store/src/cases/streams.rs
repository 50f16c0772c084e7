//! Live streams among the members of a case's family: the copies of a stream that is to be stopped lead back to it.

use tocsin_casework::CaseId;
use tocsin_model::{ContentId, PlatformId, RecommendedAction, Timestamp, ToldDecision};

use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// A live stream: a content on a platform.
pub type LiveMember = (ContentId, PlatformId);

/// The most streams that are kept of a case: the first that are told.
pub const STREAMS_MAX: usize = 64;

const SELECT: &str = "SELECT content, platform_id FROM case_streams WHERE case_id = $1 ORDER BY content, platform_id";

impl Store {
    /// The live streams of a case's family that were told, ascending; at most [`STREAMS_MAX`]. Of whose case it is nothing is asked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn case_streams(&self, case: CaseId) -> Result<Vec<LiveMember>, StoreError> {
        let rows = self.database().fetch(SELECT, &[case.to_string().into()]).await;
        let rows = rows.map_err(StoreError::database("read the streams of a case"))?;
        rows.iter().map(stream).collect()
    }
}

/// Keeps streams with a case, of which is told now; those that are known stay.
pub(super) async fn note_streams(
    transaction: &mut Transaction,
    case: CaseId,
    streams: &[LiveMember],
    now: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::database("keep the streams of a case");
    if streams.is_empty() {
        return Ok(());
    }
    let mut known = streams_of(transaction, case).await?;
    for (content, platform) in streams {
        if known.len() >= STREAMS_MAX || known.contains(&(*content, *platform)) {
            continue;
        }
        let values: [Value; 4] = [
            case.to_string().into(),
            content.to_string().into(),
            i64::from(platform.0).into(),
            now.into(),
        ];
        let sql = "INSERT INTO case_streams (case_id, content, platform_id, told_at) VALUES ($1, $2, $3, $4) ON CONFLICT (case_id, content, platform_id) DO NOTHING";
        transaction.execute(sql, &values).await.map_err(&failed)?;
        known.push((*content, *platform));
    }
    Ok(())
}

/// The streams of one of two cases that became one are streams of both.
pub(super) async fn carry_streams(
    transaction: &mut Transaction,
    (from, to): (CaseId, CaseId),
    now: Timestamp,
) -> Result<(), StoreError> {
    let streams = streams_of(transaction, from).await?;
    note_streams(transaction, to, &streams, now).await
}

/// The streams that members are told of with a decision: where it says that they are to be stopped.
pub(super) async fn streams_told(
    transaction: &mut Transaction,
    case: CaseId,
    told: &ToldDecision,
) -> Result<Vec<LiveMember>, StoreError> {
    match told.grounds.action {
        Some(RecommendedAction::StopStream) => streams_of(transaction, case).await,
        _ => Ok(Vec::new()),
    }
}

async fn streams_of(transaction: &mut Transaction, case: CaseId) -> Result<Vec<LiveMember>, StoreError> {
    let rows = transaction.fetch(SELECT, &[case.to_string().into()]).await;
    let rows = rows.map_err(StoreError::database("read the streams of a case"))?;
    rows.iter().map(stream).collect()
}

fn stream(row: &Row) -> Result<LiveMember, StoreError> {
    let failed = StoreError::database("read a stream of a case");
    let content = ContentId::parse(&row.text("content").map_err(&failed)?);
    let platform = u16::try_from(row.integer("platform_id").map_err(&failed)?);
    Ok((
        content.ok_or(StoreError::Malformed { field: "content" })?,
        PlatformId(platform.map_err(|_| StoreError::Malformed { field: "platform_id" })?),
    ))
}
