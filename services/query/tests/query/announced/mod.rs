//! What is announced in the tests of look-ups, and how they are asked.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tocsin_model::{Severity, Sharing};
use tocsin_query::answer::bank_content_id;
use tower::ServiceExt as _;

use crate::api::*;
use crate::world::*;

pub const STALL: Duration = Duration::from_secs(60);
/// Pictures: hot for all, hot in party 1 alone, hot for coordinators, watch-listed and never seen, and one that is near none of them.
pub const OF_ALL: u8 = PICTURES;
pub const OF_PARTY_1: u8 = PICTURES + 1;
pub const OF_COORDINATORS: u8 = PICTURES + 2;
pub const WATCHED: u8 = PICTURES + 3;
pub const FAR: u8 = PICTURES + 40;

pub async fn ready(fed: Fed) -> Bare {
    let bare = Bare::start(fed.replica, STALL).await;
    bare.state.set_ready();
    bare
}

pub fn announced() -> (World, Fed) {
    let mut world = World::default();
    world.see_many(seen(OF_ALL, 1, Sharing::All, 0), 12);
    world.see_many(seen(OF_PARTY_1, 1, Sharing::Party, 1_000), 9);
    world.see_many(seen(OF_COORDINATORS, 2, Sharing::Coordinators, 2_000), 9);
    world.watch(1, WATCHED, Some(3));
    world.watch(2, 5, Some(2));
    world.see(seen(5, 1, Sharing::All, 3_000));
    world.see_many(seen(1, 1, Sharing::All, 4_000), 9);
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(60_000));
    (world, fed)
}

pub async fn list(bare: &Bare, content: u8, source: &str, severity: u8) {
    let severity = Severity::new(severity).unwrap();
    let source = source.parse().unwrap();
    assert!(bare.store.watch(&hash(content), &source, severity).await.unwrap());
}

pub fn signal(content: u8) -> String {
    format!("signal_type=pdq&signal={}", hash(content).value_text())
}

/// The contents of each bank, by their numbers, with their distances.
pub fn banks(answer: &Value) -> Vec<(&str, Vec<(u64, &str)>)> {
    let of_match = |found: &Value| found["bank_content_id"].as_u64().unwrap();
    answer
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, matches)| {
            let matches = matches.as_array().unwrap().iter();
            let matches = matches.map(|found| (of_match(found), found["distance"].as_str().unwrap()));
            (name.as_str(), matches.collect())
        })
        .collect()
}

pub fn number(content: u8) -> u64 {
    bank_content_id(id(content))
}

pub async fn post(bare: &Bare, path: &str, body: String) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {}", bare.keys.party_1))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    let response = bare.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
