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
        hasher.write(&[hash.algorithm as u8]);
        hasher.write(hash.value);
        ContentId(hasher.finish128().as_u128())
    }

    /// The token by which a producer's retries are dropped: SipHash-2-4 of the party's number and the event id, keyed with the second
    /// half of this key.
    pub fn event_token(&self, party: PartyId, event_id: EventId) -> u64 {
        let mut hasher = SipHasher24::new_with_key(self.half(1));
        hasher.write(&party.0.to_le_bytes());
        hasher.write(&event_id.0);
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
        hasher.write(&platform.0.to_le_bytes());
        hasher.write(&account.0);
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
