//! All roles inside the test's process.

use anyhow::{Context as _, Result};
use tocsin::serve::{Process, Role, deployment_key};
use tocsin_log::SharedLog;
use tocsin_runtime::Shutdown;

use crate::api::Api;
use crate::site::{ALPHA, BETA, Site, ingest_topic};
use crate::wait::until;

/// A deployment at work.
pub struct Deployment {
    /// Its API.
    pub api: Api,
    /// Its log.
    pub log: SharedLog,
    process: Option<Process>,
}

impl Drop for Deployment {
    /// A test that failed must not leave roles at work beside the next.
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.roles.shutdown().request();
        }
    }
}

impl Deployment {
    /// Starts every role at `site`, and waits until they are ready and the parties can publish.
    ///
    /// # Errors
    /// Something of it cannot start.
    pub async fn start(site: &Site) -> Result<Deployment> {
        let config = site.config()?;
        let (key, _) = deployment_key(&config)?;
        let mut process = Box::pin(Process::start(config, key, &Role::ALL, Shutdown::new())).await?;
        let address = process.listen().await?;
        let deployment = Deployment {
            api: Api::new(address),
            log: process.log.clone(),
            process: Some(process),
        };
        deployment.api.ready().await?;
        until("the parties have their topics", async || {
            let topics = tokio::task::block_in_place(|| deployment.log.topics())?;
            let exists = |party: &str| topics.iter().any(|topic| *topic.name == *ingest_topic(party));
            Ok((exists(ALPHA) && exists(BETA)).then_some(()))
        })
        .await?;
        Ok(deployment)
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// A role failed.
    pub async fn stop(mut self) -> Result<()> {
        let process = self.process.take().context("it is stopped once")?;
        drop(self);
        process.roles.shutdown().request();
        process.join().await
    }
}
