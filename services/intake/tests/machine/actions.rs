//! Goal: a topic may carry Avro and all three forms of Osprey's actions; those that the mapping names are events, the rest is counted, and
//! what cannot be read is named by its code.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tocsin_intake::{IntakeConfig, TimeSource};
use tocsin_model::{Sharing, Timestamp};
use tocsin_wire::event::encode_single_object;
use tocsin_wire::osprey::{NewAction, encode_coordinator, encode_worker};

use crate::bench::{ALPHA, Bench, NOON, places, share};
use crate::osprey::write_mapping;

const MAPPING: &str = r#"
sharing = "coordinators"
account_key_file = "KEY"

[[action]]
name = "media_uploaded"
kind = "upload"
platform = "alpha-video"
time_at = "/created_at"
account_at = "/user/id"

[[action.hash]]
algorithm = "sha256"
at = "/media/sha256"
"#;

pub fn config(directory: &Path, mapping: &str) -> IntakeConfig {
    IntakeConfig {
        osprey_mappings: BTreeMap::from([("alpha".to_owned(), write_mapping(directory, mapping))]),
        ..IntakeConfig::default()
    }
}

fn action(id: u64, name: &'static str, data: Value) -> NewAction<'static> {
    let at = Timestamp(NOON);
    NewAction { id, name, at, data }
}

fn upload(user: &str) -> Value {
    json!({"created_at": NOON, "user": {"id": user}, "media": {"sha256": "ab".repeat(32)}})
}

#[test]
fn a_topic_carries_events_and_actions() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::with(&config(directory.path(), MAPPING));
    bench.read(NOON, Some(&encode_single_object(&share(1, 1, NOON))));
    bench.read(NOON, Some(&encode_worker(action(7, "media_uploaded", upload("u1")))));
    bench.read(
        NOON,
        Some(&encode_coordinator(action(8, "media_uploaded", upload("u2")))),
    );
    bench.read(NOON, Some(&encode_worker(action(9, "user_logged_in", json!({})))));
    // Retries of the second, in both forms: the same event.
    bench.read(
        NOON,
        Some(&encode_coordinator(action(7, "media_uploaded", upload("u1")))),
    );
    let anonymous = json!({"created_at": NOON, "media": {"sha256": "cd".repeat(32)}});
    bench.read(NOON, Some(&encode_worker(action(10, "media_uploaded", anonymous))));
    bench.read(
        NOON,
        Some(&encode_worker(action(
            11,
            "media_uploaded",
            json!({"created_at": NOON}),
        ))),
    );
    bench.read(NOON, Some(b"{\"send_time\": 1}"));
    bench.read(NOON, Some(b"\xa3abc"));
    bench.read(NOON, Some(b"\x93\x01\x02\x03"));
    let hollow = [("encoding", "proto")];
    bench.read_from("tocsin.ingest.alpha", NOON, Some(b"\x09\x01"), &hollow);
    // Another party has no mapping: an action is refused as it always was.
    let worker = encode_worker(action(7, "media_uploaded", upload("u1")));
    bench.read_from("tocsin.ingest.beta", NOON, Some(&worker), &[]);
    let (seen, rejects) = bench.judged();
    let offsets: Vec<u64> = seen.iter().map(|seen| seen.source.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 4, 5]);
    assert!(seen.iter().all(|seen| seen.party == ALPHA));
    assert_eq!(
        (seen[1].sharing, seen[1].occurred_at),
        (Sharing::Coordinators, Timestamp(NOON))
    );
    assert_eq!(seen[1].event_token, seen[3].event_token);
    assert_ne!(seen[1].event_token, seen[2].event_token);
    assert_eq!(seen[1].content, seen[2].content);
    let codes = [
        (6, 0, "nothing_mapped"),
        (7, 0, "malformed_json"),
        (8, 0, "malformed_json"),
        (9, 0, "malformed_action"),
        (10, 0, "malformed_action"),
        (11, 0, "unknown_framing"),
    ];
    assert_eq!(places(&rejects), codes);
    let counted = bench.intake.take_counted();
    assert_eq!((counted.accepted, counted.actions_ignored), (5, 1));
    assert_eq!(counted.fields_absent, BTreeMap::from([("account", 1)]));
}

#[test]
fn a_mapping_that_points_nowhere_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |mapping: &str| -> Vec<(String, String)> {
        let refusals = config(directory.path(), mapping).mapping_refusals().into_iter();
        refusals.map(|refusal| (refusal.key, refusal.reason)).collect()
    };
    assert_eq!(refused(MAPPING), []);
    for (wrong, part) in [
        (MAPPING.replace("/media/sha256", "media.sha256"), "JSON pointer"),
        (MAPPING.replace("sha256\"\nat", "sha3\"\nat"), "hash.algorithm"),
        (MAPPING.replace("account_key_file = \"KEY\"", ""), "account_key_file"),
        (
            MAPPING.replace("account_key_file = \"KEY\"", "account_key_file = \"/nowhere\""),
            "cannot be read",
        ),
        (MAPPING.replace("upload\"", "teleport\""), "a kind of event"),
        ("sharing = \"all\"".to_owned(), "no [[action]]"),
        ("sharing".to_owned(), "no mapping"),
    ] {
        let found = refused(&wrong);
        assert_eq!(found.len(), 1, "{wrong}");
        assert_eq!(found[0].0, "intake.osprey_mappings.alpha");
        assert!(found[0].1.contains(part), "{found:?}");
    }
    let absent = IntakeConfig {
        osprey_mappings: BTreeMap::from([("alpha".to_owned(), "/nowhere/mapping.toml".to_owned())]),
        time_source: TimeSource::Log,
        ..IntakeConfig::default()
    };
    assert!(absent.mapping_refusals()[0].reason.contains("cannot be read"));
    assert_eq!(absent.refusals(), [], "other roles and commands have no such file");
}
