//! The routes of the open matcher HMA (Hasher-Matcher-Actioner), read only: whoever looks hashes up there looks them up here, and is told the
//! velocity beside.
//!
//! Paths, parameters and shapes are those of `hasher-matcher-actioner/src/OpenMediaMatch/blueprints/{matching,curation}.py` of
//! facebook/ThreatExchange, 2026. Three things differ. Errors are problem documents. A bank that does not exist is refused, where HMA finds
//! nothing in it. And nothing can be listed: which hashes a bank has is not told, and no route changes one.
//!
//! No parameter of HMA says that what is looked up was uploaded. So a look-up never counts; an upload is an event, sent to `/v1/events`.

mod compare;
mod curation;
mod hashing;
mod look_up;
mod signal;

use axum::extract::DefaultBodyLimit;
use tocsin_runtime::ProblemKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::QueryState;

pub use compare::COMPARE_BYTES_MAX;
pub(super) use look_up::unavailable;
pub use look_up::{BANKS_ASKED_MAX, LOOK_UP_TIME_MAX};

/// The signal type is none that is answered here.
pub const UNKNOWN_SIGNAL_TYPE: ProblemKind = ProblemKind {
    status: 400,
    code: "unknown_signal_type",
    title: "The signal type is none that is looked up here: pdq, vpdq, sha256, video_sha256, md5, photo_md5, video_md5 and url are",
};

/// The signal is not one of its type.
pub const MALFORMED_SIGNAL: ProblemKind = ProblemKind {
    status: 400,
    code: "malformed_signal",
    title: "The signal is not one of its type",
};

/// No picture has such a PDQ hash, or none that can be told from others; or a video has too few frames of which that holds.
pub const UNMATCHABLE_SIGNAL: ProblemKind = ProblemKind {
    status: 400,
    code: "unmatchable_signal",
    title: "The PDQ hash, or the frames of the video, say too little to be matched",
};

/// There is no such bank.
pub const UNKNOWN_BANK: ProblemKind = ProblemKind {
    status: 404,
    code: "unknown_bank",
    title: "There is no such bank",
};

/// Media is hashed elsewhere.
pub const HASHING_NOT_OFFERED: ProblemKind = ProblemKind {
    status: 501,
    code: "hashing_not_offered",
    title: "Tocsin takes hashes, never media: hash it where it is and look the hash up",
};

/// The look-up took too long: the store is slow, or too many are made.
pub const LOOK_UP_TIMED_OUT: ProblemKind = ProblemKind {
    status: 503,
    code: "look_up_timed_out",
    title: "The look-up took too long",
};

/// The kinds of problems of these routes.
pub(super) const PROBLEMS: [ProblemKind; 6] = [
    UNKNOWN_SIGNAL_TYPE,
    MALFORMED_SIGNAL,
    UNMATCHABLE_SIGNAL,
    UNKNOWN_BANK,
    HASHING_NOT_OFFERED,
    LOOK_UP_TIMED_OUT,
];

pub(super) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(routes!(look_up::lookup, hashing::lookup_media))
        .routes(routes!(look_up::raw_lookup))
        .routes(routes!(compare::compare, compare::compare_body))
        .routes(routes!(curation::index_status))
        .routes(routes!(curation::banks))
        .routes(routes!(curation::bank))
        .routes(routes!(curation::signal_types))
        .routes(routes!(hashing::hash_url, hashing::hash_media))
        .layer(DefaultBodyLimit::max(COMPARE_BYTES_MAX))
}
