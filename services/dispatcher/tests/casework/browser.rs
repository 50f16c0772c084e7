//! A browser, as far as sign-ins go.

use std::collections::BTreeMap;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect};
use serde_json::Value;

use crate::bench::Running;
use crate::provider::{CODE, Provider};

/// The cookie of a session.
pub const SESSION: &str = "__Host-tocsin-session";

/// A browser: it keeps cookies, and says which page asks.
pub struct Browser {
    pub client: Client,
    pub base: String,
    pub cookies: BTreeMap<String, String>,
}

/// What came of a request.
pub struct Came {
    pub status: StatusCode,
    pub location: String,
    pub cookies: Vec<String>,
    pub body: String,
}

impl Came {
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.code().as_str()),
            (status, code),
            "{}",
            self.body
        );
        assert!(
            !self.cookies.iter().any(|cookie| cookie.starts_with(SESSION)),
            "nobody is signed in"
        );
    }
}

impl Browser {
    pub fn new(running: &Running) -> Browser {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0);
        Browser {
            client: client.build().unwrap(),
            base: running.address.clone(),
            cookies: BTreeMap::new(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.header("cookie", cookies.join("; "))
    }

    pub async fn send(&mut self, request: RequestBuilder) -> Came {
        let response = request.send().await.unwrap();
        let texts = |name: &str| -> Vec<String> {
            let values = response.headers().get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        let (location, cookies) = (texts("location").concat(), texts("set-cookie"));
        for cookie in &cookies {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            for wanted in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.contains(wanted), "{cookie}");
            }
            assert!(!attributes.contains("Domain"), "{cookie}");
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        Came {
            status: response.status(),
            location,
            cookies,
            body: response.text().await.unwrap(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Came {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    pub async fn post(&mut self, path: &str, site: Option<&str>) -> Came {
        self.post_form(path, site, &[]).await
    }

    pub async fn post_form(&mut self, path: &str, site: Option<&str>, form: &[(&str, &str)]) -> Came {
        let mut request = self.request(Method::POST, path);
        if !form.is_empty() {
            request = request.form(form);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        self.send(request).await
    }

    /// Goes to the provider; with what it was asked.
    pub async fn begin(&mut self, provider: &Provider, query: &str) -> BTreeMap<String, String> {
        let came = self.get(&format!("/v1/sign-in{query}")).await;
        Browser::asked(provider, &came)
    }

    /// Goes to the provider with an invitation, by the page that says whose it is.
    pub async fn begin_invited(&mut self, provider: &Provider, invitation: &str) -> BTreeMap<String, String> {
        let form = [("invitation", invitation)];
        let came = self.post_form("/v1/sign-in", Some("same-origin"), &form).await;
        Browser::asked(provider, &came)
    }

    fn asked(provider: &Provider, came: &Came) -> BTreeMap<String, String> {
        assert_eq!(came.status, 303, "{}", came.body);
        let url = Url::parse(&came.location).unwrap();
        assert!(
            came.location
                .starts_with(&format!("{}/authorize?tenant=1&", provider.issuer))
        );
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        provider.change(|script| script.challenge = asked["code_challenge"].clone());
        asked
    }

    pub async fn come_back(&mut self, state: &str) -> Came {
        self.get(&format!(
            "/v1/sign-in/callback?code={CODE}&state={state}&session_state=x"
        ))
        .await
    }
}
