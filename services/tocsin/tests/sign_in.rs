//! Goal: a person signs in, in a terminal, with a link that is good once; what is written there speaks as them until they sign out.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tocsin::config::Config;
use tocsin::serve::{Process, Role, deployment_key, open_store};
use tocsin_runtime::Shutdown;
use tocsin_store::{KeySubject, LinkPurpose, Role as KeyRole, Roles};

fn tocsin(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tocsin"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is refused for its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_by_a_link_and_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.log.data_dir = directory.path().join("data");
    config.http.listen = "127.0.0.1:0".to_owned();
    let (secret, _) = deployment_key(&config).unwrap();
    let process = Process::start(config.clone(), secret, &Role::ALL, Shutdown::new()).await;
    let mut process = process.unwrap();
    let url = format!("http://{}", process.listen().await.unwrap());
    let store = open_store(&config).await.unwrap();
    let roles = Roles::of(&[KeyRole::Moderator]);
    let kim = store
        .issue_key_to(KeySubject::Coordinators, roles, &"kim".parse().unwrap())
        .await;
    let kim = kim.unwrap().0;
    let link = store.issue_link(kim, LinkPurpose::SignIn).await.unwrap();
    let link = format!("{url}/v1/sign-in/link?link={}\n", link.expose());

    let path = directory.path().join("session");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "from before").unwrap();
    let signed_in = tocsin(&["sign-in", "--session-file", file], &link);
    assert!(signed_in.status.success(), "{}", told(&signed_in));
    assert!(
        told(&signed_in).contains("Signed in as kim of coordinators until "),
        "{}",
        told(&signed_in)
    );
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let session = std::fs::read_to_string(&path).unwrap();
    assert!(session.starts_with("tocsin_session_") && !told(&signed_in).contains(session.trim()));

    // It is shown where a key is.
    let queue = || tocsin(&["queue", "--url", &url, "--key-file", file], "");
    assert!(queue().status.success(), "{}", told(&queue()));
    // The link was good once, and what came of it stays.
    let again = tocsin(&["sign-in", "--session-file", file], &link);
    assert!(
        !again.status.success() && told(&again).contains("link_invalid"),
        "{}",
        told(&again)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), session);

    let out = |says: &str| {
        let output = tocsin(&["sign-out", "--url", &url, "--session-file", file], "");
        assert!(
            output.status.success() && told(&output).contains(says),
            "{}",
            told(&output)
        );
        assert!(!path.exists());
    };
    out("Signed out.");
    // A copy of the file speaks for nobody any more.
    std::fs::write(&path, &session).unwrap();
    until_refused(queue);
    out("The session was over.");

    store.close().await;
    process.roles.shutdown().request();
    process.join().await.unwrap();
}

/// Another process ended it: this one knows within half a second.
fn until_refused(asked: impl Fn() -> Output) {
    let began = std::time::Instant::now();
    loop {
        let output = asked();
        if told(&output).contains("unauthenticated") {
            return;
        }
        assert!(
            began.elapsed() < std::time::Duration::from_secs(20),
            "{}",
            told(&output)
        );
    }
}
