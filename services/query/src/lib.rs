//! The query role: a read replica of the detector's state and of the alerts, and the HTTP API that answers from it.
//!
//! What this crate does not do: it counts nothing and decides nothing; it writes to no topic and reads no sighting, so its load never
//! slows detection. The queue and cases are the dispatcher's.
//!
//! Invariants:
//! * A reader's scope decides every byte of an answer: figures, alerts, which contents exist, and cursors, which are sealed so that the
//!   offsets inside do not tell what others receive.
//! * No audit, no answer: each one is in the audit chain before it is given, a stream at its opening and each minute.
//! * Every answer says `as_of` and how far that is behind; a partition's `as_of` never goes back.
//! * Intervals hold the truth: what is not counted exactly is told as an interval, apart from what is.
//! * Broken and foreign records of the log are counted and left out; none stops the replica.
//! * An incident that a reader may not read changes no byte of what that reader is told.
//! * Nothing is answered before the replica caught up with what the log held when it started.
//! * What moves is told with the figures it has, never by how much they rose: who missed a frame loses nothing by the next.
//! * A table is written while it is read: no more of it is held than one piece.
//! * Every map and buffer has a stated maximum; a slow reader of the stream costs a bounded buffer and is sent away.
//!
//! Start reading at [`replica::ReplicaState::apply`] (what a record changes), then [`answer::family_answer`] (what a reader is told), then
//! [`router`].

pub mod replica;

pub mod answer;
pub mod banks;
mod catch_up;
pub mod cursor;
pub mod incidents;
pub mod page;

mod config;
mod export;
mod frames;
mod listings;
mod metrics;
mod routes;
mod sealed;
mod spawn;
mod state;
mod tail;

pub use config::QueryConfig;
pub use incidents::INCIDENTS_AGE_MAX;
pub use listings::{LISTINGS_AGE_MAX, LISTINGS_MAX};
pub use metrics::Metrics;
pub use routes::{
    BANKS_ASKED_MAX, BATCH_BYTES_MAX, COMPARE_BYTES_MAX, EXPORT_BINS_MAX, EXPORT_ROWS_MAX, EXPORT_TOO_LARGE,
    HASHING_NOT_OFFERED, HEARTBEAT_INTERVAL, INVALID_CURSOR, LEAK_THROUGH_AGE_MAX, LOOK_UP_TIME_MAX, LOOK_UP_TIMED_OUT,
    MALFORMED_SIGNAL, Meter, Metered, NOT_HELD, NOT_HOT, NOT_READY, PROBLEMS, RATE_LIMITED, RECORD_INTERVAL, STALL_MAX,
    StreamLimits, TOO_MANY_STREAMS, TRENDING_AGE_MAX, UNKNOWN_BANK, UNKNOWN_SIGNAL_TYPE, UNMATCHABLE_SIGNAL,
    description, router, router_at,
};
pub use spawn::{QueryError, QueryParts, spawn};
pub use state::{QueryState, QueryStateParts, StreamSlots};
