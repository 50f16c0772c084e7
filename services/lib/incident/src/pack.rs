//! Hash packs: what coordinators give out of the hashes of an incident's families, in numbered versions.

use serde::{Deserialize, Serialize};
use tocsin_model::{KeyId, Timestamp};

use crate::form;

/// The most packs of an incident.
pub const PACKS_MAX: usize = 256;
/// The most hashes of a pack.
pub const PACK_HASHES_MAX: u32 = 10_000;

/// A pack of hashes. Its hashes are kept beside the incident and never change; it is superseded by the next, and withdrawn by a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// Its version, from 1 on.
    pub number: u32,
    /// When it was made.
    #[serde(with = "form::time")]
    pub made_at: Timestamp,
    /// Who made it.
    #[serde(with = "form::option")]
    pub by: Option<KeyId>,
    /// How many hashes it has.
    pub hashes: u32,
    /// When it was withdrawn.
    #[serde(with = "form::time_option")]
    pub withdrawn_at: Option<Timestamp>,
}
