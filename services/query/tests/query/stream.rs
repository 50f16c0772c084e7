//! Goal: a stream of alerts loses and doubles nothing, shows its reader's scope alone, and is bounded.

use std::time::{Duration, Instant};

use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use tocsin_model::{PartyId, Scope};
use tocsin_query::HEARTBEAT_INTERVAL;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_without_gap_or_double_and_shows_its_scope_alone() {
    let scope_of = |number: u128| match number % 3 {
        0 => Scope::All,
        1 => Scope::Coordinators,
        _ => Scope::Party(PartyId(1)),
    };
    let made = |numbers: std::ops::Range<u128>| -> Vec<Made> {
        let record = |number| {
            alert_record(
                (number % u128::from(ALERT_PARTITIONS)) as u32,
                &alert(number, scope_of(number)),
            )
        };
        numbers.map(record).collect()
    };
    let seen_by_coordinators =
        |numbers: std::ops::Range<u128>| -> Vec<u128> { numbers.filter(|n| n % 3 != 2).collect() };
    let mut first = crisis();
    first.extend(made(1..7));
    let api = Api::start(&first).await;
    let key = &api.keys.coordinators;
    let mut reading = Reading::open(&api.router, key, None).await.unwrap();
    let position = reading.next().await.unwrap();
    assert_eq!((position.name.as_str(), position.id.is_some()), ("position", true));
    append(api.appender.as_ref(), &made(7..40));
    let wanted = seen_by_coordinators(7..40);
    let (mut got, mut last) = reading.alerts(5).await;
    drop(reading);
    // Any replica goes on from there, also one that reads the partitions in another order; here again and again on this one.
    while got.len() < wanted.len() {
        let mut reading = Reading::open(&api.router, key, Some(&last)).await.unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        let (more, id) = reading.alerts(4.min(wanted.len() - got.len())).await;
        got.extend(more);
        last = id;
    }
    got.sort_unstable();
    assert_eq!(got, wanted, "no gap and no double");
    // The same by pages.
    let mut since = position.id.unwrap();
    let mut paged = Vec::new();
    loop {
        let (_, page) = api.get(key, &format!("/v1/alerts?limit=7&since={since}")).await;
        let ids = page["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| alert["id"].as_str().unwrap());
        paged.extend(ids.map(|id| u128::from_str_radix(id, 16).unwrap()));
        assert_eq!(page["gap"], false);
        since = page["next"].as_str().unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    paged.sort_unstable();
    assert_eq!(paged, wanted);
    // A cursor is its reader's own, and one alert is seen where its scope is.
    let (status, problem) = Reading::open(&api.router, &api.keys.party_1, Some(&since))
        .await
        .err()
        .unwrap();
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::BAD_REQUEST, &"invalid_cursor".into())
    );
    let path = format!("/v1/alerts/{:032x}", 8);
    assert_eq!(api.get(key, &path).await.0, StatusCode::NOT_FOUND);
    let (status, found) = api.get(&api.keys.party_1, &path).await;
    assert_eq!((status, &found["scope"]), (StatusCode::OK, &"party".into()));
    let (_, newest) = api.get(&api.keys.party_2, "/v1/alerts?limit=3").await;
    assert!(
        newest["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|alert| alert["scope"] == "all")
    );
    assert_eq!(newest["alerts"][0]["platforms"][0]["platform"], "one-video");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_bounded_and_end_with_a_reason() {
    let api = Api::start(&crisis()).await;
    let key = &api.keys.party_1;
    let mut first = Reading::open(&api.router, key, None).await.unwrap();
    let second = Reading::open(&api.router, key, None).await.unwrap();
    let (status, problem) = Reading::open(&api.router, key, None).await.err().unwrap();
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &"too_many_streams".into())
    );
    assert!(
        Reading::open(&api.router, &api.keys.party_2, None).await.is_ok(),
        "another's are its own"
    );
    drop(second);
    assert!(Reading::open(&api.router, key, None).await.is_ok());
    assert_eq!(first.next().await.unwrap().name, "position");
    api.roles.shutdown().request();
    let end = first.next().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["code"]), ("end", &"shutting_down".into()));
    assert_eq!(first.next().await, None);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_take_its_alerts_is_sent_away_and_can_go_on() {
    // Whoever takes one event and finds another waiting was too slow.
    let bare = Bare::start(empty_replica(), Duration::ZERO).await;
    bare.state.set_ready();
    let (router, state, keys) = (&bare.router, &bare.state, &bare.keys);
    let push = |number: u128| {
        state
            .replica()
            .alerts
            .push(0, number as u64, START, alert(number, Scope::All))
    };
    let mut reading = Reading::open(router, &keys.party_1, None).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    (1..=4).for_each(push);
    state.alerts_arrived();
    // What waited when the stream began is no fault of the reader.
    let (numbers, last) = reading.alerts(1).await;
    assert_eq!(numbers, [1]);
    let end = reading.next().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["code"]), ("end", &"slow_reader".into()));
    assert_eq!(reading.next().await, None);
    let mut reading = Reading::open(router, &keys.party_1, Some(&last)).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    assert_eq!(reading.alerts(1).await.0, [2]);
    drop(reading);
    // The ring runs over: the reader is told that something is missing, and gets what is left.
    (5..=120).for_each(push);
    let mut reading = Reading::open(router, &keys.party_1, Some(&last)).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    assert_eq!(reading.next().await.unwrap().name, "gap");
    assert_eq!(reading.alerts(1).await.0, [21]);
    let (_, page) = get(router, Some(&keys.party_1), &format!("/v1/alerts?since={last}")).await;
    assert_eq!(page["gap"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_of_others_put_no_heartbeat_off() {
    let bare = Bare::start(empty_replica(), WAIT_MAX).await;
    bare.state.set_ready();
    let mut reading = Reading::open(&bare.router, &bare.keys.party_2, None).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    let began = Instant::now();
    let mut others = tokio::time::interval(HEARTBEAT_INTERVAL / 5);
    let mut number = 0;
    let heartbeat = loop {
        tokio::select! {
            frame = reading.body.frame() => break frame.unwrap().unwrap().into_data().unwrap(),
            _ = others.tick() => {
                assert!(began.elapsed() < 2 * HEARTBEAT_INTERVAL, "no heartbeat came");
                number += 1;
                let alert = alert(number, Scope::Party(PartyId(1)));
                bare.state.replica().alerts.push(0, number as u64, START, alert);
                bare.state.alerts_arrived();
            }
        }
    };
    assert!(heartbeat.starts_with(b":"), "{heartbeat:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_of_a_revoked_key_ends_and_no_other() {
    let bare = Bare::start(empty_replica(), WAIT_MAX).await;
    bare.state.set_ready();
    let mut readings = Vec::new();
    for key in [&bare.keys.party_1, &bare.keys.party_1, &bare.keys.party_2] {
        let mut reading = Reading::open(&bare.router, key, None).await.unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        readings.push(reading);
    }
    bare.store.revoke_party(PartyId(1)).await.unwrap();
    for reading in &mut readings[..2] {
        let end = reading.next().await.unwrap();
        assert_eq!(
            (end.name.as_str(), &end.data["code"]),
            ("end", &"unauthenticated".into())
        );
        assert_eq!(reading.next().await, None);
    }
    bare.state.replica().alerts.push(0, 1, START, alert(1, Scope::All));
    bare.state.alerts_arrived();
    assert_eq!(readings[2].alerts(1).await.0, [1]);
}
