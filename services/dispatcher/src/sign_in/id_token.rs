//! What an ID token is held to (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725). Pure: keys and time are handed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tocsin_model::{Milliseconds, Timestamp};

use super::keys::{Found, KeySet, algorithm, use_ring};

/// The longest token, in bytes.
pub(super) const TOKEN_BYTES_MAX: usize = 16 << 10;
/// By how much the provider's clock may differ.
pub(super) const LEEWAY: Milliseconds = Milliseconds::from_minutes(1);

/// What is asked of a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRefusal {
    #[error("it is no signed token of three parts, or lacks a claim that it must have")]
    Malformed,
    #[error("its header brings a key, an address of one, or an extension that must be understood")]
    HeaderBringsKey,
    #[error("its algorithm is none that is taken")]
    Algorithm,
    #[error("its key is none of the provider's")]
    KeyUnknown,
    #[error("it names no key, and the provider has several")]
    KeyAmbiguous,
    #[error("its signature is not its key's")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another audience, or for others too")]
    Audience,
    #[error("it was made for another party")]
    AuthorizedParty,
    #[error("its time is over")]
    Expired,
    #[error("its time has not come")]
    NotYet,
    #[error("it answers another sign-in")]
    Nonce,
}

#[derive(Deserialize)]
struct Claims {
    /// Text: the library also takes a list in which ours is one of several.
    iss: String,
    sub: String,
    aud: OneOrMany,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The subject of a token that holds.
///
/// # Errors
/// A [`TokenRefusal`].
pub(crate) fn subject(token: &str, keys: &KeySet, expected: Expected<'_>) -> Result<String, TokenRefusal> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenRefusal::Malformed);
    }
    let header = header(token)?;
    // The provider's keys are those that it publishes: a token says nothing of where to find others.
    if ["jwk", "jku", "x5u", "x5c", "crit"]
        .iter()
        .any(|name| header.contains_key(*name))
    {
        return Err(TokenRefusal::HeaderBringsKey);
    }
    let text = |name: &str| {
        header
            .get(name)
            .map(|value| value.as_str().ok_or(TokenRefusal::Malformed))
    };
    let named = text("alg").ok_or(TokenRefusal::Malformed)??;
    let algorithm = algorithm(named).ok_or(TokenRefusal::Algorithm)?;
    let key = match keys.find(text("kid").transpose()?, algorithm) {
        Found::Key(key) => key,
        Found::None => return Err(TokenRefusal::KeyUnknown),
        Found::Several => return Err(TokenRefusal::KeyAmbiguous),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    // By the store's clock, below.
    validation.validate_exp = false;
    use_ring();
    let claims = decode::<Claims>(token, key, &validation).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => TokenRefusal::Signature,
        ErrorKind::InvalidIssuer => TokenRefusal::Issuer,
        ErrorKind::InvalidAudience => TokenRefusal::Audience,
        _ => TokenRefusal::Malformed,
    })?;
    held_to(claims.claims, expected)
}

fn held_to(claims: Claims, expected: Expected<'_>) -> Result<String, TokenRefusal> {
    if claims.iss != expected.issuer {
        return Err(TokenRefusal::Issuer);
    }
    // An audience beside ours is nobody whom this deployment trusts with its tokens.
    let is_for_us_alone = match &claims.aud {
        OneOrMany::One(audience) => audience == expected.client_id,
        OneOrMany::Many(audiences) => audiences.as_slice() == [expected.client_id],
    };
    if !is_for_us_alone {
        return Err(TokenRefusal::Audience);
    }
    if claims.azp.is_some_and(|party| party != expected.client_id) {
        return Err(TokenRefusal::AuthorizedParty);
    }
    let (now, leeway) = (expected.now.0 as f64 / 1_000.0, LEEWAY.0 as f64 / 1_000.0);
    // JSON has finite numbers alone.
    if claims.exp + leeway <= now {
        return Err(TokenRefusal::Expired);
    }
    let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if begins > now + leeway {
        return Err(TokenRefusal::NotYet);
    }
    // The nonce is no secret to whoever has the token; what it must be is this browser's.
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(TokenRefusal::Nonce);
    }
    Ok(claims.sub)
}

/// The header of a token, of which nothing is believed yet.
fn header(token: &str) -> Result<Map<String, Value>, TokenRefusal> {
    let (header, _) = token.split_once('.').ok_or(TokenRefusal::Malformed)?;
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenRefusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenRefusal::Malformed)
}
