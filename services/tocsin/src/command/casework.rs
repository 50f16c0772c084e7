//! The queue and its cases in a terminal: over HTTP, as any other client.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::accounts::AccountsArguments;
use super::api::{Api, print};
use super::casework_text::{
    acknowledgements_text, case_text, clocks_text, history_text, pause_text, queue_text, shift_text, unconfirmed_text,
};
use super::queue_follow::{Wanted, follow};
use crate::client::{Sent, Source};

/// Which cases.
#[derive(Debug, Args)]
pub struct Which {
    /// Only this lane: live, watch_listed, notices or general. For appeals there is `tocsin appeal`.
    #[arg(long)]
    lane: Option<String>,
    /// This desk: moderators, expert or legal.
    #[arg(long)]
    desk: Option<String>,
    /// Only what was seen on this platform.
    #[arg(long)]
    platform: Option<String>,
    /// Only what is at least as grave: 1 to 4.
    #[arg(long, value_name = "SEVERITY")]
    severity_min: Option<f64>,
    /// Only what spread in this region within the last day, as DE.
    #[arg(long)]
    region: Option<String>,
    /// Only what spread in this language within the last day, as de.
    #[arg(long)]
    language: Option<String>,
}

/// Shows the queue of your team.
#[derive(Debug, Args)]
pub struct QueueCommand {
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    which: Which,
    /// open, claimed, decided or closed.
    #[arg(long, default_value = "open")]
    state: String,
    /// How many cases at most: 1 to 200.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Then go on, and tell what changes in it as it happens; of a lane or a desk if one is named, and otherwise of the whole queue. Figures of the cases
    /// that you hold, and leases of yours that end, are told too. With --json one event a line.
    #[arg(long, conflicts_with_all = ["platform", "severity_min", "region", "language"])]
    follow: bool,
}

/// Tells what you did within the last hours, and whether it is time for a pause. It tells of nobody else.
#[derive(Debug, Args)]
pub struct ShiftCommand {
    #[command(flatten)]
    api: Api,
    /// How many hours until now: 1 to 24.
    #[arg(long, default_value_t = 12)]
    hours: u32,
}

