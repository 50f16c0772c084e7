use anyhow::Result;
use clap::Args;

use super::api::{Api, print};
use crate::explain::{Which, explanation, fetch};

/// Which alert to explain, and how to ask for it.
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// The alert's id, 32 hexadecimal digits, or `newest`.
    #[arg(value_name = "ALERT")]
    alert: Which,
    #[command(flatten)]
    api: Api,
}

impl ExplainCommand {
    /// Prints it. That nothing rang yet is an answer too.
    pub async fn run(&self) -> Result<()> {
        let text = match fetch(&self.api.source()?, &self.alert).await? {
            Some(alert) if self.api.json => format!("{alert:#}\n"),
            Some(alert) => explanation(alert)?,
            None if self.api.json => "null\n".to_owned(),
            None => "Nothing rang yet in the scope of this key.\n".to_owned(),
        };
        print(&text)
    }
}
