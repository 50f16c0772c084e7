//! What a process stands on: the data directory, the deployment key, the log, the store.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum as _;
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::kafka::{KafkaLog, KafkaOptions};
use tocsin_log::{Namespaced, SharedLog};
use tocsin_model::DeploymentKey;
use tocsin_store::Store;

use super::Role;
use crate::config::{Config, LogKind, parse_deployment_key};

/// The file of the deployment key in the data directory.
const KEY_FILE: &str = "deployment.key";

/// Whether a data directory was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    /// The key was made just now.
    Yes,
    /// It was there.
    No,
}

/// The log that is configured.
///
/// # Errors
/// It cannot be reached, or another process owns it.
pub fn open_log(config: &Config) -> anyhow::Result<SharedLog> {
    let log: SharedLog = match config.log.kind {
        LogKind::Embedded => {
            make_private(&config.log.data_dir)?;
            Arc::new(EmbeddedLog::open(&config.log.data_dir, EmbeddedOptions::default())?)
        }
        LogKind::Kafka => Arc::new(KafkaLog::connect(kafka_options(config))?),
    };
    Ok(match config.drill {
        Some(drill) => Arc::new(Namespaced::new(log, &drill.namespace())?),
        None => log,
    })
}

fn kafka_options(config: &Config) -> KafkaOptions {
    KafkaOptions {
        client_id: config.log.instance.clone(),
        replication_factor: config.topics.replication_factor,
        client_properties: config.log.properties.clone(),
        topic_properties: config.topics.properties.clone(),
        ..KafkaOptions::new(config.log.bootstrap.as_str())
    }
}

/// The store that is configured, for a command: what it changes is in the audit chain of commands.
///
/// # Errors
/// It cannot be reached, or a newer version made it.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url = prepared_store_url(config)?;
    Ok(match config.drill {
        Some(drill) => Store::open_drill(&url, drill, "command".parse()?).await?,
        None => Store::open(&url).await?,
    })
}

/// The store that is configured, for a process that serves `roles`. The audit chain it writes is that of its kind: the name of its role, or `up` of
/// one that has several. Processes of one kind share one, since the names of copies never come back.
pub(super) async fn open_serving_store(config: &Config, roles: &[Role]) -> anyhow::Result<Store> {
    let kind = match roles {
        [role] => role
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned()),
        _ => "up".to_owned(),
    };
    let (url, node) = (prepared_store_url(config)?, kind.parse()?);
    Ok(match config.drill {
        Some(drill) => Store::open_drill(&url, drill, node).await?,
        None => Store::open_as(&url, node).await?,
    })
}

pub(crate) fn prepared_store_url(config: &Config) -> anyhow::Result<String> {
    if config.store.url.is_empty() {
        make_private(&config.log.data_dir)?;
    }
    Ok(config.store_url())
}

/// The deployment key that is configured; without one, that of the data directory, made there at the first start.
///
/// # Errors
/// The file cannot be read or written, or holds something else.
pub fn deployment_key(config: &Config) -> anyhow::Result<(DeploymentKey, FirstStart)> {
    if let Some(key) = config.deployment_key() {
        return Ok((key, FirstStart::No));
    }
    make_private(&config.log.data_dir)?;
    let path = config.log.data_dir.join(KEY_FILE);
    // Whoever makes the file owns what is in it: two processes that start together end with one key.
    let created = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let first_start = match created {
        Ok(mut file) => {
            write_key(&mut file).with_context(|| format!("write {}", path.display()))?;
            FirstStart::Yes
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => FirstStart::No,
        Err(error) => return Err(error).with_context(|| format!("make {}", path.display())),
    };
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let key = parse_deployment_key(&text).with_context(|| format!("{} holds no key of 64 digits", path.display()))?;
    Ok((key, first_start))
}

fn write_key(file: &mut std::fs::File) -> std::io::Result<()> {
    let bytes: [u8; 32] = rand::random();
    file.write_all(format!("{}\n", hex::encode(bytes)).as_bytes())?;
    file.sync_all()
}

/// Makes a directory that only its owner reads, where it is absent.
pub(crate) fn make_private(directory: &Path) -> anyhow::Result<PathBuf> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("make the data directory {}", directory.display()))?;
    Ok(directory.to_owned())
}
