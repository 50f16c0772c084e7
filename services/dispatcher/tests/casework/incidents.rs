//! Goal: a crisis from its case to its conclusion over HTTP: each criterion stands with its evidence in the reader's own scope, people act with what
//! criteria said kept beside it, participants are told and answer, and who is not to know learns nothing.

use axum::http::Method;
use serde_json::{Value, json};
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{Alert, AlertLevel, ContentId, FamilyId, Scope, Timestamp};
use tocsin_wire::state::StateKey;
use tocsin_wire::topics;

use crate::bench::{Bench, Running, alert, until};
use crate::deliveries::{loopback, webhook};
use crate::ranking::{spreading, state};
use crate::receiver::Receiver;

/// Tells the state of a content that spreads, and the time of every partition.
fn spread(bench: &Bench, byte: u8, copies: u64) -> (ContentId, Timestamp) {
    let (content, key, value, now) = spreading(byte, copies);
    let own = u32::from(content.group().0) * 4 / u32::from(tocsin_model::KEY_GROUPS);
    let record = |partition: u32, key: StateKey, value: Vec<u8>| Append {
        to: TopicPartition::new(topics::STATE, partition),
        key: Some(key.to_bytes().into()),
        value: Some(value.into()),
        headers: Vec::new(),
    };
    let header = |partition| record(partition, StateKey::Header { partition }, state(now, Vec::new()));
    bench.append_all(vec![record(own, key, value)]);
    bench.append_all((0..4).map(header).collect());
    (content, now)
}

fn declaration(title: &str) -> Value {
    json!({"title": title, "protocol": "crisis", "protocol_version": 1})
}

/// The page, once its first family is as wanted.
async fn page(running: &Running, path: &str, key: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = std::time::Instant::now();
    loop {
        let page = running.get(path, key).await;
        if wanted(&page["standing"]["families"][0]) {
            return page;
        }
        assert!(began.elapsed() < crate::bench::WAIT_MAX, "{page:#}");
    }
}

