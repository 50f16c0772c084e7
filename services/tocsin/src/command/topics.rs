use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::config::Config;
use crate::serve::open_log;
use crate::topics::{ingest_specs, specs};

/// The topics of the log.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create the topics that are absent; refuse those of another shape.
    Apply,
    /// Say what is absent or of another shape, the parties' ingest topics included, and change nothing.
    Check,
}

impl TopicsCommand {
    pub fn run(&self, config: &Config) -> Result<ExitCode> {
        let log = open_log(config).context("open the log")?;
        let mut wanted = specs(config.sightings_partitions());
        if let TopicsCommand::Apply = self {
            log.ensure_topics(&wanted)?;
            println!("{} topics are there.", wanted.len());
            return Ok(ExitCode::SUCCESS);
        }
        wanted.extend(ingest_specs(&log.topics()?, config.sightings_partitions()));
        let found = log.check_topics(&wanted)?;
        for found in &found {
            println!("{}: {}", found.topic, found.difference);
        }
        Ok(match found.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
