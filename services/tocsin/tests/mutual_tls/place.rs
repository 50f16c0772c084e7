//! A whole process behind TLS, and who asks it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::{Client, ClientBuilder, Response};
use serde_json::Value;
use tocsin::config::Config;
use tocsin::serve::{Process, Role, deployment_key, open_store};
use tocsin_model::KeyId;
use tocsin_runtime::Shutdown;
use tocsin_runtime::tls::ClientCertificate;
use tocsin_store::{ApiKey, BoundCertificate, KeySubject, Role as KeyRole, Roles, Store};

use crate::authority::{Authority, Of, Pair};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// A whole process behind TLS, and a machine's key that reads and publishes.
pub struct Place {
    pub directory: tempfile::TempDir,
    pub process: Option<Process>,
    pub store: Store,
    pub address: SocketAddr,
    /// Of the server, and of machines.
    pub servers: Authority,
    pub machines: Authority,
    pub key: (KeyId, ApiKey),
}

impl Place {
    pub async fn open() -> Place {
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

    pub async fn close(mut self) {
        let process = self.process.take().unwrap();
        process.roles.shutdown().request();
        process.join().await.unwrap();
        self.store.close().await;
    }

    pub async fn bind(&self, key: KeyId, pair: &Pair) {
        let read = ClientCertificate::from_pem(pair.certificate.as_bytes()).unwrap();
        let certificate = BoundCertificate {
            public_key: read.public_key,
            subject: read.subject,
            not_after: tocsin_model::Timestamp(0),
        };
        self.store.bind_certificate(key, &certificate).await.unwrap();
    }

    /// Who trusts the server's authority, and shows this.
    pub fn client(&self, shown: Option<&Pair>) -> Client {
        self.builder(shown).build().unwrap()
    }

    /// The same, who speaks no newer TLS than 1.2.
    pub fn older_client(&self, shown: Option<&Pair>) -> Client {
        let builder = self.builder(shown).max_tls_version(reqwest::tls::Version::TLS_1_2);
        builder.build().unwrap()
    }

    fn builder(&self, shown: Option<&Pair>) -> ClientBuilder {
        let trusted = reqwest::Certificate::from_pem(self.servers.pem().as_bytes()).unwrap();
        let builder = Client::builder()
            .tls_built_in_root_certs(false)
            .add_root_certificate(trusted);
        let builder = match shown {
            None => builder,
            Some(pair) => {
                let pem = format!("{}{}", pair.certificate, pair.key);
                builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap())
            }
        };
        builder.timeout(PATIENCE)
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub async fn metric(&self, line: &str) -> u64 {
        let text = self.client(None).get(self.url("/metrics")).send().await.unwrap();
        let text = text.text().await.unwrap();
        let found = text.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("{line} in {text}"))
    }
}

pub async fn answer(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Who somebody is: the key's team and roles, or the status and the code of the refusal.
pub async fn whoami(place: &Place, client: &Client, key: Option<&str>) -> Result<Value, (u16, String)> {
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

pub fn refusal(code: &str) -> Result<Value, (u16, String)> {
    Err((401, code.to_owned()))
}

pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await; // poll: until the condition above holds
    }
}
