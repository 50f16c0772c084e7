//! Goal: a crisis from its case to its conclusion over HTTP: each criterion stands with its evidence in the reader's own scope, people act with what
//! criteria said kept beside it, participants are told and answer, and who is not to know learns nothing.

use axum::http::Method;
use base64::Engine as _;
use serde_json::{Value, json};
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{Alert, AlertLevel, Class, ContentId, FamilyId, Scope, Timestamp};
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

pub fn declaration(title: &str) -> Value {
    json!({"title": title, "protocol": "crisis", "protocol_version": 1})
}

/// Declares an incident as the coordinators, with these fields beside its title; what is answered, and where the incident is.
pub async fn declare(bench: &Bench, running: &Running, title: &str, more: &[(&str, Value)]) -> (Value, String) {
    let mut asked = declaration(title);
    for (name, value) in more {
        asked[*name] = value.clone();
    }
    let declared = running.post("/v1/incidents", &bench.coordinators, asked).await;
    let id = declared["id"].as_str().unwrap_or_else(|| panic!("{declared}"));
    let path = format!("/v1/incidents/{id}");
    (declared, path)
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
    let title = "An attack <b>in the north</b>";
    let (declared, path) = declare(&bench, &running, title, &[("case", case.clone())]).await;
    assert_eq!(declared["families"][0]["family"], content.to_string());
    assert_eq!(
        (&declared["phase"], &declared["level"]),
        (&json!("declared"), &Value::Null)
    );
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

    packs(&bench, &running, &path).await;
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
        "pack_made",
        "pack_withdrawn",
        "noted",
        "concluded",
    ];
    assert_eq!(all, expected);
    assert_eq!(entries[5]["shown"]["result"], "met", "{}", entries[5]);
    assert_eq!(
        entries[5]["shown"]["met"],
        json!(["accelerates", "spreads", "will_be_much"])
    );
    assert_eq!(entries[11]["shown"]["result"], "not_met");
    // The reader is another key of the coordinators: the red note is not for it.
    let (without, _) = kinds(&bench.reader).await;
    assert_eq!(without.len(), expected.len() - 1);
    debrief(&bench, &running, &path).await;
    running.stop().await;
}

