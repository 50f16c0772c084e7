use tocsin_model::Verdict;

/// How many verdicts there are.
const VERDICTS: usize = Verdict::ALL.len();
/// The quantile of the normal distribution that leaves 2.5 % on either side.
const Z_95: f64 = 1.959_963_984_540_054;

/// How often two people who saw the same said the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agreement {
    /// How many were decided twice.
    pub reviewed: u64,
    /// How many of them alike.
    pub agreed: u64,
    /// Cohen's kappa. `None`: nothing was reviewed, or all said one thing, so that chance explains everything.
    pub kappa: Option<Kappa>,
}

/// Cohen's kappa with the interval that holds the true one 95 times in 100, as far as the sample is large and not nearly all of one verdict.
///
/// Kappa: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960). Its standard error: J. L. Fleiss,
/// J. Cohen and B. S. Everitt, "Large sample standard errors of kappa and weighted kappa", Psychological Bulletin 72 (1969), the one that does not suppose
/// that there is no agreement. The interval is cut at -1 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kappa {
    /// 1: always alike; 0: as often as by chance.
    pub value: f64,
    /// The lower and the upper end. `None`: fewer than [`REVIEWED_MIN`] were reviewed, or what was said varies so little that the formula gives no width.
    pub interval: Option<(f64, f64)>,
}

/// Of fewer reviews no interval is told: it is one for large samples.
pub const REVIEWED_MIN: u64 = 20;

impl Agreement {
    /// Of what the first decided, what the second did, and how often.
    pub fn of(pairs: &[(Verdict, Verdict, u64)]) -> Agreement {
        let mut counts = [[0u64; VERDICTS]; VERDICTS];
        for (first, second, times) in pairs {
            counts[place(*first)][place(*second)] += times;
        }
        Agreement {
            reviewed: counts.iter().flatten().sum(),
            agreed: (0..VERDICTS).map(|verdict| counts[verdict][verdict]).sum(),
            kappa: kappa(&counts),
        }
    }
}

fn place(verdict: Verdict) -> usize {
    verdict as usize - 1
}

fn kappa(counts: &[[u64; VERDICTS]; VERDICTS]) -> Option<Kappa> {
    let total: u64 = counts.iter().flatten().sum();
    if total == 0 {
        return None;
    }
    let share = |first: usize, second: usize| counts[first][second] as f64 / total as f64;
    let all = 0..VERDICTS;
    let of_first: Vec<f64> = all
        .clone()
        .map(|first| all.clone().map(|second| share(first, second)).sum())
        .collect();
    let of_second: Vec<f64> = all
        .clone()
        .map(|second| all.clone().map(|first| share(first, second)).sum())
        .collect();
    let observed: f64 = all.clone().map(|verdict| share(verdict, verdict)).sum();
    let by_chance: f64 = all.clone().map(|verdict| of_first[verdict] * of_second[verdict]).sum();
    let room = 1.0 - by_chance;
    if room <= f64::EPSILON {
        return None;
    }
    let value = (observed - by_chance) / room;
    // Equation 13 there, of a table without weights.
    let alike: f64 = all
        .clone()
        .map(|verdict| {
            let part = room - (of_first[verdict] + of_second[verdict]) * (1.0 - observed);
            share(verdict, verdict) * part * part
        })
        .sum();
    let mut otherwise = 0.0;
    for first in all.clone() {
        for second in all.clone().filter(|second| *second != first) {
            let sum = of_second[first] + of_first[second];
            otherwise += share(first, second) * sum * sum;
        }
    }
    let less = observed * by_chance - 2.0 * by_chance + observed;
    let spread = alike + (1.0 - observed) * (1.0 - observed) * otherwise - less * less;
    let square = spread.max(0.0) / (total as f64 * room * room * room * room);
    let half = Z_95 * square.sqrt();
    let has_width = total >= REVIEWED_MIN && half > 1e-4;
    Some(Kappa {
        value,
        interval: has_width.then(|| ((value - half).max(-1.0), (value + half).min(1.0))),
    })
}

#[cfg(test)]
mod tests {
    //! Goal: kappa and its interval are those of the literature and of the delta method, which was carried out numerically apart from this code.
    use super::*;

    /// Of a table of counts whose rows are what the first said.
    fn of<const N: usize>(table: [[u64; N]; N]) -> Agreement {
        let mut pairs = Vec::new();
        for (first, row) in table.iter().enumerate() {
            for (second, count) in row.iter().enumerate() {
                pairs.push((Verdict::ALL[first], Verdict::ALL[second], *count));
            }
        }
        Agreement::of(&pairs)
    }

    fn check<const N: usize>(table: [[u64; N]; N], (value, low, high): (f64, f64, f64)) {
        let kappa = of(table).kappa.expect("it is reviewed");
        let (is_low, is_high) = kappa.interval.expect("it varies");
        for (is, expected) in [(kappa.value, value), (is_low, low), (is_high, high)] {
            assert!((is - expected).abs() < 1e-6, "{kappa:?} of {table:?}");
        }
    }

    #[test]
    fn kappa_is_that_of_known_tables() {
        // Fleiss, Levin, Paik: Statistical Methods for Rates and Proportions, table 18.1: 0.68, with a standard error of 0.087.
        check(
            [[75, 1, 4], [5, 4, 1], [0, 0, 10]],
            (0.676_470_588, 0.504_575_958, 0.848_365_218),
        );
        check([[20, 5], [10, 15]], (0.4, 0.151_092_290, 0.648_907_710));
        check([[45, 15], [25, 15]], (0.130_434_783, -0.062_938_278, 0.323_807_843));
    }

    #[test]
    fn where_nothing_varies_or_little_was_reviewed_no_interval_is_told() {
        for (table, value) in [
            ([[30, 0], [0, 20]], 1.0),
            ([[19, 1], [0, 0]], 0.0),
            ([[199, 1], [0, 0]], 0.0),
            ([[0, 1], [0, 0]], 0.0),
            ([[1, 0], [0, 1]], 1.0),
            ([[0, 1], [1, 0]], -1.0),
            ([[7, 4], [3, 5]], 0.256_983_240),
        ] {
            let kappa = of(table).kappa.expect("it is reviewed");
            assert!((kappa.value - value).abs() < 1e-6, "{kappa:?} of {table:?}");
            assert_eq!(kappa.interval, None, "{table:?}");
        }
    }

    #[test]
    fn of_nothing_and_of_one_verdict_there_is_no_kappa() {
        assert_eq!(Agreement::of(&[]), Agreement::default());
        let alike = of([[9]]);
        assert_eq!((alike.reviewed, alike.agreed, alike.kappa), (9, 9, None));
    }
}
