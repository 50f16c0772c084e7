//! Goal: a family's spread by surface, region and language reaches the reader, from records of the log, inside its scope alone.

use crate::world::*;
use serde_json::{Value, json};
use tocsin_model::{PartyId, Scope, Sharing};
use tocsin_query::answer::family_answer;

fn ask(fed: &Fed, scope: Scope) -> Value {
    let answer = family_answer(&fed.replica, scope, id(1), None, START).unwrap();
    serde_json::to_value(answer).unwrap()
}

#[test]
fn spread_is_told_by_region_and_language_and_sums_up() {
    let mut world = World::default();
    let all = seen(1, 1, Sharing::All, 0);
    // What comes before promotion is an interval and stands in no part.
    world.see_many(all, 3);
    for (region, language, count) in [(*b"NZ", *b"en", 4), (*b"DE", *b"de", 6), ([0; 2], *b"en", 2)] {
        world.see_many(
            Seen {
                region,
                language,
                at: 10_000,
                ..all
            },
            count,
        );
    }
    let own = seen(1, 1, Sharing::Party, 20_000);
    world.see_many(Seen { region: *b"FR", ..own }, 8);
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one")]);
    fed.feed_all(&world.records(60_000));
    let answer = ask(&fed, Scope::All);
    let exact = answer["windows"][2]["exact"].as_u64().unwrap();
    assert_eq!(
        answer["regions_24h"],
        json!({"largest": [{"code": "DE", "count": 6}, {"code": "NZ", "count": 4}], "others": 0, "unstated": exact - 10})
    );
    assert_eq!(
        answer["languages_24h"],
        json!({"largest": [{"code": "de", "count": 6}, {"code": "en", "count": 6}], "others": 0, "unstated": exact - 12})
    );
    assert_eq!(answer["surfaces_24h"], json!([{"surface": "feed", "count": exact}]));
    // Another party gets the same bytes as a reader of what is shared with all; the party itself sees its own.
    assert_eq!(
        ask(&fed, Scope::Party(PartyId(2)))["regions_24h"],
        answer["regions_24h"]
    );
    let own = ask(&fed, Scope::Party(PartyId(1)));
    let first = &own["regions_24h"]["largest"][0];
    assert!(first["code"] == "DE" || first["code"] == "FR", "{first}");
    assert_eq!(own["regions_24h"]["largest"].as_array().unwrap().len(), 3);
}

#[test]
fn of_many_members_the_largest_regions_are_told_and_the_rest_together() {
    let mut world = World::default();
    let founder = (1..4).min_by_key(|content| id(*content)).unwrap();
    for content in 1..4 {
        world.link(content, founder, tocsin_model::Class::All);
        for region in 0..40u8 {
            let region = [b'A' + content, b'A' + region % 26];
            world.see_many(
                Seen {
                    region,
                    ..seen(content, 1, Sharing::All, 0)
                },
                3,
            );
        }
    }
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one")]);
    fed.feed_all(&world.records(60_000));
    let answer = ask(&fed, Scope::All);
    assert_eq!(answer["members"], 3);
    let regions = &answer["regions_24h"];
    let largest = regions["largest"].as_array().unwrap();
    assert_eq!(largest.len(), 32, "{regions}");
    assert!(regions["others"].as_u64() > Some(0));
    let counted: u64 = largest.iter().map(|part| part["count"].as_u64().unwrap()).sum();
    let exact = answer["windows"][2]["exact"].as_u64().unwrap();
    assert_eq!(
        counted + regions["others"].as_u64().unwrap() + regions["unstated"].as_u64().unwrap(),
        exact
    );
}
