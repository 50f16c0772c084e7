//! Goal: people sign in at a real OpenID provider, on both stores, and are the person whom an invitation bound them to, on every role's routes; the code
//! and the state that the provider sent are good once. Where `TOCSIN_TEST_OIDC` names no provider (`tests/tools/provider`), nothing is tested.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response, Url, redirect};
use serde_json::Value;
use tocsin::serve::open_store;
use tocsin_store::{KeySubject, LinkPurpose, Role, Roles, Store};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_store};
use tocsin_tests::site::{ALPHA, Site, Time};

/// Names a provider, as `tests/tools/provider start` writes it.
const PROVIDER_VARIABLE: &str = "TOCSIN_TEST_OIDC";
/// Where the provider sends browsers: in front of the deployment, as far as it knows.
const PUBLIC: &str = "http://localhost:8340";
const SESSION: &str = "__Host-tocsin-session";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_at_a_real_provider() {
    let Ok(issuer) = std::env::var(PROVIDER_VARIABLE) else {
        println!("skipped: {PROVIDER_VARIABLE} is not set");
        return;
    };
    // RSA keys and a secret; elliptic curves and a public client.
    for (client, secret) in [("tocsin", "a secret: with + and %"), ("tocsin-public", "")] {
        on_each_store(async |store| {
            let sign_in = [
                ("dispatcher.sign_in.issuer", issuer.as_str()),
                ("dispatcher.sign_in.client_id", client),
                ("dispatcher.sign_in.client_secret", secret),
                ("dispatcher.sign_in.public_url", PUBLIC),
            ];
            let settings = [store, &sign_in[..]].concat();
            check(&settings).await.with_context(|| format!("client {client}"))
        })
        .await;
    }
}

async fn check(settings: &[(&str, &str)]) -> Result<()> {
    let site = Site::with(&Ground::Embedded, Time::Live, 4, settings).await?;
    let store = open_store(&site.config()?).await?;
    let alpha = store.party_named(&ALPHA.parse()?).await?.id;
    let roles = Roles::of(&[Role::Moderator]);
    let (ada, _) = store
        .issue_key_to(KeySubject::Party(alpha), roles, &"ada".parse()?)
        .await?;
    let deployment = Deployment::start(&site).await?;
    let base = deployment.api.base.clone();

    // Whoever has an account at the provider is nobody here.
    let mut eve = Browser::new(&base);
    let (status, body) = eve.sign_in("eve", "").await?;
    ensure!((status, code(&body)) == (403, "account_unknown"), "{body}");
    let (mut ada_browser, invitation) = (
        Browser::new(&base),
        store.issue_link(ada, LinkPurpose::Invitation).await?,
    );
    let (status, body) = ada_browser
        .sign_in("ada", &format!("?invitation={}", invitation.expose()))
        .await?;
    ensure!(ada_browser.asked == ["ada"], "she is told whose invitation it is");
    ensure!(status == 303, "{body}");
    let session = ada_browser.own("/v1/session").await?;
    ensure!((session["person"] == "ada") && (session["team"] == ALPHA), "{session}");
    // On the routes of the query role too, and no further than her key goes.
    ada_browser.own("/v1/trending").await?;
    let (status, body) = ada_browser.ask(Method::GET, "/v1/audit").await?;
    ensure!((status, code(&body)) == (403, "forbidden"), "{body}");

    replay(&mut ada_browser, &mut eve).await?;
    // Bound for good, and revoked with the person.
    let mut elsewhere = Browser::new(&base);
    let (status, body) = elsewhere.sign_in("ada", "").await?;
    ensure!(status == 303, "{body}");
    store.revoke_key(ada).await?;
    until_signed_out(&mut elsewhere).await?;
    until_signed_out(&mut ada_browser).await?;
    let (status, body) = elsewhere.sign_in("ada", "").await?;
    ensure!((status, code(&body)) == (403, "account_unknown"), "{body}");
    close(store, deployment).await
}

/// What came back from the provider is sent again: by the same browser with all that it had, and by another.
async fn replay(ada: &mut Browser, eve: &mut Browser) -> Result<()> {
    let (callback, _) = ada.callback("ada", "").await?;
    let mut wrong = callback.clone();
    let state = callback.split("state=").nth(1).context("it has a state")?;
    wrong.truncate(wrong.len() - state.len());
    let (status, body) = ada.ask(Method::GET, &format!("{wrong}x{state}")).await?;
    ensure!((status, code(&body)) == (400, "sign_in_state_invalid"), "{body}");
    let (of_eve, _) = eve.callback("eve", "").await?;
    // Ada's state in eve's browser, and eve's in ada's.
    for (browser, callback) in [(&mut *eve, &callback), (&mut *ada, &of_eve)] {
        let (status, body) = browser.ask(Method::GET, callback).await?;
        ensure!((status, code(&body)) == (400, "sign_in_state_invalid"), "{body}");
    }
    // Ada's code under eve's own state: PKCE makes it worth nothing, and the provider takes it back.
    let part = |callback: &str, name: &str| -> Result<String> {
        let url = Url::parse(&format!("{PUBLIC}{callback}"))?;
        let found = url.query_pairs().find(|(of, _)| of == name);
        Ok(found.context("the callback has it")?.1.into_owned())
    };
    let (code_of_ada, state_of_eve, iss) = (part(&callback, "code")?, part(&of_eve, "state")?, part(&of_eve, "iss")?);
    let mixed = format!("/v1/sign-in/callback?code={code_of_ada}&state={state_of_eve}&iss={iss}");
    let (status, body) = eve.ask(Method::GET, &mixed).await?;
    ensure!((status, code(&body)) == (403, "sign_in_refused"), "{body}");

    let (callback, again) = ada.callback("ada", "").await?;
    let (status, body) = ada.ask(Method::GET, &callback).await?;
    ensure!(status == 303, "{body}");
    // By our own state, before the provider is asked.
    ada.cookies = again;
    let (status, body) = ada.ask(Method::GET, &callback).await?;
    ensure!((status, code(&body)) == (400, "sign_in_state_invalid"), "{body}");
    let (status, body) = ada.sign_in("ada", "").await?;
    ensure!(status == 303, "{body}");
    Ok(())
}

