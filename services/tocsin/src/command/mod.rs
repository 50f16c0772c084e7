//! The command line.

mod accounts;
mod api;
mod appeal;
mod audit;
mod casework;
mod casework_text;
mod completions;
mod config;
mod demo;
mod drill;
mod endpoint;
mod evidence;
mod explain;
mod group;
mod incident;
mod incident_text;
mod key;
mod notice;
mod party;
mod person;
mod protocol;
mod quality;
mod queue_follow;
mod replay;
mod report;
mod research;
mod review;
mod role;
mod sign_in;
mod topics;
mod up;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use tocsin_runtime::config::{Loaded, Sources, load};

use crate::config::Config;
use crate::evaluate::EvaluateCommand;
use crate::serve::Role;

/// An alarm bell for content that begins to spread.
#[derive(Debug, Parser)]
#[command(name = "tocsin", version, about)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// Where settings come from: defaults < file < environment (TOCSIN_SECTION__FIELD) < flags.
#[derive(Debug, Args)]
pub struct Settings {
    /// A configuration file (TOML).
    #[arg(long, global = true, env = "TOCSIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory of the embedded log (log.data_dir).
    #[arg(long, alias = "data", global = true, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// Address and port of the HTTP server (http.listen).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Any other setting.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    others: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all roles in one process.
    Up,
    /// Take events over HTTP.
    Gateway,
    /// Turn events into sightings.
    Intake,
    /// Watch sightings and ring.
    Detector,
    /// Turn alerts into cases.
    Dispatcher,
    /// Answer readers.
    Query,
    /// The topics of the log.
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// The parties that publish.
    #[command(subcommand)]
    Party(party::PartyCommand),
    /// The people of a team.
    #[command(subcommand)]
    Person(person::PersonCommand),
    /// Sign in, in this terminal, with a link that is good once.
    SignIn(sign_in::SignInCommand),
    /// End the session of this terminal.
    SignOut(sign_in::SignOutCommand),
    /// API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Show the queue of your team.
    Queue(casework::QueueCommand),
    /// Work on a case of your team.
    Case(casework::CaseCommand),
    /// What you did within the last hours, and whether it is time for a pause.
    Shift(casework::ShiftCommand),
    /// Appeals against decisions of your team and against refused uploads.
    Appeal(appeal::AppealCommand),
    /// Decides once more what somebody else decided, without knowing how.
    Review(review::ReviewCommand),
    /// How much of what a team decides is decided twice, and how often alike.
    #[command(subcommand)]
    Quality(quality::QualityCommand),
    /// Removal orders, notices of trusted flaggers, and referrals, of your team.
    Notice(notice::NoticeCommand),
    /// What is preserved of your party's data about a case, and archives of it for an investigation.
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// What your team did within some days: the transparency report, the figures of the EU regulation, drafts of statements of reasons.
    Report(report::ReportCommand),
    /// Daily aggregates for researchers: the days, what was published of one, and the data sheet.
    Research(research::ResearchCommand),
    /// Work on an incident: a crisis that coordinators declared.
    Incident(incident::IncidentCommand),
    /// Sharing groups: teams that share incidents and notes with each other.
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Where alerts and decisions are delivered to.
    #[command(subcommand)]
    Endpoint(endpoint::EndpointCommand),
    /// Contents that ring at their first sighting.
    #[command(subcommand)]
    Watch(watch::WatchCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Play a crisis inside ordinary traffic, and show what a moderator would see.
    Demo(demo::DemoCommand),
    /// Play a crisis with the teams that registered for it, in a deployment of its own.
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// Say why an alert rang, what it is worth and whom it called.
    Explain(explain::ExplainCommand),
    /// Protocols of crises: what is shipped, whether a file is one, and where a family stands by one.
    #[command(subcommand)]
    Protocol(protocol::ProtocolCommand),
    /// Proof that alerts and counts follow from the log, and that the audit chains are as they were written.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Play recorded events again, into the log or through a gateway.
    Replay(replay::ReplayCommand),
    /// Measure: the path against exact counts, the alarm against days and sets with ground truth.
    #[command(subcommand)]
    Evaluate(EvaluateCommand),
    /// Print completions for a shell.
    Completions(completions::Completions),
}

/// Carries out a command.
///
/// # Errors
/// The configuration is refused, or the command failed.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { settings, command } = arguments;
    match command {
        Command::Completions(completions) => completions.run(),
        Command::Config(command) => command.run(&settings.load()?)?,
        Command::Up => up::run(settings.load()?.config).await?,
        Command::Gateway => role::run(settings.load()?.config, Role::Gateway).await?,
        Command::Intake => role::run(settings.load()?.config, Role::Intake).await?,
        Command::Detector => role::run(settings.load()?.config, Role::Detector).await?,
        Command::Dispatcher => role::run(settings.load()?.config, Role::Dispatcher).await?,
        Command::Query => role::run(settings.load()?.config, Role::Query).await?,
        Command::Topics(command) => return command.run(&settings.load()?.config),
        Command::Party(command) => command.run(&settings.load()?.config).await?,
        Command::Person(command) => command.run(&settings.load()?.config).await?,
        Command::SignIn(command) => command.run().await?,
        Command::SignOut(command) => command.run().await?,
        Command::Key(command) => command.run(&settings.load()?.config).await?,
        Command::Queue(command) => command.run().await?,
        Command::Case(command) => command.run().await?,
        Command::Shift(command) => command.run().await?,
        Command::Appeal(command) => command.run().await?,
        Command::Review(command) => command.run().await?,
        Command::Quality(command) => command.run(|| Ok(settings.load()?.config)).await?,
        Command::Notice(command) => command.run().await?,
        Command::Evidence(command) => return Box::pin(command.run()).await,
        Command::Report(command) => command.run().await?,
        Command::Research(command) => command.run().await?,
        Command::Incident(command) => command.run().await?,
        Command::Group(command) => command.run(&settings.load()?.config).await?,
        Command::Endpoint(command) => command.run(&settings.load()?.config).await?,
        Command::Watch(command) => command.run(&settings.load()?.config).await?,
        Command::Demo(command) => return Box::pin(command.run()).await,
        Command::Drill(command) => Box::pin(command.run(&settings.load()?.config)).await?,
        Command::Explain(command) => command.run().await?,
        Command::Protocol(command) => return Box::pin(command.run(|| Ok(settings.load()?.config))).await,
        Command::Audit(command) => return Box::pin(command.run(&settings.load()?.config)).await,
        Command::Replay(command) => return command.run(&settings.load()?.config).await,
        Command::Evaluate(command) => Box::pin(command.run(settings.load()?.config)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Settings {
    /// Reads and validates the configuration.
    fn load(&self) -> anyhow::Result<Loaded<Config>> {
        let mut flags = Vec::new();
        for setting in &self.others {
            match setting.split_once('=') {
                Some((key, text)) => flags.push((key.to_owned(), text.to_owned())),
                None => bail!("--set wants KEY=VALUE, as in --set log.kind=kafka"),
            }
        }
        let named = [("log.data_dir", &self.data_dir), ("http.listen", &self.listen)];
        flags.extend(
            named
                .into_iter()
                .filter_map(|(key, text)| Some((key.to_owned(), text.clone()?))),
        );
        // A variable that is not text cannot be a setting of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        let sources = Sources {
            file: self.config.clone(),
            environment,
            flags,
        };
        Ok(load(&sources, Config::refusals)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