fn named<'a>(of: &'a Value, name: &str) -> &'a Value {
    let found = of.as_array().unwrap().iter().find(|of| of["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {of}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crisis_from_its_case_to_its_conclusion() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench
        .add(&webhook("of-alpha", bench.team("alpha").await, &receiver.url))
        .await;
    let running = bench.start_with(loopback()).await;
    let (coordinators, alpha, beta) = (bench.coordinators.as_str(), bench.alpha.as_str(), bench.beta.as_str());
    let (content, now) = spread(&bench, 9, 200);
    bench.ring(&[Alert {
        family: FamilyId(content),
        ..alert(1, Scope::All, AlertLevel::Raised, 1.0)
    }]);
    let case = running.queue_of(1, coordinators).await[0]["id"].clone();
    let mut asked = declaration("An attack in the north");
    asked["case"] = case.clone();
    let declared = running.post("/v1/incidents", coordinators, asked).await;
    assert_eq!(declared["families"][0]["family"], content.to_string());
    assert_eq!(
        (&declared["phase"], &declared["level"]),
        (&json!("declared"), &Value::Null)
    );
    let path = format!("/v1/incidents/{}", declared["id"].as_str().unwrap());
    let at = |step: &str| format!("{path}/{step}");

    // Criteria over figures are decided, those over questions wait for people.
    let read = page(&running, &path, coordinators, |family| family["hot"] == true).await;
    let family = &read["standing"]["families"][0];
    let spreads = named(&family["criteria"], "spreads");
    assert_eq!(spreads["result"], "met", "{spreads}");
    let evidence = named(&spreads["findings"][0]["figures"], "spread_1h");
    // 198 were counted exactly, at most two before, and at most two are hidden in the class of the coordinators, which is not hot.
    assert_eq!(
        (evidence["low"].as_f64(), evidence["high"].as_f64()),
        (Some(198.0), Some(202.0))
    );
    assert_eq!(family["as_of"], tocsin_wire::document::instant(now).unwrap());
    assert_eq!(family["platforms"][0]["spread_1h"], 198);
    assert_eq!(family["clocks"]["case"], case);
    assert_eq!(named(&family["levels"], "awareness")["result"], "unknown");
    assert_eq!(read["standing"]["proposed_level"], Value::Null);
    for (question, answer) in [("depicts_the_violence", true), ("is_reporting", false)] {
        let answer = json!({"question": question, "answer": answer, "reason": "I looked"});
        running.post(&at("answers"), coordinators, answer).await;
    }
    let read = running.get(&path, coordinators).await;
    // Two signs of five are met, which is what the second level takes.
    assert_eq!(read["standing"]["proposed_level"], "response", "{read:#}");

    // Nobody else knows of it before they are invited.
    for key in [alpha, beta] {
        for refused in [path.clone(), at("timeline")] {
            running
                .refused(Method::GET, &refused, key, None, (404, "incident_unknown"))
                .await;
        }
        assert_eq!(running.get("/v1/incidents", key).await["incidents"], json!([]));
    }
    let invitation = json!({"party": "alpha", "class": "platforms", "message": "Please look."});
    running.post(&at("participants"), coordinators, invitation).await;
    let activate = json!({"level": "awareness", "reason": "it spreads"});
    let active = running.post(&at("activate"), coordinators, activate).await;
    assert_eq!(
        (&active["level"], &active["tasks"][0]["role"]),
        (&json!("awareness"), &json!("coordinator"))
    );
    running.post(&at("acknowledge"), alpha, json!({})).await;
    running.post(&at("tasks/part"), alpha, json!({"number": 1})).await;
    until("the invitation and the activation", || receiver.count() == 3).await;
    let came = receiver.came();
    let told: Vec<_> = came
        .iter()
        .filter(|came| came.header("ce-type").starts_with("tocsin.incident."))
        .map(|came| {
            assert_eq!(format!("/v1/incidents/{}", came.header("ce-subject")), path);
            assert_eq!(came.json()["tlp"], "TLP:AMBER");
            (came.header("ce-type"), came.json()["says"].clone())
        })
        .collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&("tocsin.incident.invited".to_owned(), json!("Please look."))));
    assert!(told.contains(&("tocsin.incident.activated".to_owned(), json!("it spreads"))));

    // A party reads its own scope, in which it has no case of its own and no answer of its own.
    let theirs = page(&running, &path, alpha, |family| family["hot"] == true).await;
    assert_eq!(theirs["standing"]["scope"], "party");
    running
        .refused(Method::GET, &path, beta, None, (404, "incident_unknown"))
        .await;

    let red = json!({"text": "A name.", "marking": {"tlp": "RED", "recipients": [active["declared_by"]]}});
    running.post(&at("notes"), alpha, red).await;
    let conclude = json!({"reason": "it is rare"});
    let concluded = running.post(&at("conclude"), coordinators, conclude).await;
    assert_eq!(concluded["phase"], "concluded");
    let kinds = async |key: &str| {
        let timeline = running.get(&at("timeline"), key).await;
        let entries = timeline["entries"].as_array().unwrap().clone();
        let kinds = entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned());
        (kinds.collect::<Vec<_>>(), entries)
    };
    let (all, entries) = kinds(coordinators).await;
    let expected = [
        "declared",
        "attached",
        "answered",
        "answered",
        "invited",
        "activated",
        "acknowledged",
        "part_done",
        "noted",
        "concluded",
    ];
    assert_eq!(all, expected);
    assert_eq!(entries[5]["shown"]["result"], "met", "{}", entries[5]);
    assert_eq!(
        entries[5]["shown"]["met"],
        json!(["accelerates", "spreads", "will_be_much"])
    );
    assert_eq!(entries[9]["shown"]["result"], "not_met");
    // The reader is another key of the coordinators: the red note is not for it.
    let (without, _) = kinds(&bench.reader).await;
    assert_eq!(without.len(), expected.len() - 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_that_was_left_out_is_found_when_it_is_attached() {
    let bench = Bench::new().await;
    // No case, and room for one record of a family without: the first is gone when the second came.
    let running = bench
        .start_with(tocsin_dispatcher::DispatcherConfig {
            ranked_records_max: 1,
            ..loopback()
        })
        .await;
    let (first, _) = spread(&bench, 9, 200);
    let (second, _) = spread(&bench, 8, 200);
    let coordinators = bench.coordinators.as_str();
    let mut asked = declaration("Two");
    asked["families"] = json!([second.to_string()]);
    let both = running.post("/v1/incidents", coordinators, asked).await;
    let path = format!("/v1/incidents/{}", both["id"].as_str().unwrap());
    page(&running, &path, coordinators, |family| family["hot"] == true).await;
    let detach = json!({"family": second.to_string(), "reason": "another one"});
    running
        .post(&format!("{path}/families/remove"), coordinators, detach)
        .await;
    let attach = json!({"family": first.to_string()});
    running.post(&format!("{path}/families"), coordinators, attach).await;
    page(&running, &path, coordinators, |family| {
        family["hot"] == true && family["family"] == first.to_string()
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_has_its_code_and_changes_nothing() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let (coordinators, alpha) = (bench.coordinators.as_str(), bench.alpha.as_str());
    let declared = running
        .post("/v1/incidents", coordinators, declaration("An attack"))
        .await;
    let path = format!("/v1/incidents/{}", declared["id"].as_str().unwrap());
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
