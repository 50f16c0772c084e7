//! Errors of the HTTP API as problem documents (RFC 9457) with a stable code.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One kind of problem: its code never changes its meaning. A crate declares its kinds as constants and lists them in its docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The HTTP status.
    pub status: u16,
    /// The stable code, in `snake_case`.
    pub code: &'static str,
    /// What it means, the same for every occurrence.
    pub title: &'static str,
}

/// A problem document (RFC 9457), served as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem as a URI: `urn:tocsin:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:tocsin:problem:overloaded")]
    kind: Cow<'static, str>,
    /// What this kind of problem means.
    #[schema(value_type = String, example = "The service cannot take more work at the moment")]
    title: Cow<'static, str>,
    /// The HTTP status.
    #[schema(example = 503)]
    status: u16,
    /// The stable code to program against.
    #[schema(value_type = String, example = "overloaded")]
    code: Cow<'static, str>,
    /// What is wrong this time. Text for people; its wording may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// When to try again, in seconds (also in the header `Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
}

/// No key was given, or it is not one that is known and valid. Which of the two is not told.
pub const UNAUTHENTICATED: ProblemKind = ProblemKind {
    status: 401,
    code: "unauthenticated",
    title: "A valid API key is needed: Authorization: Bearer tocsin_...",
};

/// The client certificate was verified, and is bound to no key that is good.
pub const CERTIFICATE_UNBOUND: ProblemKind = ProblemKind {
    status: 401,
    code: "certificate_unbound",
    title: "The client certificate is bound to no valid key",
};

/// A key is shown beside the client certificate, and is another than the one that is bound to it.
pub const CERTIFICATE_MISMATCH: ProblemKind = ProblemKind {
    status: 401,
    code: "certificate_mismatch",
    title: "The client certificate is bound to another key than the one that is shown",
};

/// The key does not have the role that the route needs.
pub const FORBIDDEN: ProblemKind = ProblemKind {
    status: 403,
    code: "forbidden",
    title: "The API key does not have the role this needs",
};

/// No such route, or nothing there that the reader may see.
pub const NOT_FOUND: ProblemKind = ProblemKind {
    status: 404,
    code: "not_found",
    title: "There is nothing here",
};

/// The route exists, the method does not.
pub const METHOD_NOT_ALLOWED: ProblemKind = ProblemKind {
    status: 405,
    code: "method_not_allowed",
    title: "The route does not have this method",
};

/// A parameter of the path or the query is absent or malformed.
pub const INVALID_PARAMETER: ProblemKind = ProblemKind {
    status: 400,
    code: "invalid_parameter",
    title: "A parameter is absent or malformed",
};

/// The body is not what the route takes.
pub const INVALID_BODY: ProblemKind = ProblemKind {
    status: 400,
    code: "invalid_body",
    title: "The body is not of the documented form",
};

/// The body is larger than the limit.
pub const BODY_TOO_LARGE: ProblemKind = ProblemKind {
    status: 413,
    code: "body_too_large",
    title: "The body is larger than the limit",
};

/// The media type of the body is none that the route takes.
pub const UNSUPPORTED_MEDIA_TYPE: ProblemKind = ProblemKind {
    status: 415,
    code: "unsupported_media_type",
    title: "The media type of the body is not one this route takes",
};

/// The body came too slowly.
pub const BODY_TIMEOUT: ProblemKind = ProblemKind {
    status: 408,
    code: "body_timeout",
    title: "The body did not arrive in time",
};

/// A limit on work in hand is reached. Try again after the time told.
pub const OVERLOADED: ProblemKind = ProblemKind {
    status: 503,
    code: "overloaded",
    title: "The service cannot take more work at the moment",
};

/// Something this service stands on does not answer.
pub const UNAVAILABLE: ProblemKind = ProblemKind {
    status: 503,
    code: "unavailable",
    title: "Something this service stands on does not answer",
};

/// No audit, no restricted answer: that it was asked for could not be recorded.
pub const AUDIT_UNAVAILABLE: ProblemKind = ProblemKind {
    status: 503,
    code: "audit_unavailable",
    title: "What is asked for is told only to those of whom it can be recorded, which is not possible at the moment",
};

/// A failure of this service. Its text is in the log, found by the trace id; it is not told outside.
pub const INTERNAL: ProblemKind = ProblemKind {
    status: 500,
    code: "internal",
    title: "The service failed",
};

/// The kinds every service may answer.
pub const SHARED: [ProblemKind; 14] = [
    UNAUTHENTICATED,
    CERTIFICATE_UNBOUND,
    CERTIFICATE_MISMATCH,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    INVALID_PARAMETER,
    INVALID_BODY,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    BODY_TIMEOUT,
    OVERLOADED,
    UNAVAILABLE,
    INTERNAL,
];

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind) -> Self {
        Problem {
            kind: Cow::Owned(format!("urn:tocsin:problem:{}", kind.code)),
            title: Cow::Borrowed(kind.title),
            status: kind.status,
            code: Cow::Borrowed(kind.code),
            detail: None,
            retry_after_s: None,
        }
    }

    /// The same with what is wrong this time.
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Problem {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// The same with the time after which to try again.
    pub fn with_retry_after_s(self, seconds: u32) -> Self {
        Problem {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    /// A failure of this service: the chain of the error goes to the log, the client is told the code alone.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = crate::roles::chain(error), "a request failed");
        Problem::new(INTERNAL)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl From<ProblemKind> for Problem {
    fn from(kind: ProblemKind) -> Self {
        Problem::new(kind)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem is plain data");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a problem looks as RFC 9457 says, and codes are told apart.
    #![allow(clippy::unwrap_used)]

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_problem_is_a_document_with_code_and_headers() {
        let problem = Problem::new(OVERLOADED)
            .with_detail("64 requests in hand")
            .with_retry_after_s(2);
        let response = problem.clone().into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["type"], "urn:tocsin:problem:overloaded");
        assert_eq!(value["status"], 503);
        assert_eq!(value["code"], "overloaded");
        assert_eq!(serde_json::from_value::<Problem>(value).unwrap(), problem);
    }

    #[test]
    fn an_unauthenticated_answer_names_the_scheme() {
        let response = Problem::new(UNAUTHENTICATED).into_response();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<_> = SHARED.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), SHARED.len());
    }
}
