//! Parameters of the path and the query, checked one by one so that a refusal names the one that is wrong.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tocsin_model::{Algorithm, ContentHash, ContentId, Timestamp};
use tocsin_runtime::{Problem, problem};
use tocsin_velocity::Resolution;
use tocsin_velocity::figures::WindowLength;
use tocsin_wire::document::parse_instant;

use crate::answer;

/// The query of a request; unknown names are refused by the type.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parsed: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match parsed {
            Ok(Query(parameters)) => Ok(Parameters(parameters)),
            Err(rejection) => Err(refused(&rejection.body_text())),
        }
    }
}

/// A refusal with this text.
pub(crate) fn refused(detail: &str) -> Problem {
    Problem::new(problem::INVALID_PARAMETER).with_detail(detail)
}

/// 32 hexadecimal digits. Anything else names nothing: the answer is the one for an unseen content.
pub(crate) fn content_id(text: &str) -> Result<ContentId, Problem> {
    ContentId::parse(text).ok_or_else(|| Problem::new(problem::NOT_FOUND))
}

/// A hash by the name of its algorithm and its text.
pub(crate) fn content_hash(algorithm: Option<&str>, value: Option<&str>) -> Result<ContentHash, Problem> {
    parse_hash(algorithm, value).map_err(|detail| refused(&detail))
}

/// A hash by the name of its algorithm and its text, or what is wrong with them.
pub(crate) fn parse_hash(algorithm: Option<&str>, value: Option<&str>) -> Result<ContentHash, String> {
    let algorithm = algorithm.ok_or("algorithm: absent")?;
    let algorithm = Algorithm::from_name(algorithm).ok_or("algorithm: known are sha256, md5, pdq, vpdq, url")?;
    let value = value.ok_or("value: absent")?;
    ContentHash::parse(algorithm, value, None).map_err(|error| format!("value: {error}"))
}

/// A window by its name.
pub(crate) fn window(text: Option<&str>) -> Result<WindowLength, Problem> {
    answer::parse_window(text.unwrap_or("1h")).ok_or_else(|| refused("window: 5m, 1h or 24h"))
}

/// A resolution by its name.
pub(crate) fn resolution(text: Option<&str>) -> Result<Resolution, Problem> {
    match text.unwrap_or("1m") {
        "5s" => Ok(Resolution::Seconds5),
        "1m" => Ok(Resolution::Minute1),
        "15m" => Ok(Resolution::Minutes15),
        _ => Err(refused("resolution: 5s, 1m or 15m")),
    }
}

/// A time, if there is one.
pub(crate) fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| {
        parse_instant(text).ok_or_else(|| {
            refused(&format!(
                "{name}: a time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z"
            ))
        })
    })
    .transpose()
}

/// A number of entries, 1 to `max`.
pub(crate) fn limit(text: Option<&str>, default: usize, max: usize) -> Result<usize, Problem> {
    let Some(text) = text else {
        return Ok(default);
    };
    match text.parse() {
        Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
        _ => Err(refused(&format!("limit: 1 to {max}"))),
    }
}
