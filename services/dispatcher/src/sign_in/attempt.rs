//! What a browser keeps between the two halves of a sign-in. Nothing of it is kept here, so that whoever begins sign-ins fills nothing; that one comes
//! to its end once is kept, by the store.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tocsin_model::{DeploymentKey, Milliseconds, Timestamp};

/// How long somebody may take at the provider.
pub(crate) const ATTEMPT_LIFETIME: Milliseconds = Milliseconds::from_minutes(10);
/// The longest path to which somebody goes on, in bytes.
pub(crate) const RETURN_TO_BYTES_MAX: usize = 512;
/// The longest invitation, in bytes.
const INVITATION_BYTES_MAX: usize = 128;
/// The longest text that may be one, in bytes.
const SEALED_BYTES_MAX: usize = 2_048;

/// What seals attempts, and makes their secrets. The same in every dispatcher of a deployment.
pub(crate) struct AttemptKey([u8; 32]);

/// One browser's sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// When it was begun.
    at_ms: i64,
    /// What tells it from all others.
    secret: String,
    /// The invitation with which somebody came.
    pub invitation: Option<String>,
    /// Where they go on to.
    pub return_to: Option<String>,
}

/// The three secrets of a sign-in, all derived from the attempt under the deployment's key: the browser cannot choose one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secrets {
    /// Goes through the provider and comes back: the answer is to this browser's question.
    pub state: String,
    /// Stands in the ID token: the token is the answer to this question.
    pub nonce: String,
    /// Of PKCE (RFC 7636): whoever has the code alone gets nothing for it.
    pub verifier: String,
}

impl AttemptKey {
    /// Two digests of the label `sign-in attempt`, one behind the other.
    pub(crate) fn of(key: &DeploymentKey) -> AttemptKey {
        let mut bytes = [0; 32];
        for (half, part) in bytes.chunks_exact_mut(16).zip([0_u8, 1]) {
            half.copy_from_slice(&key.digest("sign-in attempt", &[&[part]]).to_be_bytes());
        }
        AttemptKey(bytes)
    }

    fn mac(&self, label: &str, payload: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of HMAC has any length");
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(payload.as_bytes());
        mac
    }

    fn text(&self, label: &str, payload: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(label, payload).finalize().into_bytes())
    }

    fn secrets(&self, payload: &str) -> Secrets {
        Secrets {
            state: self.text("state", payload),
            nonce: self.text("nonce", payload),
            verifier: self.text("verifier", payload),
        }
    }

    /// The text for the browser, and the secrets of the sign-in.
    pub(crate) fn seal(&self, attempt: &Attempt) -> (String, Secrets) {
        let json = serde_json::to_vec(attempt).expect("an attempt is plain data");
        let payload = URL_SAFE_NO_PAD.encode(json);
        let sealed = format!("{payload}.{}", self.text("attempt", &payload));
        let secrets = self.secrets(&payload);
        (sealed, secrets)
    }

    /// The attempt that a browser shows together with the state that came back, if it was begun by that browser and not too long ago.
    pub(crate) fn open(&self, sealed: &str, state: &str, now: Timestamp) -> Option<(Attempt, Secrets)> {
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        let (payload, seal) = sealed.split_once('.')?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        self.mac("attempt", payload).verify_slice(&seal).ok()?;
        let state = URL_SAFE_NO_PAD.decode(state).ok()?;
        self.mac("state", payload).verify_slice(&state).ok()?;
        let attempt: Attempt = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let age = now.0.checked_sub(attempt.at_ms)?;
        // A clock that was set back a little, or another dispatcher's that goes after this one's, ends nobody's sign-in.
        (-60_000..ATTEMPT_LIFETIME.0).contains(&age).then(|| {
            let secrets = self.secrets(payload);
            (attempt, secrets)
        })
    }
}

/// This process' time, by which attempts are timed: nobody who is not known asks the store for its own.
pub(crate) fn here_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Attempt {
    /// An attempt that begins now. `None`: the invitation is none, or `return_to` is no path of this deployment.
    pub(crate) fn begin(
        now: Timestamp,
        secret: [u8; 32],
        invitation: Option<String>,
        return_to: Option<String>,
    ) -> Option<Attempt> {
        let is_link = |text: &String| text.len() <= INVITATION_BYTES_MAX && text.is_ascii();
        let is_whole = invitation.as_ref().is_none_or(is_link) && return_to.as_deref().is_none_or(is_own_path);
        is_whole.then(|| Attempt {
            at_ms: now.0,
            secret: hex::encode(secret),
            invitation,
            return_to,
        })
    }
}

