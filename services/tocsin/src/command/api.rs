use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::client::Source;
use crate::client_tls::TlsArguments;

/// Whom to ask, and how to show what is answered.
#[derive(Debug, Args)]
pub struct Api {
    /// The address of the API.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8340")]
    url: String,
    /// The file that holds your API key: a reader's or a moderator's. You see what lies in its scope.
    #[arg(long, value_name = "FILE", required_unless_present = "client_certificate")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArguments,
    /// Print JSON: the answer as the API gives it, or what follows from it.
    #[arg(long)]
    pub json: bool,
}

impl Api {
    /// Where to ask, with the key and the certificate that the files hold.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) fn source(&self) -> Result<Source> {
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
        Ok(Source {
            url: self.url.clone(),
            key: self.key_file.as_ref().map(read).transpose()?,
            tls: self.tls.read(&self.url)?,
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
