//! Goal: numbers of accounts are told in full to the party whose platform they are of, and to everybody else rounded, under 10 as "<10", by the minute.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin_model::{Alert, Estimate, PartyId, PlatformFigures, PlatformId, Scope, Sharing};
use tocsin_query::answer::family_answer;

use crate::api::*;
use crate::world::*;

const PARTY_1: Scope = Scope::Party(PartyId(1));
const PARTY_2: Scope = Scope::Party(PartyId(2));
const MINUTE: i64 = 60_000;

/// Copies on the platform of each party, 20 or more, by so many accounts: each comes again, so that those are known which came before promotion.
fn spread(world: &mut World, content: u8, accounts: [u64; 2], at: i64) {
    for (party, accounts) in [1, 2].into_iter().zip(accounts) {
        for copy in 0..20_u64.max(2 * accounts) {
            world.see(Seen {
                account: 1_000 * u64::from(party) + copy % accounts,
                ..seen(content, party, Sharing::All, at + copy as i64 * 100)
            });
        }
    }
}

fn fed(accounts: [u64; 2]) -> (World, Fed) {
    let (mut world, mut fed) = (World::default(), Fed::default());
    spread(&mut world, 1, accounts, 0);
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(10_000));
    (world, fed)
}

fn ask(fed: &Fed, scope: Scope, content: u8, now_ms: i64) -> Value {
    serde_json::to_value(family_answer(&fed.replica, scope, id(content), None, now_ms).unwrap()).unwrap()
}

/// What is told of the accounts on both platforms, and of their sum.
fn shown(answer: &Value) -> [String; 3] {
    let reach = &answer["reach"];
    let cells = [
        &reach["platforms"][0]["accounts"],
        &reach["platforms"][1]["accounts"],
        &reach["sum_over_platforms"],
    ];
    cells.map(|cell| cell["shown"].as_str().unwrap().to_owned())
}

#[test]
fn an_owner_is_told_its_own_and_everybody_else_round_numbers() {
    let (_, fed) = fed([13, 28]);
    assert_eq!(shown(&ask(&fed, PARTY_1, 1, START)), ["13", "30", "43"]);
    assert_eq!(shown(&ask(&fed, PARTY_2, 1, START)), ["15", "28", "43"]);
    for scope in [Scope::Coordinators, Scope::All, Scope::Party(PartyId(3))] {
        let answer = ask(&fed, scope, 1, START);
        assert_eq!(shown(&answer), ["15", "30", "45"]);
        let sum = &answer["reach"]["sum_over_platforms"];
        assert_eq!(
            (&sum["low"], &sum["high"], &sum["disclosure"]),
            (&json!(41.0), &json!(49.0), &json!("rounded"))
        );
    }
}

#[test]
fn a_forecast_of_accounts_says_nothing_to_who_does_not_own_all_of_them() {
    for accounts in [[13, 28], [13, 3]] {
        let (_, fed) = fed(accounts);
        for scope in [Scope::All, Scope::Coordinators, PARTY_1, PARTY_2] {
            let forecast = &ask(&fed, scope, 1, START)["forecast"];
            assert_eq!(forecast["accounts"]["disclosure"], "suppressed", "{scope:?}");
            assert_eq!(forecast["accounts"]["median"], Value::Null);
            assert_eq!(forecast["accounts"]["high"], forecast["spread"]["high"]);
        }
    }
}

#[test]
fn no_byte_of_an_answer_tells_small_numbers_of_accounts_apart() {
    let told = |accounts| {
        let (_, fed) = fed([30, accounts]);
        [Scope::All, Scope::Coordinators, PARTY_1].map(|scope| ask(&fed, scope, 1, START).to_string())
    };
    let of_9 = told(9);
    for accounts in [1, 2, 5, 8] {
        assert_eq!(told(accounts), of_9, "{accounts}");
    }
    assert_ne!(told(10), of_9);
    let own = |accounts| shown(&ask(&fed([30, accounts]).1, PARTY_2, 1, START))[1].clone();
    assert_eq!([own(2), own(9)], ["2", "9"], "its owner is told");
}

#[test]
fn numbers_of_others_change_with_the_minute_and_own_ones_at_once() {
    let (mut world, mut fed) = fed([20, 20]);
    assert_eq!(shown(&ask(&fed, PARTY_1, 1, START)), ["20", "20", "40"]);
    spread(&mut world, 1, [40, 40], 20_000);
    fed.feed_all(&world.records(30_000));
    let within = ask(&fed, PARTY_1, 1, START + MINUTE - 1);
    assert_eq!(shown(&within), ["40", "20", "60"]);
    assert_ne!(within["reach_as_of"], within["as_of"], "said to be older");
    assert_eq!(
        shown(&ask(&fed, Scope::All, 1, START + MINUTE - 1)),
        ["40", "40", "80"],
        "asked first in this minute"
    );
    let after = ask(&fed, PARTY_1, 1, START + MINUTE);
    assert_eq!(shown(&after), ["40", "40", "80"]);
    assert_eq!(after["reach_as_of"], after["as_of"]);
}

