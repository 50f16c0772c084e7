//! The second act of a history: a topic is deleted and made anew, before detectors start again or while they run, and intakes fill what they
//! find there from the beginning, so that offsets reach and pass those of before. Faults are in force until all of that stands there.
//!
//! What must hold: every detector ends with a code that says so, those that run within some looks at their topics, those that start as soon as
//! they have a partition; and who starts afterwards writes nothing. So topics can be brought back, or `tocsin topics salvage` goes on from the state. What is counted in
//! the state is what the shadow model counts of the topic that was deleted, up to where the state says that it was applied: nothing of the new one, part of which
//! nobody knew before. Only where a detector read on in the new topic at the very offset at which it stood does its count lie between that of the first act
//! and that of all that ever stood in both: nothing tells it, until it looks at its topics again.

use std::sync::Arc;

use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_wire::topics;

use crate::counted;
use crate::world::{Faults, World};

/// How likely a history has a second act.
const LIKELY: f64 = 0.25;

/// What happens in it.
#[derive(Clone, Copy, Debug)]
pub struct Anew {
    /// What is deleted and made anew.
    pub topic: &'static str,
    /// How many steps detectors run before; 0: none of them runs then.
    pub steps_before: u64,
    /// In force from its beginning until intakes are done.
    pub faults: Faults,
}

impl Anew {
    /// Draws it, if there is one.
    pub fn drawn(random: &mut SmallRng) -> Option<Anew> {
        if !random.random_bool(LIKELY) {
            return None;
        }
        let (topic, steps_before) = match random.random_range(0..3) {
            // While detectors run a new state topic may come to hold all of the state again, and then nothing is lost.
            0 => (topics::STATE, 0),
            1 => (topics::SIGHTINGS, 0),
            _ => (topics::SIGHTINGS, random.random_range(20..600)),
        };
        Some(Anew {
            topic,
            steps_before,
            faults: Faults::drawn(random),
        })
    }

    /// With which codes a detector may end.
    pub fn codes(&self) -> &'static [&'static str] {
        match self.topic {
            topics::STATE => &["state_lost"],
            _ => &["input_replaced", "input_ends_before"],
        }
    }
}

/// Plays it, after a first act that nothing was wrong with; tells what is wrong.
pub fn play(world: &Arc<World>, anew: Anew) -> Vec<String> {
    let ends = {
        let state = &mut *world.state();
        state.note(0, || format!("second act: {anew:?}"));
        let now_ms = state.now_ms;
        state.faults = anew.faults;
        state.director.reopen(anew, now_ms);
        let places = state.broker.places(topics::SIGHTINGS).into_iter();
        places
            .map(|place| (place.clone(), state.broker.end(&place)))
            .collect::<Vec<_>>()
    };
    drop(world.play());
    let state = &mut *world.state();
    let mut violations = std::mem::take(&mut state.violations);
    let Some(first_after) = state.director.first_after_anew() else {
        violations.push(format!("{} was not made anew", anew.topic));
        return violations;
    };
    if anew.topic == topics::SIGHTINGS {
        violations.extend(
            ends.iter()
                .flat_map(|(place, end)| counted::check(&state.broker, place, *end)),
        );
    }
    for ended in &state.broker.ended {
        if ended.process >= first_after {
            violations.extend(ended.owned.keys().map(|place| {
                format!(
                    "I1: process {} began after {} was made anew, and wrote the state of partition {}",
                    ended.process, anew.topic, place.partition
                )
            }));
        }
    }
    violations
}
