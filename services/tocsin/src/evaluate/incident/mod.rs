//! A scripted incident, played through a whole deployment: a crisis on the platforms of two parties in real time; coordinators declare, invite, activate on
//! evidence, share hashes and conclude; the parties acknowledge, decide and remove. Every figure of the debrief and of the reports is held to exact counts of what
//! was published, and to when the script did what.

mod check;
mod compare;
mod oracle;
mod script;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tocsin_runtime::Shutdown;

use crate::config::{Config, LogKind};
use crate::demo::Stage;
use crate::rehearsal::Figures;

use check::Check;
use script::Script;

/// How to play the incident.
#[derive(Debug, Args)]
pub struct IncidentArguments {
    /// Which crisis.
    #[arg(long, default_value_t = crate::demo::SEED)]
    pub seed: u64,
    /// Where the figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The log to run on. Kafka's brokers are named by `--set log.bootstrap=...` and must hold no topic of Tocsin, the empty PostgreSQL database beside
    /// it by `--set store.url=...`.
    #[arg(long, value_enum, default_value = "embedded")]
    pub log: LogKind,
    /// How long the crisis lasts, in seconds; as it is written it takes 90.
    #[arg(long, default_value_t = 45)]
    pub seconds: u64,
}

/// Plays the incident and compares.
///
/// # Errors
/// The deployment does not start, or refuses what the script does.
pub async fn run(arguments: &IncidentArguments, mut config: Config) -> Result<Figures> {
    config.log.kind = arguments.log;
    let mut stage = Stage::of(config, arguments.seed, Shutdown::new()).await?;
    let lasts = Duration::from_secs(arguments.seconds.max(1));
    let check = Box::pin(play(arguments.seed, lasts, &stage)).await;
    stage.stop().await?;
    let check = check?;
    for mismatch in &check.mismatches {
        tracing::warn!(mismatch, "a figure is not the oracle's");
    }
    Ok(Figures::from([
        ("figures_compared", json!(check.compared)),
        ("intervals_compared", json!(check.intervals)),
        ("intervals_vacuous", json!(check.vacuous)),
        ("reach_intervals", json!(check.reach_intervals)),
        ("reach_missed", json!(check.reach_missed)),
        ("interval_width_max", json!(check.width_max)),
        ("intervals_too_wide", json!(check.too_wide)),
        ("report_mismatches", json!(check.mismatches.len())),
        ("mismatches", json!(check.mismatches)),
    ]))
}

async fn play(seed: u64, lasts: Duration, stage: &Stage) -> Result<Check> {
    let mut script = Script::new(seed, lasts, stage)?;
    let mut check = Check::default();
    script.play(&mut check).await?;
    Ok(check)
}
