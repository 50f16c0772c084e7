use std::fmt::Write as _;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_runtime::{ConfigError, Loaded};
use tocsin_wire::retention::{RecordKind, stated};

use crate::config::Config;
use crate::serve::Role;

/// The configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with where it came from; secrets are masked.
    Print,
    /// Print how long each kind of record is kept, and what deletes it.
    Retention {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check it, and open nothing.
    Check {
        /// Also check what this role needs as a process of its own.
        #[arg(long)]
        role: Option<Role>,
    },
}

/// Every kind with where it lies, when it goes and what deletes it.
fn retention(as_json: bool) -> String {
    let of = |kind: &RecordKind| {
        json!({
            "name": kind.name, "holds": kind.holds, "topics": kind.topics, "tables": kind.tables, "files": kind.files, "kept": kind.kept.name(),
            "hours": kind.hours, "ends": kind.ends, "enforced_by": kind.enforced_by,
        })
    };
    if as_json {
        let kinds: Vec<Value> = stated().iter().map(of).collect();
        return format!("{:#}\n", json!({ "kinds": kinds }));
    }
    let mut out = String::new();
    for kind in stated() {
        let kept = kind
            .hours
            .map_or_else(|| kind.kept.name().to_owned(), |hours| format!("{hours} h"));
        let places = [&kind.topics[..], &kind.tables[..], &kind.files[..]]
            .concat()
            .join(", ");
        let _ = writeln!(
            out,
            "{} ({kept}): {}\n  in {places}\n  {} By {}.",
            kind.name, kind.holds, kind.ends, kind.enforced_by
        );
    }
    out
}

impl ConfigCommand {
    pub fn run(&self, loaded: &Loaded<Config>) -> Result<()> {
        match self {
            ConfigCommand::Print => print!("{}", loaded.print()),
            ConfigCommand::Retention { json } => print!("{}", retention(*json)),
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

#[cfg(test)]
mod tests {
    //! Goal: every kind is told, in both forms.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_kind_is_told() {
        let told: Value = serde_json::from_str(&retention(true)).unwrap();
        assert_eq!(told["kinds"].as_array().unwrap().len(), stated().len());
        let text = retention(false);
        for kind in stated() {
            assert!(text.contains(&kind.name) && text.contains(&kind.ends), "{}", kind.name);
        }
        assert!(text.contains("events (168 h)"), "{text}");
    }
}
