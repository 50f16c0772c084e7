//! One process of Tocsin: started with further settings, killed, frozen, and asked whether it is ready.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use tocsin::serve::Role;
use tocsin_tests::api::Api;
use tocsin_tests::child::command;
use tocsin_tests::site::Site;
use tokio::process::Child;

use crate::signal::{self, Signal};
use crate::wait::{LONG, until_within};

/// How a process is started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it does.
    pub role: Role,
    /// Its name, stable over restarts.
    pub instance: String,
    /// Settings of its own, `key=text`.
    pub settings: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
}

impl Plan {
    /// A process with nothing of its own but its name.
    pub fn new(role: Role, instance: &str) -> Plan {
        Plan {
            role,
            instance: instance.to_owned(),
            settings: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The same with a setting of its own.
    pub fn with(mut self, setting: &str) -> Plan {
        self.settings.push(setting.to_owned());
        self
    }
}

/// A process that was started. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    /// How it was started.
    pub plan: Plan,
    child: Child,
    said: PathBuf,
}

impl Process {
    /// Starts it, with what it says in a new file, and waits for nothing.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(program: &Path, site: &Site, plan: Plan, said: PathBuf) -> Result<Process> {
        let role = plan.role.to_possible_value().context("every role has a name")?;
        let instance = format!("log.instance={}", plan.instance);
        let mut arguments = vec!["--set", &instance];
        for setting in &plan.settings {
            arguments.extend(["--set", setting]);
        }
        arguments.push(role.get_name());
        let file = std::fs::File::create(&said).context("make a file for its words")?;
        let mut command = command(program, site, &arguments);
        command.envs(plan.environment.iter().map(|(name, text)| (name, text)));
        let child = command.stdout(Stdio::null()).stderr(file).spawn();
        let child = child.with_context(|| format!("start {}", plan.instance))?;
        Ok(Process { plan, child, said })
    }

    /// Its process id.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has ended", self.plan.instance))
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// The end of what it said.
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look whether it runs")
    }

    /// Its API, if it listens.
    pub fn address(&self) -> Option<Api> {
        let said = self.said();
        let lines = said.lines().filter(|line| line.contains("listening"));
        let mut addresses = lines.filter_map(|line| line.split_once("address="));
        addresses.next().map(|(_, rest)| Api::new(rest.trim()))
    }

    /// Its API, once it listens.
    ///
    /// # Errors
    /// It ends before.
    pub async fn api(&mut self) -> Result<Api> {
        let name = self.plan.instance.clone();
        until_within(LONG, "a process listens", async || {
            if let Some(api) = self.address() {
                return Ok(Some(api));
            }
            match self.ended()? {
                Some(status) => bail!("{name} ended before it listened, {status}: {}", self.last_words()),
                None => Ok(None),
            }
        })
        .await
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It ends before, or does not become ready.
    pub async fn ready(&mut self) -> Result<Api> {
        let api = self.api().await?;
        let ready = api.ready().await;
        ready.with_context(|| format!("{} is not ready; it said: {}", self.plan.instance, self.last_words()))?;
        Ok(api)
    }

    /// How much memory it takes.
    ///
    /// # Errors
    /// It has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most memory that it ever took.
    ///
    /// # Errors
    /// It has ended.
    pub fn most_resident_bytes(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, which: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?)).context("read its status")?;
        let mut lines = status.lines().filter_map(|line| line.strip_prefix(which));
        let kilobytes = lines.next().and_then(|rest| rest.trim().strip_suffix(" kB"));
        Ok(1_024 * kilobytes.context("its status tells its memory")?.parse::<u64>()?)
    }

    /// How many files and connections it has open.
    ///
    /// # Errors
    /// It has ended.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()?))
            .context("list its descriptors")?
            .count())
    }

    /// Sends it a signal after which it still runs, or stands still.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal::send(self.id()?, signal)
    }

    /// Kills it, and waits until it has ended.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("kill {}", self.plan.instance))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It does not.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(LONG, self.child.wait()).await;
        ended
            .with_context(|| format!("{} did not end in time", self.plan.instance))?
            .context("wait for a process")
    }

    /// Asks it to stop, and waits until it has, with success.
    ///
    /// # Errors
    /// It cannot be asked, does not stop, or fails.
    pub async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::Terminate)?;
        let status = self.end().await?;
        let name = &self.plan.instance;
        ensure!(
            status.success(),
            "{name} was asked to stop and ended with {status}: {}",
            self.last_words()
        );
        Ok(())
    }
}
