//! Where one deployment lives: its settings, its log, and the parties and keys it begins with.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tocsin::config::Config;
use tocsin::serve::{open_log, open_store};
use tocsin_detector::Repartitioned;
use tocsin_log::SharedLog;
use tocsin_model::{DeploymentKey, Name};
use tocsin_runtime::config::{Sources, load};
use tocsin_store::{KeySubject, Role, Roles};
use tocsin_wire::topics::{ingest, ingest_name};

use crate::ground::Ground;

/// The party that publishes most.
pub const ALPHA: &str = "alpha";
/// The platforms of [`ALPHA`].
pub const ALPHA_PLATFORMS: [&str; 2] = ["alpha-video", "alpha-chat"];
/// Another party.
pub const BETA: &str = "beta";
/// The platform of [`BETA`].
pub const BETA_PLATFORM: &str = "beta-social";

/// Whose time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The log's append stamp.
    Live,
    /// What records say.
    Supplied,
}

/// A deployment's place. It outlives the processes that run in it.
#[derive(Debug)]
pub struct Site {
    /// The log it runs on.
    pub ground: Ground,
    /// The keys of its readers.
    pub keys: Keys,
    directory: TempDir,
    settings: Vec<(String, String)>,
}

/// API keys with every role their subject may have.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Of [`ALPHA`].
    pub alpha: String,
    /// Of [`BETA`].
    pub beta: String,
    /// Of the coordinators.
    pub coordinators: String,
}

impl Site {
    /// A fresh place on `ground`, with both parties registered.
    ///
    /// # Errors
    /// Something of it cannot be made.
    pub async fn new(ground: &Ground, time: Time, partitions: u16) -> Result<Site> {
        Site::with(ground, time, partitions, &[]).await
    }

    /// The same with further settings, such as a store that several processes share.
    ///
    /// # Errors
    /// Something of it cannot be made.
    pub async fn with(ground: &Ground, time: Time, partitions: u16, further: &[(&str, &str)]) -> Result<Site> {
        ground.clear().await?;
        let directory = tempfile::tempdir().context("make a temporary directory")?;
        let mut settings = settings(ground, time, partitions, &directory);
        settings.extend(
            further
                .iter()
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned())),
        );
        let mut site = Site {
            ground: ground.clone(),
            settings,
            directory,
            keys: Keys::default(),
        };
        site.register().await?;
        Ok(site)
    }

    /// The settings as flags.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Moves the key groups to another number of partitions, and configures that one. No process may have the log.
    ///
    /// # Errors
    /// They cannot be moved.
    pub fn repartition(&mut self, partitions: u16) -> Result<Repartitioned> {
        self.settings
            .push(("topics.sightings_partitions".to_owned(), partitions.to_string()));
        tocsin::topics::repartition(&self.config()?)
    }

    /// The configuration they make.
    ///
    /// # Errors
    /// They are refused.
    pub fn config(&self) -> Result<Config> {
        let sources = Sources {
            flags: self.settings.clone(),
            ..Sources::default()
        };
        Ok(load(&sources, Config::refusals)?.config)
    }

    /// Where a process may write what it says.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The log, while no process has it, with the topics of the deployment and its parties.
    ///
    /// # Errors
    /// It is in use, or cannot be reached.
    pub fn log(&self) -> Result<SharedLog> {
        let config = self.config()?;
        let log = open_log(&config).context("open the log")?;
        log.ensure_topics(&tocsin::topics::specs(config.sightings_partitions()))?;
        for party in [ALPHA, BETA] {
            let declaration = ingest(&party.parse::<Name>()?);
            log.ensure_topics(&[tocsin::topics::topic_spec(&declaration, config.sightings_partitions())])?;
        }
        Ok(log)
    }

    async fn register(&mut self) -> Result<()> {
        let store = open_store(&self.config()?).await?;
        let alpha = ALPHA_PLATFORMS.map(|name| name.parse());
        let alpha = alpha.into_iter().collect::<Result<Vec<Name>, _>>()?;
        let alpha = store.add_party(&ALPHA.parse()?, &alpha).await?;
        let beta = store.add_party(&BETA.parse()?, &[BETA_PLATFORM.parse()?]).await?;
        let key = async |subject, roles: &[Role]| -> Result<String> {
            let (_, key) = store.issue_key(subject, Roles::of(roles)).await?;
            Ok(key.expose().to_owned())
        };
        let working = [Role::Moderator, Role::Reader];
        self.keys = Keys {
            alpha: key(KeySubject::Party(alpha.id), &Role::ALL).await?,
            beta: key(KeySubject::Party(beta.id), &Role::ALL).await?,
            coordinators: key(KeySubject::Coordinators, &working).await?,
        };
        store.close().await;
        Ok(())
    }
}

/// The ingest topic of a party.
///
/// # Panics
/// The name is none.
pub fn ingest_topic(party: &str) -> Arc<str> {
    let name: Name = party.parse().expect("the tests' parties have names");
    Arc::from(ingest_name(&name))
}

/// The key every site derives its ids from: alert ids can be compared between sites.
pub fn deployment_key() -> DeploymentKey {
    DeploymentKey::from_bytes([0x77; 32])
}

/// Every content is counted exactly from its first event, and everything is written soon.
fn settings(ground: &Ground, time: Time, partitions: u16, directory: &TempDir) -> Vec<(String, String)> {
    let data_dir = directory.path().join("data").display().to_string();
    let (partitions, key) = (partitions.to_string(), "7".repeat(64));
    let time = match time {
        Time::Live => "log",
        Time::Supplied => "supplied",
    };
    let mut settings = vec![
        ("log.data_dir", data_dir.as_str()),
        ("http.listen", "127.0.0.1:0"),
        ("keys.deployment_key", &key),
        ("topics.sightings_partitions", &partitions),
        ("intake.time_source", time),
        ("detector.promote_at", "1"),
        ("detector.commit_interval_ms", "20"),
        ("detector.state_interval_ms", "100"),
        ("detector.checkpoint_interval_s", "1"),
    ];
    if let Ground::Kafka { bootstrap } = ground {
        settings.extend([("log.kind", "kafka"), ("log.bootstrap", bootstrap)]);
    }
    let owned = settings
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.to_owned()));
    owned.collect()
}
