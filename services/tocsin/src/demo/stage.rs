use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tocsin_loadtest::scenario::DemoPlan;
use tocsin_model::{Name, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_runtime::tls::TlsConfig;
use tocsin_store::{KeySubject, Role as KeyRole, Roles};

use super::reader::Reader;
use crate::config::Config;
use crate::serve::{Process, Role, deployment_key, open_store};

/// A deployment on a free port of this machine, its data in a temporary directory.
pub struct Stage {
    /// Where it answers.
    pub url: String,
    /// The key of each party that publishes.
    pub publishers: Vec<(Name, String)>,
    /// The file of the header that `curl` sends to be the coordinators.
    pub coordinators_header: PathBuf,
    coordinators_key: String,
    process: Option<Process>,
    _directory: TempDir,
}

/// An empty deployment is ready within this time.
const READY_MAX: Duration = Duration::from_secs(30);
/// How often it is asked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Stage {
    /// Starts all roles, with the parties of the plan and keys for them and the coordinators, on an embedded log and SQLite.
    pub async fn start(seed: u64, shutdown: Shutdown) -> Result<Stage> {
        Stage::of(Config::default(), seed, shutdown).await
    }

    /// The same on the log and store of a configuration; where these are files they are in the temporary directory.
    pub async fn of(mut config: Config, seed: u64, shutdown: Shutdown) -> Result<Stage> {
        let directory = tempfile::Builder::new()
            .prefix("tocsin-demo-")
            .tempdir()
            .context("make a temporary directory")?;
        config.log.data_dir = directory.path().join("data");
        config.http.listen = "127.0.0.1:0".to_owned();
        config.http.tls = TlsConfig::default();
        // Ids, and with them which variant names the family, are the same whenever the same crisis is played. There is nothing to hide.
        config.keys.deployment_key = hex::encode(Sha256::digest(format!("demo {seed}")));

        // The parties before the roles: the dispatcher announces at its start what it finds.
        let store = open_store(&config).await.context("open the store")?;
        let mut publishers = Vec::new();
        for party in DemoPlan::new(0, Timestamp(0)).scenario.parties {
            let platforms: Vec<Name> = party.platforms.into_iter().map(|platform| platform.name).collect();
            let record = store.add_party(&party.name, &platforms).await?;
            let roles = Roles::of(&[KeyRole::Publisher, KeyRole::Moderator, KeyRole::Reader]);
            let (_, key) = store.issue_key(KeySubject::Party(record.id), roles).await?;
            publishers.push((party.name, key.expose().to_owned()));
        }
        let roles = Roles::of(&[KeyRole::Moderator, KeyRole::Reader]);
        let (_, key) = store.issue_key(KeySubject::Coordinators, roles).await?;
        let coordinators_key = key.expose().to_owned();
        store.close().await;
        let coordinators_header = directory.path().join("coordinators");
        std::fs::write(
            &coordinators_header,
            format!("Authorization: Bearer {coordinators_key}\n"),
        )
        .context("write the header of the coordinators")?;

        let (key, _) = deployment_key(&config)?;
        let asked_to_stop = shutdown.clone();
        let mut process = Process::start(config, key, &Role::ALL, shutdown).await?;
        let address = process.listen().await?;
        let stage = Stage {
            url: format!("http://{address}"),
            publishers,
            coordinators_header,
            coordinators_key,
            process: Some(process),
            _directory: directory,
        };
        tokio::select! {
            biased;
            () = asked_to_stop.requested() => {}
            ready = stage.until_ready() => ready?,
        }
        Ok(stage)
    }

    async fn until_ready(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = reqwest::get(format!("{}/readyz", self.url))
                .await
                .context("ask whether it is ready")?;
            if answer.status().as_u16() == 200 {
                return Ok(());
            }
            if began.elapsed() > READY_MAX {
                bail!("it is not ready: {}", answer.text().await.unwrap_or_default());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The API with the coordinators' key.
    pub fn reader(&self) -> Result<Reader> {
        Ok(Reader {
            client: reqwest::Client::builder().build().context("make the HTTP client")?,
            url: self.url.clone(),
            key: self.coordinators_key.clone(),
        })
    }

    /// Stops all roles in order. The directory goes with the stage.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => {
                process.roles.shutdown().request();
                process.join().await
            }
            None => Ok(()),
        }
    }
}
