//! What a mailbox is told, in words, and the message that it becomes (RFC 5322).
//!
//! Mail lies in others' hands: with relays, in mailboxes, on phones. So it never holds more than its marking lets go there, and of what is marked TLP:RED or
//! TLP:AMBER+STRICT it says no more than that there is something, and where.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tocsin_casework::Team;
use tocsin_incident::Tlp;
use tocsin_model::{Alert, Scope, Timestamp};
use tocsin_store::{Delivery, DeliveryEvent, IncidentMessage};
use tocsin_wire::Names;

use super::Mailbox;
use crate::deliveries::sentence::sentence;

/// The longest subject and the longest name in it, in characters.
const SUBJECT_CHARACTERS_MAX: usize = 160;
/// The longest text of somebody that goes into a message, in characters.
const SAID_CHARACTERS_MAX: usize = 4_000;
/// How much UTF-8 is encoded in one word: with a header's name before it, it stays within a line of 76 characters (RFC 2047, section 2).
const ENCODED_WORD_BYTES: usize = 39;
/// How long a line of base64 is (RFC 2045, section 6.8).
const BASE64_LINE: usize = 76;
/// Lines of ASCII up to this length go as they are (RFC 5322, section 2.1.1).
const PLAIN_LINE_MAX: usize = 900;

const NOT_BY_MAIL: &str = "Mail carries nothing of what has this marking: read it in Tocsin.";

/// A message in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// The delivery's id: the same at every try, so that a mailbox shows one.
    id: String,
    /// What it belongs to: mail programs show messages of one together.
    thread: String,
    subject: String,
    lines: Vec<String>,
    at: Timestamp,
}

impl Letter {
    /// What is told of an event; `None`: mailboxes are not told of its kind.
    pub(crate) fn of(delivery: &Delivery, names: &Names, reader: Team, public_url: &str) -> Option<Letter> {
        let (thread, subject, lines) = match &delivery.event {
            DeliveryEvent::Incident(message) => {
                let (subject, lines) = incident(message, public_url);
                (message.incident.to_string(), subject, lines)
            }
            DeliveryEvent::Alert(told) => {
                let (subject, lines) = alert(told, names, reader, public_url);
                (told.family.to_string(), subject, lines)
            }
            _ => return None,
        };
        Some(Letter {
            id: delivery.id.clone(),
            thread,
            subject,
            lines,
            at: delivery.added_at,
        })
    }

    /// The message, lines ended by CR LF.
    pub(super) fn message(&self, from: &Mailbox, to: &Mailbox) -> String {
        let (id, domain) = (&self.id, from.domain());
        let at = OffsetDateTime::from_unix_timestamp(self.at.0.div_euclid(1_000)).ok();
        let date = at.and_then(|at| at.format(&Rfc2822).ok()).unwrap_or_default();
        let body = self.lines.join("\r\n") + "\r\n";
        let is_plain = body.is_ascii() && self.lines.iter().all(|line| line.len() <= PLAIN_LINE_MAX);
        let (encoding, body) = match is_plain {
            true => ("7bit", body),
            false => ("base64", in_lines(&STANDARD.encode(body))),
        };
        let mut message = String::new();
        let subject = header_text("Subject: ", &self.subject);
        for (name, text) in [
            ("From", format!("Tocsin <{}>", from.as_str())),
            ("To", to.as_str().to_owned()),
            ("Subject", subject),
            ("Date", date),
            ("Message-ID", format!("<{id}@{domain}>")),
            ("References", format!("<thread-{}@{domain}>", self.thread)),
            // Nobody's absence answers it (RFC 3834).
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Transfer-Encoding", encoding.to_owned()),
        ] {
            let _ = write!(message, "{name}: {text}\r\n");
        }
        message + "\r\n" + &body
    }
}

/// What happened to an incident, in words.
fn happened(kind: &str) -> &'static str {
    match kind {
        "invited" => "Your team is invited to take part in an incident.",
        "reminded" => "Your team is reminded of an incident in which it takes part.",
        "activated" => "An incident in which your team takes part is activated.",
        "level_changed" => "The level of an incident in which your team takes part has changed.",
        "concluded" => "An incident in which your team takes part is concluded.",
        "reopened" => "An incident in which your team takes part is open again.",
        _ => "There is news of an incident in which your team takes part.",
    }
}

