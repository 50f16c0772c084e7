//! The embedded log: a durable, partitioned log in one file of the data directory, on the `redb` store, for one process.
//!
//! One thread writes (`writer`); whatever waits in its bounded queue (`queue`) becomes one transaction (`batch`). Readers (`read`,
//! `group`) take snapshots and wait on the `catalogue`, which says in memory how far each partition may be read.
//!
//! Invariants:
//! * One process owns the file; a second is refused with [`LogError::InUse`].
//! * What is visible is in order; what a synced append or a unit answered is on disk, with everything visible before it.
//! * The append stamp of a record is never below the one before it, whatever the clock does.
//! * A compacted topic holds exactly one record per key: the newest. One without a value goes after
//!   [`EmbeddedOptions::tombstone_retention_ms`].
//!
//! A crash after which the file is opened again may take back positions and [`Durability::Ordered`] appends of the last moment (at most
//! a tail), never a unit or a synced append.

mod batch;
mod catalogue;
mod group;
mod queue;
mod read;
mod tables;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use redb::{Database, ReadableDatabase, ReadableTable};

use catalogue::{Catalogue, Topic};
use group::{Member, OneMember};
use queue::{Job, Queue};
use tables::TopicRow;
use writer::Writer;

use crate::{
    Append, Appender, AppenderOptions, CommitError, Committer, Completion, Durability, GroupOptions, GroupReader, Log,
    LogError, Membership, TailReader, TopicDifference, TopicInfo, TopicPartition, TopicSpec, Unit,
};

/// The most topics one embedded log holds.
pub const TOPICS_MAX: usize = 4_096;

/// The file inside the data directory.
pub const FILE_NAME: &str = "log.redb";

/// How an embedded log works.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Milliseconds since 1970. Tests put in their own.
    pub clock: fn() -> i64,
    /// What the store keeps of its file in memory, in bytes.
    pub cache_bytes: usize,
    /// How many appends, units and position commits may wait for the writer; more block their callers.
    pub queue_jobs_max: usize,
    /// How many bytes of records may wait for the writer; more block their callers.
    pub queue_bytes_max: usize,
    /// How often old records are looked for.
    pub retention_interval: Duration,
    /// How long the newest record of a key stays if it has no value, so that readers learn of the removal, in milliseconds.
    pub tombstone_retention_ms: i64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        EmbeddedOptions {
            clock: wall_clock_ms,
            cache_bytes: 64 << 20,
            queue_jobs_max: 16_384,
            queue_bytes_max: 64 << 20,
            retention_interval: Duration::from_secs(30),
            tombstone_retention_ms: 24 * 3_600 * 1_000,
        }
    }
}

fn wall_clock_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |since| since.as_millis() as i64)
}

/// A durable log in a directory, for one process.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the log, its readers and its appenders share.
struct Shared {
    /// Gone once the log is closed.
    database: RwLock<Option<Arc<Database>>>,
    catalogue: Arc<Catalogue>,
    queue: Arc<Queue>,
    members: Arc<OneMember>,
}

impl Shared {
    fn database(&self) -> Result<Arc<Database>, LogError> {
        let database = self.database.read().expect("no holder of this lock panics");
        database.clone().ok_or(LogError::Closed)
    }

    fn refuse_closed(&self) -> Result<(), LogError> {
        self.database().map(drop)
    }

    /// Gives the writer a job and waits for its answer.
    fn ask<T, E: From<LogError>>(&self, job: impl FnOnce(SyncSender<Result<T, E>>) -> Job) -> Result<T, E> {
        let (done, answer) = std::sync::mpsc::sync_channel(1);
        self.queue.put(job(done));
        answer.recv().unwrap_or_else(|_| Err(LogError::Closed.into()))
    }
}

/// A job the writer never took was not applied.
impl From<LogError> for CommitError {
    fn from(error: LogError) -> Self {
        CommitError::NotApplied(error)
    }
}

