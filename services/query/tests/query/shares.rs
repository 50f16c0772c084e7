//! Goal: the shares of surfaces, platforms, regions and languages are intervals that hold the truth, beside those of the window before.

use std::time::Duration;

use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use tocsin_model::{PartyId, Scope, Sharing, Surface, Timestamp};
use tocsin_query::answer::{BreakdownLength, breakdown_answer};
use tocsin_wire::document::instant;

const HOUR: i64 = 3_600_000;

fn fed(world: &mut World, at: i64) -> Fed {
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(at));
    fed
}

fn ask(fed: &Fed, scope: Scope, length: BreakdownLength) -> Value {
    let answer = breakdown_answer(&fed.replica, scope, id(1), length, START).unwrap();
    serde_json::to_value(answer).unwrap()
}

fn part<'a>(answer: &'a Value, of: &str, name: &str) -> &'a Value {
    let mut parts = answer[of].as_array().unwrap().iter();
    parts.find(|part| part["name"] == name).unwrap_or(&Value::Null)
}

fn bounds(share: &Value) -> (f64, f64) {
    (share["low"].as_f64().unwrap(), share["high"].as_f64().unwrap())
}

/// An hour mostly in feeds, then one mostly in recommendations.
fn shifting() -> World {
    let mut world = World::default();
    let copy = |surface, at| Seen {
        surface,
        region: *b"NZ",
        language: *b"en",
        ..seen(1, 1, Sharing::All, at)
    };
    world.see_many(copy(Surface::Feed, 0), 4);
    world.see_many(copy(Surface::Feed, HOUR / 2), 80);
    world.see_many(copy(Surface::Search, HOUR / 2), 20);
    world.see_many(copy(Surface::Feed, HOUR + HOUR / 2), 40);
    let recommended = copy(Surface::Recommendation, HOUR + HOUR / 2);
    world.see_many(
        Seen {
            party: 2,
            region: *b"DE",
            ..recommended
        },
        120,
    );
    world
}

