//! Goal: a replica fed with records of the log answers what was counted, to each reader what its scope allows, whatever bytes come.

use crate::world::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tocsin_model::{Class, Kind, PartyId, Scope, Sharing, Timestamp};
use tocsin_query::answer::{AnswerError, FamilyAnswer, SeriesQuestion, family_answer, series_answer};
use tocsin_query::replica::{ReplicaLimits, Skipped};
use tocsin_velocity::Resolution;
use tocsin_velocity::figures::WindowLength;
use tocsin_wire::document::{instant, parse_instant};
use tocsin_wire::state::StateKey;

const PARTY_1: Scope = Scope::Party(PartyId(1));
const PARTY_2: Scope = Scope::Party(PartyId(2));

fn ask(fed: &Fed, scope: Scope, content: u8) -> Result<Value, AnswerError> {
    family_answer(&fed.replica, scope, id(content), None, START).map(|answer| serde_json::to_value(answer).unwrap())
}

fn spread_24h(answer: &Value) -> (u64, u64) {
    let spread = &answer["windows"][2]["spread"];
    (spread["low"].as_u64().unwrap(), spread["high"].as_u64().unwrap())
}

/// The time an answer states, in milliseconds after the start.
fn as_of(answer: &Value) -> i64 {
    parse_instant(answer["as_of"].as_str().unwrap()).unwrap().0 - START
}

fn fed(world: &mut World, at: i64) -> Fed {
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(at));
    fed
}

#[test]
fn a_hot_family_is_told_exactly_by_platform_kind_surface_and_reach() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    world.see_many(
        Seen {
            kind: Kind::BlockedUpload,
            ..seen(1, 2, Sharing::All, 20_000)
        },
        5,
    );
    world.see(Seen {
        kind: Kind::Report,
        ..seen(1, 2, Sharing::All, 30_000)
    });
    let fed = fed(&mut world, 60_000);
    let answer = ask(&fed, Scope::Coordinators, 1).unwrap();
    assert_eq!(answer["state"], "hot");
    assert_eq!(answer["family"], id(1).to_string());
    assert_eq!(answer["hash"], json!({"algorithm": "sha256", "value": "01".repeat(32)}));
    assert_eq!(as_of(&answer), 60_000);
    assert_eq!(answer["members"], 1);
    for window in answer["windows"].as_array().unwrap() {
        let exact = window["exact"].as_u64().unwrap();
        let before = window["before_exact"]["high"].as_u64().unwrap();
        assert!((12..=15).contains(&exact) && exact + before >= 15, "{window}");
        assert_eq!(window["spread"]["low"], exact);
        assert_eq!(window["platforms"][0]["platform"], "one-video");
        assert_eq!(
            window["platforms"][1],
            json!({"platform": "two-video", "spread": 5,
                "kinds": [{"kind": "blocked_upload", "count": 5}, {"kind": "report", "count": 1}]})
        );
    }
    assert_eq!(answer["windows"][0]["window"], "5m");
    assert_eq!(answer["surfaces_24h"][0]["surface"], "feed");
    let reach = &answer["reach"];
    assert_eq!(reach["platforms"][1]["platform"], "two-video");
    assert_eq!(
        reach["platforms"][1]["accounts"]["shown"], "<10",
        "others are told no more"
    );
    let (of_1, of_2) = (ask(&fed, PARTY_1, 1).unwrap(), ask(&fed, PARTY_2, 1).unwrap());
    let own = |answer: &Value, place: usize| answer["reach"]["platforms"][place]["accounts"]["estimate"].as_f64();
    let (one, two) = (own(&of_1, 0).unwrap(), own(&of_2, 1).unwrap());
    assert!(two >= 5.0 && one + two >= 12.0, "{one} and {two}");
    assert_eq!((own(&of_1, 1), own(&of_2, 1).is_some()), (None, true));
}

#[test]
fn a_cold_content_is_told_in_total_with_its_bounds_and_an_unseen_one_not_at_all() {
    let mut world = World::default();
    world.see_many(seen(3, 1, Sharing::All, 0), 2);
    let fed = fed(&mut world, 60_000);
    let answer = ask(&fed, Scope::Coordinators, 3).unwrap();
    assert_eq!(answer["state"], "cold");
    let (low, high) = spread_24h(&answer);
    assert!(low <= 2 && 2 <= high, "{answer}");
    for window in answer["windows"].as_array().unwrap() {
        assert!(window["expected_error"].is_number() && window["confidence"].is_number());
        assert!(window["covered_from"].as_str() <= window["from"].as_str());
        assert!(window["covered_to"].as_str() >= window["to"].as_str());
        assert!(window.get("platforms").is_none());
    }
    assert_eq!(ask(&fed, Scope::Coordinators, 4), Err(AnswerError::NotFound));
}

