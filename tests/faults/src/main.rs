//! Faults of real processes on real Kafka: kills, standstills, brokers that die, networks that do not carry, records that are none. After each
//! round an exact oracle over identified events says whether anything was lost, doubled or made up.
//!
//! What this program does not do: it repeats no rule of the system but those that the invariants state. It does not heal what it broke for
//! the deployment: a process that ends by itself is started again as an operator's supervisor would do it, and nothing else.
//!
//! Invariants:
//! * A seed decides what is published and which fault happens when; the machine decides the rest. A failing round prints its seed and keeps
//!   its evidence.
//! * Processes are killed by their id, and only those that were started here.
//!
//! Start reading at [`world::World`], then [`check`], then [`fault::Fault`].
#![allow(missing_docs, clippy::large_futures)]

mod brokers;
mod casework;
mod check;
mod fault;
mod figures;
mod load;
mod process;
mod proxy;
mod signal;
mod store;
mod wait;
mod watch;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tocsin_failpoint::FailPoint;
use tokio::signal::unix::SignalKind;

use brokers::Brokers;
use fault::{Cluster, Fault};
use figures::{Figures, Round};
use store::Server;
use world::{Outcome, Place, World};

#[derive(Debug, Parser)]
#[command(about = "Plays faults on real processes and real Kafka")]
struct Arguments {
    /// `all`, or the names of faults.
    #[arg(required = true)]
    names: Vec<String>,
    /// Rounds of each fault. By default as many as a full run has.
    #[arg(long)]
    rounds: Option<u32>,
    /// Decides the rounds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the figures go. Rounds that stand there are not played again.
    #[arg(long)]
    out: PathBuf,
    /// Where brokers keep their data and failing rounds their evidence.
    #[arg(long)]
    work: PathBuf,
    /// The repository.
    #[arg(long)]
    root: PathBuf,
    /// How long a soak lasts, in seconds.
    #[arg(long, default_value_t = 1_200)]
    seconds: u64,
    /// What gives a process a wrong clock.
    #[arg(long)]
    shim: Option<PathBuf>,
    /// The program under test: `tocsin-under-test`, which ends at named points.
    #[arg(long)]
    program: PathBuf,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let faults = chosen(&arguments.names)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminated = tokio::signal::unix::signal(SignalKind::terminate()).context("hear of signals")?;
        // Whoever is called off stops what it started: that goes with the future.
        tokio::select! {
            ended = Box::pin(run(&arguments, &faults)) => ended,
            _ = tokio::signal::ctrl_c() => bail!("called off"),
            _ = terminated.recv() => bail!("called off"),
        }
    })
}

fn chosen(names: &[String]) -> Result<Vec<Fault>> {
    if names == ["all"] {
        return Ok(Fault::all().to_vec());
    }
    let known = |name: &String| {
        let found = Fault::all().iter().copied().find(|fault| fault.name() == *name);
        let all = || {
            Fault::all()
                .iter()
                .map(|fault| fault.name())
                .collect::<Vec<_>>()
                .join(" ")
        };
        found.with_context(|| format!("there is no fault {name}; there are: all {}", all()))
    };
    names.iter().map(known).collect()
}