fn incident(message: &IncidentMessage, public_url: &str) -> (String, Vec<String>) {
    let label = message.tlp.label();
    let marking = format!("TLP:{label}");
    let mut lines = vec![marking.clone(), String::new()];
    let subject = match message.tlp {
        Tlp::Red | Tlp::AmberStrict => {
            lines.push("There is news of an incident in which your team takes part.".to_owned());
            lines.push(NOT_BY_MAIL.to_owned());
            format!("[{marking}] Tocsin: news of an incident")
        }
        Tlp::Clear | Tlp::Green | Tlp::Amber => {
            let title = plain(&message.title, SUBJECT_CHARACTERS_MAX);
            lines.push(happened(&message.kind).to_owned());
            lines.push(String::new());
            lines.push(format!("Incident: {title}"));
            let (name, version) = &message.protocol;
            lines.push(format!("Protocol: {} {version}", plain(name, SUBJECT_CHARACTERS_MAX)));
            if let Some(level) = &message.level {
                lines.push(format!("Level: {}", plain(level, SUBJECT_CHARACTERS_MAX)));
            }
            if !message.says.trim().is_empty() {
                lines.push("They say:".to_owned());
                lines.extend(quoted(&message.says));
            }
            let kind = plain(&message.kind, SUBJECT_CHARACTERS_MAX).replace('_', " ");
            format!("[{marking}] Tocsin: {kind}: {title}")
        }
    };
    let id = message.incident.to_string();
    lines.push(String::new());
    lines.extend(where_to(public_url, &format!("/v1/incidents/{id}")));
    lines.push(format!("In a terminal: tocsin incident show {id}"));
    lines.extend(foot());
    (subject, lines)
}

fn alert(alert: &Alert, names: &Names, reader: Team, public_url: &str) -> (String, Vec<String>) {
    // What one team shares with the coordinators, or with nobody, goes no further than its reader's own house.
    let tlp = match alert.scope {
        Scope::All => Tlp::Green,
        Scope::Coordinators | Scope::Party(_) => Tlp::AmberStrict,
    };
    let marking = format!("TLP:{}", tlp.label());
    let mut lines = vec![marking.clone(), String::new()];
    let subject = if tlp == Tlp::AmberStrict {
        lines.push("There is an alert of what not everybody is told of.".to_owned());
        lines.push(NOT_BY_MAIL.to_owned());
        format!("[{marking}] Tocsin: an alert")
    } else {
        let family = alert.family.to_string();
        lines.push(sentence(alert, names, reader));
        lines.push(String::new());
        lines.push(format!("Family: {family}"));
        format!("[{marking}] Tocsin: {}: family {}", alert.level.name(), &family[..8])
    };
    lines.push(String::new());
    lines.extend(where_to(public_url, &format!("/v1/alerts/{}", alert.id)));
    lines.push(format!("In a terminal: tocsin explain {}", alert.id));
    lines.extend(foot());
    (subject, lines)
}

fn where_to(public_url: &str, path: &str) -> Option<String> {
    (!public_url.is_empty()).then(|| format!("At: {public_url}{path}"))
}

fn foot() -> [String; 2] {
    [
        String::new(),
        "This was sent by a machine. Answers are read by nobody.".to_owned(),
    ]
}

/// What somebody wrote, each line marked as theirs.
fn quoted(text: &str) -> Vec<String> {
    let cut: String = text.chars().take(SAID_CHARACTERS_MAX).collect();
    let lines = cut
        .lines()
        .map(|line| format!("> {}", plain(line, SAID_CHARACTERS_MAX)));
    lines.collect()
}

/// A text on one line, without what moves a cursor, turns the direction of writing or hides.
fn plain(text: &str, characters_max: usize) -> String {
    let is_hidden = |character: char| {
        let turns = matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        );
        character.is_control() || turns
    };
    let shown: String = text.chars().map(|one| if is_hidden(one) { ' ' } else { one }).collect();
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if shown.chars().count() <= characters_max {
        return shown;
    }
    let cut: String = shown.chars().take(characters_max - 1).collect();
    format!("{}\u{2026}", cut.trim_end())
}

