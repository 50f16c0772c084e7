//! The keys with which a provider signs (JWK sets, RFC 7517), and the algorithms that are taken: a closed list, asymmetric all of them.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::Verifier;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// How many keys of a provider are looked at.
pub(super) const KEYS_MAX: usize = 64;
/// The algorithms by their names (RFC 7518, section 3.1; RFC 8037). No other is taken, whatever a token or a provider says.
pub(super) const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The keys of a provider that may sign ID tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    /// The algorithm that it is for alone, if that is said.
    of: Option<Algorithm>,
    kind: Kind,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Which key a token is held to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Key(&'a DecodingKey),
    /// None of these: the provider may have another by now.
    None,
    /// The token names none, and several would do.
    Several,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The algorithm of a name, if it is taken.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS
        .iter()
        .find(|(of, _)| *of == name)
        .map(|(_, algorithm)| *algorithm)
}

impl KeySet {
    /// The keys of a JWK set. Keys of other kinds, for other uses, or that cannot be read are left out. `None`: it is no set.
    pub(crate) fn read(bytes: &[u8]) -> Option<KeySet> {
        let set: Value = serde_json::from_slice(bytes).ok()?;
        let keys = set.get("keys")?.as_array()?.iter().take(KEYS_MAX);
        Some(KeySet(keys.filter_map(Key::read).collect()))
    }

    /// The key of this id for this algorithm; without an id the only one for the algorithm (OpenID Connect Core 1.0, section 10.1).
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let suits = |key: &&Key| key.suits(algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut suiting = self.0.iter().filter(suits);
        match (suiting.next(), suiting.next()) {
            (None, _) => Found::None,
            (Some(key), None) => Found::Key(&key.key),
            (Some(_), Some(_)) => Found::Several,
        }
    }
}

impl Key {
    fn read(value: &Value) -> Option<Key> {
        let jwk = Jwk::deserialize(value).ok()?;
        if jwk.r#use.is_some_and(|of| of != "sig") {
            return None;
        }
        let of = match jwk.alg.as_deref() {
            Some(name) => Some(algorithm(name)?),
            None => None,
        };
        let (kind, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (Kind::Rsa, DecodingKey::from_rsa_components(&jwk.n?, &jwk.e?).ok()?),
            ("EC", Some("P-256")) => (Kind::P256, DecodingKey::from_ec_components(&jwk.x?, &jwk.y?).ok()?),
            ("EC", Some("P-384")) => (Kind::P384, DecodingKey::from_ec_components(&jwk.x?, &jwk.y?).ok()?),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(&jwk.x?).ok()?),
            _ => return None,
        };
        Some(Key {
            id: jwk.kid,
            of,
            kind,
            key,
        })
    }

    fn suits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
            _ => Kind::Rsa,
        };
        self.kind == kind && self.of.is_none_or(|of| of == algorithm)
    }
}

/// Lets `jsonwebtoken` verify with `ring`, which the workspace has for TLS and the audit's signatures: it signs nothing here.
pub(super) fn use_ring() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(Error::from(ErrorKind::UnsupportedAlgorithm)),
        verifier_factory: ring_verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    static ONCE: Once = Once::new();
    // Nobody else in the process installs one.
    ONCE.call_once(|| PROVIDER.install_default().unwrap_or_default());
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

fn ring_verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let is_taken = ALGORITHMS.iter().any(|(_, taken)| taken == algorithm);
    if !is_taken || key.family() != algorithm.family() {
        return Err(Error::from(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), jsonwebtoken::signature::Error> {
        let refused = |_| jsonwebtoken::signature::Error::new();
        if let DecodingKeyKind::RsaModulusExponent { n, e } = self.key.kind() {
            // Of 2,048 to 8,192 bits, or it is refused.
            let parameters = match self.algorithm {
                Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
                Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
                Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
                _ => return Err(jsonwebtoken::signature::Error::new()),
            };
            let key = RsaPublicKeyComponents { n, e };
            return key.verify(parameters, message, signed).map_err(refused);
        }
        let bytes = self.key.try_get_as_bytes();
        let bytes = bytes.map_err(|_| jsonwebtoken::signature::Error::new())?;
        let algorithm: &dyn signature::VerificationAlgorithm = match (self.algorithm, self.key.family()) {
            (Algorithm::ES256, AlgorithmFamily::Ec) => &signature::ECDSA_P256_SHA256_FIXED,
            (Algorithm::ES384, AlgorithmFamily::Ec) => &signature::ECDSA_P384_SHA384_FIXED,
            (Algorithm::EdDSA, AlgorithmFamily::Ed) => &signature::ED25519,
            _ => return Err(jsonwebtoken::signature::Error::new()),
        };
        let key = UnparsedPublicKey::new(algorithm, bytes);
        key.verify(message, signed).map_err(refused)
    }
}
