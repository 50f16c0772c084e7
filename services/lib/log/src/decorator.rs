use std::time::Duration;

use crate::{
    Appender, AppenderOptions, Committer, GroupOptions, GroupReader, Log, LogError, TailReader, TopicDifference,
    TopicInfo, TopicPartition, TopicSpec,
};

/// A log that stands before another one and does some things differently: what it does not say, that one does. For
/// [namespaces](crate::Namespaced), for tests that inject faults, and for measurements.
pub trait LogDecorator: Send + Sync + 'static {
    /// The log behind it.
    fn inner(&self) -> &dyn Log;

    /// See [`Log::ensure_topics`].
    ///
    /// # Errors
    /// As there.
    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        self.inner().ensure_topics(specs)
    }

    /// See [`Log::delete_topics`].
    ///
    /// # Errors
    /// As there.
    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        self.inner().delete_topics(names)
    }

    /// See [`Log::check_topics`].
    ///
    /// # Errors
    /// As there.
    fn check_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
        self.inner().check_topics(specs)
    }

    /// See [`Log::topics`].
    ///
    /// # Errors
    /// As there.
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.inner().topics()
    }

    /// See [`Log::bounds`].
    ///
    /// # Errors
    /// As there.
    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.inner().bounds(partition)
    }

    /// See [`Log::offset_at`].
    ///
    /// # Errors
    /// As there.
    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        self.inner().offset_at(partition, at_ms)
    }

    /// See [`Log::ends`].
    ///
    /// # Errors
    /// As there.
    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError> {
        self.inner().ends(partitions, time_max)
    }

    /// See [`Log::positions`].
    ///
    /// # Errors
    /// As there.
    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        self.inner().positions(group, partitions, time_max)
    }

    /// See [`Log::appender`].
    ///
    /// # Errors
    /// As there.
    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        self.inner().appender(options)
    }

    /// See [`Log::group_reader`].
    ///
    /// # Errors
    /// As there.
    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        self.inner().group_reader(options)
    }

    /// See [`Log::tail_reader`].
    ///
    /// # Errors
    /// As there.
    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        self.inner().tail_reader(starts)
    }

    /// See [`Log::committer`].
    ///
    /// # Errors
    /// As there.
    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        self.inner().committer(instance)
    }
}

impl<T: LogDecorator> Log for T {
    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        LogDecorator::ensure_topics(self, specs)
    }

    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        LogDecorator::delete_topics(self, names)
    }

    fn check_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
        LogDecorator::check_topics(self, specs)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        LogDecorator::topics(self)
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        LogDecorator::bounds(self, partition)
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        LogDecorator::offset_at(self, partition, at_ms)
    }

    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError> {
        LogDecorator::ends(self, partitions, time_max)
    }

    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        LogDecorator::positions(self, group, partitions, time_max)
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        LogDecorator::appender(self, options)
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        LogDecorator::group_reader(self, options)
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        LogDecorator::tail_reader(self, starts)
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        LogDecorator::committer(self, instance)
    }
}
