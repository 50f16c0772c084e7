//! Goal: a family that comes to be, goes or is merged into another is told to those who see it, by whichever record, and to nobody else.

use std::collections::BTreeSet;

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use serde_json::json;
use tocsin_model::{Class, FamilyId, PartyId, Scope, Sharing};
use tocsin_query::answer::{Told, moved};
use tocsin_query::replica::Marked;
use tocsin_wire::state::StateKey;

const SECOND: i64 = 1_000;
const MOVED: &str = "/v1/stream?events=moved";

/// Three contents of everybody, the lowest id first, and readers of party 1 and party 2 who were told what spreads.
async fn three_families(link: impl FnOnce(&mut World, [u8; 3])) -> (Bare, World, [u8; 3], [Reading; 2]) {
    let bare = ready(Fed::default()).await;
    bare.feed(&[party(1, "one"), party(2, "two")]);
    let mut world = World::default();
    let mut contents = [1, 2, 3];
    contents.sort_by_key(|content| id(*content));
    for content in contents {
        world.see_many(seen(content, 2, Sharing::All, 0), 9);
    }
    link(&mut world, contents);
    bare.feed(&world.records(10 * SECOND));
    let mut readings = Vec::new();
    for key in [&bare.keys.party_1, &bare.keys.party_2] {
        let mut reading = Reading::open_of(&bare.router, key, MOVED, None).await.unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        assert_eq!(reading.next().await.unwrap().name, "moved");
        readings.push(reading);
    }
    (bare, world, contents, readings.try_into().ok().unwrap())
}

/// The families of a frame.
fn names(event: &Event) -> BTreeSet<String> {
    assert_eq!(event.name, "moved", "{event:?}");
    let families = event.data["families"].as_array().unwrap().iter();
    families.map(|one| one["family"].as_str().unwrap().to_owned()).collect()
}

fn frame_number(event: &Event) -> u64 {
    event.data["frame"].as_u64().unwrap()
}

