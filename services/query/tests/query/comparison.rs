//! Goal: families are compared bin by bin, by the clock or from their own first sights on, each inside its reader's scope.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use tocsin_model::{Kind, Milliseconds, Scope, Sharing, Timestamp};
use tocsin_query::answer::{Alignment, AnswerError, COMPARED_MAX, SeriesQuestion, comparison_answer, series_answer};
use tocsin_velocity::Resolution;
use tocsin_wire::document::instant;

const MINUTE: i64 = 60_000;
const ALL_TIME: Alignment = Alignment::Time { from: None, to: None };

fn fed(world: &mut World, at: i64) -> Fed {
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(at));
    fed
}

fn compare(fed: &Fed, contents: &[u8], resolution: Resolution, alignment: Alignment) -> Value {
    let asked: Vec<_> = contents
        .iter()
        .map(|content| (id(*content).to_string(), Some(id(*content))))
        .collect();
    let answer = comparison_answer(&fed.replica, Scope::All, &asked, resolution, alignment, START);
    serde_json::to_value(answer).unwrap()
}

/// The starts of the bins of a line after the start of the world, in minutes, and after the first sight, and their counts.
fn bins(answer: &Value, place: usize) -> Vec<(i64, i64, u64)> {
    let bins = answer["families"][place]["line"]["bins"].as_array().unwrap().iter();
    let minute = |bin: &Value| {
        (0..)
            .map(|minute| minute * MINUTE)
            .find(|at| bin["at"] == json!(instant(Timestamp(START + at))))
    };
    bins.map(|bin| {
        let after = bin["after_first_seen_s"].as_i64().unwrap();
        (
            minute(bin).unwrap() / MINUTE,
            after / 60,
            bin["count"].as_u64().unwrap(),
        )
    })
    .collect()
}

/// Two families of one course, the second ten minutes later.
fn two() -> World {
    let mut world = World::default();
    for (content, begins) in [(1, 0), (2, 10 * MINUTE)] {
        // The first three make it hot and stand in no bin but the last of them.
        world.see_many(seen(content, 1, Sharing::All, begins), 5);
        for minute in 1..4 {
            world.see_many(seen(content, 1, Sharing::All, begins + minute * MINUTE), 4 * minute);
        }
        let removal = seen(content, 1, Sharing::All, begins + 4 * MINUTE);
        world.see(Seen {
            kind: Kind::Removal,
            ..removal
        });
    }
    world
}

#[test]
fn lines_are_told_by_the_clock_and_from_first_sights_on() {
    let fed = fed(&mut two(), 20 * MINUTE);
    let answer = compare(&fed, &[1, 2], Resolution::Minute1, ALL_TIME);
    assert_eq!((&answer["align"], &answer["bin_ms"]), (&json!("time"), &json!(MINUTE)));
    assert_eq!(bins(&answer, 0)[1..], [(1, 1, 4), (2, 2, 8), (3, 3, 12)]);
    assert_eq!(bins(&answer, 1)[1..], [(11, 1, 4), (12, 2, 8), (13, 3, 12)]);
    let aligned = Alignment::FirstSeen {
        from: Some(Milliseconds::from_minutes(2)),
        to: Some(Milliseconds::from_minutes(4)),
    };
    let answer = compare(&fed, &[1, 2], Resolution::Minute1, aligned);
    assert_eq!(answer["align"], "first_seen");
    let of_both = [0, 1].map(|place| {
        bins(&answer, place)
            .iter()
            .map(|bin| (bin.1, bin.2))
            .collect::<Vec<_>>()
    });
    assert_eq!(of_both, [vec![(2, 8), (3, 12)], vec![(2, 8), (3, 12)]], "one course");
    let line = &answer["families"][1]["line"];
    assert_eq!(line["from"], json!(instant(Timestamp(START + 12 * MINUTE))));
    assert_eq!(line["to"], json!(instant(Timestamp(START + 14 * MINUTE))));
    assert_eq!(line["spread"], 20);
    // A stretch on the clock, rounded outward to bins.
    let (from, to) = (Timestamp(START + 12 * MINUTE + 1), Timestamp(START + 12 * MINUTE + 2));
    let stretch = Alignment::Time {
        from: Some(from),
        to: Some(to),
    };
    let answer = compare(&fed, &[1, 2], Resolution::Minute1, stretch);
    assert_eq!((bins(&answer, 0), bins(&answer, 1)), (vec![], vec![(12, 2, 8)]));
}

