//! Goal: of an entry of a bank is told what was seen of its own content, in whatever family that is, inside the reader's scope and nothing else.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tocsin_model::{Algorithm, BankEntry, Class, ContentHash, Evidence, Kind, Severity, Sharing};
use tocsin_query::answer::BANK_SIGHTINGS_MAX;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60_000;

/// Three contents, the lowest id first: the first founds a family, the second and the third are listed and join it.
fn by_id() -> [u8; 3] {
    let mut contents = [1, 2, 3];
    contents.sort_by_key(|content| id(*content));
    contents
}

/// Copies of each, told apart by how many.
fn world() -> World {
    let [founder, second, third] = by_id();
    let mut world = World::default();
    world.watch(1, second, Some(2));
    world.watch(2, third, Some(2));
    world.see_many(seen(founder, 1, Sharing::All, 0), 40);
    for (content, party, kind, at, count) in [
        (second, 1, Kind::Upload, 1, 4),
        (second, 2, Kind::BlockedUpload, 2, 2),
        (second, 2, Kind::Share, 3, 1),
        (second, 2, Kind::Report, 4, 5),
        (second, 1, Kind::Removal, 5, 3),
        (third, 2, Kind::Upload, 6, 3),
    ] {
        let copy = Seen {
            kind,
            ..seen(content, party, Sharing::All, at * MINUTE)
        };
        world.see_many(copy, count);
    }
    world
}

fn fed(world: &mut World) -> Fed {
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(10 * MINUTE));
    fed
}

async fn served(world: &mut World) -> Bare {
    let bare = ready(fed(world)).await;
    let [_, second, third] = by_id();
    for content in [second, third, 9] {
        list(&bare, content, "north", 2).await;
    }
    bare
}

async fn ask(bare: &Bare, key: &str) -> Value {
    let (status, mut answer) = get(&bare.router, Some(key), "/v1/bank-sightings?bank=NORTH").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer.as_object_mut().unwrap().remove("lag_ms");
    answer
}

fn entry(answer: &Value, content: u8) -> Value {
    let mut sightings = answer["sightings"].as_array().unwrap().iter();
    let found = sightings.find(|of| of["hash"]["value"] == hash(content).value_text());
    found.unwrap().clone()
}

