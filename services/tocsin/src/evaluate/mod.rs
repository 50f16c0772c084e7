//! Evaluations: the whole path against exact counts.

mod elections;
mod truth;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::LogKind;
use crate::recorded::PostContent;
use crate::rehearsal::Figures;

/// What to evaluate.
#[derive(Debug, Subcommand)]
pub enum EvaluateCommand {
    /// The posts around an election: every answer of the API against exact counts, and what each scope may not see.
    Elections(ElectionsArguments),
}

/// How to evaluate the election posts.
#[derive(Debug, Args)]
pub struct ElectionsArguments {
    /// The posts, as CSV or gzip of it.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where the figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The log to run on. Kafka's brokers are named by `--set log.bootstrap=...` and must hold no topic of Tocsin.
    #[arg(long, value_enum, default_value = "embedded")]
    pub log: LogKind,
    /// What of a post is its content.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "phash,url,hashtag")]
    pub content: Vec<PostContent>,
    /// The most contents counted exactly.
    #[arg(long, default_value_t = 1 << 20)]
    pub hot_limit: u32,
    /// Partitions of the sightings.
    #[arg(long, default_value_t = 4)]
    pub partitions: u16,
    /// How often the replay stops and every content of the last day is read back.
    #[arg(long, default_value_t = 8)]
    pub stops: usize,
    /// Read only so many posts: a shorter run.
    #[arg(long)]
    pub posts: Option<usize>,
}

impl EvaluateCommand {
    /// Runs the evaluation and writes its figures.
    ///
    /// # Errors
    /// It cannot run; a figure that misses its bar is not an error.
    pub async fn run(&self, config: crate::config::Config) -> Result<()> {
        tocsin_runtime::telemetry::start_logging(&config.telemetry);
        match self {
            EvaluateCommand::Elections(arguments) => {
                let figures = elections::run(arguments, config).await?;
                write(&arguments.out, "elections", &figures)
            }
        }
    }
}

fn write(out: &std::path::Path, suite: &str, figures: &Figures) -> Result<()> {
    let document: Value = json!({ "suite": suite, "figures": figures });
    let text = serde_json::to_string_pretty(&document)? + "\n";
    std::fs::write(out, &text).with_context(|| format!("write {}", out.display()))?;
    print!("{text}");
    Ok(())
}
