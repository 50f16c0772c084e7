//! Goal: what people decide in Ozone is the team's decision here, once, and of the families that were reported there alone; what Tocsin or a machine said
//! decides nothing. Ozone is a server that answers as its lexicon says.

use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_dispatcher::{DispatcherConfig, check_endpoint};
use tocsin_model::{AlertLevel, KeyId, Scope};
use tocsin_store::{EndpointKind, KeySubject, NewEndpoint, Role, Roles};
use tocsin_wire::topics;

use crate::bench::{Bench, Running, alert, name, until};
use crate::carrying::case_until;
use crate::database::on_empty;
use crate::ozone_server::{ANNA, COLLECTION, Ozone, STANDS, TOCSIN, record};

pub fn config() -> DispatcherConfig {
    DispatcherConfig {
        undo_s: 0,
        endpoint_networks: vec!["127.0.0.0/8".to_owned()],
        ..DispatcherConfig::default()
    }
}

async fn endpoint(bench: &Bench, address: &str) -> KeyId {
    endpoint_with(bench, ("alpha-ozone", address), None, &[]).await
}

/// An endpoint of alpha's that takes what Anna decides in the name of this key, or of a new one, with further settings.
pub async fn endpoint_with(
    bench: &Bench,
    (endpoint, address): (&str, &str),
    key: Option<KeyId>,
    further: &[(&str, &str)],
) -> KeyId {
    let alpha = bench.store.party_named(&name("alpha")).await.unwrap().id;
    let roles = Roles::of(&[Role::Moderator]);
    let key = match key {
        Some(key) => key,
        None => bench.store.issue_key(KeySubject::Party(alpha), roles).await.unwrap().0,
    };
    let settings = [
        ("subject", STANDS.to_owned()),
        ("created_by", TOCSIN.to_owned()),
        ("collection", COLLECTION.to_owned()),
        ("decide_as", key.to_string()),
        ("moderators", ANNA.to_owned()),
    ];
    let further = further.iter().map(|(name, text)| (*name, text.to_string()));
    let endpoint = NewEndpoint {
        name: name(endpoint),
        team: Team::Party(alpha),
        kind: EndpointKind::Ozone,
        target: address.to_owned(),
        settings: settings
            .into_iter()
            .chain(further)
            .map(|(name, text)| (name.to_owned(), text))
            .collect(),
        secret: "pass".to_owned(),
    };
    check_endpoint(&endpoint, &config().endpoint_networks).unwrap();
    bench.store.add_endpoint(&endpoint).await.unwrap();
    key
}

