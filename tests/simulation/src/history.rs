//! One seed: a history, and what is wrong at its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_detector::{DetectorConfig, DetectorSetup};
use tocsin_failpoint::FailPoint;
use tocsin_model::{Milliseconds, Timestamp};
use tocsin_wire::topics;

use crate::anew::{self, Anew};
use crate::broker::Broker;
use crate::check::{End, check, restore_all};
use crate::director::Director;
use crate::log::ModelLog;
use crate::mutant::Mutant;
use crate::process::detector_config;
use crate::traffic::{EPOCH, PLAYED, Traffic, partitions};
use crate::world::{Faults, STEPS_MAX, World};

/// How a history is set up.
#[derive(Debug)]
pub struct Setting {
    /// What happens in it.
    pub traffic: Traffic,
    /// Of every detector.
    pub detector: DetectorConfig,
    /// Of every detector, but for its name.
    pub setup: DetectorSetup,
    /// How the detectors are broken.
    pub mutant: Mutant,
    /// Which sources each intake reads: some are read by two.
    intakes: Vec<Vec<usize>>,
}

impl Setting {
    /// The sources of an intake.
    pub fn sources_of(&self, intake: usize) -> Vec<usize> {
        self.intakes[intake].clone()
    }
}

/// What a history shows.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong.
    pub violations: Vec<String>,
    /// Alerts that the undisturbed run made.
    pub alerts: usize,
    /// Steps.
    pub steps: u64,
    /// Units that were committed.
    pub units: usize,
    /// How often each fail-point was reached.
    pub crossed: BTreeMap<FailPoint, u64>,
    /// How often a process ended at each.
    pub crashed_at: BTreeMap<FailPoint, u64>,
    /// Line by line, if it was asked for.
    pub trace: String,
}

/// Plays the history of a seed. The same seed is the same history.
pub fn play(seed: u64, mutant: Mutant, is_traced: bool) -> Report {
    let mut random = SmallRng::seed_from_u64(seed);
    let setting = Arc::new(draw(&mut random, mutant));
    let faults = Faults::drawn(&mut random);
    let closing = (1..=4).map(|step| Timestamp(setting.traffic.last.0 + step * 17 * 60_000));
    let detectors = random.random_range(1..=3);
    let director = Director::new(
        detectors,
        setting.intakes.len(),
        random.random_range(0..300),
        closing.rev().collect(),
    );
    let topics = [
        (topics::SIGHTINGS, PLAYED),
        (topics::STATE, PLAYED),
        (topics::CHECKPOINTS, PLAYED),
        (topics::POPULATIONS, 1),
        (topics::ALERTS, 1),
        (topics::FAMILIES, 1),
        (topics::PARTIES, 1),
    ];
    let broker = Broker::new(&topics, topics::SIGHTINGS);
    let world = World::new(random.random(), faults, setting.clone(), broker, director, is_traced);
    let second_act = Anew::drawn(&mut random);
    let (mut violations, alerts) = first_act(&world, &setting);
    let mut steps = world.state().steps;
    if let Some(anew) = second_act.filter(|_| violations.is_empty()) {
        world.state().steps = 0;
        violations = anew::play(&world, anew);
        violations.extend(too_long(&world));
        steps += world.state().steps;
    }
    let state = &mut *world.state();
    Report {
        violations,
        alerts,
        steps,
        units: state.broker.ended.len(),
        crossed: std::mem::take(&mut state.crossed),
        crashed_at: std::mem::take(&mut state.crashed_at),
        trace: state.take_trace(),
    }
}

/// What is wrong at the end, and how many alerts the undisturbed run made.
fn first_act(world: &Arc<World>, setting: &Arc<Setting>) -> (Vec<String>, usize) {
    drop(world.play());
    // Nobody runs any more, so these calls are no steps.
    let restored = restore_all(&ModelLog::new(world.clone(), 0, Mutant::Sound), setting, EPOCH);
    let too_long = too_long(world);
    let state = &mut *world.state();
    let mut violations = std::mem::take(&mut state.violations);
    violations.extend(too_long);
    let (alerts, wrong) = check(End {
        setting,
        broker: &state.broker,
        restored,
        answers: state.answers.take(),
        acknowledged: &state.acknowledged,
    });
    violations.extend(wrong);
    (violations, alerts)
}

fn too_long(world: &World) -> Option<String> {
    (world.state().steps > STEPS_MAX).then(|| format!("it does not come to its end within {STEPS_MAX} steps"))
}

/// Draws how a history is set up.
pub(crate) fn draw(random: &mut SmallRng, mutant: Mutant) -> Setting {
    let traffic = Traffic::drawn(random);
    let sources = traffic.sources.len();
    let mut intakes: Vec<Vec<usize>> = (0..sources).map(|source| vec![source]).collect();
    if random.random_bool(0.6) {
        // A zombie that does not know that its sources are another's.
        intakes.push((0..sources).collect());
    }
    Setting {
        detector: detector_config(u64::from(random.random_bool(0.5))),
        setup: DetectorSetup {
            instance: String::new(),
            key: traffic.key.clone(),
            epoch: EPOCH,
            partitions: partitions(),
            lateness: Milliseconds::from_minutes(120),
        },
        traffic,
        mutant,
        intakes,
    }
}
