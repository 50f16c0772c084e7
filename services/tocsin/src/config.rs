//! The configuration of the binary: the sections of all roles, and those that stand below the roles.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tocsin_detector::DetectorConfig;
use tocsin_dispatcher::DispatcherConfig;
use tocsin_gateway::GatewayConfig;
use tocsin_intake::IntakeConfig;
use tocsin_model::{DeploymentKey, DrillId, KeyEpoch, PartitionCount};
use tocsin_query::QueryConfig;
use tocsin_runtime::http::HttpConfig;
use tocsin_runtime::telemetry::TelemetryConfig;
use tocsin_runtime::{MemoryConfig, MemoryPart, Refusal};

use crate::serve::Role;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The log.
    pub log: LogConfig,
    /// The casework store.
    pub store: StoreConfig,
    /// The secrets that ids derive from.
    pub keys: KeysConfig,
    /// The shape of the topics.
    pub topics: TopicsConfig,
    /// The HTTP server of the process.
    pub http: HttpConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
    /// What the process may hold.
    pub memory: MemoryConfig,
    /// The gateway role.
    pub gateway: GatewayConfig,
    /// The intake role.
    pub intake: IntakeConfig,
    /// The detector role.
    pub detector: DetectorConfig,
    /// The dispatcher role.
    pub dispatcher: DispatcherConfig,
    /// The query role.
    pub query: QueryConfig,
    /// The drill that the deployment is, with a namespace of its own in log and store. Of no file, variable or flag: `tocsin drill start` alone sets it.
    #[serde(skip)]
    pub drill: Option<DrillId>,
}

/// Which log, and where. Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `embedded` (one process) or `kafka`. Default: `embedded`.
    pub kind: LogKind,
    /// The directory of the embedded log, the SQLite file and the deployment key. Default: `tocsin-data`.
    pub data_dir: PathBuf,
    /// Kafka: host and port of some brokers, comma-separated.
    pub bootstrap: String,
    /// Kafka: a name of this process that is stable over restarts and no other process has (a pod's name in a stateful set). Fences the
    /// process that had it before. Default: `tocsin-0`.
    pub instance: String,
    /// Kafka: further properties of librdkafka, such as those of TLS and SASL.
    pub properties: BTreeMap<String, String>,
}

/// Which log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// In the data directory.
    #[default]
    Embedded,
    /// Apache Kafka.
    Kafka,
}

/// The casework store. Section `[store]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `postgres://...` or `sqlite:PATH`. Default with the embedded log: an SQLite file in the data directory.
    pub url: String,
}

/// The secrets of a deployment. Section `[keys]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// The deployment key, 32 bytes in hexadecimal; better given as `deployment_key_file`. Permanent: ids of contents and the routing derive
    /// from it. `up` makes one in the data directory when none is given.
    pub deployment_key: String,
    /// The number of the key epoch, from which sketch seeds and account tokens derive. Default: 0.
    pub epoch: u32,
}

/// The shape of the topics. Section `[topics]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsConfig {
    /// Partitions of the sightings and state topics, 1 to 256: how many detectors can share the work. Default: 4 embedded, 16 on Kafka.
    pub sightings_partitions: Option<u16>,
    /// Kafka: how many copies of a topic are kept, 1 to 15. Default: 1; with three brokers or more, 3.
    pub replication_factor: u16,
    /// Kafka: further properties of the topics that are created, such as `min.insync.replicas`.
    pub properties: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            kind: LogKind::Embedded,
            data_dir: PathBuf::from("tocsin-data"),
            bootstrap: String::new(),
            instance: "tocsin-0".to_owned(),
            properties: BTreeMap::new(),
        }
    }
}

impl Default for TopicsConfig {
    fn default() -> Self {
        TopicsConfig {
            sightings_partitions: None,
            replication_factor: 1,
            properties: BTreeMap::new(),
        }
    }
}