#[test]
fn a_scope_sums_its_classes_and_sees_no_other() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 8);
    world.see_many(seen(1, 1, Sharing::Party, 10_000), 8);
    world.see_many(seen(1, 2, Sharing::Coordinators, 20_000), 8);
    world.see_many(seen(2, 1, Sharing::Party, 30_000), 8);
    let fed = fed(&mut world, 60_000);
    let exact = |scope| ask(&fed, scope, 1).unwrap()["windows"][1]["platforms"].clone();
    let of = |platforms: &Value, name: &str| {
        let found = platforms
            .as_array()
            .unwrap()
            .iter()
            .find(|platform| platform["platform"] == name);
        found.map_or(0, |platform| platform["spread"].as_u64().unwrap())
    };
    let (all, coordinators) = (exact(Scope::All), exact(Scope::Coordinators));
    let (one, two) = (exact(PARTY_1), exact(PARTY_2));
    assert_eq!(of(&all, "two-video"), 0);
    assert_eq!(of(&coordinators, "one-video"), of(&all, "one-video"));
    assert!(of(&coordinators, "two-video") >= 6);
    assert!(of(&one, "one-video") >= of(&all, "one-video") + 6);
    assert_eq!(of(&one, "two-video"), 0);
    assert_eq!(of(&two, "one-video"), of(&all, "one-video"));
    assert!(of(&two, "two-video") >= 6);
    // What one party keeps to itself does not exist for others.
    assert_eq!(ask(&fed, PARTY_1, 2).unwrap()["state"], "hot");
    for scope in [Scope::All, Scope::Coordinators, PARTY_2] {
        assert_eq!(ask(&fed, scope, 2), Err(AnswerError::NotFound));
        let trending = trending_answer(&fed.replica, scope, WindowLength::Hour1, 10, START);
        assert_eq!(trending.families.len(), 1);
    }
}

#[test]
fn events_outside_a_scope_change_no_byte_of_its_answers() {
    let mut with = World::default();
    let mut without = World::default();
    for world in [&mut with, &mut without] {
        world.see_many(seen(1, 1, Sharing::All, 0), 12);
        world.see_many(seen(3, 1, Sharing::All, 5_000), 2);
        world.see_many(seen(5, 2, Sharing::Coordinators, 6_000), 9);
    }
    with.see_many(seen(1, 1, Sharing::Party, 20_000), 50);
    with.see_many(seen(2, 1, Sharing::Party, 20_000), 50);
    with.see_many(seen(3, 1, Sharing::Party, 20_000), 50);
    with.link(3, 1, Class::Party(PartyId(1)));
    let (with, without) = (fed(&mut with, 90_000), fed(&mut without, 90_000));
    for scope in [Scope::All, Scope::Coordinators, PARTY_2] {
        for content in 1..8 {
            assert_eq!(
                ask(&with, scope, content),
                ask(&without, scope, content),
                "{scope:?} {content}"
            );
        }
        for length in WindowLength::ALL {
            let ranking = |fed: &Fed| trending_answer(&fed.replica, scope, length, 10, START);
            assert_eq!(ranking(&with), ranking(&without));
        }
    }
    assert_ne!(ask(&with, PARTY_1, 1), ask(&without, PARTY_1, 1));
}

