//! Goal: a reader is told once a second what moved in its scope and nothing else; what it was not ready for comes as one frame, and whoever is too far
//! behind is sent away with the reason.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::Value;
use tocsin_model::{Class, PartyId, Scope, Sharing};

const SECOND: i64 = 1_000;
const MOVED: &str = "/v1/stream?events=moved";
const BOTH: &str = "/v1/stream?events=alerts,moved";

/// The families of a frame, with what they spread in the last hour.
fn families(event: &Event) -> Vec<(String, u64)> {
    assert_eq!(event.name, "moved", "{event:?}");
    let families = event.data["families"].as_array().unwrap().iter();
    let mut told: Vec<(String, u64)> = families
        .map(|one| {
            let spread = one["spread_1h"]["low"].as_u64().unwrap();
            (one["family"].as_str().unwrap().to_owned(), spread)
        })
        .collect();
    told.sort();
    told
}

fn of(contents: &[(u8, u64)]) -> Vec<(String, u64)> {
    let mut told: Vec<(String, u64)> = contents
        .iter()
        .map(|(content, spread)| (id(*content).to_string(), *spread))
        .collect();
    told.sort();
    told
}

fn numbers(event: &Event) -> (u64, u64) {
    (
        event.data["frame"].as_u64().unwrap(),
        event.data["frames"].as_u64().unwrap(),
    )
}

