//! Notices in a terminal: over HTTP, as any other client.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::Api;
use super::casework::post;
use super::casework_text::text;
use crate::client::Sent;

/// Removal orders, notices of trusted flaggers, and referrals.
#[derive(Debug, Args)]
pub struct NoticeCommand {
    #[command(flatten)]
    api: Api,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// List the notices of your team: those whose time runs first, by when they are due.
    List {
        /// open (an answer is waited for), suspended, overdue, answered or all.
        #[arg(long, default_value = "open")]
        state: String,
        /// Only of this case.
        #[arg(long)]
        case: Option<String>,
        /// How many notices at most: 1 to 200.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a notice.
    Show {
        /// The notice.
        id: String,
    },
    /// File a notice: it joins the case of what it is about, or opens one.
    File(FileArguments),
    /// Answer a notice.
    Answer {
        /// The notice.
        id: String,
        /// removed, disabled, kept or withdrawn (by its sender); of a threat replied.
        outcome: String,
        /// In words; of a threat what the authority answered.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Stop the hour of a removal order.
    Suspend {
        /// The notice.
        id: String,
        /// impossible, manifest_errors or insufficient_information.
        ground: String,
        /// Why, as the authority is told.
        #[arg(long)]
        note: String,
    },
    /// Let the hour of a removal order run anew: the grounds have ceased.
    Resume {
        /// The notice.
        id: String,
        /// What became clear.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Record that an authority was told of an imminent threat to life. Tell them first.
    Threat {
        /// The case.
        case: String,
        /// Who was told.
        #[arg(long)]
        authority: String,
        /// What they were told.
        #[arg(long)]
        statement: String,
        /// When, as in RFC 3339; now if it is left out.
        #[arg(long)]
        told_at: Option<String>,
        /// Their number of it, or yours.
        #[arg(long)]
        reference: Option<String>,
    },
}

#[derive(Debug, Args)]
struct FileArguments {
    /// removal_order, trusted_flagger or referral.
    kind: String,
    /// Who wants it.
    #[arg(long)]
    authority: String,
    /// Their number of it.
    #[arg(long)]
    reference: String,
    /// Which of the contents that it names, from 0.
    #[arg(long, default_value_t = 0)]
    part: u32,
    /// The content, as ALGORITHM:VALUE: its strongest hash.
    #[arg(long, value_name = "HASH", conflicts_with = "case", required_unless_present = "case")]
    content: Option<String>,
    /// The case that it is about, instead of a content.
    #[arg(long)]
    case: Option<String>,
    /// The platform that it is about.
    #[arg(long)]
    platform: Option<String>,
    /// When it was received, as in RFC 3339: an order is due an hour later.
    #[arg(long)]
    received_at: String,
    /// Until when its sender wants an answer, where it is no order.
    #[arg(long)]
    due_at: Option<String>,
    /// An address that it names. Repeat for more.
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
    /// Its reasons.
    #[arg(long, default_value = "")]
    statement: String,
}

impl NoticeCommand {
    /// Does it, and prints the notice as it is then.
    pub async fn run(&self) -> Result<()> {
        let source = &self.api.source()?;
        let answer = match &self.step {
            Step::List { state, case, limit } => {
                let mut parameters = vec![("state", state.clone()), ("limit", limit.to_string())];
                parameters.extend(case.clone().map(|case| ("case", case)));
                let sent = Sent::Parameters(parameters);
                let notices = source.ask(Method::GET, "/v1/notices", sent).await?.document()?;
                return self.api.show(&notices, notices_text);
            }
            Step::Show { id } => source.get(&path(id)).await?.document()?,
            Step::File(file) => post(source, "/v1/notices", file.body()?).await?,
            Step::Answer { id, outcome, note } => {
                let body = json!({"outcome": outcome, "note": note});
                post(source, &format!("{}/answer", path(id)), body).await?
            }
            Step::Suspend { id, ground, note } => {
                let body = json!({"ground": ground, "note": note});
                post(source, &format!("{}/suspend", path(id)), body).await?
            }
            Step::Resume { id, note } => post(source, &format!("{}/resume", path(id)), json!({ "note": note })).await?,
            Step::Threat {
                case,
                authority,
                statement,
                told_at,
                reference,
            } => {
                let body =
                    json!({"authority": authority, "statement": statement, "told_at": told_at, "reference": reference});
                post(source, &format!("/v1/cases/{case}/threat"), body).await?
            }
        };
        self.api.show(&answer, notice_text)
    }
}

impl FileArguments {
    fn body(&self) -> Result<Value> {
        let content = self.content.as_ref().map(|text| {
            let (algorithm, value) = text.split_once(':').context("--content wants ALGORITHM:VALUE")?;
            anyhow::Ok(json!({"algorithm": algorithm, "value": value}))
        });
        Ok(json!({
            "kind": self.kind,
            "authority": self.authority,
            "reference": self.reference,
            "part": self.part,
            "content": content.transpose()?,
            "case": self.case,
            "platform": self.platform,
            "received_at": self.received_at,
            "due_at": self.due_at,
            "urls": self.urls,
            "statement": self.statement,
        }))
    }
}

fn path(id: &str) -> String {
    format!("/v1/notices/{id}")
}

fn notices_text(notices: &Value) -> String {
    let listed = notices["notices"].as_array().map_or(&[][..], Vec::as_slice);
    let (team, as_of) = (text(&notices["team"]), text(&notices["as_of"]));
    let mut out = format!("{} notices of {team}, as of {as_of}.\n", listed.len());
    for notice in listed {
        let _ = writeln!(
            out,
            "{}  {:<15}  {:<9}  {:<12}  {} {}",
            text(&notice["id"]),
            text(&notice["kind"]),
            text(&notice["state"]),
            left(notice),
            text(&notice["authority"]),
            text(&notice["reference"])
        );
    }
    if notices["next"].is_string() {
        out.push_str("There are more.\n");
    }
    out
}

fn notice_text(notice: &Value) -> String {
    let mut out = format!(
        "Notice {}: {}, {}.\n",
        text(&notice["id"]),
        text(&notice["kind"]),
        text(&notice["state"])
    );
    let lines = [
        (
            "from",
            format!("{} {}", text(&notice["authority"]), text(&notice["reference"])),
        ),
        ("case", text(&notice["case"])),
        ("platform", text(&notice["platform"])),
        ("received", text(&notice["received_at"])),
        ("due", text(&notice["due_at"])),
        ("left", left(notice)),
        ("says", text(&notice["statement"])),
        ("stopped", said(&notice["suspension"], "ground")),
        ("answer", said(&notice["answer"], "outcome")),
    ];
    for (name, value) in lines {
        if !value.trim().is_empty() {
            let _ = writeln!(out, "  {name:<9} {value}");
        }
    }
    for url in notice["urls"].as_array().map_or(&[][..], Vec::as_slice) {
        let _ = writeln!(out, "  address   {}", text(url));
    }
    out
}

/// What was said of it and when, if anything.
fn said(part: &Value, what: &str) -> String {
    match part.is_object() {
        true => format!("{}, {}: {}", text(&part[what]), text(&part["at"]), text(&part["note"])),
        false => String::new(),
    }
}

/// How much time is left, in minutes.
fn left(notice: &Value) -> String {
    match notice["left_s"].as_i64() {
        Some(left) if left < 0 => format!("{} min late", (-left) / 60),
        Some(left) => format!("{} min left", left / 60),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_told_with_the_time_that_is_left() {
        let notice = json!({
            "id": "ab", "kind": "removal_order", "state": "open", "authority": "B\u{1b}KA", "reference": "1", "left_s": 1_830,
            "urls": ["https://example.org/v"], "answer": {"outcome": "removed", "at": "now", "note": "done"},
        });
        let told = notice_text(&notice);
        for part in [
            "Notice ab: removal_order, open.",
            "from      B KA 1",
            "left      30 min left",
            "answer    removed, now: done",
            "address   https://example.org/v",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(!told.contains("received"), "what is missing is left out");
        let late = json!({"notices": [{"id": "ab", "left_s": -130}], "team": "alpha", "next": "x"});
        let told = notices_text(&late);
        assert!(told.contains("1 notices of alpha") && told.contains("2 min late") && told.contains("There are more."));
    }
}