#[test]
fn a_family_is_the_sum_of_its_members_and_old_ids_go_on_answering() {
    let mut world = World::default();
    let (founder, member) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    world.see_many(seen(founder, 1, Sharing::All, 0), 10);
    world.see_many(seen(member, 1, Sharing::All, 0), 10);
    let mut fed = fed(&mut world, 30_000);
    assert_eq!(ask(&fed, Scope::All, member).unwrap()["family"], id(member).to_string());
    world.link(member, founder, Class::All);
    world.see_many(seen(member, 1, Sharing::All, 40_000), 5);
    fed.feed_all(&world.records(60_000));
    let (by_founder, by_member) = (
        ask(&fed, Scope::All, founder).unwrap(),
        ask(&fed, Scope::All, member).unwrap(),
    );
    assert_eq!(by_founder, by_member);
    assert_eq!(by_founder["family"], id(founder).to_string());
    assert_eq!(by_founder["members"], 2);
    let (low, high) = spread_24h(&by_founder);
    assert!(low <= 25 && 25 <= high && low >= 20, "{low}..{high}");
    let trending = trending_answer(&fed.replica, Scope::All, WindowLength::Hour1, 10, START);
    assert_eq!(trending.families.len(), 1, "a member is no family of its own");
}

#[test]
fn a_link_that_one_party_sees_joins_for_that_party_alone() {
    let mut world = World::default();
    let (founder, member) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    world.see_many(seen(founder, 1, Sharing::All, 0), 10);
    world.see_many(seen(member, 1, Sharing::All, 0), 10);
    world.see_many(seen(member, 1, Sharing::Party, 5_000), 10);
    world.link(member, founder, Class::Party(PartyId(1)));
    let fed = fed(&mut world, 60_000);
    assert_eq!(ask(&fed, PARTY_1, member).unwrap()["family"], id(founder).to_string());
    for scope in [Scope::All, Scope::Coordinators, PARTY_2] {
        assert_eq!(ask(&fed, scope, member).unwrap()["family"], id(member).to_string());
        assert_eq!(ask(&fed, scope, founder).unwrap()["members"], 1);
    }
}

#[test]
fn what_is_not_hot_in_a_class_widens_the_interval_and_is_told_apart() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::Party, 0), 10);
    world.see_many(seen(1, 2, Sharing::All, 0), 2);
    let fed = fed(&mut world, 60_000);
    assert_eq!(ask(&fed, PARTY_2, 1).unwrap()["state"], "cold");
    let answer = ask(&fed, PARTY_1, 1).unwrap();
    assert_eq!(answer["state"], "hot");
    let window = &answer["windows"][1];
    assert!(window["not_hot"]["spread"]["high"].as_u64().unwrap() >= 2, "{window}");
    let (low, high) = spread_24h(&answer);
    assert!(low <= 12 && 12 <= high, "{low}..{high}");
}

#[test]
fn a_flood_is_told_as_quarantined_and_approximately_and_no_longer_when_others_join() {
    let mut world = World::default();
    for copy in 0..1_300 {
        world.see(Seen {
            account: 7,
            ..seen(1, 1, Sharing::All, copy * 1_000)
        });
    }
    let mut fed = fed(&mut world, 1_400_000);
    for scope in [Scope::Coordinators, PARTY_2] {
        let answer = ask(&fed, scope, 1).unwrap();
        assert_eq!(answer["state"], "cold");
        assert_eq!(answer["quarantined"]["accounts"]["shown"], "<10");
        let copies = answer["quarantined"]["copies"].as_u64().unwrap();
        assert!((1_000..1_100).contains(&copies), "{copies}");
        let (low, high) = spread_24h(&answer);
        assert!(low <= 1_300 && 1_300 <= high, "{low}..{high}");
        let question = SeriesQuestion {
            resolution: Resolution::Minute1,
            from: None,
            to: None,
        };
        let series = series_answer(&fed.replica, scope, id(1), question, START);
        assert_eq!(series, Err(AnswerError::NotHot));
    }
    let own = ask(&fed, PARTY_1, 1).unwrap();
    assert_eq!(
        own["quarantined"]["accounts"]["estimate"], 1.0,
        "by its own platform's account"
    );
    let trending = trending_answer(&fed.replica, Scope::All, WindowLength::Hour1, 10, START);
    assert_eq!(trending.families.len(), 0, "a flood does not trend");
    world.see_many(seen(1, 2, Sharing::All, 1_500_000), 10);
    fed.feed_all(&world.records(1_600_000));
    let answer = ask(&fed, Scope::Coordinators, 1).unwrap();
    assert_eq!(
        (&answer["state"], &answer["quarantined_members"]),
        (&"hot".into(), &0.into())
    );
    let forecast = &answer["forecast"]["spread"];
    let [low, median, high] = ["low", "median", "high"].map(|name| forecast[name].as_f64().unwrap());
    assert!(0.0 < median && low <= median && median <= high, "{forecast}");
}

