use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{ClientCertificate, TlsConfig, TlsError};

/// The largest file that is read, in bytes: some hundred authorities fit.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the files of a [`TlsConfig`] hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// What connections are accepted with.
pub(super) struct Material {
    pub config: Arc<ServerConfig>,
    /// Until when the server's own certificate is valid.
    pub not_after: SystemTime,
}

impl Files {
    pub(super) fn read(config: &TlsConfig) -> Result<Files, TlsError> {
        Ok(Files {
            certificate: read(&config.certificate)?,
            key: read(&config.key)?,
            client_ca: match config.asks_for_certificates() {
                true => Some(read(&config.client_ca)?),
                false => None,
            },
        })
    }

    /// TLS 1.2 and 1.3. Where client certificates are asked for nothing of a connection is resumed in another: each proves its certificate anew.
    pub(super) fn material(&self, paths: &TlsConfig) -> Result<Material, TlsError> {
        let chain = certificates(&paths.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Pem {
            path: paths.key.clone(),
            wanted: "private key",
        })?;
        let first = chain.first().and_then(|first| ClientCertificate::from_der(first).ok());
        let first = first.ok_or_else(|| TlsError::Certificate {
            path: paths.certificate.clone(),
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(text) => {
                let mut authorities = RootCertStore::empty();
                for authority in certificates(&paths.client_ca, text)? {
                    authorities.add(authority).map_err(|_| TlsError::Certificate {
                        path: paths.client_ca.clone(),
                    })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(TlsError::Authorities)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.client_ca.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Material {
            config: Arc::new(config),
            not_after: first.not_after,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other("it has more than 1 MiB")));
    }
    Ok(bytes)
}

/// At least one.
fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| TlsError::Pem {
        path: path.to_owned(),
        wanted: "certificate",
    })
}