/// A text as a header's: as it is if it is short ASCII, else in encoded words, one a line.
fn header_text(name: &str, text: &str) -> String {
    let text = plain(text, SUBJECT_CHARACTERS_MAX);
    if text.is_ascii() && name.len() + text.len() <= PLAIN_LINE_MAX && !text.contains("=?") {
        return text;
    }
    let mut words = vec![String::new()];
    for character in text.chars() {
        let last = words.last_mut().expect("there is one");
        if last.len() + character.len_utf8() > ENCODED_WORD_BYTES {
            words.push(character.to_string());
        } else {
            last.push(character);
        }
    }
    let words = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

fn in_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32 + 2);
    for line in text.as_bytes().chunks(BASE64_LINE) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push_str("\r\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    //! Goal: a message says what its marking lets out and no more, and nothing that people wrote changes its form.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::{AlertLevel, PartyId};

    use super::*;
    use crate::deliveries::example;

    const SECRET: &str = "the name of the town";

    fn message(tlp: Tlp, title: &str, says: &str) -> IncidentMessage {
        IncidentMessage {
            event: 7,
            incident: "0000000000000000000000000000000a".parse().unwrap(),
            title: title.to_owned(),
            protocol: ("generic-crisis".to_owned(), 1),
            tlp,
            kind: "invited".to_owned(),
            level: Some("alert".to_owned()),
            says: says.to_owned(),
            at: Timestamp(1_700_000_000_000),
        }
    }

    fn delivery(event: DeliveryEvent) -> Delivery {
        Delivery {
            id: "00000000000000000000000000000007".to_owned(),
            attempt: 1,
            added_at: Timestamp(1_700_000_000_000),
            event,
        }
    }

    fn written(event: DeliveryEvent) -> String {
        let letter = Letter::of(
            &delivery(event),
            &Names::default(),
            Team::Coordinators,
            "https://bell.example",
        )
        .unwrap();
        let (from, to) = (
            Mailbox::parse("bell@bell.example").unwrap(),
            Mailbox::parse("duty@north.example").unwrap(),
        );
        letter.message(&from, &to)
    }

    fn told(tlp: Tlp, title: &str, says: &str) -> String {
        written(DeliveryEvent::Incident(message(tlp, title, says)))
    }

    #[test]
    fn an_invitation_is_a_message_with_its_marking_and_its_identity() {
        let text = told(Tlp::Amber, "A march", "please come\nat once");
        for line in [
            "From: Tocsin <bell@bell.example>",
            "To: duty@north.example",
            "Subject: [TLP:AMBER] Tocsin: invited: A march",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Message-ID: <00000000000000000000000000000007@bell.example>",
            "References: <thread-0000000000000000000000000000000a@bell.example>",
            "TLP:AMBER",
            "Your team is invited to take part in an incident.",
            "Level: alert",
            "> please come",
            "> at once",
            "At: https://bell.example/v1/incidents/0000000000000000000000000000000a",
        ] {
            assert!(text.split("\r\n").any(|one| one == line), "{line} in {text}");
        }
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
    }

    #[test]
    fn what_must_not_lie_in_mailboxes_is_in_none() {
        for tlp in [Tlp::Red, Tlp::AmberStrict] {
            let text = told(tlp, SECRET, SECRET);
            assert!(
                !text.contains(SECRET) && !text.contains("invited") && !text.contains("generic-crisis"),
                "{text}"
            );
            assert!(text.contains(&format!("[TLP:{}]", tlp.label())), "{text}");
            assert!(
                text.contains("/v1/incidents/0000000000000000000000000000000a"),
                "{text}"
            );
        }
        for tlp in [Tlp::Clear, Tlp::Green, Tlp::Amber] {
            assert!(told(tlp, SECRET, SECRET).contains(SECRET));
        }
    }

    #[test]
    fn nothing_that_people_write_makes_a_header_or_a_second_message() {
        for title in [
            "a\r\nBcc: eve@evil.example",
            "a\nBcc: eve@evil.example",
            "a\rBcc: eve@evil.example",
            "a\u{2028}Bcc: eve@evil.example",
            "a\r\n\r\n.\r\nMAIL FROM:<x@y>",
        ] {
            let text = told(
                Tlp::Clear,
                title,
                "b\r\n.\r\nRSET\u{202e}\u{ad}\u{61c}\u{180e}\u{e0041}",
            );
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(head.lines().count(), 10, "{head}");
            assert!(
                !head
                    .lines()
                    .any(|line| line.starts_with("Bcc") || line.starts_with("MAIL")),
                "{head}"
            );
            assert!(!text.contains("\r\n.\r\n") && text.contains("> RSET\r\n"), "{text}");
        }
        // Words of another alphabet, and words that look encoded, are encoded.
        for title in [
            "Z\u{fc}rich \u{2014} \u{442}\u{440}\u{435}\u{432}\u{43e}\u{433}\u{430} ".repeat(9),
            "=?utf-8?B?QUJD?=".to_owned(),
        ] {
            let text = told(Tlp::Clear, &title, &"\u{e4}".repeat(9_000));
            assert!(text.is_ascii() && text.contains("Subject: =?utf-8?B?"), "{text:.500}");
            let longest = text.lines().map(str::len).max();
            assert!(longest <= Some(76), "{longest:?}");
        }
    }

    #[test]
    fn an_alert_tells_what_its_reader_may_see() {
        let told = |scope| {
            let alert = Alert {
                level: AlertLevel::Raised,
                scope,
                ..example::alert()
            };
            let id = alert.id;
            let text = written(DeliveryEvent::Alert(Box::new(alert)));
            assert!(text.contains(&format!("/v1/alerts/{id}")), "{text}");
            text
        };
        let text = told(Scope::All);
        let family = example::alert().family.to_string();
        let subject = format!("Subject: [TLP:GREEN] Tocsin: raised: family {}\r\n", &family[..8]);
        assert!(text.contains(&subject), "{text}");
        assert!(
            text.contains("by about 10 accounts"),
            "not what its owner is told: {text}"
        );
        for scope in [Scope::Coordinators, Scope::Party(PartyId(3))] {
            let text = told(scope);
            assert!(
                text.contains("Subject: [TLP:AMBER+STRICT] Tocsin: an alert\r\n"),
                "{text}"
            );
            for hidden in ["copies", "accounts", "raised", "Family"] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
        }
    }
}
