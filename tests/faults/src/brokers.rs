//! The brokers: one or three, started by `deploy/kafka`, killed, frozen and started again by process id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::process::{Child, Command};

use crate::proxy::free_port;
use crate::signal::{self, Signal};
use crate::wait::{LONG, until_within};

/// A cluster of brokers. They are stopped when it is dropped.
#[derive(Debug)]
pub struct Brokers {
    /// Their addresses, as bootstrap servers.
    pub bootstrap: String,
    /// Where clients behind a proxy begin, if there is one: the brokers advertise these ports, on which nothing listens yet, to whoever comes
    /// by `behind`.
    pub fronted: Option<Fronted>,
    root: PathBuf,
    data: PathBuf,
    nodes: Vec<Node>,
}

/// A second listener of a single broker.
#[derive(Clone, Copy, Debug)]
pub struct Fronted {
    /// Where clients are to connect: the proxy listens here.
    pub front: u16,
    /// Where the broker listens.
    pub behind: u16,
}

/// What a broker coordinates: the one that leads its partition of an internal topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coordinated {
    /// A consumer group, by its name.
    Group(String),
    /// The transactions of a producer, by its `transactional.id`.
    Transactions(String),
}

/// Partitions of both internal topics, as `deploy/kafka/start` makes them.
const COORDINATORS: u32 = 8;

impl Coordinated {
    /// Where it is kept: topic and partition (Kafka's `GroupMetadataManager.partitionFor` and `TransactionStateManager.partitionFor`).
    fn place(&self) -> (&'static str, i32) {
        let (topic, name) = match self {
            Coordinated::Group(name) => ("__consumer_offsets", name),
            Coordinated::Transactions(name) => ("__transaction_state", name),
        };
        // Java's String.hashCode without its sign.
        let hash = name
            .encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        (topic, ((hash & i32::MAX).cast_unsigned() % COORDINATORS).cast_signed())
    }
}

#[derive(Debug)]
struct Node {
    /// The program and its arguments.
    command: Vec<String>,
    id: u32,
    /// Of a broker that was started again: the script has started the others.
    child: Option<Child>,
}

