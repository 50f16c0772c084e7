//! Signatures of webhooks: HMAC-SHA256 over `id.timestamp.body`, in base64 behind `v1,` (Standard Webhooks 1.0, "Signature scheme").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret has: the bounds of Standard Webhooks.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that webhooks are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// The secret in `whsec_` and base64.
    pub(crate) fn parse(text: &str) -> Option<SigningSecret> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        BYTES.contains(&bytes.len()).then_some(SigningSecret(bytes))
    }

    /// One signature.
    pub(crate) fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The header `webhook-signature`: one signature for each secret, so that a receiver may know the new one or still the old one.
pub(crate) fn signatures(secrets: &[SigningSecret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| secret.sign(id, timestamp_s, body));
    signed.collect::<Vec<_>>().join(" ")
}

/// A new secret of 32 random bytes, as text.
pub fn new_signing_secret() -> String {
    format!("{PREFIX}{}", STANDARD.encode(rand::random::<[u8; 32]>()))
}

#[cfg(test)]
mod tests {
    //! Goal: what a receiver with a library of Standard Webhooks checks.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_alike() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = SigningSecret::parse(&new_signing_secret()).unwrap();
        let both = signatures(&[other.clone(), secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1, b"");
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.starts_with(&other.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1, b"")));
    }

    #[test]
    fn a_secret_is_text_of_a_fixed_form() {
        for wrong in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_%%",
            "whsec_c2hvcnQ=",
        ] {
            assert!(SigningSecret::parse(wrong).is_none(), "{wrong}");
        }
        assert_ne!(new_signing_secret(), new_signing_secret());
    }
}
