use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::files::{Files, Material};
use super::{ClientCertificate, TlsConfig, TlsError};
use crate::Shutdown;
use crate::roles::chain;

/// How long a handshake may take. How many are made at a time is bounded as connections are: a bound of their own would be filled by those who say nothing.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What connections are accepted with, as the files hold it now. Connections that are open keep what they began with.
pub struct Tls {
    paths: TlsConfig,
    files: Files,
    current: Arc<Current>,
}

/// What accepts connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Accepting {
    current: Arc<Current>,
}

struct Current {
    config: RwLock<Arc<ServerConfig>>,
    handshakes: IntCounterVec,
    reloads: IntCounterVec,
    not_after: IntGauge,
}

/// A connection whose handshake is done.
pub(crate) struct Accepted<S> {
    pub(crate) stream: TlsStream<S>,
    /// What the client proved to hold, if it showed one.
    pub(crate) certificate: Option<ClientCertificate>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(paths: &TlsConfig, registry: &Registry) -> Result<Tls, TlsError> {
        let files = Files::read(paths)?;
        let material = files.material(paths)?;
        let handshakes = Opts::new(
            "tocsin_tls_handshakes_total",
            "Handshakes, by what they came to: done, refused, timed_out",
        );
        let handshakes = IntCounterVec::new(handshakes, &["outcome"])?;
        let reloads = Opts::new(
            "tocsin_tls_reloads_total",
            "Files of certificates that were read again since they had changed: taken, or refused",
        );
        let reloads = IntCounterVec::new(reloads, &["outcome"])?;
        let not_after = IntGauge::new(
            "tocsin_tls_certificate_not_after_seconds",
            "Until when the server's own certificate is valid, in seconds since 1970",
        )?;
        registry.register(Box::new(handshakes.clone()))?;
        registry.register(Box::new(reloads.clone()))?;
        registry.register(Box::new(not_after.clone()))?;
        for outcome in ["done", "refused", "timed_out"] {
            handshakes.with_label_values(&[outcome]);
        }
        for outcome in ["taken", "refused"] {
            reloads.with_label_values(&[outcome]);
        }
        let current = Current {
            config: RwLock::new(Arc::clone(&material.config)),
            handshakes,
            reloads,
            not_after,
        };
        current.take(material);
        Ok(Tls {
            paths: paths.clone(),
            files,
            current: Arc::new(current),
        })
    }

    pub(crate) fn accepting(&self) -> Accepting {
        Accepting {
            current: Arc::clone(&self.current),
        }
    }

    /// Reads the files again whenever they changed, until `shutdown` is requested. Files that cannot be used, as while they are being replaced one
    /// after another, leave things as they are.
    pub(crate) async fn follow(mut self, shutdown: Shutdown) {
        // What was told of already is not told again at each look.
        let mut told = String::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.requested() => return,
            }
            let (paths, before) = (self.paths.clone(), self.files.clone());
            let looked = tokio::task::spawn_blocking(move || {
                let files = Files::read(&paths)?;
                let material = match files == before {
                    true => None,
                    false => Some(files.material(&paths)?),
                };
                Ok::<_, TlsError>((files, material))
            });
            // A file system that hangs holds up no stop.
            let looked = tokio::select! {
                looked = looked => looked,
                () = shutdown.requested() => return,
            };
            match looked {
                Ok(Ok((_, None))) => told.clear(),
                Ok(Ok((files, Some(material)))) => {
                    self.files = files;
                    self.current.take(material);
                    self.current.reloads.with_label_values(&["taken"]).inc();
                    told.clear();
                    tracing::info!("the certificates were replaced");
                }
                Ok(Err(error)) => {
                    let why = chain(&error);
                    if why != told {
                        self.current.reloads.with_label_values(&["refused"]).inc();
                        tracing::error!(
                            error = why,
                            "the certificates cannot be used: those from before stay in use"
                        );
                        told = why;
                    }
                }
                Err(error) => tracing::error!(%error, "the certificates were not looked at"),
            }
        }
    }
}

impl Current {
    fn take(&self, material: Material) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = material.config;
        let since_1970 = material.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.not_after
            .set(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX));
    }
}

impl Accepting {
    /// Shakes hands; `None` if that comes to nothing, which is counted and says nothing to anybody: strangers try what they like.
    pub(crate) async fn accept<S>(&self, stream: S) -> Option<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let current = &self.current;
        let config = Arc::clone(&current.config.read().unwrap_or_else(PoisonError::into_inner));
        let shaken = TlsAcceptor::from(config).accept(stream);
        let count = |outcome| current.handshakes.with_label_values(&[outcome]).inc();
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, shaken).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake came to nothing");
                count("refused");
                return None;
            }
            Err(_) => {
                count("timed_out");
                return None;
            }
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = match shown.map(|shown| ClientCertificate::from_der(shown)) {
            None => None,
            Some(Ok(certificate)) => Some(certificate),
            // Verified, and yet not read: whoever shows it is not told apart from others.
            Some(Err(error)) => {
                tracing::warn!(%error, "a client certificate that was verified cannot be read");
                count("refused");
                return None;
            }
        };
        count("done");
        Some(Accepted { stream, certificate })
    }
}

impl ClientCertificate {
    /// For how long it is still valid.
    pub(crate) fn valid_for(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }
}
