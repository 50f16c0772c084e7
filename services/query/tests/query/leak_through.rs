//! Goal: a reader is told how listed contents fared, by bank and platform, inside its scope and nothing else.

use std::time::Duration;

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tocsin_model::{Kind, Sharing};

const MINUTE: i64 = 60_000;
/// Listed after six minutes in NORTH, and in NORTH and SOUTH, and in SOUTH and not seen; the last is not listed.
const IN_NORTH: u8 = 1;
const IN_BOTH: u8 = 2;
const UNSEEN: u8 = 3;
const UNLISTED: u8 = 4;

fn copy(content: u8, party: u16, kind: Kind, at_minute: i64) -> Seen {
    Seen {
        kind,
        ..seen(content, party, Sharing::All, at_minute * MINUTE)
    }
}

fn world() -> World {
    let mut world = World::default();
    for (number, content) in [IN_NORTH, IN_BOTH, UNSEEN].into_iter().enumerate() {
        world.see_many(copy(content, 1, Kind::Upload, 0), i64::from(content != UNSEEN));
        world.watch_at(number as u64 + 1, content, Some(2), 6 * MINUTE);
    }
    for (content, party, kind, at) in [
        (IN_NORTH, 1, Kind::BlockedUpload, 8),
        (IN_NORTH, 1, Kind::Upload, 9),
        (IN_NORTH, 2, Kind::Share, 10),
        (IN_BOTH, 1, Kind::BlockedUpload, 16),
        (IN_BOTH, 1, Kind::BlockedUpload, 17),
        (IN_BOTH, 2, Kind::Upload, 18),
        (IN_BOTH, 2, Kind::Removal, 26),
        (UNLISTED, 1, Kind::Upload, 20),
    ] {
        world.see(copy(content, party, kind, at));
    }
    world.see_many(copy(UNLISTED, 1, Kind::Upload, 20), 9);
    world
}

async fn served(mut world: World) -> Bare {
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(30 * MINUTE));
    let bare = ready(fed).await;
    for (content, source) in [
        (IN_NORTH, "north"),
        (IN_BOTH, "north"),
        (IN_BOTH, "south"),
        (UNSEEN, "south"),
    ] {
        list(&bare, content, source, 2).await;
    }
    bare
}

async fn ask(bare: &Bare, key: &str) -> Value {
    let (status, mut answer) = get(&bare.router, Some(key), "/v1/leak-through").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer.as_object_mut().unwrap().remove("lag_ms");
    answer
}

fn delays(contents: u64, p50_s: f64, max_s: f64) -> Value {
    json!({"contents": contents, "p50_s": p50_s, "p90_s": max_s, "max_s": max_s})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bank_is_told_of_by_platform() {
    let bare = served(world()).await;
    let answer = ask(&bare, &bare.keys.coordinators).await;
    assert_eq!(
        (&answer["contents"], &answer["contents_left_out"]),
        (&json!(2), &json!(0))
    );
    // Two contents were listed for 24 minutes.
    let content_days = |contents: f64| contents * 24.0 / (24.0 * 60.0);
    let one = json!({
        "platform": "one-video", "contents": 2, "posted": 1, "blocked": 3, "removed": 0, "restored": 0, "leak_through": 0.25,
        "contents_never_blocked": 0, "first_block_after": delays(2, 120.0, 600.0), "first_removal_after": null,
        "reposted_1h": 1, "reposted_24h": 1, "reuploads_24h": 1, "reuploads_per_content_day": 1.0 / content_days(2.0),
    });
    let two = json!({
        "platform": "two-video", "contents": 2, "posted": 2, "blocked": 0, "removed": 1, "restored": 0, "leak_through": 1.0,
        "contents_never_blocked": 2, "first_block_after": null, "first_removal_after": delays(1, 1_200.0, 1_200.0),
        "reposted_1h": 2, "reposted_24h": 2, "reuploads_24h": 1, "reuploads_per_content_day": 1.0 / content_days(2.0),
    });
    assert_eq!(answer["platforms"], json!([one, two]), "each content once");
    let banks = answer["banks"].as_array().unwrap();
    assert_eq!(
        (&banks[0]["bank"], &banks[0]["contents"], &banks[0]["platforms"]),
        (&json!("NORTH"), &json!(2), &json!([one, two]))
    );
    assert_eq!((&banks[1]["bank"], &banks[1]["contents"]), (&json!("SOUTH"), &json!(1)));
    let south = &banks[1]["platforms"];
    assert_eq!(
        (&south[0]["leak_through"], &south[0]["first_block_after"]),
        (&json!(0.0), &delays(1, 600.0, 600.0))
    );
    assert_eq!(
        (&south[1]["leak_through"], &south[1]["reuploads_per_content_day"]),
        (&json!(1.0), &json!(1.0 / content_days(1.0)))
    );
    assert_eq!(banks.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outside_a_scope_change_no_byte_of_its_answer() {
    let mut more = world();
    let hidden = |content| Seen {
        sharing: Sharing::Party,
        ..copy(content, 2, Kind::Upload, 12)
    };
    more.see_many(hidden(IN_BOTH), 7);
    more.see_many(hidden(UNSEEN), 7);
    let (bare, bare_more) = (served(world()).await, served(more).await);
    for of in [
        |keys: &Keys| keys.party_1.clone(),
        |keys: &Keys| keys.coordinators.clone(),
    ] {
        let key = (of(&bare.keys), of(&bare_more.keys));
        assert_eq!(ask(&bare, &key.0).await, ask(&bare_more, &key.1).await);
    }
    let own = ask(&bare_more, &bare_more.keys.party_2).await;
    assert_eq!(own["contents"], 3);
    let posted = |answer: &Value| answer["platforms"][1]["posted"].clone();
    assert_eq!(posted(&own), 16);
    let (status, problem) = get(&bare.router, Some(&bare.keys.publisher), "/v1/leak-through").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_off_its_list_is_told_of_no_more() {
    let mut world = world();
    world.watch_at(9, IN_NORTH, None, 27 * MINUTE);
    let bare = served(world).await;
    let answer = ask(&bare, &bare.keys.party_1).await;
    assert_eq!(answer["contents"], 1);
    assert_eq!(answer["banks"][0]["contents"], 1);
}

#[test]
fn one_is_made_at_a_time_though_its_client_is_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut fed = Fed::default();
        fed.feed_all(&world().records(30 * MINUTE));
        let bare = Bare::hurried(fed.replica, Duration::from_millis(50)).await;
        bare.state.set_ready();
        let ask = || get(&bare.router, Some(&bare.keys.coordinators), "/v1/leak-through");
        // The thread that answers are made on is held: whoever has the turn stays in the middle of it.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let thread = tokio::task::spawn_blocking(move || held.recv());
        let (status, problem) = tokio::select! {
            answer = ask() => answer,
            answer = ask() => answer,
        };
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");

        // Both clients are gone, and what one of them began is under way still.
        let third = tokio::time::timeout(WAIT_MAX, ask()).await;
        let (status, problem) = third.expect("it waits for the turn, and no longer than it may");
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, Some("look_up_timed_out"))
        );
        release.send(()).unwrap();
        thread.await.unwrap().unwrap();
    });
}
