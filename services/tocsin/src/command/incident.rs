//! Incidents in a terminal: over HTTP, as any other client.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, print};
use super::incident_text::{incident_text, incidents_text, timeline_text};
use crate::client::{Sent, Source};

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
            Act::Note { id, text, marking } => (id, "notes", json!({"text": text, "marking": marking.body()})),
            Act::Declare(_) | Act::List { .. } | Act::Show { .. } | Act::Timeline { .. } => {
                unreachable!("these are no acts on one incident")
            }
        };
        (format!("/v1/incidents/{id}/{step}"), body)
    }
}