pub async fn path_of(running: &Running, key: &str, family: &Value) -> String {
    let queue = running.get("/v1/queue", key).await;
    let case = queue["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["family"] == *family)
        .unwrap();
    format!("/v1/cases/{}", case["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_decide_in_ozone_is_decided_here_once() {
    on_empty(async |url| {
        let bench = Bench::on(tempfile::tempdir().unwrap(), &url, tocsin_store::Clock::Database).await;
        let (ozone, address) = Ozone::start().await;
        let key = endpoint(&bench, &address).await;
        let running = bench.start_with(config()).await;
        let families = [1, 2, 3].map(|family| alert(family, Scope::All, AlertLevel::Raised, family as f64));
        bench.ring(&families);
        running.queue_of(3, &bench.alpha).await;
        let [one, two, three] = families.map(|alert| json!(alert.family.to_string()));

        // Each family is told to Ozone as a record of its own.
        until("three reports in Ozone", || ozone.events.lock().unwrap().len() == 3).await;
        let told: Vec<Value> = ozone
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|event| event["subject"]["uri"].clone())
            .collect();
        assert!(
            [&one, &two, &three]
                .iter()
                .all(|family| told.contains(&record(family)["uri"])),
            "{told:?}"
        );

        let (path, second) = (
            path_of(&running, &bench.alpha, &one).await,
            path_of(&running, &bench.alpha, &two).await,
        );
        let third = path_of(&running, &bench.alpha, &three).await;
        // Somebody has the third in hand.
        running.post(&format!("{third}/claim"), &bench.alpha, json!({})).await;

        ozone.emit("modEventTakedown", TOCSIN, record(&two), |_| {});
        ozone.emit("modEventTakedown", "did:plc:automod", record(&two), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&json!("0".repeat(32))), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&two), |event| {
            event["createdBy"] = json!(7)
        });
        ozone.emit(
            "modEventTakedown",
            ANNA,
            json!({"$type": "com.atproto.admin.defs#repoRef", "did": STANDS}),
            |_| {},
        );
        ozone.emit("modEventAcknowledge", ANNA, record(&two), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&three), |_| {});
        ozone.emit("modEventEscalate", ANNA, record(&two), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&one), |event| {
            event["event"]["policies"] = json!(["terrorism"])
        });
        let decided = case_until(&running, &path, &bench.alpha, |case| case["state"] == "decided").await;
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
                &json!("terrorism"),
                &json!("footage of the attack")
            )
        );
        assert_eq!(decision["decided_by"], json!(key.to_string()));
        let escalated = running.get(&second, &bench.alpha).await;
        assert_eq!(
            (&escalated["state"], &escalated["desk"]),
            (&json!("open"), &json!("expert"))
        );
        assert_eq!(
            escalated["decision"],
            Value::Null,
            "neither Tocsin nor a machine decides"
        );
        let held = running.get(&third, &bench.alpha).await;
        assert_eq!((&held["state"], &held["decision"]), (&json!("claimed"), &Value::Null));
        let history = running.get(&format!("{third}/history"), &bench.alpha).await;
        let refused = history["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["kind"] == "ozone_refused")
            .unwrap();
        assert_eq!(refused["about"], "case_claimed");
        // Of the other teams' cases of the same families nothing was decided.
        assert_eq!(running.queue_of(3, &bench.coordinators).await[0]["state"], "open");

        // It is read again and again, also by a process that knows nothing of it, and counts once.
        ozone.is_read().await;
        let malformed = "tocsin_dispatcher_ozone_events_total{outcome=\"malformed\"}";
        running.metric(malformed, |count| count == 1.0).await;
        running.stop().await;
        let running = bench.start_with(config()).await;
        ozone.is_read().await;
        until("the decision is on the log", || {
            bench.records(topics::DECISIONS).len() == 1
        })
        .await;
        let steps = running.get(&format!("{path}/history"), &bench.alpha).await;
        let count = |kind: &str| {
            steps["steps"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|step| step["kind"] == kind)
                .count()
        };
        assert_eq!((count("claimed"), count("decided")), (1, 1));

        ozone.emit("modEventReverseTakedown", ANNA, record(&one), |_| {});
        let reversed = case_until(&running, &path, &bench.alpha, |case| {
            case["decision"]["verdict"] == "benign"
        })
        .await;
        assert_eq!(reversed["decision"]["recommended_action"], "keep");
        until("both decisions are on the log", || {
            bench.records(topics::DECISIONS).len() == 2
        })
        .await;

        // A key that is no longer good decides nothing.
        bench.store.revoke_key(key).await.unwrap();
        ozone.emit("modEventTakedown", ANNA, record(&one), |_| {});
        let failures = "tocsin_dispatcher_ozone_read_failures_total";
        running.metric(failures, |failures| failures >= 1.0).await;
        assert_eq!(running.get(&path, &bench.alpha).await["decision"], reversed["decision"]);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_undo_holds_back_its_family_alone() {
    let bench = Bench::new().await;
    let (ozone, address) = Ozone::start().await;
    endpoint(&bench, &address).await;
    let held = DispatcherConfig { undo_s: 2, ..config() };
    let running = bench.start_with(held).await;
    let families = [1, 2].map(|family| alert(family, Scope::All, AlertLevel::Raised, family as f64));
    bench.ring(&families);
    running.queue_of(2, &bench.alpha).await;
    let [one, two] = families.map(|alert| json!(alert.family.to_string()));
    let (first, second) = (
        path_of(&running, &bench.alpha, &one).await,
        path_of(&running, &bench.alpha, &two).await,
    );
    // The second finds the decision of the first held for undo, and the third is of another family.
    ozone.emit("modEventTakedown", ANNA, record(&one), |_| {});
    ozone.emit("modEventReverseTakedown", ANNA, record(&one), |_| {});
    ozone.emit("modEventTakedown", ANNA, record(&two), |_| {});
    let taken = case_until(&running, &second, &bench.alpha, |case| case["state"] == "decided").await;
    assert_eq!(taken["decision"]["verdict"], "violating");
    let waits = running.get(&first, &bench.alpha).await;
    assert_eq!(
        waits["decision"]["verdict"], "violating",
        "the second was taken beside it"
    );
    let reversed = case_until(&running, &first, &bench.alpha, |case| {
        case["decision"]["verdict"] == "benign"
    })
    .await;
    assert_eq!(reversed["decision"]["recommended_action"], "keep");
    let decided = "tocsin_dispatcher_ozone_events_total{outcome=\"decided\"}";
    running.metric(decided, |count| count == 3.0).await;
    let failures = "tocsin_dispatcher_ozone_read_failures_total";
    running.metric(failures, |count| count == 0.0).await;
    running.stop().await;
}
