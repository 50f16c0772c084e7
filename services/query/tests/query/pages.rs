//! Goal: lists are read in pages, each entry once; a cursor opens for the list, the reader and the deployment it was given for.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::Value;
use tocsin_model::{Class, Sharing};

const FAMILIES: u8 = 40;

/// Families of all sizes, one of them with many members.
fn fed() -> Fed {
    let mut world = World::default();
    for content in 1..=FAMILIES {
        let copies = 5 + i64::from(content) % 7;
        world.see_many(seen(content, 1, Sharing::All, 0), copies);
    }
    world.see_many(seen(100, 1, Sharing::Party, 0), 12);
    let founder = (101..120).min_by_key(|content| id(*content)).unwrap();
    for content in 101..120 {
        world.link(content, founder, Class::All);
        world.see_many(seen(content, 1, Sharing::All, 0), 4 + i64::from(content) % 3);
    }
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(60_000));
    fed
}

/// Every page of a list, from its beginning.
async fn pages(bare: &Bare, key: &str, path: &str, field: &str, name: &str) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let (status, answer) = get(&bare.router, Some(key), &format!("{path}{after}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let entries = answer[field].as_array().unwrap().iter();
        pages.push(entries.map(|entry| entry[name].as_str().unwrap().to_owned()).collect());
        match answer["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return pages,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_comes_once_in_the_order_of_the_whole() {
    let bare = ready(fed()).await;
    let member = format!("/v1/families/{}/members", id(110));
    let trending = "/v1/trending?window=24h".to_owned();
    for (path, separator, field, name) in [
        (trending, '&', "families", "family"),
        (member, '?', "members", "content"),
    ] {
        for key in [&bare.keys.party_1, &bare.keys.party_2] {
            let whole = pages(&bare, key, &format!("{path}{separator}limit=100"), field, name).await;
            assert_eq!(whole.len(), 1);
            for limit in [1, 3, 7, 64] {
                let paged = pages(&bare, key, &format!("{path}{separator}limit={limit}"), field, name).await;
                assert!(paged.iter().all(|page| page.len() <= limit));
                assert_eq!(paged.len(), whole[0].len().div_ceil(limit));
                assert_eq!(paged.concat(), whole[0], "{path} {limit}");
            }
        }
    }
    let families =
        async |key: &str| pages(&bare, key, "/v1/trending?window=24h&limit=100", "families", "family").await[0].len();
    let of_all = usize::from(FAMILIES) + 1;
    assert_eq!(families(&bare.keys.party_1).await, of_all + 1, "its own too");
    assert_eq!(families(&bare.keys.party_2).await, of_all);
    let (_, page) = get(
        &bare.router,
        Some(&bare.keys.party_1),
        &format!("/v1/families/{}/members?limit=5", id(110)),
    )
    .await;
    assert_eq!(page["members_left_out"], 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_query_is_refused() {
    let bare = ready(fed()).await;
    let (one, two) = (&bare.keys.party_1, &bare.keys.party_2);
    let next = async |key: &str, path: &str| -> String {
        let (status, answer) = get(&bare.router, Some(key), path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["next"].as_str().unwrap().to_owned()
    };
    let members = |content: u8| format!("/v1/families/{}/members?limit=2", id(content));
    let day = next(one, "/v1/trending?window=24h&limit=2").await;
    let of_members = next(one, &members(110)).await;
    let alerts = next(one, "/v1/alerts").await;
    // It opens where it was given, with another limit too.
    for path in [
        format!("/v1/trending?window=24h&limit=9&after={day}"),
        format!("{}&after={of_members}", members(110)),
        format!("/v1/alerts?since={alerts}"),
    ] {
        assert_eq!(get(&bare.router, Some(one), &path).await.0, StatusCode::OK, "{path}");
    }
    for (key, path) in [
        (two, format!("/v1/trending?window=24h&after={day}")),
        (one, format!("/v1/trending?window=1h&after={day}")),
        (one, format!("/v1/trending?window=24h&after={of_members}")),
        (one, format!("/v1/trending?window=24h&after={alerts}")),
        (one, "/v1/trending?window=24h&after=".to_owned()),
        (one, format!("/v1/trending?window=24h&after={}", "A".repeat(60_000))),
        (one, format!("{}&after={of_members}", members(111))),
        (two, format!("{}&after={of_members}", members(110))),
        (one, format!("{}&after={day}", members(110))),
        (one, format!("/v1/alerts?since={day}")),
        (two, format!("/v1/alerts?since={alerts}")),
    ] {
        let (status, problem) = get(&bare.router, Some(key), &path).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (400, &Value::from("invalid_cursor")),
            "{path}"
        );
    }
}
