//! Goal: a video is found by its frames as families are, inside the reader's scope alone, and by nothing that was taken back.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tocsin_model::{Algorithm, Class, ContentHash, PartyId, ToldBy};
use tocsin_wire::family::{further_hash_key, key as announcement_key};

/// A picture of its own for each number, with so many bits flipped.
fn frame(number: u64, flips: usize) -> [u8; 32] {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut pdq = [0; 32];
    for byte in &mut pdq {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32) as u8;
    }
    (0..flips).for_each(|bit| pdq[bit / 8] ^= 1 << (bit % 8));
    pdq
}

fn frames(numbers: std::ops::Range<u64>) -> Vec<[u8; 32]> {
    numbers.map(|number| frame(number, 0)).collect()
}

/// A signal, as the library of its authors writes it: the first frame as it is, and of the others so many bits flipped.
fn vpdq(numbers: std::ops::Range<u64>, flips: usize) -> String {
    let first = numbers.start;
    let texts = numbers.map(|number| {
        let flips = if number == first { 0 } else { flips };
        let pdq = ContentHash::from_bytes(Algorithm::Pdq, frame(number, flips).to_vec(), None).unwrap();
        format!("{},90,{number}.000", pdq.value_text())
    });
    serde_json::to_string(&texts.collect::<Vec<_>>()).unwrap()
}

fn digest(number: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Vpdq, vec![number; 32], None).unwrap()
}

async fn look_up(bare: &Bare, key: &str, signal: &str) -> Value {
    let signal = signal.replace('"', "%22").replace(' ', "%20");
    let path = format!("/m/lookup?signal_type=vpdq&signal={signal}");
    let (status, answer) = get(&bare.router, Some(key), &path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_found_by_its_frames_and_an_excerpt_or_another_video_is_not() {
    let (_, mut fed) = announced();
    fed.feed_all(&[
        further_frames(1, Class::All, &digest(1), frames(0..20)),
        // A digest that somebody said by itself, later, takes the frames from nobody.
        further_hash(1, Class::All, &digest(1)),
        further_frames(OF_PARTY_1, Class::Party(PartyId(1)), &digest(2), frames(10..30)),
        // Of what is announced of nobody nothing is found.
        further_frames(9, Class::All, &digest(3), frames(0..20)),
    ]);
    let bare = ready(fed).await;
    let (one, two) = (&*bare.keys.party_1, &*bare.keys.party_2);
    for (signal, of_one, of_two) in [
        (vpdq(0..20, 0), vec![(1, "100"), (OF_PARTY_1, "50")], vec![(1, "100")]),
        // One frame as it was finds the video; of the other one all that are shared are 60 bits away.
        (vpdq(0..20, 60), vec![(1, "100")], vec![(1, "100")]),
        (vpdq(0..30, 0), vec![(1, "100"), (OF_PARTY_1, "100")], vec![(1, "100")]),
        (vpdq(0..20, 70), vec![], vec![]),
        (vpdq(0..9, 0), vec![], vec![]),
        (vpdq(100..120, 0), vec![], vec![]),
    ] {
        for (key, expected) in [(one, of_one), (two, of_two)] {
            let answer = look_up(&bare, key, &signal).await;
            let found = banks(&answer).into_iter().flat_map(|(_, found)| found);
            let expected = expected.into_iter().map(|(content, share)| (number(content), share));
            let (mut found, mut expected): (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{signal}");
        }
    }
    let answer = look_up(&bare, two, &vpdq(0..25, 0)).await;
    assert_eq!(
        answer["HOT_FAMILIES"][0]["tocsin"]["evidence"],
        json!({"kind": "frames", "distance": null, "share_of_sought": 80, "share_of_found": 100, "frames_told_by": "unknown", "hash": "further"})
    );
    let (_, status) = get(&bare.router, Some(two), "/m/index/status?signal_type=vpdq").await;
    assert_eq!(
        (&status["vpdq"]["present"], &status["vpdq"]["size"]),
        (&json!(true), &json!(1))
    );
}

/// Whose word a match by frames is: a party by itself may call any video by frames of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_one_party_alone_told_are_told_so() {
    let [one, other] = [1, 2].map(|party| ToldBy::Alone(PartyId(party)));
    let several = ToldBy::Several;
    for (told, expected) in [
        (vec![ToldBy::Unknown], "unknown"),
        (vec![one], "one_party"),
        (vec![one, one, ToldBy::Unknown], "one_party"),
        (vec![ToldBy::Unknown, other], "one_party"),
        (vec![one, other], "several_parties"),
        (vec![several, one], "several_parties"),
    ] {
        let (_, mut fed) = announced();
        let records = told
            .iter()
            .map(|told_by| frames_told_by(*told_by, (1, Class::All), &digest(1), frames(0..20)));
        fed.feed_all(&records.collect::<Vec<_>>());
        let bare = ready(fed).await;
        let answer = look_up(&bare, &bare.keys.party_2, &vpdq(0..20, 0)).await;
        let evidence = &answer["HOT_FAMILIES"][0]["tocsin"]["evidence"];
        assert_eq!(evidence["frames_told_by"], expected, "{told:?}");
    }
    // A hash is not told by frames.
    let (_, fed) = announced();
    let bare = ready(fed).await;
    let (_, answer) = get(
        &bare.router,
        Some(&bare.keys.party_2),
        &format!("/m/lookup?{}", signal(OF_ALL)),
    )
    .await;
    let evidence = &answer["HOT_FAMILIES"][0]["tocsin"]["evidence"];
    assert!(
        evidence.is_object() && evidence.get("frames_told_by").is_none(),
        "{evidence}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_found_no_more_and_the_larger_share_comes_first() {
    let (_, mut fed) = announced();
    fed.feed_all(&[
        further_frames(1, Class::All, &digest(1), frames(0..20)),
        further_frames(5, Class::All, &digest(2), frames(5..25)),
        further_frames(OF_ALL, Class::All, &digest(3), frames(0..20)),
        further_frames(WATCHED, Class::All, &digest(4), frames(0..20)),
        family_record(
            further_hash_key(id(OF_ALL), Class::All, key().content_id(&digest(3))),
            None,
        ),
        family_record(announcement_key(id(WATCHED), Class::All), None),
    ]);
    let bare = ready(fed).await;
    let signal = vpdq(0..20, 0).replace('"', "%22");
    let path = format!("/m/raw_lookup?signal_type=vpdq&include_distance=true&signal={signal}");
    let (_, answer) = get(&bare.router, Some(&*bare.keys.party_2), &path).await;
    let found: Vec<_> = answer["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["bank_content_id"].as_u64().unwrap(), found["distance"].clone()))
        .collect();
    assert_eq!(found, [(number(1), json!("100")), (number(5), json!("75"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_signals_are_compared_by_the_share_of_either() {
    let (_, fed) = announced();
    let bare = ready(fed).await;
    for (other, expected) in [
        (vpdq(0..20, 64), json!([true, {"shares": [100, 100]}])),
        (vpdq(0..9, 0), json!([false, {"shares": [45, 100]}])),
        (vpdq(50..70, 0), json!([false, {"shares": [0, 0]}])),
    ] {
        let body = json!({"vpdq": [vpdq(0..20, 0), other]}).to_string();
        let (status, answer) = post(&bare, "/m/compare", body).await;
        assert_eq!((status, &answer["vpdq"]), (StatusCode::OK, &expected), "{other}");
    }
    let body = json!({"vpdq": [vpdq(0..20, 0), "[]"]}).to_string();
    let (status, answer) = post(&bare, "/m/compare", body).await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::BAD_REQUEST, &json!("unmatchable_signal"))
    );
}
