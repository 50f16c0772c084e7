//! Goal: an import leaves the old list or the new one in force, never a part of one, whenever its process ends.
#![allow(clippy::unwrap_used, dead_code)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tocsin_model::{BankName, Milliseconds, Sampled, Severity};
use tocsin_store::{BankSettings, Store};

#[path = "../../lib/store/tests/fixture/database.rs"]
mod database;

/// Enough for several transactions.
const ENTRIES: u32 = 600_000;

fn tocsin((url, directory): (&str, &Path), file: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tocsin"))
        .args(["watch", "import", "--format", "local-file", "--bank", "NORTH"])
        .arg(file)
        .env("TOCSIN_STORE__URL", url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .current_dir(directory)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_the_old_list_or_the_new_one() {
    database::on_empty(async |url| killed_in_the_middle(&url).await).await;
}

async fn killed_in_the_middle(url: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let at = (url, path);
    let write = |name: &str, numbers: std::ops::Range<u32>| {
        let path = path.join(name);
        let lines: String = numbers.map(|number| format!("md5 {number:032x}\n")).collect();
        std::fs::write(&path, lines).unwrap();
        path
    };
    let (small, large) = (write("small", 0..3), write("large", 0..ENTRIES));
    let store = Store::open(url).await.unwrap();
    let bank: BankName = "NORTH".parse().unwrap();
    let settings = BankSettings {
        source: "north".parse().unwrap(),
        severity: Severity::MIN,
        enabled: true,
        sampled: Sampled::ALL,
    };
    store.set_bank(&bank, &settings).await.unwrap();
    let entries = async || store.banks().await.unwrap()[0].entries;
    assert!(tocsin(at, &small).wait().unwrap().success());
    assert_eq!(entries().await, 3);

    // Ended once it says that a part is written, and before it can have written all.
    let mut child = tocsin(at, &large);
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let part = said.into_iter().find(|line| line.starts_with("written "));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(part.is_some());
    assert_eq!(entries().await, 3, "the old list stands");
    let (listings, _) = store.watch_listings(Some(&bank), None, 10).await.unwrap();
    assert_eq!(listings.len(), 3);

    // What it left is taken away, and another attempt is nobody's problem.
    let mut forgotten = 0;
    while let more @ 1.. = store.forget_lists(100_000, Milliseconds(-1)).await.unwrap() {
        forgotten += more;
    }
    assert!(forgotten > 250_000, "{forgotten}");
    assert!(tocsin(at, &large).wait().unwrap().success());
    assert_eq!(entries().await, u64::from(ENTRIES));

    // A list of which nothing can be used is no list.
    std::fs::write(path.join("html"), "<html>\n</html>\n").unwrap();
    let refused = tocsin(at, &path.join("html")).wait_with_output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("no usable entry") && said.contains("record_malformed 2"),
        "{said}"
    );
    assert_eq!(entries().await, u64::from(ENTRIES));
    store.close().await;
}
