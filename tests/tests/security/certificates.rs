//! Goal: on every route of the API, on both stores, whoever proves a client certificate is answered exactly as whoever shows the key it is bound to, in every
//! role and for every kind of subject; and a certificate of the same authority that nobody bound is nobody on all of them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use reqwest::{Client, Identity, Method, RequestBuilder};
use serde_json::Value;
use tocsin::serve::{Process, Role as Part, deployment_key, open_store};
use tocsin_model::Timestamp;
use tocsin_runtime::Shutdown;
use tocsin_runtime::tls::ClientCertificate;
use tocsin_store::{BoundCertificate, KeySubject, Role, Roles};
use tocsin_tests::ground::{Ground, on_each_store};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::wait::until;

use crate::table;

/// An id that nothing has.
const NOTHING: &str = "00000000000000000000000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_answered_as_its_key_on_every_route() {
    on_each_store(check).await;
}

async fn check(store: &[(&str, &str)]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let authority = Authority::new()?;
    authority.write(directory.path(), ExtendedKeyUsagePurpose::ServerAuth)?;
    let file = |name: &str| directory.path().join(name).display().to_string();
    let (certificate, key, clients) = (file("own.pem"), file("own.key"), file("authority.pem"));
    let tls = [
        ("http.tls.certificate", certificate.as_str()),
        ("http.tls.key", key.as_str()),
        ("http.tls.client_ca", clients.as_str()),
    ];
    let site = Site::with(&Ground::Embedded, Time::Live, 4, &[store, &tls[..]].concat()).await?;
    let config = site.config()?;
    let (secret, _) = deployment_key(&config)?;
    let store = open_store(&config).await?;
    let mut process = Box::pin(Process::start(config, secret, &Part::ALL, Shutdown::new())).await?;
    let base = format!("https://localhost:{}", process.listen().await?.port());
    let without = authority.client(None)?;
    until("it is ready", async || {
        let asked = without.get(format!("{base}/readyz")).send().await?;
        Ok((asked.status() == 200).then_some(()))
    })
    .await?;

    let alpha = store.party_named(&ALPHA.parse()?).await?.id;
    let mut asked = 0;
    for subject in [KeySubject::Operator, KeySubject::Coordinators, KeySubject::Party(alpha)] {
        for role in Role::ALL {
            let (id, key) = store.issue_key(subject, Roles::of(&[role])).await?;
            let pair = authority.issue(ExtendedKeyUsagePurpose::ClientAuth)?;
            let read = ClientCertificate::from_pem(pair.0.as_bytes())?;
            let bound = BoundCertificate {
                public_key: read.public_key,
                subject: read.subject,
                not_after: Timestamp(0),
            };
            store.bind_certificate(id, &bound).await?;
            let with = authority.client(Some(&pair))?;
            for route in table::described() {
                let by_key = answer(request(&without, &base, &route)?.bearer_auth(key.expose())).await?;
                let by_certificate = answer(request(&with, &base, &route)?).await?;
                let who = format!("{route} in the role {} of {subject:?}", role.name());
                ensure!(
                    by_key == by_certificate,
                    "{who}: {by_key:?} by key, {by_certificate:?} by certificate"
                );
                asked += 1;
            }
        }
    }
    ensure!(asked > 600, "{asked} answers were compared");

    let unbound = authority.client(Some(&authority.issue(ExtendedKeyUsagePurpose::ClientAuth)?))?;
    for route in table::described() {
        let found = answer(request(&unbound, &base, &route)?).await?;
        ensure!(found == (401, "certificate_unbound".to_owned()), "{route}: {found:?}");
    }
    store.close().await;
    process.roles.shutdown().request();
    process.join().await
}

/// A request to a route, about nothing there is.
fn request(client: &Client, base: &str, route: &str) -> Result<RequestBuilder> {
    let (method, path) = route.split_once(' ').context("a method and a path")?;
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { NOTHING } else { part });
    let url = format!("{base}{}", parts.collect::<Vec<_>>().join("/"));
    let method: Method = method.parse()?;
    let has_body = method != Method::GET && method != Method::HEAD;
    let request = client.request(method, url);
    Ok(if has_body { request.json(&Value::Null) } else { request })
}

/// Status and code. Of a stream no more than that it opens.
async fn answer(request: RequestBuilder) -> Result<(u16, String)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    if status < 400 {
        return Ok((status, String::new()));
    }
    let problem: Value = response.json().await?;
    Ok((status, problem["code"].as_str().unwrap_or_default().to_owned()))
}

/// An authority of servers and machines.
struct Authority {
    params: CertificateParams,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Result<Authority> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority { params, pem, key })
    }

    /// A certificate and its private key, in PEM.
    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> Result<(String, String)> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn write(&self, directory: &Path, usage: ExtendedKeyUsagePurpose) -> Result<()> {
        let (certificate, key) = self.issue(usage)?;
        for (name, text) in [
            ("own.pem", &certificate),
            ("own.key", &key),
            ("authority.pem", &self.pem),
        ] {
            std::fs::write(directory.join(name), text)?;
        }
        Ok(())
    }

    /// Who trusts it, and shows this.
    fn client(&self, shown: Option<&(String, String)>) -> Result<Client> {
        let trusted = reqwest::Certificate::from_pem(self.pem.as_bytes())?;
        let builder = Client::builder().add_root_certificate(trusted);
        // Redirects lead to pages for people.
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        let builder = match shown {
            None => builder,
            Some((certificate, key)) => builder.identity(Identity::from_pem(format!("{certificate}{key}").as_bytes())?),
        };
        Ok(builder.build()?)
    }
}
