use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use tocsin_casework::Team;
use tocsin_dispatcher::{check_endpoint, new_signing_secret};
use tocsin_model::{KeyId, Milliseconds, Name, Timestamp};
use tocsin_store::{Endpoint, EndpointKind, NewEndpoint, Replay, Store};
use tocsin_wire::document::{instant, parse_instant};
use tocsin_wire::topics;

use crate::config::Config;
use crate::serve::open_store;

/// How many dead letters are shown.
const DEAD_LETTERS_SHOWN: u32 = 1_000;

/// Where alerts and decisions are delivered to.
#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// Add an endpoint. It gets what happens from now on, within the scope of whose it is.
    Add(AddArguments),
    /// List the endpoints, without their secrets.
    List,
    /// Give an endpoint another target or other settings. Its secret stays, and what waits for it goes out by them.
    Set(SetArguments),
    /// Disable an endpoint: it gets nothing more, and what waits for it becomes dead letters.
    Disable {
        /// Its name.
        name: Name,
    },
    /// Enable an endpoint again. Its dead letters stay dead until they are replayed.
    Enable {
        /// Its name.
        name: Name,
    },
    /// Give an endpoint another secret. Until the overlap is over, webhooks are signed with both.
    Rotate {
        /// Its name.
        name: Name,
        /// A file that holds the new secret. A webhook without one gets a new secret, which is shown once.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// For how many hours the one before is good as well.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
        overlap_hours: u32,
    },
    /// Show the deliveries that were given up, the latest first: id, event, tries, when, why.
    Dead {
        /// The endpoint's name.
        name: Name,
    },
    /// Let deliveries go out once more, under their old ids.
    Replay {
        /// The endpoint's name.
        name: Name,
        #[command(flatten)]
        which: WhichArguments,
    },
}

/// A new endpoint.
#[derive(Debug, Args)]
pub struct AddArguments {
    /// Its name: 1 to 48 of a-z, 0-9, '-' and '_'. Never given to another.
    name: Name,
    /// How it is told.
    #[arg(long)]
    kind: KindArgument,
    #[command(flatten)]
    whose: WhoseArguments,
    /// The URL; of kind osprey the topic, of kind email the address. Of kind kafka none: the topic is tocsin.deliveries.PARTY.
    #[arg(long, value_name = "URL|TOPIC|ADDRESS")]
    to: Option<String>,
    /// What its kind needs beside it: see the guide for platforms. Repeat for more than one.
    #[arg(long = "setting", value_name = "NAME=TEXT")]
    settings: Vec<String>,
    /// A file that holds the key or password of the other side, or a webhook's secret. A webhook without one gets a new secret, which is
    /// shown once.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// It is told of what happens in drills and of nothing real; whose it is takes part in them. Of kinds webhook and kafka.
    #[arg(long)]
    drill: bool,
}

/// What changes of an endpoint.
#[derive(Debug, Args)]
pub struct SetArguments {
    /// Its name.
    name: Name,
    /// Another URL; of kind osprey another topic, of kind email another address.
    #[arg(long, value_name = "URL|TOPIC|ADDRESS")]
    to: Option<String>,
    /// A setting to add, or to put in place of the one of this name. Repeat for more than one.
    #[arg(long = "setting", value_name = "NAME=TEXT")]
    settings: Vec<String>,
    /// A setting to leave out from now on: its default holds. Repeat for more than one.
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
}

/// Whose endpoint.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhoseArguments {
    /// A party's.
    #[arg(long)]
    party: Option<Name>,
    /// The coordinators'.
    #[arg(long)]
    coordinators: bool,
}

/// Which deliveries.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhichArguments {
    /// All that were given up.
    #[arg(long)]
    dead: bool,
    /// One, by the 32 digits of its id (`webhook-id` without `msg_`).
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// All of events since then, also those that arrived. Deliveries are kept for 31 days.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// How an endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArgument {
    /// Signed requests: CloudEvents, Standard Webhooks.
    Webhook,
    /// CloudEvents in the party's own topic.
    Kafka,
    /// Actions in an input topic of Osprey.
    Osprey,
    /// Reports to Coop.
    Coop,
    /// Moderation events to Ozone.
    Ozone,
    /// Messages to a mailbox.
    Email,
}

