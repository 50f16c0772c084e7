//! Goal: over HTTP, on an embedded log: who may ask what, what is refused with which code, and what broken records do.

use std::time::Duration;

use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::Value;
use tocsin_model::{PartyId, Scope, Sharing};
use tocsin_query::replica::Feed;
use tocsin_query::router;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reader_gets_what_its_scope_holds() {
    let api = Api::start(&crisis()).await;
    let (one, two, coordinators) = (&api.keys.party_1, &api.keys.party_2, &api.keys.coordinators);
    let family = |content| format!("/v1/families/{}", id(content));
    let (status, answer) = api.get(one, &family(1)).await;
    assert_eq!(
        (status, &answer["state"], &answer["scope"]),
        (StatusCode::OK, &"hot".into(), &"party".into())
    );
    assert!(answer["lag_ms"].as_u64().is_some() && answer["as_of"].is_string());
    let kinds = |answer: &Value| answer["windows"][2]["platforms"][0]["kinds"].as_array().unwrap().len();
    let (_, others) = api.get(two, &family(1)).await;
    let (_, all) = api.get(coordinators, &family(1)).await;
    assert_eq!((kinds(&answer), kinds(&others), kinds(&all)), (2, 1, 1));
    // A secret of one party; approximate figures for coordinators; and the same by hash.
    assert_eq!(api.get(one, &family(2)).await.0, StatusCode::OK);
    let (status, cold) = api.get(coordinators, &family(3)).await;
    assert_eq!((status, &cold["state"]), (StatusCode::OK, &"cold".into()));
    let lookup = |content: u8| format!("/v1/lookup?algorithm=sha256&value={}", hash(content).value_text());
    for path in [family(2), lookup(2), format!("{}/series", family(2))] {
        for key in [two, coordinators] {
            let (status, problem) = api.get(key, &path).await;
            assert_eq!(
                (status, &problem["code"]),
                (StatusCode::NOT_FOUND, &"not_found".into()),
                "{path}"
            );
        }
    }
    let (status, problem) = api.get(one, &family(3)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &"not_found".into()));
    let (_, found) = api.get(coordinators, &lookup(3)).await;
    assert_eq!(found["windows"], cold["windows"]);
    assert_eq!(found["hash"]["value"], hash(3).value_text());
    let (_, found) = api.get(one, &lookup(2)).await;
    assert_eq!(
        (&found["state"], &found["family"]),
        (&"hot".into(), &id(2).to_string().into())
    );
    let (status, series) = api.get(one, &format!("{}/series?resolution=5s", family(2))).await;
    assert_eq!(
        (status, &series["lines"][0]["platform"]),
        (StatusCode::OK, &"one-video".into())
    );
    let (_, problem) = api.get(coordinators, &format!("{}/series", family(3))).await;
    assert_eq!(problem["code"], "not_hot");
    let trending = async |key| {
        api.get(key, "/v1/trending?window=24h").await.1["families"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        (trending(one).await, trending(two).await, trending(coordinators).await),
        (2, 1, 1)
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_told_with_a_code() {
    let api = Api::start(&crisis()).await;
    let family = id(1);
    let url = "u".repeat(2_049);
    for (path, code) in [
        ("/v1/families/zz".to_owned(), "not_found"),
        (format!("/v1/families/{family}0"), "not_found"),
        ("/v1/alerts/1".to_owned(), "not_found"),
        (format!("/v1/alerts/{family}"), "not_found"),
        ("/v1/lookup".to_owned(), "invalid_parameter"),
        ("/v1/lookup?algorithm=sha256".to_owned(), "invalid_parameter"),
        ("/v1/lookup?algorithm=crc32&value=00".to_owned(), "invalid_parameter"),
        ("/v1/lookup?algorithm=md5&value=0".to_owned(), "invalid_parameter"),
        (format!("/v1/lookup?algorithm=url&value={url}"), "invalid_parameter"),
        ("/v1/lookup?algorithm=md5&value=%ff".to_owned(), "invalid_parameter"),
        ("/v1/trending?window=2h".to_owned(), "invalid_parameter"),
        ("/v1/trending?limit=0".to_owned(), "invalid_parameter"),
        ("/v1/trending?limit=101".to_owned(), "invalid_parameter"),
        ("/v1/trending?limit=-1".to_owned(), "invalid_parameter"),
        ("/v1/trending?colour=red".to_owned(), "invalid_parameter"),
        ("/v1/trending?limit=1&limit=2".to_owned(), "invalid_parameter"),
        (
            format!("/v1/families/{family}/series?resolution=1h"),
            "invalid_parameter",
        ),
        (
            format!("/v1/families/{family}/series?from=yesterday"),
            "invalid_parameter",
        ),
        (
            format!("/v1/families/{family}/series?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"),
            "invalid_parameter",
        ),
        ("/v1/alerts?limit=501".to_owned(), "invalid_parameter"),
        ("/v1/alerts?since=0".to_owned(), "invalid_cursor"),
    ] {
        let (status, problem) = api.get(&api.keys.coordinators, &path).await;
        assert_eq!(problem["code"], code, "{path}");
        assert!(status.is_client_error());
    }
    for path in ["/v1/trending", "/v1/alerts", "/v1/stream"] {
        for key in [None, Some(""), Some("tocsin_00"), Some(&*"x".repeat(500))] {
            let (status, problem) = get(&api.router, key, path).await;
            assert_eq!(
                (status, &problem["code"]),
                (StatusCode::UNAUTHORIZED, &"unauthenticated".into()),
                "{key:?}"
            );
        }
        let (status, problem) = api.get(&api.keys.publisher, path).await;
        assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"forbidden".into()));
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_before_the_replica_caught_up() {
    let bare = Bare::start(empty_replica(), Duration::from_secs(60)).await;
    let key = Some(&*bare.keys.party_1);
    for path in [
        "/v1/trending",
        "/v1/alerts",
        "/v1/stream",
        "/v1/families/00000000000000000000000000000000",
    ] {
        let (status, problem) = get(&bare.router, key, path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"not_ready".into()),
            "{path}"
        );
    }
    assert!(bare.readiness.parts()["query"].is_some());
    bare.state.set_ready();
    assert!(bare.readiness.parts()["query"].is_none());
    // Ready, and nothing was counted yet.
    for path in ["/v1/trending", "/v1/alerts"] {
        let (status, answer) = get(&bare.router, key, path).await;
        assert_eq!(
            (status, &answer["as_of"], &answer["lag_ms"]),
            (StatusCode::OK, &Value::Null, &Value::Null)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_broken_are_counted_and_stop_nothing() {
    let mut made = crisis();
    for feed in Feed::ALL {
        made.push(Made {
            feed,
            partition: 0,
            key: b"\x01neither key".to_vec(),
            value: Some(b"nor value".to_vec()),
        });
    }
    let mut torn = made.iter().find(|made| made.feed == Feed::State).unwrap().clone();
    torn.value.as_mut().unwrap().truncate(20);
    torn.key.push(0);
    made.push(torn);
    let api = Api::start(&made).await;
    let (status, _) = api.get(&api.keys.party_1, &format!("/v1/families/{}", id(1))).await;
    assert_eq!(status, StatusCode::OK);
    let skipped = |topic: &str| -> f64 {
        let families = api.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == "tocsin_query_records_skipped_total")
            .unwrap();
        let of_topic = family.get_metric().iter().filter(|metric| {
            let labels: Vec<&str> = metric.get_label().iter().map(|label| label.value()).collect();
            labels.contains(&topic) && labels.contains(&"corrupt")
        });
        of_topic.map(|metric| metric.get_counter().get_value()).sum()
    };
    assert_eq!(
        (
            skipped("tocsin.state"),
            skipped("tocsin.alerts"),
            skipped("tocsin.parties"),
            skipped("tocsin.families")
        ),
        (2.0, 1.0, 1.0, 1.0)
    );
    // It goes on: a later record changes the answer, and a party's revoked key is refused.
    let mut world = World::default();
    world.see_many(seen(9, 1, Sharing::All, 0), 9);
    append(api.appender.as_ref(), &world.records(61_000));
    api.wait_until(|api| api.state.replica().hot.family_of(id(9), Scope::All).is_some())
        .await;
    assert!(api.readiness.parts()["query"].is_none());
    let party = PartyId(1);
    api.store.revoke_party(party).await.unwrap();
    let (status, _) = api.get(&api.keys.party_1, "/v1/trending").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    api.stop().await;
}

#[tokio::test]
async fn the_description_names_every_route() {
    let bare = Bare::start(empty_replica(), Duration::from_secs(60)).await;
    let (_, description) = router(bare.state);
    let paths: Vec<&str> = description.paths.paths.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "/c/bank/{bank}",
            "/c/banks",
            "/c/signal_type",
            "/h/hash",
            "/m/compare",
            "/m/index/status",
            "/m/lookup",
            "/m/raw_lookup",
            "/v1/alerts",
            "/v1/alerts/{id}",
            "/v1/bank-sightings",
            "/v1/compare",
            "/v1/counts",
            "/v1/families/{id}",
            "/v1/families/{id}/breakdown",
            "/v1/families/{id}/members",
            "/v1/families/{id}/series",
            "/v1/leak-through",
            "/v1/lookup",
            "/v1/stream",
            "/v1/trending"
        ]
    );
    let json = description.to_json().unwrap();
    assert!(json.contains("\"api_key\"") && json.contains("Last-Event-ID"));
}
