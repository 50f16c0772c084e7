use std::collections::BTreeMap;

use rdkafka::ClientConfig;

/// How to reach Kafka.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Host and port of some brokers, comma-separated.
    pub bootstrap_servers: String,
    /// Names this process to the brokers.
    pub client_id: String,
    /// How many copies of each topic we create are kept.
    pub replication_factor: u16,
    /// Further properties of librdkafka, such as those of TLS and SASL. They replace our defaults, and never what correctness rests on.
    pub client_properties: BTreeMap<String, String>,
    /// Further properties of the topics we create, such as `min.insync.replicas`.
    pub topic_properties: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// Options for a cluster that needs none.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        KafkaOptions {
            bootstrap_servers: bootstrap_servers.into(),
            client_id: "tocsin".to_owned(),
            replication_factor: 1,
            client_properties: BTreeMap::new(),
            topic_properties: BTreeMap::new(),
        }
    }

    /// Ours first, then the operator's, then what must not be changed.
    fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in EVERY_CLIENT.iter().chain(defaults) {
            config.set(*name, *value);
        }
        for (name, value) in &self.client_properties {
            config.set(name, value);
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("client.id", &self.client_id);
        config
    }

    /// A client that asks for metadata and bounds. Its watermarks include open transactions.
    pub(super) fn queries(&self) -> ClientConfig {
        self.client(&[], &[("isolation.level", "read_uncommitted")])
    }

    /// A client that asks for a group's positions; it never joins.
    pub(super) fn outsider(&self, group: &str) -> ClientConfig {
        self.client(&[], &[("group.id", group), ("enable.auto.commit", "false")])
    }

    pub(super) fn consumer(&self, group: &str, instance: &str) -> ClientConfig {
        let mut config = self.client(CONSUMER, CONSUMER_FIXED);
        config.set("group.id", group);
        if !instance.is_empty() {
            config.set("group.instance.id", instance);
        }
        config
    }

    /// Outside any group: librdkafka wants a group's name for `assign`, but nothing joins it or commits to it.
    pub(super) fn tail(&self) -> ClientConfig {
        let mut config = self.client(CONSUMER, CONSUMER_FIXED);
        config.set("group.id", format!("{}-tail", self.client_id));
        // Statistics tell how far a partition was read where no record stands; see `tail`.
        config.set("enable.partition.eof", "true");
        config.set("statistics.interval.ms", "100");
        config
    }

    /// Gapless: a record that times out or that the broker refuses fails those behind it too.
    pub(super) fn producer(&self, gapless: bool) -> ClientConfig {
        let mut config = self.client(PRODUCER, PRODUCER_FIXED);
        config.set("enable.gapless.guarantee", gapless.to_string());
        config
    }

    pub(super) fn committer(&self, instance: &str) -> ClientConfig {
        let mut config = self.client(PRODUCER, PRODUCER_FIXED);
        config.set("transactional.id", instance);
        config.set("transaction.timeout.ms", "6000");
        // librdkafka wants it below the transaction's time-out, so that a request fails before its transaction does.
        config.set("socket.timeout.ms", "6000");
        // The coordinator still ends the transaction before when the next one asks: with the default of 100 ms each would wait that long.
        config.set("retry.backoff.ms", "5");
        // A transaction's records must not outlive it.
        config.set("message.timeout.ms", "6000");
        config
    }
}

/// Reconnects soon: the fail-over of a broker takes three seconds, not the default back-off's ten.
const EVERY_CLIENT: &[(&str, &str)] = &[
    ("reconnect.backoff.max.ms", "500"),
    ("retry.backoff.max.ms", "500"),
    ("socket.connection.setup.timeout.ms", "3000"),
    ("socket.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    ("allow.auto.create.topics", "false"),
    ("log.connection.close", "false"),
];

const CONSUMER: &[(&str, &str)] = &[
    // With the default of one second a fast poller stalls whenever the queue was full.
    ("fetch.queue.backoff.ms", "2"),
    ("fetch.wait.max.ms", "100"),
    ("queued.min.messages", "100000"),
    // Of each partition, and some times as much in memory where messages are short. A twentieth of a second's work at full speed is enough.
    ("queued.max.messages.kbytes", "4096"),
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "1000"),
    ("max.poll.interval.ms", "60000"),
    // How soon topics are found that a prefix takes in.
    ("topic.metadata.refresh.interval.ms", "2000"),
];

const CONSUMER_FIXED: &[(&str, &str)] = &[
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Every start is stated and within what is held; should the beginning move meanwhile, go on from there.
    ("auto.offset.reset", "earliest"),
];

const PRODUCER: &[(&str, &str)] = &[
    ("linger.ms", "1"),
    ("message.timeout.ms", "60000"),
    ("topic.metadata.propagation.max.ms", "5000"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
];

const PRODUCER_FIXED: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("batch.size", "262144"),
    ("message.max.bytes", "16777216"),
];

/// What a batch may take beside a record of the allowed size: `batch.size` above, for a topic's limit goes by batches.
pub(super) const BATCH_BYTES: u32 = 262_144 + 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_replaces_defaults_but_not_what_correctness_rests_on() {
        let mut options = KafkaOptions::new("127.0.0.1:1");
        for (name, value) in [
            ("fetch.wait.max.ms", "7"),
            ("isolation.level", "read_uncommitted"),
            ("acks", "0"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
        ] {
            options.client_properties.insert(name.to_owned(), value.to_owned());
        }
        let consumer = options.consumer("g", "");
        assert_eq!(consumer.get("fetch.wait.max.ms"), Some("7"));
        assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
        assert_eq!(consumer.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        assert_eq!(consumer.get("group.instance.id"), None);
        assert_eq!(options.consumer("g", "i").get("group.instance.id"), Some("i"));
        assert_eq!(options.producer(false).get("acks"), Some("all"));
        assert_eq!(options.committer("t").get("transactional.id"), Some("t"));
    }
}