impl From<KindArgument> for EndpointKind {
    fn from(kind: KindArgument) -> EndpointKind {
        match kind {
            KindArgument::Webhook => EndpointKind::Webhook,
            KindArgument::Kafka => EndpointKind::Kafka,
            KindArgument::Osprey => EndpointKind::Osprey,
            KindArgument::Coop => EndpointKind::Coop,
            KindArgument::Ozone => EndpointKind::Ozone,
            KindArgument::Email => EndpointKind::Email,
        }
    }
}

impl EndpointCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            EndpointCommand::Add(arguments) => arguments.add(&store, config).await?,
            EndpointCommand::List => list(&store).await?,
            EndpointCommand::Set(arguments) => arguments.set(&store, config).await?,
            EndpointCommand::Disable { name } => {
                store.disable_endpoint(name, "operator").await?;
                println!("Endpoint {name} is disabled.");
            }
            EndpointCommand::Enable { name } => {
                store.enable_endpoint(name).await?;
                println!("Endpoint {name} is enabled.");
            }
            EndpointCommand::Rotate {
                name,
                secret_file,
                overlap_hours,
            } => {
                let endpoint = find(&store, name).await?;
                let secret = secret(endpoint.kind, secret_file.as_deref())?;
                let rotated = NewEndpoint {
                    name: endpoint.name,
                    team: endpoint.team,
                    kind: endpoint.kind,
                    target: endpoint.target,
                    settings: endpoint.settings,
                    secret: secret.text.clone(),
                };
                check_endpoint(&rotated, &config.dispatcher.endpoint_networks)?;
                let overlap = Milliseconds::from_hours(i64::from(*overlap_hours));
                store.rotate_endpoint_secret(name, &secret.text, overlap).await?;
                eprintln!("Endpoint {name} has another secret.");
                secret.show();
            }
            EndpointCommand::Dead { name } => {
                find(&store, name).await?;
                for letter in store.dead_letters(name, DEAD_LETTERS_SHOWN).await? {
                    let at = instant(letter.settled_at).unwrap_or_default();
                    let (id, event, reason) = (&letter.id, &letter.event_id, &letter.reason);
                    println!("{id}  {event}  {}  {at}  {reason}", letter.attempts);
                }
            }
            EndpointCommand::Replay { name, which } => {
                find(&store, name).await?;
                let count = store.replay_deliveries(name, &which.resolve()?).await?;
                println!("{count} deliveries go out once more.");
            }
        }
        store.close().await;
        Ok(())
    }
}

impl AddArguments {
    async fn add(&self, store: &Store, config: &Config) -> Result<()> {
        let kind = EndpointKind::from(self.kind);
        ensure!(
            kind != EndpointKind::Email || config.dispatcher.mail.is_on(),
            "no mail is sent: dispatcher.mail names no relay"
        );
        let team = match &self.whose.party {
            Some(party) => Team::Party(store.party_named(party).await?.id),
            None => Team::Coordinators,
        };
        let target = match (kind, &self.to, &self.whose.party) {
            (EndpointKind::Kafka, None, Some(party)) => topics::deliveries_name(party),
            (EndpointKind::Kafka, Some(_), _) => {
                bail!("an endpoint of kind kafka has no --to: its topic is the party's")
            }
            (EndpointKind::Kafka, None, None) => bail!("an endpoint of kind kafka is of a party"),
            (_, Some(to), _) => to.clone(),
            (_, None, _) => bail!("--to is wanted: where to deliver"),
        };
        let settings = read_settings(&self.settings)?;
        let secret = secret(kind, self.secret_file.as_deref())?;
        let endpoint = NewEndpoint {
            name: self.name.clone(),
            team,
            kind,
            target,
            settings,
            secret: secret.text.clone(),
        };
        check_endpoint(&endpoint, &config.dispatcher.endpoint_networks)?;
        check_key(store, &endpoint).await?;
        match self.drill {
            true => store.add_endpoint_for_drills(&endpoint).await?,
            false => store.add_endpoint(&endpoint).await?,
        }
        let told = if self.drill { ", for drills alone" } else { "" };
        eprintln!("Endpoint {} is added{told}.", self.name);
        secret.show();
        Ok(())
    }
}

