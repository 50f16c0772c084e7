//! Mail handed to a relay by SMTP (RFC 5321), as much of it as a sender needs: STARTTLS (RFC 3207), PLAIN and LOGIN, one message a connection.
//!
//! Every step has its time and every answer its length: a relay that hangs or talks without end costs the message that was tried, and nothing else.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::address::Mailbox;
use super::config::MailTls;

/// How long a step may take, from what is sent to the last byte of the answer.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(8);
/// So many times as long it may take to answer to the message itself.
const MESSAGE_PATIENCE: u32 = 3;
/// The longest line of an answer, in bytes: four times what RFC 5321, section 4.5.3.1.5 allows.
const LINE_BYTES_MAX: usize = 2_048;
/// The most lines of an answer.
const LINES_MAX: usize = 128;
/// The longest line of text of a message, in bytes (RFC 5321, section 4.5.3.1.6).
const TEXT_LINE_BYTES_MAX: usize = 998;

/// How far a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Connect,
    Greeting,
    Ehlo,
    Tls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Message,
}

/// Why a relay did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SmtpError {
    /// It said so.
    Refused(Step, u16),
    /// It said nothing in time.
    Timeout(Step),
    /// The connection broke off, or never came to be.
    Broken(Step),
    /// What it said is no answer, or too long.
    Malformed(Step),
    /// It offers no TLS, or what was asked for of signing in.
    NotOffered(Step),
}

/// What goes out, and how.
pub(crate) struct Handing<'a> {
    pub tls: MailTls,
    pub connector: &'a TlsConnector,
    pub server: ServerName<'static>,
    /// User and password.
    pub credentials: Option<(&'a str, &'a str)>,
    pub from: &'a Mailbox,
    pub to: &'a Mailbox,
    /// The message as RFC 5322 has it, lines ended by CR LF.
    pub message: &'a [u8],
    pub step_timeout: Duration,
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
    step_timeout: Duration,
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Connect => "connect",
            Step::Greeting => "greeting",
            Step::Ehlo => "ehlo",
            Step::Tls => "tls",
            Step::Auth => "auth",
            Step::Mail => "mail",
            Step::Rcpt => "rcpt",
            Step::Data => "data",
            Step::Message => "message",
        }
    }
}

impl SmtpError {
    /// Whether it would be the same another time: this message, from this sender to this address, is not wanted. What is wrong between the relay and
    /// this deployment is not meant for good.
    pub(crate) fn is_final(self) -> bool {
        match self {
            // Of the relay and us, not of the message: how we speak, and whether we signed in. And too many recipients (RFC 5321, section 4.5.3.1.10).
            SmtpError::Refused(_, 500..=504 | 530 | 534 | 535 | 538) | SmtpError::Refused(Step::Rcpt, 552) => false,
            SmtpError::Refused(Step::Mail | Step::Rcpt | Step::Data | Step::Message, 500..=599) => true,
            _ => false,
        }
    }
}

/// A stable name, as it stands with dead letters.
impl fmt::Display for SmtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, step) = match self {
            SmtpError::Refused(step, code) => return write!(f, "smtp_{}_{code}", step.name()),
            SmtpError::Timeout(step) => ("timeout", step),
            SmtpError::Broken(step) => ("broken", step),
            SmtpError::Malformed(step) => ("malformed", step),
            SmtpError::NotOffered(step) => ("not_offered", step),
        };
        write!(f, "smtp_{}_{what}", step.name())
    }
}

/// Hands a message over. Behind an error in the last step the relay may have it all the same.
pub(crate) async fn hand_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    handing: &Handing<'_>,
) -> Result<(), SmtpError> {
    let mut session = Session {
        stream: BufReader::new(Box::new(stream)),
        step_timeout: handing.step_timeout,
    };
    if handing.tls == MailTls::Implicit {
        session = session.secured(handing).await?;
    }
    session.answer(Step::Greeting, 220).await?;
    let mut offers = session.hello(handing).await?;
    if handing.tls == MailTls::Starttls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(SmtpError::NotOffered(Step::Tls));
        }
        session.ask(Step::Tls, "STARTTLS", 220).await?;
        // What was said before the handshake counts for nothing behind it.
        if !session.stream.buffer().is_empty() {
            return Err(SmtpError::Malformed(Step::Tls));
        }
        session = session.secured(handing).await?;
        offers = session.hello(handing).await?;
    }
    if let Some(credentials) = handing.credentials {
        session.sign_in(&offers, credentials).await?;
    }
    let (from, to) = (handing.from.as_str(), handing.to.as_str());
    session.ask(Step::Mail, &format!("MAIL FROM:<{from}>"), 250).await?;
    session.ask(Step::Rcpt, &format!("RCPT TO:<{to}>"), 250).await?;
    session.ask(Step::Data, "DATA", 354).await?;
    session.send(Step::Message, &dotted(handing.message)).await?;
    session.answer(Step::Message, 250).await?;
    // It has the message: whether it says goodbye changes nothing.
    let _ = session.send(Step::Message, b"QUIT\r\n").await;
    Ok(())
}

