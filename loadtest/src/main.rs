//! Measures throughput and latency. `loadtest/README.md` says how; `loadtest/run` starts what it needs.

mod measure;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

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
        /// How long the rate is kept.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// What was built: goes into the file.
        #[arg(long, default_value = "unknown")]
        commit: String,
    },
    /// Measures how long a detector needs from its start until it holds so many contents again.
    Restore {
        /// Bootstrap servers of a Kafka cluster that holds no records of Tocsin.
        #[arg(long)]
        bootstrap: String,
        /// Where the figures go, as JSON.
        #[arg(long)]
        out: PathBuf,
        /// Live contents.
        #[arg(long, default_value_t = 10_000_000)]
        contents: u64,
        /// What was built: goes into the file.
        #[arg(long, default_value = "unknown")]
        commit: String,
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
        #[arg(long)]
        bootstrap: String,
        /// The name of this process among those of its role.
        #[arg(long, default_value = "0")]
        instance: String,
        /// Of a detector: where it keeps local copies of the state.
        #[arg(long)]
        cache: Option<PathBuf>,
        /// Of a consumer that does nothing: how many records to read, and from which topics.
        #[arg(long, default_value_t = 0)]
        records: u64,
        #[arg(long)]
        topic: Vec<String>,
    },
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
            commit,
        } => measure::run(measure::Plan {
            bootstrap,
            out,
            events,
            core_events,
            commit,
        }),
        Command::Latency {
            bootstrap,
            out,
            rate,
            events,
            seconds,
            commit,
        } => {
            let plan = measure::Plan {
                bootstrap,
                out,
                events,
                core_events: 0,
                commit,
            };
            let rate = rate.map_or(measure::LoadRate::HalfOfMaximum(events), measure::LoadRate::Stated);
            measure::run_latency(&plan, rate, Duration::from_secs(seconds))
        }
        Command::Restore {
            bootstrap,
            out,
            contents,
            commit,
        } => {
            let plan = measure::Plan {
                bootstrap,
                out,
                events: 0,
                core_events: 0,
                commit,
            };
            measure::run_restore(&plan, contents)
        }
        Command::Core { events } => {
            measure::Figures::default().with_core(events)?.print();
            Ok(())
        }
        Command::Role {
            role,
            bootstrap,
            instance,
            cache,
            records,
            topic,
        } => measure::play(role, &bootstrap, &instance, (records, &topic), cache),
    }
}
