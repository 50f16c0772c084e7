//! Goal: a thousand contents are asked about in one request and answered in order, each by itself, and more are refused.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tocsin_model::Sharing;
use tocsin_query::BATCH_BYTES_MAX;
use tocsin_query::answer::BATCH_MAX;
use tower::ServiceExt as _;

fn fed() -> Fed {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 12);
    world.see_many(seen(2, 1, Sharing::Party, 1_000), 12);
    world.see_many(seen(3, 2, Sharing::Coordinators, 2_000), 2);
    let mut fed = Fed::default();
    fed.feed_all(&world.records(60_000));
    fed
}

async fn ask(bare: &Bare, key: &str, body: impl Into<String>) -> (StatusCode, Value) {
    let request = Request::post("/v1/counts")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json");
    let request = request.body(Body::from(body.into())).unwrap();
    let response = bare.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn sha256(content: u8) -> Value {
    json!({"algorithm": "sha256", "value": hash(content).value_text()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_answered_in_its_place_and_inside_the_readers_scope() {
    let bare = ready(fed()).await;
    let asked = json!({"contents": [
        sha256(3), {"content": id(1).to_string()}, {"algorithm": "crc32", "value": "00"}, sha256(2), sha256(1),
        {"content": id(2).to_string()}, {"content": "none"}, 7, {"algorithm": "md5"}, {"content": id(1).to_string(), "value": "00"},
        {"algorithm": "md5", "value": "00"}, {"colour": "red"}, {},
    ]});
    let told = async |key: &str| {
        let (status, answer) = ask(&bare, key, asked.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let counts = answer["counts"].as_array().unwrap().iter();
        let told: Vec<String> = counts
            .map(|one| match one["count"].is_null() {
                true => {
                    assert!(!one["detail"].as_str().unwrap().is_empty());
                    one["code"].as_str().unwrap().to_owned()
                }
                false => one["count"]["state"].as_str().unwrap().to_owned(),
            })
            .collect();
        (told, answer)
    };
    let wrong = "invalid_parameter";
    let of = |three: &str, two: &str| -> Vec<String> {
        let states = [
            three, "hot", wrong, two, "hot", two, wrong, wrong, wrong, wrong, wrong, wrong, wrong,
        ];
        states.map(str::to_owned).to_vec()
    };
    let (own, answer) = told(&bare.keys.party_1).await;
    assert_eq!(own, of("unseen", "hot"));
    assert_eq!(told(&bare.keys.party_2).await.0, of("cold", "unseen"));
    assert_eq!(told(&bare.keys.coordinators).await.0, of("cold", "unseen"));
    // By id or by hash, it is the same content.
    assert_eq!(answer["counts"][1]["count"], answer["counts"][4]["count"]);
    assert_eq!(answer["counts"][3]["count"], answer["counts"][5]["count"]);
    let path = format!("/v1/counts?algorithm=sha256&value={}", hash(1).value_text());
    let (_, alone) = get(&bare.router, Some(&bare.keys.party_1), &path).await;
    assert_eq!(alone["counts"][0]["windows"], answer["counts"][4]["count"]["windows"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_are_answered_and_more_or_none_refused() {
    let bare = Bare::metered(fed().replica, STALL, 2_500).await;
    bare.state.set_ready();
    let key = &bare.keys.party_2;
    let many = |count: usize| {
        let value = |number: usize| format!("{number:064x}");
        let contents: Vec<Value> = (0..count)
            .map(|number| json!({"algorithm": "sha256", "value": value(number)}))
            .collect();
        json!({"contents": contents}).to_string()
    };
    let (status, answer) = ask(&bare, key, many(BATCH_MAX)).await;
    assert_eq!(status, StatusCode::OK);
    let counts = answer["counts"].as_array().unwrap();
    assert_eq!(counts.len(), BATCH_MAX);
    for (number, count) in counts.iter().enumerate() {
        assert_eq!(count["count"]["hash"]["value"], format!("{number:064x}"));
    }
    for (body, status, code) in [
        (many(BATCH_MAX + 1), 400, "invalid_body"),
        (many(0), 400, "invalid_body"),
        ("not json".to_owned(), 400, "invalid_body"),
        ("[]".to_owned(), 400, "invalid_body"),
        ("{}".to_owned(), 400, "invalid_body"),
        (json!({"contents": {}}).to_string(), 400, "invalid_body"),
        (
            json!({"contents": [sha256(1)], "colour": "red"}).to_string(),
            400,
            "invalid_body",
        ),
        (format!("{{\"contents\": [{}", "[".repeat(100_000)), 400, "invalid_body"),
        ("x".repeat(BATCH_BYTES_MAX + 1), 413, "body_too_large"),
    ] {
        let (told, problem) = ask(&bare, key, body).await;
        assert_eq!((told.as_u16(), problem["code"].as_str().unwrap()), (status, code));
    }
    // What lies behind one too many is not read.
    let (status, problem) = ask(
        &bare,
        key,
        format!("{{\"contents\": [{}no JSON", "7,".repeat(BATCH_MAX + 1)),
    )
    .await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &"invalid_body".into()));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("contents: 1 to 1000"), "{detail}");
    // 1,000 and ten of what was refused are gone of 2,500: one more goes, and no third.
    assert_eq!(ask(&bare, key, many(BATCH_MAX)).await.0, StatusCode::OK);
    let (status, problem) = ask(&bare, key, many(BATCH_MAX)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (429, &"rate_limited".into()));
    assert_eq!(ask(&bare, "tocsin_00", many(1)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&bare, &bare.keys.publisher, many(1)).await.0, StatusCode::FORBIDDEN);
}
