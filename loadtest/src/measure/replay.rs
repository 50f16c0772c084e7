//! The detector on sightings that stand in the log, as often as is wanted: with transactions and without, as one process and as two.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tocsin_log::{TopicPartition, TopicSpec};
use tocsin_wire::topics;

use super::corpus;
use super::pipeline;
use super::process::Played;
use super::replayed::Replayed;
use super::role::connect;

/// What transactions cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransactionCost {
    /// Events of each run.
    pub(super) events: u64,
    /// The detector's processor time, the lesser of two runs each, taken in turn.
    pub(super) on: Duration,
    pub(super) off: Duration,
}

/// What processes did together, each with its part of the partitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drained {
    pub(super) counted: u64,
    /// From when they were let begin to the last one's last event. What is drained at once is drained in no time otherwise.
    pub(super) elapsed: Duration,
    pub(super) processor_time: Duration,
}

/// The part of one process.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// None: all.
    pub(super) partitions: Vec<u32>,
    /// So many events, or records of a consumer that does nothing, are all of it.
    pub(super) until: u64,
}

/// Drains all sightings with units in transactions and without them, in turn.
pub(super) fn transactions(bootstrap: &str) -> anyhow::Result<TransactionCost> {
    let events = sightings(bootstrap)?.iter().sum();
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..4 {
        let without = run % 2;
        let more: &[&str] = if without == 1 { &["--without-transactions"] } else { &[] };
        let whole = Share {
            partitions: Vec::new(),
            until: events,
        };
        let drained = drain(bootstrap, "replay", &format!("transactions-{run}"), &[whole], more)?;
        times[without].push(drained.processor_time);
    }
    let [on, off] = times.map(|times| times.into_iter().min().unwrap_or_default());
    Ok(TransactionCost { events, on, off })
}

/// How many sightings stand in each partition.
pub(super) fn sightings(bootstrap: &str) -> anyhow::Result<Vec<u64>> {
    let log = connect(bootstrap)?;
    let mut all = Vec::new();
    for partition in 0..u32::from(corpus::PARTITIONS) {
        let place = TopicPartition::new(topics::SIGHTINGS, partition);
        let mut sightings = 0;
        tocsin_log::read_through(log.as_ref(), &place, .., &|| false, &mut |record| {
            sightings += record.value.map_or(0, sightings_in);
        })?;
        all.push(sightings);
    }
    Ok(all)
}

fn sightings_in(value: &[u8]) -> u64 {
    let mut scratch = Vec::new();
    match tocsin_wire::SightingsRecord::decode(value) {
        Ok(tocsin_wire::SightingsRecord::Block(block)) => {
            let block = tocsin_wire::block::BlockReader::new(&block, &mut scratch);
            block.map_or(0, |block| block.keys().count() as u64)
        }
        _ => 0,
    }
}

/// Makes a run's topics.
fn prepare(bootstrap: &str, run: &str) -> anyhow::Result<()> {
    let specs: Vec<TopicSpec> = topics::fixed().map(pipeline::spec).collect();
    Ok(connect(bootstrap)?.ensure_topics(&Replayed::topics(run, specs))?)
}

/// Starts a process for each share, and waits until they have drained what is there.
pub(super) fn drain(
    bootstrap: &str,
    role: &str,
    run: &str,
    shares: &[Share],
    more: &[&str],
) -> anyhow::Result<Drained> {
    let directory = tempfile::tempdir()?;
    let gate = directory.path().join("go");
    let mut processes = Vec::new();
    for (number, share) in shares.iter().enumerate() {
        let run = format!("{run}-{number}");
        if role == "replay" {
            prepare(bootstrap, &run)?;
        }
        let until = share.until.to_string();
        let gate = gate.display().to_string();
        let stated = [
            "--bootstrap",
            bootstrap,
            "--run",
            &run,
            "--until",
            &until,
            "--gate",
            &gate,
        ];
        let mut arguments: Vec<String> = stated.iter().chain(more).map(|&argument| argument.to_owned()).collect();
        for partition in &share.partitions {
            arguments.extend(["--partition".to_owned(), partition.to_string()]);
        }
        processes.push(Played::start(role, &arguments)?);
    }
    for process in &mut processes {
        process.wait_for("ready")?;
    }
    let began = SystemTime::now();
    std::fs::write(&gate, "")?;
    let mut before = Vec::new();
    for process in &mut processes {
        process.wait_for("began")?;
        before.push(process.processor_time()?);
    }
    let mut drained = Drained {
        counted: 0,
        elapsed: Duration::ZERO,
        processor_time: Duration::ZERO,
    };
    for (process, before) in processes.iter_mut().zip(before) {
        let done = UNIX_EPOCH + Duration::from_nanos(process.wait_for("done")?.parse()?);
        drained.elapsed = drained.elapsed.max(done.duration_since(began)?);
        drained.processor_time += process.processor_time()? - before;
    }
    for process in processes {
        drained.counted += process.stop()?.counted;
    }
    Ok(drained)
}
