use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use tocsin_model::{Name, Timestamp};

use crate::Head;

/// The length of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Where every chain ended at one moment. Whoever keeps it can tell later whether what was before has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// When it was made, by the store's clock.
    pub at: Timestamp,
    /// The chains, ascending by node, each once.
    pub chains: Vec<ChainHead>,
}

/// Where one chain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The chain.
    pub node: Name,
    /// Where it ended.
    pub head: Head,
}

/// A checkpoint and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// With which key it was signed.
    pub public_key: PublicKey,
    /// Ed25519 (RFC 8032) over [`Checkpoint::to_bytes`].
    pub signature: [u8; SIGNATURE_BYTES],
}

/// The public half of the key that signs checkpoints: 32 bytes (RFC 8032, section 5.1.5). Parties get it once, on a way they trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

/// What signs checkpoints.
pub struct SigningKey(Ed25519KeyPair);

/// Why a checkpoint is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It was signed with another key.
    #[error("the checkpoint was signed with another key")]
    OtherKey,
    /// The signature is not one of these bytes.
    #[error("the signature is not one of this checkpoint")]
    Signature,
    /// The chains do not ascend, or one stands twice.
    #[error("the chains of the checkpoint are not in order")]
    Order,
}

impl Checkpoint {
    /// What is signed: a label, the time, and each chain with its records and hash, numbers big-endian, names behind their lengths.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"tocsin audit checkpoint 1\0".to_vec();
        bytes.extend(self.at.0.to_be_bytes());
        bytes.extend((self.chains.len() as u32).to_be_bytes());
        for chain in &self.chains {
            bytes.push(chain.node.as_str().len() as u8);
            bytes.extend(chain.node.as_str().as_bytes());
            bytes.extend(chain.head.records.to_be_bytes());
            bytes.extend(chain.head.hash);
        }
        bytes
    }
}

impl Signed {
    /// Whether it says what the holder of `key` signed.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), CheckpointError> {
        if self.public_key != *key {
            return Err(CheckpointError::OtherKey);
        }
        if !self.checkpoint.chains.is_sorted_by(|one, next| one.node < next.node) {
            return Err(CheckpointError::Order);
        }
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&self.checkpoint.to_bytes(), &self.signature)
            .map_err(|_| CheckpointError::Signature)
    }
}

impl SigningKey {
    /// The key of a seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> SigningKey {
        SigningKey(Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed"))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let public = self.0.public_key().as_ref();
        PublicKey(public.try_into().expect("a public key of Ed25519 has 32 bytes"))
    }

    /// Signs a checkpoint.
    pub fn sign(&self, checkpoint: Checkpoint) -> Signed {
        let signature = self.0.sign(&checkpoint.to_bytes());
        Signed {
            public_key: self.public(),
            signature: signature
                .as_ref()
                .try_into()
                .expect("a signature of Ed25519 has 64 bytes"),
            checkpoint,
        }
    }
}

/// Shows nothing of the secret.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a checkpoint is believed as it was signed, and in no other form.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn signed() -> Signed {
        let chain = |node: &str, records| ChainHead {
            node: node.parse().unwrap(),
            head: Head {
                records,
                hash: [records as u8; 32],
            },
        };
        let checkpoint = Checkpoint {
            at: Timestamp(1_700_000_000_000),
            chains: vec![chain("dispatcher", 7), chain("query", 9)],
        };
        SigningKey::from_seed(&[5; 32]).sign(checkpoint)
    }

    #[test]
    fn the_key_is_that_of_rfc_8032() {
        // Section 7.1, test 1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
            0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let public = [
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
            0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
        ];
        assert_eq!(SigningKey::from_seed(&seed).public(), PublicKey(public));
    }

    #[test]
    fn what_was_signed_is_believed_and_no_change_of_it() {
        let good = signed();
        assert_eq!(good.verify(&good.public_key), Ok(()));
        let other = SigningKey::from_seed(&[6; 32]).public();
        assert_eq!(good.verify(&other), Err(CheckpointError::OtherKey));
        let changes: [fn(&mut Signed); 5] = [
            |signed| signed.checkpoint.at.0 += 1,
            |signed| signed.checkpoint.chains[0].head.records -= 1,
            |signed| signed.checkpoint.chains[1].head.hash[31] ^= 1,
            |signed| drop(signed.checkpoint.chains.pop()),
            |signed| signed.signature[0] ^= 1,
        ];
        for change in changes {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(
                changed.verify(&good.public_key),
                Err(CheckpointError::Signature),
                "{changed:?}"
            );
        }
        let mut turned = good.clone();
        turned.checkpoint.chains.reverse();
        assert_eq!(turned.verify(&good.public_key), Err(CheckpointError::Order));
    }
}