/// `SECOND` is the listed content that joins; the founder's 40 copies are none of its sightings.
fn own(content: u8, family: u8) -> Value {
    json!({
        "hash": {"algorithm": "sha256", "value": hash(content).value_text()},
        "first_seen": "2023-11-14T22:01:00.000Z",
        // The share of the third minute: what came after is no sighting, so the end of its bin of five seconds.
        "last_seen": "2023-11-14T22:03:04.999Z",
        "sightings": {"low": 7, "high": 7},
        "platforms": [{"platform": "one-video", "sightings": 4}, {"platform": "two-video", "sightings": 3}],
        "contents": [{"content": id(content).to_string(), "family": id(family).to_string()}],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_told_with_its_own_sightings_whatever_family_it_is_of() {
    let [founder, second, third] = by_id();
    let mut world = world();
    let bare = served(&mut world).await;
    let mut feed = |change: &mut dyn FnMut(&mut World), minute: i64| {
        change(&mut world);
        bare.feed(&world.records(minute * MINUTE));
    };
    let key = &bare.keys.coordinators;
    let answer = ask(&bare, key).await;
    assert_eq!(entry(&answer, second), own(second, second), "a family of its own");
    assert_eq!(answer["sightings"].as_array().unwrap().len(), 2, "9 was not seen");
    assert_eq!((&answer["bank"], &answer["next"]), (&json!("NORTH"), &Value::Null));

    // Joined by its picture, then the family of the two merges into the founder's, then a person takes it out, and puts it back.
    feed(
        &mut |world| world.link_by(third, second, Class::All, Evidence::PdqDistance(9)),
        11,
    );
    assert_eq!(entry(&ask(&bare, key).await, second), own(second, second));
    feed(
        &mut |world| world.link_by(second, founder, Class::All, Evidence::EqualHash),
        12,
    );
    let answer = ask(&bare, key).await;
    assert_eq!(entry(&answer, second), own(second, founder), "merged");
    let third_entry = entry(&answer, third);
    assert_eq!(
        (&third_entry["sightings"], &third_entry["contents"][0]["family"]),
        (&json!({"low": 3, "high": 3}), &json!(id(founder).to_string()))
    );
    feed(
        &mut |world| world.link_by(second, second, Class::All, Evidence::FamilyParted),
        13,
    );
    assert_eq!(entry(&ask(&bare, key).await, second), own(second, second), "parted");
    feed(
        &mut |world| world.link_by(second, founder, Class::All, Evidence::Moderator),
        14,
    );
    assert_eq!(entry(&ask(&bare, key).await, second), own(second, founder), "undone");

    feed(&mut |world| world.see(seen(second, 1, Sharing::All, 15 * MINUTE)), 16);
    let answer = entry(&ask(&bare, key).await, second);
    assert_eq!(
        (&answer["sightings"], &answer["last_seen"]),
        (&json!({"low": 8, "high": 8}), &json!("2023-11-14T22:15:00.000Z"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_a_further_hash_is_told_with_the_contents_that_have_it() {
    let [founder, second, _] = by_id();
    let mut fed = fed(&mut world());
    let further = ContentHash::from_bytes(Algorithm::Md5, vec![7; 16], None).unwrap();
    for content in [founder, second] {
        fed.feed_all(&[further_hash(content, Class::All, &further)]);
    }
    let bare = ready(fed).await;
    let source = "south".parse().unwrap();
    bare.store.watch(&further, &source, Severity::MIN).await.unwrap();
    let path = "/v1/bank-sightings?bank=SOUTH";
    let (status, answer) = get(&bare.router, Some(&bare.keys.party_1), path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let told = &answer["sightings"][0];
    assert_eq!(told["hash"]["value"], further.value_text());
    assert_eq!(told["contents"].as_array().unwrap().len(), 2);
    // What came of the founder before it became hot is no more than it may have been.
    let (low, high) = (&told["sightings"]["low"], &told["sightings"]["high"]);
    assert!(low.as_u64() <= Some(47) && Some(47) <= high.as_u64(), "{low} {high}");
    assert!(low.as_u64() > Some(40), "{low}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cold_in_a_class_stands_at_the_upper_end() {
    let [_, second, _] = by_id();
    let mut world = World::default();
    // Too few to be counted exactly, and before it was listed: for coordinators, whom they are told, and for the party itself.
    world.see_many(seen(second, 1, Sharing::Coordinators, 0), 2);
    world.watch(1, second, Some(2));
    world.see_many(seen(second, 2, Sharing::All, MINUTE), 7);
    let bare = served(&mut world).await;
    let mut told = Vec::new();
    for key in [&bare.keys.coordinators, &bare.keys.party_1, &bare.keys.party_2] {
        let sightings = entry(&ask(&bare, key).await, second)["sightings"].clone();
        assert_eq!(sightings["low"], 7, "{sightings}");
        told.push(sightings["high"].as_u64().unwrap());
    }
    assert!(told[0] >= 9 && told[1] >= 9, "{told:?}");
    assert_eq!(told[2], 7, "all that party 2 may see is counted exactly");
}

#[test]
fn one_is_made_at_a_time_though_its_client_is_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let fed = fed(&mut world());
        let bare = Bare::hurried(fed.replica, std::time::Duration::from_millis(500)).await;
        bare.state.set_ready();
        list(&bare, by_id()[1], "north", 2).await;
        let path = "/v1/bank-sightings?bank=NORTH";
        let ask = || get(&bare.router, Some(&bare.keys.coordinators), path);
        let (status, answer) = ask().await;
        assert_eq!(status, StatusCode::OK, "{answer}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outside_a_scope_change_no_byte_of_its_answer() {
    let [_, second, _] = by_id();
    let mut more = world();
    more.see_many(seen(second, 2, Sharing::Party, 30 * SECOND), 6);
    let hidden = seen(9, 2, Sharing::Party, MINUTE);
    more.see_many(hidden, 9);
    let (bare, bare_more) = (served(&mut world()).await, served(&mut more).await);
    for of in [
        |keys: &Keys| keys.party_1.clone(),
        |keys: &Keys| keys.coordinators.clone(),
    ] {
        let key = (of(&bare.keys), of(&bare_more.keys));
        assert_eq!(ask(&bare, &key.0).await, ask(&bare_more, &key.1).await);
    }
    let own = ask(&bare_more, &bare_more.keys.party_2).await;
    assert_eq!(own["sightings"].as_array().unwrap().len(), 3);
    assert!(entry(&own, second)["sightings"]["low"].as_u64() > Some(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_bank_is_told_of_page_by_page() {
    let [_, second, third] = by_id();
    let bare = ready(fed(&mut world())).await;
    // By algorithm and value: SHA-256 stands before MD5.
    let mut entries = vec![hash(second), hash(third)];
    entries.sort_unstable();
    entries.extend(
        (0..20_000_u32)
            .map(|number| [number.to_be_bytes(), [0; 4]].concat().repeat(2))
            .map(|value| ContentHash::from_bytes(Algorithm::Md5, value, None).unwrap()),
    );
    let entries: Vec<BankEntry> = entries.into_iter().map(BankEntry::new).collect();
    list(&bare, 9, "north", 2).await;
    let bank = "NORTH".parse().unwrap();
    let mut staged = bare.store.begin_list(&bank).await.unwrap();
    for entries in entries.chunks(2_000) {
        bare.store.stage(&mut staged, entries).await.unwrap();
    }
    bare.store.switch_list(staged).await.unwrap();
    let (mut after, mut told, mut pages) = (String::new(), 0, 0);
    loop {
        let path = format!("/v1/bank-sightings?bank=NORTH{after}");
        let (status, answer) = get(&bare.router, Some(&bare.keys.party_1), &path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        told += answer["sightings"].as_array().unwrap().len();
        pages += 1;
        assert!(told <= BANK_SIGHTINGS_MAX);
        let Some(next) = answer["next"].as_str() else { break };
        // A cursor is for its bank and its scope.
        let path = format!("/v1/bank-sightings?bank=NORTH&after={next}");
        let (status, problem) = get(&bare.router, Some(&bare.keys.party_2), &path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_cursor"))
        );
        after = format!("&after={next}");
    }
    assert_eq!(
        (told, pages),
        (2, 2),
        "20,002 entries, of which 16,384 are looked at for one answer"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_no_bank_is_refused() {
    let bare = served(&mut world()).await;
    for (query, status, code) in [
        ("", StatusCode::BAD_REQUEST, "invalid_parameter"),
        ("bank=HOT_FAMILIES", StatusCode::BAD_REQUEST, "invalid_parameter"),
        ("bank=EAST", StatusCode::NOT_FOUND, "unknown_bank"),
        ("bank=NORTH&after=AAAA", StatusCode::BAD_REQUEST, "invalid_cursor"),
        ("bank=NORTH&before=1", StatusCode::BAD_REQUEST, "invalid_parameter"),
    ] {
        let path = format!("/v1/bank-sightings?{query}");
        let (answered, problem) = get(&bare.router, Some(&bare.keys.party_1), &path).await;
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{query}");
    }
    let (status, _) = get(
        &bare.router,
        Some(&bare.keys.publisher),
        "/v1/bank-sightings?bank=NORTH",
    )
    .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