#[test]
fn a_series_holds_the_bins_of_its_range_and_a_cold_content_has_none() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 120);
    world.see_many(seen(3, 1, Sharing::All, 0), 2);
    let fed = fed(&mut world, 125_000);
    let question = |resolution, from, to| SeriesQuestion { resolution, from, to };
    let ask = |content, question| series_answer(&fed.replica, Scope::All, id(content), question, START);
    let sum = |answer: &tocsin_query::answer::SeriesAnswer| -> u64 {
        answer
            .lines
            .iter()
            .flat_map(|line| &line.bins)
            .map(|bin| bin.count)
            .sum()
    };
    let whole = ask(1, question(Resolution::Seconds5, None, None)).unwrap();
    assert!((117..=120).contains(&sum(&whole)), "{}", sum(&whole));
    assert_eq!((whole.lines.len(), whole.lines[0].kind), (1, "upload"));
    let minute = question(
        Resolution::Seconds5,
        Some(Timestamp(START + 61_000)),
        Some(Timestamp(START + 90_000)),
    );
    let minute = ask(1, minute).unwrap();
    assert_eq!(minute.from, instant(Timestamp(START + 60_000)), "rounded down to a bin");
    assert_eq!((minute.lines[0].bins.len(), sum(&minute)), (6, 30));
    assert_eq!(
        ask(3, question(Resolution::Minute1, None, None)),
        Err(AnswerError::NotHot)
    );
    assert_eq!(
        ask(9, question(Resolution::Minute1, None, None)),
        Err(AnswerError::NotFound)
    );
}

#[test]
fn trending_is_ordered_by_spread_in_the_window() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 50);
    world.see_many(seen(2, 1, Sharing::All, 3_500_000), 20);
    let fed = fed(&mut world, 3_600_000);
    let order = |length| -> Vec<String> {
        let answer = trending_answer(&fed.replica, Scope::Coordinators, length, 10, START);
        answer.families.into_iter().map(|entry| entry.family).collect()
    };
    assert_eq!(order(WindowLength::Hours24), [id(1).to_string(), id(2).to_string()]);
    assert_eq!(order(WindowLength::Minutes5), [id(2).to_string()]);
    let one = trending_answer(&fed.replica, Scope::All, WindowLength::Hours24, 1, START);
    assert_eq!(one.families.len(), 1);
}

#[test]
fn a_removed_record_falls_back_to_its_cold_counts() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    let mut fed = fed(&mut world, 60_000);
    let gone = StateKey::Hot {
        group: id(1).group(),
        content: id(1),
        class: Class::All,
    };
    let partition = u32::from(id(1).group().0 % PARTITIONS);
    fed.feed_all(&[state_record(partition, gone, None)]);
    assert_eq!(fed.replica.hot.count(), 0);
    let answer = ask(&fed, Scope::All, 1).unwrap();
    assert_eq!(answer["state"], "cold");
    assert!(spread_24h(&answer).1 >= 10);
}

#[test]
fn torn_foreign_stale_and_surplus_records_are_left_out() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    let records = world.records(60_000);
    let is_hot = |made: &&Made| matches!(StateKey::from_bytes(&made.key), Some(StateKey::Hot { .. }));
    let hot = records.iter().find(is_hot).unwrap().clone();
    let mut fed = Fed::with_limits(ReplicaLimits {
        hot_records_max: 1,
        ..limits()
    });
    fed.feed_all(&records);
    // The partition that owned the group before there were four of them.
    let foreign = Made {
        partition: (hot.partition + 1) % u32::from(PARTITIONS),
        ..hot.clone()
    };
    assert_eq!(fed.feed(&foreign), Err(Skipped::Foreign));
    assert_eq!(fed.feed(&header(0, 1, 30_000)), Err(Skipped::Stale));
    let mut other = World::default();
    other.see_many(seen(2, 1, Sharing::All, 0), 10);
    let surplus: Vec<_> = other
        .records(60_000)
        .iter()
        .filter(is_hot)
        .map(|made| fed.feed(made))
        .collect();
    assert_eq!(surplus, [Err(Skipped::Full)]);
    let before = ask(&fed, Scope::All, 1).unwrap();
    let value = hot.value.clone().unwrap();
    for length in 0..value.len() {
        let torn = Made {
            value: Some(value[..length].to_vec()),
            ..hot.clone()
        };
        assert_eq!(fed.feed(&torn), Err(Skipped::Corrupt), "cut at {length}");
    }
    assert_eq!(ask(&fed, Scope::All, 1).unwrap(), before);
}

