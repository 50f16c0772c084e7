//! Where a case runs: a log, names of its own, and waiting with a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::kafka::{KafkaLog, KafkaOptions};
use tocsin_log::*;

/// The longest anything may take on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How long a poll waits before the condition is looked at again.
pub const STEP: Duration = Duration::from_millis(200);

pub struct Site {
    place: Place,
    log: Option<SharedLog>,
    prefix: String,
    is_namespaced: bool,
}

enum Place {
    Directory(tempfile::TempDir),
    Kafka(KafkaOptions),
}

static SITES: AtomicU32 = AtomicU32::new(0);

impl Site {
    pub fn embedded() -> Site {
        Site::at(Place::Directory(tempfile::tempdir().unwrap()), false)
    }

    pub fn kafka() -> Option<Site> {
        Some(Site::at(Place::Kafka(kafka_options()?), false))
    }

    /// A namespace inside the embedded log.
    pub fn embedded_namespace() -> Site {
        Site::at(Place::Directory(tempfile::tempdir().unwrap()), true)
    }

    /// A namespace inside the test cluster.
    pub fn kafka_namespace() -> Option<Site> {
        Some(Site::at(Place::Kafka(kafka_options()?), true))
    }

    fn at(place: Place, is_namespaced: bool) -> Site {
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let mut site = Site {
            place,
            log: None,
            prefix: format!("c{}-{number}-{:08x}", std::process::id(), rand::random::<u32>()),
            is_namespaced,
        };
        site.log = Some(site.open());
        site
    }

    fn open(&self) -> SharedLog {
        let log = self.open_whole();
        match self.is_namespaced {
            true => Arc::new(Namespaced::new(log, &format!("n.{}.", self.prefix)).unwrap()),
            false => log,
        }
    }

    fn open_whole(&self) -> SharedLog {
        match &self.place {
            Place::Directory(directory) => {
                Arc::new(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap())
            }
            Place::Kafka(options) => Arc::new(KafkaLog::connect(options.clone()).unwrap()),
        }
    }

    pub fn log(&self) -> SharedLog {
        self.log.clone().unwrap()
    }

    /// Closes the log and opens it again. All readers must be gone.
    pub fn reopen(&mut self) {
        self.log = None;
        self.log = Some(self.open());
    }

    /// A name nobody else uses.
    pub fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub fn topic(&self, name: &str, partitions: u32, cleanup: Cleanup) -> String {
        let name = self.name(name);
        self.log().ensure_topics(&[spec(&name, partitions, cleanup)]).unwrap();
        name
    }

    pub fn append(&self, records: Vec<Append>) -> Vec<u64> {
        let options = AppenderOptions {
            name: "test".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        self.log().appender(options).unwrap().append(records).wait().unwrap()
    }

    pub fn group(&self, name: &str, topics: &[String]) -> GroupOptions {
        GroupOptions {
            group: self.name(name),
            instance: String::new(),
            topics: topics.to_vec(),
        }
    }

    /// A group reader that has all its partitions and begun them at their beginning.
    pub fn reader(&self, group: &str, topics: &[String], partitions: usize) -> Box<dyn GroupReader> {
        let mut reader = self.log().group_reader(self.group(group, topics)).unwrap();
        for partition in assigned(&mut *reader, partitions) {
            reader.begin(&partition, 0).unwrap();
        }
        reader
    }
}

/// The test cluster, if there is one. Compaction gets to work within seconds.
pub fn kafka_options() -> Option<KafkaOptions> {
    let Ok(bootstrap_servers) = std::env::var("TOCSIN_TEST_KAFKA") else {
        println!("skipped: TOCSIN_TEST_KAFKA is not set");
        return None;
    };
    let mut options = KafkaOptions::new(bootstrap_servers);
    for (name, value) in [
        ("segment.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "1000"),
    ] {
        options.topic_properties.insert(name.to_owned(), value.to_owned());
    }
    Some(options)
}

pub fn spec(name: &str, partitions: u32, cleanup: Cleanup) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions,
        cleanup,
        retention_ms: None,
        record_bytes_max: 1_000,
        may_grow: false,
        compaction: None,
    }
}

pub fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

pub fn value(to: &TopicPartition, value: impl Into<String>) -> Append {
    Append {
        to: to.clone(),
        key: None,
        value: Some(value.into().into()),
        headers: Vec::new(),
    }
}

pub fn keyed(to: &TopicPartition, key: &str, value: Option<&str>) -> Append {
    Append {
        to: to.clone(),
        key: Some(key.to_owned().into()),
        value: value.map(|value| value.to_owned().into()),
        headers: Vec::new(),
    }
}

pub fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).unwrap()
}

/// Looks again until the condition holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "in {LIMIT:?} it did not come to: {what}");
    }
}

/// Polls until so many partitions were assigned.
pub fn assigned(reader: &mut dyn GroupReader, partitions: usize) -> Vec<TopicPartition> {
    let mut ours = Vec::new();
    until("the assignment", || {
        match reader
            .poll(STEP, 100, &mut |_| panic!("a record before begin"))
            .unwrap()
        {
            GroupEvent::Assigned(new) => ours.extend(new),
            GroupEvent::Revoked(gone) => ours.retain(|partition| !gone.contains(partition)),
            GroupEvent::Polled => {}
        }
        ours.len() >= partitions
    });
    assert_eq!(ours.len(), partitions);
    ours
}

/// Polls a group reader until it handed over so many records.
pub fn read(reader: &mut dyn GroupReader, records: usize) -> Vec<Record> {
    let mut got = Vec::new();
    until("the records of a group", || {
        let event = reader.poll(STEP, records - got.len(), &mut |record| got.push(record.to_record()));
        assert_eq!(event.unwrap(), GroupEvent::Polled);
        got.len() >= records
    });
    got
}

/// Polls a tail reader until it handed over so many records.
pub fn tail(reader: &mut dyn TailReader, records: usize) -> Vec<Record> {
    let mut got = Vec::new();
    until("the records of a tail", || {
        reader
            .poll(STEP, records - got.len(), &mut |record| got.push(record.to_record()))
            .unwrap();
        got.len() >= records
    });
    got
}

/// All that a partition holds now, read by a new tail reader to the end.
pub fn contents(log: &dyn Log, partition: &TopicPartition) -> Vec<Record> {
    let (_, end) = log.bounds(partition).unwrap();
    let mut reader = log.tail_reader(&[(partition.clone(), 0)]).unwrap();
    let mut got = Vec::new();
    until("the end of a partition", || {
        reader
            .poll(STEP, 1_000, &mut |record| got.push(record.to_record()))
            .unwrap();
        reader.position(partition).unwrap() >= end
    });
    got
}
