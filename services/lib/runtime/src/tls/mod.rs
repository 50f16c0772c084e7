//! TLS for connections that come in, where a process ends it itself, and the client certificates that machines show there.
//!
//! A certificate is asked for where there is a file of authorities, and demanded of nobody: people, probes and scrapers have none. One that is shown is
//! verified in the handshake (chain, times, use for clients), or the connection comes to nothing. What it says is told to the routes behind as
//! [`ClientCertificate`], beside each request and never in a header.

mod client_certificate;
mod connections;
mod files;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Refusal;

pub use client_certificate::{CertificateError, ClientCertificate};
pub use connections::Tls;
pub(crate) use connections::{Accepted, Accepting};

/// Where the certificates stand, if the process ends TLS itself. Section `[http.tls]`. The files are PEM, and read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The file of the server's certificate, with the intermediate ones behind it. Empty, the default: plain HTTP.
    pub certificate: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
    /// The file of the authorities whose client certificates machines may show. Empty, the default: none are asked for.
    pub client_ca: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no PEM of what is wanted.
    #[error("{} holds no {wanted} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wanted.
        wanted: &'static str,
    },
    /// An authority or the server's certificate is none.
    #[error("{} holds a certificate that is none", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// The certificate and the key are refused, or are not of each other.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[source] tokio_rustls::rustls::Error),
    /// The authorities are refused.
    #[error("the authorities of client certificates cannot be used")]
    Authorities(#[source] tokio_rustls::rustls::server::VerifierBuilderError),
    /// Its metrics are there already.
    #[error("count what TLS comes to")]
    Metrics(#[from] prometheus::Error),
}

impl TlsConfig {
    /// Whether the process ends TLS itself.
    pub fn is_on(&self) -> bool {
        is_given(&self.certificate)
    }

    /// Whether client certificates are asked for.
    pub fn asks_for_certificates(&self) -> bool {
        is_given(&self.client_ca)
    }

    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.is_on() != is_given(&self.key) {
            let (without, reason) = match self.is_on() {
                true => ("http.tls.key", "the file of the certificate's private key is wanted"),
                false => ("http.tls.certificate", "the file of the key's certificate is wanted"),
            };
            refusals.push(Refusal::new(without, reason));
        } else if self.asks_for_certificates() && !self.is_on() {
            let reason = "client certificates are shown over TLS: a server certificate is wanted, http.tls.certificate and http.tls.key";
            refusals.push(Refusal::new("http.tls.client_ca", reason));
        }
        refusals
    }
}

fn is_given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_half_there_is_refused() {
        let of = |certificate: &str, key: &str, client_ca: &str| {
            let config = TlsConfig {
                certificate: certificate.into(),
                key: key.into(),
                client_ca: client_ca.into(),
            };
            config.refusals().len()
        };
        assert_eq!(of("", "", ""), 0);
        assert_eq!(of("a", "b", ""), 0);
        assert_eq!(of("a", "b", "c"), 0);
        for (certificate, key, client_ca) in [
            ("a", "", ""),
            ("", "b", ""),
            ("", "", "c"),
            ("a", "", "c"),
            ("", "b", "c"),
        ] {
            assert_eq!(of(certificate, key, client_ca), 1, "{certificate} {key} {client_ca}");
        }
    }
}
