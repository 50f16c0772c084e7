//! What a second detector adds, and what an event costs when many contents live.

use anyhow::Context;
use tocsin_log::TopicPartition;

use super::corpus::{self, Framing};
use super::live::{self, Live};
use super::pipeline;
use super::replay::{self, Drained, Share};
use super::report::per_second;
use super::role::connect;

/// One process with all partitions, and two with a half each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) one: Drained,
    pub(super) two: Drained,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) detectors: Pair,
    pub(super) do_nothing: Pair,
    /// By the number of live contents.
    pub(super) live: Vec<Live>,
}

impl Pair {
    /// How many times the rate of one process two have.
    pub(super) fn speedup(&self) -> f64 {
        let rate = |drained: Drained| per_second(drained.counted, drained.elapsed);
        rate(self.two) / rate(self.one).max(f64::MIN_POSITIVE)
    }
}

/// Fills the log by way of intake with so many single events, and drains sightings by one and two detectors, ingest topics by one and two
/// consumers that do nothing.
pub(super) fn measure(bootstrap: &str, events: u64, live_contents: &[u64], live_events: u64) -> anyhow::Result<Scale> {
    // Memory is measured too, so before anything else.
    let live = live_contents
        .iter()
        .map(|contents| live::measure(*contents, live_events));
    let live = live.collect::<anyhow::Result<Vec<_>>>()?;
    pipeline::measure(bootstrap, Framing::Single, events).context("the path that fills the log")?;
    let sightings = replay::sightings(bootstrap)?;
    let detectors = pair("replay", bootstrap, &sightings, &[])?;
    let names = corpus::topic_names(Framing::Single);
    let mut records = vec![0; usize::from(corpus::PARTITIONS)];
    let log = connect(bootstrap)?;
    for name in &names {
        for (partition, records) in (0..).zip(&mut records) {
            *records += log.bounds(&TopicPartition::new(name.as_str(), partition))?.1;
        }
    }
    let topics: Vec<&str> = names.iter().flat_map(|name| ["--topic", name]).collect();
    let do_nothing = pair("do-nothing", bootstrap, &records, &topics)?;
    Ok(Scale {
        detectors,
        do_nothing,
        live,
    })
}

fn pair(role: &str, bootstrap: &str, by_partition: &[u64], more: &[&str]) -> anyhow::Result<Pair> {
    let share = |is_in: &dyn Fn(usize) -> bool| {
        let of = by_partition.iter().enumerate().filter(|(number, _)| is_in(*number));
        Share {
            partitions: of.clone().map(|(number, _)| number as u32).collect(),
            until: of.map(|(_, count)| count).sum(),
        }
    };
    let halves = [share(&|number| number % 2 == 0), share(&|number| number % 2 == 1)];
    Ok(Pair {
        one: replay::drain(bootstrap, role, &format!("{role}-one"), &[share(&|_| true)], more)?,
        two: replay::drain(bootstrap, role, &format!("{role}-two"), &halves, more)?,
    })
}
