//! The audit chain: what was decided, who read what, and who gave whom access, written so that nobody changes it unseen.
//!
//! Pure: no I/O, no clock (the time is an argument), no randomness (salts and keys are arguments). The store appends what [`Head::append`]
//! makes, a shell reads it back and hands it to a [`Verifier`].
//!
//! Each [`Record`] carries the SHA-256 of its bytes and of the hash before it, so the latest hash stands for the whole chain. Who can write
//! to the database can also compute all hashes again; what such a person cannot do is make them end in the hash that a party holds in a
//! signed [`Checkpoint`]. What came behind the last checkpoint that somebody holds is protected against no more than clumsiness.
//!
//! Invariants:
//! * The bytes of a record are the only ones that say it ([`Record::to_bytes`], [`Record::from_bytes`]).
//! * What names or may name a person is in the chain as a salted digest alone. Salt and clear text lie beside it and can be erased; the chain
//!   still holds.
//! * An edit, a removal, another order, an insertion and a truncation before the last checkpoint that somebody holds are found.
//!
//! Start reading at [`Entry`], then [`Head::append`] and [`Verifier`].

mod chain;
mod checkpoint;
mod personal;
mod record;

pub use chain::{Expected, Fault, Head, Kept, Sealed, Verifier};
pub use checkpoint::{ChainHead, Checkpoint, CheckpointError, PublicKey, SIGNATURE_BYTES, Signed, SigningKey};
pub use personal::{Field, PERSONAL_BYTES_MAX, Personal, Salt};
pub use record::{Action, DETAIL_BYTES_MAX, Entry, OBJECT_BYTES_MAX, Record, RecordError};

/// A SHA-256 (FIPS 180-4).
pub type Digest = [u8; 32];
