use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::command::api::{Api, print};

/// Shows how listed contents fared, by bank and platform, as the query API tells it inside the scope of a key: the part of the attempts that was posted,
/// how long the first block took, and what comes again.
#[derive(Debug, Args)]
pub struct LeakThroughCommand {
    #[command(flatten)]
    api: Api,
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
struct Answer {
    scope: String,
    as_of: Option<String>,
    contents: u64,
    contents_left_out: u64,
    platforms: Vec<OnPlatform>,
    banks: Vec<OfBank>,
}

#[derive(Debug, Deserialize)]
struct OfBank {
    bank: String,
    contents: u64,
    platforms: Vec<OnPlatform>,
}

#[derive(Debug, Deserialize)]
struct OnPlatform {
    platform: String,
    posted: u64,
    blocked: u64,
    leak_through: Option<f64>,
    first_block_after: Option<Delays>,
    reuploads_per_content_day: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Delays {
    p50_s: f64,
    p90_s: f64,
}

impl LeakThroughCommand {
    pub async fn run(&self) -> Result<()> {
        let answer: Value = self.api.source()?.get("/v1/leak-through").await?.document()?;
        match self.api.json {
            true => print(&format!("{answer:#}\n")),
            false => print(&lines(serde_json::from_value(answer).context("read the answer")?)),
        }
    }
}

/// A line for each platform, over all banks and then bank by bank.
fn lines(answer: Answer) -> String {
    let as_of = answer.as_of.as_deref().unwrap_or("nothing yet");
    let mut text = format!(
        "Scope {}, as of {as_of}: {} listed contents were seen since they are listed.\n",
        answer.scope, answer.contents
    );
    if answer.contents_left_out > 0 {
        text += &format!("{} more are left out.\n", answer.contents_left_out);
    }
    let all = OfBank {
        bank: "all banks".to_owned(),
        contents: answer.contents,
        platforms: answer.platforms,
    };
    for OfBank {
        bank,
        contents,
        platforms,
    } in std::iter::once(all).chain(answer.banks)
    {
        let _ = writeln!(text, "\n{bank}: {contents} contents");
        for on in platforms {
            let leaked = match on.leak_through {
                Some(part) => format!("{:.1} % leaked through", 100.0 * part),
                None => "no attempt".to_owned(),
            };
            let blocked = match &on.first_block_after {
                Some(Delays { p50_s, p90_s }) => {
                    format!("first block after {p50_s:.0} s (half), {p90_s:.0} s (nine in ten)")
                }
                None => "never blocked".to_owned(),
            };
            let again = match on.reuploads_per_content_day {
                Some(rate) => format!("{rate:.2} re-uploads a content and day"),
                None => "re-uploads not known yet".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {}: posted {}, blocked {}: {leaked}; {blocked}; {again}",
                on.platform, on.posted, on.blocked
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_told_in_lines() {
        let one = json!({"platform": "one-video", "contents": 2, "posted": 1, "blocked": 3, "leak_through": 0.25,
            "first_block_after": {"contents": 2, "p50_s": 120.0, "p90_s": 600.0, "max_s": 600.0}, "reuploads_per_content_day": 30.0});
        let two = json!({"platform": "two-video", "contents": 1, "posted": 0, "blocked": 0, "leak_through": null,
            "first_block_after": null, "reuploads_per_content_day": null});
        let answer = json!({"scope": "coordinators", "as_of": "2026-11-26T00:00:00Z", "lag_ms": 5, "contents": 2, "contents_left_out": 1,
            "platforms": [one], "banks": [{"bank": "NORTH", "contents": 1, "platforms": [two]}]});
        let answer: Answer = serde_json::from_value(answer).expect("it is an answer");
        assert_eq!(
            lines(answer),
            "Scope coordinators, as of 2026-11-26T00:00:00Z: 2 listed contents were seen since they are listed.\n\
             1 more are left out.\n\
             \n\
             all banks: 2 contents\n  \
             one-video: posted 1, blocked 3: 25.0 % leaked through; first block after 120 s (half), 600 s (nine in ten); 30.00 re-uploads a content and day\n\
             \n\
             NORTH: 1 contents\n  \
             two-video: posted 0, blocked 0: no attempt; never blocked; re-uploads not known yet\n"
        );
    }
}
