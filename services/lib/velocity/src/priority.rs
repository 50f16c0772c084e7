use tocsin_model::{PriorityTerm, Timestamp, Verdict};

use crate::record::{HotRecord, Resolution, Signals};
use crate::trigger::total;

/// Log-odds that a family violates, before anything is known of it.
const PRIOR: f64 = -2.0;
/// What the mean confidence of the label `tvec` adds at 100 %.
const LABEL: f64 = 4.0;
/// What each doubling of the reports adds.
const REPORTS: f64 = 0.5;
/// What spread after a removal adds.
const AFTER_REMOVAL: f64 = 1.5;
/// What each platform beyond the first adds, up to three.
const PLATFORM: f64 = 0.5;
/// What a decision adds.
const VIOLATING: f64 = 6.0;
const BENIGN: f64 = -6.0;
const NEWSWORTHY: f64 = -3.0;

/// The next hour and what it is worth to act now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Priority {
    pub(crate) forecast_1h: f64,
    pub(crate) priority: f64,
    pub(crate) terms: Vec<PriorityTerm>,
}

/// Priority = probability that it violates x exposure that can still be prevented in the next hour.
///
/// The probability is a logistic function of a sum of documented log-odds. The exposure is the expected spread of the next hour times
/// the mean stated audience of a copy (1 where none is stated). The expected spread is the mean of the last quarter of an hour's pace and the last
/// hour's.
pub(crate) fn priority(records: &[&HotRecord], verdict: Option<Verdict>, now: Timestamp) -> Priority {
    let signals = records
        .iter()
        .fold(Signals::default(), |sum, record| sum.plus(record.signals));
    let mut platforms: Vec<_> = records
        .iter()
        .flat_map(|record| record.reach())
        .map(|entry| entry.platform)
        .collect();
    platforms.sort_unstable();
    platforms.dedup();

    let log_odds = [
        ("prior", PRIOR),
        ("label", LABEL * ratio(signals.tvec_sum, signals.tvec_count) / 100.0),
        ("reports", REPORTS * libm::log2(1.0 + signals.reports as f64)),
        (
            "spread_after_removal",
            if signals.spread_after_removal > 0 {
                AFTER_REMOVAL
            } else {
                0.0
            },
        ),
        ("platforms", PLATFORM * (platforms.len().clamp(1, 4) - 1) as f64),
        ("decision", verdict.map_or(0.0, decision_term)),
    ];
    let sum: f64 = log_odds.iter().map(|term| term.1).sum();
    let probability = 1.0 / (1.0 + libm::exp(-sum));

    let quarter = total(records, Resolution::Seconds5, 180, now) as f64;
    let hour = total(records, Resolution::Minute1, 60, now) as f64;
    let forecast_1h = (4.0 * quarter + hour) / 2.0;
    let audience = if signals.audience_count == 0 {
        1.0
    } else {
        ratio(signals.audience_sum, signals.audience_count)
    };

    let mut terms: Vec<PriorityTerm> = log_odds.into_iter().map(|(name, value)| term(name, value)).collect();
    terms.push(term("probability", probability));
    terms.push(term("forecast_1h", forecast_1h));
    terms.push(term("audience_per_copy", audience));
    Priority {
        forecast_1h,
        priority: probability * forecast_1h * audience,
        terms,
    }
}

fn decision_term(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Violating => VIOLATING,
        Verdict::Benign => BENIGN,
        Verdict::Newsworthy => NEWSWORTHY,
        Verdict::Disputed | Verdict::NeedsExpert => 0.0,
    }
}

fn ratio(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

fn term(name: &str, value: f64) -> PriorityTerm {
    PriorityTerm {
        name: name.to_owned(),
        value,
    }
}
