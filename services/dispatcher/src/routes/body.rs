use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use serde::de::DeserializeOwned;
use tocsin_runtime::{Problem, problem};

/// The largest body, in bytes: a rationale of 8 KiB in which every byte is escaped, and room.
const BODY_BYTES_MAX: usize = 64 << 10;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The JSON document of a body; an empty body is the empty document.
pub(super) async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    read_at_most(request, BODY_BYTES_MAX).await
}

/// As [`read`], of at most so many bytes.
pub(super) async fn read_at_most<T: DeserializeOwned>(request: Request<Body>, bytes_max: usize) -> Result<T, Problem> {
    let is_json = match request.headers().get(header::CONTENT_TYPE) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|text| {
            let media_type = text.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("application/json")
        }),
    };
    if !is_json {
        return Err(Problem::new(problem::UNSUPPORTED_MEDIA_TYPE).with_detail("application/json is taken"));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(problem::BODY_TOO_LARGE.into());
    }
    let reading = axum::body::to_bytes(request.into_body(), bytes_max);
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Err(_) => return Err(problem::BODY_TIMEOUT.into()),
        // A body without a length ends here when it is too long, and also when it breaks off: then nobody reads the answer.
        Ok(Err(_)) => return Err(problem::BODY_TOO_LARGE.into()),
        Ok(Ok(bytes)) => bytes,
    };
    let document: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(document).map_err(|error| Problem::new(problem::INVALID_BODY).with_detail(error.to_string()))
}
