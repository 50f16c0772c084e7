//! What is known of a share, and of a percentile, by a sample of independent cases.

/// The confidence of each bound by itself.
const CONFIDENCE: f64 = 0.95;

/// The exact lower bound of a share of which so many of so many cases were seen, one-sided, at 95 % confidence (Clopper and Pearson 1934). Zero
/// where none was seen, or there was no case.
pub fn share_lower95(count: u64, of: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if at_least(count, of, middle) < 1.0 - CONFIDENCE {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The bounds of a percentile, each one-sided at 95 % confidence, whatever the law of the values is: two values of the sample itself, by their
/// ranks (David and Nagaraja 2003, Order Statistics, section 7.1). `ascending` is the sample; minus or plus infinity where it is too small to have
/// such a value: four say nothing of the median, 298 nothing above the 99th percentile.
pub fn percentile_bounds95(ascending: &[f64], per_cent: usize) -> (f64, f64) {
    let (of, share) = (ascending.len() as u64, per_cent as f64 / 100.0);
    // By their ranks, the last first: the chance that at least so many lie below the percentile.
    let mut chances = vec![0.0; ascending.len()];
    let mut chance = 0.0;
    for rank in (1..=of).rev() {
        chance += exactly(rank, of, share);
        chances[rank as usize - 1] = chance;
    }
    let below = chances.iter().rposition(|chance| *chance >= CONFIDENCE);
    let above = chances.iter().position(|chance| *chance <= 1.0 - CONFIDENCE);
    (
        below.map_or(f64::NEG_INFINITY, |place| ascending[place]),
        above.map_or(f64::INFINITY, |place| ascending[place]),
    )
}

/// The chance that at least `count` of `of` cases are so, of which each is with this chance, above 0 and below 1.
fn at_least(count: u64, of: u64, share: f64) -> f64 {
    (count..=of).map(|cases| exactly(cases, of, share)).sum()
}

/// The chance that this many are.
fn exactly(count: u64, of: u64, share: f64) -> f64 {
    let (cases, all) = (count as f64, of as f64);
    let ways = libm::lgamma(all + 1.0) - libm::lgamma(cases + 1.0) - libm::lgamma(all - cases + 1.0);
    libm::exp(ways + cases * libm::log(share) + (all - cases) * libm::log(1.0 - share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_at_least_what_leaves_a_twentieth() {
        // Of all: the n-th root of a twentieth. Of some: Clopper and Pearson's table, one-sided.
        for (count, of, bound) in [
            (10, 10, 0.741_134),
            (1_000, 1_000, 0.997_009),
            (9, 10, 0.605_836),
            (1, 1, 0.05),
            (0, 10, 0.0),
            (0, 0, 0.0),
        ] {
            let found = share_lower95(count, of);
            assert!((found - bound).abs() < 1e-5, "{count} of {of}: {found}");
        }
    }

    #[test]
    fn a_percentile_lies_between_values_of_the_sample_where_it_is_large_enough() {
        let sample = |size: u32| -> Vec<f64> { (1..=size).map(f64::from).collect() };
        // The median of ten lies between the second and the ninth: 11 in 1,024 are beyond either, and 56 beyond the next.
        assert_eq!(percentile_bounds95(&sample(10), 50), (2.0, 9.0));
        assert_eq!(percentile_bounds95(&sample(4), 50), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(percentile_bounds95(&sample(5), 50), (1.0, 5.0));
        assert_eq!(percentile_bounds95(&sample(298), 99).1, f64::INFINITY);
        assert_eq!(percentile_bounds95(&sample(299), 99).1, 299.0);
        let (low, high) = percentile_bounds95(&sample(1_000), 99);
        assert!(low < 990.0 && high > 990.0 && high < 1_000.0, "{low} {high}");
        assert_eq!(percentile_bounds95(&[], 50), (f64::NEG_INFINITY, f64::INFINITY));
        // A crisis that was missed is the last of all.
        let missed = [3.0, 4.0, 5.0, 6.0, f64::INFINITY];
        assert_eq!(percentile_bounds95(&missed, 50), (3.0, f64::INFINITY));
    }
}
