//! Goal: what is asked of the dispatcher is recorded, auditors see of it what is theirs, and where nothing can be recorded nothing is done.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tocsin_audit::{Fault, SigningKey};
use tocsin_model::{AlertLevel, DeploymentKey, Scope};
use tocsin_store::{ChainFault, KeySubject, Role, Roles};
use tocsin_wire::document::CheckpointDocument;

use crate::bench::{Bench, Running, alert};

impl Bench {
    async fn auditor(&self, subject: KeySubject) -> String {
        let (_, key) = self
            .store
            .issue_key(subject, Roles::of(&[Role::Auditor]))
            .await
            .unwrap();
        key.expose().to_owned()
    }

    async fn execute(&self, sql: &str) {
        let url = format!("sqlite:{}", self.directory.path().join("store.sqlite").display());
        SqliteConnection::connect(&url)
            .await
            .unwrap()
            .execute(sql)
            .await
            .unwrap();
    }
}

/// Action, team and object of all records that an auditor sees, in pages of three.
async fn audit(running: &Running, key: &str) -> Vec<(String, Value, String)> {
    let (mut told, mut next) = (Vec::new(), String::new());
    loop {
        let page = running.get(&format!("/v1/audit?limit=3&after={next}"), key).await;
        for record in page["records"].as_array().unwrap() {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            told.push((text("action"), record["team"].clone(), text("object")));
        }
        next = page["next"].as_str().unwrap().to_owned();
        // Each page is a record itself.
        if page["records"].as_array().unwrap().len() < 3 {
            return told;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auditors_see_what_is_theirs_and_nobody_else_sees_any_of_it() {
    let bench = Bench::new().await;
    let alpha = bench.store.party_named(&crate::bench::name("alpha")).await.unwrap().id;
    let of_alpha = bench.auditor(KeySubject::Party(alpha)).await;
    let of_operator = bench.auditor(KeySubject::Operator).await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
    let case = running.queue_of(1, &bench.coordinators).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    running.get("/v1/queue?limit=7", &bench.alpha).await;
    let claimed = running
        .post(&format!("/v1/cases/{case}/claim"), &bench.coordinators, json!({}))
        .await;
    let decision = json!({"fencing": claimed["fencing"], "verdict": "benign", "rationale": "a newspaper"});
    running
        .post(&format!("/v1/cases/{case}/decision"), &bench.coordinators, decision)
        .await;

    let told = audit(&running, &of_alpha).await;
    assert_eq!(told[0], ("read".to_owned(), json!("alpha"), "GET /v1/queue".to_owned()));
    assert!(
        told[1..]
            .iter()
            .all(|(_, team, object)| team == "alpha" && object == "GET /v1/audit")
    );
    let told = audit(&running, &of_operator).await;
    let position = |action: &str, object: &str| {
        let found = told.iter().position(|(a, _, o)| a == action && o == object);
        found.unwrap_or_else(|| panic!("{action} of {object} in {told:?}"))
    };
    assert!(position("commanded", "POST /v1/cases/{id}/decision") < position("decided", "a case"));
    position("party_added", "alpha");
    position("read", "GET /v1/queue");

    // Clear text is for the team that did it.
    let fields = async |key: &str| {
        let page = running.get("/v1/audit?limit=500", key).await;
        let records = page["records"].as_array().unwrap().clone();
        let read = records
            .into_iter()
            .find(|one| one["object"] == "GET /v1/queue" && one["team"] == "alpha");
        read.unwrap()["personal"].clone()
    };
    let (own, others) = (fields(&of_alpha).await, fields(&of_operator).await);
    assert_eq!(
        (&own[1]["field"], &own[1]["clear"]),
        (&json!("about"), &json!("/v1/queue?limit=7"))
    );
    assert_eq!(
        (&others[1]["digest"], &others[1]["clear"]),
        (&own[1]["digest"], &Value::Null)
    );

    for path in ["/v1/audit", "/v1/audit/checkpoint"] {
        for key in [&bench.coordinators, &bench.reader, &bench.alpha] {
            running.refused(Method::GET, path, key, None, (403, "forbidden")).await;
        }
        running
            .refused(Method::GET, path, "tocsin_00", None, (401, "unauthenticated"))
            .await;
    }
    running
        .refused(Method::GET, "/v1/queue", &of_alpha, None, (403, "forbidden"))
        .await;
    for bad in ["limit=0", "limit=501", "after=x", "since=1"] {
        let path = format!("/v1/audit?{bad}");
        running
            .refused(Method::GET, &path, &of_alpha, None, (400, "invalid_parameter"))
            .await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_over_http_is_signed_and_finds_what_is_changed_later() {
    let bench = Bench::new().await;
    let auditor = bench.auditor(KeySubject::Coordinators).await;
    let running = bench.start().await;
    let document: CheckpointDocument =
        serde_json::from_value(running.get("/v1/audit/checkpoint", &auditor).await).unwrap();
    let signed = document.read().unwrap();
    let key = SigningKey::from_seed(&DeploymentKey::from_bytes([7; 32]).checkpoint_seed());
    assert_eq!(signed.verify(&key.public()), Ok(()));
    let held = [signed.checkpoint];
    assert!(bench.store.verify_audit(&held).await.unwrap().holds());
    bench.execute("DELETE FROM audit_records WHERE sequence = 0").await;
    let report = bench.store.verify_audit(&held).await.unwrap();
    let missing = Fault::Missing { expected: 0, found: 1 };
    assert_eq!(report.chains[0].fault, Some(ChainFault::Chain(missing)));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_recorded_nothing_is_told_and_nothing_is_done() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
    running.queue_of(1, &bench.coordinators).await;
    bench.execute("ALTER TABLE audit_records RENAME TO elsewhere").await;
    for (method, path) in [(Method::GET, "/v1/queue"), (Method::POST, "/v1/queue/claim")] {
        let (status, problem) = running.send(method, path, &bench.coordinators, None).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("audit_unavailable")),
            "{path}"
        );
        assert!(problem.get("cases").is_none());
    }
    running
        .metric(
            "tocsin_dispatcher_requests_recorded_total{outcome=\"refused\"}",
            |count| count == 2.0,
        )
        .await;
    bench.execute("ALTER TABLE elsewhere RENAME TO audit_records").await;
    let queue = running.queue_of(1, &bench.coordinators).await;
    assert_eq!(queue[0]["state"], "open", "nobody claimed it");
    running.stop().await;
}
