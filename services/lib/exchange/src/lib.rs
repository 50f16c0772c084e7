//! Shapes in which hash lists come and go: bytes in, updates of a list or counted rejects out; entries in, bytes out.
//!
//! What this crate does not do: it asks no server and opens no file ([`ListReader`] reads from what it is given), and it decides nothing
//! about listing. Field names are those of the projects' own clients.
//!
//! Invariants:
//! * What is not a usable hash is refused with a code and loses nothing beside it; a page that is no page is refused whole.
//! * A tombstone is an update, not a reject: what is withdrawn elsewhere is withdrawn here.
//! * No input makes a reader hold more than [`RECORD_BYTES_MAX`] or [`PAGE_BYTES_MAX`] of it.
//!
//! Start reading at [`Format`], then `signal.rs`; what goes out: [`write`].

mod hma;
mod json;
mod local_file;
mod page;
mod read;
mod reject;
mod signal;
mod stopncii;
mod table;
mod tech_against_terrorism;
mod threat_exchange;
mod vpdq;
pub mod write;

pub use page::{Page, PageError};
pub use read::{Format, ListReader, PAGE_BYTES_MAX, RECORD_BYTES_MAX, ReadError};
pub use reject::{RejectCode, Rejects};
pub use signal::{SignalType, local_file_type};
pub use vpdq::{VPDQ_FRAMES_MAX, vpdq_frames};

/// Reads a page of ThreatExchange's `threat_updates`.
///
/// # Errors
/// It is no such page.
pub fn threat_updates(bytes: &[u8]) -> Result<Page, PageError> {
    threat_exchange::page(bytes)
}

/// Reads a page of the hash list of Tech Against Terrorism, version 2.
///
/// # Errors
/// It is no such page.
pub fn hash_list(bytes: &[u8]) -> Result<Page, PageError> {
    tech_against_terrorism::page(bytes)
}

/// Reads a page of StopNCII's `FetchHashes`.
///
/// # Errors
/// It is no such page.
pub fn fetch_hashes(bytes: &[u8]) -> Result<Page, PageError> {
    stopncii::page(bytes)
}

/// Reads contents of a bank of HMA.
///
/// # Errors
/// They are none.
pub fn bank_contents(bytes: &[u8]) -> Result<Page, PageError> {
    hma::page(bytes)
}
