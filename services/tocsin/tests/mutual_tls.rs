//! Goal: a machine that proves a certificate over TLS is the key it is bound to, on every role's routes, and nobody else is anybody; over real sockets, with
//! certificates of real authorities. What the server shows is replaced without a break.
#![allow(clippy::unwrap_used)]

mod authority;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use authority::{Authority, Of, Pair};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use time::OffsetDateTime;
use tocsin::config::Config;
use tocsin::serve::{Process, Role, deployment_key, open_store};
use tocsin_model::KeyId;
use tocsin_runtime::Shutdown;
use tocsin_runtime::tls::ClientCertificate;
use tocsin_store::{ApiKey, BoundCertificate, KeySubject, Role as KeyRole, Roles, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);

/// A whole process behind TLS, and a machine's key that reads and publishes.
struct Place {
    directory: tempfile::TempDir,
    process: Option<Process>,
    store: Store,
    address: SocketAddr,
    /// Of the server, and of machines.
    servers: Authority,
    machines: Authority,
    key: (KeyId, ApiKey),
}

impl Place {
    async fn open() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (servers, machines) = (Authority::new("servers"), Authority::new("machines"));
        servers.issue(Of::server()).write(directory.path(), "server");
        std::fs::write(directory.path().join("machines.pem"), machines.pem()).unwrap();
        let mut config = Config::default();
        config.log.data_dir = directory.path().join("data");
        config.http.listen = "127.0.0.1:0".to_owned();
        config.http.tls.certificate = directory.path().join("server.pem");
        config.http.tls.key = directory.path().join("server.key");
        config.http.tls.client_ca = directory.path().join("machines.pem");
        let (secret, _) = deployment_key(&config).unwrap();
        let process = Process::start(config.clone(), secret, &Role::ALL, Shutdown::new()).await;
        let mut process = process.unwrap();
        let address = process.listen().await.unwrap();
        let store = open_store(&config).await.unwrap();
        let (name, platform) = ("north".parse().unwrap(), "north-video".parse().unwrap());
        let party = store.add_party(&name, &[platform]).await.unwrap();
        let roles = Roles::of(&[KeyRole::Publisher, KeyRole::Reader, KeyRole::Moderator]);
        let key = store.issue_key(KeySubject::Party(party.id), roles).await.unwrap();
        let place = Place {
            directory,
            process: Some(process),
            store,
            address,
            servers,
            machines,
            key,
        };
        until("it is ready", async || {
            let asked = place.client(None).get(place.url("/readyz")).send().await.unwrap();
            asked.status() == 200
        })
        .await;
        place
    }

    async fn close(mut self) {
        let process = self.process.take().unwrap();
        process.roles.shutdown().request();
        process.join().await.unwrap();
        self.store.close().await;
    }

    async fn bind(&self, key: KeyId, pair: &Pair) {
        let read = ClientCertificate::from_pem(pair.certificate.as_bytes()).unwrap();
        let certificate = BoundCertificate {
            public_key: read.public_key,
            subject: read.subject,
            not_after: tocsin_model::Timestamp(0),
        };
        self.store.bind_certificate(key, &certificate).await.unwrap();
    }

    /// Who trusts the server's authority, and shows this.
    fn client(&self, shown: Option<&Pair>) -> Client {
        let trusted = reqwest::Certificate::from_pem(self.servers.pem().as_bytes()).unwrap();
        let mut builder = Client::builder()
            .tls_built_in_root_certs(false)
            .add_root_certificate(trusted);
        if let Some(pair) = shown {
            let pem = format!("{}{}", pair.certificate, pair.key);
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.timeout(PATIENCE).build().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    async fn metric(&self, line: &str) -> u64 {
        let text = self.client(None).get(self.url("/metrics")).send().await.unwrap();
        let text = text.text().await.unwrap();
        let found = text.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("{line} in {text}"))
    }
}

