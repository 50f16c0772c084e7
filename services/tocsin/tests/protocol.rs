//! Goal: a protocol is listed, checked and shown; and a family that spreads through a whole deployment is held to one, with the figures that the API tells.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tocsin::config::Config;
use tocsin::recorded::Recorded;
use tocsin::rehearsal::{Reader, Rehearsal};
use tocsin_model::{AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Sharing, Surface, Timestamp};

const START: i64 = 1_770_000_000_000;

fn tocsin(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tocsin"))
        .arg("protocol")
        .args(arguments)
        .env_remove("TOCSIN_URL")
        .current_dir(directory)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_is_shipped_is_listed_shown_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let list: Value = serde_json::from_str(&said(&tocsin(at, &["list", "--json"]))).unwrap();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["crisis", "perpetrator-content", "eu-crisis-protocol", "new-zealand"]
    );
    for name in names {
        assert!(said(&tocsin(at, &["list"])).contains(name));
        assert!(said(&tocsin(at, &["show", name])).contains("Questions that only people can answer"));
        std::fs::write(at.join("ours.toml"), said(&tocsin(at, &["show", name, "--toml"]))).unwrap();
        let checked = said(&tocsin(at, &["check", "ours.toml"]));
        assert!(
            checked.contains(&format!("is protocol {name}, version 1: levels ")),
            "{checked}"
        );
        assert_eq!(
            said(&tocsin(at, &["show", "ours.toml"])),
            said(&tocsin(at, &["show", name]))
        );
    }
    assert!(
        said(&tocsin(at, &["show", "new-zealand"])).contains(
            "severe: contained increased_monitoring, becoming_known increased_monitoring, viral online_crisis"
        )
    );
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let text = said(&tocsin(at, &["show", "crisis", "--toml"]));
    let wrong = text.replacen("spread_1h >= 30 copies and", "spread_1h >= 30 and", 1);
    std::fs::write(at.join("wrong.toml"), &wrong).unwrap();
    let output = tocsin(at, &["check", "wrong.toml"]);
    let line = wrong
        .lines()
        .position(|line| line.contains("spread_1h >= 30 and"))
        .unwrap()
        + 1;
    let expected = format!("wrong.toml:{line}:22: copies and a plain number cannot be compared; write `30 copies`\n");
    assert_eq!(
        (output.status.success(), String::from_utf8(output.stdout).unwrap()),
        (false, expected)
    );
    std::fs::write(at.join("large.toml"), "#".repeat(70_000)).unwrap();
    std::fs::write(at.join("bytes.toml"), [0xff, 0xfe]).unwrap();
    for (file, expected) in [
        ("large.toml", "65536 are allowed"),
        ("bytes.toml", "is no text"),
        ("none.toml", "open none.toml"),
    ] {
        let output = tocsin(at, &["check", file]);
        let told = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .concat();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}

