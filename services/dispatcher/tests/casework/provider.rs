//! An OpenID provider that answers what a test likes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{RawForm, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::signer::{text, with};

/// The code with which it sends browsers back.
pub const CODE: &str = "the-code";

/// A provider that answers what a test likes.
pub struct Provider {
    pub issuer: String,
    pub script: Arc<Mutex<Script>>,
}

pub struct Script {
    pub issuer: String,
    /// What it says of itself, over what is so.
    pub metadata: Value,
    pub keys: Value,
    pub keys_asked: usize,
    pub tokens_asked: usize,
    /// The token that it gives.
    pub token: String,
    /// What was told of the verifier beforehand: a code is for nobody else.
    pub challenge: String,
    /// In the place of any answer of the endpoint of tokens.
    pub token_answer: Option<(u16, String)>,
}

pub type Shared = State<Arc<Mutex<Script>>>;

impl Provider {
    pub async fn start() -> Provider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script {
            issuer: issuer.clone(),
            metadata: json!({}),
            keys: json!({"keys": []}),
            keys_asked: 0,
            tokens_asked: 0,
            token: String::new(),
            challenge: String::new(),
            token_answer: None,
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Provider { issuer, script }
    }

    pub fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub fn publish(&self, keys: &[Value]) {
        self.change(|script| script.keys = json!({ "keys": keys }));
    }
}

async fn configuration(State(script): Shared) -> Response {
    let script = script.lock().unwrap();
    let issuer = &script.issuer;
    let metadata = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    });
    Json(with(metadata, script.metadata.clone())).into_response()
}

async fn keys(State(script): Shared) -> Response {
    let mut script = script.lock().unwrap();
    script.keys_asked += 1;
    Json(script.keys.clone()).into_response()
}

async fn token(State(script): Shared, RawForm(form): RawForm) -> Response {
    let mut script = script.lock().unwrap();
    script.tokens_asked += 1;
    if let Some((status, answer)) = &script.token_answer {
        return (StatusCode::from_u16(*status).unwrap(), answer.clone()).into_response();
    }
    let form = Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(&form))).unwrap();
    let form: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    let challenge = text(Sha256::digest(form.get("code_verifier").unwrap()));
    let is_good = form["code"] == CODE && form["client_id"] == "tocsin" && challenge == script.challenge;
    match is_good && form["redirect_uri"].ends_with("/v1/sign-in/callback") {
        true => Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": script.token})).into_response(),
        false => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response(),
    }
}
