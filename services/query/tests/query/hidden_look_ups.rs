//! Goal: no byte of an answer to a look-up or a count depends on an event outside the reader's scope, or on an incident that the reader may not read.

use crate::announced::*;
use crate::api::*;
use crate::incidents::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::Value;
use tocsin_incident::{Marking, Tlp};
use tocsin_model::{Class, PartyId, Sharing};
use tocsin_store::{KeySubject, Roles};

/// What stands in an answer whatever the clocks of the reader and of the store say.
fn without_lag(mut answer: Value) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("lag_ms");
                fields.remove("listed_at");
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

/// Incidents that a reader may not read, of families, hashes and packs in any place before and behind those of one that the reader may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_of_others_changes_no_byte() {
    let mut answers: Vec<Vec<String>> = Vec::new();
    let mut of_party_1 = Vec::new();
    for hidden in [false, true] {
        let (_, fed) = announced();
        let bare = Bare::knowing_incidents_for(fed.replica, std::time::Duration::ZERO).await;
        bare.state.set_ready();
        list(&bare, WATCHED, "north", 3).await;
        let coordinator = Coordinator::of(&bare.store).await;
        let theirs = Marking::of(Tlp::Amber);
        let contents: Vec<u8> = (PICTURES..PICTURES + 50).chain(1..9).collect();
        let all: Vec<_> = contents.iter().map(|content| packed(*content, true)).collect();
        if hidden {
            coordinator
                .activated(1, theirs.clone(), &[OF_ALL, OF_COORDINATORS, WATCHED, 1])
                .await;
            coordinator.invite(1, 1).await;
            coordinator.give_out(1, &all).await;
        }
        coordinator.activated(2, Marking::of(Tlp::Green), &[OF_ALL]).await;
        coordinator.give_out(2, &all[30..33]).await;
        if hidden {
            coordinator.activated(3, theirs, &[OF_ALL, FAR]).await;
            coordinator.invite(3, 1).await;
            coordinator.give_out(3, &all).await;
        }
        // What packs list for coordinators alone is in no byte of a party's either.
        let of_coordinators: Vec<_> = contents.iter().map(|content| packed(*content, false)).collect();
        if hidden {
            coordinator.give_out(2, &of_coordinators).await;
        }
        let mut paths: Vec<String> = ["/m/index/status", "/c/banks", "/c/bank/HOT_FAMILIES"]
            .map(str::to_owned)
            .into();
        paths.extend([1, 2, 3].map(|incident| format!("/c/bank/{}", bank(incident))));
        for content in &contents {
            let algorithm = hash(*content).algorithm().name();
            let signal = format!("signal_type={algorithm}&signal={}", hash(*content).value_text());
            paths.push(format!("/m/lookup?{signal}"));
            paths.push(format!("/m/lookup?{signal}&banks={}", bank(1)));
            paths.push(format!("/m/lookup?{signal}&banks={}", bank(2)));
            paths.push(format!("/m/raw_lookup?{signal}&include_distance=true"));
        }
        let (_, operator) = bare.store.issue_key(KeySubject::Operator, Roles::all()).await.unwrap();
        let mut told = Vec::new();
        for path in &paths {
            for key in [&*bare.keys.party_2, operator.expose()] {
                let (status, answer) = get(&bare.router, Some(key), path).await;
                told.push(format!("{path} {status} {}", without_lag(answer)));
            }
        }
        let of_visible = format!("\"{}\"", bank(2));
        assert!(
            told.iter().any(|told| told.contains(&of_visible)),
            "there is something to see"
        );
        answers.push(told);
        let (_, own) = get(&bare.router, Some(&bare.keys.party_1), "/c/banks").await;
        of_party_1.push(own.as_array().unwrap().len());
    }
    for (without, with) in answers[0].iter().zip(&answers[1]) {
        assert_eq!(without, with);
    }
    assert_eq!(of_party_1, [3, 5], "who reads those incidents is told");
}
