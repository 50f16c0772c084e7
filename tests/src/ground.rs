//! Which log a test runs on.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, GroupResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::members;
use crate::wait::until;

/// Names the bootstrap servers of a broker that tests may use. Without it, tests run on the embedded log alone.
pub const KAFKA_VARIABLE: &str = "TOCSIN_TEST_KAFKA";

/// Names the URL of a PostgreSQL server on which tests may make databases.
pub const POSTGRES_VARIABLE: &str = "TOCSIN_TEST_POSTGRES";

/// Topics and groups have fixed names, so one test at a time uses the brokers: those of one test binary, and of no second one.
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

/// Runs a test with the settings of a store on SQLite, and of one in a new database of PostgreSQL where [`POSTGRES_VARIABLE`] names a server.
///
/// # Panics
/// The test fails.
pub async fn on_each_store(test: impl AsyncFn(&[(&str, &str)]) -> Result<()>) {
    if let Err(error) = test(&[]).await {
        panic!("on SQLite: {error:?}");
    }
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
        println!("skipped on PostgreSQL: {POSTGRES_VARIABLE} is not set");
        return;
    };
    let tested = in_new_database(&server, async |url| test(&[("store.url", url)]).await);
    if let Err(error) = tested.await {
        panic!("on PostgreSQL: {error:?}");
    }
}

async fn in_new_database(server: &str, test: impl AsyncFn(&str) -> Result<()>) -> Result<()> {
    let name = format!("tocsin_test_{:032x}", rand::random::<u128>());
    let mut connection = PgConnection::connect(server).await.context("reach PostgreSQL")?;
    let make = format!("CREATE DATABASE {name}");
    connection.execute(make.as_str()).await.context("make a database")?;
    let (authority, _) = server.rsplit_once('/').context("a URL ends in a database")?;
    let tested = test(&format!("{authority}/{name}")).await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    connection.execute(drop.as_str()).await.context("drop the database")?;
    tested
}

/// Runs a test on Kafka with a new database of PostgreSQL, whose URL it is given; where the variables name no servers, not at all.
///
/// # Panics
/// The test fails.
pub async fn on_servers(test: impl AsyncFn(&Ground, &str) -> Result<()>) {
    let (Ok(bootstrap), Ok(server)) = (std::env::var(KAFKA_VARIABLE), std::env::var(POSTGRES_VARIABLE)) else {
        println!("skipped: {KAFKA_VARIABLE} or {POSTGRES_VARIABLE} is not set");
        return;
    };
    let _alone = KAFKA.lock().await;
    let ground = Ground::Kafka { bootstrap };
    let tested = in_new_database(&server, async |url| test(&ground, url).await);
    if let Err(error) = tested.await {
        panic!("on Kafka and PostgreSQL: {error:?}");
    }
}

impl Ground {
    /// Removes what an earlier test left behind: all topics of Tocsin, those of drills, those that tests put beside them in Osprey's place, and Tocsin's
    /// groups.
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
        let address = bootstrap.split(',').next().unwrap_or_default();
        let groups = ["tocsin-intake", "tocsin-detector", "tocsin-dispatcher"];
        until("no group of Tocsin is left", async || {
            for group in groups {
                members::dismiss(&client, address, group)?;
            }
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
    Ok(names
        .filter(|name| ["tocsin.", "osprey.", "drill."].iter().any(|of| name.starts_with(of)))
        .collect())
}