impl Config {
    /// What is wrong with it, whatever it is used for.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.log.kind == LogKind::Kafka && self.log.bootstrap.is_empty() {
            refusals.push(Refusal::new(
                "log.bootstrap",
                "log.kind is kafka, so brokers are wanted: host:9092",
            ));
        }
        if self.log.data_dir.as_os_str().is_empty() {
            refusals.push(Refusal::new("log.data_dir", "a directory is wanted"));
        }
        if !is_instance(&self.log.instance) {
            let reason = "1 to 128 letters, digits, '-', '_' and '.' are wanted";
            refusals.push(Refusal::new("log.instance", reason));
        }
        if !["", "sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|start| match *start {
                "" => self.store.url.is_empty(),
                start => self.store.url.starts_with(start),
            })
        {
            refusals.push(Refusal::new("store.url", "postgres://... or sqlite:PATH is wanted"));
        }
        if !self.keys.deployment_key.is_empty() && self.deployment_key().is_none() {
            refusals.push(Refusal::new(
                "keys.deployment_key",
                "32 bytes in hexadecimal are wanted: 64 digits",
            ));
        }
        let partitions = self.topics.sightings_partitions.unwrap_or(1);
        refusals.extend(Refusal::outside("topics.sightings_partitions", partitions, 1..=256));
        refusals.extend(Refusal::outside(
            "topics.replication_factor",
            self.topics.replication_factor,
            1..=15,
        ));
        refusals.extend(self.http.refusals());
        refusals.extend(self.telemetry.refusals());
        refusals.extend(self.memory.refusals());
        refusals.extend(self.gateway.refusals());
        refusals.extend(self.intake.refusals());
        refusals.extend(self.detector.refusals());
        refusals.extend(self.dispatcher.refusals());
        refusals.extend(self.query.refusals());
        refusals
    }

    /// The refusal of a limit to memory below what these roles may come to hold together by their settings, if it is.
    pub fn memory_refusal(&self, roles: &[Role]) -> Option<Refusal> {
        let of_role = |role: &Role| match role {
            Role::Gateway => self.gateway.memory_parts(),
            Role::Intake => self.intake.memory_parts(),
            Role::Detector => self.detector.memory_parts(self.intake.lateness()),
            Role::Query => self.query.memory_parts(),
            Role::Dispatcher => self.dispatcher.memory_parts(),
        };
        let mut parts: Vec<MemoryPart> = roles.iter().flat_map(of_role).collect();
        parts.push(MemoryPart {
            of: "the process itself",
            bytes: PROCESS_BYTES,
        });
        self.memory.exceeded_by(parts)
    }

    /// What is missing to run one role as a process of its own.
    pub fn refusals_in_cluster(&self, role: Role) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.log.kind == LogKind::Embedded {
            let reason = "one process owns the embedded log: roles in processes of their own need kafka";
            refusals.push(Refusal::new("log.kind", reason));
        }
        if role.needs_store() && !self.store.url.starts_with("postgres") {
            refusals.push(Refusal::new(
                "store.url",
                "roles in processes of their own share a store: postgres://...",
            ));
        }
        if role == Role::Intake {
            refusals.extend(self.intake.mapping_refusals());
        }
        refusals.extend(self.memory_refusal(&[role]));
        if self.keys.deployment_key.is_empty() {
            let reason = "every process of a deployment needs the same key: give keys.deployment_key_file";
            refusals.push(Refusal::new("keys.deployment_key", reason));
        }
        refusals
    }

    /// The deployment key, if a valid one is configured.
    pub fn deployment_key(&self) -> Option<DeploymentKey> {
        parse_deployment_key(&self.keys.deployment_key)
    }

    /// The key epoch.
    pub fn epoch(&self) -> KeyEpoch {
        KeyEpoch(self.keys.epoch)
    }

    /// Partitions of the sightings and state topics.
    pub fn sightings_partitions(&self) -> PartitionCount {
        let by_kind = match self.log.kind {
            LogKind::Embedded => 4,
            LogKind::Kafka => 16,
        };
        let count = self.topics.sightings_partitions.unwrap_or(by_kind);
        PartitionCount::new(count).expect("a configuration is validated before it is used")
    }

    /// Where copies of what is preserved are sealed; beside the embedded log where nothing is said. In a cluster nobody but an operator knows a directory that
    /// all dispatchers share: empty, none.
    pub fn sealed_store(&self) -> String {
        match (self.dispatcher.sealed_store.as_str(), self.log.kind) {
            ("", LogKind::Embedded) => self.log.data_dir.join("sealed").display().to_string(),
            (directory, _) => directory.to_owned(),
        }
    }

    /// Where the casework store is.
    pub fn store_url(&self) -> String {
        match self.store.url.as_str() {
            "" => format!("sqlite:{}", self.log.data_dir.join("store.sqlite").display()),
            url => url.to_owned(),
        }
    }
}

/// Program, threads, and clients that do nothing.
const PROCESS_BYTES: u64 = 64 << 20;

/// A deployment key from its text.
pub fn parse_deployment_key(text: &str) -> Option<DeploymentKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
    Some(DeploymentKey::from_bytes(bytes))
}

