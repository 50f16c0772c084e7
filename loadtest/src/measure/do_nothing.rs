//! A consumer that does nothing: what the client and the brokers alone take, beside what is measured. It reads as the roles do: a member of a
//! group, the same settings, the same calls.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use tocsin_log::{GroupEvent, GroupOptions, GroupReader, Log, TopicPartition};
use tocsin_runtime::Shutdown;

use super::process::{self, Played};
use super::role::{Part, say_done, wait_at};

/// What a poll waits for, and takes, at most.
const POLL: Duration = Duration::from_millis(100);
const RECORDS_MAX: usize = 2_000;
/// What is longer is counted as so long: ten minutes.
const DELAY_MAX_MS: u64 = 600_000;
/// What stands in the log when the load is over is read within so long.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// What a consumer that did nothing took beside an open load.
#[derive(Clone, Copy, Debug)]
pub(super) struct DidNothing {
    /// All that was appended meanwhile.
    pub(super) records: u64,
    /// From when it was ready until it had read them.
    pub(super) processor_time: Duration,
    /// From when a record was appended, by its stamp, until it was handed over: half of the records, 99 in a hundred, and all took so long at most.
    pub(super) delays_ms: [u64; 3],
}

/// A consumer that does nothing while something else is measured.
pub(super) struct Beside(Played);

impl Beside {
    /// Starts it on topics that are there; what is appended from now on it reads.
    pub(super) fn start(bootstrap: &str, topics: &[String]) -> anyhow::Result<Beside> {
        let mut arguments = ["--bootstrap", bootstrap, "--run", "beside", "--live"]
            .map(str::to_owned)
            .to_vec();
        for topic in topics {
            arguments.extend(["--topic".to_owned(), topic.clone()]);
        }
        let mut played = Played::start("do-nothing", &arguments)?;
        played.wait_for("ready")?;
        Ok(Beside(played))
    }

    /// Lets it read to the ends of its topics, and gives what it took.
    pub(super) fn stop(mut self) -> anyhow::Result<DidNothing> {
        self.0.check()?;
        self.0.ask_to_stop();
        let said = self.0.wait_for("took")?;
        let numbers = said.split_whitespace().map(str::parse::<u64>);
        let numbers = numbers.collect::<Result<Vec<_>, _>>().context("it says numbers")?;
        let [nanoseconds, delays_ms @ ..] =
            <[u64; 4]>::try_from(numbers).map_err(|_| anyhow::anyhow!("four numbers, not {said:?}"))?;
        Ok(DidNothing {
            records: self.0.stop()?.counted,
            processor_time: Duration::from_nanos(nanoseconds),
            delays_ms,
        })
    }
}

/// Reads what stands in the topics until so many records were read.
pub(super) fn drain(log: &dyn Log, part: &Part, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut reader = join(log, part)?;
    println!("ready");
    wait_at(part.gate.as_deref(), shutdown);
    let mut read = 0;
    let mut has_begun = false;
    while read < part.until && !shutdown.is_requested() {
        let event = reader.poll(POLL, RECORDS_MAX, &mut |record| {
            std::hint::black_box(record);
            read += 1;
        })?;
        if let GroupEvent::Assigned(places) = event {
            for place in places {
                if part.partition.is_empty() || part.partition.contains(&place.partition) {
                    reader.begin(&place, 0)?;
                }
            }
        }
        if read > 0 && !has_begun {
            has_begun = true;
            println!("began");
        }
    }
    say_done();
    // Whoever measures reads our processor time now.
    while !shutdown.is_requested() {
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("allocated 0");
    println!("counted {read}");
    Ok(())
}

/// Reads what is appended from its start on, until it is asked to stop and has read to the ends as they are then. Says `took` with its processor
/// time in nanoseconds, and three quantiles of the records' delays in milliseconds.
pub(super) fn follow(log: &dyn Log, part: &Part, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut reader = join(log, part)?;
    let begun = loop {
        match reader.poll(POLL, RECORDS_MAX, &mut |_| {})? {
            GroupEvent::Assigned(places) if !places.is_empty() => break places,
            _ => ensure!(!shutdown.is_requested(), "it was called off before it had a partition"),
        }
    };
    let begins = ends(log, &begun)?;
    for (place, end) in begun.iter().zip(&begins) {
        reader.begin(place, *end)?;
    }
    println!("ready");
    let before = process::own_time();
    let mut delays = Histogram::<u64>::new_with_bounds(1, DELAY_MAX_MS, 3).context("a histogram of three digits")?;
    let mut read = 0;
    // Behind the last record, and when it has to have come.
    let mut ends_at = None;
    while ends_at.is_none_or(|(end, _)| read < end) {
        // The clock is looked at once a poll: the first record is handed over as late as the others, but for what a poll takes.
        let mut now = None;
        let event = reader.poll(POLL, RECORDS_MAX, &mut |record| {
            let now = *now.get_or_insert_with(now_ms);
            delays.saturating_record((now - record.appended_at_ms).max(1).cast_unsigned());
            read += 1;
        })?;
        if !matches!(event, GroupEvent::Polled) {
            bail!("its partitions changed hands: {event:?}");
        }
        if ends_at.is_none() && shutdown.is_requested() {
            let appended = ends(log, &begun)?.iter().sum::<u64>() - begins.iter().sum::<u64>();
            ends_at = Some((appended, Instant::now() + READ_WITHIN));
        }
        if let Some((end, by)) = ends_at {
            ensure!(read >= end || Instant::now() < by, "it read {read} of {end} records");
        }
    }
    let took = process::own_time() - before;
    let delay = |quantile| delays.value_at_quantile(quantile);
    println!("took {} {} {} {}", took.as_nanos(), delay(0.5), delay(0.99), delay(1.0));
    println!("allocated 0");
    println!("counted {read}");
    Ok(())
}

fn join(log: &dyn Log, part: &Part) -> anyhow::Result<Box<dyn GroupReader>> {
    let reader = log.group_reader(GroupOptions {
        group: format!("loadtest-{}", part.run),
        instance: String::new(),
        topics: part.topic.clone(),
    })?;
    Ok(reader)
}

fn ends(log: &dyn Log, places: &[TopicPartition]) -> anyhow::Result<Vec<u64>> {
    places.iter().map(|place| Ok(log.bounds(place)?.1)).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
