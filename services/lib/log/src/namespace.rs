use std::sync::Arc;
use std::time::Duration;

use crate::{
    Append, Appender, AppenderOptions, CommitError, Committer, Completion, GroupEvent, GroupOptions, GroupReader, Log,
    LogDecorator, LogError, Membership, RecordRef, SharedLog, TailReader, TopicDifference, TopicInfo, TopicPartition,
    TopicSpec, Unit,
};

/// A log inside another one: every topic, group and instance that is named on this side has the prefix before it on the other, and nothing without
/// the prefix can be named, seen or written from this side. For drills.
pub struct Namespaced {
    inner: SharedLog,
    prefix: Arc<str>,
}

impl Namespaced {
    /// The namespace of this prefix, such as `drill.0a1b2c3d.`, inside a log.
    ///
    /// # Errors
    /// [`LogError::TopicRefused`]: a prefix is letters, digits, `_`, `-` and dots, and ends with a dot, so that no namespace lies in another by accident.
    pub fn new(inner: SharedLog, prefix: &str) -> Result<Namespaced, LogError> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if prefix.len() < 2 || !prefix.ends_with('.') || !prefix.bytes().all(is_legal) {
            return Err(LogError::TopicRefused {
                topic: prefix.to_owned(),
                reason: "a namespace is letters, digits, '_', '-' and dots, the last of them a dot".to_owned(),
            });
        }
        Ok(Namespaced {
            inner,
            prefix: Arc::from(prefix),
        })
    }

    fn within(&self, specs: &[TopicSpec]) -> Vec<TopicSpec> {
        let named = |spec: &TopicSpec| TopicSpec {
            name: outer(&self.prefix, &spec.name),
            ..spec.clone()
        };
        specs.iter().map(named).collect()
    }
}

impl LogDecorator for Namespaced {
    fn inner(&self) -> &dyn Log {
        self.inner.as_ref()
    }

    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        self.inner.ensure_topics(&self.within(specs))
    }

    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        let names: Vec<String> = names.iter().map(|name| outer(&self.prefix, name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.inner.delete_topics(&names)
    }

    fn check_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
        let mut differences = self.inner.check_topics(&self.within(specs))?;
        for difference in &mut differences {
            difference.topic = inner_name(&self.prefix, &difference.topic).to_owned();
        }
        Ok(differences)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let topics = self.inner.topics()?.into_iter();
        let own = topics.filter_map(|topic| {
            let name = topic.name.strip_prefix(&*self.prefix)?.to_owned();
            Some(TopicInfo { name, ..topic })
        });
        Ok(own.collect())
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.inner.bounds(&outer_of(&self.prefix, partition))
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        self.inner.offset_at(&outer_of(&self.prefix, partition), at_ms)
    }

    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError> {
        self.inner.ends(&all_outer(&self.prefix, partitions), time_max)
    }

    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        let group = outer(&self.prefix, group);
        self.inner
            .positions(&group, &all_outer(&self.prefix, partitions), time_max)
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(Inside {
            inner: self.inner.appender(options)?,
            prefix: Arc::clone(&self.prefix),
        }))
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        let instance = match options.instance.is_empty() {
            true => String::new(),
            false => outer(&self.prefix, &options.instance),
        };
        let options = GroupOptions {
            group: outer(&self.prefix, &options.group),
            instance,
            topics: options.topics.iter().map(|topic| outer(&self.prefix, topic)).collect(),
        };
        Ok(Box::new(Inside {
            inner: self.inner.group_reader(options)?,
            prefix: Arc::clone(&self.prefix),
        }))
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        Ok(Box::new(Inside {
            inner: self.inner.tail_reader(&positions_outer(&self.prefix, starts))?,
            prefix: Arc::clone(&self.prefix),
        }))
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        Ok(Box::new(Inside {
            inner: self.inner.committer(&outer(&self.prefix, instance))?,
            prefix: Arc::clone(&self.prefix),
        }))
    }
}

/// A part of the log behind, as it is used from inside the namespace.
struct Inside<T: ?Sized> {
    inner: Box<T>,
    prefix: Arc<str>,
}

impl Appender for Inside<dyn Appender> {
    fn append(&self, records: Vec<Append>) -> Completion {
        self.inner.append(appends_outer(&self.prefix, records))
    }
}

impl GroupReader for Inside<dyn GroupReader> {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        let prefix = &*self.prefix;
        let event = self
            .inner
            .poll(timeout, records_max, &mut |record| sink(inner_record(prefix, record)))?;
        Ok(match event {
            GroupEvent::Polled => GroupEvent::Polled,
            GroupEvent::Assigned(partitions) => GroupEvent::Assigned(all_inner(prefix, partitions)),
            GroupEvent::Revoked(partitions) => GroupEvent::Revoked(all_inner(prefix, partitions)),
        })
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.inner.begin(&outer_of(&self.prefix, partition), offset)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
        self.inner.committed(&outer_of(&self.prefix, partition))
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.inner.pause(&all_outer(&self.prefix, partitions))
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.inner.resume(&all_outer(&self.prefix, partitions))
    }

    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        self.inner.commit_positions(&positions_outer(&self.prefix, positions))
    }

    fn membership(&self) -> Membership {
        self.inner.membership()
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}

impl TailReader for Inside<dyn TailReader> {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError> {
        let prefix = &*self.prefix;
        self.inner
            .poll(timeout, records_max, &mut |record| sink(inner_record(prefix, record)))
    }

    fn position(&self, partition: &TopicPartition) -> Option<u64> {
        self.inner.position(&outer_of(&self.prefix, partition))
    }
}

impl Committer for Inside<dyn Committer> {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        let unit = Unit {
            appends: appends_outer(&self.prefix, unit.appends),
            positions: positions_outer(&self.prefix, &unit.positions),
        };
        self.inner.commit(membership, unit)
    }
}

fn outer(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}")
}

fn outer_of(prefix: &str, partition: &TopicPartition) -> TopicPartition {
    TopicPartition::new(outer(prefix, &partition.topic), partition.partition)
}

fn all_outer(prefix: &str, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
    partitions.iter().map(|partition| outer_of(prefix, partition)).collect()
}

fn positions_outer(prefix: &str, positions: &[(TopicPartition, u64)]) -> Vec<(TopicPartition, u64)> {
    let outer = |(partition, offset): &(TopicPartition, u64)| (outer_of(prefix, partition), *offset);
    positions.iter().map(outer).collect()
}

fn appends_outer(prefix: &str, appends: Vec<Append>) -> Vec<Append> {
    let outer = |append: Append| Append {
        to: outer_of(prefix, &append.to),
        ..append
    };
    appends.into_iter().map(outer).collect()
}

/// What was subscribed to or started from has the prefix, so what is read has it.
fn inner_name<'a>(prefix: &str, topic: &'a str) -> &'a str {
    topic.strip_prefix(prefix).unwrap_or(topic)
}

fn all_inner(prefix: &str, partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
    let inner =
        |partition: TopicPartition| TopicPartition::new(inner_name(prefix, &partition.topic), partition.partition);
    partitions.into_iter().map(inner).collect()
}

fn inner_record<'a>(prefix: &str, record: RecordRef<'a>) -> RecordRef<'a> {
    RecordRef {
        topic: inner_name(prefix, record.topic),
        ..record
    }
}