impl Session {
    async fn secured(self, handing: &Handing<'_>) -> Result<Session, SmtpError> {
        let shaken = handing
            .connector
            .connect(handing.server.clone(), self.stream.into_inner());
        match tokio::time::timeout(self.step_timeout, shaken).await {
            Ok(Ok(stream)) => Ok(Session {
                stream: BufReader::new(Box::new(stream)),
                step_timeout: self.step_timeout,
            }),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no TLS with the mail relay");
                Err(SmtpError::Broken(Step::Tls))
            }
            Err(_) => Err(SmtpError::Timeout(Step::Tls)),
        }
    }

    /// What the relay offers, in capitals.
    async fn hello(&mut self, handing: &Handing<'_>) -> Result<Vec<String>, SmtpError> {
        let hello = format!("EHLO {}", handing.from.domain());
        let reply = self.ask(Step::Ehlo, &hello, 250).await?;
        let offers = reply.lines.iter().skip(1);
        Ok(offers.map(|offer| offer.to_ascii_uppercase()).collect())
    }

    async fn sign_in(&mut self, offers: &[String], (user, password): (&str, &str)) -> Result<(), SmtpError> {
        let ways = offers.iter().find_map(|offer| offer.strip_prefix("AUTH "));
        let offered = |way: &str| ways.is_some_and(|ways| ways.split(' ').any(|one| one == way));
        if offered("PLAIN") {
            let token = STANDARD.encode(format!("\0{user}\0{password}"));
            self.ask(Step::Auth, &format!("AUTH PLAIN {token}"), 235).await?;
        } else if offered("LOGIN") {
            self.ask(Step::Auth, "AUTH LOGIN", 334).await?;
            self.ask(Step::Auth, &STANDARD.encode(user), 334).await?;
            self.ask(Step::Auth, &STANDARD.encode(password), 235).await?;
        } else {
            return Err(SmtpError::NotOffered(Step::Auth));
        }
        Ok(())
    }

    async fn ask(&mut self, step: Step, line: &str, wanted: u16) -> Result<Reply, SmtpError> {
        self.send(step, format!("{line}\r\n").as_bytes()).await?;
        self.answer(step, wanted).await
    }

    async fn send(&mut self, step: Step, bytes: &[u8]) -> Result<(), SmtpError> {
        let stream = self.stream.get_mut();
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match tokio::time::timeout(self.step_timeout, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SmtpError::Broken(step)),
            Err(_) => Err(SmtpError::Timeout(step)),
        }
    }

    async fn answer(&mut self, step: Step, wanted: u16) -> Result<Reply, SmtpError> {
        // Behind a message the relay may look at all of it (RFC 5321, section 4.5.3.2.6): whoever gave up then would send it again.
        let patience = if step == Step::Message { MESSAGE_PATIENCE } else { 1 };
        let reply = tokio::time::timeout(self.step_timeout * patience, self.read(step)).await;
        let reply = reply.unwrap_or(Err(SmtpError::Timeout(step)))?;
        match reply.code {
            code if code == wanted => Ok(reply),
            // 251: it will be forwarded.
            251 if step == Step::Rcpt => Ok(reply),
            code => Err(SmtpError::Refused(step, code)),
        }
    }

    /// Lines of one code, the last with a space behind it.
    async fn read(&mut self, step: Step) -> Result<Reply, SmtpError> {
        let malformed = || SmtpError::Malformed(step);
        let (mut code, mut lines) = (None, Vec::new());
        while lines.len() < LINES_MAX {
            let mut line = Vec::new();
            let mut limited = (&mut self.stream).take(LINE_BYTES_MAX as u64);
            let read = limited.read_until(b'\n', &mut line).await;
            read.map_err(|_| SmtpError::Broken(step))?;
            if !line.ends_with(b"\n") {
                let is_full = line.len() == LINE_BYTES_MAX;
                return Err(if is_full { malformed() } else { SmtpError::Broken(step) });
            }
            let text = line.trim_ascii_end();
            let (number, rest) = text.split_at_checked(3).ok_or_else(malformed)?;
            let number = std::str::from_utf8(number)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number: u16 = number.and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
            if !(200..600).contains(&number) || code.is_some_and(|code| code != number) {
                return Err(malformed());
            }
            code = Some(number);
            let (is_last, said) = match rest {
                [] => (true, rest),
                [b' ', said @ ..] => (true, said),
                [b'-', said @ ..] => (false, said),
                _ => return Err(malformed()),
            };
            lines.push(String::from_utf8_lossy(said).into_owned());
            if is_last {
                return Ok(Reply { code: number, lines });
            }
        }
        Err(malformed())
    }
}

/// A message as it is sent: a dot before each line that begins with one, and the end (RFC 5321, section 4.5.2). Line ends that are none of SMTP's end no line
/// at some relay alone.
fn dotted(message: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(message.len() + 64);
    for line in message.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for (place, part) in line.chunks(TEXT_LINE_BYTES_MAX).enumerate() {
            if place > 0 {
                sent.extend(b"\r\n");
            }
            if part.starts_with(b".") {
                sent.push(b'.');
            }
            sent.extend(part.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
        }
        sent.extend(b"\r\n");
    }
    // The end of the last line stands there already, and made one that is empty.
    if message.ends_with(b"\n") {
        sent.truncate(sent.len() - 2);
    }
    sent.extend(b".\r\n");
    sent
}

#[cfg(test)]
mod tests;
