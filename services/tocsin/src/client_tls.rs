//! What a command in a terminal trusts and shows over TLS.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

/// Whom to trust over TLS, and what to show there.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsArguments {
    /// A file of further authorities (PEM) that the server's certificate may be of.
    #[arg(long = "ca", env = "TOCSIN_CA", value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// A client certificate (PEM) that is bound to a machine's key: it is shown in place of the key, or beside it.
    #[arg(
        long,
        env = "TOCSIN_CLIENT_CERTIFICATE",
        value_name = "FILE",
        requires = "client_key"
    )]
    client_certificate: Option<PathBuf>,
    /// The private key of the client certificate (PEM).
    #[arg(
        long,
        env = "TOCSIN_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_certificate"
    )]
    client_key: Option<PathBuf>,
}

/// The same, read.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    authorities: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
}

impl TlsArguments {
    /// Whether a certificate is shown.
    pub(crate) fn has_certificate(&self) -> bool {
        self.client_certificate.is_some()
    }

    /// Reads the files, to ask `url`.
    ///
    /// # Errors
    /// A file cannot be read or holds something else, or a certificate would be shown to a server without TLS.
    pub fn read(&self, url: &str) -> Result<ClientTls> {
        let mut tls = ClientTls::default();
        if let Some(path) = &self.authorities {
            let found = reqwest::Certificate::from_pem_bundle(&read(path)?);
            let found = found.ok().filter(|found| !found.is_empty());
            tls.authorities = found.with_context(|| format!("{} holds no certificate in PEM", path.display()))?;
        }
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            ensure!(
                url.starts_with("https://"),
                "a client certificate is shown over TLS alone, and {url} is none of https://"
            );
            let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
            let identity = reqwest::Identity::from_pem(&pem);
            let files = format!("{} and {}", certificate.display(), key.display());
            let identity = identity.with_context(|| format!("{files} hold no certificate and private key in PEM"));
            tls.identity = Some(identity?);
        }
        Ok(tls)
    }
}

impl ClientTls {
    /// A client that trusts and shows this.
    pub(crate) fn builder(&self) -> reqwest::ClientBuilder {
        let mut builder = reqwest::Client::builder();
        for authority in &self.authorities {
            builder = builder.add_root_certificate(authority.clone());
        }
        match &self.identity {
            None => builder,
            Some(identity) => builder.identity(identity.clone()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}
