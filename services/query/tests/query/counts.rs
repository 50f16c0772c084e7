//! Goal: of any hash, hot or cold, it is told how often its content was seen, as intervals that hold the truth inside the reader's scope.

use std::time::Duration;

use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use tocsin_model::{Algorithm, Class, ContentHash, PartyId, Scope, Sharing, Timestamp};
use tocsin_query::answer::{COUNTS_MAX, count_answer};
use tocsin_wire::document::instant;

const PARTY_1: Scope = Scope::Party(PartyId(1));
const PARTY_2: Scope = Scope::Party(PartyId(2));

fn fed(world: &mut World, at: i64) -> Fed {
    let mut fed = Fed::default();
    fed.feed_all(&world.records(at));
    fed
}

fn count(fed: &Fed, scope: Scope, hash: &ContentHash) -> Value {
    let answer = count_answer(&fed.replica, scope, Some(hash), key().content_id(hash), START).unwrap();
    serde_json::to_value(answer).unwrap()
}

/// The bounds of the last 24 hours: 0 where nothing was seen.
fn bounds(answer: &Value) -> (u64, u64) {
    let spread = &answer["windows"][2]["spread"];
    (
        spread["low"].as_u64().unwrap_or(0),
        spread["high"].as_u64().unwrap_or(0),
    )
}

#[test]
fn a_content_is_counted_by_itself_whatever_family_it_is_in() {
    let mut world = World::default();
    let (founder, member) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    world.see_many(seen(founder, 1, Sharing::All, 0), 10);
    world.see_many(seen(member, 1, Sharing::All, 0), 20);
    world.link(member, founder, Class::All);
    world.see_many(seen(3, 1, Sharing::All, 0), 2);
    let fed = fed(&mut world, 60_000);
    let of_member = count(&fed, PARTY_2, &hash(member));
    let (low, high) = bounds(&of_member);
    assert!((15..=20).contains(&low) && (20..=25).contains(&high), "{low}..{high}");
    assert_eq!(
        (&of_member["state"], &of_member["family"]),
        (&json!("hot"), &json!(id(founder).to_string()))
    );
    assert_eq!(
        (&of_member["content"], &of_member["quarantined"]),
        (&json!(id(member).to_string()), &Value::Null)
    );
    let cold = count(&fed, PARTY_2, &hash(3));
    assert_eq!(cold["state"], "cold");
    assert!(bounds(&cold).1 >= 2 && cold["windows"][2]["confidence"].is_number() && cold["as_of"].is_string());
    let unseen = count(&fed, PARTY_2, &hash(9));
    assert_eq!((&unseen["state"], &unseen["windows"]), (&json!("unseen"), &json!([])));
    assert!(unseen["as_of"].is_string());
}

#[test]
fn what_is_unseen_is_so_as_of_the_checkpoint() {
    let mut fed = Fed::default();
    let headers = |checkpoint_offset, next_offset, at| {
        let header = move |partition| header_since(partition, checkpoint_offset, next_offset, at);
        (0..u32::from(PARTITIONS)).map(header).collect::<Vec<_>>()
    };
    fed.feed_all(&headers(0, 5, 10_000));
    let before = count(&fed, PARTY_2, &hash(9));
    assert_eq!(
        (&before["state"], &before["as_of"], &before["lag_ms"]),
        (&json!("unseen"), &Value::Null, &Value::Null)
    );
    fed.feed_all(&headers(5, 9, 40_000));
    let after = count(&fed, PARTY_2, &hash(9));
    assert_eq!(after["as_of"], json!(instant(Timestamp(START + 10_000))));
    assert!(after["lag_ms"].as_u64().unwrap() >= 30_000);
}

