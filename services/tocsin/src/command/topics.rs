use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use tocsin_detector::{Repartitioned, Salvaged};

use crate::config::Config;
use crate::serve::open_log;
use crate::topics::{party_specs, repartition as move_key_groups, salvage as salvage_state, specs};

/// The topics of the log.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create the topics that are absent; refuse those of another shape.
    Apply,
    /// Say what is absent or of another shape, the parties' ingest topics included, and change nothing.
    Check,
    /// Move the key groups to the configured number of partitions (topics.sightings_partitions) with all they hold. No role may run meanwhile.
    Repartition,
    /// Let partitions whose state a detector refuses go on with what is left of it: key groups that cannot be read begin anew. No detector may run
    /// meanwhile. A partition that can be restored is left as it is.
    Salvage {
        /// The number of a partition; may be given several times.
        #[arg(long = "partition", required = true)]
        partitions: Vec<u32>,
    },
}

impl TopicsCommand {
    pub fn run(&self, config: &Config) -> Result<ExitCode> {
        match self {
            TopicsCommand::Repartition => return repartition(config),
            TopicsCommand::Salvage { partitions } => return salvage(config, partitions),
            TopicsCommand::Apply | TopicsCommand::Check => {}
        }
        let log = open_log(config).context("open the log")?;
        let mut wanted = specs(config.sightings_partitions());
        if let TopicsCommand::Apply = self {
            log.ensure_topics(&wanted)?;
            println!("{} topics are there.", wanted.len());
            return Ok(ExitCode::SUCCESS);
        }
        wanted.extend(party_specs(&log.topics()?, config.sightings_partitions()));
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

fn salvage(config: &Config, partitions: &[u32]) -> Result<ExitCode> {
    salvage_state(config, partitions, &mut |number, salvaged| match salvaged {
        Salvaged::AsItWas => println!("Partition {number} can be restored: nothing was changed."),
        Salvaged::GoesOn { offset, kept, anew } => {
            println!(
                "Partition {number} goes on from offset {offset}: {kept} key groups were kept, {anew} begin anew."
            );
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn repartition(config: &Config) -> Result<ExitCode> {
    let count = config.sightings_partitions().get();
    match move_key_groups(config)? {
        Repartitioned::AsItWas => println!("There are {count} partitions already."),
        Repartitioned::Moved {
            from: Some(from),
            records,
        } => {
            println!("The key groups moved from {from} to {count} partitions: {records} records.");
        }
        Repartitioned::Moved { from: None, .. } => {
            println!("The key groups are in {count} partitions: the move that was begun before is done.");
        }
    }
    Ok(ExitCode::SUCCESS)
}
