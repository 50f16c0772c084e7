//! Evidence: how long a party's data about a case is held, what a sealed copy of it and an archive of that copy consist of, and who had it in hand.
//!
//! Pure: no I/O, no clock (the time is an argument), no randomness. What it does not do: it copies, keeps and hands out nothing. The store keeps [`Preservation`]s and the
//! entries of their [`Chain`]s, the dispatcher writes the files, and whoever gets an [`archive`] checks it with a [`Verifier`].
//!
//! Invariants:
//! * A refused command changes nothing. The end of a preservation is only put off, and what the law asks for is not released before.
//! * Of one manifest, one entry of custody and one archive there is one spelling in bytes. So whatever is changed in an archive is found: in what it
//!   holds, in its order, in its headers and in what fills its blocks.
//! * Entries of custody are only added; each carries the hash of the one before and a signature of its own.
//!
//! Start reading at [`Preservation`], then [`Chain`], [`Manifest`] and [`Verifier`].

pub mod archive;
mod basis;
mod custody;
mod form;
mod manifest;
mod preservation;
mod signing;
mod term;
mod verifier;

pub use basis::{BASIS_REFERENCE_BYTES_MAX, Basis, BasisKind, REASON_BYTES_MAX};
pub use custody::{Act, Chain, CustodyEntry, CustodyFault, SignedEntry, custody_of};
pub use form::PreservationId;
pub use manifest::{Cut, Export, FileEntry, Manifest};
pub use preservation::{
    EXPORTS_MAX, EXTENSIONS_MAX, Origin, Preservation, PreservationCommand, PreservationEnd, PreservationEvent,
    PreservationRefusal, PreservationState, RUNNING_PER_CASE_MAX, RUNNING_PER_TEAM_MAX, SealedCopy,
};
pub use signing::{Digest, PublicKey, SIGNATURE_LINE_BYTES, Signer, digest, read_signature_line, signature_line};
pub use term::{EXTENDED_MONTHS_MAX, PRESERVED_MONTHS, months_after};
pub use verifier::{ArchiveFault, Verified, Verifier};