#[test]
fn shares_and_their_change_are_told_and_the_surface_that_rises() {
    let fed = fed(&mut shifting(), 2 * HOUR - 1);
    let answer = ask(&fed, Scope::All, BreakdownLength::Hour1);
    let now = &answer["now"];
    assert_eq!(
        (&now["exact"], &now["from"], &now["to"]),
        (
            &json!(160),
            &json!(instant(Timestamp(START + HOUR))),
            &json!(instant(Timestamp(START + 2 * HOUR)))
        )
    );
    assert_eq!(answer["before"]["to"], now["from"]);
    assert_eq!(answer["rising_surface"], "recommendation");
    let share = |of: &str, name: &str| part(&answer, of, name)["share"].clone();
    assert_eq!(share("surfaces", "recommendation"), json!({"low": 0.75, "high": 0.75}));
    assert_eq!(share("platforms", "two-video"), json!({"low": 0.75, "high": 0.75}));
    assert_eq!(share("regions", "DE"), json!({"low": 0.75, "high": 0.75}));
    assert_eq!(share("languages", "en"), json!({"low": 1.0, "high": 1.0}));
    let order: Vec<&Value> = answer["surfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["name"])
        .collect();
    assert_eq!(order, ["recommendation", "feed", "search"]);
    // Feeds had four copies before promotion at most beside the 80: less than they had, and certainly so.
    let feed = part(&answer, "surfaces", "feed");
    let (low, high) = bounds(&feed["share_before"]);
    assert!(low <= 0.8 && (0.8..0.9).contains(&high), "{feed}");
    let (low, high) = bounds(&feed["share_change"]);
    assert!(low <= -0.55 && (-0.55..0.0).contains(&high), "{feed}");
    let search = part(&answer, "surfaces", "search");
    assert_eq!(search["count"], json!({"low": 0, "high": 0}));
    // Of a day, the window before is not held.
    let day = ask(&fed, Scope::All, BreakdownLength::Hours24);
    assert_eq!((&day["before"], &day["rising_surface"]), (&Value::Null, &Value::Null));
    assert_eq!(part(&day, "surfaces", "feed")["share_change"], Value::Null);
    // Of twelve hours it is, and nothing was in it.
    let half = ask(&fed, Scope::All, BreakdownLength::Hours12);
    assert_eq!(half["before"]["exact"], 0);
}

#[test]
fn what_is_counted_approximately_widens_every_share() {
    let mut world = shifting();
    // Two copies that a party keeps to itself are cold, and may be on any surface.
    world.see_many(seen(1, 2, Sharing::Party, HOUR + HOUR / 2), 2);
    let fed = fed(&mut world, 2 * HOUR - 1);
    let of_all = ask(&fed, Scope::All, BreakdownLength::Hour1);
    assert_eq!(
        ask(&fed, Scope::Party(PartyId(1)), BreakdownLength::Hour1)["now"],
        of_all["now"]
    );
    let own = ask(&fed, Scope::Party(PartyId(2)), BreakdownLength::Hour1);
    let unassigned = own["now"]["unassigned"]["high"].as_u64().unwrap();
    assert!(unassigned >= 2, "{own}");
    for (surface, exact) in [("recommendation", 120), ("feed", 40)] {
        let part = part(&own, "surfaces", surface);
        assert_eq!(part["count"], json!({"low": exact, "high": exact + unassigned}));
        let (low, high) = bounds(&part["share"]);
        let truth = exact as f64 / 162.0;
        assert!(low <= truth && truth <= high && low < high, "{part}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_asked_over_http() {
    let mut world = shifting();
    world.see(seen(2, 1, Sharing::All, 0));
    let bare = Bare::start(fed(&mut world, 2 * HOUR - 1).replica, Duration::from_secs(60)).await;
    bare.state.set_ready();
    for (path, status, code) in [
        (format!("{}/breakdown", id(1)), StatusCode::OK, Value::Null),
        (format!("{}/breakdown?window=6h", id(1)), StatusCode::OK, Value::Null),
        (
            format!("{}/breakdown?window=5m", id(1)),
            StatusCode::BAD_REQUEST,
            "invalid_parameter".into(),
        ),
        (
            format!("{}/breakdown?colour=red", id(1)),
            StatusCode::BAD_REQUEST,
            "invalid_parameter".into(),
        ),
        (format!("{}/breakdown", id(2)), StatusCode::NOT_FOUND, "not_hot".into()),
        (
            format!("{}/breakdown", id(3)),
            StatusCode::NOT_FOUND,
            "not_found".into(),
        ),
    ] {
        let (told, answer) = get(&bare.router, Some(&bare.keys.party_2), &format!("/v1/families/{path}")).await;
        assert_eq!((told, &answer["code"]), (status, &code), "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn shares_hold_the_truth(
        events in proptest::collection::vec((0usize..4, 0usize..40, 0usize..3, 0i64..7_200), 4..200),
    ) {
        let mut world = World::default();
        let mut events = events;
        events.sort_by_key(|event| event.3);
        let surfaces = [Surface::Feed, Surface::Recommendation, Surface::Search, Surface::Live];
        let region = |number: usize| [b'A' + (number / 26) as u8, b'A' + (number % 26) as u8];
        let sharing = [Sharing::Party, Sharing::Coordinators, Sharing::All];
        for (surface, of, class, second) in &events {
            let surface = surfaces[*surface];
            world.see(Seen { surface, region: region(*of), ..seen(1, 1, sharing[*class], second * 1_000) });
        }
        let fed = fed(&mut world, 2 * HOUR - 1);
        for scope in [Scope::All, Scope::Coordinators, Scope::Party(PartyId(1))] {
            let Ok(answer) = breakdown_answer(&fed.replica, scope, id(1), BreakdownLength::Hour1, START) else {
                continue;
            };
            let answer = serde_json::to_value(answer).unwrap();
            let seen: Vec<_> = events.iter().filter(|event| {
                sharing[event.2].classes(PartyId(1)).any(|class| scope.contains(class))
            }).collect();
            for (window, share, from) in [("now", "share", 3_600), ("before", "share_before", 0)] {
                let all: Vec<_> = seen.iter().filter(|event| (from..from + 3_600).contains(&event.3)).collect();
                let spread = &answer[window]["spread"];
                let truth = all.len() as u64;
                prop_assert!(spread["low"].as_u64().unwrap() <= truth && truth <= spread["high"].as_u64().unwrap());
                if all.is_empty() {
                    continue;
                }
                let check = |part: &Value, here: usize| {
                    let truth = here as f64 / all.len() as f64;
                    let (low, high) = bounds(&part[share]);
                    low <= truth + 1e-9 && truth <= high + 1e-9
                };
                for (number, surface) in surfaces.iter().enumerate() {
                    let part = part(&answer, "surfaces", surface.name());
                    if !part.is_null() {
                        let here = all.iter().filter(|event| event.0 == number).count();
                        prop_assert!(check(part, here), "{window} {part} {here} of {}", all.len());
                    }
                }
                for number in 0..40 {
                    let code = String::from_utf8(region(number).to_vec()).unwrap();
                    let part = part(&answer, "regions", &code);
                    if !part.is_null() {
                        let here = all.iter().filter(|event| event.1 == number).count();
                        prop_assert!(check(part, here), "{window} {part} {here} of {}", all.len());
                    }
                }
            }
        }
    }
}
