//! How large, and how small, a rate may be of which so many events were seen.

/// The confidence of the bound.
const CONFIDENCE: f64 = 0.95;

/// The exact upper bound of the mean of a Poisson count of which `count` was observed, one-sided, at 95 % confidence (Garwood 1936): half the
/// 95 % quantile of the chi-square law with 2 x `count` + 2 degrees of freedom.
pub fn upper95(count: u64) -> f64 {
    chi_square_quantile(CONFIDENCE, 2.0 * count as f64 + 2.0) / 2.0
}

/// The exact lower bound of the same mean, one-sided, at 95 % confidence: half the 5 % quantile of the chi-square law with 2 x `count` degrees of
/// freedom; zero where none was observed.
pub fn lower95(count: u64) -> f64 {
    match count {
        0 => 0.0,
        _ => chi_square_quantile(1.0 - CONFIDENCE, 2.0 * count as f64) / 2.0,
    }
}

/// By bisection: the law's cumulated probability rises in the value.
fn chi_square_quantile(probability: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while gamma_p(degrees / 2.0, high / 2.0) < probability {
        low = high;
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if gamma_p(degrees / 2.0, middle / 2.0) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The regularised lower incomplete gamma function P(a, x), a > 0, x >= 0: its series below a + 1, the continued fraction of its complement
/// above (Abramowitz and Stegun 6.5.29 and 6.5.31; Lentz's evaluation).
fn gamma_p(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let factor = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return sum * factor;
    }
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..100_000 {
        let i = f64::from(i);
        let step = -i * (i - a);
        b += 2.0;
        d = 1.0 / (step * d + b);
        c = b + step / c;
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    1.0 - factor * fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, degrees, quantile) in [
            (0.95, 1.0, 3.841_458_821),
            (0.95, 2.0, 5.991_464_547),
            (0.975, 2.0, 7.377_758_908),
            (0.95, 10.0, 18.307_038_05),
            (0.05, 10.0, 3.940_299_136),
            (0.95, 100.0, 124.342_113_4),
            (0.99, 1_000.0, 1_106.968_998),
        ] {
            let found = chi_square_quantile(probability, degrees);
            assert!(
                (found / quantile - 1.0).abs() < 1e-8,
                "{probability} of {degrees}: {found}"
            );
        }
    }

    #[test]
    fn a_lower_bound_leaves_a_twentieth_at_or_above_the_count() {
        assert_eq!(lower95(0), 0.0);
        // One event or more with a chance of a twentieth: -ln 0.95.
        assert!((lower95(1) + 0.95_f64.ln()).abs() < 1e-9);
        for (count, bound) in [(2, 0.355_361), (3, 0.817_691), (10, 5.425_406)] {
            assert!((lower95(count) - bound).abs() < 1e-3, "{count}: {}", lower95(count));
        }
    }

    #[test]
    fn a_bound_leaves_a_twentieth_at_or_below_the_count() {
        // No event seen: the rule of three, ln 20. For the others the sum of the law's terms up to the count says it.
        assert!((upper95(0) - 20_f64.ln()).abs() < 1e-9);
        for (count, bound) in [(1, 4.743_865), (3, 7.753_657), (10, 16.962_219), (100, 118.079_4)] {
            assert!((upper95(count) - bound).abs() < 1e-3, "{count}: {}", upper95(count));
        }
        for count in [0_u64, 1, 5, 30, 200] {
            let mean = upper95(count);
            let terms = (0..=count).map(|n| {
                let n = n as f64;
                libm::exp(n * libm::log(mean) - mean - libm::lgamma(n + 1.0))
            });
            assert!((terms.sum::<f64>() - 0.05).abs() < 1e-9, "{count}");
        }
    }
}
