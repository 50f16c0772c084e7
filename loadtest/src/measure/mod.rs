//! What is measured: throughput and latency on real Kafka, and the index of PDQ hashes. One run, one file of figures.

mod allocations;
mod casework;
mod claims;
mod commits;
mod core;
mod corpus;
mod disk;
mod do_nothing;
mod http;
mod latency;
mod listed;
mod live;
mod matcher;
mod peers;
mod pipeline;
mod process;
mod rebalance;
mod replay;
mod replayed;
mod report;
mod restore;
mod role;
mod scale;
mod schedule;
mod sink;
mod strain;
mod watch;
mod written;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

pub use casework::Contest;
pub use claims::Flow;
pub use disk::Room;
pub use latency::Traffic;
pub use peers::PeersPlan;
pub use report::Figures;
pub use role::{Part, Role, play};
pub use written::{Destination, write_day};

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
    /// Units committed one after the other.
    pub commits: u64,
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
    figures.add_transactions(&replay::transactions(&plan.bootstrap)?);
    // The brokers have nothing else to do by now.
    figures.add_commits(&commits::measure(&plan.bootstrap, plan.commits)?);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures how soon alerts come at a rate, prints a table and writes the file.
pub fn run_latency(plan: &Plan, rate: LoadRate, lasts: Duration, traffic: Traffic) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    let rate = match rate {
        LoadRate::Stated(rate) => rate,
        LoadRate::HalfOfMaximum(events) => maximum(plan, events, &mut figures)? / 2.0,
    };
    let load = latency::Load {
        rate,
        lasts,
        run: corpus::Run::Latency,
        traffic,
        parties_from: 0,
        already: 0,
        silence_max: Duration::from_secs(60),
        with_do_nothing: true,
    };
    figures.add_latency("", &latency::measure(&plan.bootstrap, &load)?);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures how soon a gateway answers and alerts come where events are published over HTTP, prints a table and writes the file.
pub fn run_http(plan: &Plan, rate: f64, lasts: Duration, traffic: Traffic, per_request: usize) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    let load = latency::Load {
        rate,
        lasts,
        run: corpus::Run::Http,
        traffic,
        parties_from: 0,
        already: 0,
        silence_max: Duration::from_secs(60),
        with_do_nothing: true,
    };
    let gathering = http::Gathering {
        events_max: per_request,
        linger: Duration::from_millis(50),
    };
    figures.add_http(&http::measure(&plan.bootstrap, &load, gathering)?);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Lets moderators contend for cases, on PostgreSQL with two dispatchers where one of them is killed again and again, and on SQLite with one; prints
/// a table and writes the file.
pub fn run_casework(plan: &Plan, postgres: &str, contest: Contest) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    figures.add_casework(
        "",
        &casework::contest(&plan.bootstrap, postgres, contest, ("on-postgres", 1 << 64))?,
    );
    let directory = tempfile::tempdir()?;
    let alone = Contest {
        dispatchers: 1,
        ..contest
    };
    let file = casework::in_file(directory.path());
    figures.add_casework(
        "sqlite_",
        &casework::contest(&plan.bootstrap, &file, alone, ("on-sqlite", 1 << 80))?,
    );
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures claims at a rate on a long queue whose figures move, on PostgreSQL with two dispatchers, and on SQLite with one at a quarter of the rate
/// on a tenth of the cases; prints a table and writes the file.
pub fn run_claims(plan: &Plan, postgres: &str, flow: Flow) -> anyhow::Result<()> {
    ensure!(
        flow.cases >= 10 && (1..=flow.cases).contains(&flow.moving),
        "10 cases at least, and from 1 to all of their families move"
    );
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    figures.add_claims("", &claims::measure(&plan.bootstrap, postgres, flow)?);
    let directory = tempfile::tempdir()?;
    let alone = Flow {
        cases: flow.cases / 10,
        moving: flow.moving.min(flow.cases / 10),
        rate: flow.rate / 4.0,
        dispatchers: 1,
        ..flow
    };
    let file = casework::in_file(directory.path());
    figures.add_claims("sqlite_", &claims::measure(&plan.bootstrap, &file, alone)?);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures the index of PDQ hashes with `hashes` and ten times as many, beside what other matchers said of themselves in a file.
pub fn run_matcher(hashes: usize, peers: Option<&Path>, out: &Path, commit: &str) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let peers = peers.map(matcher::peers).transpose()?.unwrap_or_default();
    let mut figures = Figures::default();
    figures.add_matcher(&matcher::measure(hashes)?, &peers);
    figures.print();
    figures.write(out, &machine, commit)
}

/// Measures what lists of so many pictures cost intake, prints a table and writes the file.
pub fn run_listed(hashes: usize, out: &Path, commit: &str) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    figures.add_listed(&listed::measure(hashes)?);
    figures.print();
    figures.write(out, &machine, commit)
}

/// The rate at which the path drains single events.
fn maximum(plan: &Plan, events: u64, figures: &mut Figures) -> anyhow::Result<f64> {
    let path = pipeline::measure(&plan.bootstrap, Framing::Single, events).context("the maximum rate")?;
    figures.add_path(Framing::Single, &path);
    Ok(path.events as f64 / path.elapsed.as_secs_f64())
}

/// Measures what a second detector adds, and what an event costs with so many live contents; prints a table and writes the file.
pub fn run_scale(plan: &Plan, live_contents: &[u64]) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    figures.add_scale(&scale::measure(
        &plan.bootstrap,
        plan.events,
        live_contents,
        plan.core_events,
    )?);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures what a flood by one party does to the others, prints a table and writes the file. The flood is three times what the path carries in
/// `lasts`. Where the brokers' disk is known it is not begun if it does not fit there, or it is as large as fits, if that was asked for.
pub fn run_overload(plan: &Plan, rate: f64, lasts: Duration, room: &Room) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    let before = room.disk.as_deref().map(disk::log_bytes).transpose()?.unwrap_or(0);
    let maximum = maximum(plan, plan.events, &mut figures)?;
    let wanted = (3.0 * maximum * lasts.as_secs_f64()) as u64;
    let space = disk::look(room, before, plan.events)?;
    let events = disk::allowed(wanted, lasts, space, room.fit)?;
    figures.add_flood(wanted, events, maximum * lasts.as_secs_f64(), space);
    let overload = strain::overload(&plan.bootstrap, events, rate, lasts)?;
    figures.add_overload(&overload, maximum);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures whether memory, descriptors and lag stay level, prints a table and writes the file.
pub fn run_soak(plan: &Plan, rate: f64, lasts: Duration) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    pipeline::prepare(&plan.bootstrap)?;
    figures.add_soak(&strain::soak(&plan.bootstrap, rate, lasts)?, lasts);
    figures.print();
    figures.write(&plan.out, &machine, &plan.commit)
}

/// Measures what the peers' stream takes beside what it took the peers, prints a table and writes the file.
pub fn run_peers(plan: &PeersPlan, out: &std::path::Path, commit: &str) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let mut figures = Figures::default();
    figures.add_peers(&peers::measure(plan)?);
    figures.print();
    figures.write(out, &machine, commit)
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
