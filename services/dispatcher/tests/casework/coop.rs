//! Goal: what a person decides in Coop is the team's decision of the family that was reported there, once; what cannot be, leaves the case as it was. What
//! is decided here is closed there.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{Alert, AlertId, AlertLevel, Milliseconds, Scope};
use tocsin_store::{Clock, KeySubject, Role, Roles};
use tocsin_wire::topics;

use crate::bench::{Bench, alert, until};
use crate::carrying::case_until;
use crate::example::START;

const ACTIONS: &str = "/v1/coop/actions";
const ITEMS: &str = "/v1/coop/items";

fn action(family: &Value) -> Value {
    json!({
        "item": {"id": family, "typeId": "item-7"},
        "action": {"id": "remove-everywhere"},
        "policies": [{"id": "p", "name": "Terrorism", "penalty": "HIGH"}],
        "custom": {"tocsin_verdict": "violating", "tocsin_action": "remove"},
        "actorEmail": "moderator@example.org",
        "decisionReason": "footage of the attack",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_coop_decides_the_case_of_the_family_once() {
    let bench = Bench::new().await;
    let config = DispatcherConfig {
        undo_s: 0,
        ..DispatcherConfig::default()
    };
    let running = bench.start_with(config).await;
    bench.ring(&[alert(1, Scope::All, AlertLevel::Raised, 1.0)]);
    let queue = running.queue_of(1, &bench.alpha).await;
    let body = action(&queue[0]["family"]);
    let decided = running.post(ACTIONS, &bench.alpha, body.clone()).await;
    assert_eq!(
        (&decided["id"], &decided["state"]),
        (&queue[0]["id"], &json!("decided"))
    );
    let decision = &decided["decision"];
    assert_eq!(
        (
            &decision["verdict"],
            &decision["recommended_action"],
            &decision["policy"],
            &decision["rationale"]
        ),
        (
            &json!("violating"),
            &json!("remove"),
            &json!("Terrorism"),
            &json!("footage of the attack")
        )
    );
    let again = running.post(ACTIONS, &bench.alpha, body.clone()).await;
    assert_eq!(again["decision"], *decision, "Coop tries again");
    until("a decision on the log", || bench.records(topics::DECISIONS).len() == 1).await;
    let history = running
        .get(
            &format!("/v1/cases/{}/history", decided["id"].as_str().unwrap()),
            &bench.alpha,
        )
        .await;
    assert!(
        !history.to_string().contains("example.org"),
        "who did it stays in Coop: {history}"
    );
    // A new wave brings the case back, and the same action decides it again.
    bench.ring(&[Alert {
        id: AlertId(99),
        episode: 2,
        ..alert(1, Scope::All, AlertLevel::Raised, 1.0)
    }]);
    let path = format!("/v1/cases/{}", decided["id"].as_str().unwrap());
    case_until(&running, &path, &bench.alpha, |case| case["state"] == "open").await;
    let anew = running.post(ACTIONS, &bench.alpha, body.clone()).await;
    assert_eq!(anew["state"], "decided");
    assert_ne!(anew["decision"]["id"], decision["id"]);
    // The coordinators' case of the same family is theirs, and beta, whose platforms did not see it, has none.
    let of_coordinators = running.queue_of(1, &bench.coordinators).await;
    assert_eq!(of_coordinators[0]["state"], "open");
    running
        .refused(Method::POST, ACTIONS, &bench.beta, Some(body), (404, "case_unknown"))
        .await;
    running.stop().await;
    assert_eq!(bench.records(topics::DECISIONS).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_coop_is_closed_once_its_case_is_decided_here() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start_with(DispatcherConfig::default()).await;
    let rings = alert(1, Scope::All, AlertLevel::Raised, 1.0);
    bench.ring(std::slice::from_ref(&rings));
    let queue = running.queue_of(1, &bench.alpha).await;
    let family = queue[0]["family"].clone();
    let asked = json!({"items": [{"id": family, "typeId": "item-7"}, {"id": "post-99", "typeId": "post"}, {"id": "0".repeat(32), "typeId": "item-7"}]});
    let told = running.post(ITEMS, &bench.alpha, asked.clone()).await;
    assert_eq!(
        told["items"].as_array().unwrap().len(),
        1,
        "what is not Tocsin's is left out: {told}"
    );
    let item = &told["items"][0];
    assert_eq!((&item["id"], &item["typeId"]), (&family, &json!("item-7")));
    assert_eq!(
        (&item["data"]["closed"], &item["data"]["level"]),
        (&json!(false), &json!("raised"))
    );
    let is_closed =
        async |key: &str| running.post(ITEMS, key, asked.clone()).await["items"][0]["data"]["closed"].clone();

    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    let held = running.post(&format!("{path}/claim"), &bench.alpha, json!({})).await;
    let ruling = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "the attack"});
    running.post(&format!("{path}/decision"), &bench.alpha, ruling).await;
    assert_eq!(is_closed(&bench.alpha).await, false, "it can still be taken back");
    clock.advance(Milliseconds::from_seconds(5));
    assert_eq!(is_closed(&bench.alpha).await, true);
    // Of another team's decision Coop is told nothing, and a new wave is reported anew.
    assert_eq!(is_closed(&bench.coordinators).await, false);
    assert_eq!(is_closed(&bench.beta).await, Value::Null);
    bench.ring(&[Alert {
        id: AlertId(99),
        episode: 2,
        ..rings
    }]);
    case_until(&running, &path, &bench.alpha, |case| case["state"] == "open").await;
    assert_eq!(is_closed(&bench.alpha).await, false);

    let many = json!({"items": vec![json!({"id": "0", "typeId": "7"}); 101]});
    let refused: [(Value, (u16, &str)); 3] = [
        (many, (422, "too_many_items")),
        (json!({"items": [{"id": "0"}]}), (400, "invalid_body")),
        (json!({}), (400, "invalid_body")),
    ];
    for (body, expected) in refused {
        running
            .refused(Method::POST, ITEMS, &bench.alpha, Some(body), expected)
            .await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_the_case_to_others() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    let queue = running.queue_of(1, &bench.coordinators).await;
    let body = action(&queue[0]["family"]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = body.clone();
        change(&mut body);
        body
    };
    let refused: [(Value, (u16, &str)); 5] = [
        (
            with(&|body| body["actorEmail"] = Value::Null),
            (422, "coop_not_a_person"),
        ),
        (with(&|body| body["custom"] = json!({})), (422, "coop_action_unmapped")),
        (
            with(&|body| body["item"]["id"] = "post-99".into()),
            (404, "case_unknown"),
        ),
        (with(&|body| body["item"] = Value::Null), (400, "invalid_body")),
        (
            with(&|body| body["decisionReason"] = "x".repeat(8_193).into()),
            (422, "rationale_too_long"),
        ),
    ];
    for (body, expected) in refused {
        running
            .refused(Method::POST, ACTIONS, &bench.coordinators, Some(body), expected)
            .await;
    }
    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    let case = running.get(&path, &bench.coordinators).await;
    assert_eq!(case["version"], queue[0]["version"]);
    assert_eq!((&case["state"], &case["decision"]), (&json!("open"), &Value::Null));
    assert_eq!(
        (&case["fencing"], &case["clocks"]["claimed_at"]),
        (&json!(0), &Value::Null),
        "not even for a moment"
    );

    let (_, another) = bench
        .store
        .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Moderator]))
        .await
        .unwrap();
    let claimed = running
        .post(&format!("{path}/claim"), another.expose(), json!({}))
        .await;
    assert_eq!(claimed["state"], "claimed");
    running
        .refused(
            Method::POST,
            ACTIONS,
            &bench.coordinators,
            Some(body),
            (409, "case_claimed"),
        )
        .await;
    running.stop().await;
}
