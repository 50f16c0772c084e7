//! Goal: over HTTP, a platform's machine appeals, the lane hands it to somebody who did not decide, the answer reaches the log and whoever filed it,
//! and what is malformed gets its code.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_model::{AlertLevel, Scope, Verdict};
use tocsin_store::{KeySubject, Role, Roles, Store};
use tocsin_wire::topics;

use crate::bench::{Bench, Running, alert, name, until};

pub(crate) async fn key(store: &Store, subject: KeySubject, role: Role) -> String {
    let (_, key) = store.issue_key(subject, Roles::of(&[role])).await.unwrap();
    key.expose().to_owned()
}

pub(crate) fn appeal(reference: &str, decision: Option<&Value>) -> Value {
    json!({
        "reference": reference,
        "platform": "alpha-video",
        "content": {"algorithm": "sha256", "value": "01".repeat(32)},
        "decision": decision,
        "reason": "it is a news report",
    })
}

/// Alpha's case, claimed and decided; the decision.
async fn decided(bench: &Bench, running: &Running) -> Value {
    bench.ring(&[alert(1, Scope::All, AlertLevel::Raised, 5.0)]);
    running.queue_of(1, &bench.alpha).await;
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let claimed = running.post("/v1/queue/claim", &bench.alpha, json!({})).await;
    let path = format!("/v1/cases/{}/decision", claimed["case"]["id"].as_str().unwrap());
    let ruling = json!({"fencing": 1, "verdict": "violating", "rationale": "footage"});
    let case = running.post(&path, &bench.alpha, ruling).await;
    case["decision"]["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_appeals_and_somebody_who_did_not_decide_answers_for_the_family() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let decision = decided(&bench, &running).await;
    let alpha = KeySubject::Party(bench.store.party_named(&name("alpha")).await.unwrap().id);
    let machine = key(&bench.store, alpha, Role::Publisher).await;
    let filed = running
        .post("/v1/appeals", &machine, appeal("A-1", Some(&decision)))
        .await;
    assert_eq!(
        (&filed["state"], &filed["against"]),
        (&json!("open"), &json!("decision"))
    );
    assert_eq!(
        (&filed["decision"], &filed["is_without_reviewer"]),
        (&decision, &json!(true))
    );
    let again = running
        .post("/v1/appeals", &machine, appeal("A-1", Some(&decision)))
        .await;
    assert_eq!(again["id"], filed["id"]);
    // A team of one: who decided is handed nothing, and told so.
    let lane = json!({"lane": "appeals"});
    let nothing = running.post("/v1/queue/claim", &bench.alpha, lane.clone()).await;
    assert_eq!((&nothing["case"], nothing.get("appeal")), (&Value::Null, None));
    let path = format!("/v1/appeals/{}", filed["id"].as_str().unwrap());
    running
        .refused(
            Method::POST,
            &format!("{path}/claim"),
            &bench.alpha,
            Some(json!({})),
            (409, "appeal_own_decision"),
        )
        .await;
    let flagged = running.get("/v1/appeals?state=without_reviewer", &bench.alpha).await;
    assert_eq!(flagged["appeals"][0]["id"], filed["id"]);
    running
        .metric("tocsin_dispatcher_appeals{state=\"without_reviewer\"}", |count| {
            count == 1.0
        })
        .await;

    let reviewer = key(&bench.store, alpha, Role::Moderator).await;
    let queue = running.get("/v1/queue?lane=appeals", &reviewer).await;
    assert_eq!(
        (&queue["appeals"][0]["id"], &queue["cases"]),
        (&filed["id"], &json!([]))
    );
    let of_platform = running
        .get("/v1/queue?lane=appeals&platform=alpha-video", &reviewer)
        .await;
    assert_eq!(of_platform["appeals"][0]["id"], filed["id"]);
    let of_other = running.get("/v1/queue?lane=appeals", &bench.beta).await;
    assert_eq!((&of_other["appeals"], &of_other["cases"]), (&Value::Null, &json!([])));
    let claimed = running.post("/v1/queue/claim", &reviewer, lane).await;
    let held = &claimed["appeal"];
    assert_eq!(
        (&held["id"], &held["state"], &held["lease"]["is_yours"]),
        (&filed["id"], &json!("claimed"), &json!(true))
    );
    let renewed = running
        .post(
            &format!("{path}/renew"),
            &reviewer,
            json!({"fencing": 1, "lease_s": 600}),
        )
        .await;
    assert_eq!(renewed["state"], "claimed");
    let released = running
        .post(&format!("{path}/release"), &reviewer, json!({"fencing": 1}))
        .await;
    assert_eq!(released["state"], "open");
    let claimed = running
        .post(&format!("{path}/claim"), &reviewer, json!({"lease_s": 60}))
        .await;
    assert_eq!(claimed["fencing"], 2);
    let answer = json!({
        "fencing": 2, "outcome": "overturned", "concerns": "family", "cause": "judgement", "note": "a news report",
    });
    let answered = running.post(&format!("{path}/answer"), &reviewer, answer.clone()).await;
    assert_eq!(
        (&answered["state"], &answered["answer"]["verdict"]),
        (&json!("answered"), &json!("benign"))
    );
    running.post(&format!("{path}/answer"), &reviewer, answer).await;
    let case = running
        .get(&format!("/v1/cases/{}", answered["case"].as_str().unwrap()), &reviewer)
        .await;
    assert_eq!(
        (&case["decision"]["verdict"], &case["decision"]["recommended_action"]),
        (&json!("benign"), &json!("keep"))
    );
    assert_eq!(running.get(&path, &machine).await["answer"]["outcome"], "overturned");
    until("the overturn is on the log", || {
        bench.records(topics::DECISIONS).len() == 2
    })
    .await;
    let records = bench.records(topics::DECISIONS);
    let told = tocsin_wire::decision::decode(records[1].value.as_ref().unwrap()).unwrap();
    assert_eq!(told.verdict, Verdict::Benign);

    let figures = running.get("/v1/appeals/figures?hours=1", &bench.alpha).await;
    assert_eq!((&figures["answered"], &figures["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(figures["causes"], json!([{"cause": "judgement", "appeals": 1}]));
    assert_eq!(
        figures["outcomes"],
        json!([{"outcome": "overturned", "concerns": "family", "appeals": 1}])
    );
    assert!(figures["to_answer"]["median_s"].is_number());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_or_another_teams_gets_its_code() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let decision = decided(&bench, &running).await;
    let change = |field: &str, value: Value| {
        let mut body = appeal("A-1", None);
        body[field] = value;
        body
    };
    for (body, refused) in [
        (change("reference", json!("")), (422, "appeal_malformed")),
        (change("reason", json!("a".repeat(8_193))), (422, "appeal_malformed")),
        (change("platform", json!("beta-chat")), (422, "appeal_platform_foreign")),
        (change("platform", json!("nowhere")), (400, "invalid_body")),
        (
            change("decision", json!("0".repeat(32))),
            (422, "appeal_decision_unknown"),
        ),
        (
            {
                let mut body = change("decision", decision.clone());
                body["content"] = json!({"algorithm": "sha256", "value": "cd".repeat(32)});
                body
            },
            (422, "appeal_content_other"),
        ),
        (change("reference", json!("a\0b")), (422, "appeal_malformed")),
        (change("decision", json!("x")), (400, "invalid_body")),
        (
            change("content", json!({"algorithm": "sha256", "value": "ab"})),
            (400, "invalid_body"),
        ),
        (change("else", json!(1)), (400, "invalid_body")),
    ] {
        running
            .refused(Method::POST, "/v1/appeals", &bench.alpha, Some(body), refused)
            .await;
    }
    running
        .refused(
            Method::POST,
            "/v1/appeals",
            &bench.reader,
            Some(appeal("A-1", None)),
            (403, "forbidden"),
        )
        .await;
    let filed = running
        .post("/v1/appeals", &bench.alpha, appeal("A-1", Some(&decision)))
        .await;
    let differs = appeal("A-1", None);
    running
        .refused(
            Method::POST,
            "/v1/appeals",
            &bench.alpha,
            Some(differs),
            (409, "appeal_differs"),
        )
        .await;
    let path = format!("/v1/appeals/{}", filed["id"].as_str().unwrap());
    for unknown in [path.as_str(), "/v1/appeals/0"] {
        running
            .refused(Method::GET, unknown, &bench.beta, None, (404, "appeal_unknown"))
            .await;
    }
    let alpha = KeySubject::Party(bench.store.party_named(&name("alpha")).await.unwrap().id);
    let reviewer = key(&bench.store, alpha, Role::Moderator).await;
    let answer = format!("{path}/answer");
    let said = |outcome: &str, cause: Value, note: &str| json!({"fencing": 1, "outcome": outcome, "concerns": "member", "cause": cause, "note": note});
    running.post(&format!("{path}/claim"), &reviewer, json!({})).await;
    for (body, refused) in [
        (said("upheld", Value::Null, ""), (422, "appeal_note")),
        (said("upheld", json!("label"), "no"), (422, "appeal_ruling")),
        (said("overturned", Value::Null, "no"), (422, "appeal_ruling")),
        (said("overturned", json!("bad luck"), "no"), (400, "invalid_body")),
        (said("perhaps", Value::Null, "no"), (400, "invalid_body")),
    ] {
        running
            .refused(Method::POST, &answer, &reviewer, Some(body), refused)
            .await;
    }
    let stale = json!({"fencing": 7, "outcome": "upheld", "concerns": "upload", "note": "no"});
    running
        .refused(
            Method::POST,
            &answer,
            &reviewer,
            Some(stale),
            (409, "appeal_lease_stale"),
        )
        .await;
    let narrowed = json!({"lane": "appeals", "region": "DE"});
    running
        .refused(
            Method::POST,
            "/v1/queue/claim",
            &reviewer,
            Some(narrowed),
            (400, "invalid_body"),
        )
        .await;
    for path in [
        "/v1/queue?lane=appeals&state=decided",
        "/v1/queue?lane=appeals&region=DE",
        "/v1/appeals?state=late",
        "/v1/appeals?limit=0",
        "/v1/appeals/figures?hours=0",
    ] {
        running
            .refused(Method::GET, path, &reviewer, None, (400, "invalid_parameter"))
            .await;
    }
    running.stop().await;
}
