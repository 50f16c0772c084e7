//! Appeals in a terminal: over HTTP, as any other client.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::Api;
use super::casework::post;
use super::casework_text::text;
use crate::client::Sent;

/// Appeals against decisions of your team and against refused uploads.
#[derive(Debug, Args)]
pub struct AppealCommand {
    #[command(flatten)]
    api: Api,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// List the appeals of your team, the first filed first.
    List {
        /// open (an answer is waited for), without_reviewer (of these: all who moderate decided), answered or all.
        #[arg(long, default_value = "open")]
        state: String,
        /// Only of this case.
        #[arg(long)]
        case: Option<String>,
        /// How many appeals at most: 1 to 200.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show an appeal.
    Show {
        /// The appeal.
        id: String,
    },
    /// File an appeal.
    File(FileArguments),
    /// Take the appeal that waits longest and that you may answer, or a given one.
    Claim {
        /// The appeal.
        id: Option<String>,
        /// Only of this platform, where none is given.
        #[arg(long)]
        platform: Option<String>,
        /// For how long, in seconds.
        #[arg(long)]
        lease_s: Option<u32>,
    },
    /// Hold an appeal longer.
    Renew {
        /// The appeal.
        id: String,
        /// For how long from now, in seconds.
        #[arg(long)]
        lease_s: Option<u32>,
    },
    /// Give an appeal back.
    Release {
        /// The appeal.
        id: String,
    },
    /// Answer an appeal that you hold.
    Answer {
        /// The appeal.
        id: String,
        /// upheld (the decision stands) or overturned.
        outcome: String,
        /// How far that goes: upload, member or family.
        concerns: String,
        /// Of what is overturned, by which evidence it was caught: judgement, equal_hash, near_picture, frames, said_so, listing or label.
        #[arg(long)]
        cause: Option<String>,
        /// Of a family that is overturned: benign (also if it is left out) or newsworthy.
        #[arg(long)]
        verdict: Option<String>,
        /// Why.
        #[arg(long)]
        note: String,
    },
    /// Sum up the appeals of your team: outcomes, causes, and how long they waited.
    Figures {
        /// Those answered within so many hours: 1 to 744.
        #[arg(long, default_value_t = 24)]
        hours: u32,
    },
}

#[derive(Debug, Args)]
struct FileArguments {
    /// Its number on the platform.
    #[arg(long)]
    reference: String,
    /// The platform.
    #[arg(long)]
    platform: String,
    /// The content, as ALGORITHM:VALUE: its strongest hash.
    #[arg(long, value_name = "HASH")]
    content: String,
    /// The decision that it is against; without it, a refused upload.
    #[arg(long)]
    decision: Option<String>,
    /// Why, in the words of those who appeal.
    #[arg(long)]
    reason: String,
}

impl AppealCommand {
    /// Does it, and prints the appeal as it is then.
    pub async fn run(&self) -> Result<()> {
        let source = &self.api.source()?;
        let answer = match &self.step {
            Step::List { state, case, limit } => {
                let mut parameters = vec![("state", state.clone()), ("limit", limit.to_string())];
                parameters.extend(case.clone().map(|case| ("case", case)));
                let sent = Sent::Parameters(parameters);
                let appeals = source.ask(Method::GET, "/v1/appeals", sent).await?.document()?;
                return self.api.show(&appeals, appeals_text);
            }
            Step::Figures { hours } => {
                let sent = Sent::Parameters(vec![("hours", hours.to_string())]);
                let figures = source.ask(Method::GET, "/v1/appeals/figures", sent).await?;
                return self.api.show(&figures.document()?, figures_text);
            }
            Step::Show { id } => source.get(&path(id)).await?.document()?,
            Step::File(file) => post(source, "/v1/appeals", file.body()?).await?,
            Step::Claim {
                id: Some(id), lease_s, ..
            } => post(source, &format!("{}/claim", path(id)), json!({ "lease_s": lease_s })).await?,
            Step::Claim {
                id: None,
                platform,
                lease_s,
            } => {
                let body = json!({"lane": "appeals", "platform": platform, "lease_s": lease_s});
                let claimed = post(source, "/v1/queue/claim", body).await?;
                claimed["appeal"].clone()
            }
            Step::Renew { id, lease_s } => {
                let body = json!({"fencing": self.fencing(id).await?, "lease_s": lease_s});
                post(source, &format!("{}/renew", path(id)), body).await?
            }
            Step::Release { id } => {
                let body = json!({"fencing": self.fencing(id).await?});
                post(source, &format!("{}/release", path(id)), body).await?
            }
            Step::Answer {
                id,
                outcome,
                concerns,
                cause,
                verdict,
                note,
            } => {
                let body = json!({
                    "fencing": self.fencing(id).await?, "outcome": outcome, "concerns": concerns, "cause": cause,
                    "verdict": verdict, "note": note,
                });
                post(source, &format!("{}/answer", path(id)), body).await?
            }
        };
        self.api.show(&answer, appeal_text)
    }

