//! Goal: an operator gives a checkpoint away, and by it whoever holds it finds what was changed later. The command's own words.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use sqlx::{Connection as _, Executor as _, SqliteConnection};

fn tocsin(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    command.arg("--data-dir").arg(directory).args(arguments);
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn what_is_changed_behind_a_checkpoint_is_found_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(
        tocsin(path, &["party", "add", "north", "--platform", "north-video"])
            .status
            .success()
    );
    let added = tocsin(path, &["key", "add", "--coordinators", "--role", "auditor"]);
    assert!(added.status.success(), "{}", told(&added));
    let checkpoint = tocsin(path, &["audit", "checkpoint"]);
    assert!(checkpoint.status.success(), "{}", told(&checkpoint));
    let file = path.join("checkpoint.json");
    std::fs::write(&file, &checkpoint.stdout).unwrap();
    let file = file.to_str().unwrap();
    let verified = tocsin(path, &["audit", "verify", "--checkpoint", file]);
    assert!(verified.status.success(), "{}", told(&verified));
    assert!(told(&verified).contains("The chains are those of the checkpoints."));
    let alone = tocsin(path, &["audit", "verify"]);
    assert!(
        alone.status.success() && told(&alone).contains("no checkpoint was given"),
        "{}",
        told(&alone)
    );

    // Another's key did not sign it, and a checkpoint that was changed nobody signed.
    let other = "ab".repeat(32);
    let refused = tocsin(path, &["audit", "verify", "--checkpoint", file, "--public-key", &other]);
    assert!(
        !refused.status.success() && told(&refused).contains("another key"),
        "{}",
        told(&refused)
    );
    let forged = String::from_utf8_lossy(&checkpoint.stdout).replacen("\"records\": 3", "\"records\": 2", 1);
    assert_ne!(forged.as_bytes(), checkpoint.stdout);
    let forged_file = path.join("forged.json");
    std::fs::write(&forged_file, forged).unwrap();
    let refused = tocsin(
        path,
        &["audit", "verify", "--checkpoint", forged_file.to_str().unwrap()],
    );
    assert!(
        !refused.status.success() && told(&refused).contains("not one of this checkpoint"),
        "{}",
        told(&refused)
    );

    // The end is cut off, and everything that says so with it.
    let url = format!("sqlite:{}", path.join("store.sqlite").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for sql in [
        "DELETE FROM audit_personal WHERE sequence = 2",
        "DELETE FROM audit_records WHERE sequence = 2",
        "UPDATE audit_chains SET records = 2, hash = (SELECT hash FROM audit_records WHERE sequence = 1)",
    ] {
        assert_eq!(connection.execute(sql).await.unwrap().rows_affected(), 1, "{sql}");
    }
    connection.close().await.unwrap();
    assert!(
        tocsin(path, &["audit", "verify"]).status.success(),
        "nothing is left to find it by"
    );
    let found = tocsin(path, &["audit", "verify", "--json", "--checkpoint", file]);
    assert!(!found.status.success());
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["holds"], false);
    assert_eq!(
        found["chains"][0]["fault"],
        "3 records are promised by a checkpoint, and there are 2"
    );
}