impl Secrets {
    /// What is told of the verifier beforehand (RFC 7636, section 4.2, `S256`).
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }

    /// What is kept of the state once the sign-in came to its end.
    pub(crate) fn state_digest(&self) -> [u8; 32] {
        Sha256::digest(&self.state).into()
    }
}

/// Whether a text is a path of the same origin however a browser reads it: `//host` and `/\host` are other hosts, and control characters vanish.
fn is_own_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    text.len() <= RETURN_TO_BYTES_MAX && text.starts_with('/') && !text.starts_with("//") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    //! Goal: a sign-in ends in the browser in which it began, soon, or not at all.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn key(byte: u8) -> AttemptKey {
        AttemptKey::of(&DeploymentKey::from_bytes([byte; 32]))
    }

    fn attempt(secret: u8) -> Attempt {
        Attempt::begin(
            NOW,
            [secret; 32],
            Some("tocsin_link_1".to_owned()),
            Some("/v1/queue".to_owned()),
        )
        .unwrap()
    }

    #[test]
    fn it_opens_with_its_own_state_in_its_time() {
        let key = key(1);
        let (sealed, secrets) = key.seal(&attempt(7));
        let opened = key.open(&sealed, &secrets.state, NOW);
        assert_eq!(opened, Some((attempt(7), secrets.clone())));
        for (late, is_taken) in [
            (0, true),
            (-1_000, true),
            (599_999, true),
            (600_000, false),
            (-60_001, false),
        ] {
            let opened = key.open(&sealed, &secrets.state, Timestamp(NOW.0 + late));
            assert_eq!(opened.is_some(), is_taken, "{late}");
        }
        let texts = [&secrets.state, &secrets.nonce, &secrets.verifier, &secrets.challenge()];
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(text.len(), 43);
            assert!(!sealed.contains(text.as_str()));
            assert!(texts[..number].iter().all(|other| other != text));
        }
    }

    #[test]
    fn neither_another_browsers_nor_an_altered_one_opens() {
        let (key, other_key) = (key(1), key(2));
        let (sealed, secrets) = key.seal(&attempt(7));
        let (other_sealed, other) = key.seal(&attempt(8));
        assert_ne!(secrets, other);
        assert_eq!(key.open(&sealed, &other.state, NOW), None);
        assert_eq!(key.open(&other_sealed, &secrets.state, NOW), None);
        assert_eq!(other_key.open(&sealed, &secrets.state, NOW), None);
        let (payload, seal) = sealed.split_once('.').unwrap();
        let later = Attempt {
            at_ms: NOW.0 + 1,
            ..attempt(7)
        };
        let (later, _) = key.seal(&later);
        let (later_payload, _) = later.split_once('.').unwrap();
        for wrong in [
            String::new(),
            payload.to_owned(),
            format!("{later_payload}.{seal}"),
            format!("{payload}."),
            format!("{payload}.{seal}A"),
            format!("{payload}.{}", secrets.state),
            "a".repeat(SEALED_BYTES_MAX + 1),
        ] {
            assert_eq!(key.open(&wrong, &secrets.state, NOW), None, "{wrong}");
        }
        for state in [
            "",
            "x",
            &secrets.nonce,
            &secrets.verifier,
            &format!("{}A", secrets.state),
        ] {
            assert_eq!(key.open(&sealed, state, NOW), None, "{state}");
        }
    }

    #[test]
    fn somebody_goes_on_within_this_deployment() {
        for (path, is_own) in [
            ("/", true),
            ("/v1/queue?limit=5", true),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("/a\tb", false),
            ("/a b", false),
            ("https://evil.example", false),
            ("v1", false),
            ("", false),
            ("/\u{e9}", false),
            (&format!("/{}", "a".repeat(RETURN_TO_BYTES_MAX)), false),
        ] {
            let begun = Attempt::begin(NOW, [0; 32], None, Some(path.to_owned()));
            assert_eq!(begun.is_some(), is_own, "{path}");
        }
        assert_eq!(Attempt::begin(NOW, [0; 32], Some("a".repeat(129)), None), None);
    }
}