async fn run(arguments: &Arguments, faults: &[Fault]) -> Result<ExitCode> {
    ensure!(
        arguments.program.is_file(),
        "there is no program {}",
        arguments.program.display()
    );
    let mut figures = Figures::open(&arguments.out)?;
    let mut servers = Servers {
        arguments,
        store: None,
        brokers: None,
    };
    let mut failed = Vec::new();
    for fault in faults {
        let name = fault.name();
        for number in 1..=arguments.rounds.unwrap_or(fault.rounds()) {
            let seed = seed_of(arguments.seed, &name, number);
            let round = Round {
                fault: &name,
                number,
                seed,
            };
            if figures.has(round)? {
                continue;
            }
            println!("{name} {number}: seed {seed}");
            let evidence = arguments.work.join(format!("evidence-{name}-{number}-{seed}"));
            std::fs::create_dir_all(&evidence).context("make a directory for the evidence")?;
            let outcome = match Box::pin(servers.play(*fault, &evidence, round)).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    // Brokers in an unknown state serve no further round.
                    servers.brokers = None;
                    let violations = vec![format!("the round did not come to its end: {error:#}")];
                    let figures = [("violations", 1.0)].into();
                    Outcome { violations, figures }
                }
            };
            println!("  {}", told(&outcome));
            if outcome.violations.is_empty() {
                std::fs::remove_dir_all(&evidence).context("remove what a good round left")?;
            } else {
                let lines = outcome.violations.join("\n");
                println!("{lines}\n  seed {seed}, evidence in {}", evidence.display());
                std::fs::write(evidence.join("violations"), lines.clone() + "\n").context("keep what is wrong")?;
                failed.push(format!("FAILED: {name} {number}, seed {seed}\n{lines}"));
            }
            figures.put(round, &outcome.figures)?;
        }
    }
    for (key, value) in figures.told().iter().filter(|(key, _)| !key.starts_with("round_")) {
        println!("{key:56} {value}");
    }
    // Once more where it is looked for first: the end of a long output.
    failed.iter().for_each(|round| println!("{round}"));
    println!("{} of the rounds played now failed", failed.len());
    Ok(ExitCode::from(u8::from(!failed.is_empty())))
}

/// What rounds stand on: started when the first needs it, and kept for the next.
struct Servers<'a> {
    arguments: &'a Arguments,
    store: Option<Server>,
    brokers: Option<(Cluster, Brokers)>,
}

impl Servers<'_> {
    async fn play(&mut self, fault: Fault, evidence: &Path, round: Round<'_>) -> Result<Outcome> {
        let arguments = self.arguments;
        let mut random = SmallRng::seed_from_u64(round.seed);
        let mut place = Place {
            program: &arguments.program,
            store: "",
            shim: arguments.shim.as_deref(),
            soak: std::time::Duration::from_secs(arguments.seconds),
            evidence,
            seed: round.seed,
        };
        if fault.cluster() == Cluster::Embedded {
            return Box::pin(fault.play_alone(place, &mut random, round.number)).await;
        }
        if self.store.is_none() {
            self.store = Some(Server::start(&arguments.root, &arguments.work.join("postgres")).await?);
        }
        let store = self.store.as_ref().context("it was started")?.database().await?;
        place.store = &store;
        if self
            .brokers
            .as_ref()
            .is_none_or(|(cluster, _)| *cluster != fault.cluster())
        {
            drop(self.brokers.take());
            self.brokers = Some((fault.cluster(), start(arguments, fault.cluster()).await?));
        }
        let (_, brokers) = self.brokers.as_mut().context("brokers were started")?;
        if fault == Fault::KillDispatcherAtPoint {
            // The run decides which is the first; each round takes the next.
            let points = FailPoint::DISPATCHER;
            let place_of = (arguments.seed + u64::from(round.number)) % points.len() as u64;
            return Box::pin(casework::play(brokers, place, &mut random, points[place_of as usize])).await;
        }
        let mut world = Box::pin(World::begin(brokers, place, fault.order(), fault.settings())).await?;
        Box::pin(fault.play(&mut world, &mut random, round.number)).await?;
        Box::pin(world.conclude(fault.may_fence())).await
    }
}

async fn start(arguments: &Arguments, cluster: Cluster) -> Result<Brokers> {
    let data = arguments
        .work
        .join(format!("kafka-{cluster:?}-{:08x}", rand::random::<u32>()));
    let count = if cluster == Cluster::Three { 3 } else { 1 };
    let mut brokers = Brokers::start(&arguments.root, &data, count).await?;
    if cluster == Cluster::Fronted {
        brokers.front().await?;
    }
    Ok(brokers)
}

/// Of a round, from that of the run: adding a fault to the list changes no other.
fn seed_of(seed: u64, name: &str, number: u32) -> u64 {
    let words = name.bytes().map(u64::from).chain([u64::from(number), seed]);
    // FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        (hash ^ word).wrapping_mul(0x0100_0000_01b3)
    }) >> 1
}

fn told(outcome: &Outcome) -> String {
    let figures = outcome.figures.iter();
    figures
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect::<Vec<_>>()
        .join(", ")
}
