use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Digest = [u8; 32];

/// How long the file of a signature is: 128 hexadecimal digits and the end of the line.
pub const SIGNATURE_LINE_BYTES: usize = 129;

/// The public half of the key that signs evidence: 32 bytes (RFC 8032, section 5.1.5). Whoever checks gets it once, on a way they trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

/// What signs manifests, exports and entries of custody.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// The signer of a seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Signer {
        Signer(Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed"))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let public = self.0.public_key().as_ref();
        PublicKey(public.try_into().expect("a public key of Ed25519 has 32 bytes"))
    }

    /// Ed25519 (RFC 8032) over all bytes, which begin with what they are.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(bytes);
        signature
            .as_ref()
            .try_into()
            .expect("a signature of Ed25519 has 64 bytes")
    }
}

/// Shows nothing of the secret.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(secret)")
    }
}

impl PublicKey {
    /// Whether the holder of the key signed these bytes.
    pub fn is_signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(bytes, signature)
            .is_ok()
    }
}

/// The SHA-256 of bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// The file of a signature.
pub fn signature_line(signature: &[u8; 64]) -> Vec<u8> {
    format!("{}\n", hex::encode(signature)).into_bytes()
}

/// What [`signature_line`] wrote, and nothing else.
pub fn read_signature_line(line: &[u8]) -> Option<[u8; 64]> {
    let mut signature = [0; 64];
    hex::decode_to_slice(line.strip_suffix(b"\n")?, &mut signature).ok()?;
    (signature_line(&signature) == line).then_some(signature)
}
