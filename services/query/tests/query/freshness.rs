//! Goal: an answer states the time up to which all of its figures count everything, also between the records of one unit of the log.

use crate::world::*;
use tocsin_model::{Class, Scope, Sharing};
use tocsin_query::answer::family_answer;
use tocsin_wire::document::parse_instant;
use tocsin_wire::state::StateKey;

/// The time that the answer about a content states, in milliseconds after the start.
fn as_of(fed: &Fed, content: u8) -> i64 {
    let answer = family_answer(&fed.replica, Scope::All, id(content), None, START).unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    parse_instant(answer["as_of"].as_str().unwrap()).unwrap().0 - START
}

#[test]
fn a_record_that_is_ahead_of_its_header_states_its_own_time() {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 10);
    let mut fed = Fed::default();
    fed.feed_all(&world.records(20_000));
    assert_eq!(as_of(&fed, 1), 20_000);
    // The unit after it, without the headers, which come last. It counts everything up to its own time, not only to its latest event.
    world.see(seen(1, 1, Sharing::All, 40_000));
    let mut unit = world.records(50_000);
    unit.truncate(unit.len() - PARTITIONS as usize);
    fed.feed_all(&unit);
    assert_eq!(as_of(&fed, 1), 50_000);
}

#[test]
fn a_family_is_as_old_as_the_oldest_of_its_records() {
    let mut world = World::default();
    let (founder, member) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    world.see_many(seen(founder, 1, Sharing::All, 0), 10);
    world.see_many(seen(member, 1, Sharing::All, 0), 10);
    world.link(member, founder, Class::All);
    let mut fed = Fed::default();
    fed.feed_all(&world.records(20_000));
    // The next unit of each, record by record and without the headers: only with the second does the family know more.
    world.see(seen(founder, 1, Sharing::All, 40_000));
    world.see(seen(member, 1, Sharing::All, 40_000));
    let mut unit = world.records(50_000);
    unit.truncate(unit.len() - PARTITIONS as usize);
    unit.retain(|made| matches!(StateKey::from_bytes(&made.key), Some(StateKey::Hot { .. })));
    let mut stated = Vec::new();
    for made in &unit {
        fed.feed(made).unwrap();
        stated.push(as_of(&fed, founder));
    }
    assert_eq!(stated, [20_000, 50_000]);
}
