//! Goal: over the real log, store and HTTP a party's own data about a case is sealed at once, outlives the case's events, is handed out to that party alone as an
//! archive that holds, and is gone when it ends; nothing of another party is in it.

mod copies;

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tocsin_dispatcher::DispatcherConfig;
use tocsin_evidence::{Act, Cut, PublicKey, Signer, Verified, Verifier};
use tocsin_model::{DeploymentKey, Event, Kind, Scope, Sharing};
use tocsin_store::Clock;

use crate::accounts::{ordered, path_of, upload};
use crate::bench::{Bench, Running, WAIT_MAX};
use crate::example::START;

fn config(bench: &Bench) -> DispatcherConfig {
    DispatcherConfig {
        undo_s: 0,
        sealed_store: sealed(bench).display().to_string(),
        ..DispatcherConfig::default()
    }
}

fn sealed(bench: &Bench) -> PathBuf {
    bench.directory.path().join("sealed")
}

fn key() -> PublicKey {
    Signer::from_seed(&DeploymentKey::from_bytes([7; 32]).evidence_seed()).public()
}

fn basis(kind: &str) -> Value {
    json!({ "basis": kind, "text": "an investigation of an attack", "reference": "AZ 12" })
}

/// Waits until a preservation has come so far.
async fn until_state(running: &Running, (path, key_text): (&str, &str), state: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        let told = running.get(path, key_text).await;
        if told["state"] == state {
            return told;
        }
        assert!(began.elapsed() < WAIT_MAX, "{state}: {told}");
        tokio::task::yield_now().await;
    }
}

/// The files of an archive by their names, once it is believed.
struct Archive {
    verified: Verified,
    bytes: Vec<u8>,
    files: BTreeMap<String, String>,
}

