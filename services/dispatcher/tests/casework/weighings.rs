//! Goal: a family that is overturned because of some evidence is told to every partition once, whoever starts again, and moves the queue of the team
//! that overturned it, and no other.

use serde_json::json;
use tocsin_model::{Alert, AlertLevel, EvidenceKind, FamilyId, Scope, Weighing};
use tocsin_store::{KeySubject, Role};
use tocsin_wire::{SightingsRecord, TickTime, topics};

use crate::appeals::{appeal, key};
use crate::bench::{Bench, Running, alert, name, until};
use crate::example::START;
use crate::ranking::{live_priority, spreading_labelled};

fn told(bench: &Bench) -> Vec<(u32, Weighing)> {
    let controls = bench.controls().into_iter();
    let weighing = |(partition, told)| match told {
        SightingsRecord::Weighing(told) => Some((partition, told)),
        _ => None,
    };
    controls.filter_map(weighing).collect()
}

/// The live priority of the one case of a queue, once it follows the figures.
async fn priority(running: &Running, path: &str, key: &str) -> f64 {
    live_priority(running, path, key, |priority| priority > 20.0).await;
    running.get(path, key).await["live_priority"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overturned_family_is_told_once_across_restarts_and_moves_its_teams_queue_alone() {
    let bench = Bench::new().await;
    let tick = SightingsRecord::Tick(TickTime::At(START)).encode();
    bench.append(topics::SIGHTINGS, &[tick]);
    let (content, state_key, value, _) = spreading_labelled(9, 200, 90);
    let crisis = Alert {
        family: FamilyId(content),
        ..alert(1, Scope::All, AlertLevel::Raised, 1.0)
    };
    bench.append_under(topics::STATE, &[(Some(state_key.to_bytes()), value)]);
    let running = bench.start().await;
    bench.ring(&[crisis]);
    let path = async |running: &Running, key: &str| {
        let queue = running.queue_of(1, key).await;
        format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap())
    };
    let (own, others) = (
        path(&running, &bench.alpha).await,
        path(&running, &bench.coordinators).await,
    );
    let before = priority(&running, &own, &bench.alpha).await;
    assert_eq!(priority(&running, &others, &bench.coordinators).await, before);

    // An upload that labels alone had refused: nobody decided about it.
    let alpha = KeySubject::Party(bench.store.party_named(&name("alpha")).await.unwrap().id);
    let reviewer = key(&bench.store, alpha, Role::Moderator).await;
    let filed = running.post("/v1/appeals", &bench.alpha, appeal("A-1", None)).await;
    let appeal = format!("/v1/appeals/{}", filed["id"].as_str().unwrap());
    running.post(&format!("{appeal}/claim"), &reviewer, json!({})).await;
    let answer = json!({
        "fencing": 1, "outcome": "overturned", "concerns": "family", "cause": "label", "note": "a news report",
    });
    running.post(&format!("{appeal}/answer"), &reviewer, answer).await;
    until("every partition is told", || told(&bench).len() == 4).await;
    for (place, (partition, told)) in told(&bench).into_iter().enumerate() {
        assert_eq!((partition, told.number, told.at), (place as u32, 1, START));
        let [count] = told.counts[..] else { panic!("{told:?}") };
        assert_eq!((count.kind, count.stood, count.overturned), (EvidenceKind::Label, 0, 1));
        assert_eq!(KeySubject::Party(party(told.scope)), alpha);
    }
    running
        .metric("tocsin_dispatcher_weighings_published_total", |count| count == 1.0)
        .await;
    running.stop().await;

    // Another start says nothing again, and ranks by it from the beginning.
    let running = bench.start().await;
    live_priority(&running, &own, &bench.alpha, |priority| {
        priority > 20.0 && priority < 0.95 * before
    })
    .await;
    assert_eq!(priority(&running, &others, &bench.coordinators).await, before);
    running
        .metric("tocsin_dispatcher_pages_per_day_target", |value| value > 0.0)
        .await;
    assert_eq!(told(&bench).len(), 4);
    running.stop().await;
}

fn party(scope: Scope) -> tocsin_model::PartyId {
    match scope {
        Scope::Party(party) => party,
        other => panic!("{other:?} is no party's"),
    }
}
