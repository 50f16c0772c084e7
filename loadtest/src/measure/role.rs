//! What the processes of the pipeline do.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use prometheus::Registry;
use tocsin_detector::DetectorConfig;
use tocsin_intake::IntakeConfig;
use tocsin_log::SharedLog;
use tocsin_log::kafka::{KafkaLog, KafkaOptions};
use tocsin_runtime::{Readiness, Shutdown};
use tocsin_wire::Schemas;

use super::allocations::Span;
use super::casework;
use super::corpus;
use super::do_nothing;
use super::http;
use super::replayed::{Commits, Replayed};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// [`tocsin_gateway::Gateway`], on a port of its own.
    Gateway,
    /// [`tocsin_dispatcher::spawn`], on a port of its own.
    Dispatcher,
    /// [`tocsin_intake::run`].
    Intake,
    /// [`tocsin_detector::run`].
    Detector,
    /// The detector on sightings that stand in the log, writing elsewhere; see [`Replayed`].
    Replay,
    /// Reads stated topics as a member of a group, as the roles do, and does nothing.
    DoNothing,
}

/// What a process is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Part {
    /// Bootstrap servers.
    #[arg(long)]
    bootstrap: String,
    /// How many records (of `do-nothing`) or events (of `replay`) make it say `done`.
    #[arg(long, default_value_t = 0)]
    pub(super) until: u64,
    /// The name of this process among those of its role.
    #[arg(long, default_value = "0")]
    instance: String,
    /// Of a gateway and a dispatcher: the casework store.
    #[arg(long, default_value = "")]
    store: String,
    /// Of a detector: where it keeps local copies of the state.
    #[arg(long)]
    cache: Option<std::path::PathBuf>,
    /// Of a consumer that does nothing: the topics.
    #[arg(long)]
    pub(super) topic: Vec<String>,
    /// Of the same: what is appended from now on is read, until standard input ends and all of it was.
    #[arg(long)]
    pub(super) live: bool,
    /// Where to write, every second, how many records are left to read.
    #[arg(long)]
    lag: Option<std::path::PathBuf>,
    /// Of a replay: its name, which its topics bear.
    #[arg(long, default_value = "replay")]
    pub(super) run: String,
    /// Of a replay and a consumer that does nothing: the partitions. None: what the group gives.
    #[arg(long)]
    pub(super) partition: Vec<u32>,
    /// Of the same: nothing is read before this file is there, so that several begin at once.
    #[arg(long)]
    pub(super) gate: Option<std::path::PathBuf>,
    /// Of a replay: units are appended without transactions and positions.
    #[arg(long)]
    without_transactions: bool,
}

/// Plays a role. Says on standard output `ready`, `began` (with the first event), `done` and, at the end, `allocated` and `counted` with the
/// number of events.
pub fn play(role: Role, part: &Part) -> anyhow::Result<()> {
    let shutdown = stop_with_standard_input();
    let (registry, readiness) = (Registry::new(), Readiness::new());
    let log = connect(&part.bootstrap)?;
    let (metric, lag_metric) = match role {
        Role::DoNothing if part.live => return do_nothing::follow(log.as_ref(), part, &shutdown),
        Role::DoNothing => return do_nothing::drain(log.as_ref(), part, &shutdown),
        Role::Gateway => {
            http::serve_gateway(log, &part.store, &registry, &shutdown)?;
            println!("allocated 0");
            println!("counted {}", counted(&registry, "tocsin_gateway_events_total"));
            return Ok(());
        }
        Role::Dispatcher => {
            casework::serve_dispatcher(log, (&part.store, &part.instance), &registry, &shutdown)?;
            println!("allocated 0");
            println!("counted 0");
            return Ok(());
        }
        Role::Intake => ("tocsin_intake_events_total", "tocsin_intake_lag_offsets"),
        Role::Detector | Role::Replay => ("tocsin_detector_sightings_total", "tocsin_detector_lag_offsets"),
    };
    let ready = readiness.flag("role", "starting");
    let teller = Teller {
        registry: registry.clone(),
        readiness,
        metric,
        lag: part.lag.clone().map(|file| (file, lag_metric)),
        until: part.until,
        shutdown: shutdown.clone(),
        span: Arc::default(),
    };
    let span = teller.span.clone();
    std::thread::Builder::new()
        .name("tell".to_owned())
        .spawn(move || teller.tell())?;
    let detect = |log: &SharedLog| {
        let setup = corpus::detector_setup(&part.instance);
        let config = DetectorConfig {
            cache_directory: part.cache.clone().unwrap_or_default(),
            ..DetectorConfig::default()
        };
        tocsin_detector::run(
            tocsin_detector::OF_ITS_OWN,
            &config,
            &setup,
            log,
            &registry,
            &ready,
            &shutdown,
        )
    };
    match role {
        Role::DoNothing | Role::Gateway | Role::Dispatcher => {}
        Role::Intake => {
            let (config, schemas) = (IntakeConfig::default(), Schemas::builtin().clone());
            tocsin_intake::run(&config, corpus::setup(), schemas, &log, &registry, &ready, &shutdown)?;
        }
        Role::Detector => detect(&log)?,
        Role::Replay => {
            let commits = if part.without_transactions {
                Commits::Appended
            } else {
                Commits::Transactions
            };
            let replayed = Replayed::new(log, &part.run, &part.partition, part.gate.clone(), commits);
            detect(&(Arc::new(replayed) as SharedLog))?;
        }
    }
    println!("allocated {}", span.allocated());
    println!("counted {}", counted(&registry, metric));
    Ok(())
}