/// The debrief of the crisis above: figures with bounds for coordinators, delays, what stayed open; and a page in which nothing runs.
async fn debrief(bench: &Bench, running: &Running, path: &str) {
    let path = format!("{path}/debrief");
    let debrief = running.get(&path, &bench.coordinators).await;
    let turn = &debrief["course"][1];
    assert_eq!(
        (&turn["kind"], &turn["level"], &turn["criteria"]),
        (&json!("activated"), &json!("awareness"), &json!("met"))
    );
    let figure = named(&turn["figures"], "spread_1h");
    assert_eq!((&figure["low"], &figure["high"]), (&json!(198), &json!(202)));
    let delays = debrief["delays"].as_array().unwrap();
    let done = |step: &str, team: &str| {
        let found = delays
            .iter()
            .find(|delay| delay["step"] == step && delay["team"] == team);
        found.unwrap_or_else(|| panic!("no {step} of {team}"))["took_s"].is_number()
    };
    assert!(done("activation", "coordinators") && done("acknowledgement", "alpha") && done("part", "alpha"));
    assert!(!done("task", "coordinators"));
    assert_eq!(debrief["overturned"][0]["kind"], "pack_withdrawn");
    let open = |kind: &str| {
        debrief["open"]
            .as_array()
            .unwrap()
            .iter()
            .any(|open| open["kind"] == kind)
    };
    assert!(
        open("question") && open("task") && open("against_criteria") && !open("invitation"),
        "{}",
        debrief["open"]
    );
    assert!(debrief["how"].as_array().unwrap().len() > 3);

    let theirs = running.get(&path, &bench.alpha).await;
    let turn = &theirs["course"][1];
    let said = (&turn["figures"], &turn["criteria"], &turn["met"]);
    assert_eq!(
        said,
        (&json!([]), &Value::Null, &json!([])),
        "what criteria said in the coordinators' scope is theirs"
    );
    let against = theirs["open"]
        .as_array()
        .unwrap()
        .iter()
        .find(|open| open["kind"] == "against_criteria");
    assert_eq!(against, None);
    let timeline = running.get(&path.replace("debrief", "timeline"), &bench.alpha).await;
    let entries = timeline["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["shown"].is_null()), "{timeline}");
    let beta = (404, "incident_unknown");
    running.refused(Method::GET, &path, &bench.beta, None, beta).await;
    let pdf = (400, "invalid_parameter");
    running
        .refused(Method::GET, &format!("{path}?form=pdf"), &bench.alpha, None, pdf)
        .await;

    let page = running.client.get(format!("{}{path}?form=html", running.address));
    let page = page.bearer_auth(&bench.coordinators).send().await.unwrap();
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let page = page.text().await.unwrap();
    assert!(page.contains("An attack &lt;b&gt;in the north&lt;/b&gt;") && page.contains("spread_1h"));
    for foreign in ["<b>", "<script", "src=", "href=", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// Packs are signed, the same under one key, and withdrawn by a tombstone.
async fn packs(bench: &Bench, running: &Running, path: &str) {
    let made = running
        .post(&format!("{path}/packs"), &bench.coordinators, json!({}))
        .await;
    assert_eq!(made["packs"][0]["number"], 1);
    let fetch = async |form: &str| {
        let request = running
            .client
            .get(format!("{}{path}/packs/1?form={form}", running.address));
        let response = request.bearer_auth(&bench.alpha).send().await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let (status, signature, key) = (
            response.status(),
            header("tocsin-signature"),
            header("tocsin-signing-key"),
        );
        let body = response.bytes().await.unwrap();
        if status == 200 {
            let key = hex::decode(key.unwrap()).unwrap();
            let signature = base64::engine::general_purpose::STANDARD
                .decode(signature.unwrap())
                .unwrap();
            let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
            key.verify(&body, &signature).unwrap();
        }
        (status.as_u16(), body)
    };
    let (_, manifest) = fetch("manifest").await;
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        (&manifest["scope"], &manifest["hashes"][0]["value"]),
        (&json!("all"), &json!("09".repeat(32)))
    );
    assert_eq!(fetch("local_file").await.0, 200);
    running
        .refused(
            Method::GET,
            &format!("{path}/packs/1"),
            &bench.beta,
            None,
            (404, "incident_unknown"),
        )
        .await;
    for (pack, expected) in [
        ("packs/2", (404, "pack_unknown")),
        ("packs/x", (404, "pack_unknown")),
        ("packs/1?form=csv", (400, "invalid_parameter")),
    ] {
        let pack = format!("{path}/{pack}");
        running.refused(Method::GET, &pack, &bench.alpha, None, expected).await;
    }
    let withdraw = json!({"number": 1, "reason": "it is another's"});
    running
        .post(&format!("{path}/packs/withdraw"), &bench.coordinators, withdraw)
        .await;
    assert_eq!(fetch("local_file").await.0, 410);
    let (_, stix) = fetch("stix").await;
    let stix: Value = serde_json::from_slice(&stix).unwrap();
    assert_eq!(stix["objects"][1]["revoked"], true);
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
    let families = [("families", json!([second.to_string()]))];
    let (_, path) = declare(&bench, &running, "Two", &families).await;
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
async fn an_incident_goes_on_where_its_family_went() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let (coordinators, alpha) = (bench.coordinators.as_str(), bench.alpha.as_str());
    // A variant that spreads by itself, and the family that coordinators alone know it to belong to.
    let (variant, _) = spread(&bench, 8, 100);
    let (content, _) = spread(&bench, 9, 200);
    let families = [("families", json!([variant.to_string()]))];
    let (_, path) = declare(&bench, &running, "An attack", &families).await;
    let at = |step: &str| format!("{path}/{step}");
    let invitation = json!({"party": "alpha", "class": "platforms", "message": "Please look."});
    running.post(&at("participants"), coordinators, invitation).await;
    running.post(&at("acknowledge"), alpha, json!({})).await;
    let spread_1h = |family: &Value| {
        let figure = named(&family["figures"], "spread_1h");
        figure["low"].as_f64()
    };
    page(&running, &path, coordinators, |family| spread_1h(family) == Some(98.0)).await;

    bench.announce((variant.0, content.0), Class::Coordinators, 1);
    let read = page(&running, &path, coordinators, |family| spread_1h(family) == Some(296.0)).await;
    let families = read["standing"]["families"].as_array().unwrap();
    assert_eq!(families.len(), 1);
    assert_eq!(
        (&families[0]["family"], &families[0]["attached"]),
        (&json!(content.to_string()), &json!([variant.to_string()]))
    );
    let read = page(&running, &path, alpha, |family| spread_1h(family) == Some(98.0)).await;
    assert!(
        !read.to_string().contains(&content.to_string()),
        "alpha is not to know: {read}"
    );

    running.post(&at("packs"), coordinators, json!({})).await;
    for (key, expected) in [(coordinators, vec![variant, content]), (alpha, vec![variant])] {
        let pack = running.get(&at("packs/1"), key).await;
        let packed = pack["hashes"].as_array().unwrap().iter();
        let mut packed: Vec<&str> = packed.map(|hash| hash["family"].as_str().unwrap()).collect();
        packed.sort_unstable();
        let mut expected: Vec<String> = expected.iter().map(ContentId::to_string).collect();
        expected.sort_unstable();
        assert_eq!(packed, expected);
    }

    // The variant is hot no more: where it belongs was said, and nothing takes it back.
    bench.withdraw(variant.0, Class::Coordinators);
    running
        .metric("tocsin_dispatcher_carrying_contents", |contents| contents == 0.0)
        .await;
    page(&running, &path, coordinators, |family| {
        family["family"] == content.to_string() && spread_1h(family) == Some(296.0)
    })
    .await;
    running.stop().await;
}
