//! Goal: the provider's own ID token for this sign-in is taken, and each forged or confused one is refused for what is wrong with it.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tocsin_model::Timestamp;

use super::id_token::{Expected, TOKEN_BYTES_MAX, TokenRefusal, subject};
use super::keys::{ALGORITHMS, KEYS_MAX, KeySet};

#[path = "../../tests/signer/mod.rs"]
mod signer;

use signer::{Signer, text, with};

const ISSUER: &str = "https://id.example";
const CLIENT: &str = "tocsin";
const NONCE: &str = "n-0S6_WzA2Mj";
const NOW_S: i64 = 1_700_000_000;
const EXPECTED: Expected<'_> = Expected {
    issuer: ISSUER,
    client_id: CLIENT,
    nonce: NONCE,
    now: Timestamp(NOW_S * 1_000),
};

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada-1", "aud": CLIENT, "exp": NOW_S + 300, "iat": NOW_S, "nonce": NONCE,
        "email": "ada@alpha.example", "email_verified": true,
    })
}

fn keys(of: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": of }).to_string().as_bytes()).unwrap()
}

#[test]
fn the_providers_own_token_is_taken() {
    let (p256, ed25519) = (Signer::p256(), Signer::ed25519());
    let set = keys(&[p256.jwk("a"), ed25519.jwk("b")]);
    let es256 = json!({"alg": "ES256", "kid": "a", "typ": "JWT"});
    for (signer, header) in [
        (&p256, es256.clone()),
        (&ed25519, json!({"alg": "EdDSA", "kid": "b"})),
        // The only key that suits needs no name.
        (&p256, json!({"alg": "ES256"})),
        (&p256, with(es256.clone(), json!({"x5t": "a thumbprint is no key"}))),
    ] {
        assert_eq!(
            subject(&signer.token(&header, &claims()), &set, EXPECTED).as_deref(),
            Ok("ada-1"),
            "{header}"
        );
    }
    for other in [
        json!({"aud": [CLIENT]}),
        json!({"azp": CLIENT}),
        json!({"exp": NOW_S - 59}),
        json!({"exp": NOW_S as f64 + 0.5}),
        json!({"nbf": NOW_S + 60}),
        json!({"iat": NOW_S + 60}),
    ] {
        let token = p256.token(&es256, &with(claims(), other.clone()));
        assert_eq!(subject(&token, &set, EXPECTED).as_deref(), Ok("ada-1"), "{other}");
    }
}

#[test]
fn each_algorithm_is_verified_and_takes_no_other_ones_signature() {
    for (name, _) in ALGORITHMS {
        let signer = match name {
            "ES256" => Signer::p256(),
            "ES384" => Signer::p384(),
            "EdDSA" => Signer::ed25519(),
            rsa => Signer::rsa(rsa),
        };
        let set = keys(&[signer.jwk("a")]);
        for (other, _) in ALGORITHMS {
            let token = signer.token(&json!({"alg": other, "kid": "a"}), &claims());
            let found = subject(&token, &set, EXPECTED);
            assert_eq!(found.is_ok(), name == other, "{name} as {other}: {found:?}");
        }
    }
}

