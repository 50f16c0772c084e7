//! Goal: an operator binds a certificate by a command, and a machine comes in by it with another.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tocsin_runtime::tls::ClientCertificate;

use crate::authority::Of;
use crate::place::{Place, until};

pub fn tocsin(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    command.arg("--data-dir").arg(directory.join("data")).args(arguments);
    for name in [
        "TOCSIN_URL",
        "TOCSIN_CA",
        "TOCSIN_CLIENT_CERTIFICATE",
        "TOCSIN_CLIENT_KEY",
    ] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

pub fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_binds_and_a_command_comes_in_by_it() {
    let place = Place::open().await;
    let path = place.directory.path();
    let pair = place.machines.issue(Of::client());
    pair.write(path, "machine");
    std::fs::write(path.join("servers.pem"), place.servers.pem()).unwrap();
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let id = place.key.0.to_string();
    let key_file: PathBuf = path.join("machine.key");

    let added = tocsin(
        path,
        &["key", "certificate", "add", &id, "--certificate", &file("machine.pem")],
    );
    assert!(added.status.success(), "{}", told(&added));
    let public_key = ClientCertificate::from_pem(pair.certificate.as_bytes())
        .unwrap()
        .public_key
        .to_string();
    let listed = tocsin(path, &["key", "certificate", "list", &id]);
    assert!(
        told(&listed).starts_with(&public_key) && told(&listed).contains("CN=machine"),
        "{}",
        told(&listed)
    );
    // A private key is no certificate, and is not told back.
    let wrong = tocsin(
        path,
        &[
            "key",
            "certificate",
            "add",
            &id,
            "--certificate",
            key_file.to_str().unwrap(),
        ],
    );
    assert!(
        !wrong.status.success() && told(&wrong).contains("a certificate of X.509 is wanted"),
        "{}",
        told(&wrong)
    );

    let url = place.url("");
    let (ca, certificate, key) = (file("servers.pem"), file("machine.pem"), file("machine.key"));
    let by_certificate = ["--ca", &ca, "--client-certificate", &certificate, "--client-key", &key];
    let queue = |url: &str, shown: &[&str]| {
        let arguments = [&["queue", "--url", url][..], shown].concat();
        tocsin(path, &arguments)
    };
    let asked = queue(&url, &by_certificate);
    assert!(asked.status.success(), "{}", told(&asked));
    let nothing = queue(&url, &["--ca", &ca]);
    assert!(
        !nothing.status.success() && told(&nothing).contains("--key-file"),
        "{}",
        told(&nothing)
    );
    let stranger = queue(&url, &by_certificate[2..]);
    assert!(
        !stranger.status.success(),
        "an authority that is not trusted: {}",
        told(&stranger)
    );
    let plain = queue(&url.replace("https", "http"), &by_certificate);
    assert!(
        !plain.status.success() && told(&plain).contains("over TLS alone"),
        "{}",
        told(&plain)
    );

    let removed = tocsin(path, &["key", "certificate", "remove", &id, &public_key]);
    assert!(removed.status.success(), "{}", told(&removed));
    let again = tocsin(path, &["key", "certificate", "remove", &id, &public_key]);
    assert!(!again.status.success(), "{}", told(&again));
    until("it is refused", async || {
        told(&queue(&url, &by_certificate)).contains("certificate_unbound")
    })
    .await;
    place.close().await;
}