impl EmbeddedLog {
    /// Opens the log in `directory`, making both if they are absent.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another process (or another log of this one) has it open, [`LogError::Damaged`] for a file that is no
    /// log or is broken.
    pub fn open(directory: &Path, options: EmbeddedOptions) -> Result<Self, LogError> {
        std::fs::create_dir_all(directory).map_err(|source| LogError::Embedded {
            operation: "make the data directory",
            source: Box::new(source),
        })?;
        let path = directory.join(FILE_NAME);
        // Redb's checks are thorough, but a damaged file may still trip an assertion in it: that is a damaged file too.
        let opened = std::panic::catch_unwind(|| open_file(directory, &path, options.cache_bytes));
        let (database, topics, last_stamp_ms) = opened.unwrap_or_else(|_| Err(damaged(&path, "opening it failed")))?;

        let catalogue = Arc::new(Catalogue::default());
        catalogue.add(topics);
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(database.clone())),
            catalogue: catalogue.clone(),
            queue: Arc::new(Queue::new(options.queue_jobs_max, options.queue_bytes_max)),
            members: Arc::default(),
        });
        let (queue, members) = (shared.queue.clone(), shared.members.clone());
        let writer = Writer::new(database, catalogue, queue, members, options, last_stamp_ms);
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        let hook = tocsin_failpoint::inherited();
        let work = move || {
            let _adopted = tocsin_failpoint::adopt(hook);
            writer.run();
        };
        let writer = thread.spawn(work).map_err(|source| LogError::Embedded {
            operation: "start the writer",
            source: Box::new(source),
        })?;
        Ok(EmbeddedLog {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Drops records that are older than their topic's retention at `now_ms` (milliseconds since 1970), and old removals of compacted
    /// topics; returns how many. The log does this itself at intervals; tests call it.
    pub fn enforce_retention(&self, now_ms: i64) -> Result<u64, LogError> {
        let mut dropped = 0;
        loop {
            let pass: u64 = self.shared.ask(|done| Job::Retain { now_ms, done })?;
            dropped += pass;
            if (pass as usize) < writer::RETENTION_RECORDS_MAX {
                return Ok(dropped);
            }
        }
    }

    /// Writes what waits, syncs and lets go of the file. Readers and appenders that are left answer [`LogError::Closed`]. Dropping the
    /// log does the same.
    pub fn close(&self) {
        self.shared.queue.close();
        let writer = self.writer.lock().expect("no holder of this lock panics").take();
        let Some(writer) = writer else { return };
        if writer.join().is_err() {
            tracing::error!("the writer of the embedded log had panicked");
        }
        let database = self
            .shared
            .database
            .write()
            .expect("no holder of this lock panics")
            .take();
        self.shared.catalogue.announce();
        // A reader may be in the middle of a poll and hold the file for a moment.
        let waited = Instant::now();
        let mut database = database.expect("only one caller got the writer");
        while let Err(held) = Arc::try_unwrap(database) {
            if waited.elapsed() > CLOSE_TIME_MAX {
                tracing::warn!("the embedded log stays open until a reader's poll returns");
                return;
            }
            database = held;
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// How long closing waits for polls that are under way.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Log for EmbeddedLog {
    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        let specs = specs.to_vec();
        self.shared.ask(|done| Job::EnsureTopics { specs, done })
    }

    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.shared.ask(|done| Job::DeleteTopics { names, done })
    }

    fn check_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
        self.shared.refuse_closed()?;
        let found = specs
            .iter()
            .flat_map(|spec| match self.shared.catalogue.topic(&spec.name) {
                Some(topic) => [batch::in_shape(spec, &topic.row), batch::in_settings(spec, &topic.row)].concat(),
                None => vec![spec.differs("it is absent")],
            });
        Ok(found.collect())
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.shared.refuse_closed()?;
        Ok(self
            .shared
            .catalogue
            .topics()
            .iter()
            .map(|topic| topic.info())
            .collect())
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.shared.refuse_closed()?;
        let topic = self.shared.catalogue.topic_of(partition)?;
        Ok(topic.bounds(partition.partition).expect("the partition was checked"))
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        self.shared.refuse_closed()?;
        read::offset_at(&self.shared, partition, at_ms)
    }

    fn ends(&self, partitions: &[TopicPartition], _time_max: Duration) -> Result<Vec<u64>, LogError> {
        let end = |partition: &TopicPartition| Ok(self.bounds(partition)?.1);
        partitions.iter().map(end).collect()
    }

    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        _time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        partitions
            .iter()
            .map(|partition| group::position(&self.shared, group, partition))
            .collect()
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        self.shared.refuse_closed()?;
        Ok(Box::new(QueueAppender {
            shared: self.shared.clone(),
            durability: options.durability,
            stopped: options.gapless.then(Arc::default),
        }))
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        self.shared.refuse_closed()?;
        Ok(Box::new(Member::join(self.shared.clone(), options)?))
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        self.shared.refuse_closed()?;
        Ok(Box::new(read::Tail::new(self.shared.clone(), starts)?))
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        let name = instance.to_owned();
        let epoch = self.shared.ask(|done| Job::TakeOver { instance: name, done })?;
        Ok(Box::new(UnitCommitter {
            shared: self.shared.clone(),
            instance: instance.to_owned(),
            epoch,
        }))
    }
}