    /// The number of the last lease: whoever holds none is refused anyway.
    async fn fencing(&self, id: &str) -> Result<u64> {
        let appeal: Value = self.api.source()?.get(&path(id)).await?.document()?;
        appeal["fencing"].as_u64().context("the answer has no fencing number")
    }
}

impl FileArguments {
    fn body(&self) -> Result<Value> {
        let (algorithm, value) = self
            .content
            .split_once(':')
            .context("--content wants ALGORITHM:VALUE")?;
        Ok(json!({
            "reference": self.reference,
            "platform": self.platform,
            "content": {"algorithm": algorithm, "value": value},
            "decision": self.decision,
            "reason": self.reason,
        }))
    }
}

fn path(id: &str) -> String {
    format!("/v1/appeals/{id}")
}

fn list(document: &Value, field: &str) -> Vec<Value> {
    document[field].as_array().cloned().unwrap_or_default()
}

fn appeals_text(appeals: &Value) -> String {
    let listed = list(appeals, "appeals");
    let (team, as_of) = (text(&appeals["team"]), text(&appeals["as_of"]));
    let mut out = format!("{} appeals of {team}, as of {as_of}.\n", listed.len());
    for appeal in &listed {
        let _ = writeln!(
            out,
            "{}  {:<8}  {:<8}  {}  {} {}{}",
            text(&appeal["id"]),
            text(&appeal["state"]),
            text(&appeal["against"]),
            text(&appeal["filed_at"]),
            text(&appeal["platform"]),
            text(&appeal["reference"]),
            flag(appeal)
        );
    }
    if appeals["next"].is_string() {
        out.push_str("There are more.\n");
    }
    out
}

fn appeal_text(appeal: &Value) -> String {
    if appeal.is_null() {
        return "No appeal waits that you may answer.\n".to_owned();
    }
    let (id, state) = (text(&appeal["id"]), text(&appeal["state"]));
    let mut out = format!("Appeal {id}: {state}.{}\n", flag(appeal));
    let answer = &appeal["answer"];
    let answered = match answer.is_object() {
        true => format!(
            "{} ({}), {}: {}",
            text(&answer["outcome"]),
            text(&answer["concerns"]),
            text(&answer["at"]),
            text(&answer["note"])
        ),
        false => String::new(),
    };
    let lines = [
        (
            "from",
            format!("{} {}", text(&appeal["platform"]), text(&appeal["reference"])),
        ),
        ("against", text(&appeal["against"])),
        ("decision", text(&appeal["decision"])),
        ("case", text(&appeal["case"])),
        (
            "content",
            format!(
                "{}:{}",
                text(&appeal["content"]["algorithm"]),
                text(&appeal["content"]["value"])
            ),
        ),
        ("filed", text(&appeal["filed_at"])),
        ("says", text(&appeal["reason"])),
        ("held until", text(&appeal["lease"]["expires_at"])),
        ("answer", answered),
        ("cause", text(&answer["cause"])),
        ("now", text(&answer["verdict"])),
    ];
    for (name, value) in lines {
        if !value.trim().is_empty() {
            let _ = writeln!(out, "  {name:<10} {value}");
        }
    }
    out
}

fn figures_text(figures: &Value) -> String {
    let mut out = format!(
        "{} appeals of {} answered within {} h; {} wait, {} of them for somebody who did not decide.\n",
        text(&figures["answered"]),
        text(&figures["team"]),
        text(&figures["hours"]),
        text(&figures["waiting"]),
        text(&figures["without_reviewer"])
    );
    for outcome in list(figures, "outcomes") {
        let what = format!("{} ({})", text(&outcome["outcome"]), text(&outcome["concerns"]));
        let _ = writeln!(out, "  {what:<24} {}", text(&outcome["appeals"]));
    }
    for cause in list(figures, "causes") {
        let what = format!("cause {}", text(&cause["cause"]));
        let _ = writeln!(out, "  {what:<24} {}", text(&cause["appeals"]));
    }
    if let (Some(median), Some(ninth)) = (
        figures["to_answer"]["median_s"].as_f64(),
        figures["to_answer"]["ninth_decile_s"].as_f64(),
    ) {
        let _ = writeln!(
            out,
            "  answered in {median:.0} s at the median, in {ninth:.0} s nine times in ten"
        );
    }
    out
}

fn flag(appeal: &Value) -> &'static str {
    match appeal["is_without_reviewer"].as_bool() {
        Some(true) => "  nobody here may answer it: all decided",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appeal_and_its_figures_are_told() {
        let appeal = json!({
            "id": "ab", "state": "open", "is_without_reviewer": true, "platform": "a\u{1b}lpha", "reference": "1", "against": "block",
            "content": {"algorithm": "sha256", "value": "cd"}, "reason": "news",
            "answer": {"outcome": "overturned", "concerns": "family", "at": "now", "note": "is news", "verdict": "newsworthy"},
        });
        let told = appeal_text(&appeal);
        for part in [
            "Appeal ab: open.  nobody here may answer it: all decided",
            "from       a lpha 1",
            "content    sha256:cd",
            "answer     overturned (family), now: is news",
            "now        newsworthy",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(!told.contains("case"), "what is missing is left out");
        assert_eq!(appeal_text(&Value::Null), "No appeal waits that you may answer.\n");
        let page = json!({"appeals": [appeal], "team": "alpha", "next": "x"});
        let told = appeals_text(&page);
        assert!(
            told.contains("1 appeals of alpha") && told.contains("all decided") && told.contains("There are more.")
        );
        let figures = json!({
            "answered": 3, "hours": 24, "waiting": 2, "without_reviewer": 1, "team": "alpha",
            "outcomes": [{"outcome": "upheld", "concerns": "upload", "appeals": 3}], "causes": [{"cause": "label", "appeals": 1}],
            "to_answer": {"median_s": 60.0, "ninth_decile_s": 90.4},
        });
        let told = figures_text(&figures);
        for part in [
            "3 appeals of alpha answered within 24 h; 2 wait, 1 of them",
            "upheld (upload)          3",
            "cause label              1",
            "in 60 s at the median, in 90 s",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