async fn answer(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Who somebody is: the key's team and roles, or the status and the code of the refusal.
async fn whoami(place: &Place, client: &Client, key: Option<&str>) -> Result<Value, (u16, String)> {
    let mut request = client.get(place.url("/v1/session"));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.unwrap();
    match response.status().as_u16() {
        200 => Ok(response.json().await.unwrap()),
        _ => Err(answer(response).await),
    }
}

fn refusal(code: &str) -> Result<Value, (u16, String)> {
    Err((401, code.to_owned()))
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await; // poll: until the condition above holds
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_certificate_is_its_key_and_no_other_is_anybody() {
    let place = Place::open().await;
    let pair = place.machines.issue(Of::client());
    place.bind(place.key.0, &pair).await;
    let key = place.key.1.expose();
    let (with, without) = (place.client(Some(&pair)), place.client(None));

    // On the routes of every role, exactly as the key.
    let by_certificate = whoami(&place, &with, None).await.unwrap();
    assert_eq!(by_certificate["team"], "north");
    assert_eq!(by_certificate, whoami(&place, &without, Some(key)).await.unwrap());
    assert_eq!(by_certificate, whoami(&place, &with, Some(key)).await.unwrap());
    for path in ["/v1/trending", "/v1/queue"] {
        let found = with.get(place.url(path)).send().await.unwrap();
        assert_eq!(found.status(), 200, "{path}");
    }
    let published = with
        .post(place.url("/v1/events"))
        .header("content-type", "application/json");
    let published = published.body(r#"{"events":[]}"#).send().await.unwrap();
    let by_key = without
        .post(place.url("/v1/events"))
        .header("content-type", "application/json");
    let by_key = by_key.bearer_auth(key).body(r#"{"events":[]}"#).send().await.unwrap();
    assert_eq!(answer(published).await, answer(by_key).await);
    // And no further: the certificate of a machine is no auditor.
    let audit = with.get(place.url("/v1/audit")).send().await.unwrap();
    assert_eq!(answer(audit).await, (403, "forbidden".to_owned()));

    // Without either nobody is anybody; health and metrics ask nobody.
    assert_eq!(whoami(&place, &without, None).await, refusal("unauthenticated"));
    for path in ["/healthz", "/readyz", "/metrics", "/v1/openapi.json"] {
        let found = without.get(place.url(path)).send().await.unwrap();
        assert_eq!(found.status(), 200, "{path}");
    }

    // Another key beside the certificate, one that is none, and a session of somebody.
    let (_, other) = place
        .store
        .issue_key(KeySubject::Coordinators, Roles::all())
        .await
        .unwrap();
    assert_eq!(
        whoami(&place, &with, Some(other.expose())).await,
        refusal("certificate_mismatch")
    );
    assert_eq!(
        whoami(&place, &with, Some("tocsin_none")).await,
        refusal("unauthenticated")
    );
    assert_eq!(
        place
            .metric(r#"tocsin_certificates_refused_total{code="certificate_mismatch"}"#)
            .await,
        1
    );

    // A certificate of the authority that nobody bound, also beside a good key; health and metrics ask nobody.
    let unbound = place.machines.issue(Of::client());
    let unbound = place.client(Some(&unbound));
    assert_eq!(whoami(&place, &unbound, None).await, refusal("certificate_unbound"));
    assert_eq!(
        whoami(&place, &unbound, Some(key)).await,
        refusal("certificate_unbound")
    );
    assert_eq!(
        place
            .metric(r#"tocsin_certificates_refused_total{code="certificate_unbound"}"#)
            .await,
        2
    );
    let health = unbound.get(place.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), 200);

    // What names a certificate in a header is nothing: neither what proxies send nor the token that another process made for it.
    let public_key = ClientCertificate::from_pem(pair.certificate.as_bytes())
        .unwrap()
        .public_key;
    let token = place.store.certificate_token(&public_key);
    assert_eq!(
        whoami(&place, &without, Some(token.expose())).await,
        refusal("unauthenticated")
    );
    for name in [
        "client-cert",
        "x-client-cert",
        "x-forwarded-client-cert",
        "x-ssl-client-cert",
    ] {
        let der = format!(":{}:", pair.base64());
        let asked = without
            .get(place.url("/v1/session"))
            .header(name, der)
            .send()
            .await
            .unwrap();
        assert_eq!(answer(asked).await, (401, "unauthenticated".to_owned()), "{name}");
    }
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_does_nothing_with_a_machines_certificate() {
    let place = Place::open().await;
    let pair = place.machines.issue(Of::client());
    place.bind(place.key.0, &pair).await;
    let with = place.client(Some(&pair));
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
    ] {
        for method in [Method::GET, Method::POST] {
            let path = if method == Method::GET {
                "/v1/session"
            } else {
                "/v1/sign-out"
            };
            let asked = with
                .request(method, place.url(path))
                .header(name, value)
                .send()
                .await
                .unwrap();
            assert_eq!(
                answer(asked).await,
                (401, "unauthenticated".to_owned()),
                "{name}: {value}"
            );
        }
    }
    place.close().await;
}

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
        let asked = place.client(Some(&pair)).get(place.url("/healthz"));
        let asked = asked.bearer_auth(place.key.1.expose()).send().await;
        assert!(asked.is_err(), "a certificate {what} is answered: {asked:?}");
        // The client may hear of it first.
        refused += 1;
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
    assert!(since.elapsed() < Duration::from_millis(1_500), "{:?}", since.elapsed());
    assert_eq!(whoami(&place, &clients[2], None).await, refusal("certificate_unbound"));
    whoami(&place, &clients[1], None).await.unwrap();

    place.store.revoke_key(place.key.0).await.unwrap();
    let since = Instant::now();
    until("the one of a revoked key is refused", async || {
        whoami(&place, &clients[1], None).await == refusal("certificate_unbound")
    })
    .await;
    assert!(since.elapsed() < Duration::from_millis(1_500), "{:?}", since.elapsed());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shakes_hands_slowly_holds_nobody_up() {
    let place = Place::open().await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(place.address).await.unwrap();
        // The head of a record of TLS, and never the rest.
        stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
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
        64
    );
    place.close().await;
}

fn tocsin(directory: &Path, arguments: &[&str]) -> Output {
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

fn told(output: &Output) -> String {
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
