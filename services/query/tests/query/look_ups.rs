//! Goal: look-ups in the shape of HMA find what is announced inside the reader's scope, with velocity and provenance, and nothing else.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tocsin_model::{Algorithm, Class, ContentHash};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reader_finds_what_its_scope_holds() {
    let (_, fed) = announced();
    let bare = ready(fed).await;
    list(&bare, WATCHED, "north", 3).await;
    list(&bare, OF_ALL, "tat-list", 2).await;
    let near = [
        ("party 1", &bare.keys.party_1, vec![(OF_ALL, "0"), (OF_PARTY_1, "5")]),
        (
            "party 2",
            &bare.keys.party_2,
            vec![(OF_ALL, "0"), (OF_COORDINATORS, "10")],
        ),
        (
            "coordinators",
            &bare.keys.coordinators,
            vec![(OF_ALL, "0"), (OF_COORDINATORS, "10")],
        ),
    ];
    for (reader, key, hot) in near {
        let (status, answer) = get(&bare.router, Some(key), &format!("/m/lookup?{}", signal(OF_ALL))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let hot = hot
            .into_iter()
            .map(|(content, distance)| (number(content), distance))
            .collect();
        // That `tat-list` lists the first one is not on the log yet, and what is hot and not watched there is not asked about.
        assert_eq!(
            banks(&answer),
            [("HOT_FAMILIES", hot), ("NORTH", vec![(number(WATCHED), "15")]),],
            "{reader}"
        );
    }
    // A far picture, a file that nobody announced, and what is hot elsewhere.
    for (key, query) in [
        (&bare.keys.party_1, signal(FAR)),
        (
            &bare.keys.party_1,
            format!("signal_type=sha256&signal={}", hash(9).value_text()),
        ),
        (
            &bare.keys.party_1,
            format!("signal_type=video_md5&signal={}", "0f".repeat(16)),
        ),
    ] {
        let (status, answer) = get(&bare.router, Some(key), &format!("/m/lookup?{query}")).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_match_is_told_with_velocity_provenance_and_evidence() {
    let (_, mut fed) = announced();
    let md5 = ContentHash::from_bytes(Algorithm::Md5, vec![0xab; 16], None).unwrap();
    fed.feed_all(&[
        further_hash(1, Class::All, &md5),
        further_hash(1, Class::All, &hash(FAR)),
    ]);
    let bare = ready(fed).await;
    list(&bare, WATCHED, "north", 3).await;
    list(&bare, WATCHED, "south", 1).await;
    let key = Some(&*bare.keys.coordinators);
    let (_, answer) = get(&bare.router, key, &format!("/m/lookup?{}", signal(WATCHED))).await;
    let listed = &answer["NORTH"][0];
    assert_eq!(answer["SOUTH"][0], *listed);
    assert_eq!(
        (&listed["distance"], &listed["bank_content_id"]),
        (&json!("0"), &json!(number(WATCHED)))
    );
    let details = &listed["tocsin"];
    assert_eq!(details["content"], id(WATCHED).to_string());
    assert_eq!(
        details["evidence"],
        json!({"kind": "near", "distance": 0, "hash": "strongest"})
    );
    let sources: Vec<_> = details["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|listing| {
            assert!(listing["listed_at"].is_string());
            (
                listing["source"].as_str().unwrap(),
                listing["severity"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(sources, [("north", 3), ("south", 1)]);
    assert_eq!(details["velocity"], Value::Null, "nothing was seen of it");
    // What is listed is counted exactly from its first sighting on.
    list(&bare, 5, "south", 2).await;
    let (_, answer) = get(
        &bare.router,
        key,
        &format!("/m/lookup?signal_type=sha256&signal={}", hash(5).value_text()),
    )
    .await;
    assert_eq!(answer["HOT_FAMILIES"], answer["SOUTH"]);
    assert_eq!(
        answer["SOUTH"][0]["tocsin"]["velocity"]["spread_5m"],
        json!({"low": 1, "high": 1})
    );
    // A hot file, by each of its hashes.
    for (query, kind, distance, by) in [
        (
            format!("signal_type=sha256&signal={}", hash(1).value_text()),
            "equal",
            "-",
            "strongest",
        ),
        (
            format!(
                "signal_type=video_sha256&signal={}",
                hash(1).value_text().to_uppercase()
            ),
            "equal",
            "-",
            "strongest",
        ),
        (
            format!("signal_type=video_md5&signal=%20{}", md5.value_text()),
            "equal",
            "-",
            "further",
        ),
        (signal(FAR), "near", "0", "further"),
    ] {
        let (_, answer) = get(
            &bare.router,
            key,
            &format!("/m/lookup?{query}&seed=7&bypass_coinflip=true&later=1"),
        )
        .await;
        let found = &answer["HOT_FAMILIES"][0];
        assert_eq!(
            (&found["distance"], &found["bank_content_id"]),
            (&json!(distance), &json!(number(1))),
            "{query}"
        );
        assert_eq!(
            (
                &found["tocsin"]["evidence"]["kind"],
                &found["tocsin"]["evidence"]["hash"]
            ),
            (&json!(kind), &json!(by))
        );
        let velocity = &found["tocsin"]["velocity"];
        assert_eq!(
            (&velocity["state"], &velocity["quarantined"]),
            (&json!("hot"), &Value::Null)
        );
        let hour = &velocity["spread_1h"];
        let (low, high) = (hour["low"].as_u64().unwrap(), hour["high"].as_u64().unwrap());
        assert!(low <= 9 && 9 <= high && low > 0, "{hour}");
        assert_eq!(found["tocsin"]["family"], id(1).to_string());
        assert_eq!(found["tocsin"]["listed"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_or_taken_off_its_list_is_found_no_more() {
    let (mut world, mut fed) = announced();
    fed.feed_all(&[family_record(tocsin_wire::family::key(id(1), Class::All), None)]);
    world.watch(3, WATCHED, None);
    fed.feed_all(&world.records(70_000));
    let bare = ready(fed).await;
    let key = Some(&*bare.keys.party_1);
    let by_hash = format!("/m/lookup?signal_type=sha256&signal={}", hash(1).value_text());
    assert_eq!(get(&bare.router, key, &by_hash).await.1, json!({}));
    // Its announcement stands, but nobody lists it.
    let (_, answer) = get(&bare.router, key, &format!("/m/lookup?{}", signal(WATCHED))).await;
    let numbers: Vec<_> = banks(&answer).into_iter().flat_map(|(_, matches)| matches).collect();
    assert_eq!(numbers, [(number(OF_PARTY_1), "10"), (number(OF_ALL), "15")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_routes_have_the_shapes_of_hma() {
    let (_, fed) = announced();
    let bare = ready(fed).await;
    list(&bare, WATCHED, "tat-list", 3).await;
    let key = Some(&*bare.keys.party_1);
    let ask = async |path: &str| get(&bare.router, key, path).await;
    let raw = format!("/m/raw_lookup?{}", signal(OF_ALL));
    let numbers = [number(OF_ALL), number(OF_PARTY_1), number(WATCHED)];
    assert_eq!(ask(&raw).await.1, json!({"matches": numbers}));
    assert_eq!(
        ask(&format!("{raw}&include_distance=False&banks=")).await.1,
        json!({"matches": numbers})
    );
    let (_, with_distance) = ask(&format!("{raw}&include_distance=True&banks=HOT_FAMILIES")).await;
    let distances: Vec<_> = with_distance["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["distance"])
        .collect();
    assert_eq!(distances, ["0", "5"]);
    assert_eq!(
        ask(&format!("{raw}&banks=TAT_LIST")).await.1,
        json!({"matches": [number(WATCHED)]})
    );
    let (_, one_bank) = ask(&format!("/m/lookup?{}&banks=TAT_LIST", signal(OF_ALL))).await;
    assert_eq!(banks(&one_bank), [("TAT_LIST", vec![(number(WATCHED), "15")])]);
    let pair = |left, right| [hash(left).value_text(), hash(right).value_text()];
    let compared = json!({"pdq": [true, {"distance": 10}], "sha256": [false, {}], "video_md5": [true, {}]});
    let [one, two] = pair(OF_ALL, OF_COORDINATORS);
    let (file, other) = (hash(1).value_text(), hash(2).value_text());
    let md5 = "0f".repeat(16);
    let (_, answer) = ask(&format!(
        "/m/compare?pdq={one},{two}&sha256={file},{other}&video_md5={md5},{md5}"
    ))
    .await;
    assert_eq!(answer, compared);
    let body = json!({"pdq": [one, two], "sha256": [file, other], "video_md5": [md5, md5]});
    assert_eq!(
        post(&bare, "/m/compare", body.to_string()).await,
        (StatusCode::OK, compared)
    );
    let [one, far] = pair(OF_ALL, FAR);
    assert_eq!(ask(&format!("/m/compare?pdq={one},{far}")).await.1["pdq"][0], false);
    let (_, status) = ask("/m/index/status").await;
    assert_eq!(status["pdq"]["size"], 3);
    assert!(status["pdq"]["built_to"].as_i64().unwrap() >= START / 1_000);
    let empty = json!({"built_to": -1, "present": false, "size": 0});
    assert_eq!(
        (&status["video_md5"], &status["vpdq"], &status["sha256"]["size"]),
        (&empty, &empty, &json!(2))
    );
    assert_eq!(
        ask("/m/index/status?signal_type=video_md5").await.1,
        json!({"video_md5": empty})
    );
    let bank = |name: &str| json!({"name": name, "matching_enabled_ratio": 1.0});
    assert_eq!(ask("/c/banks").await.1, json!([bank("HOT_FAMILIES"), bank("TAT_LIST")]));
    assert_eq!(ask("/c/bank/TAT_LIST").await.1, bank("TAT_LIST"));
    let (_, types) = ask("/c/signal_type").await;
    assert_eq!(
        (&types[0], &types[4]),
        (
            &json!({"name": "pdq", "enabled_ratio": 1.0}),
            &json!({"name": "vpdq", "enabled_ratio": 1.0})
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_asked_once_for_all_that_is_found() {
    let mut world = World::default();
    for number in 0..3 {
        world.watch(u64::from(number) + 1, PICTURES + number, Some(2));
    }
    let mut fed = Fed::default();
    fed.feed_all(&world.records(60_000));
    let bare = ready(fed).await;
    list(&bare, PICTURES, "north", 3).await;
    list(&bare, PICTURES + 2, "north", 3).await;
    let ask = async |content| {
        let (_, answer) = get(
            &bare.router,
            Some(&bare.keys.party_1),
            &format!("/m/lookup?{}", signal(content)),
        )
        .await;
        let found = banks(&answer)
            .into_iter()
            .map(|(bank, matches)| (bank.to_owned(), matches.len()));
        let found: Vec<(String, usize)> = found.collect();
        let counted = |name| counted(&bare.registry, name, None) as u64;
        let (asked, remembered) = (
            counted("tocsin_query_listings_asked_total"),
            counted("tocsin_query_listings_remembered_total"),
        );
        (found, asked, remembered)
    };
    let of_north = |count| vec![("NORTH".to_owned(), count)];
    assert_eq!(ask(PICTURES + 1).await, (of_north(2), 3, 0));
    assert_eq!(ask(PICTURES).await, (of_north(2), 3, 3), "within ten seconds");
    // What is listed meanwhile is told of when what is remembered is old.
    list(&bare, PICTURES + 1, "north", 3).await;
    assert_eq!(ask(PICTURES).await, (of_north(2), 3, 6));
}
