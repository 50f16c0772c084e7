//! Goal: whoever the provider signs in for this browser is the person whose account it is, once; what anybody forges, replays or has a browser send
//! from elsewhere opens nothing, and a provider that misbehaves is told as such.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_dispatcher::{DispatcherConfig, SignInConfig};
use tocsin_model::{AlertLevel, KeyId, Scope};
use tocsin_store::{Account, KeySubject, Role, Roles};

use crate::bench::{Bench, Running, alert, name};
use crate::browser::{Browser, Came, SESSION};
use crate::provider::{CODE, Provider};
use crate::signer::{Signer, text, with};

const ATTEMPT: &str = "__Host-tocsin-sign-in";

pub struct Stage {
    pub bench: Bench,
    pub running: Running,
    pub provider: Provider,
    own: Signer,
    pub ada: KeyId,
}

fn config_with(provider: &Provider) -> DispatcherConfig {
    DispatcherConfig {
        undo_s: 0,
        sign_in: SignInConfig {
            issuer: provider.issuer.clone(),
            client_id: "tocsin".to_owned(),
            public_url: "http://localhost:8340".to_owned(),
            ..SignInConfig::default()
        },
        ..DispatcherConfig::default()
    }
}

impl Stage {
    pub async fn new() -> Stage {
        let (bench, provider, own) = (Bench::new().await, Provider::start().await, Signer::p256());
        provider.publish(&[own.jwk("a")]);
        let running = bench.start_with(config_with(&provider)).await;
        let roles = Roles::of(&[Role::Moderator]);
        let (ada, _) = bench
            .store
            .issue_key_to(KeySubject::Coordinators, roles, &name("ada"))
            .await
            .unwrap();
        Stage {
            bench,
            running,
            provider,
            own,
            ada,
        }
    }

    fn config(&self) -> DispatcherConfig {
        config_with(&self.provider)
    }

    pub async fn bind_ada(&self) {
        let account = Account::new(&self.provider.issuer, "ada-1").unwrap();
        self.bench.store.bind_account(self.ada, &account).await.unwrap();
    }

    async fn claims(&self, nonce: &str) -> Value {
        let now = self.bench.store.time().await.unwrap().0 / 1_000;
        json!({
            "iss": self.provider.issuer, "sub": "ada-1", "aud": "tocsin", "exp": now + 300, "iat": now, "nonce": nonce,
            "email": "ada@alpha.example",
        })
    }

    async fn give_token(&self, nonce: &str) {
        let claims = self.claims(nonce).await;
        let token = self.own.token(&json!({"alg": "ES256", "kid": "a"}), &claims);
        self.provider.change(|script| script.token = token);
    }

    /// The whole way of a browser whose person is known to the provider.
    pub async fn sign_in(&self, browser: &mut Browser, query: &str) -> Came {
        let asked = browser.begin(&self.provider, query).await;
        self.give_token(&asked["nonce"]).await;
        browser.come_back(&asked["state"]).await
    }