fn is_instance(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=128).contains(&text.len()) && text.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    //! Goal: what is out of range or missing is named by its key before anything is opened.
    #![allow(clippy::unwrap_used)]

    use tocsin_runtime::config::{Sources, load};

    use super::*;

    fn keys(refusals: Vec<Refusal>) -> Vec<String> {
        refusals.into_iter().map(|refusal| refusal.key).collect()
    }

    fn with(flags: &[(&str, &str)]) -> Config {
        let flags = flags
            .iter()
            .map(|(key, text)| (key.to_string(), text.to_string()))
            .collect();
        let sources = Sources {
            flags,
            ..Sources::default()
        };
        load(&sources, |_: &Config| Vec::new()).unwrap().config
    }

    #[test]
    fn the_default_is_valid_for_one_process_and_says_what_a_cluster_needs() {
        assert_eq!(Config::default().refusals(), []);
        let missing = keys(Config::default().refusals_in_cluster(Role::Gateway));
        assert_eq!(missing, ["log.kind", "store.url", "keys.deployment_key"]);
        assert_eq!(
            keys(Config::default().refusals_in_cluster(Role::Detector)),
            ["log.kind", "keys.deployment_key"]
        );
        let cluster = with(&[
            ("log.kind", "kafka"),
            ("log.bootstrap", "kafka:9092"),
            ("store.url", "postgres://db/tocsin"),
            ("keys.deployment_key", &"ab".repeat(32)),
        ]);
        assert_eq!(cluster.refusals(), []);
        assert_eq!(cluster.refusals_in_cluster(Role::Gateway), []);
        assert_eq!(cluster.sightings_partitions().get(), 16);
        assert_eq!(Config::default().sightings_partitions().get(), 4);
    }

    #[test]
    fn settings_that_allow_more_memory_than_is_stated_are_refused() {
        let refused = |limit: &str, hot: &str, roles: &[Role]| {
            let config = with(&[("memory.limit_bytes", limit), ("detector.hot_limit", hot)]);
            config.memory_refusal(roles).map(|refusal| refusal.to_string())
        };
        // As the chart has it, which tells each process its limit: 10 GiB for a query node, 4 for a detector, 1 for intake and a dispatcher, 768 MiB for a gateway.
        assert_eq!(refused("4294967296", "16384", &[Role::Detector]), None);
        assert_eq!(refused("1073741824", "16384", &[Role::Intake]), None);
        assert_eq!(refused("10737418240", "16384", &[Role::Query]), None);
        assert_eq!(refused("1073741824", "16384", &[Role::Dispatcher]), None);
        assert_eq!(refused("805306368", "16384", &[Role::Gateway]), None);
        let reason = refused("536870912", "16384", &[Role::Dispatcher]).unwrap();
        assert!(
            reason.contains("allow: dispatcher.ranked_cases_max 381 MiB, dispatcher.ranked_records_max 195 MiB, dispatcher.member_contents_max 76 MiB"),
            "{reason}"
        );
        assert_eq!(refused("0", "1048576", &Role::ALL), None);
        let reason = refused("4294967296", "1048576", &[Role::Detector]).unwrap();
        assert!(
            reason.starts_with("memory.limit_bytes: 4096 MiB are less than")
                && reason.contains("allow: detector.hot_limit 33536 MiB, "),
            "{reason}"
        );
    }

    #[test]
    fn each_value_is_checked() {
        let cases = [
            (vec![("log.kind", "kafka")], "log.bootstrap"),
            (vec![("log.data_dir", "")], "log.data_dir"),
            (vec![("log.instance", "a b")], "log.instance"),
            (vec![("store.url", "mysql://db")], "store.url"),
            (vec![("keys.deployment_key", "abc")], "keys.deployment_key"),
            (
                vec![("topics.sightings_partitions", "0")],
                "topics.sightings_partitions",
            ),
            (
                vec![("topics.sightings_partitions", "257")],
                "topics.sightings_partitions",
            ),
            (vec![("topics.replication_factor", "0")], "topics.replication_factor"),
            (vec![("http.listen", "localhost")], "http.listen"),
            (vec![("telemetry.filter", "a=b=c")], "telemetry.filter"),
            (vec![("memory.limit_bytes", "1024")], "memory.limit_bytes"),
            (vec![("gateway.body_bytes_max", "1")], "gateway.body_bytes_max"),
            (vec![("intake.lateness_minutes", "0")], "intake.lateness_minutes"),
            (
                vec![
                    ("intake.confluent_schema_ids.17", "event/1"),
                    ("intake.confluent_schema_ids.18", "alert/1"),
                ],
                "intake.confluent_schema_ids.18",
            ),
            (vec![("detector.sketch_width", "100")], "detector.sketch_width"),
            (
                vec![("intake.osprey_mappings.North", "mapping.toml")],
                "intake.osprey_mappings.North",
            ),
            (vec![("dispatcher.lease_s", "0")], "dispatcher.lease_s"),
            (
                vec![("dispatcher.endpoint_networks", "10.0.0.0/8,localhost")],
                "dispatcher.endpoint_networks",
            ),
            (vec![("query.hot_records_max", "0")], "query.hot_records_max"),
        ];
        for (flags, key) in cases {
            assert_eq!(keys(with(&flags).refusals()), [key], "{flags:?}");
        }
    }

    #[test]
    fn the_deployment_key_is_masked_when_shown() {
        let sources = Sources {
            flags: vec![("keys.deployment_key".to_owned(), "ab".repeat(32))],
            ..Sources::default()
        };
        let printed = load(&sources, Config::refusals).unwrap().print();
        assert!(!printed.contains("abab"), "{printed}");
        assert!(printed.contains("deployment_key = \"***\"  # flag"), "{printed}");
    }
}
