//! Sign-in of people by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 6749, RFC 7636).
//!
//! `attempt` is what a browser keeps between the two halves of a sign-in, and `id_token` the checks of what the provider says at the end: both pure.
//! `came_back` are the sign-ins that came back a moment ago, `keys` the provider's keys, `provider` asks it over HTTP within stated limits.

mod attempt;
mod came_back;
mod config;
mod id_token;
mod keys;
mod provider;
#[cfg(test)]
mod tests;

use tocsin_model::{DeploymentKey, Milliseconds};
use tocsin_store::SessionTerms;

pub use config::SignInConfig;

pub(crate) use attempt::{ATTEMPT_LIFETIME, Attempt, AttemptKey, Secrets, here_now};
pub(crate) use came_back::CameBackStates;
pub(crate) use provider::{CODE_BYTES_MAX, CameBack, NotSignedIn, Provider};

/// What sign-ins go by.
pub(crate) struct SignIn {
    pub config: SignInConfig,
    pub attempts: AttemptKey,
    pub came_back: CameBackStates,
    /// The provider, if one is named.
    pub provider: Option<Provider>,
}

impl SignIn {
    pub(crate) fn new(config: &SignInConfig, key: &DeploymentKey) -> Result<SignIn, reqwest::Error> {
        let provider = config.names_provider().then(|| Provider::new(config)).transpose()?;
        Ok(SignIn {
            config: config.clone(),
            attempts: AttemptKey::of(key),
            came_back: CameBackStates::default(),
            provider,
        })
    }

    /// How long sessions last.
    pub(crate) fn terms(&self) -> SessionTerms {
        SessionTerms {
            idle: Milliseconds::from_minutes(i64::from(self.config.session_idle_min)),
            length: Milliseconds::from_hours(i64::from(self.config.session_hours)),
        }
    }
}
