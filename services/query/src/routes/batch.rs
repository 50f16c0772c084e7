use std::fmt;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tocsin_model::ContentId;
use tocsin_runtime::{Problem, problem};
use utoipa::ToSchema;

use super::meter::MeteredReader;
use super::parameters;
use crate::answer::{BATCH_MAX, BatchAnswer, BatchEntry, batch_answer};
use crate::state::QueryState;
use crate::tail::now_ms;

/// The largest body of a batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Which contents.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchBody {
    /// 1 to 1,000 contents.
    #[schema(value_type = Vec<BatchContent>)]
    #[serde(deserialize_with = "bounded_contents")]
    contents: Vec<Box<RawValue>>,
}

/// Takes entries apart up to the first that is one too many.
fn bounded_contents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<RawValue>>, D::Error> {
    deserializer.deserialize_seq(BoundedContents)
}

struct BoundedContents;

impl<'de> Visitor<'de> for BoundedContents {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "1 to {BATCH_MAX} contents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut contents = Vec::new();
        while let Some(content) = entries.next_element()? {
            if contents.len() == BATCH_MAX {
                return Err(A::Error::custom(format!("contents: 1 to {BATCH_MAX}")));
            }
            contents.push(content);
        }
        Ok(contents)
    }
}

/// One content: by a hash, or by its id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchContent {
    /// `sha256`, `md5`, `pdq`, `vpdq` or `url`; with `value`.
    algorithm: Option<String>,
    /// Hexadecimal, or the URL.
    value: Option<String>,
    /// Its id, 32 hexadecimal digits; instead of a hash.
    content: Option<String>,
}

/// How often many contents were seen
///
/// Up to 1,000 hashes or ids in one request, answered in their order, each as `GET /v1/counts` does. What is wrong with one is told in its place
/// and keeps no other from being answered. Each is one look-up of the key's quota. The body is JSON of at most 1 MiB.
#[utoipa::path(post, path = "/v1/counts", tag = "query", security(("api_key" = [])),
    request_body(content = BatchBody, description = "The contents; 1 MiB at most"),
    responses(
        (status = 200, body = BatchAnswer),
        (status = 400, description = "`invalid_body`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn batch(
    State(state): State<QueryState>,
    metered: MeteredReader,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BatchAnswer>, Problem> {
    let body = body.map_err(|_| Problem::new(problem::BODY_TOO_LARGE))?;
    let invalid = |detail: String| Problem::new(problem::INVALID_BODY).with_detail(detail);
    let asked: BatchBody = serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))?;
    if asked.contents.is_empty() {
        return Err(invalid(format!("contents: 1 to {BATCH_MAX}")));
    }
    metered.charge(&state, asked.contents.len() as u32 - 1)?;
    let scope = metered.reader.scope;
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        let entries = asked.contents.iter().map(|content| entry(&worker, content)).collect();
        batch_answer(worker.replica(), scope, entries, now_ms())
    });
    made.await.map(Json).map_err(|error| Problem::internal(&error))
}

/// What is asked about, or what is wrong with it.
fn entry(state: &QueryState, content: &RawValue) -> BatchEntry {
    let asked: BatchContent = match serde_json::from_str(content.get()) {
        Ok(asked) => asked,
        Err(error) => return BatchEntry::Malformed(error.to_string()),
    };
    match asked {
        BatchContent {
            algorithm: None,
            value: None,
            content: Some(id),
        } => ContentId::parse(&id).map_or_else(
            || BatchEntry::Malformed("content: 32 hexadecimal digits".to_owned()),
            BatchEntry::Content,
        ),
        BatchContent {
            algorithm,
            value,
            content: None,
        } => match parameters::parse_hash(algorithm.as_deref(), value.as_deref()) {
            Ok(hash) => {
                let id = state.key().content_id(&hash);
                BatchEntry::Hash(hash, id)
            }
            Err(detail) => BatchEntry::Malformed(detail),
        },
        _ => BatchEntry::Malformed("content: instead of a hash, not beside one".to_owned()),
    }
}