    pub async fn sign_in_invited(&self, browser: &mut Browser, invitation: &str) -> Came {
        let asked = browser.begin_invited(&self.provider, invitation).await;
        self.give_token(&asked["nonce"]).await;
        browser.come_back(&asked["state"]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_is_the_person_of_the_account_until_they_sign_out() {
    let stage = Stage::new().await;
    let mut browser = Browser::new(&stage.running);
    let asked = browser.begin(&stage.provider, "").await;
    for (parameter, wanted) in [
        ("response_type", "code"),
        ("scope", "openid"),
        ("client_id", "tocsin"),
        ("redirect_uri", "http://localhost:8340/v1/sign-in/callback"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[parameter], wanted);
    }
    // Whoever the provider knows is nobody here, whatever address of e-mail they have.
    stage.sign_in(&mut browser, "").await.refused(403, "account_unknown");
    stage.bind_ada().await;
    let came = stage.sign_in(&mut browser, "?return_to=/v1/queue").await;
    assert_eq!(
        (came.status.as_u16(), came.location.as_str()),
        (303, "/v1/queue"),
        "{}",
        came.body
    );
    assert!(browser.cookies.contains_key(SESSION) && !browser.cookies.contains_key(ATTEMPT));

    let session = browser.get("/v1/session").await;
    let told: Value = serde_json::from_str(&session.body).unwrap();
    assert_eq!(
        (&told["person"], &told["team"]),
        (&json!("ada"), &json!("coordinators"))
    );
    assert_eq!(
        (&told["roles"], &told["key"]),
        (&json!(["moderator"]), &json!(stage.ada.to_string()))
    );
    assert!(told["session"]["expires_at"].is_string());

    // What she does is done as by her key, and by nobody else's page.
    let family = alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0);
    stage.bench.ring(&[family]);
    let cases = stage.running.queue_of(1, &stage.bench.coordinators).await;
    let claim = format!("/v1/cases/{}/claim", cases[0]["id"].as_str().unwrap());
    for site in [None, Some("cross-site"), Some("same-site"), Some("none")] {
        browser.post(&claim, site).await.refused(403, "cross_site");
    }
    let came = browser.post(&claim, Some("same-origin")).await;
    assert_eq!(came.status, 200, "{}", came.body);
    let case: Value = serde_json::from_str(&came.body).unwrap();
    assert_eq!(case["lease"]["holder"], json!(stage.ada.to_string()), "{case}");

    browser
        .post("/v1/sign-out", Some("cross-site"))
        .await
        .refused(403, "cross_site");
    let token = browser.cookies[SESSION].clone();
    let came = browser.post("/v1/sign-out", Some("same-origin")).await;
    assert_eq!(came.status, 204);
    assert!(!browser.cookies.contains_key(SESSION));
    browser.cookies.insert(SESSION.to_owned(), token);
    browser.get("/v1/session").await.refused(401, "unauthenticated");
    let key = &stage.bench.reader;
    stage
        .running
        .refused(Method::POST, "/v1/sign-out", key, None, (409, "no_session"))
        .await;
    let by_key = stage.running.get("/v1/session", key).await;
    assert_eq!((&by_key["person"], &by_key["session"]), (&Value::Null, &Value::Null));
    stage.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_once_and_in_the_browser_in_which_it_began() {
    let stage = Stage::new().await;
    stage.bind_ada().await;
    let (mut ada, mut eve) = (Browser::new(&stage.running), Browser::new(&stage.running));
    let of_eve = eve.begin(&stage.provider, "").await;
    let of_ada = ada.begin(&stage.provider, "").await;
    stage.give_token(&of_ada["nonce"]).await;
    // Another browser's state, in both directions, and none at all.
    eve.come_back(&of_ada["state"])
        .await
        .refused(400, "sign_in_state_invalid");
    ada.come_back(&of_eve["state"])
        .await
        .refused(400, "sign_in_state_invalid");
    let mut fresh = Browser::new(&stage.running);
    fresh
        .come_back(&of_ada["state"])
        .await
        .refused(400, "sign_in_state_invalid");
    let without = format!("/v1/sign-in/callback?code={CODE}");
    ada.get(&without).await.refused(400, "sign_in_state_invalid");
    // Eve's code, sent by her under her own state, is for her own verifier: she is not ada.
    eve.come_back(&of_eve["state"]).await.refused(403, "sign_in_refused");

    let kept = ada.cookies.clone();
    let came = ada.come_back(&of_ada["state"]).await;
    assert_eq!(came.status, 303, "{}", came.body);
    // The same again, with the cookie as it was: even a provider that gives a token twice for a code signs nobody in twice.
    ada.cookies.clone_from(&kept);
    ada.come_back(&of_ada["state"])
        .await
        .refused(400, "sign_in_state_invalid");
    // The provider was not asked again; nor is one in a process that knows nothing of it of any use: the store knows.
    let tokens_asked = |stage: &Stage| stage.provider.script.lock().unwrap().tokens_asked;
    let before = tokens_asked(&stage);
    assert_eq!(before, 2, "eve's and ada's");
    let second = stage.bench.beside();
    let second = second.start_with(stage.config()).await;
    let mut there = Browser::new(&second);
    there.cookies = kept;
    there
        .come_back(&of_ada["state"])
        .await
        .refused(400, "sign_in_state_invalid");
    assert_eq!(tokens_asked(&stage), before + 1);
    second.stop().await;

    // What the provider itself refuses, another provider's answer, and what is none: however it ends, it is over.
    let long = format!("code={}", "c".repeat(4_097));
    for (said, status, code) in [
        ("error=access_denied", 403, "sign_in_refused"),
        ("code=the-code&iss=https://evil.example", 403, "sign_in_token_invalid"),
        ("code=other", 403, "sign_in_refused"),
        ("", 400, "invalid_parameter"),
        (&long, 400, "invalid_parameter"),
    ] {
        let asked = ada.begin(&stage.provider, "").await;
        let kept = ada.cookies.clone();
        let path = format!("/v1/sign-in/callback?state={}&{said}", asked["state"]);
        ada.get(&path).await.refused(status, code);
        assert!(!ada.cookies.contains_key(ATTEMPT), "{said}");
        ada.cookies = kept;
        ada.come_back(&asked["state"])
            .await
            .refused(400, "sign_in_state_invalid");
    }
    for wrong in [
        "?return_to=https://evil.example",
        "?return_to=//evil.example",
        "?nonce=mine",
    ] {
        ada.get(&format!("/v1/sign-in{wrong}"))
            .await
            .refused(400, "invalid_parameter");
    }
    stage.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_opens_anything() {
    let stage = Stage::new().await;
    stage.bind_ada().await;
    let elsewhere = Signer::p256();
    let header = json!({"alg": "ES256", "kid": "a"});
    let hmac = Signer::Hmac(stage.own.public());
    let forgeries: Vec<(&str, &Signer, Value, Value)> = vec![
        ("alg none", &Signer::Nobody, json!({"alg": "none"}), json!({})),
        (
            "HS256 with the public key",
            &hmac,
            json!({"alg": "HS256", "kid": "a"}),
            json!({}),
        ),
        ("another audience", &stage.own, header.clone(), json!({"aud": "other"})),
        (
            "another issuer",
            &stage.own,
            header.clone(),
            json!({"iss": "https://evil.example"}),
        ),
        (
            "another sign-in's nonce",
            &stage.own,
            header.clone(),
            json!({"nonce": "other"}),
        ),
        ("another party", &stage.own, header.clone(), json!({"azp": "other"})),
        ("over", &stage.own, header.clone(), json!({"exp": 1_000_000_000})),
        ("not yet", &stage.own, header.clone(), json!({"nbf": 9_000_000_000_i64})),
        (
            "a key that is unknown",
            &elsewhere,
            json!({"alg": "ES256", "kid": "z"}),
            json!({}),
        ),
        (
            "its own key",
            &elsewhere,
            with(header.clone(), json!({"jwk": elsewhere.jwk("a")})),
            json!({}),
        ),
        (
            "an address of keys",
            &elsewhere,
            with(header.clone(), json!({"jku": "https://evil.example"})),
            json!({}),
        ),
        ("another provider's key", &elsewhere, header.clone(), json!({})),
    ];
    let mut browser = Browser::new(&stage.running);
    for (what, signer, header, other) in &forgeries {
        let asked = browser.begin(&stage.provider, "").await;
        let claims = with(stage.claims(&asked["nonce"]).await, other.clone());
        let token = signer.token(header, &claims);
        stage.provider.change(|script| script.token = token);
        let came = browser.come_back(&asked["state"]).await;
        assert_eq!(
            (came.status.as_u16(), came.code().as_str()),
            (403, "sign_in_token_invalid"),
            "{what}"
        );
        assert!(!browser.cookies.contains_key(SESSION), "{what}");
        // Nothing of it is told outside.
        assert!(
            !came.body.contains("ada") && !came.body.contains("evil"),
            "{}",
            came.body
        );
    }
    // And the true one, by the same way.
    assert_eq!(stage.sign_in(&mut browser, "").await.status, 303);
    stage.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_found_and_no_token_makes_a_provider_be_asked_without_end() {
    let stage = Stage::new().await;
    stage.bind_ada().await;
    let mut browser = Browser::new(&stage.running);
    assert_eq!(stage.sign_in(&mut browser, "").await.status, 303);
    let next = Signer::p256();
    stage.provider.publish(&[next.jwk("b")]);
    let mut come = async |signer: &Signer, id: &str| {
        let asked = browser.begin(&stage.provider, "").await;
        let token = signer.token(
            &json!({"alg": "ES256", "kid": id}),
            &stage.claims(&asked["nonce"]).await,
        );
        stage.provider.change(|script| script.token = token);
        browser.come_back(&asked["state"]).await
    };
    assert_eq!(come(&next, "b").await.status, 303);
    // The old key is none any more, and unknown names do not make it ask again and again.
    come(&stage.own, "a").await.refused(403, "sign_in_token_invalid");
    for number in 0..5 {
        come(&next, &format!("unknown-{number}"))
            .await
            .refused(403, "sign_in_token_invalid");
    }
    assert_eq!(come(&next, "b").await.status, 303);
    assert_eq!(stage.provider.script.lock().unwrap().keys_asked, 2);
    stage.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_under_the_name_of_an_old_one_is_found() {
    let stage = Stage::new().await;
    stage.bind_ada().await;
    let mut browser = Browser::new(&stage.running);
    assert_eq!(stage.sign_in(&mut browser, "").await.status, 303);
    let next = Signer::p256();
    stage.provider.publish(&[next.jwk("a")]);
    let asked = browser.begin(&stage.provider, "").await;
    let claims = stage.claims(&asked["nonce"]).await;
    let token = next.token(&json!({"alg": "ES256", "kid": "a"}), &claims);
    stage.provider.change(|script| script.token = token);
    assert_eq!(browser.come_back(&asked["state"]).await.status, 303);
    assert_eq!(stage.provider.script.lock().unwrap().keys_asked, 2);
    // And the old one signs nobody in any more, nor makes the keys be asked for again.
    let came = stage.sign_in(&mut browser, "").await;
    came.refused(403, "sign_in_token_invalid");
    assert_eq!(stage.provider.script.lock().unwrap().keys_asked, 2);
    stage.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_misbehaves_is_told_as_such() {
    for metadata in [
        json!({"issuer": "https://evil.example"}),
        json!({"jwks_uri": "http://keys.example/keys"}),
        json!({"token_endpoint": null}),
        json!({"authorization_endpoint": "not an address"}),
        json!({"padding": "x".repeat(10 << 20)}),
    ] {
        let stage = Stage::new().await;
        stage.provider.change(|script| script.metadata = metadata);
        let mut browser = Browser::new(&stage.running);
        browser.get("/v1/sign-in").await.refused(503, "sign_in_unavailable");
        // Everything else goes on.
        stage.running.get("/v1/session", &stage.bench.reader).await;
        stage.running.stop().await;
    }
    let stage = Stage::new().await;
    stage.bind_ada().await;
    let mut browser = Browser::new(&stage.running);
    for (status, answer) in [
        (200, "no JSON".to_owned()),
        (200, "{}".to_owned()),
        (200, "x".repeat(10 << 20)),
        (302, String::new()),
        (401, json!({"error": "invalid_client"}).to_string()),
        (500, "a stack trace".to_owned()),
    ] {
        stage
            .provider
            .change(|script| script.token_answer = Some((status, answer)));
        let came = stage.sign_in(&mut browser, "").await;
        came.refused(503, "sign_in_unavailable");
        assert!(!came.body.contains("trace"));
    }
    stage.provider.change(|script| script.token_answer = None);
    let huge = format!("{}.{}.", text("{\"alg\":\"ES256\"}"), "A".repeat(100 << 10));
    let asked = browser.begin(&stage.provider, "").await;
    stage.provider.change(|script| script.token = huge);
    browser
        .come_back(&asked["state"])
        .await
        .refused(403, "sign_in_token_invalid");
    assert_eq!(stage.sign_in(&mut browser, "").await.status, 303);
    stage.running.stop().await;
}
