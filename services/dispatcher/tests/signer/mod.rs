//! Tokens signed by whomever a test likes. Not every test needs all of it.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// Who signs.
pub enum Signer {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// HMAC under any bytes.
    Hmac(Vec<u8>),
    Nobody,
}

/// Base64 as tokens have it.
pub fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub fn p256() -> Signer {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random);
        Signer::P256(key.unwrap())
    }

    pub fn ed25519() -> Signer {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Signer::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub fn public(&self) -> Vec<u8> {
        match self {
            Signer::P256(key) => key.public_key().as_ref().to_vec(),
            Signer::Ed25519(key) => key.public_key().as_ref().to_vec(),
            Signer::Hmac(_) | Signer::Nobody => Vec::new(),
        }
    }

    pub fn jwk(&self, id: &str) -> Value {
        let public = self.public();
        match self {
            Signer::P256(_) => {
                let (x, y) = (text(&public[1..33]), text(&public[33..]));
                json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256", "x": x, "y": y})
            }
            Signer::Ed25519(_) => json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": text(public)}),
            Signer::Hmac(_) | Signer::Nobody => Value::Null,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Signer::P256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Signer::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Signer::Hmac(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
            Signer::Nobody => Vec::new(),
        }
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = text(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// An object with other or further fields; null takes one out.
pub fn with(mut object: Value, other: Value) -> Value {
    for (name, value) in other.as_object().unwrap() {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => object[name] = value.clone(),
        }
    }
    object
}
