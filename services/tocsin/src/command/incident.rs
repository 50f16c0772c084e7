//! Incidents in a terminal: over HTTP, as any other client.

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, print};
use super::incident_text::{incident_text, incidents_text, timeline_text};
use crate::client::{Answer, Sent, Source};

/// Works on an incident.
#[derive(Debug, Args)]
pub struct IncidentCommand {
    #[command(flatten)]
    api: Api,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Declare an incident; for coordinators.
    Declare(DeclareArguments),
    /// List the incidents that are shared with you, the latest first.
    List {
        /// Only this phase: declared, active or concluded.
        #[arg(long)]
        phase: Option<String>,
        /// How many at most: 1 to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show where an incident stands now, criterion by criterion.
    Show {
        /// The incident.
        id: String,
    },
    /// Show what happened, the earliest first.
    Timeline {
        /// The incident.
        id: String,
        /// Only what came after the entry of this id.
        #[arg(long)]
        after: Option<String>,
    },
    /// Attach a family.
    Attach {
        /// The incident.
        id: String,
        /// The family.
        family: String,
    },
    /// Take a family out again.
    Detach {
        /// The incident.
        id: String,
        /// The family.
        family: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Answer a question of the protocol.
    Answer {
        /// The incident.
        id: String,
        /// The question, by its name.
        question: String,
        /// The answer: yes, no, or open to take one back.
        answer: Said,
        /// What it rests on.
        #[arg(long)]
        reason: String,
    },
    /// Activate the protocol at a level.
    Activate {
        /// The incident.
        id: String,
        /// The level, by its name.
        level: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Go to another level, up or down.
    Level {
        /// The incident.
        id: String,
        /// The level, by its name.
        level: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Say that it is over.
    Conclude {
        /// The incident.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Say that it is not over after all.
    Reopen {
        /// The incident.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Change how far it may go.
    Mark {
        /// The incident.
        id: String,
        #[command(flatten)]
        marking: MarkingArguments,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Invite a party as a participant.
    Invite {
        /// The incident.
        id: String,
        /// The party.
        party: String,
        /// As what: a class of participants of the protocol.
        #[arg(long)]
        class: String,
        /// What it is told.
        #[arg(long, default_value = "")]
        message: String,
    },
    /// Remind a participant.
    Remind {
        /// The incident.
        id: String,
        /// The party.
        party: String,
        /// What it is told.
        #[arg(long, default_value = "")]
        message: String,
    },
    /// Say, as an invited party, that you take part.
    Acknowledge {
        /// The incident.
        id: String,
    },
    /// Leave, as a participant.
    Leave {
        /// The incident.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Give somebody something to do.
    Task {
        /// The incident.
        id: String,
        /// What.
        does: String,
        /// Whose it is: coordinators, or a participant.
        #[arg(long, default_value = "coordinators")]
        owner: String,
        /// Until when, RFC 3339.
        #[arg(long)]
        due: String,
    },
    /// Say that a task is done, or, with --part, that your part of it is.
    Done {
        /// The incident.
        id: String,
        /// The number of the task.
        number: u32,
        /// Only your own part, as a participant.
        #[arg(long)]
        part: bool,
        /// What was done.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Give the hashes of the incident's families out, as its next pack.
    MakePack {
        /// The incident.
        id: String,
    },
    /// Withdraw a pack.
    WithdrawPack {
        /// The incident.
        id: String,
        /// The version of the pack.
        number: u32,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Fetch a pack, and check its signature.
    Pack {
        /// The incident.
        id: String,
        /// The version of the pack.
        number: u32,
        /// manifest, stix or local_file.
        #[arg(long, default_value = "manifest")]
        form: String,
        /// The public key it must be signed with, in hexadecimal digits; by default the one that comes with it, which is shown.
        #[arg(long, value_name = "KEY")]
        signing_key: Option<String>,
    },
    /// Show what is learned from an incident; --page prints one page of HTML.
    Debrief {
        /// The incident.
        id: String,
        /// HTML that can be printed, instead of JSON.
        #[arg(long)]
        page: bool,
    },
    /// Write something down.
    Note {
        /// The incident.
        id: String,
        /// What.
        text: String,
        #[command(flatten)]
        marking: MarkingArguments,
    },
}

/// A new incident.
#[derive(Debug, Args)]
pub struct DeclareArguments {
    /// What it is called.
    title: String,
    /// By which protocol it is handled.
    #[arg(long)]
    protocol: String,
    /// In which version.
    #[arg(long, default_value_t = 1)]
    protocol_version: u32,
    /// The alert it is declared from.
    #[arg(long, group = "from")]
    alert: Option<String>,
    /// The case it is declared from.
    #[arg(long, group = "from")]
    case: Option<String>,
    /// The reference of the notice it is declared from.
    #[arg(long, group = "from")]
    notice: Option<String>,
    /// A family that belongs to it. Repeat for more than one.
    #[arg(long = "family")]
    families: Vec<String>,
    #[command(flatten)]
    marking: MarkingArguments,
}

/// How far something may go.
#[derive(Debug, Args)]
pub struct MarkingArguments {
    /// A label of the Traffic Light Protocol: CLEAR, GREEN, AMBER, AMBER+STRICT or, of notes, RED.
    #[arg(long, default_value = "AMBER")]
    tlp: String,
    /// Of amber: a sharing group that your team is in, instead of those who take part.
    #[arg(long)]
    group: Option<String>,
    /// Of red: the id of a key that may read it. Repeat for more than one.
    #[arg(long = "recipient")]
    recipients: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Said {
    Yes,
    No,
    Open,
}

impl MarkingArguments {
    fn body(&self) -> Value {
        json!({"tlp": self.tlp, "group": self.group, "recipients": self.recipients})
    }
}

impl DeclareArguments {
    fn body(&self) -> Value {
        json!({
            "title": self.title,
            "protocol": self.protocol,
            "protocol_version": self.protocol_version,
            "marking": self.marking.body(),
            "alert": self.alert,
            "case": self.case,
            "notice": self.notice,
            "families": self.families,
        })
    }
}

impl Said {
    fn answer(self) -> Option<bool> {
        match self {
            Said::Yes => Some(true),
            Said::No => Some(false),
            Said::Open => None,
        }
    }
}

impl IncidentCommand {
    /// Carries it out.
    ///
    /// # Errors
    /// The API refuses it or does not answer.
    pub async fn run(&self) -> Result<()> {
        let source = self.api.source()?;
        let (path, body) = match &self.act {
            Act::List { phase, limit } => {
                let mut parameters = vec![("limit", limit.to_string())];
                parameters.extend(phase.iter().map(|phase| ("phase", phase.clone())));
                let sent = Sent::Parameters(parameters);
                let list = source.ask(Method::GET, "/v1/incidents", sent).await?.document()?;
                return self.show(&list, incidents_text);
            }
            Act::Show { id } => {
                let page = source.get(&format!("/v1/incidents/{id}")).await?.document()?;
                return self.show(&page, incident_text);
            }
            Act::Timeline { id, after } => {
                let timeline = timeline(&source, id, after.clone()).await?;
                return self.show(&timeline, timeline_text);
            }
            Act::Pack {
                id,
                number,
                form,
                signing_key,
            } => {
                let path = format!("/v1/incidents/{id}/packs/{number}");
                let sent = Sent::Parameters(vec![("form", form.clone())]);
                let pack = source.ask(Method::GET, &path, sent).await?;
                return print(signed(&pack, signing_key.as_deref())?);
            }
            Act::Debrief { id, page } => {
                let form = if *page { "html" } else { "json" };
                let sent = Sent::Parameters(vec![("form", form.to_owned())]);
                let debrief = source
                    .ask(Method::GET, &format!("/v1/incidents/{id}/debrief"), sent)
                    .await?;
                return print(debrief.text()?);
            }
            Act::Declare(declare) => ("/v1/incidents".to_owned(), declare.body()),
            act => act.request(),
        };
        let done = source.ask(Method::POST, &path, Sent::Body(body)).await?.document()?;
        self.show(&done, incident_text)
    }

    fn show(&self, answer: &Value, text: impl Fn(&Value) -> String) -> Result<()> {
        match self.api.json {
            true => print(&format!("{answer:#}\n")),
            false => print(&text(answer)),
        }
    }
}

/// The whole of it, page after page.
async fn timeline(source: &Source, id: &str, mut after: Option<String>) -> Result<Value> {
    let mut entries: Vec<Value> = Vec::new();
    loop {
        let mut parameters = vec![("limit", "200".to_owned())];
        parameters.extend(after.map(|after| ("after", after)));
        let path = format!("/v1/incidents/{id}/timeline");
        let page = source.ask(Method::GET, &path, Sent::Parameters(parameters)).await?;
        let mut page: Value = page.document()?;
        if let Some(more) = page["entries"].as_array_mut() {
            entries.append(more);
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(json!({ "entries": entries })),
        }
    }
}

/// The text of a pack whose signature holds under the key that comes with it, which is the one expected.
fn signed<'a>(pack: &'a Answer, expected: Option<&str>) -> Result<&'a str> {
    let text = pack.text()?;
    let key = pack.header("tocsin-signing-key").context("the pack is not signed")?;
    let signature = pack.header("tocsin-signature").context("the pack is not signed")?;
    if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(key)) {
        bail!("the pack is signed with another key, {key}");
    }
    holds(text, signature, key)?;
    if expected.is_none() {
        eprintln!("Signed with {key}.");
    }
    Ok(text)
}

/// Ed25519 (RFC 8032): `signature` in base64, `key` in hexadecimal digits.
fn holds(text: &str, signature: &str, key: &str) -> Result<()> {
    let signature = STANDARD.decode(signature).context("the signature is no base64")?;
    let key = hex::decode(key).context("the key has other than hexadecimal digits")?;
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    let verified = key.verify(text.as_bytes(), &signature);
    verified.map_err(|_| anyhow!("the signature does not hold: the pack was changed on its way"))
}

impl Act {
    /// Where an act on one incident goes, and what is sent.
    fn request(&self) -> (String, Value) {
        let (id, step, body) = match self {
            Act::Attach { id, family } => (id, "families", json!({ "family": family })),
            Act::Detach { id, family, reason } => (id, "families/remove", json!({"family": family, "reason": reason})),
            Act::Answer {
                id,
                question,
                answer,
                reason,
            } => {
                let body = json!({"question": question, "answer": answer.answer(), "reason": reason});
                (id, "answers", body)
            }
            Act::Activate { id, level, reason } => (id, "activate", json!({"level": level, "reason": reason})),
            Act::Level { id, level, reason } => (id, "level", json!({"level": level, "reason": reason})),
            Act::Conclude { id, reason } => (id, "conclude", json!({ "reason": reason })),
            Act::Reopen { id, reason } => (id, "reopen", json!({ "reason": reason })),
            Act::Mark { id, marking, reason } => (id, "marking", json!({"marking": marking.body(), "reason": reason})),
            Act::Invite {
                id,
                party,
                class,
                message,
            } => {
                let body = json!({"party": party, "class": class, "message": message});
                (id, "participants", body)
            }
            Act::Remind { id, party, message } => {
                (id, "participants/remind", json!({"party": party, "message": message}))
            }
            Act::Acknowledge { id } => (id, "acknowledge", json!({})),
            Act::Leave { id, reason } => (id, "leave", json!({ "reason": reason })),
            Act::Task { id, does, owner, due } => (id, "tasks", json!({"does": does, "owner": owner, "due": due})),
            Act::Done { id, number, part, note } => {
                let step = if *part { "tasks/part" } else { "tasks/done" };
                (id, step, json!({"number": number, "note": note}))
            }
            Act::MakePack { id } => (id, "packs", json!({})),
            Act::WithdrawPack { id, number, reason } => {
                (id, "packs/withdraw", json!({"number": number, "reason": reason}))
            }
            Act::Note { id, text, marking } => (id, "notes", json!({"text": text, "marking": marking.body()})),
            Act::Declare(_)
            | Act::List { .. }
            | Act::Show { .. }
            | Act::Timeline { .. }
            | Act::Pack { .. }
            | Act::Debrief { .. } => {
                unreachable!("these are no acts on one incident")
            }
        };
        (format!("/v1/incidents/{id}/{step}"), body)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a pack that was changed is not printed.

    use super::*;

    /// RFC 8032, section 7.1, test 2: one byte, 0x72.
    const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

    #[test]
    fn a_signature_holds_for_its_text_alone() {
        let signature: String = {
            let digits = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
            STANDARD.encode(hex::decode(digits).unwrap_or_default())
        };
        assert!(holds("r", &signature, KEY).is_ok());
        assert!(holds("s", &signature, KEY).is_err());
        assert!(holds("r", "?", KEY).is_err());
        assert!(holds("r", &signature, "00").is_err());
    }
}
