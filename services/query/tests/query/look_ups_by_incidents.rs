//! Goal: a live incident is a bank to those who may read it, of what belongs to its families and of what its packs list, also when nothing announces that
//! any more; and it does not exist to anybody else.

use std::time::Duration;

use crate::announced::*;
use crate::api::*;
use crate::incidents::*;
use crate::world::*;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_incident::{Marking, Tlp};
use tocsin_model::{Class, PartyId};
use tocsin_store::{KeySubject, Roles};

/// Pictures of which nobody announces anything: 7 bits of 5 from one another, and far from all others.
const COOLED: u8 = PICTURES + 30;
const BESIDE_COOLED: u8 = PICTURES + 31;
const FAR_FROM_COOLED: u8 = PICTURES + 38;

/// One whose look-ups know of incidents as they are now.
async fn at_once(fed: Fed) -> Bare {
    let bare = Bare::knowing_incidents_for(fed.replica, Duration::ZERO).await;
    bare.state.set_ready();
    bare
}

async fn look(bare: &Bare, key: &str, query: &str) -> Value {
    let (status, answer) = get(&bare.router, Some(key), &format!("/m/lookup?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// The contents that the bank of an incident has of a look-up, and why they stand in it.
fn standing(answer: &Value, incident: u128) -> Vec<(u64, &str, &Value)> {
    let matches = answer[bank(incident)].as_array().into_iter().flatten();
    let told = matches.map(|found| {
        let incidents = found["tocsin"]["incidents"].as_array().unwrap().iter();
        let mut of_bank = incidents.filter(|told| told["bank"] == bank(incident));
        let number = found["bank_content_id"].as_u64().unwrap();
        (
            number,
            found["distance"].as_str().unwrap(),
            &of_bank.next().unwrap()["by"],
        )
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_incident_is_a_bank_of_its_families_to_those_who_read_it() {
    let (_, fed) = announced();
    let bare = at_once(fed).await;
    let coordinator = Coordinator::of(&bare.store).await;
    let keys = [&*bare.keys.coordinators, &*bare.keys.party_1, &*bare.keys.party_2];
    let told = async || {
        let mut told = Vec::new();
        for key in keys {
            let (_, banks) = get(&bare.router, Some(key), "/c/banks").await;
            let is_told = banks.as_array().unwrap().iter().any(|told| told["name"] == bank(7));
            let answer = look(&bare, key, &signal(OF_ALL)).await;
            assert_eq!(answer.get(bank(7)).is_some(), is_told, "{answer}");
            let asked = format!("/m/lookup?{}&banks={}", signal(OF_ALL), bank(7));
            let (status, only) = get(&bare.router, Some(key), &asked).await;
            let (of_bank, one) = get(&bare.router, Some(key), &format!("/c/bank/{}", bank(7))).await;
            match is_told {
                true => {
                    let family = json!(["family"]);
                    assert_eq!(standing(&answer, 7), [(number(OF_ALL), "0", &family)]);
                    assert_eq!((status, only.as_object().unwrap().len()), (StatusCode::OK, 1));
                    assert_eq!(standing(&only, 7).len(), 1);
                    assert_eq!(one, json!({"name": bank(7), "matching_enabled_ratio": 1.0}));
                }
                // As of one that nobody ever declared.
                false => {
                    let none = asked.replace(&bank(7), &bank(8));
                    let (none_status, none) = get(&bare.router, Some(key), &none).await;
                    assert_eq!((status, none_status, of_bank), [StatusCode::NOT_FOUND; 3].into());
                    assert_eq!(only.to_string(), none.to_string().replace(&bank(8), &bank(7)));
                    assert_eq!(
                        (&only["code"], &one["code"]),
                        (&json!("unknown_bank"), &json!("unknown_bank"))
                    );
                }
            }
            told.push(is_told);
        }
        told
    };
    coordinator.declare(7, Marking::of(Tlp::Amber), &[OF_ALL]).await;
    assert_eq!(told().await, [false; 3], "declared, and not activated");
    coordinator.activate(7).await;
    assert_eq!(told().await, [true, false, false]);
    coordinator.invite(7, 1).await;
    assert_eq!(told().await, [true, true, false]);
    coordinator.conclude(7).await;
    assert_eq!(told().await, [false; 3], "it is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pack_lists_is_found_when_nothing_announces_it_any_more() {
    let (_, fed) = announced();
    let bare = at_once(fed).await;
    let coordinator = Coordinator::of(&bare.store).await;
    coordinator.activated(7, Marking::of(Tlp::Amber), &[OF_ALL]).await;
    coordinator.invite(7, 1).await;
    let hashes = [
        packed(OF_ALL, true),
        packed(COOLED, true),
        packed(BESIDE_COOLED, false),
        packed(9, true),
    ];
    coordinator.give_out(7, &hashes).await;
    let (coordinators, party_1) = (&*bare.keys.coordinators, &*bare.keys.party_1);
    let (by_pack, by_both) = (json!(["pack"]), json!(["family", "pack"]));

    // What everyone may see, within 31 bits; what is the coordinators' is theirs.
    let answer = look(&bare, party_1, &signal(COOLED)).await;
    assert_eq!(banks(&answer), [(&*bank(7), vec![(number(COOLED), "0")])]);
    assert_eq!(standing(&answer, 7), [(number(COOLED), "0", &by_pack)]);
    let evidence = &answer[bank(7)][0]["tocsin"]["evidence"];
    assert_eq!(evidence, &json!({"kind": "near", "distance": 0, "hash": "incident"}));
    let answer = look(&bare, party_1, &signal(BESIDE_COOLED)).await;
    assert_eq!(standing(&answer, 7), [(number(COOLED), "5", &by_pack)]);
    let answer = look(&bare, coordinators, &signal(BESIDE_COOLED)).await;
    let theirs = [(number(BESIDE_COOLED), "0", &by_pack), (number(COOLED), "5", &by_pack)];
    assert_eq!(standing(&answer, 7), theirs);
    assert_eq!(
        look(&bare, coordinators, &signal(FAR_FROM_COOLED)).await,
        json!({}),
        "35 bits away"
    );

    // A file by its hash, and what is hot too.
    let answer = look(
        &bare,
        party_1,
        &format!("signal_type=sha256&signal={}", hash(9).value_text()),
    )
    .await;
    assert_eq!(standing(&answer, 7), [(number(9), "-", &by_pack)]);
    assert_eq!(
        answer[bank(7)][0]["tocsin"]["evidence"],
        json!({"kind": "equal", "distance": null, "hash": "incident"})
    );
    let answer = look(&bare, party_1, &signal(OF_ALL)).await;
    assert_eq!(standing(&answer, 7), [(number(OF_ALL), "0", &by_both)]);
    assert_eq!(answer["HOT_FAMILIES"][0], answer[bank(7)][0]);
    let raw = format!("/m/raw_lookup?{}&banks={}", signal(COOLED), bank(7));
    let (_, raw) = get(&bare.router, Some(party_1), &raw).await;
    assert_eq!(raw, json!({"matches": [number(COOLED)]}));

    // Party 2 does not read the incident.
    assert_eq!(look(&bare, &bare.keys.party_2, &signal(COOLED)).await, json!({}));

    // A withdrawn pack lists nothing, a later one what it has.
    coordinator.give_out(7, &hashes[3..]).await;
    coordinator.withdraw(7, 1).await;
    assert_eq!(look(&bare, coordinators, &signal(COOLED)).await, json!({}));
    let answer = look(
        &bare,
        coordinators,
        &format!("signal_type=sha256&signal={}", hash(9).value_text()),
    )
    .await;
    assert_eq!(standing(&answer, 7).len(), 1);
    let answer = look(&bare, party_1, &signal(OF_ALL)).await;
    assert_eq!(standing(&answer, 7), [(number(OF_ALL), "0", &json!(["family"]))]);
    coordinator.conclude(7).await;
    assert_eq!(
        look(
            &bare,
            coordinators,
            &format!("signal_type=sha256&signal={}", hash(9).value_text())
        )
        .await,
        json!({})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_that_joined_another_stands_in_the_incident_with_it() {
    let mut world = World::default();
    let mut contents = [1, 2, 3];
    // The lowest id stays what a family is called by.
    contents.sort_by_key(|content| id(*content));
    let [first, second, third] = contents;
    for content in contents {
        world.see_many(seen(content, 1, tocsin_model::Sharing::All, 0), 9);
    }
    world.link(second, first, Class::All);
    // To party 2 alone the third belongs to the first.
    world.see_many(seen(third, 2, tocsin_model::Sharing::Party, 20_000), 9);
    world.link(third, first, Class::Party(PartyId(2)));
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(60_000));
    let bare = at_once(fed).await;
    let coordinator = Coordinator::of(&bare.store).await;
    coordinator.activated(7, Marking::of(Tlp::Green), &[second]).await;
    let by_family = json!(["family"]);
    for (key, content, expected) in [
        (&bare.keys.party_1, second, true),
        (&bare.keys.party_1, first, true),
        (&bare.keys.party_1, third, false),
        (&bare.keys.party_2, third, true),
    ] {
        let query = format!("signal_type=sha256&signal={}", hash(content).value_text());
        let answer = look(&bare, key, &query).await;
        let expected = expected.then_some((number(content), "-", &by_family));
        assert_eq!(
            standing(&answer, 7),
            expected.into_iter().collect::<Vec<_>>(),
            "{content} {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marking_says_who_finds_an_incident() {
    let (_, fed) = announced();
    let bare = at_once(fed).await;
    let coordinator = Coordinator::of(&bare.store).await;
    let group = "inner".parse().unwrap();
    bare.store.add_sharing_group(&group).await.unwrap();
    let party_2 = Team::Party(PartyId(2));
    bare.store
        .set_sharing_group_member(&group, party_2, true)
        .await
        .unwrap();
    bare.store
        .set_sharing_group_member(&group, Team::Coordinators, true)
        .await
        .unwrap();
    let of_group = Marking {
        group: Some(group.clone()),
        ..Marking::of(Tlp::Amber)
    };
    coordinator.activated(1, Marking::of(Tlp::Green), &[OF_ALL]).await;
    coordinator.activated(2, Marking::of(Tlp::Amber), &[OF_ALL]).await;
    coordinator.activated(3, of_group, &[OF_ALL]).await;
    coordinator.activated(4, Marking::of(Tlp::AmberStrict), &[OF_ALL]).await;
    coordinator.invite(4, 1).await;
    coordinator.activated(5, Marking::of(Tlp::Clear), &[OF_ALL]).await;
    let read = async |key: &str| {
        let answer = look(&bare, key, &signal(OF_ALL)).await;
        let stands = |incident: &u128| !standing(&answer, *incident).is_empty();
        (1..6).filter(stands).collect::<Vec<u128>>()
    };
    assert_eq!(read(&bare.keys.coordinators).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(&bare.keys.party_1).await, [1, 4, 5]);
    assert_eq!(read(&bare.keys.party_2).await, [1, 3, 5]);
    let (_, operator) = bare.store.issue_key(KeySubject::Operator, Roles::all()).await.unwrap();
    assert_eq!(
        read(operator.expose()).await,
        [5],
        "those who run the deployment take part in nothing"
    );
    bare.store
        .set_sharing_group_member(&group, party_2, false)
        .await
        .unwrap();
    assert_eq!(read(&bare.keys.party_2).await, [1, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_of_incidents_is_used_for_its_age() {
    let (_, fed) = announced();
    let bare = Bare::knowing_incidents_for(fed.replica, Duration::from_secs(3_600)).await;
    bare.state.set_ready();
    let coordinator = Coordinator::of(&bare.store).await;
    coordinator.activated(1, Marking::of(Tlp::Green), &[OF_ALL]).await;
    coordinator.give_out(1, &[packed(COOLED, true)]).await;
    let key = &*bare.keys.party_1;
    assert_eq!(standing(&look(&bare, key, &signal(OF_ALL)).await, 1).len(), 1);
    coordinator.activated(2, Marking::of(Tlp::Green), &[OF_ALL]).await;
    coordinator.conclude(1).await;
    let answer = look(&bare, key, &signal(OF_ALL)).await;
    assert_eq!((standing(&answer, 1).len(), standing(&answer, 2).len()), (1, 0));
    let gauge = |name: &str| {
        let families = bare.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_gauge().get_value()
    };
    let figures = [
        "tocsin_query_incidents",
        "tocsin_query_incident_hashes",
        "tocsin_query_incident_hashes_left_out",
    ];
    assert_eq!(figures.map(gauge), [1.0, 1.0, 0.0]);
}

/// What is known when a process begins is what the store says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_begins_anew_answers_from_the_incidents_there_are() {
    let api = Api::start(&crisis()).await;
    let coordinator = Coordinator::of(&api.store).await;
    coordinator.activated(7, Marking::of(Tlp::Green), &[1]).await;
    coordinator.give_out(7, &[packed(COOLED, true)]).await;
    let (status, answer) = api
        .get(&api.keys.party_2, &format!("/m/lookup?{}", signal(COOLED)))
        .await;
    assert_eq!((status, standing(&answer, 7).len()), (StatusCode::OK, 1), "{answer}");
    api.stop().await;
}

/// Whoever asks gives up long before the store has answered: it is known afterwards all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_look_up_began_to_ask_is_known_though_it_timed_out() {
    let (_, fed) = announced();
    let bare = Bare::hurried(fed.replica, Duration::ZERO).await;
    bare.state.set_ready();
    let coordinator = Coordinator::of(&bare.store).await;
    coordinator.activated(1, Marking::of(Tlp::Green), &[OF_ALL]).await;
    coordinator.give_out(1, &[packed(COOLED, true)]).await;
    let hashes_known = || {
        let families = bare.registry.gather();
        let of_packs = families
            .iter()
            .find(|family| family.name() == "tocsin_query_incident_hashes");
        of_packs.unwrap().get_metric()[0].get_gauge().get_value()
    };
    let looked = async {
        while hashes_known() < 1.0 {
            get(
                &bare.router,
                Some(&bare.keys.party_1),
                &format!("/m/lookup?{}", signal(COOLED)),
            )
            .await;
        }
    };
    tokio::time::timeout(WAIT_MAX, looked).await.unwrap();
}
