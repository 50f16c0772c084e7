//! What every role of Tocsin needs to run: configuration, telemetry, readiness, shutdown, HTTP problems, TLS, bounds of streams, trace context.
//!
//! What this crate does not do: it knows no topic, no event, no table and no role. It reads the environment and the file system only
//! when a program hands it what to read, and opens no port of its own accord.
//!
//! Invariants:
//! * A configuration is whole and valid before it leaves [`config::load`]; an unknown key is refused, wherever it came from.
//! * A label of a metric is bounded: never a content hash, an account or any other text from outside.
//! * Every task and thread of a role has a name and is joined; a role that ends before it was asked to is a failure.
//! * What a client is told of an internal failure is its code, never its text.
//! * What a client certificate says reaches the routes beside a request, from its connection, and never in a header.
//!
//! Start reading at [`config::load`], then [`Roles`], then [`Problem`].

pub mod config;
pub mod http;
pub mod memory;
pub mod problem;
pub mod readiness;
mod retry_after;
pub mod roles;
mod server;
pub mod session_cookie;
mod shutdown;
pub mod streams;
pub mod telemetry;
pub mod tls;
mod traceparent;
mod write_deadline;

pub use config::{ConfigError, Loaded, Refusal};
pub use memory::{MemoryConfig, MemoryPart, MemoryPressure};
pub use problem::{Problem, ProblemKind};
pub use readiness::{Readiness, ReadinessFlag};
pub use roles::Roles;
pub use shutdown::Shutdown;
pub use traceparent::Traceparent;