async fn until_signed_out(browser: &mut Browser) -> Result<()> {
    tocsin_tests::wait::until("the session is over", async || {
        let request = browser.client.get(format!("{}/v1/session", browser.base));
        let response = request.header("cookie", browser.cookie_text()).send().await?;
        Ok((response.status() == 401).then_some(()))
    })
    .await
}

async fn close(store: Store, deployment: Deployment) -> Result<()> {
    deployment.stop().await?;
    store.close().await;
    Ok(())
}

fn code(body: &Value) -> &str {
    body["code"].as_str().unwrap_or_default()
}

/// Keeps cookies of two hosts, whose names differ.
struct Browser {
    client: Client,
    base: String,
    cookies: BTreeMap<String, String>,
    /// Whose invitations it was asked about.
    asked: Vec<&'static str>,
}

impl Browser {
    fn new(base: &str) -> Browser {
        let client = Client::builder().redirect(redirect::Policy::none()).build();
        Browser {
            client: client.expect("a client can be made"),
            base: base.to_owned(),
            cookies: BTreeMap::new(),
            asked: Vec::new(),
        }
    }

    fn cookie_text(&self) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn keep(&mut self, headers: &HeaderMap) -> Result<()> {
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str()?;
            let (name, value) = cookie
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .context("a cookie")?;
            let is_gone = cookie.contains("Max-Age=0") || cookie.contains(" 1970 ");
            match is_gone {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        Ok(())
    }

    async fn send(&mut self, method: Method, url: &str, form: Option<&[(&str, &str)]>) -> Result<Response> {
        let mut request = self.client.request(method, url).header("cookie", self.cookie_text());
        if let Some(form) = form {
            request = request.form(form);
        }
        let response = request.send().await?;
        self.keep(response.headers())?;
        Ok(response)
    }

    /// Status and body of what this deployment answers.
    async fn ask(&mut self, method: Method, path: &str) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let response = self.send(method, &url, None).await?;
        let status = response.status().as_u16();
        let body = response.text().await?;
        Ok((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
    }

    async fn own(&mut self, path: &str) -> Result<Value> {
        ensure!(self.cookies.contains_key(SESSION), "there is a session");
        let (status, body) = self.ask(Method::GET, path).await?;
        ensure!(status == 200, "{path}: {body}");
        Ok(body)
    }

    /// Logs in at the provider: the path with which it sends the browser back, and the cookies as they are then.
    async fn callback(&mut self, login: &str, query: &str) -> Result<(String, BTreeMap<String, String>)> {
        let mut url = Url::parse(&format!("{}/v1/sign-in{query}", self.base))?;
        for _ in 0..12 {
            let mut response = self.send(Method::GET, url.as_str(), None).await?;
            if response.status() == 200 {
                let page = response.text().await?;
                if let Some(invitation) = page.split("name=\"invitation\" value=\"").nth(1) {
                    ensure!(page.contains("<b>ada of "), "{page}");
                    self.asked.push("ada");
                    let invitation = invitation.split('"').next().unwrap_or_default();
                    url = Url::parse(&format!("{}/v1/sign-in", self.base))?;
                    response = self
                        .send(Method::POST, url.as_str(), Some(&[("invitation", invitation)]))
                        .await?;
                } else {
                    let prompt = if page.contains("value=\"consent\"") {
                        "consent"
                    } else {
                        "login"
                    };
                    let form = [("prompt", prompt), ("login", login), ("password", "any")];
                    response = self.send(Method::POST, url.as_str(), Some(&form)).await?;
                }
            }
            let location = response.headers().get(LOCATION);
            let Some(location) = location.map(|to| to.to_str()).transpose()? else {
                bail!("{url} answers {}: {}", response.status(), response.text().await?);
            };
            if let Some(path) = location.strip_prefix(PUBLIC) {
                return Ok((path.to_owned(), self.cookies.clone()));
            }
            url = url.join(location)?;
        }
        bail!("the provider goes round in circles")
    }

    async fn sign_in(&mut self, login: &str, query: &str) -> Result<(u16, Value)> {
        let (callback, _) = self.callback(login, query).await?;
        self.ask(Method::GET, &callback).await
    }
}
