//! Whether what the alarm says follows from its input alone: one recorded input through several numbers of partitions, in blocks of several
//! sizes, and with snapshots read anew at random events. Nothing that comes out may differ by a byte, and what readers must be shown one after the other not by its order.

mod path;
mod recording;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use clap::Args;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use tocsin_model::Milliseconds;

use self::path::{Dealing, Rules, Said, play};
use self::recording::{Recording, plan};
use super::SuiteArguments;
use super::days::{processors, side_by_side};
use crate::rehearsal::Figures;

/// How to evaluate invariance.
#[derive(Debug, Args)]
pub struct InvarianceArguments {
    /// Seed, scale and output.
    #[command(flatten)]
    pub suite: SuiteArguments,
}

const PARTITIONS: [u16; 4] = [1, 4, 16, 64];
/// Events in a block: each alone, some, and as many as come within a minute.
const BATCHES: [usize; 3] = [1, 32, 1_024];
/// How often all groups are read anew in half of the runs.
const RESTORES: usize = 12;
/// How long after its onset a crisis is cut.
const CUT: Milliseconds = Milliseconds::from_minutes(20);

/// Every figure of the suite.
///
/// # Errors
/// The scale leaves nothing to play, or takes too much memory; a group cannot read what it wrote.
pub fn run(arguments: &InvarianceArguments) -> Result<Figures> {
    let (scale, seed) = (arguments.suite.scale, arguments.suite.seed);
    ensure!(
        scale > 0.0 && scale <= 20.0,
        "a scale of {scale} is not above 0 and at most 20: the recording is held in memory"
    );
    let recording = Recording::of(&plan(scale, seed, CUT));
    let dealings = dealings(&PARTITIONS, &BATCHES, recording.records.len(), seed);
    figures(&recording, &dealings, Rules::AS_BUILT)
}

/// Every number of partitions with every size of blocks, once as it is and once with restores, whose places are drawn for each.
fn dealings(partitions: &[u16], batches: &[usize], records: usize, seed: u64) -> Vec<Dealing> {
    let mut random = SmallRng::seed_from_u64(seed ^ 0x7265_7374_6f72_6564);
    let mut dealings = Vec::new();
    for &partitions in partitions {
        for &batch in batches {
            let drawn: BTreeSet<usize> = (0..RESTORES).map(|_| random.random_range(0..records.max(1))).collect();
            for restores in [Vec::new(), drawn.into_iter().collect()] {
                dealings.push(Dealing {
                    partitions,
                    batch,
                    restores,
                });
            }
        }
    }
    dealings
}

/// Plays the recording in all these ways, and compares what came out with what came out of the first.
fn figures(recording: &Recording, dealings: &[Dealing], rules: Rules) -> Result<Figures> {
    let played = side_by_side(dealings, processors(), |_, dealing| play(recording, dealing, rules));
    let played: Vec<Said> = played.into_iter().collect::<Result<_>>()?;
    let Some((first, others)) = played.split_first() else {
        return Ok(Figures::new());
    };
    let differing = |of: fn(&Said) -> String| others.iter().filter(|said| of(said) != of(first)).count();
    for (said, dealing) in played.iter().zip(dealings) {
        if said.outputs != first.outputs || said.orders_digest() != first.orders_digest() {
            tracing::warn!(?dealing, alerts = said.alert_ids.len(), "it says something else");
        }
    }
    let numbers = |of: fn(&Dealing) -> usize| dealings.iter().map(of).collect::<BTreeSet<usize>>();
    let restores: usize = dealings.iter().map(|dealing| dealing.restores.len()).sum();
    let groups: u64 = played.iter().map(|said| said.groups_restored).sum();
    Ok(Figures::from([
        ("events", json!(recording.records.len())),
        ("alerts", json!(first.alert_ids.len())),
        ("outputs", json!(first.outputs.len())),
        ("outputs_between_groups", json!(first.onward)),
        ("configurations", json!(dealings.len())),
        ("partitions", json!(numbers(|dealing| usize::from(dealing.partitions)))),
        ("batches", json!(numbers(|dealing| dealing.batch))),
        ("restores", json!(restores)),
        ("groups_restored", json!(groups)),
        ("alert_ids_digest", json!(first.ids_digest())),
        ("alert_ids_digests_differing", json!(differing(Said::ids_digest))),
        ("outputs_digest", json!(first.outputs_digest())),
        ("outputs_digests_differing", json!(differing(Said::outputs_digest))),
        ("orders_digest", json!(first.orders_digest())),
        ("orders_digests_differing", json!(differing(Said::orders_digest))),
        ("states_digest", json!(first.state)),
        ("states_digests_differing", json!(differing(|said| said.state.clone()))),
    ]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::OnceLock;

    use super::path::read_anew;
    use super::*;

    /// Two crises that are cut early, in hardly any traffic.
    fn short() -> &'static Recording {
        static SHORT: OnceLock<Recording> = OnceLock::new();
        SHORT.get_or_init(|| {
            let mut plan = plan(0.02, 5, Milliseconds::from_minutes(4));
            plan.warm_up = Milliseconds::from_minutes(20);
            Recording::of(&plan)
        })
    }

    fn played(dealings: &[Dealing], rules: Rules) -> Figures {
        figures(short(), dealings, rules).unwrap()
    }

    fn ways() -> Vec<Dealing> {
        dealings(&[1, 16], &[1, 256], short().records.len(), 7)
    }

    const DIFFERING: [&str; 4] = [
        "alert_ids_digests_differing",
        "outputs_digests_differing",
        "orders_digests_differing",
        "states_digests_differing",
    ];

    #[test]
    fn nothing_differs_and_something_is_said() {
        let figures = played(&ways(), Rules::AS_BUILT);
        assert_eq!(
            DIFFERING.map(|name| figures[name].as_u64()),
            [Some(0); 4],
            "{figures:?}"
        );
        for (name, least) in [
            ("alerts", 10),
            ("outputs_between_groups", 100),
            ("groups_restored", 1_000),
        ] {
            assert!(figures[name].as_u64() >= Some(least), "{name}: {figures:?}");
        }
    }

    /// What would be wrong with a restore, with a number of partitions, with a size of blocks: each is told, in the runs that it is about.
    #[test]
    fn what_breaks_it_is_found() {
        let forgets = Rules {
            restored: |group, config| read_anew(group, config, |_| false),
            ..Rules::AS_BUILT
        };
        let shares_places = Rules {
            config: |dealing, mut config| {
                config.hot_max = (config.hot_max / usize::from(dealing.partitions)).max(1);
                config
            },
            ..Rules::AS_BUILT
        };
        let promotes_by_block = Rules {
            config: |dealing, mut config| {
                config.promote_at += u32::from(dealing.batch > 1);
                config
            },
            ..Rules::AS_BUILT
        };
        for (name, rules, expected) in [
            ("restores forget cold counts", forgets, 4),
            ("partitions share out hot places", shares_places, 4),
            ("blocks say when a content becomes hot", promotes_by_block, 4),
        ] {
            let figures = played(&ways(), rules);
            let found = DIFFERING.map(|name| figures[name].as_u64());
            assert_eq!(found[1], Some(expected), "{name}: {found:?}");
        }
    }
}
