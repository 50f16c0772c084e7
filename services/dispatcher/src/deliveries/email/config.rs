use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tocsin_runtime::Refusal;
use tokio_rustls::rustls::pki_types::ServerName;

use super::address::Mailbox;

/// The relay that takes mail for endpoints of kind email. Section `[dispatcher.mail]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// Its host. Empty, the default: no mail is sent.
    pub host: String,
    /// Its port: 1 to 65,535; default 587, for submission.
    pub port: u16,
    /// How the connection is kept secret: `starttls` (the default), `implicit` (from the first byte, mostly port 465) or `none` (to this machine alone).
    pub tls: MailTls,
    /// A file of authorities (PEM) that the relay's certificate may be of, in place of the system's. Default: the system's.
    pub authorities: PathBuf,
    /// Whom the relay knows. Empty, the default: it takes mail without.
    pub user: String,
    /// Their password; better given as `password_file`.
    pub password: String,
    /// The address that mail comes from: `tocsin@example.org`. What cannot be delivered later comes back there.
    pub from: String,
}

/// How a connection to the relay is kept secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// By STARTTLS (RFC 3207), or not at all.
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Not. For a relay on this machine.
    None,
}

impl Default for MailConfig {
    fn default() -> Self {
        MailConfig {
            host: String::new(),
            port: 587,
            tls: MailTls::default(),
            authorities: PathBuf::new(),
            user: String::new(),
            password: String::new(),
            from: String::new(),
        }
    }
}

impl MailConfig {
    /// Whether mail is sent.
    pub fn is_on(&self) -> bool {
        !self.host.is_empty()
    }

    /// What is wrong with it.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if !self.is_on() {
            if *self != MailConfig::default() {
                refusals.push(Refusal::new("dispatcher.mail.host", "the relay's host is wanted"));
            }
            return refusals;
        }
        // As its certificate would be held to it.
        if ServerName::try_from(self.host.as_str()).is_err() {
            refusals.push(Refusal::new("dispatcher.mail.host", "a name or an address is wanted"));
        }
        if self.port == 0 {
            refusals.push(Refusal::new("dispatcher.mail.port", "1 to 65535 is wanted"));
        }
        if Mailbox::parse(&self.from).is_none() {
            let reason = "the address that mail comes from is wanted: tocsin@example.org";
            refusals.push(Refusal::new("dispatcher.mail.from", reason));
        }
        // The other way round is seen where mail is sent: roles that send none are told no password.
        if self.user.is_empty() && !self.password.is_empty() {
            refusals.push(Refusal::new("dispatcher.mail.user", "it is wanted beside the password"));
        }
        let is_here = self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if self.tls == MailTls::None && !is_here {
            let reason = "mail crosses a network over TLS alone: starttls or implicit; none is for localhost";
            refusals.push(Refusal::new("dispatcher.mail.tls", reason));
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a relay that mail could not be handed to, or in the open, is refused at the start.

    use super::*;

    #[test]
    fn a_relay_is_whole_or_none() {
        let good = MailConfig {
            host: "mail.example".to_owned(),
            from: "tocsin@example.org".to_owned(),
            ..MailConfig::default()
        };
        let change = |change: &dyn Fn(&mut MailConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.refusals().len()
        };
        assert_eq!(MailConfig::default().refusals().len(), 0);
        assert_eq!(change(&|_| {}), 0);
        let set_user = |config: &mut MailConfig| (config.user, config.password) = ("a".to_owned(), "b".to_owned());
        assert_eq!(change(&set_user), 0);
        for host in ["localhost", "127.0.0.1", "::1"] {
            let local = |config: &mut MailConfig| (config.host, config.tls) = (host.to_owned(), MailTls::None);
            assert_eq!(change(&local), 0, "{host}");
        }
        assert_eq!(change(&|config| config.host.clear()), 1);
        for host in [
            "mail example",
            "smtp://mail.example",
            "mail.example:587",
            "[::1]",
            "mail..example",
            "-",
        ] {
            assert_eq!(change(&|config| config.host = host.to_owned()), 1, "{host}");
        }
        assert_eq!(change(&|config| config.port = 0), 1);
        assert_eq!(change(&|config| config.from.clear()), 1);
        assert_eq!(change(&|config| config.from = "a@b\r\nRCPT TO:<c@d>".to_owned()), 1);
        assert_eq!(change(&|config| config.user = "a".to_owned()), 0);
        assert_eq!(change(&|config| config.password = "b".to_owned()), 1);
        assert_eq!(change(&|config| config.tls = MailTls::None), 1);
    }
}