impl SetArguments {
    async fn set(&self, store: &Store, config: &Config) -> Result<()> {
        let endpoint = find(store, &self.name).await?;
        ensure!(
            self.to.is_none() || endpoint.kind != EndpointKind::Kafka,
            "an endpoint of kind kafka has no --to: its topic is the party's"
        );
        let given = read_settings(&self.settings)?;
        ensure!(
            self.to.is_some() || !given.is_empty() || !self.unset.is_empty(),
            "say what changes: --to, --setting or --unset"
        );
        let mut settings = endpoint.settings;
        for name in &self.unset {
            ensure!(!given.contains_key(name), "the setting {name} is set and left out");
            ensure!(settings.remove(name).is_some(), "the endpoint has no setting {name}");
        }
        settings.extend(given);
        let changed = NewEndpoint {
            name: endpoint.name,
            team: endpoint.team,
            kind: endpoint.kind,
            target: self.to.clone().unwrap_or(endpoint.target),
            settings,
            secret: endpoint.secrets.into_iter().next().unwrap_or_default(),
        };
        check_endpoint(&changed, &config.dispatcher.endpoint_networks)?;
        check_key(store, &changed).await?;
        store
            .change_endpoint(&self.name, (&changed.target, &changed.settings))
            .await?;
        println!("Endpoint {} is changed.", self.name);
        Ok(())
    }
}

/// Settings by name, each once.
fn read_settings(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for setting in texts {
        let (name, text) = setting.split_once('=').context("--setting wants NAME=TEXT")?;
        ensure!(
            settings.insert(name.to_owned(), text.to_owned()).is_none(),
            "the setting {name} stands twice"
        );
    }
    Ok(settings)
}

/// The key that decides in the name of an endpoint must be good.
async fn check_key(store: &Store, endpoint: &NewEndpoint) -> Result<()> {
    if let Some(key) = endpoint.settings.get("decide_as") {
        let key: KeyId = key.parse().context("decide_as is the id of a key")?;
        ensure!(
            store.is_moderator(key, endpoint.team).await?,
            "decide_as: {key} is no valid moderator's key of whose endpoint this is"
        );
    }
    Ok(())
}

impl WhichArguments {
    fn resolve(&self) -> Result<Replay> {
        if let Some(id) = &self.delivery {
            return Ok(Replay::One(id.trim_start_matches("msg_").to_owned()));
        }
        if let Some(since) = &self.since {
            let since: Option<Timestamp> = parse_instant(since);
            return Ok(Replay::Since(
                since.context("--since wants a time: 2026-05-01T00:00:00Z")?,
            ));
        }
        ensure!(self.dead, "say which deliveries");
        Ok(Replay::Dead)
    }
}

/// A secret, and whether nobody knows it yet.
struct Secret {
    text: String,
    is_new: bool,
}

impl Secret {
    /// On the standard output, alone: what was made here has to be told to the other side.
    fn show(&self) {
        if self.is_new {
            eprintln!("Its secret, shown this once:");
            println!("{}", self.text);
        }
    }
}

fn secret(kind: EndpointKind, file: Option<&Path>) -> Result<Secret> {
    let (text, is_new) = match (kind, file) {
        (EndpointKind::Email, Some(_)) => {
            bail!("a mailbox has no secret: what the relay asks for stands in dispatcher.mail")
        }
        (_, Some(file)) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
            (text.trim().to_owned(), false)
        }
        (EndpointKind::Webhook, None) => (new_signing_secret(), true),
        (EndpointKind::Kafka | EndpointKind::Osprey | EndpointKind::Email, None) => (String::new(), false),
        (EndpointKind::Coop | EndpointKind::Ozone, None) => bail!("--secret-file is wanted: the key of the other side"),
    };
    Ok(Secret { text, is_new })
}

async fn list(store: &Store) -> Result<()> {
    let parties = store.list_parties().await?;
    for endpoint in store.endpoints().await? {
        let whose = match endpoint.team {
            Team::Coordinators => "coordinators".to_owned(),
            Team::Party(id) => parties
                .iter()
                .find(|party| party.id == id)
                .map_or_else(|| id.0.to_string(), |party| format!("party {}", party.name)),
        };
        let state = match &endpoint.disabled {
            None => "active".to_owned(),
            Some((at, reason)) => format!("disabled {} ({reason})", instant(*at).unwrap_or_default()),
        };
        let told = if endpoint.is_for_drills { "  for drills" } else { "" };
        let (name, kind, target) = (&endpoint.name, endpoint.kind.name(), &endpoint.target);
        println!("{name}  {kind}  {whose}  {target}  {state}{told}");
    }
    Ok(())
}

async fn find(store: &Store, name: &Name) -> Result<Endpoint> {
    let endpoints = store.endpoints().await?;
    let found = endpoints.into_iter().find(|endpoint| endpoint.name == *name);
    found.with_context(|| format!("there is no endpoint {name}"))
}