/// What a family spread in the last hour, as another route tells it.
async fn spread(bare: &Bare, key: &str, content: u8) -> u64 {
    let (_, answer) = get(&bare.router, Some(key), &format!("/v1/families/{}", id(content))).await;
    answer["windows"][1]["exact"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_is_told_once_with_the_figures_that_it_has() {
    let bare = ready(Fed::default()).await;
    let mut world = World::default();
    for content in 1..4 {
        world.see_many(seen(content, 1, Sharing::All, 0), 6 + i64::from(content));
    }
    bare.feed(&world.records(10 * SECOND));
    let key = &bare.keys.party_2;
    let begins = [
        spread(&bare, key, 1).await,
        spread(&bare, key, 2).await,
        spread(&bare, key, 3).await,
    ];
    let mut reading = Reading::open_of(&bare.router, key, BOTH, None).await.unwrap();
    let position = reading.next().await.unwrap();
    assert_eq!(position.name, "position");
    let first = reading.next().await.unwrap();
    assert_eq!(
        families(&first),
        of(&[(1, begins[0]), (2, begins[1]), (3, begins[2])]),
        "all that spreads"
    );
    assert_eq!((numbers(&first), &first.id), ((0, 0), &None));
    // Two of them move; then nothing does, and nothing is told until something does.
    world.see_many(seen(1, 1, Sharing::All, 11 * SECOND), 5);
    world.see(seen(2, 1, Sharing::All, 11 * SECOND));
    bare.feed(&world.records(16 * SECOND));
    bare.state.make_frames();
    let frame = reading.next().await.unwrap();
    assert_eq!(families(&frame), of(&[(1, begins[0] + 5), (2, begins[1] + 1)]));
    assert_eq!(numbers(&frame), (1, 1));
    assert!(frame.data["as_of"].as_str().unwrap().ends_with("16.000Z"), "{frame:?}");
    bare.state.make_frames();
    bare.feed(&world.records(17 * SECOND));
    bare.state.make_frames();
    // Frames that nobody took come as one, with the newest figures of each.
    for second in 18..21 {
        world.see(seen(3, 1, Sharing::All, second * SECOND));
        if second == 19 {
            world.see(seen(1, 1, Sharing::All, second * SECOND));
        }
        bare.feed(&world.records(second * SECOND + 500));
        bare.state.make_frames();
    }
    let merged = reading.next().await.unwrap();
    assert_eq!(families(&merged), of(&[(1, begins[0] + 6), (3, begins[2] + 3)]));
    assert_eq!(numbers(&merged), (4, 3));
    // Alerts come in between, and their ids go on.
    bare.state.replica().alerts.push(0, 1, START, alert(1, Scope::All));
    bare.state.alerts_arrived();
    let (got, last) = reading.alerts(1).await;
    assert_eq!(got, [1]);
    drop(reading);
    bare.state.replica().alerts.push(0, 2, START, alert(2, Scope::All));
    let mut reading = Reading::open_of(&bare.router, key, BOTH, Some(&last)).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    let whole = reading.next().await.unwrap();
    assert_eq!(families(&whole).len(), 3, "what was missed is in the first frame");
    assert_eq!(reading.alerts(1).await.0, [2]);
    // Nobody who did not ask is told.
    let mut alone = Reading::open(&bare.router, key, None).await.unwrap();
    assert_eq!(alone.next().await.unwrap().name, "position");
    world.see(seen(1, 1, Sharing::All, 22 * SECOND));
    bare.feed(&world.records(23 * SECOND));
    bare.state.make_frames();
    bare.state.replica().alerts.push(0, 3, START, alert(3, Scope::All));
    bare.state.alerts_arrived();
    assert_eq!(alone.alerts(1).await.0, [3]);
    for wrong in ["events=", "events=moved,all", "events=moved&colour=red"] {
        let refused = Reading::open_of(&bare.router, key, &format!("/v1/stream?{wrong}"), None).await;
        let (status, problem) = refused.err().unwrap();
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &"invalid_parameter".into()),
            "{wrong}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_just_before_a_stream_began_is_in_its_first_frame() {
    let bare = ready(Fed::default()).await;
    let mut world = World::default();
    for content in 1..4 {
        // The ranking is asked for, and remembered for a moment, before each further family is there.
        let (status, _) = get(&bare.router, Some(&bare.keys.party_2), "/v1/trending?window=5m").await;
        assert_eq!(status, StatusCode::OK);
        let at = i64::from(content) * 10 * SECOND;
        world.see_many(seen(content, 1, Sharing::All, at), 9);
        bare.feed(&world.records(at + 9_500));
        let mut reading = Reading::open_of(&bare.router, &bare.keys.party_2, MOVED, None)
            .await
            .unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        let mut told = families(&reading.next().await.unwrap());
        if told.len() < usize::from(content) {
            // It began as the one before, a moment ago: what moved since comes next.
            bare.state.make_frames();
            told.extend(families(&reading.next().await.unwrap()));
        }
        let told: BTreeSet<String> = told.into_iter().map(|(family, _)| family).collect();
        assert_eq!(told.len(), usize::from(content));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frame_has_no_room_for_comes_with_the_next() {
    let bare = ready(Fed::default()).await;
    let mut world = World::default();
    for content in 1..=150 {
        world.see_many(seen(content, 1, Sharing::All, 0), 6);
    }
    bare.feed(&world.records(10 * SECOND));
    let mut reading = Reading::open_of(&bare.router, &bare.keys.party_2, MOVED, None)
        .await
        .unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    assert_eq!(reading.next().await.unwrap().data["families_left_out"], 50);
    for content in 1..=150 {
        world.see(seen(content, 1, Sharing::All, 11 * SECOND));
    }
    bare.feed(&world.records(12 * SECOND));
    let mut told: BTreeSet<String> = BTreeSet::new();
    for (count, left_out) in [(100, 50), (50, 0)] {
        bare.state.make_frames();
        let frame = reading.next().await.unwrap();
        assert_eq!(frame.data["families_left_out"], left_out);
        let families = families(&frame);
        assert_eq!(families.len(), count);
        told.extend(families.into_iter().map(|(family, _)| family));
    }
    assert_eq!(told.len(), 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_alerts_first_is_told_anew_what_spreads() {
    let bare = ready(Fed::default()).await;
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 9);
    bare.feed(&world.records(10 * SECOND));
    let mut reading = Reading::open_of(&bare.router, &bare.keys.party_1, BOTH, None)
        .await
        .unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    assert_eq!(families(&reading.next().await.unwrap()).len(), 1);
    for number in 1..=3 {
        let alert = alert(number, Scope::All);
        bare.state.replica().alerts.push(0, number as u64, START, alert);
    }
    for second in 11..81 {
        world.see(seen(1, 1, Sharing::All, second * SECOND));
        bare.feed(&world.records(second * SECOND + 500));
        bare.state.make_frames();
    }
    assert_eq!(reading.alerts(3).await.0, [1, 2, 3]);
    let anew = reading.next().await.unwrap();
    let newest = spread(&bare, &bare.keys.party_1, 1).await;
    assert_eq!((numbers(&anew), families(&anew)), ((70, 0), of(&[(1, newest)])));
    // From there on it goes on.
    world.see(seen(1, 1, Sharing::All, 82 * SECOND));
    bare.feed(&world.records(83 * SECOND));
    bare.state.make_frames();
    assert_eq!(numbers(&reading.next().await.unwrap()), (71, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_while_something_waits_counts_as_sent_away() {
    let bare = Bare::start(empty_replica(), Duration::ZERO).await;
    bare.state.set_ready();
    let evicted = || counted(&bare.registry, "tocsin_query_streams_evicted_total", None);
    for (events, expected) in [(BOTH, 1.0), ("/v1/stream", 2.0)] {
        let mut reading = Reading::open_of(&bare.router, &bare.keys.party_1, events, None)
            .await
            .unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        let alert = alert(expected as u128, Scope::All);
        bare.state.replica().alerts.push(0, expected as u64, START, alert);
        drop(reading);
        assert_eq!(evicted(), expected);
    }
    // Nothing waits.
    let mut reading = Reading::open(&bare.router, &bare.keys.party_1, None).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    drop(reading);
    assert_eq!(evicted(), 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_far_behind_is_sent_away_with_the_reason() {
    let stalls_at_once = Bare::start(empty_replica(), Duration::ZERO).await;
    let drops = ready(Fed::default()).await;
    for (bare, seconds) in [(&stalls_at_once, 2), (&drops, 70)] {
        bare.state.set_ready();
        let mut world = World::default();
        world.see_many(seen(1, 1, Sharing::All, 0), 9);
        bare.feed(&world.records(10 * SECOND));
        let mut reading = Reading::open_of(&bare.router, &bare.keys.party_1, MOVED, None)
            .await
            .unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        assert_eq!(families(&reading.next().await.unwrap()).len(), 1);
        let mut tell = |second: i64| {
            world.see(seen(1, 1, Sharing::All, second * SECOND));
            bare.feed(&world.records(second * SECOND + 500));
            bare.state.make_frames();
        };
        tell(11);
        if seconds > 2 {
            assert_eq!(families(&reading.next().await.unwrap()).len(), 1);
        } else {
            // What waited when the stream began is no fault of the reader.
            assert_eq!(reading.next().await.unwrap().name, "moved");
        }
        (12..12 + seconds).for_each(&mut tell);
        let end = reading.next().await.unwrap();
        assert_eq!(
            (end.name.as_str(), &end.data["code"]),
            ("end", &Value::from("slow_reader"))
        );
        assert_eq!(reading.next().await, None);
        let evicted = counted(&bare.registry, "tocsin_query_streams_evicted_total", None);
        assert_eq!(evicted, 1.0);
        let mut again = Reading::open_of(&bare.router, &bare.keys.party_1, MOVED, None)
            .await
            .unwrap();
        assert_eq!(again.next().await.unwrap().name, "position");
        assert_eq!(families(&again.next().await.unwrap()).len(), 1);
    }
}

/// The frames that readers of three scopes get while events go by, with and without what party 1 keeps to itself.
async fn frames(hidden: bool) -> [Vec<String>; 3] {
    let bare = ready(Fed::default()).await;
    bare.feed(&[party(1, "one"), party(2, "two")]);
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 9);
    world.see_many(seen(2, 2, Sharing::Coordinators, 0), 9);
    bare.feed(&world.records(10 * SECOND));
    let keys = [&bare.keys.coordinators, &bare.keys.party_2, &bare.keys.party_1];
    let mut readings = Vec::new();
    let mut told: [Vec<String>; 3] = Default::default();
    for key in keys {
        let mut reading = Reading::open_of(&bare.router, key, MOVED, None).await.unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        readings.push(reading);
    }
    for second in (11..100).step_by(3) {
        let at = second * SECOND;
        if second % 2 == 0 {
            world.see(seen(1, 1, Sharing::All, at));
        }
        world.see(seen(2, 2, Sharing::Coordinators, at));
        if hidden {
            world.see_many(seen(1, 1, Sharing::Party, at), 2);
            world.see_many(seen(3, 1, Sharing::Party, at), 2);
            if second == 50 {
                let (joins, of) = if id(3) > id(1) { (3, 1) } else { (1, 3) };
                world.link(joins, of, Class::Party(PartyId(1)));
            }
        }
        bare.feed(&world.records(at + 2 * SECOND));
        bare.state.make_frames();
        for (told, reading) in told.iter_mut().zip(&mut readings).take(2) {
            told.push(reading.next().await.unwrap().data.to_string());
        }
    }
    // Party 1 has a frame each second only where it sees more: it takes all at once.
    for _ in 0..2 {
        told[2].push(readings[2].next().await.unwrap().data.to_string());
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outside_a_scope_change_no_byte_of_its_frames() {
    let (without, with) = (frames(false).await, frames(true).await);
    for scope in 0..2 {
        assert_eq!(without[scope], with[scope]);
        assert!(without[scope].len() > 2, "{:?}", without[scope]);
    }
    assert_ne!(without[2], with[2], "who sees those events is told");
}
