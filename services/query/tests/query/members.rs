//! Goal: a reader is told how the contents of a family came into it, which leads, and what came of those that are listed.

use crate::world::*;
use serde_json::{Value, json};
use tocsin_model::{Class, Evidence, Kind, PartyId, Scope, Sharing};
use tocsin_query::answer::{AnswerError, members_answer};

const MINUTE: i64 = 60_000;

fn ask(fed: &Fed, scope: Scope, content: u8) -> Value {
    let (answer, next) = members_answer(&fed.replica, scope, id(content), (None, 1_000), START).unwrap();
    assert_eq!(next, None);
    serde_json::to_value(answer).unwrap()
}

fn name(content: u8) -> String {
    format!("{:032x}", id(content).0)
}

fn member(answer: &Value, content: u8) -> Value {
    let mut members = answer["members"].as_array().unwrap().iter();
    members
        .find(|member| member["content"] == name(content))
        .unwrap()
        .clone()
}

fn fed(mut world: World) -> Fed {
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(30 * MINUTE));
    fed
}

/// The family of three contents: the founder is listed after six minutes, one was posted before alone, one goes on.
fn family() -> (World, [u8; 3]) {
    let mut contents = [1, 2, 3];
    contents.sort_by_key(|content| id(*content));
    let [founder, before, after] = contents;
    let mut world = World::default();
    let copy = |content, party, kind, at| Seen {
        kind,
        ..seen(content, party, Sharing::All, at)
    };
    for (content, copies) in [(founder, 4), (before, 5), (after, 9)] {
        world.see_many(copy(content, 1, Kind::Upload, 0), copies);
    }
    world.link_by(before, founder, Class::All, Evidence::PdqDistance(9));
    world.link_by(after, founder, Class::All, Evidence::EqualHash);
    world.watch_at(1, founder, Some(2), 6 * MINUTE);
    for (party, kind, at) in [
        (1, Kind::BlockedUpload, 8 * MINUTE),
        (1, Kind::BlockedUpload, 9 * MINUTE),
        (2, Kind::Upload, 10 * MINUTE),
        (1, Kind::Upload, 11 * MINUTE),
        (2, Kind::Removal, 12 * MINUTE),
    ] {
        world.see(copy(founder, party, kind, at));
    }
    world.see(copy(after, 2, Kind::Share, 20 * MINUTE));
    (world, contents)
}

#[test]
fn members_are_told_with_evidence_first_sights_and_what_escaped() {
    let (world, [founder, before, after]) = family();
    let fed = fed(world);
    for asked in [founder, before] {
        let answer = ask(&fed, Scope::All, asked);
        assert_eq!(answer["family"], name(founder));
        let order: Vec<Value> = answer["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|of| of["content"].clone())
            .collect();
        assert_eq!(order[0], name(after), "nine copies and one: {order:?}");
        assert_eq!(order.len(), 3);
        assert_eq!(member(&answer, founder)["joined"], Value::Null);
        let joined = &member(&answer, before)["joined"];
        assert_eq!(
            (&joined["evidence"], &joined["distance"], &joined["party"]),
            (&json!("pdq_distance"), &json!(9), &json!("one"))
        );
        assert_eq!(member(&answer, after)["joined"]["evidence"], "equal_hash");
        let escaped = [founder, before, after].map(|content| member(&answer, content)["escaped"].clone());
        assert_eq!(escaped, [true, false, true].map(Value::from));
        let platforms = member(&answer, founder)["platforms"].clone();
        assert_eq!(
            (platforms.as_array().unwrap().len(), &platforms[0]["platform"]),
            (2, &json!("one-video"))
        );
        assert_eq!(platforms[1]["first_blocked"], Value::Null);
        assert!(platforms[1]["first_removed"].is_string());
    }
}

#[test]
fn what_came_since_the_listing_is_told_by_platform() {
    let (world, [founder, ..]) = family();
    let answer = ask(&fed(world), Scope::All, founder);
    assert_eq!(
        answer["since_listing"],
        json!([
            {"platform": "one-video", "posted": 1, "blocked": 2, "removed": 0, "restored": 0, "leak_through": 1.0 / 3.0,
                "first_block_after_s": 120.0, "first_removal_after_s": null, "reposted_1h": 1},
            {"platform": "two-video", "posted": 1, "blocked": 0, "removed": 1, "restored": 0, "leak_through": 1.0,
                "first_block_after_s": null, "first_removal_after_s": 360.0, "reposted_1h": 1},
        ])
    );
}

#[test]
fn members_of_another_party_s_scope_change_no_byte() {
    let (world, [founder, ..]) = family();
    let (mut more, _) = family();
    let hidden = seen(4, 2, Sharing::Party, MINUTE);
    more.see_many(hidden, 9);
    let (joins, of) = if id(4) > id(founder) {
        (4, founder)
    } else {
        (founder, 4)
    };
    more.link_by(joins, of, Class::Party(PartyId(2)), Evidence::PartyLink);
    more.see_many(
        Seen {
            content: founder,
            ..hidden
        },
        7,
    );
    let [fed, fed_more] = [world, more].map(fed);
    for scope in [Scope::All, Scope::Coordinators, Scope::Party(PartyId(1))] {
        assert_eq!(ask(&fed, scope, founder), ask(&fed_more, scope, founder));
    }
    let own = Scope::Party(PartyId(2));
    assert_ne!(ask(&fed, own, founder), ask(&fed_more, own, founder));
}

#[test]
fn a_cold_content_has_no_members() {
    let (mut world, _) = family();
    world.see(seen(9, 1, Sharing::All, 0));
    let refused = members_answer(&fed(world).replica, Scope::All, id(9), (None, 1_000), START);
    assert_eq!(refused, Err(AnswerError::NotHot));
}