#[test]
fn a_further_hash_is_counted_with_its_content() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    let mut fed = fed(&mut world, 60_000);
    let md5 = ContentHash::from_bytes(Algorithm::Md5, vec![7; 16], None).unwrap();
    assert_eq!(count(&fed, PARTY_2, &md5)["state"], "unseen");
    fed.feed_all(&[further_hash(1, Class::All, &md5)]);
    let found = count(&fed, PARTY_2, &md5);
    assert_eq!(
        (&found["state"], &found["content"]),
        (&json!("hot"), &json!(id(1).to_string()))
    );
    assert_eq!(found["hash"], json!({"algorithm": "md5", "value": md5.value_text()}));
    assert_eq!(found["windows"], count(&fed, PARTY_2, &hash(1))["windows"]);
}

#[test]
fn a_flood_is_counted_and_said_to_be_one() {
    let mut world = World::default();
    for copy in 0..1_300 {
        world.see(Seen {
            account: 7,
            ..seen(1, 1, Sharing::All, copy * 1_000)
        });
    }
    let mut fed = fed(&mut world, 1_400_000);
    let answer = count(&fed, PARTY_2, &hash(1));
    assert_eq!(
        (&answer["state"], &answer["quarantined"]["accounts"]["shown"]),
        (&json!("cold"), &json!("<10"))
    );
    fed.feed_all(&[party(1, "one")]);
    let own = count(&fed, PARTY_1, &hash(1));
    assert_eq!(own["quarantined"]["accounts"]["estimate"], 1.0);
    let (low, high) = bounds(&answer);
    assert!(low <= 1_300 && 1_300 <= high, "{low}..{high}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hashes_are_asked_about_at_once() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    world.see_many(seen(2, 1, Sharing::Party, 0), 10);
    let bare = Bare::start(fed(&mut world, 60_000).replica, Duration::from_secs(60)).await;
    bare.state.set_ready();
    let [one, two] = [1, 2].map(|content| hash(content).value_text());
    let picture = hash(PICTURES).value_text();
    let path = format!("/v1/counts?algorithm=sha256&value={one}&value={two}&algorithm=pdq&value={picture}");
    let states = async |key: &str| {
        let (status, answer) = get(&bare.router, Some(key), &path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let counts = answer["counts"].as_array().unwrap().iter();
        let states: Vec<String> = counts
            .map(|count| count["state"].as_str().unwrap().to_owned())
            .collect();
        (answer["scope"].as_str().unwrap().to_owned(), states)
    };
    let told = |scope: &str, states: [&str; 3]| (scope.to_owned(), states.map(str::to_owned).to_vec());
    assert_eq!(
        states(&bare.keys.party_1).await,
        told("party", ["hot", "hot", "unseen"])
    );
    assert_eq!(
        states(&bare.keys.party_2).await,
        told("party", ["hot", "unseen", "unseen"])
    );
    assert_eq!(
        states(&bare.keys.coordinators).await,
        told("coordinators", ["hot", "unseen", "unseen"])
    );
    let most = format!(
        "/v1/counts?algorithm=sha256{}",
        format!("&value={one}").repeat(COUNTS_MAX)
    );
    assert_eq!(
        get(&bare.router, Some(&bare.keys.party_1), &most).await.0,
        StatusCode::OK
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counts_hold_the_truth(events in proptest::collection::vec((1u8..6, 1u16..4, 0usize..3, 0i64..600), 1..120)) {
        let mut world = World::default();
        let mut events = events;
        events.sort_by_key(|event| event.3);
        let sharing = |number: usize| [Sharing::Party, Sharing::Coordinators, Sharing::All][number];
        for (content, party, number, second) in &events {
            world.see(seen(*content, *party, sharing(*number), second * 1_000));
        }
        let fed = fed(&mut world, 601_000);
        for scope in [Scope::All, Scope::Coordinators, PARTY_1, PARTY_2] {
            for content in 1..6 {
                let truth = events.iter().filter(|event| {
                    let mut classes = sharing(event.2).classes(PartyId(event.1));
                    event.0 == content && classes.any(|class| scope.contains(class))
                }).count() as u64;
                let (low, high) = bounds(&count(&fed, scope, &hash(content)));
                prop_assert!(low <= truth && truth <= high, "{scope:?} {content}: {truth} in {low}..{high}");
            }
        }
    }
}
