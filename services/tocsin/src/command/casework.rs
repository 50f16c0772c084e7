//! The queue and its cases in a terminal: over HTTP, as any other client.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::casework_text::{case_text, history_text, queue_text};

/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Whom to ask, and how to show what is answered.
#[derive(Debug, Args)]
pub struct Api {
    /// The address of the API.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8340")]
    url: String,
    /// The file that holds your API key.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Print the answer as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Which cases.
#[derive(Debug, Args)]
pub struct Which {
    /// Only this lane: live, watch_listed or general.
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
    /// What platforms should do: remove, reduce, label or keep.
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
    /// Prints it.
    pub async fn run(&self) -> Result<()> {
        let which = self.which.named();
        let mut parameters: Vec<(&str, String)> =
            vec![("state", self.state.clone()), ("limit", self.limit.to_string())];
        parameters.extend(which.iter().map(|(name, value)| (name.as_str(), plain(value))));
        let queue = self
            .api
            .ask(Method::GET, "/v1/queue", Ask::Parameters(&parameters))
            .await?;
        self.api.show(&queue, queue_text)
    }
}

impl CaseCommand {
    /// Does it, and prints the case as it is then.
    pub async fn run(&self) -> Result<()> {
        let api = &self.api;
        let path = |id: &str, step: &str| format!("/v1/cases/{id}/{step}");
        let answer = match &self.step {
            Step::Claim {
                id: None,
                lease_s,
                which,
            } => {
                let mut body = which.named();
                body.insert("lease_s".to_owned(), json!(lease_s));
                let claimed = api
                    .ask(Method::POST, "/v1/queue/claim", Ask::Body(Value::Object(body)))
                    .await?;
                if claimed["case"].is_null() {
                    return api.show(&claimed, |_| "No such case waits.\n".to_owned());
                }
                claimed["case"].clone()
            }
            Step::Claim {
                id: Some(id), lease_s, ..
            } => {
                let body = Ask::Body(json!({ "lease_s": lease_s }));
                api.ask(Method::POST, &path(id, "claim"), body).await?
            }
            Step::Show { id } => {
                api.ask(Method::GET, &format!("/v1/cases/{id}"), Ask::Parameters(&[]))
                    .await?
            }
            Step::History { id } => {
                let history = api.ask(Method::GET, &path(id, "history"), Ask::Parameters(&[])).await?;
                return api.show(&history, history_text);
            }
            Step::Withdraw { id } => {
                let case = api
                    .ask(Method::GET, &format!("/v1/cases/{id}"), Ask::Parameters(&[]))
                    .await?;
                let body =
                    Ask::Body(json!({"decision": case["decision"]["id"].as_str().context("no decision stands")?}));
                api.ask(Method::POST, &path(id, "withdraw"), body).await?
            }
            Step::Renew { id, lease_s } => api.act(id, "renew", json!({ "lease_s": lease_s })).await?,
            Step::Decide(decide) => api.act(&decide.id, "decision", decide.body()).await?,
            Step::Release { id, note } => api.act(id, "release", json!({ "note": note })).await?,
            Step::Skip { id, reason } => api.act(id, "skip", json!({ "reason": reason })).await?,
            Step::Hold { id, minutes, reason } => {
                let hold_s = minutes.saturating_mul(60);
                api.act(id, "hold", json!({"hold_s": hold_s, "reason": reason})).await?
            }
            Step::HandOver { id, to, note } => api.act(id, "hand-over", json!({"to": to, "note": note})).await?,
            Step::Escalate { id, to, note } => api.act(id, "escalate", json!({"to": to, "note": note})).await?,
        };
        api.show(&answer, case_text)
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
    fn named(&self) -> Map<String, Value> {
        let named = [
            ("lane", self.lane.as_ref().map(|lane| json!(lane))),
            ("desk", self.desk.as_ref().map(|desk| json!(desk))),
            ("platform", self.platform.as_ref().map(|platform| json!(platform))),
            ("severity_min", self.severity_min.map(|severity| json!(severity))),
        ];
        let asked = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        asked.collect()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

enum Ask<'a> {
    Parameters(&'a [(&'a str, String)]),
    Body(Value),
}

impl Api {
    /// Does what needs the lease: its number is read first, for it is this key's.
    async fn act(&self, id: &str, step: &str, mut body: Value) -> Result<Value> {
        let case = self
            .ask(Method::GET, &format!("/v1/cases/{id}"), Ask::Parameters(&[]))
            .await?;
        body["fencing"] = case["fencing"].clone();
        self.ask(Method::POST, &format!("/v1/cases/{id}/{step}"), Ask::Body(body))
            .await
    }

    async fn ask(&self, method: Method, path: &str, ask: Ask<'_>) -> Result<Value> {
        let key =
            std::fs::read_to_string(&self.key_file).with_context(|| format!("read {}", self.key_file.display()))?;
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let request = reqwest::Client::new()
            .request(method, &url)
            .bearer_auth(key.trim())
            .timeout(ANSWER_MAX);
        let request = match ask {
            Ask::Parameters(parameters) => request.query(parameters),
            Ask::Body(body) => request.json(&body),
        };
        let response = request.send().await.with_context(|| format!("ask {url}"))?;
        let status = response.status();
        let body = response
            .text()
            .await
            .with_context(|| format!("read the answer of {url}"))?;
        let answer: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        match (
            answer["title"].as_str(),
            answer["code"].as_str(),
            answer["detail"].as_str(),
        ) {
            (Some(title), Some(code), Some(detail)) => bail!("{title} ({code}): {detail}"),
            (Some(title), Some(code), None) => bail!("{title} ({code})"),
            _ => bail!("{url} answers {status}: {body}"),
        }
    }

    fn show(&self, answer: &Value, text: impl Fn(&Value) -> String) -> Result<()> {
        let text = if self.json {
            format!("{answer:#}\n")
        } else {
            text(answer)
        };
        std::io::stdout().write_all(text.as_bytes()).context("print the answer")
    }
}
