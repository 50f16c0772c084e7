//! Goal: no byte of a comparison, a breakdown, a batch, a page or a table depends on an event outside the reader's scope.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use tocsin_model::{Class, Kind, PartyId, Sharing, Surface};
use tower::ServiceExt as _;

const MINUTE: i64 = 60_000;

/// What party 2 and the coordinators see, and with `hidden` what party 1 keeps to itself beside it: more copies of the same contents on other
/// surfaces, contents of its own, members that it alone has linked.
fn fed(hidden: bool) -> Fed {
    let mut world = World::default();
    let copy = |content, surface, at| Seen {
        surface,
        ..seen(content, 1, Sharing::All, at)
    };
    world.see_many(copy(1, Surface::Feed, 0), 12);
    world.see_many(copy(2, Surface::Search, MINUTE), 9);
    world.see_many(seen(3, 2, Sharing::Coordinators, 2 * MINUTE), 9);
    world.see_many(copy(4, Surface::Feed, 2 * MINUTE), 2);
    world.see_many(copy(1, Surface::Recommendation, 70 * MINUTE), 30);
    if hidden {
        let own = |content, kind, at| Seen {
            kind,
            surface: Surface::Live,
            region: *b"NZ",
            language: *b"mi",
            ..seen(content, 1, Sharing::Party, at)
        };
        world.see_many(own(1, Kind::Upload, 0), 40);
        world.see_many(own(1, Kind::Removal, 71 * MINUTE), 5);
        world.see_many(own(4, Kind::Share, 71 * MINUTE), 40);
        world.see_many(own(5, Kind::Upload, 72 * MINUTE), 40);
        let joins = if id(5) > id(1) { (5, 1) } else { (1, 5) };
        world.link(joins.0, joins.1, Class::Party(PartyId(1)));
    }
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(90 * MINUTE));
    fed
}

/// The whole answer, with its headers, but for how far it is behind and what is left of a quota.
async fn told(bare: &Bare, request: Request<Body>) -> Vec<u8> {
    let path = request.uri().to_string();
    let (head, body) = bare.router.clone().oneshot(request).await.unwrap().into_parts();
    let known = [StatusCode::OK, StatusCode::NOT_FOUND].contains(&head.status);
    assert!(known, "{path} {}", head.status);
    let mut told = format!("{path} {}\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        if !(name.as_str().starts_with("ratelimit") || name == "tocsin-lag-ms") {
            told.extend(format!("{name}: {value:?}\n").into_bytes());
        }
    }
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    match String::from_utf8(body) {
        Ok(text) => {
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once("\"lag_ms\":") {
                told.extend(before.as_bytes());
                rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            }
            told.extend(rest.as_bytes());
        }
        Err(binary) => told.extend(binary.into_bytes()),
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outside_a_scope_change_no_byte_of_its_answers() {
    let mut answers = Vec::new();
    let mut of_party_1 = Vec::new();
    for hidden in [false, true] {
        let bare = ready(fed(hidden)).await;
        let all = (1..7)
            .map(|content| format!("family={}", id(content)))
            .collect::<Vec<_>>()
            .join("&");
        let mut paths = vec![
            format!("/v1/compare?{all}&align=first_seen"),
            format!("/v1/compare?{all}&resolution=15m"),
        ];
        for format in ["json", "csv", "parquet"] {
            paths.push(format!("/v1/trending?window=24h&limit=2&format={format}"));
            for content in 1..7 {
                paths.push(format!("/v1/families/{}/members?limit=1&format={format}", id(content)));
                paths.push(format!(
                    "/v1/families/{}/series?resolution=5s&format={format}",
                    id(content)
                ));
            }
        }
        for content in 1..7 {
            for window in ["1h", "6h", "12h", "24h"] {
                paths.push(format!("/v1/families/{}/breakdown?window={window}", id(content)));
            }
        }
        let contents: Vec<_> = (1..7)
            .flat_map(|content| {
                let hash = json!({"algorithm": "sha256", "value": hash(content).value_text()});
                [hash, json!({"content": id(content).to_string()})]
            })
            .collect();
        let batch = json!({"contents": contents}).to_string();
        let mut of_all = Vec::new();
        let keys = [&bare.keys.coordinators, &bare.keys.party_2, &bare.keys.party_1];
        for (place, key) in keys.into_iter().enumerate() {
            let mut of_key = Vec::new();
            for path in &paths {
                of_key.push(told(&bare, request(Some(key), path).body(Body::empty()).unwrap()).await);
            }
            let asked = Request::post("/v1/counts").header("authorization", format!("Bearer {key}"));
            of_key.push(told(&bare, asked.body(Body::from(batch.clone())).unwrap()).await);
            match place {
                2 => of_party_1.push(of_key),
                _ => of_all.extend(of_key),
            }
        }
        answers.push(of_all);
    }
    for (without, with) in answers[0].iter().zip(&answers[1]) {
        assert_eq!(String::from_utf8_lossy(without), String::from_utf8_lossy(with));
        assert_eq!(without, with);
    }
    assert!(answers[0].len() == answers[1].len() && answers[0].len() > 100);
    let differing = of_party_1[0]
        .iter()
        .zip(&of_party_1[1])
        .filter(|(one, other)| one != other);
    assert!(differing.count() > 20, "who sees those events is told");
}
