//! Goal: what is not valid comes to nothing in the handshake, holds nobody up there, and keeps the port closed at the start.

use std::time::{Duration, Instant};

use reqwest::Client;
use time::OffsetDateTime;
use tocsin::config::Config;
use tocsin::serve::{Process, Role, deployment_key};
use tocsin_runtime::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::authority::{Authority, Of};
use crate::place::{PATIENCE, Place, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_valid_comes_to_nothing_in_the_handshake() {
    let place = Place::open().await;
    let now = OffsetDateTime::now_utc();
    let day = time::Duration::days(1);
    let bad = [
        ("of another authority", Authority::new("machines").issue(Of::client())),
        (
            "over",
            place.machines.issue(Of::client().between(now - 2 * day, now - day)),
        ),
        (
            "not begun",
            place.machines.issue(Of::client().between(now + day, now + 2 * day)),
        ),
        ("for servers", place.machines.issue(Of::server())),
        ("of itself", Authority::new("machines").own()),
    ];
    let mut refused = place.metric(r#"tocsin_tls_handshakes_total{outcome="refused"}"#).await;
    for (what, pair) in bad {
        // Bound, so that nothing but the handshake stands before it; and beside a good key.
        place.bind(place.key.0, &pair).await;
        for client in [place.client(Some(&pair)), place.older_client(Some(&pair))] {
            let asked = client.get(place.url("/healthz")).bearer_auth(place.key.1.expose());
            let asked = asked.send().await;
            assert!(asked.is_err(), "a certificate {what} is answered: {asked:?}");
        }
        // The client may hear of it first.
        refused += 2;
        until(what, async || {
            place.metric(r#"tocsin_tls_handshakes_total{outcome="refused"}"#).await >= refused
        })
        .await;
    }
    // Whoever does not trust the server, and who speaks no TLS, gets nothing either.
    let stranger = Client::builder().timeout(PATIENCE).build().unwrap();
    assert!(stranger.get(place.url("/healthz")).send().await.is_err());
    let mut plain = TcpStream::connect(place.address).await.unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    // An alert of TLS, or nothing: no answer of HTTP.
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut said))
        .await
        .unwrap();
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    place.close().await;
}

/// So many who shake hands slowly at a time.
const SLOW: u64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shakes_hands_slowly_holds_nobody_up() {
    let place = Place::open().await;
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut stream = TcpStream::connect(place.address).await.unwrap();
        // Nothing, or the head of a record of TLS and never the rest.
        if number % 2 == 0 {
            stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
        }
        slow.push(stream);
    }
    let began = Instant::now();
    let health = place.client(None).get(place.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // They are sent away, and counted.
    for stream in &mut slow {
        let mut said = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said))
            .await
            .unwrap();
        assert!(said.is_empty(), "{said:?}");
    }
    assert_eq!(
        place
            .metric(r#"tocsin_tls_handshakes_total{outcome="timed_out"}"#)
            .await,
        SLOW
    );
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_cannot_be_used_keep_the_port_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (servers, others) = (Authority::new("servers"), Authority::new("others"));
    servers.issue(Of::server()).write(path, "server");
    others.issue(Of::server()).write(path, "other");
    std::fs::write(path.join("empty.pem"), "").unwrap();
    for (certificate, key, client_ca, says) in [
        ("none.pem", "server.key", "", "none.pem"),
        ("server.pem", "other.key", "", "cannot be used together"),
        ("empty.pem", "server.key", "", "holds no certificate"),
        ("server.pem", "server.pem", "", "holds no private key"),
        ("server.pem", "server.key", "empty.pem", "holds no certificate"),
    ] {
        let mut config = Config::default();
        config.log.data_dir = path.join("data");
        config.http.listen = "127.0.0.1:0".to_owned();
        config.http.tls.certificate = path.join(certificate);
        config.http.tls.key = path.join(key);
        if !client_ca.is_empty() {
            config.http.tls.client_ca = path.join(client_ca);
        }
        let (secret, _) = deployment_key(&config).unwrap();
        let process = Process::start(config, secret, &[Role::Gateway], Shutdown::new()).await;
        let mut process = process.unwrap();
        let error = process.listen().await.unwrap_err();
        assert!(format!("{error:#}").contains(says), "{error:#}");
        process.roles.shutdown().request();
        process.join().await.unwrap();
    }
}
