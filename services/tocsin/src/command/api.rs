use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::client::Source;

/// Whom to ask, and how to show what is answered.
#[derive(Debug, Args)]
pub struct Api {
    /// The address of the API.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8340")]
    url: String,
    /// The file that holds your API key: a reader's or a moderator's. You see what lies in its scope.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Print JSON: the answer as the API gives it, or what follows from it.
    #[arg(long)]
    pub json: bool,
}

impl Api {
    /// Where to ask, with the key that the file holds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn source(&self) -> Result<Source> {
        let key = std::fs::read_to_string(&self.key_file);
        Ok(Source {
            url: self.url.clone(),
            key: key.with_context(|| format!("read {}", self.key_file.display()))?,
        })
    }
}

/// Prints what a command says.
///
/// # Errors
/// Whoever reads it went away.
pub(super) fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("print")
}
