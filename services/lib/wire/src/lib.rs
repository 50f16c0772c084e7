//! The bytes that Tocsin exchanges: events from outside (Avro, JSON, actions of Osprey), blocks of sightings, alerts, rejects, decisions, announcements,
//! links, calibrations and what they are made from, changes of the watch list, state records, and the declaration of every topic.
//!
//! What this crate does not do: no I/O, no clock, no log or HTTP; it decides nothing about parties, clocks or duplicates (that is
//! intake's), and it makes no views for readers (that is query's): what several HTTP APIs answer alike has its shape in [`document`].
//!
//! Invariants:
//! * No input makes it panic, and none makes it allocate more than a stated multiple of its own size.
//! * An event that is handed out is valid; a refused one has a stable code ([`EventError::code`]).
//! * Every version of a schema that was ever published stays readable; the newest version is what is written.
//! * One value of a record has one encoding, so equal states have equal bytes.
//!
//! Start reading at [`event::decode`], then [`block`] and [`SightingsRecord`].

pub mod alert;
mod avro;
pub mod block;
pub mod calibration;
mod compatibility;
pub mod decision;
pub mod document;
mod error;
pub mod event;
pub mod family;
mod framing;
pub mod link;
mod names;
pub mod osprey;
mod party;
pub mod population;
mod record;
mod reject;
pub mod retention;
mod schemas;
mod sightings_record;
pub mod state;
pub mod topics;
pub mod watch;
pub mod weighing;

pub use alert::AlertRecord;
pub use avro::Malformed;
pub use error::{EventError, RecordError};
pub use names::Names;
pub use party::{PartyRecord, PlatformRecord};
pub use reject::{DETAIL_BYTES_MAX, Reject, RejectSource};
pub use schemas::{SchemaError, SchemaName, Schemas, fingerprint};
pub use sightings_record::{SightingsRecord, TickTime};