pub(super) fn connect(bootstrap: &str) -> anyhow::Result<SharedLog> {
    let log = KafkaLog::connect(KafkaOptions::new(bootstrap)).context("connect to Kafka")?;
    Ok(Arc::new(log))
}

/// Says that everything is done, and when, in nanoseconds since 1970: whoever hears it may do so later.
pub(super) fn say_done() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("done {}", since.as_nanos());
}

fn stop_with_standard_input() -> Shutdown {
    let shutdown = Shutdown::new();
    let request = shutdown.clone();
    std::thread::spawn(move || {
        // Until it ends, or can no longer be read: in both cases whoever started us is done.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        request.request();
    });
    shutdown
}

/// A second's looks.
const LOOKS_PER_LAG: u64 = 200;

/// Says how far a role is; looks every 5 ms, which costs less than a thousandth of a processor.
struct Teller {
    registry: Registry,
    readiness: Readiness,
    metric: &'static str,
    /// Where the sum of this gauge goes.
    lag: Option<(std::path::PathBuf, &'static str)>,
    until: u64,
    shutdown: Shutdown,
    span: Arc<Span>,
}

impl Teller {
    fn tell(&self) {
        self.wait_until(|| self.readiness.parts().values().all(Option::is_none));
        println!("ready");
        self.wait_until(|| counted(&self.registry, self.metric) > 0);
        self.span.begin();
        println!("began");
        let (mut last, mut is_done, mut looks) = (0, false, 0_u64);
        self.wait_until(|| {
            if let Some((file, metric)) = self.lag.as_ref().filter(|_| looks.is_multiple_of(LOOKS_PER_LAG)) {
                // Whoever reads it takes the one before if this one is missing.
                let write = || std::fs::write(file, gauged(&self.registry, metric).to_string());
                let _ = self.span.aside(write);
            }
            looks += 1;
            let now = self.span.aside(|| counted(&self.registry, self.metric));
            // What is allocated after the last event is the end's, not the events'.
            if now > last {
                self.span.look();
                last = now;
            }
            if self.until > 0 && now >= self.until && !is_done {
                is_done = true;
                say_done();
            }
            false
        });
    }

    fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        while !holds() && !self.shutdown.is_requested() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The sum of a gauge over its labels.
fn gauged(registry: &Registry, metric: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().filter(|family| family.name() == metric);
    let values = family.flat_map(|family| family.get_metric());
    values.map(|metric| metric.get_gauge().get_value()).sum()
}

/// The sum of a counter over its labels.
fn counted(registry: &Registry, metric: &str) -> u64 {
    let families = registry.gather();
    let family = families.iter().filter(|family| family.name() == metric);
    let values = family
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value());
    values.sum::<f64>() as u64
}

/// Waits until the file is there.
pub(super) fn wait_at(gate: Option<&std::path::Path>, shutdown: &Shutdown) {
    while gate.is_some_and(|gate| !gate.exists()) && !shutdown.is_requested() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
