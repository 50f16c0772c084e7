//! `tocsin up` as a process of its own, that can be killed.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::api::Api;
use crate::site::Site;

/// A running process. It is killed when it is dropped.
#[derive(Debug)]
pub struct Tocsin {
    /// Its API.
    pub api: Api,
    child: Child,
}

/// `tocsin up` at `site`, by the program at `program`.
pub fn command(program: &Path, site: &Site) -> Command {
    let mut command = Command::new(program);
    for (key, text) in site.settings() {
        command.arg("--set").arg(format!("{key}={text}"));
    }
    command.arg("up").stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Tocsin {
    /// Starts it and waits for its address.
    ///
    /// # Errors
    /// It ends before it listens.
    pub async fn start(program: &Path, site: &Site) -> Result<Tocsin> {
        let mut command = command(program, site);
        let said = std::fs::File::create(site.directory().join("stderr")).context("make a file for its words")?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .context("start tocsin")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        while let Some(line) = lines.next_line().await? {
            let address = line
                .strip_prefix("Tocsin is up on http://")
                .and_then(|rest| rest.split_once(','));
            if let Some((address, _)) = address {
                let api = Api::new(address);
                // What it says further fits the pipe's buffer.
                child.stdout = Some(lines.into_inner().into_inner());
                return Ok(Tocsin { api, child });
            }
        }
        let said = std::fs::read_to_string(site.directory().join("stderr")).unwrap_or_default();
        bail!("tocsin ended before it listened: {said}");
    }

    /// Kills it: it gets to do nothing more.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("kill tocsin")
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        let id = self.child.id().context("it has not ended by itself")?;
        let asked = Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .await
            .context("run kill")?;
        ensure!(asked.success(), "kill fails: {asked}");
        tokio::time::timeout(crate::wait::LIMIT, self.child.wait())
            .await
            .context("it did not stop in time")?
            .context("wait for tocsin")
    }
}
