use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use tocsin_loadtest::scenario::DrillScenario;
use tocsin_model::DrillId;
use tocsin_runtime::telemetry::TelemetryConfig;
use tocsin_runtime::{Shutdown, telemetry};

use super::api::print;
use crate::config::Config;
use crate::drill::{self, DrillOptions, Home, Scorecard, Then};

/// Drills: a crisis that is played, in a deployment of its own, with the teams that registered for it.
#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    /// Play a scenario: until it is stopped, or its time is over. Prints the scorecard at the end, and removes topics, tables and keys of the drill.
    Start(StartArguments),
    /// How far a drill is; the latest one by default.
    Status {
        /// The id that `start` says.
        drill: Option<DrillId>,
    },
    /// End a drill, the latest one by default, print its scorecard, and remove its topics, tables and keys. Record and scorecard stay.
    Stop {
        /// The id that `start` says.
        drill: Option<DrillId>,
        /// Leave topics, tables and keys, to look at them. Asked again without it this removes them.
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        form: FormArguments,
    },
    /// Print the scorecard of a drill, the latest one by default, as it stands.
    Score {
        /// The id that `start` says.
        drill: Option<DrillId>,
        #[command(flatten)]
        form: FormArguments,
    },
    /// List the drills of this data directory.
    List,
}

/// What to play.
#[derive(Debug, Args)]
pub struct StartArguments {
    /// The scenario: demo (90 seconds) or christchurch (an hour).
    scenario: String,
    /// Another crisis, inside other traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of the scenario that pass in a second: 0.1 to 60.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Address and port of the drill's API, another one than that of real things; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    at: String,
    /// For how many minutes it goes on after the last event: people have their work to finish. 0 to 720.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=720))]
    then_minutes: u64,
    /// Leave its topics, tables and keys when it was scored, to look at them, until `tocsin drill stop` removes them.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    form: FormArguments,
}

/// How a scorecard is shown.
#[derive(Debug, Args)]
pub struct FormArguments {
    /// Print the scorecard as JSON.
    #[arg(long)]
    json: bool,
}

impl FormArguments {
    fn show(&self, card: &Scorecard) -> Result<()> {
        match self.json {
            true => print(&format!("{}\n", serde_json::to_string_pretty(card)?)),
            false => print(&drill::scorecard_text(card)),
        }
    }
}

impl DrillCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        match self {
            DrillCommand::Start(arguments) => arguments.run(config).await,
            DrillCommand::Status { drill } => status(&drill::find(config, *drill)?),
            DrillCommand::Stop { drill, keep, form } => {
                let home = drill::find(config, *drill)?;
                let card = if home.is_deleted() {
                    drill::score(config, &home).await
                } else {
                    drill::stop(config, &home, then(*keep)).await
                };
                if *keep {
                    return form.show(&card?);
                }
                // One that never came so far, or of which half is deleted, cannot be scored, and goes all the same.
                match card {
                    Ok(card) => form.show(&card)?,
                    Err(error) => eprintln!("DRILL {}: it is not scored: {error:#}", home.id),
                }
                drill::delete(config, &home).await?;
                eprintln!("DRILL {}: its topics, tables and keys are removed.", home.id);
                Ok(())
            }
            DrillCommand::Score { drill, form } => {
                let home = drill::find(config, *drill)?;
                form.show(&drill::score(config, &home).await?)
            }
            DrillCommand::List => {
                for home in Home::all(config)? {
                    match home.record() {
                        Ok(_) => status(&home)?,
                        Err(error) => print(&format!("DRILL {}: {error:#}\n", home.id))?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl StartArguments {
    async fn run(&self, config: &Config) -> Result<()> {
        let id = DrillId(rand::random());
        let mut logging = config.telemetry.clone();
        if logging.filter == TelemetryConfig::default().filter {
            // Beside its own lines; what a client of Kafka says of its settings is for whoever runs the real roles.
            logging.filter = "warn,librdkafka=error".to_owned();
        }
        telemetry::start_logging_of_drill(&logging, id);
        let Some(scenario) = DrillScenario::from_name(&self.scenario) else {
            let names: Vec<&str> = DrillScenario::ALL.iter().map(|scenario| scenario.name()).collect();
            bail!("there is no scenario {:?}: {}", self.scenario, names.join(", "));
        };
        ensure!(
            self.at.parse::<std::net::SocketAddr>().is_ok(),
            "--at wants an address and a port: 127.0.0.1:0"
        );
        let options = DrillOptions {
            scenario,
            seed: self.seed,
            speed: self.speed,
            listen: self.at.clone(),
            goes_on: Duration::from_secs(self.then_minutes * 60),
            then: then(self.keep),
        };
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("listen for signals")?;
        // Lines go beside the scorecard, which may be wanted as JSON.
        let say = |line: &str| eprintln!("{line}");
        let card = Box::pin(drill::run(config, (id, &options), shutdown, say)).await?;
        self.form.show(&card)
    }
}

fn then(keep: bool) -> Then {
    match keep {
        true => Then::Keep,
        false => Then::Remove,
    }
}

fn status(home: &Home) -> Result<()> {
    let line = drill::status_text(&home.record()?, home.standing()?);
    print(&format!("{line}\n"))
}
