use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::config::Config;
use crate::serve::open_log;
use crate::topics::specs;

/// The topics of the log.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create the topics that are absent; refuse those of another shape.
    Apply,
    /// Say what is absent or of another shape, and change nothing.
    Check,
}

impl TopicsCommand {
    pub fn run(&self, config: &Config) -> Result<ExitCode> {
        let log = open_log(config).context("open the log")?;
        let wanted = specs(config.sightings_partitions());
        if let TopicsCommand::Apply = self {
            log.ensure_topics(&wanted)?;
            println!("{} topics are there.", wanted.len());
            return Ok(ExitCode::SUCCESS);
        }
        let there: HashMap<String, u32> = log
            .topics()?
            .into_iter()
            .map(|topic| (topic.name, topic.partitions))
            .collect();
        let mut code = ExitCode::SUCCESS;
        for spec in &wanted {
            let finding = match there.get(&spec.name) {
                Some(partitions) if *partitions == spec.partitions => continue,
                Some(partitions) => format!("has {partitions} partitions, not {}", spec.partitions),
                None => "is absent".to_owned(),
            };
            println!("{} {finding}", spec.name);
            code = ExitCode::FAILURE;
        }
        Ok(code)
    }
}
