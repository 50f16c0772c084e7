//! Many seeds, on every core.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tocsin_failpoint::FailPoint;

use crate::history::{self, Report};
use crate::mutant::Mutant;

/// Which seeds are played.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// How the detectors are broken.
    pub mutant: Mutant,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Played {
    /// The lowest seed that shows something wrong, and what.
    pub found: Option<(u64, Vec<String>)>,
    /// How many seeds were played.
    pub seeds: u64,
    /// The first of them.
    pub from: u64,
    /// Alerts of all undisturbed runs.
    pub alerts: usize,
    /// Units committed.
    pub units: usize,
    /// Steps.
    pub steps: u64,
    /// How often each fail-point was reached.
    pub crossed: BTreeMap<FailPoint, u64>,
    /// How often a process ended at each.
    pub crashed_at: BTreeMap<FailPoint, u64>,
    /// How long it took.
    pub took: Duration,
}

/// Plays seeds until one shows something wrong.
pub fn play(seeds: Seeds) -> Played {
    let began = Instant::now();
    let (next, end) = (AtomicU64::new(seeds.from), seeds.from + seeds.count);
    let played = Mutex::new(Played {
        from: seeds.from,
        ..Played::default()
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_found = played.lock().expect("no holder of this lock panics").found.is_some();
                    if seed >= end || is_found {
                        break;
                    }
                    let report = history::play(seed, seeds.mutant, false);
                    played.lock().expect("no holder of this lock panics").take(seed, report);
                }
            });
        }
    });
    let mut played = played.into_inner().expect("no holder of this lock panics");
    played.took = began.elapsed();
    played
}

/// Prints what is wrong with a seed.
pub fn print_violations(seed: u64, report: &Report) {
    for violation in &report.violations {
        println!("seed {seed}: {violation}");
    }
}

impl Played {
    fn take(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.alerts += report.alerts;
        self.units += report.units;
        self.steps += report.steps;
        for (sum, one) in [
            (&mut self.crossed, report.crossed),
            (&mut self.crashed_at, report.crashed_at),
        ] {
            for (point, times) in one {
                *sum.entry(point).or_insert(0) += times;
            }
        }
        let is_lower = self.found.as_ref().is_none_or(|(found, _)| seed < *found);
        if !report.violations.is_empty() && is_lower {
            self.found = Some((seed, report.violations));
        }
    }
}

impl fmt::Display for Played {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_minute = self.seeds as f64 * 60.0 / self.took.as_secs_f64().max(0.001);
        write!(
            out,
            "simulation: {} seeds from {} in {:.1} s ({per_minute:.0} a minute): {} steps, {} units, {} alerts, {} crashes at {} fail-points",
            self.seeds,
            self.from,
            self.took.as_secs_f64(),
            self.steps,
            self.units,
            self.alerts,
            self.crashed_at.values().sum::<u64>(),
            self.crashed_at.len(),
        )?;
        match &self.found {
            None => write!(out, "; violations 0"),
            Some((seed, violations)) => write!(out, "; seed {seed} shows {} violations", violations.len()),
        }
    }
}
