use reqwest::Url;
use serde::{Deserialize, Serialize};
use tocsin_runtime::Refusal;
use tocsin_runtime::session_cookie::OwnOrigin;

use crate::follow::is_here;

/// How people sign in. Section `[dispatcher.sign_in]`. Without an issuer there are one-time links alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInConfig {
    /// The OpenID provider, as it calls itself: `https://...`. Default: none.
    pub issuer: String,
    /// What the provider calls this deployment.
    pub client_id: String,
    /// The secret it gave it; better given as `client_secret_file`. Default: none, for a public client.
    pub client_secret: String,
    /// Where people's browsers reach this deployment: `https://...`. The provider sends them back to `/v1/sign-in/callback` there. Default: none.
    pub public_url: String,
    /// Whether the provider may be asked over a network in the open. `http://` on the same machine needs no leave. Default: false.
    pub plain_http: bool,
    /// A session that is not used for so many minutes is over. 5 to 1,440; default 60.
    pub session_idle_min: u32,
    /// And each after so many hours. 1 to 168; default 12.
    pub session_hours: u32,
}

impl Default for SignInConfig {
    fn default() -> Self {
        SignInConfig {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: String::new(),
            public_url: String::new(),
            plain_http: false,
            session_idle_min: 60,
            session_hours: 12,
        }
    }
}

impl SignInConfig {
    /// Whether people sign in at a provider.
    pub(crate) fn names_provider(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// Where browsers reach a path of this deployment: `path` begins with a slash. The path alone if that is not configured.
    pub fn public(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.trim_end_matches('/'))
    }

    /// The origin of pages of this deployment.
    pub fn own_origin(&self) -> OwnOrigin {
        // As a browser writes it: without the port that goes without saying.
        let origin = Url::parse(&self.public_url).map(|url| url.origin().ascii_serialization());
        OwnOrigin::of(&origin.unwrap_or_default())
    }

    /// Whether the provider may be asked there.
    pub(crate) fn may_ask(&self, url: &Url) -> bool {
        url.scheme() == "https" || url.scheme() == "http" && (self.plain_http || is_here(url))
    }

    /// What is wrong with it.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = [
            Refusal::outside("dispatcher.sign_in.session_idle_min", self.session_idle_min, 5..=1_440),
            Refusal::outside("dispatcher.sign_in.session_hours", self.session_hours, 1..=168),
        ]
        .into_iter()
        .flatten()
        .collect();
        let is_plain = |url: &Url| url.query().is_none() && url.fragment().is_none();
        let public = Url::parse(&self.public_url).ok();
        // A browser keeps the cookies of a session on TLS, and of this machine.
        let is_secure = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && is_here(url);
        let is_public = public.is_some_and(|url| is_plain(&url) && is_secure(&url) && url.path() == "/");
        if !is_public && (self.names_provider() || !self.public_url.is_empty()) {
            let reason = "https://HOST without a path is wanted; http:// is for this machine alone";
            refusals.push(Refusal::new("dispatcher.sign_in.public_url", reason));
        }
        if !self.names_provider() {
            return refusals;
        }
        let issuer = Url::parse(&self.issuer).ok();
        if !issuer.is_some_and(|url| is_plain(&url) && self.may_ask(&url)) || self.issuer.len() > 512 {
            let reason = "https://... without a query is wanted, of at most 512 bytes; http:// is for this machine, or with plain_http";
            refusals.push(Refusal::new("dispatcher.sign_in.issuer", reason));
        }
        if self.client_id.is_empty() {
            refusals.push(Refusal::new(
                "dispatcher.sign_in.client_id",
                "the provider's name for this deployment is wanted",
            ));
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_origin_is_written_as_browsers_write_it() {
        for (public_url, origin) in [
            ("", ""),
            ("https://Bell.example:443/", "https://bell.example"),
            ("https://bell.example:8443", "https://bell.example:8443"),
        ] {
            let public_url = public_url.to_owned();
            let config = SignInConfig {
                public_url,
                ..SignInConfig::default()
            };
            assert_eq!(config.own_origin(), OwnOrigin::of(origin), "{}", config.public_url);
        }
    }

    #[test]
    fn each_field_is_checked() {
        assert_eq!(SignInConfig::default().refusals(), []);
        let good = SignInConfig {
            issuer: "https://id.example/realms/bell".to_owned(),
            client_id: "tocsin".to_owned(),
            public_url: "https://bell.example".to_owned(),
            ..SignInConfig::default()
        };
        assert_eq!(good.refusals(), []);
        assert_eq!(
            good.public("/v1/sign-in/callback"),
            "https://bell.example/v1/sign-in/callback"
        );
        let wrong = SignInConfig {
            issuer: "http://id.example".to_owned(),
            client_id: String::new(),
            public_url: "http://bell.example".to_owned(),
            session_idle_min: 4,
            session_hours: 169,
            ..good.clone()
        };
        assert_eq!(wrong.refusals().len(), 5);
        for (public_url, refused) in [
            ("http://127.0.0.1:8340", 0),
            ("http://localhost:8340/", 0),
            ("https://bell.example/tocsin", 1),
            ("https://bell.example?a=b", 1),
            ("bell.example", 1),
            ("", 1),
        ] {
            let with = SignInConfig {
                public_url: public_url.to_owned(),
                ..good.clone()
            };
            assert_eq!(with.refusals().len(), refused, "{public_url}");
        }
        let plain = SignInConfig {
            issuer: "http://id.example".to_owned(),
            plain_http: true,
            ..good
        };
        assert_eq!(plain.refusals(), []);
    }
}
