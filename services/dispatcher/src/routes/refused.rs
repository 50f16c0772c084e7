//! How routes of one kind refuse, for their description: what really is answered stands in `problems`.
#![expect(dead_code, reason = "no value is made: only the derived descriptions are used")]

use tocsin_runtime::Problem;
use utoipa::IntoResponses;

/// Every route.
#[derive(IntoResponses)]
pub(super) enum Refused {
    #[response(
        status = 401,
        description = "No valid key",
        content_type = "application/problem+json"
    )]
    Unauthenticated(Problem),
    #[response(
        status = 503,
        description = "The store does not answer, or the request could not be recorded",
        content_type = "application/problem+json"
    )]
    Unavailable(Problem),
}

/// A route that reads, beside [`Refused`].
#[derive(IntoResponses)]
pub(super) enum NotRead {
    #[response(
        status = 403,
        description = "The key may not read, or has no queue",
        content_type = "application/problem+json"
    )]
    Forbidden(Problem),
}

/// A route of auditors, beside [`Refused`].
#[derive(IntoResponses)]
pub(super) enum NotAudited {
    #[response(
        status = 403,
        description = "The key may not audit",
        content_type = "application/problem+json"
    )]
    Forbidden(Problem),
}

/// A route of researchers, beside [`Refused`].
#[derive(IntoResponses)]
pub(super) enum NotResearched {
    #[response(
        status = 403,
        description = "The key has not the role `researcher`",
        content_type = "application/problem+json"
    )]
    Forbidden(Problem),
    #[response(
        status = 409,
        description = "This is a drill, of which nothing is published",
        content_type = "application/problem+json"
    )]
    Conflict(Problem),
}

/// A route of moderators, which has a body, beside [`Refused`].
#[derive(IntoResponses)]
pub(super) enum NotModerated {
    #[response(
        status = 400,
        description = "The body is malformed",
        content_type = "application/problem+json"
    )]
    Malformed(Problem),
    #[response(
        status = 403,
        description = "The key may not moderate, or has no queue",
        content_type = "application/problem+json"
    )]
    Forbidden(Problem),
}

/// A route of moderators that heeds `If-Match`, beside the others.
#[derive(IntoResponses)]
pub(super) enum Stale {
    #[response(
        status = 412,
        description = "The case changed since the version in `If-Match`",
        content_type = "application/problem+json"
    )]
    PreconditionFailed(Problem),
}

/// A route about one case, beside the others.
#[derive(IntoResponses)]
pub(super) enum NoSuchCase {
    #[response(
        status = 404,
        description = "No such case in this team's queue",
        content_type = "application/problem+json"
    )]
    NotFound(Problem),
}
