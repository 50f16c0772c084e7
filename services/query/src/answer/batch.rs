//! How often many contents were seen, asked about at once.

use serde::Serialize;
use tocsin_model::{ContentHash, ContentId, Scope};
use utoipa::ToSchema;

use super::counts::{CountAnswer, count_answer};
use super::scope_name;
use crate::replica::ReplicaState;

/// The most contents of one batch.
pub const BATCH_MAX: usize = 1_000;

/// One content of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchEntry {
    /// By a hash, with the id of the content it names.
    Hash(ContentHash, ContentId),
    /// By its id.
    Content(ContentId),
    /// Neither, with what is wrong.
    Malformed(String),
}

/// How often contents were seen inside the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// One for each content, in the order asked.
    pub counts: Vec<BatchCount>,
}

/// The answer to one entry of a batch: a count, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BatchCount {
    /// `invalid_parameter` or `unavailable`, as the problems of these names. Null where there is a count.
    pub code: Option<&'static str>,
    /// What is wrong, for people. Null where there is a count.
    pub detail: Option<String>,
    /// How often it was seen. Null where there is a `code`.
    pub count: Option<CountAnswer>,
}

/// The counts of each entry, in their order.
pub fn batch_answer(replica: &ReplicaState, scope: Scope, entries: Vec<BatchEntry>, now_ms: i64) -> BatchAnswer {
    let count = |entry| {
        let counted = match entry {
            BatchEntry::Hash(hash, id) => count_answer(replica, scope, Some(&hash), id, now_ms),
            BatchEntry::Content(id) => count_answer(replica, scope, None, id, now_ms),
            BatchEntry::Malformed(detail) => {
                return BatchCount {
                    code: Some(tocsin_runtime::problem::INVALID_PARAMETER.code),
                    detail: Some(detail),
                    count: None,
                };
            }
        };
        match counted {
            Ok(count) => BatchCount {
                code: None,
                detail: None,
                count: Some(count),
            },
            Err(error) => BatchCount {
                code: Some(error.code()),
                detail: Some(error.to_string()),
                count: None,
            },
        }
    };
    BatchAnswer {
        scope: scope_name(scope),
        counts: entries.into_iter().map(count).collect(),
    }
}
