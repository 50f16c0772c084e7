use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use tocsin_runtime::telemetry::TelemetryConfig;
use tocsin_runtime::{Shutdown, telemetry};

use crate::demo::{self, DemoOptions, Display, Ending};

/// How to play the demo.
#[derive(Debug, Args)]
pub struct DemoCommand {
    /// Lines without escape codes, for logs; so it is too when the output is no terminal.
    #[arg(long)]
    headless: bool,
    /// How long it takes: its 90 seconds are played faster or slower to fit.
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=3_600))]
    seconds: Option<u64>,
    /// Another crisis, inside other traffic.
    #[arg(long, default_value_t = demo::SEED)]
    seed: u64,
}

/// What a shell expects of a command that was interrupted.
const INTERRUPTED: u8 = 130;

impl DemoCommand {
    /// Plays it. Succeeds only if the alarm rang for the crisis, and for nothing else above it.
    pub async fn run(&self) -> Result<ExitCode> {
        telemetry::start_logging(&TelemetryConfig {
            filter: "warn".to_owned(),
            ..TelemetryConfig::default()
        });
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("listen for signals")?;
        let options = DemoOptions {
            display: match self.headless || !std::io::stdout().is_terminal() {
                true => Display::Lines,
                false => Display::Screen,
            },
            lasts: self.seconds.map(Duration::from_secs),
            seed: self.seed,
        };
        Ok(match Box::pin(demo::run(options, shutdown)).await? {
            Ending::Played(verdict) if verdict.is_right() => ExitCode::SUCCESS,
            Ending::Played(_) => ExitCode::FAILURE,
            Ending::Interrupted => ExitCode::from(INTERRUPTED),
        })
    }
}
