//! The null that fits a population.

use std::ops::RangeInclusive;

use tocsin_model::{BetaLaw, CountSums, GammaLaw, PartSums, PlatformNull, Population};

use super::{SHIPPED_BASE_RATE, SHIPPED_REUPLOADS};

/// What is shipped weighs as much as so many contents spread in each hour: of 900 the standard error of a rate is 3 %.
const PRIOR_SPREAD: f64 = 50.0;
/// And as so many entries.
const PRIOR_ENTRIES: f64 = 50.0;
/// An entry's count is of so many hours: a day without its busiest.
const ENTRY_HOURS: f64 = 23.0;

/// The null of a platform by its population alone, within the limits of [`PlatformNull`].
pub(super) fn fit(population: &Population) -> PlatformNull {
    PlatformNull {
        platform: population.platform,
        hours: rates(population),
        reuploads: law_of_parts(&population.reuploads),
        base_rate: law_of_counts(&population.rates),
    }
}

/// The rate of each hour in units of the mean one: what was spread in it, over what a day without a rhythm would have had in the time that it
/// was watched; both with what is shipped added, so that an hour of which little is known is an ordinary one.
fn rates(population: &Population) -> [f64; 24] {
    let [watched, spread] = [population.watched, population.spread].map(|counts| counts.map(in_ones));
    let hours: f64 = watched.iter().sum();
    if hours == 0.0 {
        return [1.0; 24];
    }
    // Of what was counted in hours that were never watched nothing follows.
    let seen = spread.iter().zip(&watched).filter(|(_, watched)| **watched > 0.0);
    // The mean of the hours' rates, so that hours that were watched more often weigh no more.
    let of_hours: Vec<f64> = seen.map(|(spread, watched)| spread / watched).collect();
    let mean = of_hours.iter().sum::<f64>() / of_hours.len().max(1) as f64;
    std::array::from_fn(|hour| {
        let spread = if watched[hour] > 0.0 { spread[hour] } else { 0.0 };
        within(
            (spread + PRIOR_SPREAD) / (mean * watched[hour] + PRIOR_SPREAD),
            &PlatformNull::HOUR_RATES,
        )
    })
}

/// The beta law of parts by its moments (Kleinman 1973, "Proportions with extraneous variance"): of parts of n copies each the variance is
/// m (1 - m) (1 / n + (1 - 1 / n) r), where m is the mean of the law and 1 / (1 + its strength) is r.
fn law_of_parts(sums: &PartSums) -> BetaLaw {
    let entries = in_ones(sums.entries);
    let shipped = SHIPPED_REUPLOADS;
    if sums.entries == 0 {
        return shipped;
    }
    let mean_of = |sum: u64| (in_ones(sum) / entries).min(1.0);
    let (part, square, inverse) = (mean_of(sums.parts), mean_of(sums.squares), mean_of(sums.inverse_copies));
    let weight = entries / (entries + PRIOR_ENTRIES);
    let mean = weight * part + (1.0 - weight) * shipped.mean();
    let of_one = part * (1.0 - part);
    let alike = 1.0 / (1.0 + shipped.strength());
    let correlation = if of_one > 0.0 && inverse < 1.0 {
        let excess = ((square - part * part) / of_one - inverse) / (1.0 - inverse);
        weight * excess.clamp(0.0, 1.0) + (1.0 - weight) * alike
    } else {
        alike
    };
    BetaLaw::with(
        within(mean, &BetaLaw::MEANS),
        within(1.0 / correlation - 1.0, &BetaLaw::STRENGTHS),
    )
}