struct QueueAppender {
    shared: Arc<Shared>,
    durability: Durability,
    stopped: Option<Arc<AtomicBool>>,
}

impl Appender for QueueAppender {
    fn append(&self, records: Vec<Append>) -> Completion {
        let (done, completion) = Completion::channel();
        self.shared.queue.put(Job::Append {
            records,
            durability: self.durability,
            stopped: self.stopped.clone(),
            done,
        });
        completion
    }
}

struct UnitCommitter {
    shared: Arc<Shared>,
    instance: String,
    epoch: u64,
}

impl Committer for UnitCommitter {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        let group = match membership {
            Membership::Embedded(group) => Some(group.clone()),
            Membership::Kafka(_) | Membership::Absent(_) => None,
        };
        let (instance, epoch) = (self.instance.clone(), self.epoch);
        self.shared.ask(|done| Job::Unit {
            instance,
            epoch,
            group,
            unit,
            done,
        })
    }
}

type Opened = (Arc<Database>, Vec<Topic>, i64);

fn open_file(directory: &Path, path: &Path, cache_bytes: usize) -> Result<Opened, LogError> {
    let opened = Database::builder().set_cache_size(cache_bytes).create(path);
    let database = opened.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => LogError::InUse {
            directory: directory.display().to_string(),
        },
        redb::DatabaseError::Storage(redb::StorageError::Io(source)) if !speaks_of_content(&source) => {
            LogError::Embedded {
                operation: "open the file",
                source: Box::new(source),
            }
        }
        other => damaged(path, redb::Error::from(other)),
    })?;
    let format = prepare(&database).map_err(|error| damaged(path, error))?;
    if format != tables::FORMAT {
        return Err(damaged(path, format!("its format is {format}, not {}", tables::FORMAT)));
    }
    let (topics, last_stamp_ms) = load(&database).map_err(|error| damaged(path, error))?;
    Ok((Arc::new(database), topics, last_stamp_ms))
}

fn speaks_of_content(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput
    )
}

/// Makes the tables of a new file; returns the format of the file.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let format = {
        let mut meta = transaction.open_table(tables::META)?;
        let format = meta.get(tables::META_FORMAT)?.map(|format| format.value());
        if format.is_none() {
            meta.insert(tables::META_FORMAT, tables::FORMAT)?;
        }
        transaction.open_table(tables::TOPICS)?;
        transaction.open_table(tables::RECORDS)?;
        transaction.open_table(tables::ENDS)?;
        transaction.open_table(tables::POSITIONS)?;
        format.unwrap_or(tables::FORMAT)
    };
    transaction.commit()?;
    Ok(format)
}

/// The topics with their bounds, and the last append stamp.
fn load(database: &Database) -> Result<(Vec<Topic>, i64), redb::Error> {
    let transaction = database.begin_read()?;
    let mut topics = Vec::new();
    let mut by_id = HashMap::new();
    for entry in transaction.open_table(tables::TOPICS)?.iter()? {
        let (name, row) = entry?;
        let row = TopicRow::from_value(row.value());
        by_id.insert(row.id, topics.len());
        topics.push(Topic::new(name.value().into(), row));
    }
    for entry in transaction.open_table(tables::ENDS)?.iter()? {
        let (key, bounds) = entry?;
        let (id, partition) = key.value();
        if let Some(index) = by_id.get(&id) {
            topics[*index].set_bounds(partition, bounds.value());
        }
    }
    let meta = transaction.open_table(tables::META)?;
    let last_stamp_ms = meta
        .get(tables::META_LAST_STAMP)?
        .map_or(0, |stamp| stamp.value().cast_signed());
    Ok((topics, last_stamp_ms))
}

fn damaged(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LogError {
    LogError::Damaged {
        path: path.display().to_string(),
        source: source.into(),
    }
}

fn failed<E: Into<redb::Error>>(operation: &'static str) -> impl Fn(E) -> LogError {
    move |error| LogError::Embedded {
        operation,
        source: Box::new(error.into()),
    }
}