#[test]
fn numbers_that_never_rest_are_told_less_often() {
    let (mut world, mut fed) = fed([20, 20]);
    let mut told = Vec::new();
    for minute in 0..80_i64 {
        world.see_many(
            Seen {
                account: 3_000 + 10 * minute as u64,
                ..seen(1, 2, Sharing::All, 20_000 + minute * MINUTE)
            },
            10,
        );
        fed.feed_all(&world.records(30_000 + minute * MINUTE));
        told.push(shown(&ask(&fed, PARTY_1, 1, START + minute * MINUTE))[1].clone());
    }
    assert_eq!(
        told.iter().filter(|told| *told == "30").count(),
        1,
        "ten more each minute: {told:?}"
    );
    told.dedup();
    assert_eq!(
        told.len(),
        20 + 79 / 2,
        "twenty at once, then one every two minutes: {told:?}"
    );
}

/// An alert of both platforms, and of a further one on which nothing spread for a day.
fn rung(number: u128, accounts: [f64; 3]) -> Alert {
    let mut alert = alert(number, Scope::All);
    let figures = [1, 2]
        .into_iter()
        .zip(accounts)
        .map(|(platform, count)| PlatformFigures {
            platform: PlatformId(platform),
            reach: Estimate::exactly(count),
            ..alert.platforms[0]
        });
    alert.platforms = figures.collect();
    alert.trigger.accounts = Estimate::exactly(accounts.iter().sum());
    alert
}

fn rang(answer: &Value) -> [&Value; 4] {
    let platform = |place: usize| &answer["platforms"][place]["accounts"]["shown"];
    [
        platform(0),
        platform(1),
        &answer["trigger"]["accounts_sum_over_platforms"]["shown"],
        &answer["forecast"]["accounts"]["median"],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_tells_each_reader_what_it_may_know() {
    let bare = Bare::start(fed([13, 4]).1.replica, Duration::from_secs(60)).await;
    bare.state.set_ready();
    let keys = [&bare.keys.party_1, &bare.keys.party_2, &bare.keys.coordinators];
    let mut begun = Vec::new();
    for key in keys {
        begun.push(bare_get(&bare, key, "/v1/alerts").await["next"].clone());
    }
    bare.feed(&[
        alert_record(0, &rung(1, [13.0, 4.0, 0.0])),
        alert_record(0, &rung(2, [13.0, 21.0, 5.0])),
    ]);
    let readers = [
        (
            &bare.keys.party_1,
            ["13", "<10", "13 to 22"],
            [["13", "<10", "13 to 22"], ["13", "20", "31 to 44"]],
        ),
        (
            &bare.keys.party_2,
            ["15", "4", "19"],
            [["15", "4", "19"], ["15", "21", "34 to 47"]],
        ),
        (
            &bare.keys.coordinators,
            ["15", "<10", "13 to 26"],
            [["15", "<10", "13 to 26"], ["15", "20", "31 to 48"]],
        ),
    ];
    for ((key, family, alerts), begun) in readers.into_iter().zip(&begun) {
        let path = format!("/v1/families/{}", id(1));
        assert_eq!(shown(&bare_get(&bare, key, &path).await), family);
        let path = format!("/v1/lookup?algorithm=sha256&value={}", "01".repeat(32));
        assert_eq!(shown(&bare_get(&bare, key, &path).await), family);
        let listed = bare_get(&bare, key, "/v1/alerts").await;
        let mut stream = Reading::open(&bare.router, key, begun.as_str()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().name, "position");
        for (place, wanted) in alerts.into_iter().enumerate() {
            let one = bare_get(&bare, key, &format!("/v1/alerts/{:032x}", place + 1)).await;
            assert_eq!(rang(&one)[..3], wanted, "{key}");
            assert_eq!(listed["alerts"][place], one);
            assert_eq!(stream.next().await.unwrap().data, one);
            assert!(rang(&one)[3].is_null(), "nobody owns all of the accounts");
        }
    }
}

async fn bare_get(bare: &Bare, key: &str, path: &str) -> Value {
    let (status, answer) = get(&bare.router, Some(key), path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}
