//! Identities that follow from what they are of.

use sha2::{Digest as _, Sha256};

/// The first half of the SHA-256 of a text: the same whenever, and wherever, it is asked for.
pub fn digest_id(text: &str) -> u128 {
    let digest = Sha256::digest(text);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(id)
}