/// The gamma law of the rates behind counts by its moments: of such counts the mean is m and the variance m + m^2 / a (negative binomial),
/// where a is what the law is worth in copies, and a over its hours is the rate.
fn law_of_counts(sums: &CountSums) -> GammaLaw {
    let entries = in_ones(sums.entries);
    let shipped = SHIPPED_BASE_RATE;
    if sums.entries == 0 {
        return shipped;
    }
    let weight = entries / (entries + PRIOR_ENTRIES);
    let raw = in_ones(sums.counts) / entries;
    let mean = weight * raw + (1.0 - weight) * shipped.copies / shipped.hours * ENTRY_HOURS;
    let excess = in_ones(sums.squares) / entries - raw * raw - raw;
    let seen = if excess > 0.0 {
        ENTRY_HOURS * raw / excess
    } else {
        *GammaLaw::HOURS.end()
    };
    let seen = within(seen, &GammaLaw::HOURS);
    let hours = within(
        libm::exp(weight * libm::log(seen) + (1.0 - weight) * libm::log(shipped.hours)),
        &GammaLaw::HOURS,
    );
    GammaLaw {
        copies: within(mean / ENTRY_HOURS * hours, &GammaLaw::COPIES),
        hours,
    }
}

fn in_ones(units: u64) -> f64 {
    units as f64 / Population::ONE as f64
}

fn within(figure: f64, limits: &RangeInclusive<f64>) -> f64 {
    // What is no number is not within any limits.
    if figure.is_nan() {
        return *limits.start();
    }
    figure.clamp(*limits.start(), *limits.end())
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// A variable of a gamma law of this whole number of copies and a rate of one.
    fn gamma(random: &mut SmallRng, copies: u32) -> f64 {
        (0..copies).map(|_| -libm::log(1.0 - random.random::<f64>())).sum()
    }

    #[test]
    fn the_law_of_parts_is_found_behind_few_copies_each() {
        let mut random = SmallRng::seed_from_u64(3);
        let mut sums = PartSums::default();
        for _ in 0..20_000 {
            // Beta(2, 6), and between 6 and 20 copies of each.
            let (a, b) = (gamma(&mut random, 2), gamma(&mut random, 6));
            let part = a / (a + b);
            let copies = random.random_range(6..20u64);
            sums.add((0..copies).filter(|_| random.random_bool(part)).count() as u64, copies);
        }
        let law = law_of_parts(&sums);
        assert!((law.mean() - 0.25).abs() < 0.01, "{law:?}");
        assert!((law.strength() - 8.0).abs() < 0.8, "{law:?}");
    }

    #[test]
    fn the_law_of_rates_is_found_behind_the_counts_of_a_day() {
        let mut random = SmallRng::seed_from_u64(4);
        let mut sums = CountSums::default();
        for _ in 0..20_000 {
            // One copy in four hours: in a day of 23 hours its mean is 23 / 4.
            let mut left = 1.0;
            let rate = gamma(&mut random, 1) / 4.0 * ENTRY_HOURS;
            let mut count = 0;
            loop {
                left -= -libm::log(1.0 - random.random::<f64>()) / rate;
                if left < 0.0 {
                    break;
                }
                count += 1;
            }
            sums.add(count);
        }
        let law = law_of_counts(&sums);
        assert!(
            (law.hours - 4.0).abs() < 0.3 && (law.copies - 1.0).abs() < 0.1,
            "{law:?}"
        );
    }

    #[test]
    fn few_entries_say_little() {
        let mut sums = PartSums::default();
        sums.add(10, 10);
        assert!((law_of_parts(&sums).mean() - 0.25).abs() < 0.02);
        let mut counts = CountSums::default();
        counts.add(5_000);
        let law = law_of_counts(&counts);
        assert!((law.hours - 6.0).abs() < 0.4, "{law:?}");
    }

    #[test]
    fn hours_that_were_never_watched_are_ordinary_ones() {
        let mut population = Population::new(tocsin_model::PlatformId(1));
        for hour in 8..20 {
            population.watched[hour] = Population::ONE;
            population.spread[hour] = Population::ONE * if hour < 14 { 1_000 } else { 3_000 };
        }
        // Late ones of an hour that was not watched.
        population.spread[2] = 77 * Population::ONE;
        let rates = rates(&population);
        assert!((rates[16] / rates[10] - 3.0).abs() < 0.2, "{rates:?}");
        assert_eq!([rates[2], rates[3]], [1.0, 1.0]);
    }
}
