//! What is measured on real Kafka, throughput and latency: one run, one file of figures.

mod core;
mod corpus;
mod latency;
mod pipeline;
mod process;
mod rebalance;
mod report;
mod restore;
mod role;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

pub use report::Figures;
pub use role::{Role, play};

use corpus::Framing;

/// At which rate to measure latency.
#[derive(Clone, Copy, Debug)]
pub enum LoadRate {
    /// So many events a second.
    Stated(f64),
    /// Half of what the path carries, which is measured before with so many events.
    HalfOfMaximum(u64),
}

/// What to measure, and with what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bootstrap servers of a cluster without records of Tocsin.
    pub bootstrap: String,
    /// Where the figures go.
    pub out: PathBuf,
    /// Events through Kafka, per framing.
    pub events: u64,
    /// Events in memory.
    pub core_events: u64,
    /// What was built.
    pub commit: String,
}

/// Measures, prints a table and writes the file.
pub fn run(plan: Plan) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default().with_core(plan.core_events)?;
    pipeline::prepare(&plan.bootstrap)?;
    for framing in [Framing::Single, Framing::Batched] {
        let path = pipeline::measure(&plan.bootstrap, framing, plan.events)
            .with_context(|| format!("the path with {framing:?} records"))?;
        figures.add_path(framing, &path);
    }
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures how soon alerts come at a rate, prints a table and writes the file.
pub fn run_latency(plan: &Plan, rate: LoadRate, lasts: Duration) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    let rate = match rate {
        LoadRate::Stated(rate) => rate,
        LoadRate::HalfOfMaximum(events) => {
            let path = pipeline::measure(&plan.bootstrap, Framing::Single, events).context("the maximum rate")?;
            figures.add_path(Framing::Single, &path);
            path.events as f64 / path.elapsed.as_secs_f64() / 2.0
        }
    };
    let latency = latency::measure(&plan.bootstrap, rate, lasts)?;
    figures.add_latency(&latency);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures how long a detector needs to hold so many contents again, prints a table and writes the file.
pub fn run_restore(plan: &Plan, contents: u64) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    figures.add_restore(&restore::measure(&plan.bootstrap, contents)?);
    let log = role::connect(&plan.bootstrap)?;
    figures.add_rebalance(&rebalance::measure(&plan.bootstrap, &log).context("the rebalances")?);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}
