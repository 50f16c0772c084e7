//! Endpoints of kind email: a message to a mailbox, handed to the relay that the operator named.
//!
//! The relay is one for all mailboxes. What is tried at once there is bounded by itself, so that a relay that hangs holds up mail alone. Who has no place
//! yet holds no delivery: waiting is no try.

mod address;
mod config;
mod letter;
mod smtp;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(super) use address::Mailbox;
pub use config::{MailConfig, MailTls};
pub(super) use letter::Letter;
use smtp::{Handing, STEP_TIMEOUT, SmtpError, Step, hand_over};

/// How long all steps of one message take together.
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
    /// [`MESSAGE_TIMEOUT`].
    message_timeout: Duration,
    /// [`STEP_TIMEOUT`].
    step_timeout: Duration,
    /// Under which address people reach this deployment; empty if none is known.
    public_url: String,
}

/// Room for messages on their way to the relay.
pub(super) struct Places<'a> {
    /// For how many.
    pub count: u32,
    _held: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
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
            message_timeout: MESSAGE_TIMEOUT,
            step_timeout: STEP_TIMEOUT,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }))
    }

    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Places for one message and for at most `more` beside it: waits for the first one, in the order in which they were asked for, and takes of the
    /// others what is free. They are given back when they are dropped.
    pub(super) async fn places(&self, more: u32) -> Places<'_> {
        let first = self.places.acquire().await.expect("it is never closed");
        let rest = (1..=more)
            .rev()
            .find_map(|more| self.places.try_acquire_many(more).ok());
        let count = 1 + rest.as_ref().map_or(0, |rest| rest.num_permits() as u32);
        Places {
            count,
            _held: (first, rest),
        }
    }

    /// Hands a message over, for which the caller has a place. The same letter under the same id is the same message, whatever became of a try before.
    pub(super) async fn send(&self, to: &Mailbox, letter: &Letter) -> Mailed {
        let message = letter.message(&self.from, to);
        let sent = tokio::time::timeout(self.message_timeout, self.hand_over(to, message.as_bytes())).await;
        match sent {
            Ok(Ok(())) => Mailed::Taken,
            Ok(Err(error)) if error.is_final() => Mailed::Never(error.to_string()),
            Ok(Err(error)) => Mailed::NotNow(error.to_string()),
            Err(_) => Mailed::NotNow("timeout".to_owned()),
        }
    }

    async fn hand_over(&self, to: &Mailbox, message: &[u8]) -> Result<(), SmtpError> {
        let address = (self.config.host.as_str(), self.config.port);
        let stream = tokio::time::timeout(self.step_timeout, TcpStream::connect(address)).await;
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
            step_timeout: self.step_timeout,
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
        if store.is_empty() {
            tracing::warn!(
                "the system has no authorities: no mail relay's certificate will hold; see dispatcher.mail.authorities"
            );
        }
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
    //! Goal: a relay to which no mail could be handed ends the start, not each message; who waits for a place there has not tried.
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt as _;
    use tocsin_casework::Team;
    use tocsin_model::Timestamp;
    use tocsin_store::{Delivery, DeliveryEvent};
    use tocsin_wire::Names;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    use super::*;
    use crate::deliveries::example;

    /// A relay that takes connections, and of which only the last answers.
    async fn silent_but_for_the_last(silent: usize) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut held = Vec::new();
            for _ in 0..silent {
                held.push(listener.accept().await.unwrap());
            }
            let (stream, _) = listener.accept().await.unwrap();
            let (reading, mut writing) = stream.into_split();
            writing.write_all(b"220 relay.example\r\n").await.unwrap();
            let mut lines = BufReader::new(reading).lines();
            let mut is_message = false;
            while let Some(line) = lines.next_line().await.unwrap() {
                let answer = match line.as_str() {
                    "DATA" => "354 go on\r\n",
                    "." => "250 taken\r\n",
                    _ if is_message => continue,
                    _ => "250 ok\r\n",
                };
                is_message = line == "DATA";
                writing.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        port
    }

    fn letter() -> Letter {
        let delivery = Delivery {
            id: "00000000000000000000000000000007".to_owned(),
            attempt: 1,
            added_at: Timestamp(1_700_000_000_000),
            event: DeliveryEvent::Alert(Box::new(example::alert())),
        };
        Letter::of(&delivery, &Names::default(), Team::Coordinators, "").unwrap()
    }

    /// Five messages hang one after the other in the only place there is, longer together than a message may take; the sixth waits for all of them.
    #[tokio::test]
    async fn waiting_for_a_place_is_no_part_of_a_try() {
        let config = MailConfig {
            host: "127.0.0.1".to_owned(),
            port: silent_but_for_the_last(5).await,
            tls: MailTls::None,
            from: "bell@bell.example".to_owned(),
            ..MailConfig::default()
        };
        let mut relay = Relay::new(&config, "").unwrap().unwrap();
        relay.places = Semaphore::new(1);
        (relay.step_timeout, relay.message_timeout) = (Duration::from_millis(300), Duration::from_millis(900));
        let (to, letter) = (Mailbox::parse("duty@north.example").unwrap(), letter());
        let send = async || {
            let places = relay.places(3).await;
            assert_eq!(places.count, 1);
            relay.send(&to, &letter).await
        };
        let sent = futures::future::join_all((0..6).map(|_| send())).await;
        let mut wanted = vec![Mailed::NotNow("smtp_greeting_timeout".to_owned()); 5];
        wanted.push(Mailed::Taken);
        assert_eq!(sent, wanted);
    }

    #[tokio::test]
    async fn places_are_those_that_are_free_and_one_at_least() {
        let config = MailConfig {
            host: "mail.example".to_owned(),
            from: "bell@bell.example".to_owned(),
            ..MailConfig::default()
        };
        let relay = Relay::new(&config, "").unwrap().unwrap();
        let mut held = Vec::new();
        for count in [4, 4, 4, 3, 1] {
            held.push(relay.places(count - 1).await);
            assert_eq!(held.last().unwrap().count, count);
        }
        assert!(relay.places(3).now_or_never().is_none(), "there are sixteen");
        held.truncate(3);
        assert_eq!(relay.places(9).await.count, 4);
    }

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
