//! What is ordinary on each platform, from what the key groups have seen of its contents.

mod fit;

use std::collections::BTreeMap;

use tocsin_model::{BetaLaw, Calibration, GammaLaw, PlatformId, PlatformNull, Population, Populations};

use self::fit::fit;

/// Of ordinary contents the part of copies that somebody uploaded anew: an original is uploaded and then passed on. Assumed, until it is
/// calibrated: a quarter in the mean, and more than a half for one content in eight.
pub const SHIPPED_REUPLOADS: BetaLaw = BetaLaw {
    uploads: 1.0,
    shares: 3.0,
};
/// The gamma prior of a content's base rate: a tenth of a copy in six hours.
pub const SHIPPED_BASE_RATE: GammaLaw = GammaLaw {
    copies: 0.1,
    hours: 6.0,
};

/// By how much one calibration may move a rate, or what a law is worth, beyond the one before it.
pub const STEP_TIMES: f64 = 1.25;
/// By how much one calibration may move the mean of a part.
pub const STEP_PART: f64 = 0.05;
/// A null that moved by less in everything is left as it is: every calibration makes each key group write a checkpoint.
const MOVED_TIMES: f64 = 1.05;
const MOVED_PART: f64 = 0.01;

/// What a version ships with for a platform: a day without a rhythm, and the laws above.
pub const fn shipped(platform: PlatformId) -> PlatformNull {
    PlatformNull {
        platform,
        hours: [1.0; 24],
        reuploads: SHIPPED_REUPLOADS,
        base_rate: SHIPPED_BASE_RATE,
    }
}

/// The null of a platform among those that ascend by it.
pub(crate) fn of_platform(nulls: &[PlatformNull], platform: PlatformId) -> Option<&PlatformNull> {
    let place = nulls.binary_search_by_key(&platform, |null| null.platform).ok()?;
    nulls.get(place)
}

/// The nulls that follow those in force from what the groups have seen, in any order and each group once, ascending by platform.
///
/// Each is fitted to its own platform's contents alone and shrunk to what is shipped, then held within the limits of [`PlatformNull`], and to
/// [`STEP_TIMES`] and [`STEP_PART`] of the one in force. So whoever floods a platform moves its null by a step a calibration and never beyond
/// the limits, and no other platform's. A platform of which nothing is known any more goes back to what is shipped, step by step, and is left
/// out when it is there. At most [`Calibration::PLATFORMS_MAX`] platforms have one: those that had one before, then those with the lowest
/// numbers.
pub fn calibrate(in_force: &[PlatformNull], seen: &[Populations]) -> Vec<PlatformNull> {
    let mut populations: BTreeMap<PlatformId, Population> = BTreeMap::new();
    for population in seen.iter().flat_map(|group| &group.platforms) {
        populations
            .entry(population.platform)
            .and_modify(|sum| sum.add(population))
            .or_insert(*population);
    }
    let mut nulls: BTreeMap<PlatformId, PlatformNull> = BTreeMap::new();
    let before = in_force.iter().map(|null| null.platform);
    for platform in before.chain(populations.keys().copied()) {
        if nulls.len() >= Calibration::PLATFORMS_MAX {
            break;
        }
        let before = of_platform(in_force, platform).copied().unwrap_or(shipped(platform));
        let population = populations.get(&platform).copied();
        let next = step(&before, &fit(&population.unwrap_or(Population::new(platform))));
        if moved(&next, &shipped(platform)) {
            nulls.insert(platform, next);
        }
    }
    nulls.into_values().collect()
}

/// Whether another calibration is worth its checkpoints: a platform came or went, or a figure moved.
pub fn differs(nulls: &[PlatformNull], in_force: &[PlatformNull]) -> bool {
    let is_same = |null: &PlatformNull| of_platform(in_force, null.platform).is_some_and(|before| !moved(null, before));
    nulls.len() != in_force.len() || !nulls.iter().all(is_same)
}

/// From one null as far towards another as one calibration may go.
fn step(before: &PlatformNull, to: &PlatformNull) -> PlatformNull {
    let times = |before: f64, to: f64| to.clamp(before / STEP_TIMES, before * STEP_TIMES);
    let (law, aim) = (&before.reuploads, &to.reuploads);
    let mean = aim.mean().clamp(law.mean() - STEP_PART, law.mean() + STEP_PART);
    PlatformNull {
        platform: before.platform,
        hours: std::array::from_fn(|hour| times(before.hours[hour], to.hours[hour])),
        reuploads: BetaLaw::with(mean, times(law.strength(), aim.strength())),
        base_rate: GammaLaw {
            copies: times(before.base_rate.copies, to.base_rate.copies),
            hours: times(before.base_rate.hours, to.base_rate.hours),
        },
    }
}

