//! What becomes of the path when a party floods it, and when it runs for long.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tocsin_model::Milliseconds;

use super::corpus::{self, Framing, Run};
use super::latency::{self, Latency, Load, Traffic};
use super::pipeline::{self, Sender, ingest_topics, now, options};
use super::role::connect;
use super::watch::Sample;

/// Events of the flood's records span so long: within what clock correction lets pass.
const SPAN: Milliseconds = Milliseconds::from_minutes(1);
/// The alarms of the other parties, and a marker behind the flood, are waited for so long at most.
const DRAINED_MAX: Duration = Duration::from_secs(1_800);

/// What was measured under a flood.
#[derive(Clone, Debug)]
pub(super) struct Overload {
    /// Events of the flooding party, which stood in its topic when the others began.
    pub(super) flood_events: u64,
    /// From then until all of them had been taken and the markers behind them had rung.
    pub(super) drained: Duration,
    /// Of the other parties, while the flood was there.
    pub(super) others: Latency,
    /// The most resident memory of intake and of the detector.
    pub(super) resident_bytes_max: [u64; 2],
}

/// Puts a flood of `flood_events` of one party into its topic, and then lets the others send `rate` events a second for so long.
pub(super) fn overload(bootstrap: &str, flood_events: u64, rate: f64, lasts: Duration) -> anyhow::Result<Overload> {
    let flood_events = flood(bootstrap, flood_events)?;
    let began = Instant::now();
    let others = latency::measure(
        bootstrap,
        &Load {
            rate,
            lasts,
            run: Run::Overload,
            traffic: Traffic::Ordinary,
            parties_from: 1,
            already: flood_events,
            silence_max: DRAINED_MAX,
            // The maximum that was measured first has one beside it; one more reader of the flood would be a part of it.
            with_do_nothing: false,
        },
    )?;
    let most = |samples: &Vec<Sample>| {
        let bytes = samples.iter().map(|sample| sample.resources.resident_bytes);
        bytes.max().unwrap_or(0)
    };
    let [intake, detector] = &others.watched;
    Ok(Overload {
        flood_events,
        drained: began.elapsed(),
        resident_bytes_max: [most(intake), most(detector)],
        others,
    })
}

/// Fills the first party's topic with ordinary events of that party alone.
fn flood(bootstrap: &str, events: u64) -> anyhow::Result<u64> {
    let log = connect(bootstrap)?;
    let mut scenario = corpus::ordinary(Framing::Single, Run::Flood, events, now(), SPAN);
    scenario.parties.truncate(1);
    let topics = ingest_topics(&scenario);
    ensure!(topics.len() == 1, "one party has one topic");
    let appender = log.appender(options())?;
    let mut sender = Sender::new(appender.as_ref(), Framing::Single);
    for (number, (_, event)) in corpus::events(&scenario, events).enumerate() {
        let partition = number as u32 % topics[0].partitions;
        let place = tocsin_log::TopicPartition::new(topics[0].name.as_str(), partition);
        sender.send(&place, vec![event])?;
    }
    sender.finish()?;
    Ok(sender.events)
}

/// Ordinary traffic at a rate for long: see [`Latency::watched`].
pub(super) fn soak(bootstrap: &str, rate: f64, lasts: Duration) -> anyhow::Result<Latency> {
    latency::measure(
        bootstrap,
        &Load {
            rate,
            lasts,
            run: Run::Soak,
            traffic: Traffic::Ordinary,
            parties_from: 0,
            already: 0,
            silence_max: pipeline::SILENCE_MAX,
            with_do_nothing: true,
        },
    )
}

/// Where a process of the path writes what is left to read.
pub(super) fn lag_file(directory: &std::path::Path, role: &str) -> PathBuf {
    directory.join(format!("{role}.lag"))
}
