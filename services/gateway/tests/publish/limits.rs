//! Goal: bodies, requests and keys have limits; what is beyond them is refused with its code, and nobody else is held up.

use std::time::Duration;

use futures::future::Either;
use reqwest::Body;
use serde_json::{Value, json};
use tocsin_gateway::GatewayConfig;
use tocsin_store::{KeySubject, Role, Roles};

use crate::bench::{Bench, good, gzip, limits, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_bodies_are_bounded_and_must_be_whole() {
    let bench = Bench::start(limits()).await;
    let packed = |bytes: Vec<u8>| bench.post("application/json", bytes).header("content-encoding", "gzip");
    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    bench.refused(packed(bomb), 413, "body_too_large").await;
    bench.refused(packed(b"plain".to_vec()), 400, "invalid_body").await;
    let unknown = bench.post("application/json", "{}").header("content-encoding", "br");
    bench.refused(unknown, 415, "unsupported_media_type").await;
    bench.accepted(packed(gzip(good(1).to_string().as_bytes()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_times_out_and_blocks_nobody() {
    let bench = Bench::start(limits()).await;
    let begun = futures::stream::once(async { Ok::<_, std::io::Error>(b"[".to_vec()) });
    let never = futures::stream::pending();
    let body = Body::wrap_stream(futures::StreamExt::chain(begun, never));
    let slow = bench.refused(bench.post("application/json", body), 408, "body_timeout");
    let quick = bench.accepted(bench.post("application/json", good(1).to_string()));
    tokio::join!(slow, quick);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_places_are_turned_away() {
    let bench = Bench::start(GatewayConfig {
        requests_max: 1,
        requests_per_party_max: 1,
        body_timeout_ms: 60_000,
        ..GatewayConfig::default()
    })
    .await;
    // Neither body ends before it is told to, so whichever request comes second finds no place.
    let endless = || {
        let (sender, body) = futures::channel::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        let request = bench.post("application/json", Body::wrap_stream(body));
        (sender, Box::pin(request.send()))
    };
    let ((first_sender, first), (second_sender, second)) = (endless(), endless());
    let either = futures::future::select(first, second);
    let (response, holder, mut sender) = match tokio::time::timeout(Duration::from_secs(20), either).await.unwrap() {
        Either::Left((response, second)) => (response.unwrap(), second, second_sender),
        Either::Right((response, first)) => (response.unwrap(), first, first_sender),
    };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "overloaded");
    bench
        .counted("tocsin_gateway_requests_total{code=\"overloaded\",status=\"503\"} ")
        .await;

    sender.try_send(Ok(good(2).to_string().into_bytes())).unwrap();
    drop(sender);
    assert_eq!(holder.await.unwrap().status(), 202);
    assert_eq!(bench.post_json(&good(3)).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_valid_key_of_a_party_publishes() {
    let bench = Bench::start(limits()).await;
    let body = good(1).to_string();
    let with_key = |key: &str| {
        let request = bench.client.post(format!("{}/v1/events", bench.address));
        request
            .header("content-type", "application/json")
            .bearer_auth(key)
            .body(body.clone())
    };
    let anonymous = bench
        .client
        .post(format!("{}/v1/events", bench.address))
        .body(body.clone());
    bench.refused(anonymous, 401, "unauthenticated").await;
    let wrong_secret = match bench.key.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &bench.key[..bench.key.len() - 1]),
    };
    for key in ["", "abc", "tocsin_", &wrong_secret, &bench.key[..bench.key.len() - 1]] {
        bench.refused(with_key(key), 401, "unauthenticated").await;
    }
    let reader = Roles::of(&[Role::Reader]);
    let (_, reader) = bench
        .store
        .issue_key(KeySubject::Party(bench.party.id), reader)
        .await
        .unwrap();
    bench.refused(with_key(reader.expose()), 403, "forbidden").await;
    let (_, coordinator) = bench
        .store
        .issue_key(KeySubject::Coordinators, Roles::all())
        .await
        .unwrap();
    bench.refused(with_key(coordinator.expose()), 403, "forbidden").await;

    bench.accepted(with_key(&bench.key)).await;
    bench.store.revoke_key(bench.key_id).await.unwrap();
    bench.refused(with_key(&bench.key), 401, "unauthenticated").await;
    assert_eq!(bench.events().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_whose_topic_is_not_made_yet_is_told_to_wait() {
    let bench = Bench::start(limits()).await;
    let other = bench.store.party_named(&name("other")).await.unwrap();
    let (_, key) = bench
        .store
        .issue_key(KeySubject::Party(other.id), Roles::all())
        .await
        .unwrap();
    let mut event = good(1);
    event["platform"] = json!("forum");
    let request = bench
        .client
        .post(format!("{}/v1/events", bench.address))
        .bearer_auth(key.expose());
    let response = request.json(&event).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_becomes_records_that_intake_reads() {
    let bench = Bench::start(limits()).await;
    // 2,000 events of 1,700 bytes of URL: 3.4 MB, more than one record may hold.
    let events: Vec<Value> = (0..2_000)
        .map(|number| {
            let mut event = good(number);
            event["content"] =
                json!([{"algorithm": "url", "value": format!("https://example.org/{number}/{}", "x".repeat(1_700))}]);
            event
        })
        .collect();
    let body = gzip(json!(events).to_string().as_bytes());
    let answer = bench
        .accepted(bench.post("application/json", body).header("content-encoding", "gzip"))
        .await;
    assert_eq!(answer.accepted, 2_000);
    assert_eq!(bench.events().len(), 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_routes_and_methods_are_problems_too() {
    let bench = Bench::start(limits()).await;
    let get = |path: &str| bench.client.get(format!("{}{path}", bench.address));
    for (request, status, code) in [
        (get("/v1/nothing"), 404, "not_found"),
        (get("/v1/events"), 405, "method_not_allowed"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.json::<Value>().await.unwrap()["code"], code);
    }
}