fn moved(null: &PlatformNull, before: &PlatformNull) -> bool {
    let figures = |null: &PlatformNull| {
        let laws = [null.reuploads.strength(), null.base_rate.copies, null.base_rate.hours];
        null.hours.into_iter().chain(laws)
    };
    let times = figures(null).zip(figures(before));
    let by_times = times
        .map(|(one, other)| (one / other).max(other / one))
        .any(|times| times >= MOVED_TIMES);
    by_times || (null.reuploads.mean() - before.reuploads.mean()).abs() >= MOVED_PART
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tocsin_model::{GroupId, Timestamp};

    use super::*;

    const HERE: PlatformId = PlatformId(1);
    const THERE: PlatformId = PlatformId(2);

    /// A day's traffic of a platform: so many contents an hour, and entries of so many uploads among ten copies.
    fn population(platform: PlatformId, spread: [u64; 24], uploads: &[u64]) -> Population {
        let mut population = Population::new(platform);
        population.spread = spread.map(|count| count * Population::ONE);
        population.watched = [Population::ONE; 24];
        for uploads in uploads {
            population.reuploads.add(*uploads, 10);
            population.rates.add(10 - uploads);
        }
        population
    }

    fn group(number: u16, platforms: Vec<Population>) -> Populations {
        Populations {
            group: GroupId(number),
            at: Timestamp(0),
            platforms,
        }
    }

    /// The nulls after so many calibrations from the same populations.
    fn settled(seen: &[Populations], calibrations: usize) -> Vec<PlatformNull> {
        (0..calibrations).fold(Vec::new(), |nulls, _| calibrate(&nulls, seen))
    }

    fn evening() -> [u64; 24] {
        std::array::from_fn(|hour| if hour < 12 { 1_000 } else { 10_000 })
    }

    #[test]
    fn nothing_seen_leaves_what_is_shipped() {
        assert_eq!(calibrate(&[], &[]), []);
        let flat = population(HERE, [500; 24], &[]);
        assert_eq!(calibrate(&[], &[group(0, vec![flat])]), []);
        let uploads = [group(0, vec![population(HERE, [500; 24], &[10; 900])])];
        let apart = settled(&uploads, 40);
        assert_eq!(apart.len(), 1);
        let back = (0..40).fold(apart, |nulls, _| calibrate(&nulls, &[]));
        assert_eq!(back, [], "what is not seen any more goes back");
    }

    #[test]
    fn the_rhythm_of_the_day_and_the_uploads_of_a_platform_are_found() {
        let seen: Vec<_> = (0..4)
            .map(|number| group(number, vec![population(HERE, evening(), &[10; 500])]))
            .collect();
        let [null] = settled(&seen, 40)[..] else {
            panic!("one platform")
        };
        let ratio = null.hours[20] / null.hours[3];
        assert!((9.0..11.0).contains(&ratio), "{ratio}");
        assert!(null.reuploads.mean() > 0.95, "{null:?}");
        assert!(null.is_usable(), "{null:?}");
        let steps: Vec<bool> = (1..41)
            .map(|many| differs(&settled(&seen, many), &settled(&seen, many - 1)))
            .collect();
        assert!(
            steps[0] && !steps[39],
            "it settles, and then nothing is told: {steps:?}"
        );
    }

    #[test]
    fn the_order_of_the_groups_says_nothing() {
        let mut seen: Vec<_> = (0..8)
            .map(|number| {
                let spread = std::array::from_fn(|hour| 100 + hour as u64 * u64::from(number));
                group(number, vec![population(HERE, spread, &[number.into(); 30])])
            })
            .collect();
        let one = settled(&seen, 5);
        seen.reverse();
        assert_eq!(settled(&seen, 5), one);
    }

    #[test]
    fn whoever_floods_one_platform_moves_it_by_a_step_and_no_other() {
        let honest = |number| population(THERE, evening(), &[2; 100]).tap(number);
        let clean: Vec<_> = (0..4).map(|number| group(number, vec![honest(number)])).collect();
        let mut in_force = settled(&clean, 40);
        let mut lie = population(HERE, [0; 24], &[10; 1_000]);
        lie.spread[3] = u64::MAX;
        lie.rates.squares = u64::MAX;
        let flooded: Vec<_> = (0..4).map(|number| group(number, vec![lie, honest(number)])).collect();
        for calibrations in 1..60 {
            let before = of_platform(&in_force, HERE).copied().unwrap_or(shipped(HERE));
            in_force = calibrate(&in_force, &flooded);
            let after = of_platform(&in_force, HERE).copied().unwrap_or(shipped(HERE));
            for hour in 0..24 {
                let times = after.hours[hour] / before.hours[hour];
                assert!(
                    (1.0 / 1.26..1.26).contains(&times),
                    "{calibrations}, hour {hour}: {times}"
                );
            }
            let moved = (after.reuploads.mean() - before.reuploads.mean()).abs();
            assert!(moved <= STEP_PART + 1e-9, "{calibrations}: {moved}");
            assert!(after.is_usable(), "{calibrations}: {after:?}");
            assert_eq!(
                of_platform(&in_force, THERE),
                of_platform(&settled(&clean, 40 + calibrations), THERE),
                "the other's is as it would be without"
            );
        }
    }

    trait Tap {
        fn tap(self, number: u16) -> Self;
    }

    impl Tap for Population {
        /// A little different in every group.
        fn tap(mut self, number: u16) -> Self {
            self.spread[usize::from(number)] += 50 * Population::ONE;
            self
        }
    }

    fn any_population() -> impl Strategy<Value = Population> {
        let number = || prop_oneof![Just(0), Just(u64::MAX), 0..1_000u64, any::<u64>()];
        let numbers = prop::collection::vec(number(), 48 + 7);
        (0..4u16, numbers).prop_map(|(platform, numbers)| {
            let mut population = Population::new(PlatformId(platform));
            population.spread.copy_from_slice(&numbers[..24]);
            population.watched.copy_from_slice(&numbers[24..48]);
            for (place, number) in population.numbers_mut().into_iter().zip(&numbers[48..]) {
                *place = *number;
            }
            population
        })
    }

    proptest! {
        #[test]
        fn it_can_be_used_whatever_was_seen(seen in prop::collection::vec(any_population(), 0..12)) {
            let seen: Vec<_> = seen.into_iter().map(|population| group(0, vec![population])).collect();
            let calibration = Calibration {
                number: 1,
                effective_from: Timestamp(0),
                page_threshold: 1.0,
                pages_per_day: 15.0,
                episodes: 0,
                at: Timestamp(0),
                platforms: settled(&seen, 30),
            };
            prop_assert!(calibration.is_usable(), "{:?}", calibration);
        }
    }
}
