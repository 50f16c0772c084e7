//! Who is told: webhooks that keep every request, and an Ozone in which somebody decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tocsin_wire::document::instant;

use crate::load::now;

/// Whose decisions count in the Ozone.
pub const ANNA: &str = "did:plc:anna";
/// What it is told of stands under this account and in this collection.
pub const STANDS: &str = "did:plc:stands";
pub const COLLECTION: &str = "org.tocsin.family";
const LEXICON: &str = "tools.ozone.moderation.defs#";

/// A request to a webhook.
#[derive(Clone, Debug)]
pub struct Came {
    /// The delivery's id.
    pub delivery: String,
    /// The event's id.
    pub event: String,
    /// And its type.
    pub kind: String,
    /// The document.
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the path of the webhook.
    came: BTreeMap<String, Vec<Came>>,
    ozone: Vec<Value>,
    /// Deliveries that came to the Ozone.
    told: BTreeSet<String>,
}

/// A server for all of them. It ends with the runtime.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Where it listens.
    pub url: String,
    kept: Arc<Mutex<Kept>>,
}

impl Outside {
    /// Starts to listen.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> Result<Outside> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .context("listen for deliveries")?;
        let outside = Outside {
            url: format!("http://{}", listener.local_addr()?),
            kept: Arc::default(),
        };
        let router = Router::new()
            .route("/xrpc/tools.ozone.moderation.queryEvents", get(query_events))
            .route("/xrpc/tools.ozone.moderation.emitEvent", post(emit_event))
            .fallback(receive)
            .with_state(outside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(outside)
    }

    /// What came to a webhook, in order.
    pub fn came(&self, path: &str) -> Vec<Came> {
        self.kept().came.get(path).cloned().unwrap_or_default()
    }

    /// Whether a family was reported to the Ozone.
    pub fn is_reported(&self, family: &str) -> bool {
        let uri = record(family)["uri"].clone();
        self.kept().ozone.iter().any(|event| event["subject"]["uri"] == uri)
    }

    /// Somebody in the Ozone takes a family down.
    pub fn take_down(&self, family: &str, comment: &str) {
        let event = json!({"$type": format!("{LEXICON}modEventTakedown"), "comment": comment});
        self.add(ANNA, &event, &record(family));
    }

    /// The ids of deliveries that came to the Ozone.
    pub fn told(&self) -> BTreeSet<String> {
        self.kept().told.clone()
    }

    fn add(&self, by: &str, event: &Value, subject: &Value) {
        let mut kept = self.kept();
        let id = kept.ozone.len() + 1;
        kept.ozone.push(json!({
            "id": id, "event": event, "subject": subject, "subjectBlobCids": [], "createdBy": by, "createdAt": instant(now()),
        }));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(family: &str) -> Value {
    let uri = format!("at://{STANDS}/{COLLECTION}/{family}");
    json!({"$type": "com.atproto.repo.strongRef", "uri": uri, "cid": "bafyreia"})
}

/// A webhook answers well once it has the request.
async fn receive(State(outside): State<Outside>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let came = Came {
        delivery: text("webhook-id").trim_start_matches("msg_").to_owned(),
        event: text("ce-id"),
        kind: text("ce-type"),
        body,
    };
    outside.kept().came.entry(uri.path().to_owned()).or_default().push(came);
    StatusCode::NO_CONTENT
}

async fn emit_event(State(outside): State<Outside>, Json(body): Json<Value>) -> Json<Value> {
    let by = body["createdBy"].as_str().unwrap_or_default().to_owned();
    outside.add(&by, &body["event"], &body["subject"]);
    let delivery = body["externalId"].as_str().unwrap_or_default().to_owned();
    outside.kept().told.insert(delivery);
    Json(json!({}))
}

/// All of them, whatever was asked for: who asks leaves out what it knows.
async fn query_events(State(outside): State<Outside>) -> Json<Value> {
    let events: Vec<Value> = outside.kept().ozone.clone();
    Json(json!({"events": events}))
}
