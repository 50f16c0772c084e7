//! Conditional requests (RFC 9110, section 13): whoever has an answer already is told that its figures are still the same, and up to when.
//!
//! An entity tag is a digest of everything in the answer but the time up to which it holds, so it is a weak one: the figures are the same, and
//! known up to a later time. That time stands in headers, of an answer and of "not modified" alike. The digest is keyed: it tells nothing of
//! what it is of.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tocsin_model::Scope;

use crate::answer::{AlertAnswer, AlertsAnswer, BreakdownAnswer, LeakThroughAnswer, MembersAnswer, SeriesAnswer};
use crate::sealed::class_bytes;
use crate::state::QueryState;

const TAG_LABEL: &str = "entity tag";

/// The time up to which an answer holds, RFC 3339.
pub(super) const AS_OF: HeaderName = HeaderName::from_static("tocsin-as-of");
/// How far that is behind, in milliseconds.
pub(super) const LAG_MS: HeaderName = HeaderName::from_static("tocsin-lag-ms");

/// An answer that says up to when it holds.
pub(super) trait Dated: Serialize {
    /// Takes out the time up to which it holds, and how far that is behind.
    fn take_time(&mut self) -> (Option<String>, Option<u64>);
}

impl Dated for SeriesAnswer {
    fn take_time(&mut self) -> (Option<String>, Option<u64>) {
        (self.as_of.take(), Some(std::mem::take(&mut self.lag_ms)))
    }
}

impl Dated for MembersAnswer {
    fn take_time(&mut self) -> (Option<String>, Option<u64>) {
        (self.as_of.take(), Some(std::mem::take(&mut self.lag_ms)))
    }
}

impl Dated for BreakdownAnswer {
    fn take_time(&mut self) -> (Option<String>, Option<u64>) {
        (self.as_of.take(), Some(std::mem::take(&mut self.lag_ms)))
    }
}

impl Dated for AlertsAnswer {
    fn take_time(&mut self) -> (Option<String>, Option<u64>) {
        (self.as_of.take(), self.lag_ms.take())
    }
}

impl Dated for LeakThroughAnswer {
    fn take_time(&mut self) -> (Option<String>, Option<u64>) {
        (self.as_of.take(), self.lag_ms.take())
    }
}

/// An alert is of its own time for ever.
impl Dated for AlertAnswer {
    fn take_time(&mut self) -> (Option<String>, Option<u64>) {
        (None, None)
    }
}

/// The answer as JSON with its entity tag, or "not modified" where the request names the tag.
pub(super) fn answered<T: Dated>(state: &QueryState, scope: Scope, asked: &HeaderMap, mut answer: T) -> Response {
    let written = serde_json::to_vec(&answer).expect("answers are plain data");
    let (as_of, lag_ms) = answer.take_time();
    let figures = serde_json::to_vec(&answer).expect("answers are plain data");
    let tag = format!(
        "{:032x}",
        state.key().digest(TAG_LABEL, &[&class_bytes(scope), &figures])
    );
    let mut response = match names(asked, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, "application/json")], written).into_response(),
    };
    let headers = response.headers_mut();
    let text = |text: String| HeaderValue::from_str(&text).expect("times and digits are visible ASCII");
    headers.insert(ETAG, text(format!("W/\"{tag}\"")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, HeaderValue::from_static("authorization, accept"));
    if let Some(as_of) = as_of {
        headers.insert(AS_OF, text(as_of));
    }
    if let Some(lag_ms) = lag_ms {
        headers.insert(LAG_MS, HeaderValue::from(lag_ms));
    }
    response
}

/// Whether `If-None-Match` has a tag, compared weakly (RFC 9110, section 8.8.3.2).
fn names(asked: &HeaderMap, tag: &str) -> bool {
    let lines = asked
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|named| {
        let opaque = named.strip_prefix("W/").unwrap_or(named);
        named == "*" || opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_any_list_weakly() {
        let names = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IF_NONE_MATCH, HeaderValue::from_static(line));
            }
            names(&headers, "aa")
        };
        for line in ["\"aa\"", "W/\"aa\"", "*", "\"bb\" , W/\"aa\"", " W/\"aa\",\"bb\""] {
            assert!(names(&[line]), "{line}");
        }
        assert!(names(&["\"bb\"", "\"aa\""]));
        for line in ["", "aa", "\"aa", "\"bb\"", "\"a,a\"", "w/\"aa\"", "W/aa"] {
            assert!(!names(&[line]), "{line}");
        }
        assert!(!names(&[]));
    }
}
