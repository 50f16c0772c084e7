//! Goal: no byte of an answer to a look-up or a count depends on an event outside the reader's scope.

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::Value;
use tocsin_model::{Class, PartyId, Sharing};

/// What stands in an answer whatever the reader's clock says.
fn without_lag(mut answer: Value) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("lag_ms");
                fields.values_mut().for_each(strip);
            }
            Value::Array(entries) => entries.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut answer);
    answer.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outside_a_scope_change_no_byte_of_its_answers() {
    let mut answers: Vec<Vec<String>> = Vec::new();
    let mut of_party_1 = Vec::new();
    for hidden in [false, true] {
        let mut world = World::default();
        world.see_many(seen(OF_ALL, 1, Sharing::All, 0), 12);
        world.see_many(seen(1, 2, Sharing::All, 1_000), 2);
        world.see_many(seen(OF_COORDINATORS, 2, Sharing::Coordinators, 2_000), 9);
        let mut further = Vec::new();
        if hidden {
            world.see_many(seen(OF_PARTY_1, 1, Sharing::Party, 3_000), 50);
            world.see_many(seen(OF_ALL, 1, Sharing::Party, 3_000), 50);
            world.see_many(seen(1, 1, Sharing::Party, 4_000), 50);
            world.see_many(seen(2, 1, Sharing::Party, 4_000), 50);
            world.link(OF_PARTY_1, OF_ALL, Class::Party(PartyId(1)));
            further.push(further_hash(2, Class::Party(PartyId(1)), &hash(FAR)));
        }
        let mut fed = Fed::default();
        fed.feed_all(&[party(1, "one"), party(2, "two")]);
        fed.feed_all(&world.records(90_000));
        fed.feed_all(&further);
        let bare = ready(fed).await;
        let mut paths: Vec<String> = ["/m/index/status", "/c/banks", "/c/signal_type", "/c/bank/HOT_FAMILIES"]
            .map(str::to_owned)
            .into();
        for content in [OF_ALL, OF_PARTY_1, OF_COORDINATORS, FAR] {
            paths.push(format!("/m/lookup?{}", signal(content)));
            paths.push(format!("/m/raw_lookup?{}&include_distance=true", signal(content)));
            paths.push(format!("/v1/counts?algorithm=pdq&value={}", hash(content).value_text()));
        }
        for content in 1..4 {
            let value = hash(content).value_text();
            paths.push(format!("/m/lookup?signal_type=sha256&signal={value}"));
            paths.push(format!("/m/raw_lookup?signal_type=sha256&signal={value}"));
            paths.push(format!("/v1/counts?algorithm=sha256&value={value}"));
        }
        let mut told = Vec::new();
        for path in &paths {
            for key in [&bare.keys.coordinators, &bare.keys.party_2] {
                let (status, answer) = get(&bare.router, Some(key), path).await;
                assert_eq!(status, StatusCode::OK, "{path} {answer}");
                told.push(format!("{path} {}", without_lag(answer)));
            }
        }
        answers.push(told);
        let (_, own) = get(
            &bare.router,
            Some(&bare.keys.party_1),
            &format!("/m/lookup?{}", signal(OF_PARTY_1)),
        )
        .await;
        of_party_1.push(banks(&own).iter().map(|(_, matches)| matches.len()).sum::<usize>());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(of_party_1, [1, 2], "who sees those events is told");
}
