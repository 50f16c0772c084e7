use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24Wide};

use crate::{ContentHash, ContentId, EventId, HashRef, PartyId, PlatformId};

/// The permanent secret of a deployment: 32 bytes. Ids and routing depend on it for ever.
#[derive(Clone)]
pub struct DeploymentKey([u8; 32]);

/// The number of a key epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyEpoch(pub u32);

/// The secret of one epoch, from which sketch seeds and account tokens derive. Rotates; the deployment key does not.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochKey {
    epoch: KeyEpoch,
    bytes: [u8; 16],
}

/// A platform's keyed pseudonym of an account: 16 bytes. Never an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountPseudonym(pub [u8; 16]);

/// An account as the detector sees it: a keyed 64-bit hash of platform and pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountToken(pub u64);

impl DeploymentKey {
    /// A key from its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        DeploymentKey(bytes)
    }

    /// The id of a content: SipHash-2-4-128 (Aumasson and Bernstein 2012) of the algorithm's number and the hash's bytes, keyed with
    /// the first half of this key.
    pub fn content_id(&self, hash: &ContentHash) -> ContentId {
        self.content_id_of(hash.view())
    }

    /// [`DeploymentKey::content_id`] of a borrowed hash.
    pub fn content_id_of(&self, hash: HashRef<'_>) -> ContentId {
        let mut hasher = SipHasher24Wide::new_with_key(self.half(0));
        // In one piece where it fits: the hasher puts words together from pieces byte by byte.
        let mut whole = [hash.algorithm as u8; 1 + WHOLE_HASH_BYTES];
        match whole.get_mut(1..=hash.value.len()) {
            Some(value) => {
                value.copy_from_slice(hash.value);
                hasher.write(&whole[..=hash.value.len()]);
            }
            None => {
                hasher.write(&whole[..1]);
                hasher.write(hash.value);
            }
        }
        ContentId(hasher.finish128().as_u128())
    }

    /// The token by which a producer's retries are dropped: SipHash-2-4 of the party's number and the event id, keyed with the second
    /// half of this key.
    pub fn event_token(&self, party: PartyId, event_id: EventId) -> u64 {
        let mut hasher = SipHasher24::new_with_key(self.half(1));
        hasher.write(&numbered(party.0, event_id.0));
        hasher.finish()
    }

    /// The key of an epoch: SipHash-2-4-128 of the label `epoch` and the number, keyed with the second half of this key.
    pub fn epoch_key(&self, epoch: KeyEpoch) -> EpochKey {
        let mut hasher = SipHasher24Wide::new_with_key(self.half(1));
        hasher.write(b"epoch");
        hasher.write(&epoch.0.to_le_bytes());
        EpochKey {
            epoch,
            bytes: hasher.finish128().as_u128().to_le_bytes(),
        }
    }

    /// A 128-bit keyed digest of `parts`, for ids that must be the same on every run: SipHash-2-4-128 under a label.
    pub fn digest(&self, label: &str, parts: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher24Wide::new_with_key(self.half(1));
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    /// The seed of the key that signs checkpoints of the audit chain: two digests of the label `audit checkpoint`, one behind the other.
    pub fn checkpoint_seed(&self) -> [u8; 32] {
        self.derived("audit checkpoint")
    }

    /// The seed of the key that signs evidence, made in the same way from the label `evidence`.
    pub fn evidence_seed(&self) -> [u8; 32] {
        self.derived("evidence")
    }

    /// Tells keys from one another and nothing of them: whoever has the key makes it again, from the label `fingerprint`, and nobody else.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.derived("fingerprint")
    }

    fn derived(&self, label: &str) -> [u8; 32] {
        let mut seed = [0; 32];
        for (half, part) in seed.chunks_exact_mut(16).zip([0_u8, 1]) {
            half.copy_from_slice(&self.digest(label, &[&[part]]).to_be_bytes());
        }
        seed
    }

    fn half(&self, index: usize) -> &[u8; 16] {
        self.0[index * 16..][..16]
            .try_into()
            .expect("a half of 32 bytes is 16 bytes")
    }
}

impl EpochKey {
    /// The number of this epoch.
    pub fn epoch(&self) -> KeyEpoch {
        self.epoch
    }

    /// The token of an account: SipHash-2-4 of the platform's number and the pseudonym.
    pub fn account_token(&self, platform: PlatformId, account: AccountPseudonym) -> AccountToken {
        let mut hasher = SipHasher24::new_with_key(&self.bytes);
        hasher.write(&numbered(platform.0, account.0));
        AccountToken(hasher.finish())
    }

    /// A secret seed for the sketches of one purpose.
    pub fn sketch_seed(&self, purpose: &str) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.bytes);
        hasher.write(b"sketch");
        hasher.write(purpose.as_bytes());
        hasher.finish()
    }
}

/// Hashes up to this long are hashed in one piece: all but addresses.
const WHOLE_HASH_BYTES: usize = 32;

/// A number before sixteen bytes.
#[inline]
fn numbered(number: u16, bytes: [u8; 16]) -> [u8; 18] {
    let mut whole = [0; 18];
    whole[..2].copy_from_slice(&number.to_le_bytes());
    whole[2..].copy_from_slice(&bytes);
    whole
}

/// Shows no byte of the secret.
impl std::fmt::Debug for DeploymentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeploymentKey(secret)")
    }
}

/// Shows the number of the epoch, no byte of the secret.
impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EpochKey({}, secret)", self.epoch.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_in_one_piece_has_the_id_of_its_parts() {
        let key = DeploymentKey::from_bytes(std::array::from_fn(|place| place as u8));
        let bytes: [u8; 80] = std::array::from_fn(|place| place as u8 * 3);
        for length in 0..=bytes.len() {
            let (algorithm, value) = (crate::Algorithm::Url, &bytes[..length]);
            let mut parts = SipHasher24Wide::new_with_key(key.half(0));
            parts.write(&[algorithm as u8]);
            parts.write(value);
            let expected = ContentId(parts.finish128().as_u128());
            assert_eq!(key.content_id_of(HashRef { algorithm, value }), expected, "{length}");
        }
    }
}
