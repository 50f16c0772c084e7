//! Goal: actions made with the libraries that Osprey's senders use (json, msgpack, protobuf) are events here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tocsin_model::{PlatformId, Timestamp};

use crate::actions::config;
use crate::bench::{Bench, NOON, places};

const MAPPING: &str = r#"
sharing = "all"
account_key_file = "KEY"

[[action]]
name = "media_uploaded"
kind = "upload"
platform = "alpha-video"
time_at = "/created_at"
account_at = "/user/id"
[[action.hash]]
algorithm = "md5"
at = "/media/md5"

[[action]]
name = "hash_matcher_icon_matched"
kind = "report"
platform = "alpha-chat"
time_at = "/timestamp"
account_at = "/user/id"
[[action.hash]]
algorithm = "md5"
at = "/md5"

[[action]]
name = "safety_visual_prediction"
kind = "report"
platform = "alpha-chat"
account_at = "/user_id"
[[action.hash]]
algorithm = "md5"
at = "/md5_hash"
"#;

#[test]
fn actions_of_other_libraries_are_events() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/checks/actions.py");
    let made = Command::new("python3").arg(script).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    if made.status.code() == Some(77) {
        eprintln!("skipped: {text}");
        return;
    }
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::with(&config(directory.path(), MAPPING));
    let mut forms = Vec::new();
    for line in text.lines() {
        let action: Value = serde_json::from_str(line).unwrap();
        let value = bytes(action["value"].as_str().unwrap());
        let encoding: Vec<(&str, &str)> = action["encoding"]
            .as_str()
            .map(|encoding| ("encoding", encoding))
            .into_iter()
            .collect();
        bench.read_from("tocsin.ingest.alpha", NOON + 1, Some(&value), &encoding);
        forms.push(action["form"].as_str().unwrap().to_owned());
    }
    let expected = [
        "worker",
        "coordinator",
        "coordinator, long",
        "proto, icon",
        "proto, prediction",
        "proto, blocked",
    ];
    assert_eq!(forms, expected);
    let (seen, rejects) = bench.judged();
    assert_eq!(places(&rejects), []);
    let offsets: Vec<u64> = seen.iter().map(|seen| seen.source.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4], "the last is mapped to nothing");
    assert!(
        seen.iter()
            .all(|one| one.occurred_at == Timestamp(NOON) && one.content == seen[0].content)
    );
    let platforms: Vec<PlatformId> = seen.iter().map(|seen| seen.platform).collect();
    let (video, chat) = (PlatformId(10), PlatformId(11));
    assert_eq!(platforms, [video, video, video, chat, chat]);
    let counted = bench.intake.take_counted();
    assert_eq!((counted.accepted, counted.actions_ignored), (5, 1));
    assert_eq!(counted.fields_absent, BTreeMap::new());
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = |index| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}