impl Archive {
    fn lines(&self, name: &str) -> Vec<Value> {
        let lines = self.files[name].lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn export(running: &Running, path: &str, key_text: &str) -> Archive {
    let request = running.client.post(format!("{}{path}/export", running.address));
    let response = request
        .bearer_auth(key_text)
        .json(&basis("investigation"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/x-tar");
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let bytes = response.bytes().await.unwrap().to_vec();
    assert_eq!(bytes.len(), length);
    let mut verifier = Verifier::new(key());
    verifier.take(&bytes).unwrap();
    let verified = verifier.finish().unwrap();
    let (mut files, mut at) = (BTreeMap::new(), 0);
    while let Some((name, length)) = tocsin_evidence::archive::read_header(bytes[at..at + 512].try_into().unwrap()) {
        let (begins, length) = (at + 512, length as usize);
        let text = String::from_utf8(bytes[begins..begins + length].to_vec()).unwrap();
        files.insert(name, text);
        at = begins + length.next_multiple_of(512);
    }
    Archive { verified, bytes, files }
}

/// Some of alpha's and beta's events about a family, and alpha's case of it.
async fn family(bench: &Bench, running: &Running) -> String {
    let [one, two] = ordered([11, 12]);
    for event in [
        upload(1, "alpha-video", one, Some(0xa1)),
        upload(2, "alpha-video", two, Some(0xa2)),
        Event {
            kind: Kind::Share,
            sharing: Sharing::Party,
            ..upload(3, "alpha-video", one, None)
        },
        // Of no member, and of another party's platform.
        upload(4, "alpha-video", 13, Some(0xa3)),
        upload(5, "beta-chat", one, Some(0xa4)),
    ] {
        bench.upload("alpha", &event);
    }
    bench.upload("beta", &upload(6, "beta-chat", one, Some(0xb1)));
    bench.says((two, one), tocsin_model::Class::All, 1);
    bench.rings(&[one], Scope::All);
    path_of(running, &bench.alpha, one).await
}

async fn preserve(running: &Running, case: &str, key_text: &str) -> String {
    let placed = running
        .post(&format!("{case}/preservations"), key_text, basis("investigation"))
        .await;
    format!("/v1/preservations/{}", placed["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_gets_what_was_sealed_of_its_own_and_nobody_gets_what_is_of_others() {
    let bench = Bench::new().await;
    let running = bench.start_with(config(&bench)).await;
    let case = family(&bench, &running).await;
    let path = preserve(&running, &case, &bench.alpha).await;
    let told = until_state(&running, (&path, &bench.alpha), "sealed").await;
    assert_eq!(
        (told["copy"]["events"].as_u64(), told["copy"]["cut"].as_bool()),
        (Some(3), Some(false))
    );
    assert_eq!(told["public_key"], hex::encode(key().0));

    let archive = export(&running, &path, &bench.alpha).await;
    let events = archive.lines("events.jsonl");
    let mut kinds: Vec<(&str, &str)> = events
        .iter()
        .map(|line| {
            (
                line["event"]["platform"].as_str().unwrap(),
                line["event"]["kind"].as_str().unwrap(),
            )
        })
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("alpha-video", "share"),
            ("alpha-video", "upload"),
            ("alpha-video", "upload")
        ]
    );
    for line in &events {
        // It is the event as it was sent.
        let event = tocsin_wire::event::from_json(line["event"].to_string().as_bytes()).unwrap();
        assert!((1..=3).contains(&u128::from_be_bytes(event.event_id.0)));
    }
    assert_eq!(archive.lines("members.jsonl").len(), 2);
    let id = case.rsplit('/').next().unwrap();
    assert_eq!(archive.lines("case.json")[0]["id"], id);
    assert_eq!(archive.verified.manifest.case, id);
    let keys = &archive.lines("keys.json")[0];
    assert_eq!(keys["account_epochs"]["by_platform"], json!({ "alpha-video": [3] }));
    let acts: Vec<Act> = archive.verified.custody.iter().map(|entry| entry.act).collect();
    assert_eq!(acts, [Act::Placed, Act::Sealed, Act::Exported]);
    assert_eq!(archive.verified.export.basis.reference, "AZ 12");
    // Neither the deployment's key nor anything of beta's.
    let whole: String = archive.files.values().map(String::as_str).collect();
    for secret in [
        hex::encode([7_u8; 32]),
        hex::encode([0xb1_u8; 16]),
        hex::encode([0xa4_u8; 16]),
    ] {
        assert!(!whole.contains(&secret), "{secret}");
    }
    // A changed byte in the middle is found by whoever has the key.
    let mut changed = archive.bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert!(Verifier::new(key()).take(&changed).is_err());

    // Others: as if there were none.
    let unknown = (404, "preservation_unknown");
    let reason = Some(json!({ "reason": "why" }));
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::POST, format!("{path}/extend"), reason.clone()),
        (Method::POST, format!("{path}/release"), reason),
        (Method::POST, format!("{path}/export"), Some(basis("investigation"))),
    ] {
        running
            .refused(method.clone(), &path, &bench.beta, body.clone(), unknown)
            .await;
        for key_text in [&bench.coordinators, &bench.operator] {
            let (status, _) = running.send(method.clone(), &path, key_text, body.clone()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let of_case = format!("{case}/preservations");
    let unseen = (404, "case_unknown");
    running
        .refused(Method::POST, &of_case, &bench.beta, Some(basis("review")), unseen)
        .await;
    let list = running.get("/v1/preservations", &bench.beta).await;
    assert_eq!(list["preservations"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_sealed_by_itself_and_what_ends_is_deleted() {
    let clock = Clock::standing_at(START);
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start_with(config(&bench)).await;
    let case = family(&bench, &running).await;
    let received = tocsin_wire::document::instant(START).unwrap();
    let order = json!({
        "kind": "removal_order", "authority": "Bundeskriminalamt", "reference": "A-1", "case": case.rsplit('/').next().unwrap(),
        "received_at": received, "statement": "incites to an attack",
    });
    running.post("/v1/notices", &bench.alpha, order).await;
    let list = running.get("/v1/preservations", &bench.alpha).await;
    let [only] = &list["preservations"].as_array().unwrap()[..] else {
        panic!("{list}")
    };
    assert_eq!(
        (only["basis"].as_str(), only["origin"].as_str()),
        (Some("removal_order"), Some("notice"))
    );
    let path = format!("/v1/preservations/{}", only["id"].as_str().unwrap());
    let told = until_state(&running, (&path, &bench.alpha), "sealed").await;
    let release = format!("{path}/release");
    let reason = json!({ "reason": "it is answered" });
    running
        .refused(
            Method::POST,
            &release,
            &bench.alpha,
            Some(reason.clone()),
            (409, "preservation_required"),
        )
        .await;
    let archive = export(&running, &path, &bench.alpha).await;
    assert_eq!(archive.lines("notices.jsonl")[0]["reference"], "A-1");
    assert!(
        archive
            .lines("steps.jsonl")
            .iter()
            .any(|step| step["kind"] == "notice_filed")
    );

    let directory = sealed(&bench).join(path.rsplit('/').next().unwrap());
    assert!(directory.join("events.jsonl").exists());
    let until = tocsin_wire::document::parse_instant(told["until"].as_str().unwrap()).unwrap();
    clock.advance(tocsin_model::Milliseconds(until.0 - START.0));
    let over = until_state(&running, (&path, &bench.alpha), "deleted").await;
    assert!(!directory.exists());
    let acts: Vec<&str> = over["custody"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["act"].as_str().unwrap())
        .collect();
    assert_eq!(acts, ["placed", "sealed", "exported", "expired", "deleted"]);
    let refused = (409, "preservation_ended");
    running
        .refused(
            Method::POST,
            &format!("{path}/export"),
            &bench.alpha,
            Some(basis("review")),
            refused,
        )
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sealed_store_people_are_refused_and_orders_wait_for_one() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let case = family(&bench, &running).await;
    let of_case = format!("{case}/preservations");
    let missing = (501, "sealed_store_missing");
    running
        .refused(Method::POST, &of_case, &bench.alpha, Some(basis("review")), missing)
        .await;
    let now = tocsin_wire::document::instant(bench.store.time().await.unwrap()).unwrap();
    let order = json!({
        "kind": "removal_order", "authority": "Bundeskriminalamt", "reference": "A-1", "case": case.rsplit('/').next().unwrap(),
        "received_at": now,
    });
    running.post("/v1/notices", &bench.alpha, order).await;
    running
        .metric("tocsin_dispatcher_preservations{state=\"waiting\"}", |count| {
            count == 1.0
        })
        .await;
    let list = running.get("/v1/preservations?state=waiting", &bench.alpha).await;
    let path = format!("/v1/preservations/{}", list["preservations"][0]["id"].as_str().unwrap());
    running.stop().await;
    // Once there is one, it is made up for.
    let running = bench.start_with(config(&bench)).await;
    until_state(&running, (&path, &bench.alpha), "sealed").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_a_problem_and_changes_nothing() {
    let bench = Bench::new().await;
    let running = bench.start_with(config(&bench)).await;
    let case = family(&bench, &running).await;
    let path = preserve(&running, &case, &bench.alpha).await;
    until_state(&running, (&path, &bench.alpha), "sealed").await;
    let of_case = format!("{case}/preservations");
    let with = |name: &str, value: Value| {
        let mut body = basis("review");
        body[name] = value;
        body
    };
    let (extend, release, export) = (
        format!("{path}/extend"),
        format!("{path}/release"),
        format!("{path}/export"),
    );
    for (path, body, refused) in [
        (&of_case, with("basis", json!("because")), (400, "invalid_body")),
        (&of_case, with("more", json!(1)), (400, "invalid_body")),
        (&of_case, with("text", json!(" ")), (422, "preservation_basis")),
        (&export, with("reference", json!("")), (422, "preservation_basis")),
        (&export, json!({}), (400, "invalid_body")),
        (&extend, json!({ "reason": "" }), (422, "preservation_reason")),
        (
            &extend,
            json!({ "reason": "r", "until": "tomorrow" }),
            (400, "invalid_body"),
        ),
        (
            &extend,
            json!({ "reason": "r", "until": "2020-01-01T00:00:00Z" }),
            (422, "preservation_until"),
        ),
        (
            &extend,
            json!({ "reason": "r", "until": "9999-12-31T23:59:59Z" }),
            (422, "preservation_until"),
        ),
        (&release, json!({ "reason": "a\u{0}" }), (422, "preservation_reason")),
    ] {
        running
            .refused(Method::POST, path, &bench.alpha, Some(body), refused)
            .await;
    }
    for (query, refused) in [
        ("state=gone", (400, "invalid_parameter")),
        ("limit=0", (400, "invalid_parameter")),
        ("after=1", (400, "invalid_parameter")),
        ("case=x", (400, "invalid_parameter")),
        ("more=1", (400, "invalid_parameter")),
    ] {
        let path = format!("/v1/preservations?{query}");
        running.refused(Method::GET, &path, &bench.alpha, None, refused).await;
    }
    let odd = "/v1/preservations/none";
    running
        .refused(Method::GET, odd, &bench.alpha, None, (404, "preservation_unknown"))
        .await;
    let told = running.get(&path, &bench.alpha).await;
    assert_eq!(
        (told["extensions"].as_u64(), told["exports"].as_u64()),
        (Some(0), Some(0))
    );
    let extended = running
        .post(&extend, &bench.alpha, json!({ "reason": "it goes on" }))
        .await;
    assert!(extended["until"].as_str() > told["until"].as_str());
    running
        .post(&release, &bench.alpha, json!({ "reason": "it is over" }))
        .await;
    until_state(&running, (&path, &bench.alpha), "deleted").await;
    running.stop().await;
}
