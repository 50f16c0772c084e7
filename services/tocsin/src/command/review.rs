//! Second reviews in a terminal: over HTTP, as any other client.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api::Api;
use super::casework::post;
use super::casework_text::text;

/// Decides once more what somebody else decided, without knowing how.
#[derive(Debug, Args)]
pub struct ReviewCommand {
    #[command(flatten)]
    api: Api,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Take what waits longest, of what you neither decided nor reviewed.
    Claim {
        /// For how long, in seconds.
        #[arg(long)]
        lease_s: Option<u32>,
    },
    /// Show a review that you hold or answered.
    Show {
        /// The review.
        id: String,
    },
    /// Hold a review longer.
    Renew {
        /// The review.
        id: String,
        /// For how long from now, in seconds.
        #[arg(long)]
        lease_s: Option<u32>,
    },
    /// Give a review back.
    Release {
        /// The review.
        id: String,
    },
    /// Say what it is.
    Answer {
        /// The review.
        id: String,
        /// violating, benign, newsworthy, disputed or needs_expert.
        verdict: String,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
}

impl ReviewCommand {
    /// Does it, and prints the review as it is then.
    pub async fn run(&self) -> Result<()> {
        let source = &self.api.source()?;
        let review = match &self.step {
            Step::Claim { lease_s } => {
                let body = json!({"lane": "second_review", "lease_s": lease_s});
                post(source, "/v1/queue/claim", body).await?["review"].clone()
            }
            Step::Show { id } => source.get(&path(id)).await?.document()?,
            Step::Renew { id, lease_s } => {
                let body = json!({"fencing": self.fencing(id).await?, "lease_s": lease_s});
                post(source, &format!("{}/renew", path(id)), body).await?
            }
            Step::Release { id } => {
                let body = json!({"fencing": self.fencing(id).await?});
                post(source, &format!("{}/release", path(id)), body).await?
            }
            Step::Answer { id, verdict, note } => {
                let body = json!({"fencing": self.fencing(id).await?, "verdict": verdict, "note": note});
                post(source, &format!("{}/answer", path(id)), body).await?
            }
        };
        self.api.show(&review, review_text)
    }

    async fn fencing(&self, id: &str) -> Result<u64> {
        let review: Value = self.api.source()?.get(&path(id)).await?.document()?;
        review["fencing"].as_u64().context("the answer has no fencing number")
    }
}

fn path(id: &str) -> String {
    format!("/v1/reviews/{id}")
}

fn review_text(review: &Value) -> String {
    if review.is_null() {
        return "Nothing waits that you may review.\n".to_owned();
    }
    let (id, state) = (text(&review["id"]), text(&review["state"]));
    let mut out = format!("Review {id}: {state}.\n");
    let alert = &review["alert"];
    let range = &alert["spread_1h"];
    let spread = match range.is_object() {
        true => format!("{} to {} in the hour before", text(&range["low"]), text(&range["high"])),
        false => String::new(),
    };
    let platforms = alert["platforms"].as_array().map_or(&[][..], Vec::as_slice);
    let platforms: Vec<String> = platforms.iter().map(|figures| text(&figures["platform"])).collect();
    let hash = &review["hash"];
    let lines = [
        ("family", text(&review["family"])),
        ("hash", format!("{}:{}", text(&hash["algorithm"]), text(&hash["value"]))),
        ("members", text(&alert["members"])),
        ("spread", spread),
        ("platforms", platforms.join(", ")),
        ("held until", text(&review["lease"]["expires_at"])),
        ("you said", text(&review["verdict"])),
    ];
    for (name, value) in lines {
        if !value.trim().is_empty() {
            let _ = writeln!(out, "  {name:<10} {value}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_told_as_the_first_saw_it() {
        let review = json!({
            "id": "ab", "state": "claimed", "family": "cd", "hash": {"algorithm": "pdq", "value": "ef"},
            "alert": {"members": 3, "spread_1h": {"low": 4, "high": 5}, "platforms": [{"platform": "a\u{1b}lpha"}]},
        });
        let told = review_text(&review);
        for part in [
            "Review ab: claimed.",
            "hash       pdq:ef",
            "spread     4 to 5 in the hour",
            "platforms  a lpha",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(!told.contains("you said"), "what is missing is left out");
        assert_eq!(review_text(&Value::Null), "Nothing waits that you may review.\n");
    }
}