fn ids(contents: &[u8]) -> BTreeSet<String> {
    contents.iter().map(|content| id(*content).to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_that_is_merged_or_hot_no_more_is_told_as_gone() {
    let bare = ready(Fed::default()).await;
    let mut world = World::default();
    for content in 1..4 {
        world.see_many(seen(content, 1, Sharing::All, 0), 9);
    }
    bare.feed(&world.records(10 * SECOND));
    let mut reading = Reading::open_of(&bare.router, &bare.keys.party_2, MOVED, None)
        .await
        .unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    assert_eq!(names(&reading.next().await.unwrap()).len(), 3);
    let (joins, of) = if id(2) > id(1) { (2, 1) } else { (1, 2) };
    world.link(joins, of, Class::All);
    world.see(seen(joins, 1, Sharing::All, 11 * SECOND));
    bare.feed(&world.records(12 * SECOND));
    bare.state.make_frames();
    let frame = reading.next().await.unwrap();
    let merged = json!([{"family": id(joins).to_string(), "merged_into": id(of).to_string()}]);
    assert_eq!(frame.data["families_gone"], merged);
    assert_eq!(names(&frame), ids(&[of]));
    bare.state.replica().hot.remove(id(3), Class::All);
    bare.state.make_frames();
    let frame = reading.next().await.unwrap();
    let gone = json!([{"family": id(3).to_string(), "merged_into": null}]);
    assert_eq!((&frame.data["families_gone"], names(&frame).len()), (&gone, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_by_a_record_beside_that_of_everybody_is_told_to_those_who_see_it() {
    let (bare, mut world, [of, other, joins], [mut sees, mut sees_not]) = three_families(|_, _| ()).await;
    world.link(joins, of, Class::Party(PartyId(1)));
    world.see_many(seen(joins, 1, Sharing::Party, 11 * SECOND), 9);
    bare.feed(&world.records(21 * SECOND));
    bare.state.make_frames();
    let frame = sees.next().await.unwrap();
    let merged = json!([{"family": id(joins).to_string(), "merged_into": id(of).to_string()}]);
    assert_eq!((&frame.data["families_gone"], names(&frame)), (&merged, ids(&[of])));
    // What comes to be when the record goes is told too.
    bare.state.replica().hot.remove(id(joins), Class::Party(PartyId(1)));
    bare.state.make_frames();
    let frame = sees.next().await.unwrap();
    assert_eq!(
        (&frame.data["families_gone"], names(&frame)),
        (&json!([]), ids(&[joins, of]))
    );
    // To others nothing moved.
    world.see(seen(other, 2, Sharing::All, 22 * SECOND));
    bare.feed(&world.records(23 * SECOND));
    bare.state.make_frames();
    let frame = sees_not.next().await.unwrap();
    assert_eq!((frame_number(&frame), names(&frame)), (1, ids(&[other])));
    assert_eq!(frame.data["families_gone"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_that_loses_a_member_to_a_record_beside_it_is_told_anew() {
    let link = |world: &mut World, [_, of_all, joins]: [u8; 3]| world.link(joins, of_all, Class::All);
    let (bare, mut world, [of_party, of_all, joins], [mut sees, mut sees_not]) = three_families(link).await;
    world.link(joins, of_party, Class::Party(PartyId(1)));
    world.see_many(seen(joins, 1, Sharing::Party, 11 * SECOND), 9);
    bare.feed(&world.records(21 * SECOND));
    bare.state.make_frames();
    let frame = sees.next().await.unwrap();
    assert_eq!(
        (&frame.data["families_gone"], names(&frame)),
        (&json!([]), ids(&[of_party, of_all]))
    );
    world.see(seen(of_party, 2, Sharing::All, 22 * SECOND));
    bare.feed(&world.records(23 * SECOND));
    bare.state.make_frames();
    let frame = sees_not.next().await.unwrap();
    assert_eq!((frame_number(&frame), names(&frame)), (1, ids(&[of_party])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_for_everybody_beside_a_record_of_a_party_is_told_to_that_party() {
    let bare = ready(Fed::default()).await;
    bare.feed(&[party(1, "one"), party(2, "two")]);
    let mut world = World::default();
    let (joins, of) = if id(2) > id(1) { (2, 1) } else { (1, 2) };
    world.see_many(seen(joins, 1, Sharing::Party, 0), 9);
    world.see_many(seen(of, 2, Sharing::All, 0), 9);
    bare.feed(&world.records(10 * SECOND));
    let mut readings = Vec::new();
    for key in [&bare.keys.party_1, &bare.keys.party_2] {
        let mut reading = Reading::open_of(&bare.router, key, MOVED, None).await.unwrap();
        assert_eq!(reading.next().await.unwrap().name, "position");
        assert_eq!(reading.next().await.unwrap().name, "moved");
        readings.push(reading);
    }
    world.link(joins, of, Class::All);
    world.see_many(seen(joins, 2, Sharing::All, 11 * SECOND), 9);
    // The party's own record names the family as well, and may come later than the frame.
    let own = StateKey::Hot {
        group: id(joins).group(),
        content: id(joins),
        class: Class::Party(PartyId(1)),
    };
    let mut records = world.records(21 * SECOND);
    records.retain(|record| record.key != own.to_bytes());
    bare.feed(&records);
    bare.state.make_frames();
    let merged = json!([{"family": id(joins).to_string(), "merged_into": id(of).to_string()}]);
    for (reading, gone) in readings.iter_mut().zip([merged, json!([])]) {
        let frame = reading.next().await.unwrap();
        assert_eq!((&frame.data["families_gone"], names(&frame)), (&gone, ids(&[of])));
    }
}

#[test]
fn what_moved_before_its_partition_told_its_time_waits_for_it() {
    let mut fed = Fed::default();
    fed.replica.hot.moves().set_followed(true);
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 9);
    let mut records = world.records(10 * SECOND);
    let headers = records.split_off(records.len() - usize::from(PARTITIONS));
    fed.feed_all(&records);
    let family = FamilyId(id(1));
    let marked = fed.replica.hot.moves().take();
    assert!(marked.contents.contains(&(id(1), Class::All)));
    let mut told = Told::default();
    let before = moved(&fed.replica, Scope::All, &marked, &told, START);
    assert_eq!((before.families.len(), before.left_out), (0, 1));
    assert_eq!(before.waiting, BTreeSet::from([family]));
    told.waiting = before.waiting;
    fed.feed_all(&headers);
    let after = moved(&fed.replica, Scope::All, &Marked::default(), &told, START);
    assert_eq!((after.families.len(), after.waiting.len()), (1, 0));
    assert_eq!(after.families[0].0, family);
}
