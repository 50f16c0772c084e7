use super::draw::Draw;

/// How often something happens, as a function of the seconds since it began. Its arrivals are a Poisson process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    /// The same at all times, per second.
    Constant(f64),
    /// From `first` per second, doubling every `doubling_s`, never above `cap`.
    Doubling { first: f64, doubling_s: f64, cap: f64 },
    /// `total` in all; the rate decays exponentially with this mean age in seconds.
    Decaying { total: f64, mean_age_s: f64 },
}

impl Rate {
    /// The time of the next arrival after `after` seconds; `None` when there is none any more.
    ///
    /// Inverts the cumulated rate: the cumulated rate at arrivals is a unit Poisson process (Cinlar, 1975).
    pub(crate) fn next(self, after: f64, draw: &mut Draw) -> Option<f64> {
        let at = self.inverse(self.cumulated(after) + draw.exponential())?;
        at.is_finite().then_some(at)
    }

    fn cumulated(self, at: f64) -> f64 {
        match self {
            Rate::Constant(rate) => rate * at,
            Rate::Doubling { first, doubling_s, cap } => {
                let growth = std::f64::consts::LN_2 / doubling_s;
                let capped_at = libm::log(cap / first) / growth;
                first / growth * libm::expm1(growth * at.min(capped_at)) + cap * (at - capped_at).max(0.0)
            }
            Rate::Decaying { total, mean_age_s } => -total * libm::expm1(-at / mean_age_s),
        }
    }

    fn inverse(self, count: f64) -> Option<f64> {
        match self {
            Rate::Constant(rate) => (rate > 0.0).then(|| count / rate),
            Rate::Doubling { first, doubling_s, cap } => {
                let growth = std::f64::consts::LN_2 / doubling_s;
                let capped_at = libm::log(cap / first) / growth;
                let before_cap = self.cumulated(capped_at);
                Some(if count <= before_cap {
                    libm::log1p(count * growth / first) / growth
                } else {
                    capped_at + (count - before_cap) / cap
                })
            }
            Rate::Decaying { total, mean_age_s } => (count < total).then(|| -mean_age_s * libm::log1p(-count / total)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Draw, Rate};

    #[test]
    fn the_inverse_undoes_the_sum() {
        for rate in [
            Rate::Constant(30.0),
            Rate::Doubling {
                first: 0.5,
                doubling_s: 8.0,
                cap: 20.0,
            },
            Rate::Decaying {
                total: 200.0,
                mean_age_s: 30.0,
            },
        ] {
            for at in [0.0, 1.0, 10.0, 42.0, 43.0, 60.0] {
                let back = rate.inverse(rate.cumulated(at)).expect("the rate has not ended");
                assert!((back - at).abs() < 1e-6, "{rate:?} at {at}: {back}");
            }
        }
    }

    #[test]
    fn a_rate_doubles_and_a_burst_ends() {
        let doubling = Rate::Doubling {
            first: 1.0,
            doubling_s: 10.0,
            cap: 1_000.0,
        };
        let count = |from, to| doubling.cumulated(to) - doubling.cumulated(from);
        assert!((count(20.0, 30.0) / count(10.0, 20.0) - 2.0).abs() < 1e-9);
        let mut draw = Draw::of(7, "test", 0);
        let burst = Rate::Decaying {
            total: 50.0,
            mean_age_s: 5.0,
        };
        let arrivals = std::iter::successors(burst.next(0.0, &mut draw), |at| burst.next(*at, &mut draw)).count();
        assert!((20..100).contains(&arrivals), "{arrivals}");
    }
}