#[test]
fn chunks_of_two_checkpoints_are_not_mixed() {
    let mut world = World::default();
    world.see_many(seen(3, 1, Sharing::All, 0), 1);
    let first = world.records(30_000);
    world.see_many(seen(3, 1, Sharing::All, 40_000), 1);
    let second = world.records(60_000);
    let is_cold = |made: &&Made| matches!(StateKey::from_bytes(&made.key), Some(StateKey::Cold { .. }));
    let cold = |records: &[Made]| -> Vec<Made> { records.iter().filter(is_cold).cloned().collect() };
    let (first_cold, second_cold) = (cold(&first), cold(&second));
    assert_eq!((first_cold.len(), second_cold.len()), (2, 2));
    let mut fed = Fed::default();
    fed.feed_all(&first);
    fed.feed_all(&second_cold[..1]);
    // Half of the second checkpoint: the first goes on answering.
    let as_of = |fed: &Fed| ask(fed, Scope::All, 3).unwrap()["as_of"].clone();
    let before = as_of(&fed);
    assert_eq!(parse_instant(before.as_str().unwrap()), Some(Timestamp(START + 30_000)));
    // A chunk of the first, again, does not complete the second.
    fed.feed_all(&first_cold[1..]);
    assert_eq!(as_of(&fed), before);
    fed.feed_all(&second_cold[1..]);
    assert_ne!(as_of(&fed), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_applied_or_left_out(
        feed in 0usize..4, tag in 0u8..5, key in proptest::collection::vec(any::<u8>(), 0..24),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
    ) {
        let mut fed = Fed::default();
        let feed_kind = tocsin_query::replica::Feed::ALL[feed];
        let key = [vec![tag], key].concat();
        let _ = fed.feed(&Made { feed: feed_kind, partition: 0, key, value });
    }

    #[test]
    fn hot_figures_hold_the_truth(events in proptest::collection::vec((1u8..6, 1u16..4, 0usize..3, 0i64..600), 1..120)) {
        let mut world = World::default();
        let mut events = events;
        events.sort_by_key(|event| event.3);
        for (content, party, sharing, second) in &events {
            let sharing = [Sharing::Party, Sharing::Coordinators, Sharing::All][*sharing];
            world.see(seen(*content, *party, sharing, second * 1_000));
        }
        let fed = fed(&mut world, 601_000);
        for scope in [Scope::All, Scope::Coordinators, PARTY_1, PARTY_2] {
            for content in 1..6 {
                let truth = events.iter().filter(|event| {
                    let sharing = [Sharing::Party, Sharing::Coordinators, Sharing::All][event.2];
                    event.0 == content && sharing.classes(PartyId(event.1)).any(|class| scope.contains(class))
                }).count() as u64;
                match ask(&fed, scope, content) {
                    Ok(answer) => {
                        let (low, high) = spread_24h(&answer);
                        prop_assert!(low <= truth && truth <= high, "{scope:?} {content}: {truth} in {low}..{high}");
                    }
                    Err(error) => prop_assert!(truth == 0 && error == AnswerError::NotFound, "{error:?} {truth}"),
                }
            }
        }
    }
}

#[test]
fn answers_keep_the_order_of_their_fields() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    world.see_many(seen(3, 1, Sharing::All, 0), 1);
    let fed = fed(&mut world, 60_000);
    let text = |content| {
        let answer: FamilyAnswer = family_answer(&fed.replica, Scope::All, id(content), None, START).unwrap();
        serde_json::to_string(&answer).unwrap()
    };
    let order = |text: &str, names: &[&str]| {
        let places: Vec<_> = names
            .iter()
            .map(|name| text.find(&format!("\"{name}\":")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{text}");
    };
    order(
        &text(1),
        &[
            "state",
            "family",
            "scope",
            "hash",
            "as_of",
            "lag_ms",
            "members",
            "first_seen",
            "last_seen",
            "exact_since",
            "windows",
            "surfaces_24h",
            "reach",
        ],
    );
    order(
        &text(3),
        &["state", "family", "scope", "hash", "as_of", "lag_ms", "windows"],
    );
}