/// Works on a case.
#[derive(Debug, Args)]
pub struct CaseCommand {
    #[command(flatten)]
    api: Api,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Take the best case, or a given one.
    Claim {
        /// The case; the best of the queue if it is left out.
        id: Option<String>,
        /// For how long, in seconds.
        #[arg(long)]
        lease_s: Option<u32>,
        #[command(flatten)]
        which: Which,
    },
    /// Show a case.
    Show {
        /// The case.
        id: String,
    },
    /// Tell what people did with a case.
    History {
        /// The case.
        id: String,
    },
    /// Tell when what happened to a case first, on each platform.
    Clocks {
        /// The case.
        id: String,
    },
    /// Tell what your platforms confirm of a decision: that copies were removed, or restored.
    Acknowledgements {
        /// The case.
        id: String,
    },
    /// List the accounts of your own platforms that uploaded members of a case's family, by your pseudonyms.
    Accounts(AccountsArguments),
    /// List the decisions of your team that your platforms did not confirm.
    Unconfirmed,
    /// Keep when something first happened on a platform that no event tells of.
    Clock {
        /// The case.
        id: String,
        /// The platform.
        platform: String,
        /// shared, removed, confirmed or leaked.
        clock: String,
        /// When, as in RFC 3339.
        #[arg(long)]
        at: String,
    },
    /// Hold a case longer.
    Renew {
        /// The case.
        id: String,
        /// For how long from now, in seconds.
        #[arg(long)]
        lease_s: Option<u32>,
    },
    /// Decide a case you hold.
    Decide(DecideArguments),
    /// Take your decision back before it goes out.
    Withdraw {
        /// The case.
        id: String,
    },
    /// Give a case back.
    Release {
        /// The case.
        id: String,
        /// For whoever takes it next.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Give a case back that others should take.
    Skip {
        /// The case.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Put a case aside.
    Hold {
        /// The case.
        id: String,
        /// For how long, in minutes.
        #[arg(long)]
        minutes: u32,
        /// What it waits for.
        #[arg(long)]
        reason: String,
    },
    /// Give a case to another moderator of your team.
    HandOver {
        /// The case.
        id: String,
        /// The id of their key.
        #[arg(long)]
        to: String,
        /// What they should know.
        #[arg(long)]
        note: String,
    },
    /// Send a case to a desk.
    Escalate {
        /// The case.
        id: String,
        /// expert, legal or moderators.
        #[arg(long)]
        to: String,
        /// Why.
        #[arg(long)]
        note: String,
    },
}

#[derive(Debug, Args)]
struct DecideArguments {
    /// The case.
    id: String,
    /// violating, benign, newsworthy, disputed or needs_expert.
    verdict: String,
    /// The rule it rests on.
    #[arg(long, default_value = "")]
    policy: String,
    /// What platforms should do: remove, reduce, label, keep or, with a live stream, stop_stream.
    #[arg(long)]
    action: Option<String>,
    /// How sure you are, in percent.
    #[arg(long)]
    confidence: Option<u8>,
    /// A member of the family that it is not about, by its id. Repeat for more.
    #[arg(long = "except", value_name = "CONTENT")]
    exceptions: Vec<String>,
    /// Why. It stays with your team.
    #[arg(long, default_value = "")]
    rationale: String,
}

impl QueueCommand {
    /// Prints it, and with `--follow` what changes.
    pub async fn run(&self) -> Result<()> {
        match self.follow {
            true => {
                let wanted = Wanted {
                    lane: self.which.lane.as_deref(),
                    desk: self.which.desk.as_deref(),
                };
                follow(&self.api, &wanted, async || self.print().await).await
            }
            false => self.print().await,
        }
    }

    async fn print(&self) -> Result<()> {
        let mut parameters = vec![("state", self.state.clone()), ("limit", self.limit.to_string())];
        let which = self.which.named();
        parameters.extend(which.iter().map(|(name, value)| (*name, plain(value))));
        let sent = Sent::Parameters(parameters);
        let queue = self
            .api
            .source()?
            .ask(Method::GET, "/v1/queue", sent)
            .await?
            .document()?;
        self.api.show(&queue, queue_text)
    }
}

impl ShiftCommand {
    /// Prints it.
    pub async fn run(&self) -> Result<()> {
        let sent = Sent::Parameters(vec![("hours", self.hours.to_string())]);
        let shift = self
            .api
            .source()?
            .ask(Method::GET, "/v1/shift", sent)
            .await?
            .document()?;
        self.api.show(&shift, shift_text)
    }
}

impl CaseCommand {
    /// Does it, and prints the case as it is then.
    pub async fn run(&self) -> Result<()> {
        let source = &self.api.source()?;
        let answer = match &self.step {
            Step::Claim {
                id: None,
                lease_s,
                which,
            } => {
                let mut body = json!({ "lease_s": lease_s });
                for (name, value) in which.named() {
                    body[name] = value;
                }
                let claimed = post(source, "/v1/queue/claim", body).await?;
                tell_pause(&claimed);
                if claimed["case"].is_null() {
                    return self.api.show(&claimed, |_| "No such case waits.\n".to_owned());
                }
                claimed["case"].clone()
            }
            Step::Claim {
                id: Some(id), lease_s, ..
            } => {
                let claimed = post(source, &step_path(id, "claim"), json!({ "lease_s": lease_s })).await?;
                tell_pause(&claimed);
                claimed
            }
            Step::Show { id } => source.get(&case_path(id)).await?.document()?,
            Step::History { id } => {
                let history = source.get(&step_path(id, "history")).await?.document()?;
                return self.api.show(&history, history_text);
            }
            Step::Clocks { id } => {
                let clocks = source.get(&step_path(id, "clocks")).await?.document()?;
                return self.api.show(&clocks, clocks_text);
            }
            Step::Unconfirmed => {
                let told = source.get("/v1/unconfirmed").await?.document()?;
                return self.api.show(&told, unconfirmed_text);
            }
            Step::Accounts(asked) => {
                let (accounts, failed) = asked.gathered(source).await?;
                self.api.show(&accounts, |accounts| asked.text(accounts))?;
                return failed.map_or(Ok(()), Err);
            }
            Step::Acknowledgements { id } => {
                let told = source.get(&step_path(id, "acknowledgements")).await?.document()?;
                return self.api.show(&told, acknowledgements_text);
            }
            Step::Clock {
                id,
                platform,
                clock,
                at,
            } => {
                let body = json!({"platform": platform, "clock": clock, "at": at});
                let clocks = post(source, &step_path(id, "clocks"), body).await?;
                return self.api.show(&clocks, clocks_text);
            }
            Step::Withdraw { id } => {
                let case: Value = source.get(&case_path(id)).await?.document()?;
                let decision = case["decision"]["id"].as_str().context("no decision stands")?;
                post(source, &step_path(id, "withdraw"), json!({ "decision": decision })).await?
            }
            Step::Renew { id, lease_s } => act(source, id, "renew", json!({ "lease_s": lease_s })).await?,
            Step::Decide(decide) => act(source, &decide.id, "decision", decide.body()).await?,
            Step::Release { id, note } => act(source, id, "release", json!({ "note": note })).await?,
            Step::Skip { id, reason } => act(source, id, "skip", json!({ "reason": reason })).await?,
            Step::Hold { id, minutes, reason } => {
                let hold_s = minutes.saturating_mul(60);
                act(source, id, "hold", json!({"hold_s": hold_s, "reason": reason})).await?
            }
            Step::HandOver { id, to, note } => act(source, id, "hand-over", json!({"to": to, "note": note})).await?,
            Step::Escalate { id, to, note } => act(source, id, "escalate", json!({"to": to, "note": note})).await?,
        };
        self.api.show(&answer, case_text)
    }
}

impl DecideArguments {
    fn body(&self) -> Value {
        json!({
            "verdict": self.verdict,
            "policy": self.policy,
            "recommended_action": self.action,
            "confidence_percent": self.confidence,
            "exceptions": self.exceptions,
            "rationale": self.rationale,
        })
    }
}

impl Which {
    /// What was asked for, by the names of the API.
    fn named(&self) -> Vec<(&'static str, Value)> {
        let named = [
            ("lane", self.lane.as_ref().map(|lane| json!(lane))),
            ("desk", self.desk.as_ref().map(|desk| json!(desk))),
            ("platform", self.platform.as_ref().map(|platform| json!(platform))),
            ("severity_min", self.severity_min.map(|severity| json!(severity))),
            ("region", self.region.as_ref().map(|region| json!(region))),
            ("language", self.language.as_ref().map(|language| json!(language))),
        ];
        let asked = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        asked.collect()
    }
}

/// Tells whoever claimed that it is time for a pause, if it is.
fn tell_pause(claimed: &Value) {
    if claimed["pause"]["due"] == true {
        eprintln!("{}", pause_text(&claimed["pause"]));
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Does what needs the lease: its number is read first, for it is this key's.
async fn act(source: &Source, id: &str, step: &str, mut body: Value) -> Result<Value> {
    let case: Value = source.get(&case_path(id)).await?.document()?;
    body["fencing"] = case["fencing"].clone();
    post(source, &step_path(id, step), body).await
}

pub(super) async fn post(source: &Source, path: &str, body: Value) -> Result<Value> {
    source.ask(Method::POST, path, Sent::Body(body)).await?.document()
}

fn case_path(id: &str) -> String {
    format!("/v1/cases/{id}")
}

fn step_path(id: &str, step: &str) -> String {
    format!("/v1/cases/{id}/{step}")
}

impl Api {
    pub(super) fn show(&self, answer: &Value, text: impl Fn(&Value) -> String) -> Result<()> {
        match self.json {
            true => print(&format!("{answer:#}\n")),
            false => print(&text(answer)),
        }
    }
}
