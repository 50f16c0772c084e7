//! `tocsin up`, or one role of a cluster, as a process of its own, that can be killed.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use tocsin::serve::Role;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::api::Api;
use crate::site::Site;
use crate::wait::until;

/// A running process. It is killed when it is dropped.
#[derive(Debug)]
pub struct Tocsin {
    /// Its API.
    pub api: Api,
    child: Child,
}

/// One process of a role: members of a group have names of their own.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// What it does.
    pub role: Role,
    /// Its name, stable over restarts.
    pub instance: &'a str,
}

/// The program at `program`, with the settings of `site` and these arguments.
pub fn command(program: &Path, site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (key, text) in site.settings() {
        command.arg("--set").arg(format!("{key}={text}"));
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts `command`, with what it says in a file.
fn spawn(mut command: Command, said: &Path) -> Result<Child> {
    let said = std::fs::File::create(said).context("make a file for its words")?;
    command
        .stdout(Stdio::piped())
        .stderr(said)
        .spawn()
        .context("start tocsin")
}

impl Tocsin {
    /// Starts all roles in one process and waits for its address.
    ///
    /// # Errors
    /// It ends before it listens.
    pub async fn start(program: &Path, site: &Site) -> Result<Tocsin> {
        Tocsin::start_with(program, site, &[]).await
    }

    /// The same with further settings.
    ///
    /// # Errors
    /// It ends before it listens.
    pub async fn start_with(program: &Path, site: &Site, settings: &[&str]) -> Result<Tocsin> {
        Tocsin::start_in(program, site, settings, &[]).await
    }

    /// The same with variables of its environment.
    ///
    /// # Errors
    /// It ends before it listens.
    pub async fn start_in(
        program: &Path,
        site: &Site,
        settings: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Tocsin> {
        let said = site.directory().join("stderr");
        let mut arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        arguments.push("up");
        let mut command = command(program, site, &arguments);
        command.envs(environment.iter().copied());
        let mut child = spawn(command, &said)?;
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
        let said = std::fs::read_to_string(said).unwrap_or_default();
        bail!("tocsin ended before it listened: {said}");
    }

    /// Starts one role by itself, waits for the address that its log tells, and until it is ready.
    ///
    /// # Errors
    /// It ends before it is ready.
    pub async fn start_role(program: &Path, site: &Site, member: Member<'_>) -> Result<Tocsin> {
        let said = site.directory().join(format!("{}.stderr", member.instance));
        let role = member.role.to_possible_value().context("every role has a name")?;
        let instance = format!("log.instance={}", member.instance);
        let mut child = spawn(command(program, site, &["--set", &instance, role.get_name()]), &said)?;
        let address = until("it listens", async || {
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            if let Some(status) = child.try_wait().context("look whether it runs")? {
                bail!("{} ended before it listened, {status}: {text}", member.instance);
            }
            let lines = text.lines().filter(|line| line.contains("listening"));
            Ok(lines
                .filter_map(|line| line.split_once("address="))
                .map(|(_, address)| address.trim().to_owned())
                .next())
        })
        .await?;
        let api = Api::new(address);
        api.ready()
            .await
            .with_context(|| format!("start {}", member.instance))?;
        Ok(Tocsin { api, child })
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
