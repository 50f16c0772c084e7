use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_log::{LogError, SharedLog, TopicPartition};
use tocsin_model::PartitionCount;
use tocsin_runtime::Shutdown;
use tocsin_wire::topics;

use super::telemetry::RankingMetrics;
use crate::Dispatcher;

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_RECORDS_MAX: usize = 1_024;
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Reads `tocsin.state` from its beginning, outside any group, on a thread of its own.
pub(crate) struct FigureReader {
    pub dispatcher: Arc<Dispatcher>,
    pub log: SharedLog,
    pub partitions: PartitionCount,
    pub metrics: RankingMetrics,
}

impl FigureReader {
    /// Reads until the process ends. What fails is begun again: the state is compacted, and nothing rests on it but an order.
    pub(crate) fn run(self, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            if self.dispatcher.ranking.is_prepared()
                && let Err(error) = self.follow(shutdown)
            {
                self.metrics.read_failures.inc();
                tracing::warn!(
                    error = tocsin_runtime::roles::chain(&error),
                    "reading figures for the queue failed"
                );
            }
            wait(RETRY_PAUSE, shutdown);
        }
    }

    fn follow(&self, shutdown: &Shutdown) -> Result<(), LogError> {
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for number in 0..u32::from(self.partitions.get()) {
            let partition = TopicPartition::new(topics::STATE, number);
            let (first, end) = self.log.bounds(&partition)?;
            if first < end {
                ends.push((partition.clone(), end));
            }
            starts.push((partition, first));
        }
        let mut reader = self.log.tail_reader(&starts)?;
        let ranking = &self.dispatcher.ranking;
        ranking.begin_reading();
        while !shutdown.is_requested() {
            if ranking.is_to_be_read_again() {
                return Ok(());
            }
            reader.poll(POLL_TIMEOUT, POLL_RECORDS_MAX, &mut |record| {
                ranking
                    .figures()
                    .take(&record, Instant::now(), |family| ranking.lock().has_family(family));
            })?;
            ends.retain(|(partition, end)| reader.position(partition).is_none_or(|position| position < *end));
            if ends.is_empty() {
                ranking.set_read();
            }
            while ranking.figures().rank(&ranking.ranks, Instant::now()) {
                std::thread::yield_now();
            }
            let mut figures = ranking.figures();
            self.metrics
                .families
                .set(i64::try_from(figures.families()).unwrap_or(i64::MAX));
            self.metrics.left_out.inc_by(std::mem::take(&mut figures.left_out));
        }
        Ok(())
    }
}

/// In steps, so that the process ends soon when it is to.
fn wait(length: Duration, shutdown: &Shutdown) {
    let until = Instant::now() + length;
    while !shutdown.is_requested() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
}
