//! Which log a test runs on.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, GroupResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;

use crate::wait::until;

/// Names the bootstrap servers of a broker that tests may use. Without it, tests run on the embedded log alone.
pub const KAFKA_VARIABLE: &str = "TOCSIN_TEST_KAFKA";

/// Topics and groups have fixed names, so one test at a time uses the brokers.
static KAFKA: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A log to run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Each site has a log in a directory of its own.
    Embedded,
    /// All sites share the brokers, one after the other.
    Kafka {
        /// Their addresses.
        bootstrap: String,
    },
}

/// Runs a test on the embedded log, and on Kafka where [`KAFKA_VARIABLE`] names brokers.
///
/// # Panics
/// The test fails.
pub async fn on_each_log(test: impl AsyncFn(&Ground) -> Result<()>) {
    if let Err(error) = test(&Ground::Embedded).await {
        panic!("on the embedded log: {error:?}");
    }
    let Ok(bootstrap) = std::env::var(KAFKA_VARIABLE) else {
        println!("skipped on Kafka: {KAFKA_VARIABLE} is not set");
        return;
    };
    let _alone = KAFKA.lock().await;
    if let Err(error) = test(&Ground::Kafka { bootstrap }).await {
        panic!("on Kafka: {error:?}");
    }
}

impl Ground {
    /// Removes what an earlier test left behind: all topics of Tocsin, and its groups.
    ///
    /// # Errors
    /// The brokers refuse it.
    pub async fn clear(&self) -> Result<()> {
        let Ground::Kafka { bootstrap } = self else {
            return Ok(());
        };
        let client: BaseConsumer = config(bootstrap).create().context("make a client")?;
        let admin: AdminClient<DefaultClientContext> = config(bootstrap).create().context("make an admin client")?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        until("no topic of Tocsin is left", async || {
            let names = topics(&client)?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if names.is_empty() {
                return Ok(Some(()));
            }
            admin.delete_topics(&names, &options).await.context("delete topics")?;
            Ok(None)
        })
        .await?;
        // A member keeps its name, and with it the partitions of the topics that are gone, until its session ends: six seconds.
        let groups = ["tocsin-intake", "tocsin-detector", "tocsin-dispatcher"];
        until("no group of Tocsin is left", async || {
            let deleted = admin.delete_groups(&groups, &options).await.context("delete groups")?;
            let is_gone = |result: &GroupResult| match result {
                Ok(_) => true,
                Err((_, code)) => *code == RDKafkaErrorCode::GroupIdNotFound,
            };
            Ok(deleted.iter().all(is_gone).then_some(()))
        })
        .await
    }
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config.set("group.id", "tocsin-tests");
    config
}

fn topics(client: &BaseConsumer) -> Result<Vec<String>> {
    let metadata = client
        .fetch_metadata(None, Duration::from_secs(30))
        .context("list topics")?;
    if metadata.brokers().is_empty() {
        bail!("no broker answers");
    }
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    Ok(names.filter(|name| name.starts_with("tocsin.")).collect())
}