/// 120 copies within two minutes by 60 accounts on two platforms; each fourth upload was blocked.
fn spread() -> Vec<Recorded> {
    let recorded = |number: u8| {
        let received_at = Timestamp(START + i64::from(number) * 1_000);
        let event = Event {
            event_id: EventId([number; 16]),
            platform: ["north", "south"][usize::from(number % 2)].parse().unwrap(),
            kind: if number % 4 == 3 {
                Kind::BlockedUpload
            } else {
                Kind::Upload
            },
            occurred_at: received_at,
            content: vec![ContentHash::from_bytes(Algorithm::Md5, vec![7; 16], None).unwrap()],
            same_as: Vec::new(),
            frames: Vec::new(),
            account: Some(AccountPseudonym([number % 60; 16])),
            account_epoch: 0,
            region: None,
            language: None,
            audience: None,
            surface: Surface::Feed,
            labels: Vec::new(),
            sharing: Sharing::All,
        };
        Recorded { received_at, event }
    };
    (1..=120).map(recorded).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_is_held_to_a_protocol() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_owned();
    let mut config = Config::default();
    config.log.data_dir = at.join("data");
    config.store.url = String::new();
    config.keys.deployment_key = "7".repeat(64);
    config.topics.sightings_partitions = Some(1);
    config.detector.promote_at = 1;
    config.detector.checkpoint_interval_s = 1;
    let mut rehearsal = Rehearsal::start(config, &["north", "south"]).await.unwrap();
    rehearsal.publish(&spread(), 20).await.unwrap();
    rehearsal.settle().await.unwrap();
    let source = rehearsal.source(Reader::Coordinators);
    let hash = "07".repeat(16);
    let query = [("algorithm", "md5"), ("value", hash.as_str())];
    let (status, family) = rehearsal.get(Reader::Coordinators, "/v1/lookup", &query).await.unwrap();
    assert_eq!((status, &family["state"]), (200, &Value::from("hot")), "{family}");
    std::fs::write(at.join("key"), source.key.as_deref().unwrap()).unwrap();
    let id = family["family"].as_str().unwrap().to_owned();
    let url = source.url.clone();

    let assess = async |more: &[&'static str]| {
        let (at, id, url, more) = (at.clone(), id.clone(), url.clone(), more.to_vec());
        let run = move || {
            let base = ["assess", "crisis", "--key-file", "key", "--family", &id, "--url", &url];
            tocsin(&at, &[&base[..], &more].concat())
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let unanswered: Value = serde_json::from_str(&said(&assess(&["--json"]).await)).unwrap();
    let result = |value: &Value, part: &str, name: &str| {
        let found = value[part]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["name"] == name);
        found.unwrap()["result"].as_str().unwrap().to_owned()
    };
    for (part, name, expected) in [
        ("criteria", "spreads", "met"),
        ("criteria", "on_several_platforms", "met"),
        ("criteria", "watched_live", "not_met"),
        ("criteria", "leaks_through", "unknown"),
        ("criteria", "has_become_rare", "not_met"),
        ("levels", "awareness", "unknown"),
        ("levels", "response", "unknown"),
    ] {
        assert_eq!(result(&unanswered, part, name), expected, "{name} in {unanswered:#}");
    }
    let figure = &unanswered["criteria"][0]["findings"][0]["figures"][0];
    assert_eq!(
        (&figure["name"], &figure["unit"]),
        (&"spread_1h".into(), &"copies".into())
    );
    let hour = family["windows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|window| window["window"] == "1h")
        .unwrap();
    assert_eq!(figure["low"].as_f64(), hour["spread"]["low"].as_f64());
    assert_eq!(figure["high"].as_f64(), hour["spread"]["high"].as_f64());
    assert_eq!(figure["as_of"], family["as_of"]);

    let yes = ["--answer", "depicts_the_violence=yes", "--answer", "is_reporting=no"];
    let answered: Value = serde_json::from_str(&said(&assess(&[&yes[..], &["--json"]].concat()).await)).unwrap();
    assert_eq!(result(&answered, "levels", "awareness"), "met");
    assert_eq!(result(&answered, "levels", "response"), "met");
    let text = said(&assess(&yes).await);
    for part in [
        "awareness: met. ",
        "a person said yes",
        "leak_through is not known: nothing of the family is on the watch list",
        "compared are ",
        "--answer violence_under_way=yes|no  Is violence in the real world under way",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let no: Value = serde_json::from_str(&said(
        &assess(&[
            "--json",
            "--answer",
            "violence_under_way=no",
            "--answer",
            "depicts_the_violence=no",
        ])
        .await,
    ))
    .unwrap();
    assert_eq!(result(&no, "levels", "awareness"), "not_met");
    let refused = assess(&["--answer", "unheard_of=yes"]).await;
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("asks no question unheard_of; it asks violence_under_way")
    );
    rehearsal.stop().await.unwrap();
}
