//! The throughput benchmark: one run, one file of figures.

mod core;
mod corpus;
mod pipeline;
mod process;
mod report;
mod role;

use std::path::PathBuf;

use anyhow::Context;

pub use report::Figures;
pub use role::{Role, play};

use corpus::Framing;

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
