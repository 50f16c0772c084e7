//! Sign-in of people by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 6749, RFC 7636).
//!
//! `attempt` is what a browser keeps between the two halves of a sign-in, and `id_token` the checks of what the provider says at the end: both pure.
//! `keys` are the provider's keys, `provider` asks it over HTTP within stated limits.

mod attempt;
mod config;
mod id_token;
mod keys;
mod provider;
#[cfg(test)]
mod tests;

use tocsin_model::{DeploymentKey, Milliseconds};
use tocsin_store::SessionTerms;

pub use config::SignInConfig;

pub(crate) use attempt::{ATTEMPT_LIFETIME, Attempt, AttemptKey};
pub(crate) use provider::{CODE_BYTES_MAX, CameBack, NotSignedIn, Provider};

/// What sign-ins go by.
pub(crate) struct SignIn {
    pub config: SignInConfig,
    pub attempts: AttemptKey,
    /// The provider, if one is named.
    pub provider: Option<Provider>,
}

impl SignIn {
    pub(crate) fn new(config: &SignInConfig, key: &DeploymentKey) -> Result<SignIn, reqwest::Error> {
        let provider = config.names_provider().then(|| Provider::new(config)).transpose()?;
        Ok(SignIn {
            config: config.clone(),
            attempts: AttemptKey::of(key),
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
