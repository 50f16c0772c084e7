//! Tokens signed by whomever a test likes. Not every test needs all of it.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use sha2::Sha256;

/// Who signs.
pub enum Signer {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    /// With an encoding: the algorithm.
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
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

    pub fn p384() -> Signer {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key.as_ref(), &random);
        Signer::P384(key.unwrap())
    }

    /// Signs by the RSA algorithm of this name.
    pub fn rsa(name: &str) -> Signer {
        let encoding: &'static dyn RsaEncoding = match name {
            "RS256" => &signature::RSA_PKCS1_SHA256,
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            "PS256" => &signature::RSA_PSS_SHA256,
            "PS384" => &signature::RSA_PSS_SHA384,
            "PS512" => &signature::RSA_PSS_SHA512,
            other => panic!("{other}"),
        };
        // `ring` makes no RSA keys: one that opens nothing anywhere.
        let key = STANDARD.decode(include_str!("rsa_2048.b64").replace('\n', "")).unwrap();
        Signer::Rsa(RsaKeyPair::from_pkcs8(&key).unwrap(), encoding)
    }

    pub fn ed25519() -> Signer {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Signer::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub fn public(&self) -> Vec<u8> {
        match self {
            Signer::P256(key) | Signer::P384(key) => key.public_key().as_ref().to_vec(),
            Signer::Rsa(key, _) => key.public_key().as_ref().to_vec(),
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
            Signer::P384(_) => {
                let (x, y) = (text(&public[1..49]), text(&public[49..]));
                json!({"kty": "EC", "crv": "P-384", "kid": id, "x": x, "y": y})
            }
            Signer::Rsa(key, _) => {
                let parts = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "kid": id, "n": text(parts.n), "e": text(parts.e)})
            }
            Signer::Ed25519(_) => json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": text(public)}),
            Signer::Hmac(_) | Signer::Nobody => Value::Null,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Signer::P256(key) | Signer::P384(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Signer::Rsa(key, encoding) => {
                let mut signed = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signed).unwrap();
                signed
            }
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
