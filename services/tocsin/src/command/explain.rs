use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::explain::{Source, Which, explanation, fetch};

/// Which alert to explain, and how to ask for it.
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// The alert's id, 32 hexadecimal digits, or `newest`.
    #[arg(value_name = "ALERT")]
    alert: Which,
    /// The address of the API.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8340")]
    url: String,
    /// The file that holds the API key: a reader's or a moderator's. The alert must lie in its scope.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Print the alert as the API gives it.
    #[arg(long)]
    json: bool,
}

impl ExplainCommand {
    /// Prints it. That nothing rang yet is an answer too.
    pub async fn run(&self) -> Result<()> {
        let key =
            std::fs::read_to_string(&self.key_file).with_context(|| format!("read {}", self.key_file.display()))?;
        let source = Source {
            url: self.url.clone(),
            key,
        };
        let text = match fetch(&source, &self.alert).await? {
            Some(alert) if self.json => format!("{alert:#}\n"),
            Some(alert) => explanation(alert)?,
            None if self.json => "null\n".to_owned(),
            None => "Nothing rang yet in the scope of this key.\n".to_owned(),
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .context("print the explanation")
    }
}
