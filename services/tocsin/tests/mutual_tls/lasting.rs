//! Goal: a certificate lasts as long as its key, its binding and itself, and what the server shows is replaced without a break.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tocsin_runtime::tls::ClientCertificate;

use crate::authority::{Authority, Of};
use crate::place::{PATIENCE, Place, refusal, until, whoami};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_key_ends_its_certificates_and_a_renewed_one_goes_on() {
    let place = Place::open().await;
    let (old, new) = (place.machines.issue(Of::client()), place.machines.issue(Of::client()));
    let renewed = place.machines.renew(&old, Of::client());
    place.bind(place.key.0, &old).await;
    place.bind(place.key.0, &new).await;
    let clients = [&old, &new, &renewed].map(|pair| place.client(Some(pair)));
    for client in &clients {
        whoami(&place, client, None).await.unwrap();
    }
    // One is taken away: with it goes what was renewed over its key pair, and the other stays, on connections that are open already.
    let public_key = ClientCertificate::from_pem(old.certificate.as_bytes())
        .unwrap()
        .public_key;
    place.store.unbind_certificate(place.key.0, &public_key).await.unwrap();
    let since = Instant::now();
    until("the one taken away is refused", async || {
        whoami(&place, &clients[0], None).await == refusal("certificate_unbound")
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(whoami(&place, &clients[2], None).await, refusal("certificate_unbound"));
    whoami(&place, &clients[1], None).await.unwrap();

    place.store.revoke_key(place.key.0).await.unwrap();
    let since = Instant::now();
    until("the one of a revoked key is refused", async || {
        whoami(&place, &clients[1], None).await == refusal("certificate_unbound")
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_when_its_certificate_does() {
    let place = Place::open().await;
    let now = OffsetDateTime::now_utc();
    let until_soon = Of::client().between(now - time::Duration::hours(1), now + time::Duration::seconds(3));
    let pair = place.machines.issue(until_soon);
    place.bind(place.key.0, &pair).await;
    let client = place.client(Some(&pair));
    whoami(&place, &client, None).await.unwrap();
    // The connection is kept, and closed from the other side; a new one is refused.
    until("it is over", async || {
        client.get(place.url("/healthz")).send().await.is_err()
    })
    .await;
    assert!(OffsetDateTime::now_utc() - now >= time::Duration::seconds(2));
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_connection_is_resumed_in_another() {
    let place = Place::open().await;
    let path = |name: &str| place.directory.path().join(name).display().to_string();
    place
        .machines
        .issue(Of::client())
        .write(place.directory.path(), "machine");
    let address = place.address.to_string();
    let (certificate, key) = (path("machine.pem"), path("machine.key"));
    for version in ["-tls1_2", "-tls1_3"] {
        let session = path(&format!("session{version}"));
        for file in ["-sess_out", "-sess_in"] {
            if file == "-sess_in" && !std::path::Path::new(&session).exists() {
                // Not so much as a ticket was given.
                continue;
            }
            let output = tokio::process::Command::new("openssl")
                .args(["s_client", "-connect", &address, "-servername", "localhost", version])
                .args(["-cert", &certificate, "-key", &key, file, &session])
                .stdin(std::process::Stdio::null())
                .output()
                .await
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                text.contains("\nNew, TLSv1.") && !text.contains("\nReused"),
                "{version}: {text}"
            );
        }
    }
    place.close().await;
}

/// The server's own certificate as somebody sees it who connects now: its public key.
async fn seen_of_server(place: &Place) -> String {
    let output = tokio::process::Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &place.address.to_string(),
            "-servername",
            "localhost",
        ])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE-----").unwrap();
    ClientCertificate::from_pem(&text.as_bytes()[begin..])
        .unwrap()
        .public_key
        .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_and_an_open_stream_goes_on() {
    let place = Place::open().await;
    let pair = place.machines.issue(Of::client());
    place.bind(place.key.0, &pair).await;
    let opened = place.client(Some(&pair)).get(place.url("/v1/stream")).send().await;
    let mut stream = opened.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(!stream.chunk().await.unwrap().unwrap().is_empty());
    let first = seen_of_server(&place).await;

    // A file that is half there changes nothing; both together do, and with them the authority of machines.
    let path = |name: &str| place.directory.path().join(name);
    let next = place.servers.issue(Of::server());
    std::fs::write(path("server.pem"), &next.certificate).unwrap();
    until("files of two pairs are refused", async || {
        place.metric(r#"tocsin_tls_reloads_total{outcome="refused"}"#).await == 1
    })
    .await;
    assert_eq!(seen_of_server(&place).await, first);
    let others = Authority::new("other machines");
    std::fs::write(path("machines.pem"), others.pem()).unwrap();
    std::fs::write(path("server.key"), &next.key).unwrap();
    let wanted = ClientCertificate::from_pem(next.certificate.as_bytes())
        .unwrap()
        .public_key
        .to_string();
    until("the new certificate is shown", async || {
        seen_of_server(&place).await == wanted
    })
    .await;

    // Who comes now comes by the new authority.
    let asked = place.client(Some(&pair)).get(place.url("/healthz")).send().await;
    assert!(asked.is_err(), "{asked:?}");
    let of_others = others.issue(Of::client());
    place.bind(place.key.0, &of_others).await;
    whoami(&place, &place.client(Some(&of_others)), None).await.unwrap();
    // What was open before goes on: it says that it lives.
    let beat = tokio::time::timeout(PATIENCE, stream.chunk()).await.unwrap();
    assert!(!beat.unwrap().unwrap().is_empty());
    drop(stream);
    place.close().await;
}