impl Brokers {
    /// Starts so many (1 or 3) with their data in `data`.
    ///
    /// # Errors
    /// They do not start.
    pub async fn start(root: &Path, data: &Path, count: usize) -> Result<Brokers> {
        let mut command = Command::new(root.join("deploy/kafka/start"));
        command
            .args(["--brokers", &count.to_string(), "--test", "--data"])
            .arg(data);
        let output = command
            .stdin(Stdio::null())
            .output()
            .await
            .context("run deploy/kafka/start")?;
        ensure!(
            output.status.success(),
            "the brokers do not start: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let bootstrap = fs::read_to_string(data.join("bootstrap")).context("read the brokers' addresses")?;
        let ids = fs::read_to_string(data.join("pids")).context("read the brokers' process ids")?;
        let node = |line: &str| -> Result<Node> {
            let id = line.parse().context("a process id is a number")?;
            let words = fs::read(format!("/proc/{id}/cmdline")).context("read how a broker was started")?;
            let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            let command = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let child = None;
            Ok(Node { command, id, child })
        };
        Ok(Brokers {
            bootstrap: bootstrap.trim().to_owned(),
            fronted: None,
            root: root.to_owned(),
            data: data.to_owned(),
            nodes: ids.lines().map(node).collect::<Result<_>>()?,
        })
    }

    /// Gives the single broker a second listener, which tells clients to come back to the port of a proxy.
    ///
    /// # Errors
    /// It does not start again.
    pub async fn front(&mut self) -> Result<()> {
        ensure!(self.nodes.len() == 1, "a proxy stands before a single broker");
        let fronted = Fronted {
            front: free_port()?,
            behind: free_port()?,
        };
        self.end(0, Signal::Terminate).await?;
        let path = self.data.join("broker-1/server.properties");
        let settings = fs::read_to_string(&path).context("read the broker's settings")?;
        let amend = |line: &str| {
            let more = match line.split_once('=').map(|(key, _)| key) {
                Some("listeners") => format!(",FRONTED://127.0.0.1:{}", fronted.behind),
                Some("advertised.listeners") => format!(",FRONTED://127.0.0.1:{}", fronted.front),
                Some("listener.security.protocol.map") => ",FRONTED:PLAINTEXT".to_owned(),
                _ => String::new(),
            };
            format!("{line}{more}\n")
        };
        let settings: String = settings.lines().map(amend).collect();
        fs::write(&path, settings).context("write the broker's settings")?;
        self.begin(0)?;
        self.fronted = Some(fronted);
        self.whole().await
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Ends a broker, and waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(&mut self, number: usize, by: Signal) -> Result<()> {
        let node = &mut self.nodes[number];
        signal::send(node.id, by)?;
        if let Some(mut child) = node.child.take() {
            child.wait().await.context("wait for a broker")?;
            return Ok(());
        }
        let id = node.id;
        until_within(LONG, "a broker has ended", async || {
            Ok(signal::has_ended(id).then_some(()))
        })
        .await
    }

    /// Starts a broker that has ended with the data it left.
    ///
    /// # Errors
    /// Its program cannot be started.
    pub fn begin(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        let (program, arguments) = node.command.split_first().context("a broker has a program")?;
        let said = self.data.join(format!("broker-{}/server.log", number + 1));
        let said = fs::OpenOptions::new()
            .append(true)
            .open(said)
            .context("open a broker's log")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        let child = command.kill_on_drop(true).spawn().context("start a broker again")?;
        node.id = child.id().context("it runs")?;
        node.child = Some(child);
        let ids: String = self.nodes.iter().map(|node| format!("{}\n", node.id)).collect();
        fs::write(self.data.join("pids"), ids).context("write the brokers' process ids")
    }

    /// Waits until every partition has all its replicas in step.
    ///
    /// # Errors
    /// They do not come.
    pub async fn whole(&self) -> Result<()> {
        let count = self.nodes.len();
        until_within(LONG * 2, "all replicas are in step", async || {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", &self.bootstrap);
            let asked = tokio::task::block_in_place(|| {
                let client: BaseConsumer = config.create()?;
                client.fetch_metadata(None, std::time::Duration::from_secs(5))
            });
            let Ok(metadata) = asked else { return Ok(None) };
            let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let whole = partitions
                .all(|partition| partition.leader() >= 0 && partition.isr().len() == partition.replicas().len());
            Ok((whole && metadata.brokers().len() == count).then_some(()))
        })
        .await
    }

    /// Which broker coordinates something, by its place in this cluster.
    ///
    /// # Errors
    /// Nobody can tell.
    pub fn coordinator(&self, of: &Coordinated) -> Result<usize> {
        let (topic, partition) = of.place();
        self.leader(topic, partition)
    }

    /// Which broker leads a partition, by its place in this cluster.
    ///
    /// # Errors
    /// Nobody can tell.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<usize> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        tokio::task::block_in_place(|| {
            let client: BaseConsumer = config.create()?;
            let metadata = client.fetch_metadata(Some(topic), std::time::Duration::from_secs(10))?;
            let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            match partitions
                .find(|found| found.id() == partition)
                .map(|found| found.leader())
            {
                Some(leader) if leader > 0 => Ok(leader as usize - 1),
                _ => bail!("partition {partition} of {topic} has no leader"),
            }
        })
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for node in &self.nodes {
            // One that was frozen hears nothing else.
            let _ = signal::send(node.id, Signal::Continue);
        }
        let stop = self.root.join("deploy/kafka/stop");
        let stopped = std::process::Command::new(stop).arg("--data").arg(&self.data).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the brokers of {} were not stopped", self.data.display());
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a coordinator is looked for where Kafka keeps it.

    use super::*;

    #[test]
    fn a_name_stands_where_java_puts_it() {
        // By the JVM: "tocsin-detector".hashCode() & 0x7fffffff, and so on.
        for (of, topic, hash) in [
            (
                Coordinated::Group("tocsin-detector".to_owned()),
                "__consumer_offsets",
                804_120_163,
            ),
            (
                Coordinated::Transactions("detector-1-detector".to_owned()),
                "__transaction_state",
                480_976_457,
            ),
            (Coordinated::Group(String::new()), "__consumer_offsets", 0),
        ] {
            assert_eq!(of.place(), (topic, hash % 8), "{of:?}");
        }
    }
}
