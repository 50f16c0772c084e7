//! Goal: over HTTP, a family says what is live in it, to each reader as far as its scope goes.

use crate::api::*;
use crate::world::*;
use serde_json::json;
use tocsin_model::{Class, Kind, Sharing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_part_of_a_family_is_told_inside_its_scope() {
    let mut world = World::default();
    let live = |content, sharing, kind, at, audience| Seen {
        kind,
        audience,
        ..seen(content, 1, sharing, at)
    };
    world.see(live(1, Sharing::All, Kind::LiveStart, 0, 0));
    world.see(live(1, Sharing::All, Kind::LiveHeartbeat, 60_000, 120));
    world.see(live(1, Sharing::All, Kind::LiveHeartbeat, 120_000, 80));
    // Copies by another content join it.
    let copy = (10..).find(|content| id(*content) > id(1)).unwrap();
    world.link(copy, 1, Class::All);
    world.see_many(seen(copy, 2, Sharing::All, 60_000), 9);
    // What a party keeps to itself: more viewers of the same stream, and a stream of its own.
    world.see(live(1, Sharing::Party, Kind::LiveHeartbeat, 125_000, 5_000));
    world.see(live(3, Sharing::Party, Kind::LiveStart, 60_000, 0));
    world.see(live(3, Sharing::Party, Kind::LiveEnd, 130_000, 0));
    let mut made = vec![party(1, "one"), party(2, "two")];
    made.extend(world.records(150_000));
    let api = Api::start(&made).await;
    let (one, two, coordinators) = (&api.keys.party_1, &api.keys.party_2, &api.keys.coordinators);
    let family = async |key: &str, content| api.get(key, &format!("/v1/families/{}", id(content))).await;
    for key in [two, coordinators] {
        for content in [1, copy] {
            let (_, answer) = family(key, content).await;
            assert_eq!(
                answer["live"],
                json!({
                    "state": "running", "streams": 1, "running": 1, "started_at": "2023-11-14T22:00:00.000Z",
                    "ended_at": null, "viewers": 80, "peak_viewers": 120, "viewer_minutes": 200, "score": -6.0, "threshold": 4.2
                })
            );
            assert_eq!(
                (&answer["members"], &answer["windows"][0]["exact"]),
                (&json!(2), &json!(9))
            );
        }
        assert_eq!(family(key, 3).await.0, 404);
    }
    let (_, answer) = family(one, 1).await;
    assert_eq!(
        (&answer["live"]["viewers"], &answer["live"]["streams"]),
        (&json!(5_000), &json!(1))
    );
    let (_, ended) = family(one, 3).await;
    assert_eq!(
        (&ended["live"]["state"], &ended["live"]["running"]),
        (&json!("ended"), &json!(0))
    );
    assert_eq!(ended["live"]["ended_at"], "2023-11-14T22:02:10.000Z");
    api.stop().await;
}
