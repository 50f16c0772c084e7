//! Goal: who has an answer is told that its figures are the same, up to a later time, and recorded as one who was told.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tocsin_model::{Kind, Scope, Sharing};
use tower::ServiceExt as _;

/// The status, the headers and the body of an answer.
async fn ask(bare: &Bare, key: &str, path: &str, tag: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = request(Some(key), path);
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    let response = bare
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (head, body) = response.into_parts();
    (
        head.status,
        head.headers,
        body.collect().await.unwrap().to_bytes().to_vec(),
    )
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_are_the_same_are_not_sent_again() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 12);
    let bare = ready(Fed::default()).await;
    bare.feed(&world.records(60_000));
    bare.state.replica().alerts.push(0, 1, START, alert(1, Scope::All));
    let key = &bare.keys.party_2;
    let to = "to=2023-11-14T22:01:00Z";
    let series = format!("/v1/families/{}/series?{to}", id(1));
    let members = format!("/v1/families/{}/members", id(1));
    let breakdown = format!("/v1/families/{}/breakdown", id(1));
    let one_alert = format!("/v1/alerts/{:032x}", 1);
    let paths = [
        &series,
        &members,
        &breakdown,
        "/v1/alerts",
        &one_alert,
        "/v1/leak-through",
    ];
    let mut tags = Vec::new();
    for path in paths {
        let (status, headers, body) = ask(&bare, key, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path} {}", String::from_utf8_lossy(&body));
        assert_eq!(text(&headers, "content-type"), "application/json");
        assert_eq!(text(&headers, "cache-control"), "private, no-cache");
        tags.push(text(&headers, "etag"));
        // Another scope's tag is another one, also of the same figures.
        let (_, others, _) = ask(&bare, &bare.keys.coordinators, path, None).await;
        assert_ne!(text(&others, "etag"), text(&headers, "etag"), "{path}");
    }
    // Time goes on and nothing happens: the figures are as they were, known up to a later time.
    bare.feed(&world.records(61_000));
    for (path, tag) in paths.iter().zip(&tags) {
        let (status, headers, body) = ask(&bare, key, path, Some(tag)).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        assert_eq!(&text(&headers, "etag"), tag);
        if *path != one_alert {
            let as_of = text(&headers, "tocsin-as-of");
            let wanted = if path.contains("leak") {
                ["00.000Z", "01.000Z"]
            } else {
                ["01.000Z"; 2]
            };
            assert!(wanted.iter().any(|end| as_of.ends_with(end)), "{path} {as_of}");
            assert!(text(&headers, "tocsin-lag-ms").parse::<u64>().is_ok());
        }
        assert!(headers.contains_key("ratelimit"));
        let (status, _, _) = ask(&bare, key, path, Some("W/\"00\", \"else\"")).await;
        assert_eq!(status, StatusCode::OK);
        let (status, _, _) = ask(&bare, "tocsin_00", path, Some(tag)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    // Something happens: what it changes is told.
    let share = seen(1, 1, Sharing::All, 59_000);
    world.see(Seen {
        kind: Kind::Share,
        ..share
    });
    bare.feed(&world.records(62_000));
    bare.state.replica().alerts.push(0, 2, START, alert(2, Scope::All));
    for (path, tag) in paths.iter().zip(&tags).take(4) {
        let (status, headers, body) = ask(&bare, key, path, Some(tag)).await;
        assert_eq!((status, body.is_empty()), (StatusCode::OK, false), "{path}");
        assert_ne!(&text(&headers, "etag"), tag, "{path}");
    }
    let (status, _, _) = ask(&bare, key, &one_alert, Some(&tags[4])).await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);
    // "Not modified" tells something, and is in the chain like an answer.
    let before = counted(&bare.registry, "tocsin_query_reads_recorded_total", Some("written"));
    ask(&bare, key, &one_alert, Some(&tags[4])).await;
    assert_eq!(
        counted(&bare.registry, "tocsin_query_reads_recorded_total", Some("written")),
        before + 1.0
    );
}
