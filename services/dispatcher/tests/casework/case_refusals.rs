//! Goal: whoever comes too late, twice or without the right to it is told what happened by its stable code, and nothing is half done.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{Alert, AlertId, AlertLevel, Milliseconds, Scope};
use tocsin_store::{Clock, KeySubject, Role, Roles};
use tocsin_wire::topics;

use crate::acknowledgements::until;
use crate::bench::{Bench, Running, alert};
use crate::example::START;

/// A bench timed by a clock of its own, with one case of the coordinators, held, and the body of a decision about it.
async fn holding(undo_s: u32) -> (Clock, Bench, Running, String, Value) {
    let clock = Clock::standing_at(START);
    let bench = Bench::with_clock(clock.clone()).await;
    let config = DispatcherConfig {
        undo_s,
        ..DispatcherConfig::default()
    };
    let running = bench.start_with(config).await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 10.0)]);
    running.queue_of(1, &bench.coordinators).await;
    let claimed = running
        .post("/v1/queue/claim", &bench.coordinators, json!({"lease_s": 60}))
        .await;
    let case = &claimed["case"];
    let path = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    let decision = json!({"fencing": case["fencing"], "verdict": "violating", "rationale": "the known attack"});
    (clock, bench, running, path, decision)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_closed_meanwhile_says_so_to_whoever_decides_it() {
    let (clock, bench, running, path, decision) = holding(0).await;
    let key = bench.coordinators.as_str();
    let decide = format!("{path}/decision");
    // A live lease keeps it open; over, nothing does.
    clock.advance(Milliseconds::from_seconds(61));
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Subsided, 1.0)]);
    let closed = until(&running, &path, key, |case| case["state"] == "closed").await;
    let closed_for = [
        (decide.clone(), decision.clone()),
        (format!("{path}/renew"), json!({"fencing": closed["fencing"]})),
        (format!("{path}/release"), json!({"fencing": closed["fencing"]})),
        (format!("{path}/claim"), json!({})),
    ];
    for (path, body) in closed_for {
        let refused = (409, "case_closed");
        running.refused(Method::POST, &path, key, Some(body), refused).await;
    }
    // Under a number that never was, and by the version from before it closed.
    let never = json!({"fencing": 99, "verdict": "violating"});
    let refused = (409, "case_closed");
    running.refused(Method::POST, &decide, key, Some(never), refused).await;
    let before = running
        .client
        .post(format!("{}{decide}", running.address))
        .bearer_auth(key);
    let before = before.header("if-match", "\"1\"").json(&decision).send().await.unwrap();
    assert_eq!(before.status(), 409);
    let problem: Value = before.json().await.unwrap();
    assert_eq!(problem["code"], "case_closed");
    assert_eq!(running.get(&path, key).await["decision"], Value::Null);

    // A new alert opens it, and it is decided under a new lease.
    let again = Alert {
        id: AlertId(99),
        episode: 2,
        ..alert(1, Scope::Coordinators, AlertLevel::Raised, 10.0)
    };
    bench.ring(&[again]);
    until(&running, &path, key, |case| case["state"] == "open").await;
    let refused = (409, "lease_expired");
    running
        .refused(Method::POST, &decide, key, Some(decision), refused)
        .await;
    running.stop().await;
    assert!(bench.records(topics::DECISIONS).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_late_is_refused_by_its_code() {
    let (clock, bench, running, path, decision) = holding(5).await;
    let key = bench.coordinators.as_str();
    let decide = format!("{path}/decision");
    let send = async |path: &str, body: &Value, code: (u16, &str)| {
        let body = Some(body.clone());
        running.refused(Method::POST, path, key, body, code).await;
    };
    // Another version than that which is.
    let version = running.get(&path, key).await["version"].as_u64().unwrap();
    let stale = running
        .client
        .post(format!("{}{decide}", running.address))
        .bearer_auth(key);
    let tag = format!("\"{}\"", version + 1);
    let stale = stale.header("if-match", tag).json(&decision).send().await.unwrap();
    assert_eq!(stale.status(), 412);
    let problem: Value = stale.json().await.unwrap();
    assert_eq!(problem["code"], "version_stale");

    // The lease is over.
    clock.advance(Milliseconds::from_seconds(60));
    send(&decide, &decision, (409, "lease_expired")).await;
    let renew = json!({"fencing": decision["fencing"]});
    send(&format!("{path}/renew"), &renew, (409, "lease_expired")).await;
    assert_eq!(running.get(&path, key).await["state"], "open");

    // Decided, it is nobody's until the decision can no longer be taken back; then it is out.
    let held = running.post(&format!("{path}/claim"), key, json!({})).await;
    let decision = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "the known attack"});
    let decided = running.post(&decide, key, decision).await;
    send(&format!("{path}/claim"), &json!({}), (409, "decision_held")).await;
    clock.advance(Milliseconds::from_seconds(5));
    let withdraw = json!({"decision": decided["decision"]["id"]});
    send(&format!("{path}/withdraw"), &withdraw, (409, "decision_final")).await;
    let stands = running.get(&path, key).await;
    assert_eq!(stands["decision"]["id"], decided["decision"]["id"]);
    let again = running.post(&format!("{path}/claim"), key, json!({})).await;
    assert_eq!(again["state"], "claimed", "it may be decided anew");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_decisions_at_once_one_is_made() {
    let (_, bench, running, path, _) = holding(0).await;
    let key = bench.coordinators.as_str();
    let decide = format!("{path}/decision");
    for round in 0..8 {
        let fencing = running.get(&path, key).await["fencing"].clone();
        let send = |verdict: &str| {
            let body = json!({"fencing": fencing, "verdict": verdict, "rationale": "at once"});
            running.send(Method::POST, &decide, key, Some(body))
        };
        let (one, two) = tokio::join!(send("violating"), send("newsworthy"));
        let made: Vec<&Value> = [&one, &two]
            .into_iter()
            .filter(|(status, _)| *status == StatusCode::OK)
            .map(|(_, body)| body)
            .collect();
        let refused: Vec<&Value> = [&one, &two]
            .into_iter()
            .filter(|(status, _)| *status == StatusCode::CONFLICT)
            .map(|(_, body)| body)
            .collect();
        assert_eq!((made.len(), refused.len()), (1, 1), "{round}: {one:?} {two:?}");
        assert_eq!(refused[0]["code"], "lease_stale");
        let stands = running.get(&path, key).await;
        assert_eq!(stands["decision"], made[0]["decision"]);
        running.post(&format!("{path}/claim"), key, json!({})).await;
    }
    let history = running.get(&format!("{path}/history"), key).await;
    let steps = history["steps"].as_array().unwrap();
    let decided = steps.iter().filter(|step| step["kind"] == "decided").count();
    assert_eq!(decided, 8, "one of each two");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_loses_its_lease_and_decides_nothing() {
    let (_, bench, running, path, _) = holding(0).await;
    let key = bench.coordinators.as_str();
    let decide = format!("{path}/decision");
    let fencing = running.get(&path, key).await["fencing"].clone();
    running
        .post(&format!("{path}/release"), key, json!({"fencing": fencing}))
        .await;
    let (id, leaving) = bench
        .store
        .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Moderator]))
        .await
        .unwrap();
    let leaving = leaving.expose();
    let held = running.post(&format!("{path}/claim"), leaving, json!({})).await;
    let draft = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "half a sentence"});
    let drafted = running
        .send(Method::PUT, &format!("{path}/draft"), leaving, Some(draft))
        .await;
    assert_eq!(drafted.0, 200, "{drafted:?}");
    bench.store.revoke_key(id).await.unwrap();
    // The store knows at once, whatever a dispatcher remembers of the key for half a second.
    let decision = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "the known attack"});
    let (status, problem) = running.send(Method::POST, &decide, leaving, Some(decision)).await;
    assert!(
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
        "{status} {problem}"
    );
    assert!(problem["code"].is_string(), "{problem}");
    let case = running.get(&path, key).await;
    assert_eq!(
        (&case["state"], &case["decision"], &case["draft"]["rationale"]),
        (&json!("open"), &Value::Null, &json!("half a sentence")),
        "it is back, with what was written"
    );
    let next = running.post(&format!("{path}/claim"), key, json!({})).await;
    assert!(next["fencing"].as_u64() > held["fencing"].as_u64());
    running.stop().await;
}