#[test]
fn each_forged_or_confused_token_is_refused_for_what_is_wrong_with_it() {
    let (own, second, elsewhere) = (Signer::p256(), Signer::ed25519(), Signer::p256());
    let set = keys(&[own.jwk("a"), second.jwk("b")]);
    let header = json!({"alg": "ES256", "kid": "a"});
    let hmac = Signer::Hmac(own.public());
    let of_jwk = Signer::Hmac(own.jwk("a").to_string().into_bytes());
    let forged = |other: Value| with(header.clone(), other);
    let said = |other: Value| with(claims(), other);
    use TokenRefusal as R;
    let set_of_forgeries: Vec<(&str, &Signer, Value, Value, R)> = vec![
        // Algorithms.
        (
            "alg none",
            &Signer::Nobody,
            json!({"alg": "none"}),
            claims(),
            R::Algorithm,
        ),
        (
            "alg None, of a key",
            &Signer::Nobody,
            forged(json!({"alg": "None"})),
            claims(),
            R::Algorithm,
        ),
        (
            "alg nOnE, signed",
            &own,
            forged(json!({"alg": "nOnE"})),
            claims(),
            R::Algorithm,
        ),
        (
            "HS256 with the public key",
            &hmac,
            forged(json!({"alg": "HS256"})),
            claims(),
            R::Algorithm,
        ),
        (
            "HS256 with the published key",
            &of_jwk,
            forged(json!({"alg": "HS256"})),
            claims(),
            R::Algorithm,
        ),
        (
            "no algorithm",
            &own,
            forged(json!({"alg": null})),
            claims(),
            R::Malformed,
        ),
        (
            "an algorithm that is no text",
            &own,
            forged(json!({"alg": ["ES256"]})),
            claims(),
            R::Malformed,
        ),
        (
            "an algorithm of another key",
            &own,
            forged(json!({"alg": "EdDSA"})),
            claims(),
            R::KeyUnknown,
        ),
        (
            "an RSA algorithm with an EC key",
            &own,
            forged(json!({"alg": "RS256"})),
            claims(),
            R::KeyUnknown,
        ),
        (
            "another curve",
            &own,
            forged(json!({"alg": "ES384"})),
            claims(),
            R::KeyUnknown,
        ),
        // Keys.
        (
            "another provider's key under our key's name",
            &elsewhere,
            header.clone(),
            claims(),
            R::Signature,
        ),
        (
            "a name of no key",
            &elsewhere,
            forged(json!({"kid": "c"})),
            claims(),
            R::KeyUnknown,
        ),
        (
            "a name that is a path",
            &own,
            forged(json!({"kid": "../../dev/null"})),
            claims(),
            R::KeyUnknown,
        ),
        (
            "a name that is no text",
            &own,
            forged(json!({"kid": 7})),
            claims(),
            R::Malformed,
        ),
        (
            "its own key in the header",
            &elsewhere,
            forged(json!({"jwk": elsewhere.jwk("a")})),
            claims(),
            R::HeaderBringsKey,
        ),
        (
            "an address of keys",
            &elsewhere,
            forged(json!({"jku": "https://evil.example/keys"})),
            claims(),
            R::HeaderBringsKey,
        ),
        (
            "an address of certificates",
            &own,
            forged(json!({"x5u": "https://evil.example/c"})),
            claims(),
            R::HeaderBringsKey,
        ),
        (
            "certificates",
            &own,
            forged(json!({"x5c": ["MIIB"]})),
            claims(),
            R::HeaderBringsKey,
        ),
        (
            "an extension that must be understood",
            &own,
            forged(json!({"crit": ["b64"], "b64": false})),
            claims(),
            R::HeaderBringsKey,
        ),
        ("no signature", &Signer::Nobody, header.clone(), claims(), R::Signature),
        // Claims.
        (
            "another issuer",
            &own,
            header.clone(),
            said(json!({"iss": "https://evil.example"})),
            R::Issuer,
        ),
        (
            "an issuer with a slash more",
            &own,
            header.clone(),
            said(json!({"iss": "https://id.example/"})),
            R::Issuer,
        ),
        (
            "two issuers",
            &own,
            header.clone(),
            said(json!({"iss": [ISSUER, "https://evil.example"]})),
            R::Malformed,
        ),
        (
            "no issuer",
            &own,
            header.clone(),
            said(json!({"iss": null})),
            R::Malformed,
        ),
        (
            "another audience",
            &own,
            header.clone(),
            said(json!({"aud": "other"})),
            R::Audience,
        ),
        (
            "no audience",
            &own,
            header.clone(),
            said(json!({"aud": null})),
            R::Malformed,
        ),
        (
            "no audience in a list",
            &own,
            header.clone(),
            said(json!({"aud": []})),
            R::Audience,
        ),
        (
            "another audience beside ours",
            &own,
            header.clone(),
            said(json!({"aud": [CLIENT, "other"]})),
            R::Audience,
        ),
        (
            "an audience that begins as ours",
            &own,
            header.clone(),
            said(json!({"aud": "tocsin-admin"})),
            R::Audience,
        ),
        (
            "another authorised party",
            &own,
            header.clone(),
            said(json!({"azp": "other"})),
            R::AuthorizedParty,
        ),
        (
            "over by a minute",
            &own,
            header.clone(),
            said(json!({"exp": NOW_S - 60})),
            R::Expired,
        ),
        (
            "over long ago",
            &own,
            header.clone(),
            said(json!({"exp": 1})),
            R::Expired,
        ),
        ("no end", &own, header.clone(), said(json!({"exp": null})), R::Malformed),
        (
            "an end that is a text",
            &own,
            header.clone(),
            said(json!({"exp": "9999999999"})),
            R::Malformed,
        ),
        (
            "not yet",
            &own,
            header.clone(),
            said(json!({"nbf": NOW_S + 61})),
            R::NotYet,
        ),
        (
            "a begin that is a text",
            &own,
            header.clone(),
            said(json!({"nbf": "0"})),
            R::Malformed,
        ),
        (
            "made in the future",
            &own,
            header.clone(),
            said(json!({"iat": NOW_S + 61})),
            R::NotYet,
        ),
        (
            "made in the future, begun before",
            &own,
            header.clone(),
            said(json!({"iat": NOW_S + 61, "nbf": 0})),
            R::NotYet,
        ),
        (
            "never made",
            &own,
            header.clone(),
            said(json!({"iat": null})),
            R::Malformed,
        ),
        (
            "another sign-in's nonce",
            &own,
            header.clone(),
            said(json!({"nonce": "n-0S6_WzA2Mk"})),
            R::Nonce,
        ),
        ("no nonce", &own, header.clone(), said(json!({"nonce": null})), R::Nonce),
        (
            "an empty nonce",
            &own,
            header.clone(),
            said(json!({"nonce": ""})),
            R::Nonce,
        ),
        ("nobody", &own, header.clone(), said(json!({"sub": null})), R::Malformed),
        (
            "somebody by e-mail alone",
            &own,
            header.clone(),
            said(json!({"sub": null, "email": "ada@alpha.example"})),
            R::Malformed,
        ),
        (
            "a subject that is a number",
            &own,
            header.clone(),
            said(json!({"sub": 7})),
            R::Malformed,
        ),
    ];
    for (what, signer, header, claims, refusal) in &set_of_forgeries {
        let token = signer.token(header, claims);
        assert_eq!(subject(&token, &set, EXPECTED), Err(*refusal), "{what}");
    }
    assert_eq!(set_of_forgeries.len(), 45);

    // Several keys that suit, and no name.
    let several = keys(&[own.jwk("a"), elsewhere.jwk("c")]);
    let unnamed = own.token(&json!({"alg": "ES256"}), &claims());
    assert_eq!(subject(&unnamed, &several, EXPECTED), Err(TokenRefusal::KeyAmbiguous));
    assert_eq!(
        subject(&unnamed, &KeySet::default(), EXPECTED),
        Err(TokenRefusal::KeyUnknown)
    );
}

