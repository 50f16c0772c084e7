use anyhow::{Context as _, Result};
use tocsin_runtime::{ConfigError, Shutdown, telemetry};

use crate::config::Config;
use crate::serve::{Process, Role};

/// Runs one role as a process of its own, until it is asked to stop.
pub async fn run(config: Config, role: Role) -> Result<()> {
    let refusals = config.refusals_in_cluster(role);
    if !refusals.is_empty() {
        return Err(ConfigError::Refused(refusals).into());
    }
    telemetry::start_logging(&config.telemetry);
    let key = config
        .deployment_key()
        .context("a role by itself has a configured key")?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listen for signals")?;
    let mut process = Process::start(config, key, &[role], shutdown).await?;
    process.listen().await?;
    process.join().await
}
