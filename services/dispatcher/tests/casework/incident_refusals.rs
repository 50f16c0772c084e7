//! Goal: what does not fit an incident has its code, and changes nothing.

use axum::http::Method;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::incidents::{declaration, declare};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_has_its_code_and_changes_nothing() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let (coordinators, alpha) = (bench.coordinators.as_str(), bench.alpha.as_str());
    let (declared, path) = declare(&bench, &running, "An attack", &[]).await;
    let with = |name: &str, value: Value| {
        let mut asked = declaration("An attack");
        asked[name] = value;
        asked
    };
    for (key, body, expected) in [
        (alpha, declaration("x"), (403, "incident_coordinators_only")),
        (&bench.reader, declaration("x"), (403, "forbidden")),
        (&bench.operator, declaration("x"), (403, "incident_coordinators_only")),
        ("", declaration("x"), (401, "unauthenticated")),
        (coordinators, declaration(""), (422, "title_malformed")),
        (coordinators, with("protocol", json!("none")), (422, "protocol_unknown")),
        (
            coordinators,
            with("case", json!("0".repeat(32))),
            (422, "origin_unknown"),
        ),
        (coordinators, with("case", json!("x")), (400, "invalid_body")),
        (
            coordinators,
            with("marking", json!({"tlp": "RED"})),
            (422, "marking_malformed"),
        ),
        (
            coordinators,
            with("marking", json!({"tlp": "PINK"})),
            (400, "invalid_body"),
        ),
        (
            coordinators,
            with("marking", json!({"tlp": "AMBER", "group": "inner"})),
            (422, "sharing_group_unknown"),
        ),
        (coordinators, with("unknown", json!(1)), (400, "invalid_body")),
    ] {
        running
            .refused(Method::POST, "/v1/incidents", key, Some(body), expected)
            .await;
    }
    for (step, body, expected) in [
        (
            "level",
            json!({"level": "awareness", "reason": "x"}),
            (409, "incident_not_active"),
        ),
        (
            "activate",
            json!({"level": "none", "reason": "x"}),
            (422, "level_unknown"),
        ),
        (
            "activate",
            json!({"level": "awareness", "reason": ""}),
            (422, "reason_malformed"),
        ),
        (
            "answers",
            json!({"question": "none", "reason": "x"}),
            (422, "question_unknown"),
        ),
        (
            "families/remove",
            json!({"family": "0".repeat(32), "reason": "x"}),
            (409, "family_not_attached"),
        ),
        (
            "participants",
            json!({"party": "nobody", "class": "platforms"}),
            (422, "party_unknown"),
        ),
        (
            "participants",
            json!({"party": "alpha", "class": "none"}),
            (422, "class_unknown"),
        ),
        (
            "participants/remind",
            json!({"party": "alpha"}),
            (409, "participant_not_invited"),
        ),
        (
            "tasks",
            json!({"does": "x", "owner": "coordinators", "due": "soon"}),
            (400, "invalid_body"),
        ),
        (
            "tasks",
            json!({"does": "x", "owner": "coordinators", "due": "2001-01-01T00:00:00Z"}),
            (422, "task_due"),
        ),
        ("tasks/done", json!({"number": 1}), (404, "task_unknown")),
        ("rules", json!({"reasons": []}), (422, "rule_malformed")),
        ("rules", json!({"reasons": ["none"]}), (400, "invalid_body")),
        ("notes", json!({"text": ""}), (422, "note_text_malformed")),
        ("reopen", json!({"reason": "x"}), (409, "incident_not_concluded")),
    ] {
        let step = format!("{path}/{step}");
        running
            .refused(Method::POST, &step, coordinators, Some(body), expected)
            .await;
    }
    for (read, expected) in [
        (format!("{path}/timeline?after=x"), (400, "invalid_parameter")),
        (
            format!("{path}/timeline?after={}", "0".repeat(32)),
            (400, "invalid_parameter"),
        ),
        (format!("{path}/timeline?limit=0"), (400, "invalid_parameter")),
        ("/v1/incidents?phase=over".to_owned(), (400, "invalid_parameter")),
        (
            format!("/v1/incidents?after={}", "0".repeat(32)),
            (400, "invalid_parameter"),
        ),
        ("/v1/incidents/none".to_owned(), (404, "incident_unknown")),
    ] {
        running.refused(Method::GET, &read, coordinators, None, expected).await;
    }
    assert_eq!(running.get(&path, coordinators).await["version"], declared["version"]);

    // Who insists on a version is told when it is another.
    let change = |version: &str| {
        let request = running.client.post(format!("{}{path}/marking", running.address));
        let request = request.bearer_auth(coordinators).header("if-match", version);
        request
            .json(&json!({"marking": {"tlp": "GREEN"}, "reason": "for all"}))
            .send()
    };
    let stale = change("\"7\"").await.unwrap();
    assert_eq!(stale.status(), 412);
    let done = change("\"1\"").await.unwrap();
    assert_eq!(
        (done.status().as_u16(), &done.headers()["etag"]),
        (200, &"\"2\"".parse().unwrap())
    );
    // Green goes to every party, and to act one must take part.
    assert_eq!(running.get("/v1/incidents", alpha).await["incidents"][0]["version"], 2);
    let acknowledge = format!("{path}/acknowledge");
    running
        .refused(
            Method::POST,
            &acknowledge,
            alpha,
            None,
            (403, "incident_not_taking_part"),
        )
        .await;
    running
        .refused(Method::GET, &path, &bench.operator, None, (404, "incident_unknown"))
        .await;
    running.stop().await;
}
