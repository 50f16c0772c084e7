//! The provider over HTTP, within stated limits: whatever it does, a sign-in is answered soon, and the rest goes on.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::SignInConfig;
use super::attempt::Secrets;
use super::here_now;
use super::id_token::{Expected, TokenRefusal, subject};
use super::keys::KeySet;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// So many sign-ins begin at a time, and so many come back: whoever begins many takes no place from those who come back. A further one is refused.
const AT_ONCE_MAX: usize = 16;
/// For how long what the provider says of itself, and its keys, are taken on trust.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// A token of none of its keys makes them be asked for again, no sooner than this after the last time that they were for one.
const REFETCH_AFTER: Duration = Duration::from_secs(30);
/// After it failed, it is left alone for so long.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);
/// The longest code, in bytes.
pub(crate) const CODE_BYTES_MAX: usize = 4_096;

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSignedIn {
    #[error("the provider did not answer as one: {0}")]
    Provider(&'static str),
    #[error("as many sign-ins ask the provider as may")]
    Overloaded,
    #[error("the provider takes the code for none of its own")]
    CodeRefused,
    #[error("the ID token is refused")]
    Token(#[from] TokenRefusal),
}

/// An OpenID provider.
pub(crate) struct Provider {
    config: SignInConfig,
    client: Client,
    beginning: Semaphore,
    coming_back: Semaphore,
    /// Held while it is asked, so that many sign-ins ask once.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Metadata, Instant)>,
    keys: Option<(KeySet, Instant)>,
    /// When the keys were last told because a token was of none of them.
    refetched_at: Option<Instant>,
    failed_at: Option<Instant>,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(deserialize_with = "url")]
    authorization_endpoint: Url,
    #[serde(deserialize_with = "url")]
    token_endpoint: Url,
    #[serde(deserialize_with = "url")]
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(D::Error::custom)
}

/// What came back with a browser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CameBack<'a> {
    pub code: &'a str,
    /// Who says it is the provider (RFC 9207).
    pub issuer: Option<&'a str>,
}

