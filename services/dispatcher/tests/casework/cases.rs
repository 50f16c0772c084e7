//! Goal: cases, from alert to decision, for those who may see them.

use reqwest::Method;
use serde_json::json;
use tocsin_model::{AlertLevel, ContentId, FamilyId, Scope, Verdict};
use tocsin_wire::topics;

use crate::bench::{Bench, alert, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_becomes_a_case_and_its_decision_is_on_the_log() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[
        alert(1, Scope::All, AlertLevel::Raised, 10.0),
        alert(2, Scope::Coordinators, AlertLevel::Raised, 20.0),
    ]);
    let queue = running.queue_of(2, &bench.coordinators).await;
    assert_eq!(
        (&queue[0]["priority"], &queue[0]["state"]),
        (&json!(20.0), &json!("open"))
    );
    assert_eq!(queue[1]["alert"]["spread_24h"], json!({"low": 40, "high": 44}));
    let of_alpha = running.queue_of(1, &bench.alpha).await;
    assert_eq!(of_alpha[0]["team"], "alpha");
    assert_eq!(
        running.queue_of(0, &bench.beta).await.len(),
        0,
        "no platform of beta saw it"
    );
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let alpha_case = running
        .get(
            &format!("/v1/cases/{}", of_alpha[0]["id"].as_str().unwrap()),
            &bench.alpha,
        )
        .await;
    assert_eq!(alpha_case["alert"]["platforms"][0]["platform"], "alpha-video");

    let claimed = running
        .post("/v1/queue/claim", &bench.coordinators, json!({"lease_s": 60}))
        .await;
    let case = &claimed["case"];
    assert_eq!(
        (&case["id"], &case["state"], &case["lease"]["is_yours"]),
        (&queue[0]["id"], &json!("claimed"), &json!(true))
    );
    let path = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    let fencing = case["fencing"].as_u64().unwrap();
    running
        .post(
            &format!("{path}/renew"),
            &bench.coordinators,
            json!({"fencing": fencing}),
        )
        .await;

    // A team's case is nobody else's, and a lease is its holder's.
    running
        .refused(Method::GET, &path, &bench.alpha, None, (404, "case_unknown"))
        .await;
    let decision = json!({"fencing": fencing, "verdict": "violating", "rationale": "the known attack"});
    let decide = format!("{path}/decision");
    running
        .refused(
            Method::POST,
            &decide,
            &bench.alpha,
            Some(decision.clone()),
            (404, "case_unknown"),
        )
        .await;
    running
        .refused(
            Method::POST,
            &decide,
            &bench.reader,
            Some(decision.clone()),
            (403, "forbidden"),
        )
        .await;
    let stale = json!({"fencing": fencing + 1, "verdict": "benign"});
    running
        .refused(
            Method::POST,
            &decide,
            &bench.coordinators,
            Some(stale),
            (409, "lease_stale"),
        )
        .await;

    let decided = running.post(&decide, &bench.coordinators, decision.clone()).await;
    assert_eq!(
        (&decided["state"], &decided["decision"]["verdict"]),
        (&json!("decided"), &json!("violating"))
    );
    let again = running.post(&decide, &bench.coordinators, decision).await;
    assert_eq!(again["decision"], decided["decision"]);

    until("a decision on the log", || bench.records(topics::DECISIONS).len() == 1).await;
    let record = bench.records(topics::DECISIONS).remove(0);
    let published = tocsin_wire::decision::decode(&record.value.unwrap()).unwrap();
    assert_eq!(record.key.unwrap()[..], 2u128.to_be_bytes());
    assert_eq!(
        (published.family, published.scope, published.verdict),
        (FamilyId(ContentId(2)), Scope::Coordinators, Verdict::Violating)
    );
    assert_eq!(format!("{:032x}", published.id.0), decided["decision"]["id"]);

    let rest = running.post("/v1/queue/claim", &bench.coordinators, json!({})).await;
    let released = format!("/v1/cases/{}/release", rest["case"]["id"].as_str().unwrap());
    let released = running
        .post(
            &released,
            &bench.coordinators,
            json!({"fencing": rest["case"]["fencing"]}),
        )
        .await;
    assert_eq!(released["state"], "open");
    let decided_queue = running.get("/v1/queue?state=decided", &bench.reader).await;
    assert_eq!(decided_queue["cases"][0]["id"], case["id"]);
    running.stop().await;
    assert_eq!(bench.records(topics::DECISIONS).len(), 1, "published once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_alert_and_counts_none_twice() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    running.queue_of(1, &bench.coordinators).await;
    running.stop().await;

    // While it is away: the same alert again, one that is no alert, and a new one behind it.
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    bench.append(topics::ALERTS, &[b"this is no alert".to_vec(), Vec::new()]);
    bench.ring(&[alert(2, Scope::Coordinators, AlertLevel::Raised, 2.0)]);
    let running = bench.start().await;
    running.queue_of(2, &bench.coordinators).await;
    running
        .metric("tocsin_dispatcher_alert_effects_total{effect=\"opened\"}", |count| {
            count == 1.0
        })
        .await;
    running
        .metric(
            "tocsin_dispatcher_alerts_refused_total{reason=\"unreadable\"}",
            |count| count == 2.0,
        )
        .await;
    running
        .metric("tocsin_dispatcher_alerts_lag_offsets", |lag| lag == 0.0)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_its_documented_code() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    running.queue_of(1, &bench.coordinators).await;
    let key = bench.coordinators.as_str();
    let claimed = running.post("/v1/queue/claim", key, json!({})).await;
    let path = format!("/v1/cases/{}", claimed["case"]["id"].as_str().unwrap());
    let decide = format!("{path}/decision");
    let claim = format!("{path}/claim");

    for (method, path, key, body, expected) in [
        (
            Method::GET,
            "/v1/queue",
            "tocsin_nobody",
            None,
            (401, "unauthenticated"),
        ),
        (Method::GET, "/v1/queue", &bench.operator, None, (403, "no_queue")),
        (Method::POST, "/v1/queue/claim", &bench.reader, None, (403, "forbidden")),
        (
            Method::GET,
            "/v1/queue?state=lost",
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (Method::GET, "/v1/queue?limit=0", key, None, (400, "invalid_parameter")),
        (
            Method::GET,
            "/v1/queue?limit=many",
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (
            Method::GET,
            "/v1/queue?after=zzz",
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (Method::GET, "/v1/queue?owner=me", key, None, (400, "invalid_parameter")),
        (Method::GET, "/v1/cases/1", key, None, (404, "case_unknown")),
        (Method::GET, "/v1/cases/%F0%9F", key, None, (404, "case_unknown")),
        (
            Method::GET,
            "/v1/cases/0123456789abcdef0123456789abcdef",
            key,
            None,
            (404, "case_unknown"),
        ),
        (Method::DELETE, &path, key, None, (405, "method_not_allowed")),
        (Method::POST, &claim, key, None, (409, "case_claimed")),
        (
            Method::POST,
            &claim,
            key,
            Some(json!({"lease_s": 0})),
            (422, "lease_length"),
        ),
        (
            Method::POST,
            &claim,
            key,
            Some(json!({"lease": 5})),
            (400, "invalid_body"),
        ),
        (Method::POST, &decide, key, None, (400, "invalid_body")),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": -1, "verdict": "benign"})),
            (400, "invalid_body"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "guilty"})),
            (400, "invalid_body"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": u64::MAX, "verdict": "benign"})),
            (409, "lease_stale"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "benign", "rationale": "x".repeat(8_193)})),
            (422, "rationale_too_long"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "benign", "rationale": "\0"})),
            (422, "rationale_malformed"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "benign", "rationale": "x".repeat(1 << 20)})),
            (413, "body_too_large"),
        ),
    ] {
        running.refused(method, path, key, body, expected).await;
    }
    let other_type = running
        .client
        .post(format!("{}{decide}", running.address))
        .bearer_auth(key);
    let response = other_type
        .header("content-type", "text/plain")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 415);

    let unchanged = running.get(&path, key).await;
    assert_eq!(
        (&unchanged["state"], &unchanged["fencing"]),
        (&json!("claimed"), &json!(1)),
        "nothing was half done"
    );
    assert!(bench.records(topics::DECISIONS).is_empty());
    running
        .metric(
            "tocsin_dispatcher_commands_total{code=\"rationale_too_long\",command=\"decide_case\"}",
            |n| n == 1.0,
        )
        .await;
    running.stop().await;
    drop(bench.directory);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_waits_to_be_taken_back_and_says_its_grounds_when_it_goes_out() {
    let clock = tocsin_store::Clock::standing_at(crate::example::START);
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start_with(tocsin_dispatcher::DispatcherConfig::default()).await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    running.queue_of(1, &bench.coordinators).await;
    let key = bench.coordinators.as_str();
    let claimed = running.post("/v1/queue/claim", key, json!({"lane": "general"})).await;
    let path = format!("/v1/cases/{}", claimed["case"]["id"].as_str().unwrap());
    let draft = json!({"fencing": 1, "verdict": "newsworthy", "rationale": "half a"});
    let (status, drafted) = running
        .send(Method::PUT, &format!("{path}/draft"), key, Some(draft))
        .await;
    assert_eq!(
        (status.as_u16(), &drafted["draft"]["verdict"]),
        (200, &json!("newsworthy"))
    );

    let member = format!("{:032x}", 5);
    let decision = json!({
        "fencing": 1, "verdict": "violating", "policy": "tvec", "recommended_action": "remove", "confidence_percent": 95,
        "exceptions": [member], "rationale": "the attack",
    });
    // Whoever saw an older version is refused, and nothing is half done.
    let decide = format!("{path}/decision");
    let stale = running
        .client
        .post(format!("{}{decide}", running.address))
        .bearer_auth(key);
    let stale = stale.header("if-match", "\"1\"").json(&decision).send().await.unwrap();
    assert_eq!(stale.status(), 412);
    let fresh = running
        .client
        .get(format!("{}{path}", running.address))
        .bearer_auth(key)
        .send()
        .await
        .unwrap();
    let tag = fresh.headers()["etag"].clone();
    let decided = running
        .client
        .post(format!("{}{decide}", running.address))
        .bearer_auth(key);
    let decided = decided.header("if-match", tag).json(&decision).send().await.unwrap();
    let decided: serde_json::Value = decided.json().await.unwrap();
    assert!(decided["decision"]["goes_out_at"].is_string(), "{decided}");
    assert!(bench.records(topics::DECISIONS).is_empty());

    let withdraw = json!({"decision": decided["decision"]["id"]});
    let withdrawn = running.post(&format!("{path}/withdraw"), key, withdraw).await;
    assert_eq!(
        (&withdrawn["state"], &withdrawn["draft"]["policy"]),
        (&json!("claimed"), &json!("tvec"))
    );
    assert_eq!(withdrawn["decision"], json!(null));
    let again = json!({"fencing": 2, "verdict": "violating", "recommended_action": "remove", "confidence_percent": 95, "exceptions": [member]});
    running.post(&decide, key, again).await;
    clock.advance(tocsin_model::Milliseconds::from_seconds(5));
    until("the decision that stands is on the log", || {
        bench.records(topics::DECISIONS).len() == 1
    })
    .await;
    let record = bench.records(topics::DECISIONS).remove(0);
    let told = tocsin_wire::decision::decode_told(&record.value.unwrap()).unwrap();
    assert_eq!(
        (told.decision.verdict, told.grounds.confidence),
        (Verdict::Violating, Some(95))
    );
    assert_eq!(told.grounds.exceptions, [ContentId(5)]);
    let decided = running.get(&path, key).await;
    assert!(decided["clocks"]["decided_at"].is_string() && decided["clocks"]["golden_left_s"] == 0);
    let clocks = running.get("/v1/clocks?hours=1", key).await;
    assert_eq!((&clocks["cases"], &clocks["decided"]), (&json!(1), &json!(1)));
    let too_long = running.send(Method::GET, "/v1/clocks?hours=745", key, None).await;
    assert_eq!(too_long.0.as_u16(), 400);
    let history = running.get(&format!("{path}/history"), key).await;
    let kinds: Vec<_> = history["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["kind"].clone())
        .collect();
    assert_eq!(kinds, ["decided", "withdrawn", "decided", "claimed"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_handed_on_held_skipped_and_escalated_over_http() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[1, 2, 3].map(|family| alert(family, Scope::Coordinators, AlertLevel::Raised, family as f64)));
    running.queue_of(3, &bench.coordinators).await;
    let key = bench.coordinators.as_str();
    for (step, body) in [
        ("skip", json!({"fencing": 1, "reason": "not my language"})),
        (
            "hold",
            json!({"fencing": 1, "hold_s": 60, "reason": "waits for the police"}),
        ),
        (
            "escalate",
            json!({"fencing": 1, "to": "legal", "note": "a court order"}),
        ),
    ] {
        let claimed = running.post("/v1/queue/claim", key, json!({})).await;
        let path = format!("/v1/cases/{}/{step}", claimed["case"]["id"].as_str().unwrap());
        let mut empty = body.clone();
        empty[if step == "escalate" { "note" } else { "reason" }] = json!("");
        running
            .refused(Method::POST, &path, key, Some(empty), (422, "note_missing"))
            .await;
        running.post(&path, key, body).await;
    }
    let none = running.post("/v1/queue/claim", key, json!({})).await;
    assert_eq!(none["case"], json!(null));
    let legal = running.post("/v1/queue/claim", key, json!({"desk": "legal"})).await;
    let path = format!("/v1/cases/{}/hand-over", legal["case"]["id"].as_str().unwrap());
    for (to, code) in [
        ("x".to_owned(), (400, "invalid_body")),
        (format!("{:032x}", 1), (422, "moderator_unknown")),
    ] {
        let body = json!({"fencing": 2, "to": to, "note": "my shift ends"});
        running.refused(Method::POST, &path, key, Some(body), code).await;
    }
    let moderators = running.get("/v1/moderators", key).await;
    let moderators = moderators["moderators"].as_array().unwrap().clone();
    assert_eq!(moderators.len(), 1, "the reader's key is none");
    let body = json!({"fencing": 2, "to": moderators[0]["key"], "note": "my shift ends"});
    let handed = running.post(&path, key, body).await;
    assert_eq!(
        (&handed["fencing"], &handed["lease"]["is_yours"]),
        (&json!(3), &json!(true))
    );
    let at_legal = running.get("/v1/queue?state=claimed&desk=legal", key).await;
    assert_eq!(at_legal["cases"].as_array().unwrap().len(), 1);
    for bad in ["lane=fast", "desk=mine", "platform=nowhere", "severity_min=NaN"] {
        let path = format!("/v1/queue?{bad}");
        running
            .refused(Method::GET, &path, key, None, (400, "invalid_parameter"))
            .await;
    }
    running.stop().await;
}
