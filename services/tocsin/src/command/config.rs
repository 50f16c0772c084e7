use anyhow::Result;
use clap::Subcommand;
use tocsin_runtime::{ConfigError, Loaded};

use crate::config::Config;
use crate::serve::Role;

/// The configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with where it came from; secrets are masked.
    Print,
    /// Check it, and open nothing.
    Check {
        /// Also check what this role needs as a process of its own.
        #[arg(long)]
        role: Option<Role>,
    },
}

impl ConfigCommand {
    pub fn run(&self, loaded: &Loaded<Config>) -> Result<()> {
        match self {
            ConfigCommand::Print => print!("{}", loaded.print()),
            ConfigCommand::Check { role } => {
                let refusals = role
                    .map(|role| loaded.config.refusals_in_cluster(role))
                    .unwrap_or_default();
                if !refusals.is_empty() {
                    return Err(ConfigError::Refused(refusals).into());
                }
                println!("The configuration is valid.");
            }
        }
        Ok(())
    }
}
