//! Endpoints of kind email: a message to a mailbox, handed to the relay that the operator named.
//!
//! The relay is one for all mailboxes. What is tried at once there is bounded by itself, so that a relay that hangs holds up mail alone.

mod address;
mod config;
mod letter;
mod smtp;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(super) use address::Mailbox;
pub use config::{MailConfig, MailTls};
pub(super) use letter::Letter;
use smtp::{Handing, STEP_TIMEOUT, SmtpError, Step, hand_over};

/// How long all steps of one message take together, with the wait for a place.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(29);
/// How many messages are being handed to the relay at a time.
const MESSAGES_AT_ONCE: usize = 16;

/// The relay, if there is one.
pub(crate) struct Relay {
    config: MailConfig,
    from: Mailbox,
    connector: TlsConnector,
    server: ServerName<'static>,
    places: Semaphore,
    /// Under which address people reach this deployment; empty if none is known.
    public_url: String,
}

/// Why mail cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The settings are refused elsewhere already.
    #[error("dispatcher.mail: host and from are wanted")]
    Settings,
    /// Whom the relay knows has no password.
    #[error("dispatcher.mail.password is wanted beside dispatcher.mail.user")]
    Password,
    /// The authorities cannot be read.
    #[error("dispatcher.mail.authorities: {path} holds no certificates in PEM")]
    Authorities {
        /// The file.
        path: String,
    },
    /// TLS cannot be set up.
    #[error("set up TLS to the mail relay")]
    Tls(#[source] tokio_rustls::rustls::Error),
}

/// What handing a message over came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mailed {
    Taken,
    /// Another time, perhaps.
    NotNow(String),
    /// Never.
    Never(String),
}

impl Relay {
    /// # Errors
    /// [`MailError`].
    pub(crate) fn new(config: &MailConfig, public_url: &str) -> Result<Option<Relay>, MailError> {
        if !config.is_on() {
            return Ok(None);
        }
        if !config.user.is_empty() && config.password.is_empty() {
            return Err(MailError::Password);
        }
        let from = Mailbox::parse(&config.from).ok_or(MailError::Settings)?;
        let server = ServerName::try_from(config.host.clone()).map_err(|_| MailError::Settings)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(MailError::Tls)?
            .with_root_certificates(authorities(config)?)
            .with_no_client_auth();
        Ok(Some(Relay {
            config: config.clone(),
            from,
            connector: TlsConnector::from(Arc::new(tls)),
            server,
            places: Semaphore::new(MESSAGES_AT_ONCE),
            public_url: public_url.trim_end_matches('/').to_owned(),
        }))
    }

    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Hands a message over. The same letter under the same id is the same message, whatever became of a try before.
    pub(super) async fn send(&self, to: &Mailbox, letter: &Letter) -> Mailed {
        let message = letter.message(&self.from, to);
        let sent = tokio::time::timeout(MESSAGE_TIMEOUT, self.hand_over(to, message.as_bytes())).await;
        match sent {
            Ok(Ok(())) => Mailed::Taken,
            Ok(Err(error)) if error.is_final() => Mailed::Never(error.to_string()),
            Ok(Err(error)) => Mailed::NotNow(error.to_string()),
            Err(_) => Mailed::NotNow("timeout".to_owned()),
        }
    }

    async fn hand_over(&self, to: &Mailbox, message: &[u8]) -> Result<(), SmtpError> {
        let _place = self.places.acquire().await.ok();
        let address = (self.config.host.as_str(), self.config.port);
        let stream = tokio::time::timeout(STEP_TIMEOUT, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| SmtpError::Timeout(Step::Connect))?;
        let stream = stream.map_err(|_| SmtpError::Broken(Step::Connect))?;
        // Whatever this machine takes the name for.
        let is_here = stream.peer_addr().is_ok_and(|address| address.ip().is_loopback());
        if self.config.tls == MailTls::None && !is_here {
            return Err(SmtpError::NotOffered(Step::Tls));
        }
        let signs_in = !self.config.user.is_empty();
        let handing = Handing {
            tls: self.config.tls,
            connector: &self.connector,
            server: self.server.clone(),
            credentials: signs_in.then_some((self.config.user.as_str(), self.config.password.as_str())),
            from: &self.from,
            to,
            message,
            step_timeout: STEP_TIMEOUT,
        };
        hand_over(stream, &handing).await
    }
}

/// Those that are named, or the system's. A system that has none is told of when a relay's certificate is held to them.
fn authorities(config: &MailConfig) -> Result<RootCertStore, MailError> {
    let mut store = RootCertStore::empty();
    if config.tls == MailTls::None {
        return Ok(store);
    }
    if config.authorities.as_os_str().is_empty() {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    }
    let refused = || MailError::Authorities {
        path: config.authorities.display().to_string(),
    };
    let found = CertificateDer::pem_file_iter(&config.authorities).map_err(|_| refused())?;
    for authority in found {
        let authority = authority.map_err(|_| refused())?;
        store.add(authority).map_err(|_| refused())?;
    }
    match store.is_empty() {
        true => Err(refused()),
        false => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a relay to which no mail could be handed ends the start, not each message.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_cannot_work_ends_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = MailConfig {
            host: "mail.example".to_owned(),
            from: "bell@bell.example".to_owned(),
            ..MailConfig::default()
        };
        let refusal = |config: &MailConfig| Relay::new(config, "").err().map(|error| error.to_string());
        assert_eq!(refusal(&good), None);
        assert!(Relay::new(&MailConfig::default(), "").unwrap().is_none());
        let without = MailConfig {
            user: "tocsin".to_owned(),
            ..good.clone()
        };
        assert!(refusal(&without).unwrap().starts_with("dispatcher.mail.password"));
        for authorities in [
            directory.path().join("none.pem"),
            file("empty.pem", ""),
            file("text.pem", "no certificate"),
            file(
                "wrong.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
        ] {
            let config = MailConfig {
                authorities,
                ..good.clone()
            };
            assert!(
                refusal(&config).unwrap().starts_with("dispatcher.mail.authorities"),
                "{config:?}"
            );
        }
    }
}