#[test]
fn a_token_with_any_byte_changed_cut_or_added_is_refused() {
    let own = Signer::p256();
    let set = keys(&[own.jwk("a")]);
    let token = own.token(&json!({"alg": "ES256", "kid": "a"}), &claims());
    assert!(subject(&token, &set, EXPECTED).is_ok());
    for place in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        // The last digit of a part may hold bits that mean nothing; readers here refuse other ones there.
        assert!(subject(&changed, &set, EXPECTED).is_err(), "{place}");
        assert!(subject(&token[..place], &set, EXPECTED).is_err(), "cut at {place}");
    }
    let other = own.token(
        &json!({"alg": "ES256", "kid": "a"}),
        &with(claims(), json!({"sub": "eve"})),
    );
    let parts: Vec<&str> = token.split('.').collect();
    let of_other: Vec<&str> = other.split('.').collect();
    for wrong in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{token}."),
        format!("{token}.{}", parts[2]),
        format!(" {token}"),
        format!("{token}="),
        format!("{}.{}.{}", parts[0], of_other[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], of_other[2]),
        format!("{}.{}.", parts[0], parts[1]),
        "A".repeat(TOKEN_BYTES_MAX + 1),
        format!("{}.{}.", text("[]"), text("{}")),
        format!("{}.{}.", text("{\"alg\":\"ES256\",\"alg\":\"none\"}"), text("{}")),
    ] {
        assert!(subject(&wrong, &set, EXPECTED).is_err(), "{wrong}");
    }
}

#[test]
fn only_keys_that_may_sign_are_keys() {
    let own = Signer::p256();
    let token = own.token(&json!({"alg": "ES256", "kid": "a"}), &claims());
    let jwk = own.jwk("a");
    for (other, is_key) in [
        (json!({}), true),
        (json!({"use": null, "alg": null}), true),
        (json!({"use": "enc"}), false),
        (json!({"alg": "ES384"}), false),
        (json!({"alg": "HS256"}), false),
        (json!({"crv": "P-384"}), false),
        (json!({"crv": "secp256k1"}), false),
        (json!({"kty": "oct", "k": text([0; 32])}), false),
        (json!({"x": null}), false),
        (json!({"x": "!"}), false),
        (json!({"y": text([0; 31])}), false),
        (json!({"kid": 7}), false),
    ] {
        // One that cannot be read spoils none of the others.
        let set = keys(&[json!(7), with(jwk.clone(), other.clone()), Signer::ed25519().jwk("b")]);
        assert_eq!(subject(&token, &set, EXPECTED).is_ok(), is_key, "{other}");
    }
    let many: Vec<Value> = (0..KEYS_MAX).map(|_| json!({})).chain([jwk]).collect();
    assert_eq!(subject(&token, &keys(&many), EXPECTED), Err(TokenRefusal::KeyUnknown));
    for wrong in ["", "[]", "{}", "{\"keys\": {}}", "{\"keys\": null}"] {
        assert!(KeySet::read(wrong.as_bytes()).is_none(), "{wrong}");
    }
}
