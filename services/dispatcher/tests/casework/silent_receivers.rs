//! Goal: a receiver that says that all is well and does nothing hides nothing: what it did not do is listed, reminded of and escalated.

use serde_json::{Value, json};
use tocsin_casework::{ESCALATE_AFTER, REMIND_AFTER, Team};
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{Kind, Milliseconds};
use tocsin_store::Clock;

use crate::acknowledgements::{ALPHA, Spreading, until};
use crate::bench::{self, Bench};
use crate::deliveries::{loopback, webhook};
use crate::example::START;
use crate::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_answers_200_and_does_nothing_leaves_the_removal_unconfirmed() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let bench = Bench::with_clock(clock.clone()).await;
    let receiver = Receiver::start().await;
    receiver.answer(200, Vec::new());
    bench
        .add(&webhook("of-alpha", Team::Party(ALPHA.0), &receiver.url))
        .await;
    let config = DispatcherConfig {
        undo_s: 0,
        ..loopback()
    };
    let running = bench.start_with(config).await;
    let mut crisis = Spreading::new(8);
    crisis.hear(ALPHA, Kind::Upload, 40);
    bench.ring(&[crisis.rings()]);
    let alpha = bench.alpha.as_str();
    let queue = running.queue_of(1, alpha).await;
    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    crisis.tell(&bench);
    let held = running.post(&format!("{path}/claim"), alpha, json!({})).await;
    let remove =
        json!({"fencing": held["fencing"], "verdict": "violating", "recommended_action": "remove", "rationale": "why"});
    running.post(&format!("{path}/decision"), alpha, remove).await;
    let told = |kind: &str| {
        let came = receiver
            .came()
            .into_iter()
            .filter(|came| came.header("ce-type") == kind);
        came.map(|came| came.json()).collect::<Vec<Value>>()
    };
    bench::until("the receiver is told of the decision", || {
        !told("tocsin.decision.members").is_empty()
    })
    .await;

    // It took it, well. Nothing was removed.
    let waiting = until(&running, &path, alpha, |case| {
        case["acknowledgement"]["unconfirmed"] == 1
    })
    .await;
    let is_listed = async || {
        let listed = running.get("/v1/unconfirmed", alpha).await;
        let decisions = listed["decisions"].as_array().unwrap();
        decisions.iter().any(|decision| decision["case"] == waiting["id"])
    };
    assert!(is_listed().await);
    clock.advance(REMIND_AFTER[0]);
    bench::until("the receiver is reminded", || {
        told("tocsin.decision.unconfirmed").len() == 1
    })
    .await;
    clock.advance(ESCALATE_AFTER);
    bench::until("it is escalated", || {
        told("tocsin.decision.unconfirmed")
            .iter()
            .any(|told| told["escalated"] == true)
    })
    .await;
    let case = running.get(&path, alpha).await;
    assert_eq!(
        (
            &case["acknowledgement"]["unconfirmed"],
            &case["acknowledgement"]["escalated"]
        ),
        (&json!(1), &json!(true))
    );
    assert!(is_listed().await);
    let history = running.get(&format!("{path}/history"), alpha).await;
    let steps: Vec<&str> = history["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["kind"].as_str())
        .collect();
    for kind in ["unconfirmed_reminded", "unconfirmed_escalated"] {
        assert!(steps.contains(&kind), "{steps:?}");
    }
    assert!(!steps.contains(&"removal_confirmed"));
    let listed = running.get(&format!("{path}/clocks"), alpha).await;
    let on = listed["platforms"].as_array().unwrap().iter();
    let confirmed: Vec<&Value> = on.map(|on| &on["confirmed"]).collect();
    assert!(confirmed.iter().all(|at| at.is_null()), "{listed}");

    // The platform does it at last, and says so with its events.
    crisis.hear(ALPHA, Kind::Removal, 40);
    crisis.tell(&bench);
    until(&running, &path, alpha, |case| {
        case["acknowledgement"]["unconfirmed"] == 0
    })
    .await;
    assert!(!is_listed().await);
    running.stop().await;
}