#[derive(Deserialize)]
struct Given {
    id_token: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Provider {
    pub(crate) fn new(config: &SignInConfig) -> Result<Provider, reqwest::Error> {
        Provider::within(ANSWER_TIMEOUT, config)
    }

    fn within(answer_timeout: Duration, config: &SignInConfig) -> Result<Provider, reqwest::Error> {
        Ok(Provider {
            config: config.clone(),
            // No redirects: the secret goes where the provider said, and nowhere else.
            client: Client::builder()
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(answer_timeout)
                .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
                .build()?,
            beginning: Semaphore::new(AT_ONCE_MAX),
            coming_back: Semaphore::new(AT_ONCE_MAX),
            known: Mutex::default(),
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Where a browser is sent to sign in.
    pub(crate) async fn where_to(&self, secrets: &Secrets) -> Result<Url, NotSignedIn> {
        let _place = self.beginning.try_acquire().map_err(|_| NotSignedIn::Overloaded)?;
        let mut known = self.known.lock().await;
        let mut url = self.metadata(&mut known).await?.authorization_endpoint;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("state", &secrets.state)
            .append_pair("nonce", &secrets.nonce)
            .append_pair("code_challenge", &secrets.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// A place for a sign-in that comes back, for as long as it is held.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, NotSignedIn> {
        self.coming_back.try_acquire().map_err(|_| NotSignedIn::Overloaded)
    }

    /// Whom the provider signed in: the subject of the ID token that it gives for a code. In a [`Provider::place`].
    pub(crate) async fn subject(&self, back: CameBack<'_>, secrets: &Secrets) -> Result<String, NotSignedIn> {
        let mut known = self.known.lock().await;
        let metadata = self.metadata(&mut known).await?;
        drop(known);
        let is_said = back.issuer.is_some() || metadata.authorization_response_iss_parameter_supported;
        if is_said && back.issuer != Some(self.issuer()) {
            // Another provider's answer (RFC 9207, section 2.4): its code goes nowhere.
            return Err(TokenRefusal::Issuer.into());
        }
        let token = self.exchange(&metadata, back.code, secrets).await?;
        let expected = Expected {
            issuer: self.issuer(),
            client_id: &self.config.client_id,
            nonce: &secrets.nonce,
            // The token was made a moment ago.
            now: here_now(),
        };
        let mut known = self.known.lock().await;
        let keys = self.keys(&mut known, &metadata, AGE_MAX).await?;
        match subject(&token, &keys, expected) {
            // The provider may have another key by now, also under a name that one had before.
            Err(TokenRefusal::KeyUnknown | TokenRefusal::KeyAmbiguous | TokenRefusal::Signature)
                if known.refetched_at.is_none_or(|at| at.elapsed() >= REFETCH_AFTER) =>
            {
                let keys = self.keys(&mut known, &metadata, Duration::ZERO).await?;
                known.refetched_at = Some(Instant::now());
                Ok(subject(&token, &keys, expected)?)
            }
            held => Ok(held?),
        }
    }

    fn redirect_uri(&self) -> String {
        self.config.public("/v1/sign-in/callback")
    }

    async fn metadata(&self, known: &mut Known) -> Result<Metadata, NotSignedIn> {
        if let Some((metadata, asked_at)) = &known.metadata
            && asked_at.elapsed() < AGE_MAX
        {
            return Ok(metadata.clone());
        }
        let issuer = self.config.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{issuer}/.well-known/openid-configuration"));
        let url = url.map_err(|_| NotSignedIn::Provider("its issuer is no address"))?;
        let bytes = self.ask(known, self.client.get(url)).await?;
        let metadata: Metadata =
            serde_json::from_slice(&bytes).map_err(|_| NotSignedIn::Provider("its configuration is malformed"))?;
        if metadata.issuer != self.config.issuer {
            return Err(NotSignedIn::Provider("it calls itself otherwise"));
        }
        let endpoints = [
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.jwks_uri,
        ];
        if !endpoints.iter().all(|url| self.config.may_ask(url)) {
            return Err(NotSignedIn::Provider(
                "it is asked over TLS alone, and names an address without",
            ));
        }
        known.metadata = Some((metadata.clone(), Instant::now()));
        Ok(metadata)
    }

    async fn keys(&self, known: &mut Known, metadata: &Metadata, age_max: Duration) -> Result<KeySet, NotSignedIn> {
        if let Some((keys, asked_at)) = &known.keys
            && asked_at.elapsed() < age_max
        {
            return Ok(keys.clone());
        }
        let bytes = self.ask(known, self.client.get(metadata.jwks_uri.clone())).await?;
        let keys = KeySet::read(&bytes).ok_or(NotSignedIn::Provider("its keys are malformed"))?;
        known.keys = Some((keys.clone(), Instant::now()));
        Ok(keys)
    }

    /// Asks for a document, unless the provider failed a moment ago.
    async fn ask(&self, known: &mut Known, request: RequestBuilder) -> Result<Vec<u8>, NotSignedIn> {
        if known.failed_at.is_some_and(|at| at.elapsed() < FAILURE_PAUSE) {
            return Err(NotSignedIn::Provider("it failed a moment ago"));
        }
        let answered = match answer(request).await {
            Ok((200, bytes)) => Ok(bytes),
            Ok(_) => Err(NotSignedIn::Provider("it refuses a document that is public")),
            Err(error) => Err(error),
        };
        known.failed_at = answered.is_err().then(Instant::now);
        answered
    }

    /// Gives a code for an ID token.
    async fn exchange(&self, metadata: &Metadata, code: &str, secrets: &Secrets) -> Result<String, NotSignedIn> {
        let redirect_uri = self.redirect_uri();
        let (id, secret) = (self.config.client_id.as_str(), self.config.client_secret.as_str());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &secrets.verifier),
        ];
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|one| one == method);
        let mut request = self.client.post(metadata.token_endpoint.clone());
        if secret.is_empty() {
            form.push(("client_id", id));
        } else if takes("client_secret_post") && !takes("client_secret_basic") {
            form.extend([("client_id", id), ("client_secret", secret)]);
        } else {
            // RFC 6749, section 2.3.1: both are written as in a form before they are put together.
            request = request.basic_auth(form_text(id), Some(form_text(secret)));
        }
        let request = request.header("accept", "application/json").form(&form);
        match answer(request).await? {
            (200, bytes) => {
                let given: Result<Given, _> = serde_json::from_slice(&bytes);
                let given = given.map_err(|_| NotSignedIn::Provider("it gives no ID token"))?;
                Ok(given.id_token)
            }
            (_, bytes) => match serde_json::from_slice::<Refused>(&bytes) {
                Ok(refused) if refused.error == "invalid_grant" => Err(NotSignedIn::CodeRefused),
                _ => Err(NotSignedIn::Provider("it refuses this deployment")),
            },
        }
    }
}

/// Text as it stands in a form.
fn form_text(text: &str) -> String {
    let mut url = Url::parse("http://form/").expect("it is an address");
    url.query_pairs_mut().append_pair("", text);
    url.query().unwrap_or_default().trim_start_matches('=').to_owned()
}

/// The status and the body of an answer.
async fn answer(request: RequestBuilder) -> Result<(u16, Vec<u8>), NotSignedIn> {
    let broke_off = |error: reqwest::Error| {
        let error = error.without_url();
        tracing::warn!(error = %tocsin_runtime::roles::chain(&error), "the provider of sign-ins was not reached");
        NotSignedIn::Provider(match error {
            error if error.is_timeout() => "it does not answer in time",
            error if error.is_connect() => "it cannot be reached",
            _ => "its answer broke off",
        })
    };
    let mut response = request.send().await.map_err(broke_off)?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broke_off)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(NotSignedIn::Provider("its answer is longer than any that is read"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((status, bytes))
}

#[cfg(test)]
mod tests {
    //! Goal: a provider that says nothing is not waited for, and those who come after are told at once.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::DeploymentKey;

    use super::super::{Attempt, AttemptKey};
    use tocsin_model::Timestamp;

    use super::*;

    #[test]
    fn credentials_are_written_as_in_a_form() {
        assert_eq!(form_text("tocsin"), "tocsin");
        assert_eq!(form_text("a b:c=&+é="), "a+b%3Ac%3D%26%2B%C3%A9%3D");
    }

    #[tokio::test]
    async fn a_silent_provider_holds_nobody_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = SignInConfig {
            issuer: format!("http://{}", silent.local_addr().unwrap()),
            client_id: "tocsin".to_owned(),
            public_url: "http://127.0.0.1:1".to_owned(),
            ..SignInConfig::default()
        };
        let provider = Provider::within(Duration::from_millis(50), &config).unwrap();
        let key = AttemptKey::of(&DeploymentKey::from_bytes([1; 32]));
        let (_, secrets) = key.seal(&Attempt::begin(Timestamp(0), [0; 32], None, None).unwrap());
        let mut told = Vec::new();
        for answer in futures::future::join_all((0..AT_ONCE_MAX + 4).map(|_| provider.where_to(&secrets))).await {
            told.push(match answer.unwrap_err() {
                NotSignedIn::Provider(why) => why,
                NotSignedIn::Overloaded => "overloaded",
                other => panic!("{other:?}"),
            });
        }
        let count = |wanted: &str| told.iter().filter(|why| **why == wanted).count();
        assert_eq!(count("it does not answer in time"), 1, "{told:?}");
        assert_eq!(count("it failed a moment ago"), AT_ONCE_MAX - 1, "{told:?}");
        assert_eq!(count("overloaded"), 4, "{told:?}");

        // However many begin, those who come back have places of their own.
        let _begun: Vec<_> = std::iter::from_fn(|| provider.beginning.try_acquire().ok()).collect();
        let back: Vec<_> = std::iter::from_fn(|| provider.place().ok()).collect();
        assert_eq!(back.len(), AT_ONCE_MAX);
        assert!(matches!(provider.place(), Err(NotSignedIn::Overloaded)));
    }
}
