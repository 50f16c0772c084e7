//! How ids and digests are written: lower-case hexadecimal digits, and no other spelling is read.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tocsin_model::parse_hex_id;

/// The identity of a preservation. Random: it tells nothing of other teams' preservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PreservationId(pub u128);

impl fmt::Display for PreservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for PreservationId {
    type Err = tocsin_model::IdError;
    fn from_str(text: &str) -> Result<PreservationId, Self::Err> {
        parse_hex_id(text).map(PreservationId)
    }
}

impl Serialize for PreservationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PreservationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PreservationId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("no id of a preservation"))
    }
}

/// Digests as 64 hexadecimal digits.
pub(crate) mod hex_digest {
    use super::*;
    use crate::Digest;

    pub(crate) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(digest))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest).map_err(|_| D::Error::custom("no SHA-256"))?;
        Ok(digest)
    }
}

/// Signatures as 128 hexadecimal digits.
pub(crate) mod hex_signature {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(signature: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(signature))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut signature = [0; 64];
        hex::decode_to_slice(&text, &mut signature).map_err(|_| D::Error::custom("no signature"))?;
        Ok(signature)
    }
}
