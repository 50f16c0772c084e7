//! Measures throughput and latency. `loadtest/README.md` says how; `loadtest/run` starts what it needs.

mod measure;

use std::alloc::System;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tocsin_loadtest::day::{DayPlan, Scale, Scenario};

/// Counts what is allocated; see [`measure`]. It costs an atomic addition or two for each.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Parser)]
#[command(about = "Measures what Tocsin's core and its path through Kafka can carry")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures core, pipeline and a consumer that does nothing in one run.
    Throughput {
        /// Bootstrap servers of a Kafka cluster that holds no records of Tocsin.
        #[arg(long)]
        bootstrap: String,
        /// Where the figures go, as JSON.
        #[arg(long)]
        out: PathBuf,
        /// Events sent through Kafka, in each of the two framings.
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// Events applied in memory.
        #[arg(long, default_value_t = 2_000_000)]
        core_events: u64,
        /// Units committed one after the other, ten in a second.
        #[arg(long, default_value_t = 300)]
        commits: u64,
        /// What was built: goes into the file.
        #[arg(long, default_value = "unknown")]
        commit: String,
    },
    /// Measures how soon alerts can be read at a rate, half of the maximum unless it is stated.
    Latency {
        /// Bootstrap servers of a Kafka cluster that holds no records of Tocsin.
        #[arg(long)]
        bootstrap: String,
        /// Where the figures go, as JSON.
        #[arg(long)]
        out: PathBuf,
        /// Events a second. Without it half of what the path carries, measured first.
        #[arg(long)]
        rate: Option<f64>,
        /// Events to measure the maximum with.
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        #[command(flatten)]
        load: OpenLoad,
        /// What was built: goes into the file.
        #[arg(long, default_value = "unknown")]
        commit: String,
    },
    /// Measures the same where events are published over HTTP, and how soon the gateway answers.
    Http {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        load: OpenLoad,
        /// Events a second.
        #[arg(long, default_value_t = 5_000.0)]
        rate: f64,
        /// Events in a request at most.
        #[arg(long, default_value_t = 100)]
        per_request: usize,
    },
    /// Lets moderators contend for cases while dispatchers are killed.
    Casework {
        #[command(flatten)]
        run: Run,
        /// The URL of an empty PostgreSQL database.
        #[arg(long)]
        postgres: String,
        /// Claims at least.
        #[arg(long, default_value_t = 100_000)]
        claims: u64,
        /// People at work at a time.
        #[arg(long, default_value_t = 200)]
        moderators: usize,
        /// How often a dispatcher is killed.
        #[arg(long, default_value_t = 10)]
        kills: u32,
        /// Decides who does what.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Measures how soon claims at a rate are answered, and whether by one of the best cases.
    Claims {
        #[command(flatten)]
        run: Run,
        /// The URL of an empty PostgreSQL database.
        #[arg(long)]
        postgres: String,
        /// Open cases; on SQLite a tenth of them.
        #[arg(long, default_value_t = 1_000_000)]
        cases: usize,
        /// Families of them whose figures move every second; of a shorter queue all.
        #[arg(long, default_value_t = 4_096)]
        moving: usize,
        /// Claims a second; on SQLite a quarter of them.
        #[arg(long, default_value_t = 200.0)]
        rate: f64,
        /// How long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Decides which figures move and who claims what.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Measures the index of PDQ hashes on one thread.
    Matcher {
        /// Where the figures go, as JSON.
        #[arg(long)]
        out: PathBuf,
        /// Hashes in it; one of the sets has ten times as many.
        #[arg(long, default_value_t = 1_000_000)]
        hashes: usize,
        /// What other matchers said of themselves with as many hashes, a JSON object a line.
        #[arg(long)]
        peers: Option<PathBuf>,
        /// What was built: goes into the file.
        #[arg(long, default_value = "unknown")]
        commit: String,
    },
    /// Measures what long lists of pictures cost intake, on one thread.
    Listed {
        /// Where the figures go, as JSON.
        #[arg(long)]
        out: PathBuf,
        /// Hashes in each list.
        #[arg(long, default_value_t = 1_000_000)]
        hashes: usize,
        /// What was built: goes into the file.
        #[arg(long, default_value = "unknown")]
        commit: String,
    },
    /// Measures what a second detector adds, and what an event costs with many live contents.
    Scale {
        #[command(flatten)]
        run: Run,
        /// Events through Kafka.
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
        /// Events in memory, for each number of live contents.
        #[arg(long, default_value_t = 500_000)]
        core_events: u64,
        /// Numbers of live contents, ascending.
        #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000, 10_000_000])]
        live: Vec<u64>,
    },
    /// Measures how long a detector needs from its start until it holds so many contents again.
    Restore {
        #[command(flatten)]
        run: Run,
        /// Live contents.
        #[arg(long, default_value_t = 10_000_000)]
        contents: u64,
    },
    /// Measures what a flood by one party does to the others.
    Overload {
        #[command(flatten)]
        run: Run,
        /// Events to measure the maximum with.
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// Events a second of the other parties.
        #[arg(long, default_value_t = 2_000.0)]
        rate: f64,
        /// How long they send. The flood is what the path carries in three times as long.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Where the brokers keep their data, if that is on this machine: a flood that does not fit there is not begun (`disk_too_small`).
        #[arg(long)]
        disk: Option<PathBuf>,
        /// Plays the largest flood that fits there instead, and says how large that is.
        #[arg(long, requires = "disk")]
        fit: bool,
    },
    /// Measures whether memory, descriptors and lag stay level.
    Soak {
        #[command(flatten)]
        run: Run,
        /// Events a second.
        #[arg(long, default_value_t = 10_000.0)]
        rate: f64,
        /// How long.
        #[arg(long, default_value_t = 1_200)]
        seconds: u64,
    },
    /// Measures what the stream of `../shared/peers` takes beside what it took the peers. Started by `loadtest/peers`.
    Peers {
        #[command(flatten)]
        run: Run,
        /// Bootstrap servers of a second cluster: it takes the batches.
        #[arg(long)]
        bootstrap_batched: String,
        /// What the peers' meter printed.
        #[arg(long)]
        results: PathBuf,
    },
    /// Writes a generated day down, with what is true of it: to a file, one record a line, or into the ingest topics of its parties.
    #[command(group = clap::ArgGroup::new("to").required(true).multiple(true))]
    Day {
        /// What happens on it.
        #[arg(long, value_parser = scenario, default_value = "christchurch")]
        scenario: Scenario,
        /// Its ordinary traffic: 1 is 10^8 contents and 5 x 10^8 events. A crisis has its own size at every scale.
        #[arg(long, default_value_t = 0.001)]
        scale: f64,
        /// What it is drawn from: the same seed gives the same records.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// No more records than this.
        #[arg(long, default_value_t = u64::MAX)]
        records: u64,
        /// A file of JSON lines.
        #[arg(long, value_name = "FILE", group = "to")]
        out: Option<PathBuf>,
        /// Bootstrap servers of Kafka.
        #[arg(long, group = "to")]
        bootstrap: Option<String>,
    },
    /// Measures the core alone: what a profiler is pointed at.
    Core {
        /// Events applied in memory.
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
    },
    /// One process of the pipeline. Started by `throughput`; stops when its standard input ends.
    #[command(hide = true)]
    Role {
        role: measure::Role,
        #[command(flatten)]
        part: measure::Part,
    },
}

/// What every run is told.
#[derive(clap::Args)]
struct Run {
    /// Bootstrap servers of a Kafka cluster that holds no records of Tocsin.
    #[arg(long)]
    bootstrap: String,
    /// Where the figures go, as JSON.
    #[arg(long)]
    out: PathBuf,
    /// What was built: goes into the file.
    #[arg(long, default_value = "unknown")]
    commit: String,
}

/// A load that does not wait for the path.
#[derive(clap::Args)]
struct OpenLoad {
    /// How long the rate is kept.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A scenario of the Christchurch test, from its crisis on, instead of ordinary traffic.
    #[arg(long, value_parser = scenario)]
    scenario: Option<Scenario>,
    /// What the scenario is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    let names = Scenario::ALL.map(Scenario::name).join(", ");
    Scenario::from_name(name).ok_or_else(|| format!("one of {names}"))
}

impl OpenLoad {
    fn lasts(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn traffic(&self) -> measure::Traffic {
        match self.scenario {
            Some(scenario) => measure::Traffic::Scenario(scenario, self.seed),
            None => measure::Traffic::Ordinary,
        }
    }
}

impl Run {
    fn plan(self, events: u64, core_events: u64) -> measure::Plan {
        measure::Plan {
            bootstrap: self.bootstrap,
            out: self.out,
            events,
            core_events,
            commits: 0,
            commit: self.commit,
        }
    }
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match Arguments::parse().command {
        Command::Throughput {
            bootstrap,
            out,
            events,
            core_events,
            commits,
            commit,
        } => measure::run(measure::Plan {
            bootstrap,
            out,
            events,
            core_events,
            commits,
            commit,
        }),
        Command::Latency {
            bootstrap,
            out,
            rate,
            events,
            load,
            commit,
        } => {
            let plan = measure::Plan {
                bootstrap,
                out,
                events,
                core_events: 0,
                commits: 0,
                commit,
            };
            let rate = rate.map_or(measure::LoadRate::HalfOfMaximum(events), measure::LoadRate::Stated);
            measure::run_latency(&plan, rate, load.lasts(), load.traffic())
        }
        Command::Http {
            run,
            load,
            rate,
            per_request,
        } => measure::run_http(&run.plan(0, 0), rate, load.lasts(), load.traffic(), per_request),
        Command::Casework {
            run,
            postgres,
            claims,
            moderators,
            kills,
            seed,
        } => {
            let contest = measure::Contest {
                claims,
                moderators,
                dispatchers: 2,
                kills,
                seed,
            };
            measure::run_casework(&run.plan(0, 0), &postgres, contest)
        }
        Command::Claims {
            run,
            postgres,
            cases,
            moving,
            rate,
            seconds,
            seed,
        } => {
            let flow = measure::Flow {
                cases,
                moving,
                rate,
                lasts: Duration::from_secs(seconds),
                dispatchers: 2,
                seed,
            };
            measure::run_claims(&run.plan(0, 0), &postgres, flow)
        }
        Command::Matcher {
            out,
            hashes,
            peers,
            commit,
        } => measure::run_matcher(hashes, peers.as_deref(), &out, &commit),
        Command::Listed { out, hashes, commit } => measure::run_listed(hashes, &out, &commit),
        Command::Scale {
            run,
            events,
            core_events,
            live,
        } => measure::run_scale(&run.plan(events, core_events), &live),
        Command::Restore { run, contents } => measure::run_restore(&run.plan(0, 0), contents),
        Command::Overload {
            run,
            events,
            rate,
            seconds,
            disk,
            fit,
        } => measure::run_overload(
            &run.plan(events, 0),
            rate,
            Duration::from_secs(seconds),
            &measure::Room { disk, fit },
        ),
        Command::Soak { run, rate, seconds } => measure::run_soak(&run.plan(0, 0), rate, Duration::from_secs(seconds)),
        Command::Peers {
            run,
            bootstrap_batched,
            results,
        } => {
            let plan = measure::PeersPlan {
                bootstrap: run.bootstrap,
                bootstrap_batched,
                results,
            };
            measure::run_peers(&plan, &run.out, &run.commit)
        }
        Command::Day {
            scenario,
            scale,
            seed,
            records,
            out,
            bootstrap,
        } => {
            anyhow::ensure!(
                scale > 0.0 && scale <= 10.0,
                "a scale of {scale} is not above 0 and at most 10"
            );
            let to = measure::Destination {
                file: out.as_deref(),
                bootstrap: bootstrap.as_deref(),
                records_max: records,
            };
            let written = measure::write_day(&DayPlan::new(scenario, Scale(scale), seed), &to)?;
            println!("{written} records");
            Ok(())
        }
        Command::Core { events } => {
            measure::Figures::default().with_core(events)?.print();
            Ok(())
        }
        Command::Role { role, part } => measure::play(role, &part),
    }
}
