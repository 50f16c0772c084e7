use super::sample::Sample;

/// A forecast that anyone would try first. All are fitted in the same folds.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    /// For people.
    pub title: &'static str,
    pub mape: &'static str,
    pub median_ape: &'static str,
    law: Law,
}

#[derive(Clone, Copy, Debug)]
enum Law {
    /// Nothing more comes.
    Nothing,
    /// The pace of the last five minutes goes on: the best of 5, 10, 15 and 30 minutes.
    RecentRate,
    /// The logarithm of the next hour's spread is that of the last hour, and a constant.
    LastHour,
    /// The logarithm of the next hour's spread is a line in that of the last hour.
    LastHourLine,
    /// The logarithm of the next hour's spread is that of the last half hour, and a constant.
    LastHalfHour,
}

/// Persistence, recent rate, log constant, log regression.
pub const FLOORS: [Rival; 4] = [
    Rival {
        title: "nothing more comes",
        mape: "mape_persistence",
        median_ape: "median_ape_persistence",
        law: Law::Nothing,
    },
    Rival {
        title: "the pace of the last 5 minutes goes on",
        mape: "mape_recent_rate",
        median_ape: "median_ape_recent_rate",
        law: Law::RecentRate,
    },
    Rival {
        title: "the last hour, times a constant",
        mape: "mape_log_constant",
        median_ape: "median_ape_log_constant",
        law: Law::LastHour,
    },
    Rival {
        title: "a regression on the last hour",
        mape: "mape_log_regression",
        median_ape: "median_ape_log_regression",
        law: Law::LastHourLine,
    },
];

/// Not a floor, and hard to beat: it knows that the last half hour says more than the hour.
pub const HALF_HOUR: Rival = Rival {
    title: "the last half hour, times a constant",
    mape: "mape_half_hour_constant",
    median_ape: "median_ape_half_hour_constant",
    law: Law::LastHalfHour,
};

impl Rival {
    /// The forecast of the next hour's spread, with what is fitted on `seen`.
    pub fn fitted(&self, seen: &[Sample]) -> Box<dyn Fn(&Sample) -> f64> {
        let hour = |sample: &Sample| log(sample.last_hour);
        let half_hour = |sample: &Sample| log(sample.course.last_30m);
        match self.law {
            Law::Nothing => Box::new(|_| 0.0),
            Law::RecentRate => Box::new(|sample| 12.0 * sample.course.last_5m as f64),
            Law::LastHour => {
                let constant = mean(seen, |sample| log(sample.came) - hour(sample));
                Box::new(move |sample| (constant + hour(sample)).exp())
            }
            Law::LastHourLine => {
                let (from, to) = (mean(seen, hour), mean(seen, |sample| log(sample.came)));
                let together = mean(seen, |sample| (hour(sample) - from) * (log(sample.came) - to));
                let slope = together / mean(seen, |sample| (hour(sample) - from).powi(2));
                Box::new(move |sample| (to + slope * (hour(sample) - from)).exp())
            }
            Law::LastHalfHour => {
                let constant = mean(seen, |sample| log(sample.came) - half_hour(sample));
                Box::new(move |sample| (constant + half_hour(sample)).exp())
            }
        }
    }
}

fn mean(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(of).sum::<f64>() / samples.len() as f64
}

fn log(count: u64) -> f64 {
    (count as f64 + 0.5).ln()
}