#[test]
fn a_stretch_that_is_not_held_is_told_apart_from_one_in_which_nothing_happened() {
    let mut world = two();
    // Bins of five seconds are held for half an hour, and those of a minute for three.
    world.see_many(seen(1, 1, Sharing::All, 60 * MINUTE), 5);
    let fed = fed(&mut world, 61 * MINUTE);
    let first_minutes = Alignment::Time {
        from: Some(Timestamp(START)),
        to: Some(Timestamp(START + 5 * MINUTE)),
    };
    let answer = compare(&fed, &[1], Resolution::Seconds5, first_minutes);
    let family = &answer["families"][0];
    assert_eq!((&family["code"], &family["line"]), (&json!("not_held"), &Value::Null));
    let answer = compare(&fed, &[1], Resolution::Minute1, first_minutes);
    assert_eq!(bins(&answer, 0)[1..], [(1, 1, 4), (2, 2, 8), (3, 3, 12)]);
    // In part it is, and it is told from when on.
    let whole = Alignment::Time {
        from: Some(Timestamp(START)),
        to: None,
    };
    let answer = compare(&fed, &[1], Resolution::Seconds5, whole);
    let line = &answer["families"][0]["line"];
    assert!(
        line["held_from"].is_string() && line["held_from"] == line["from"],
        "{line}"
    );
    // What has not come yet holds nothing, and ends no earlier than it begins.
    let later = Alignment::Time {
        from: Some(Timestamp(START + 90 * MINUTE)),
        to: None,
    };
    let answer = compare(&fed, &[1], Resolution::Minute1, later);
    let line = &answer["families"][0]["line"];
    assert_eq!((&line["spread"], &line["from"]), (&json!(0), &line["to"]));
    let question = SeriesQuestion {
        resolution: Resolution::Seconds5,
        from: None,
        to: Some(Timestamp(START + 5 * MINUTE)),
    };
    let series = series_answer(&fed.replica, Scope::All, id(1), question, START);
    assert_eq!(series, Err(AnswerError::NotHeld));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_reader_may_not_see_is_told_by_a_code_and_the_rest_is_answered() {
    let mut world = two();
    world.see_many(seen(3, 1, Sharing::Party, 0), 9);
    world.see(seen(4, 1, Sharing::All, 0));
    let bare = Bare::start(fed(&mut world, 20 * MINUTE).replica, Duration::from_secs(60)).await;
    bare.state.set_ready();
    let path = format!(
        "/v1/compare?family={}&family={}&family={}&family=none&resolution=15m",
        id(3),
        id(1),
        id(4)
    );
    let codes = async |key: &str| {
        let (status, answer) = get(&bare.router, Some(key), &path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let families = answer["families"].as_array().unwrap().iter();
        families
            .map(|one| match one["line"].is_null() {
                true => one["code"].as_str().unwrap().to_owned(),
                false => one["line"]["family"].as_str().unwrap().to_owned(),
            })
            .collect::<Vec<_>>()
    };
    let [one, three] = [id(1), id(3)].map(|id| id.to_string());
    assert_eq!(codes(&bare.keys.party_1).await, [&three, &one, "not_hot", "not_found"]);
    for key in [&bare.keys.party_2, &bare.keys.coordinators] {
        assert_eq!(codes(key).await, ["not_found", &one, "not_hot", "not_found"]);
    }
    let key = Some(&*bare.keys.party_1);
    let most = format!("/v1/compare?{}", format!("family={one}&").repeat(COMPARED_MAX));
    assert_eq!(
        get(&bare.router, key, most.trim_end_matches('&')).await.0,
        StatusCode::OK
    );
    for (wrong, named) in [
        (String::new(), "family"),
        (most[12..].to_owned() + &format!("family={one}"), "family"),
        (format!("family={one}&colour=red"), "colour"),
        (format!("family={one}&resolution=1h"), "resolution"),
        (format!("family={one}&align=size"), "align"),
        (format!("family={one}&align=time&align=time"), "align"),
        (format!("family={one}&from=yesterday"), "from"),
        (format!("family={one}&from_s=1"), "from_s"),
        (format!("family={one}&align=first_seen&to=2026-01-01T00:00:00Z"), "to"),
        (format!("family={one}&align=first_seen&to_s=-1"), "to_s"),
        (
            format!("family={one}&align=first_seen&to_s=9223372036854775807"),
            "to_s",
        ),
        (format!("family={one}&align=first_seen&from_s=60&to_s=60"), "from_s"),
        (
            format!("family={one}&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"),
            "from",
        ),
    ] {
        let (status, problem) = get(&bare.router, key, &format!("/v1/compare?{wrong}")).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &"invalid_parameter".into()),
            "{wrong}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{named}:")), "{wrong}: {detail}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_copy_after_promotion_is_in_one_bin_at_each_resolution(
        events in proptest::collection::vec((1u8..4, 0usize..3, 0i64..1_500), 10..150),
    ) {
        let mut world = World::default();
        let mut events = events;
        events.sort_by_key(|event| event.2);
        for (content, kind, second) in &events {
            let kind = [Kind::Upload, Kind::Share, Kind::Report][*kind];
            world.see(Seen { kind, ..seen(*content, 1, Sharing::All, second * 1_000) });
        }
        let fed = fed(&mut world, 1_501_000);
        for content in 1..4 {
            let sums: Vec<u64> = Resolution::ALL.map(|resolution| {
                let answer = compare(&fed, &[content], resolution, ALL_TIME);
                let line = &answer["families"][0]["line"];
                let counts = line["bins"].as_array().map(|bins| bins.iter().map(|bin| bin["count"].as_u64().unwrap()).sum());
                assert_eq!(line["spread"].as_u64(), counts);
                counts.unwrap_or(0)
            }).to_vec();
            prop_assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
            let truth: BTreeMap<u8, u64> = events.iter().filter(|event| event.1 < 2).fold(BTreeMap::new(), |mut sums, event| {
                *sums.entry(event.0).or_insert(0) += 1;
                sums
            });
            // What came before promotion, and made it hot, is in no bin.
            let truth = truth.get(&content).copied().unwrap_or(0);
            prop_assert!(sums[0] <= truth && (sums[0] == 0 || truth - sums[0] < 8), "{} of {truth}", sums[0]);
        }
    }
}
