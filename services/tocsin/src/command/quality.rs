//! The quality of a team's decisions: how much is decided twice, and how often alike. Figures come over HTTP; settings are made on the store.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;
use tocsin_casework::CaseId;
use tocsin_model::Verdict;
use tocsin_store::ReviewSettings;

use super::api::Api;
use super::casework_text::text;
use super::person::TeamArguments;
use crate::client::Sent;
use crate::config::Config;
use crate::serve::open_store;

/// How much of what a team decides is decided twice, and how often alike.
#[derive(Debug, Subcommand)]
pub enum QualityCommand {
    /// Tell how often your team agrees: of the team, never of a person.
    Figures {
        #[command(flatten)]
        api: Api,
        /// Of what was reviewed within so many hours: 1 to 744.
        #[arg(long, default_value_t = 744)]
        hours: u32,
    },
    /// Set how much of what a team decides is decided twice, from now on.
    Set {
        #[command(flatten)]
        team: TeamArguments,
        /// Which part of the cases, in percent.
        #[arg(long, value_parser = percent)]
        share: u32,
        /// How often a case of which the answer is known is handed out instead, in percent.
        #[arg(long, value_parser = percent, default_value = "0")]
        golden: u32,
    },
    /// Draw all cases of a team anew, and say whether the sample is what the keyed hash says.
    Check {
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Cases of which the answer is known.
    #[command(subcommand)]
    Golden(GoldenCommand),
}

#[derive(Debug, Subcommand)]
pub enum GoldenCommand {
    /// Make one of a case of the team, as its figures are now.
    Add {
        /// The case.
        case: CaseId,
        /// The answer: violating, benign, newsworthy, disputed or needs_expert.
        #[arg(value_parser = verdict)]
        verdict: Verdict,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Mix one in no more.
    Retire {
        /// The case that it was made of.
        case: CaseId,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// List those of a team.
    List {
        #[command(flatten)]
        team: TeamArguments,
    },
}

impl QualityCommand {
    pub async fn run(&self, config: impl FnOnce() -> Result<Config>) -> Result<()> {
        match self {
            QualityCommand::Figures { api, hours } => {
                let sent = Sent::Parameters(vec![("hours", hours.to_string())]);
                let figures = api.source()?.ask(Method::GET, "/v1/quality", sent).await?;
                api.show(&figures.document()?, figures_text)
            }
            QualityCommand::Set { team, share, golden } => {
                let store = open_store(&config()?).await?;
                let settings = ReviewSettings {
                    share_ppm: *share,
                    golden_ppm: *golden,
                };
                store.set_review_settings(team.team(&store).await?, settings).await?;
                Ok(())
            }
            QualityCommand::Check { team } => {
                let store = open_store(&config()?).await?;
                let check = store.check_sample(team.team(&store).await?).await?;
                println!(
                    "{} decisions; the keyed hash draws {} of them; {} of these are not in the sample, and {} are that it does not draw",
                    check.decisions, check.drawn, check.missing, check.extra
                );
                ensure!(check.missing + check.extra == 0, "the sample is not what was drawn");
                Ok(())
            }
            QualityCommand::Golden(command) => command.run(&config()?).await,
        }
    }
}

impl GoldenCommand {
    async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            GoldenCommand::Add { case, verdict, team } => {
                store.add_golden_case(team.team(&store).await?, *case, *verdict).await?;
            }
            GoldenCommand::Retire { case, team } => {
                let retired = store.retire_golden_case(team.team(&store).await?, *case).await?;
                ensure!(retired, "no golden case was made of {case}");
            }
            GoldenCommand::List { team } => {
                for golden in store.golden_cases(team.team(&store).await?).await? {
                    let state = if golden.retired_at.is_some() {
                        "retired"
                    } else {
                        "in use"
                    };
                    println!(
                        "{}  {state:<7}  {:<12}  family {}",
                        golden.case,
                        golden.verdict.name(),
                        golden.family
                    );
                }
            }
        }
        Ok(())
    }
}

/// A percentage in parts per million.
fn percent(text: &str) -> Result<u32, String> {
    let percent: Option<f64> = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    let percent = percent.ok_or("a percentage is 0 to 100")?;
    Ok((percent * 10_000.0).round() as u32)
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let known = Verdict::ALL.map(Verdict::name).join(", ");
    Verdict::from_name(text).ok_or(format!("a verdict is one of {known}"))
}

fn figures_text(figures: &Value) -> String {
    let mut out = format!(
        "{}: {} % of the cases are decided twice; within {} h {} were, {} of them alike.\n",
        text(&figures["team"]),
        text(&figures["share_percent"]),
        text(&figures["hours"]),
        text(&figures["reviewed"]),
        text(&figures["agreed"])
    );
    let kappa = &figures["kappa"];
    match (kappa["value"].as_f64(), kappa["low"].as_f64(), kappa["high"].as_f64()) {
        (Some(value), Some(low), Some(high)) => {
            let _ = writeln!(out, "  Cohen's kappa  {value:.2}, 95 % interval {low:.2} to {high:.2}");
        }
        (Some(value), ..) => {
            let _ = writeln!(out, "  Cohen's kappa  {value:.2}; too little to tell an interval");
        }
        _ => out.push_str("  Cohen's kappa says nothing of these.\n"),
    }
    let lines = [
        (
            "third opinions",
            format!(
                "{}, {} of them changed the decision",
                text(&figures["thirds"]),
                text(&figures["changed"])
            ),
        ),
        (
            "golden cases",
            format!(
                "{} of {} as is known",
                text(&figures["golden_right"]),
                text(&figures["golden"])
            ),
        ),
        ("waiting", text(&figures["waiting"])),
    ];
    for (name, value) in lines {
        let _ = writeln!(out, "  {name:<14} {value}");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_are_read_and_figures_told() {
        for (text, ppm) in [("0", Ok(0)), ("0.5", Ok(5_000)), ("100", Ok(1_000_000))] {
            assert_eq!(percent(text), ppm);
        }
        for bad in ["-1", "100.1", "NaN", "x"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
        let mut figures = json!({
            "team": "alpha", "share_percent": 5.0, "hours": 24, "reviewed": 40, "agreed": 36, "thirds": 4, "changed": 1, "golden": 9,
            "golden_right": 8, "waiting": 2, "kappa": {"value": 0.756, "low": 0.5, "high": 1.0},
        });
        let told = figures_text(&figures);
        for part in [
            "40 were, 36 of them alike",
            "0.76, 95 % interval 0.50 to 1.00",
            "4, 1 of them changed",
            "8 of 9 as",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        figures["kappa"] = Value::Null;
        assert!(figures_text(&figures).contains("says nothing"));
    }
}
