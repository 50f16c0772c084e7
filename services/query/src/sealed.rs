//! What is handed to readers and comes back unread: sealed, so that it neither tells what is inside nor can be made up.
//!
//! A synthetic initialisation vector (RFC 5297, section 1.3.4) over the deployment's keyed 128-bit digest, a pseudo-random function that both
//! authenticates the content and makes the key stream that hides it. What is sealed in one context opens in no other. Every replica of a
//! deployment opens what another sealed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tocsin_model::{DeploymentKey, Scope};

const SEAL_BYTES: usize = 16;

/// One kind of sealed text, by the labels of its two digests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealKind {
    pub(crate) seal: &'static str,
    pub(crate) stream: &'static str,
    /// The most bytes inside.
    pub(crate) bytes_max: usize,
}

/// A scope as a context.
pub(crate) fn class_bytes(scope: Scope) -> [u8; 4] {
    scope.own_class().number().to_le_bytes()
}

impl SealKind {
    /// Bytes as text for those to whom `context` is the same: base64url. Its length tells the number of bytes and nothing else.
    pub(crate) fn seal(&self, key: &DeploymentKey, context: &[&[u8]], mut bytes: Vec<u8>) -> String {
        let seal = self.seal_of(key, context, &bytes);
        self.apply_stream(key, &seal, &mut bytes);
        URL_SAFE_NO_PAD.encode([seal.as_slice(), &bytes].concat())
    }

    /// What was sealed, if it was by this deployment in this context.
    pub(crate) fn open(&self, key: &DeploymentKey, context: &[&[u8]], text: &str) -> Option<Vec<u8>> {
        if text.len() > (SEAL_BYTES + self.bytes_max) * 4 / 3 + 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (seal, bytes) = bytes.split_at_checked(SEAL_BYTES)?;
        let seal: [u8; SEAL_BYTES] = seal.try_into().ok()?;
        let mut bytes = bytes.to_vec();
        self.apply_stream(key, &seal, &mut bytes);
        (self.seal_of(key, context, &bytes) == seal).then_some(bytes)
    }

    fn seal_of(&self, key: &DeploymentKey, context: &[&[u8]], bytes: &[u8]) -> [u8; SEAL_BYTES] {
        let parts: Vec<&[u8]> = context.iter().copied().chain([bytes]).collect();
        key.digest(self.seal, &parts).to_le_bytes()
    }

    fn apply_stream(&self, key: &DeploymentKey, seal: &[u8; SEAL_BYTES], bytes: &mut [u8]) {
        for (index, block) in bytes.chunks_mut(SEAL_BYTES).enumerate() {
            let stream = key.digest(self.stream, &[seal, &(index as u64).to_le_bytes()]);
            for (byte, mask) in block.iter_mut().zip(stream.to_le_bytes()) {
                *byte ^= mask;
            }
        }
    }
}
