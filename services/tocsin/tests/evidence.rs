//! Goal: as its users do it: an order is filed with a running `tocsin up`, what it is about is sealed, an archive is written under a right of its own, anybody checks
//! it without asking, and whatever is changed in it is found. The commands' own words.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const WAIT_MAX: Duration = Duration::from_secs(120);
const URL: &str = "https://video.example/attack";

/// A deployment of one process. It ends with the test.
struct Up {
    child: Child,
    url: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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

impl Up {
    async fn start(directory: &Path) -> Up {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
        command
            .arg("--data-dir")
            .arg(directory)
            .args(["--listen", &address, "up"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let up = Up {
            child,
            url: format!("http://{address}"),
        };
        let began = Instant::now();
        loop {
            let ready = reqwest::get(format!("{}/readyz", up.url)).await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return up;
            }
            assert!(began.elapsed() < WAIT_MAX, "it is not ready");
            tokio::task::yield_now().await;
        }
    }

    async fn publish(&self, key: &str, number: u32) {
        let event = json!({
            "event_id": format!("00000000-0000-4000-8000-{number:012}"), "platform": "north-video", "kind": "upload",
            "occurred_at": now(), "content": [{"algorithm": "url", "value": URL}], "account": "00112233445566778899aabbccddeeff",
            "account_epoch": 1, "sharing": "party",
        });
        let sent = reqwest::Client::new().post(format!("{}/v1/events", self.url));
        let answer = sent.bearer_auth(key).json(&event).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    }
}

fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    tocsin_wire::document::instant(tocsin_model::Timestamp(since.as_millis() as i64)).unwrap()
}

fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{}", told(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_is_about_is_handed_out_as_an_archive_that_anybody_checks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for party in ["north", "south"] {
        let added = tocsin(path, &["party", "add", party, "--platform", &format!("{party}-video")]);
        assert!(added.status.success(), "{}", told(&added));
    }
    let key = |party: &str, role: &str| {
        let added = tocsin(path, &["key", "add", "--party", party, "--role", role]);
        assert!(added.status.success(), "{}", told(&added));
        String::from_utf8(added.stdout).unwrap().trim().to_owned()
    };
    let auditor = key("north", "auditor");
    let (publisher, moderator, other) = (
        key("north", "publisher"),
        key("north", "moderator"),
        key("south", "moderator"),
    );
    let file = |name: &str, text: &str| {
        let file = path.join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (moderator, other) = (file("moderator.key", &moderator), file("other.key", &other));
    let up = Up::start(path).await;
    for number in 1..=3 {
        up.publish(&publisher, number).await;
    }
    let api = ["--url", &up.url, "--key-file", &moderator, "--json"];
    let content = format!("url:{URL}");
    let received = now();
    let order = [
        "file",
        "removal_order",
        "--authority",
        "an authority",
        "--reference",
        "O-1",
        "--content",
        &content,
    ];
    let filed = [&["notice"][..], &api, &order, &["--received-at", &received]].concat();
    let case = document(&tocsin(path, &filed))["case"].as_str().unwrap().to_owned();

    let right = [
        "--basis",
        "investigation",
        "--reference",
        "Js 12/26",
        "--text",
        "an order of the court",
    ];
    let archive = path.join("evidence.tar");
    let out = archive.to_str().unwrap();
    let export = |key_file: &str, right: &[&str]| {
        let api = ["--url", &up.url, "--key-file", key_file, "--json"];
        tocsin(
            path,
            &[&["evidence", "export"][..], &api, &[&case], right, &["--out", out]].concat(),
        )
    };
    let refused = export(&other, &right);
    assert!(
        !refused.status.success() && told(&refused).contains("case_unknown"),
        "{}",
        told(&refused)
    );
    let nothing_said = ["--basis", "investigation", "--reference", "Js", "--text", " "];
    let refused = export(&moderator, &nothing_said);
    assert!(
        !refused.status.success() && told(&refused).contains("preservation_basis"),
        "{}",
        told(&refused)
    );
    assert!(!archive.exists(), "what was refused leaves no file");
    let exported = document(&export(&moderator, &right));
    assert_eq!(
        exported["manifest"]["basis"]["kind"], "removal_order",
        "by the order itself"
    );
    let files = exported["manifest"]["files"].as_array().unwrap();
    let events = files.iter().find(|file| file["name"] == "events.jsonl").unwrap();
    assert_eq!(events["records"], 3);

    let preservation = exported["export"]["preservation"].as_str().unwrap();
    let shown = document(&tocsin(
        path,
        &[&["evidence", "show"][..], &api, &[preservation]].concat(),
    ));
    let digits = shown["public_key"].as_str().unwrap();
    let audit = reqwest::Client::new().get(format!("{}/v1/audit?limit=500", up.url));
    let audit = audit.bearer_auth(&auditor).send().await.unwrap().text().await.unwrap();
    drop(up);
    // Nobody is asked.
    let verify = |key: &str| tocsin(path, &["evidence", "verify", out, "--public-key", key]);
    let held = verify(digits);
    assert!(
        held.status.success() && told(&held).contains("The archive holds"),
        "{}",
        told(&held)
    );
    // The audit chain, which others hold checkpoints of, says where the custody ended.
    let end = told(&held)
        .lines()
        .find_map(|line| line.strip_prefix("In the audit chain its end is: ").map(str::to_owned));
    assert!(audit.contains(&end.unwrap()), "{audit}");
    assert!(
        told(&held).contains("investigation, Js 12/26, an order of the court"),
        "{}",
        told(&held)
    );
    assert!(!verify(&"ab".repeat(32)).status.success());
    // Itself is where it ended; what is no archive is none to go on from.
    let from = |earlier: &str| {
        tocsin(
            path,
            &["evidence", "verify", out, "--public-key", digits, "--earlier", earlier],
        )
    };
    assert!(from(out).status.success());
    let none = from(&moderator);
    assert!(
        !none.status.success() && told(&none).contains("moderator.key does not hold"),
        "{}",
        told(&none)
    );
    let listed = Command::new("tar").arg("tf").arg(&archive).output().unwrap();
    assert!(listed.status.success(), "{}", told(&listed));
    let names = String::from_utf8(listed.stdout).unwrap();
    assert!(
        names.starts_with("manifest.json\nmanifest.sig\ncase.json\n") && names.ends_with("export.sig\n"),
        "{names}"
    );
    let whole = std::fs::read(&archive).unwrap();
    for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&archive, changed).unwrap();
        let found = verify(digits);
        assert!(
            !found.status.success() && told(&found).contains("does not hold"),
            "{at}: {}",
            told(&found)
        );
    }
    std::fs::write(&archive, &whole[..whole.len() - 512]).unwrap();
    assert!(told(&verify(digits)).contains("ends before it is whole"));
}
