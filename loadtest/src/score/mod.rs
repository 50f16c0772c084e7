//! Alarms held to the truth: a verdict on each, and figures over any number of days.
//!
//! Figures are made of rows and of nothing else, and the rows are what is written out: whoever has the files can score again.
//!
//! * An alarm is **right**, **near** or **false** as [`crate::truth`] defines it. A second raise of a family within 24 h is a **repeat**, and
//!   false whatever it would be otherwise.
//! * A crisis is **alarmed** by its first right alarm. Re-uploads at the alarm are those that had happened by then, the one that rang included.
//!   A crisis that is missed has infinitely many, an infinite delay, and stays in every percentile.
//! * Alarms before the day begins are not scored, but a raise in the day that follows one within 24 h is a repeat.
//!
//! What this module does not do: it neither detects nor knows which detector is whose.
//!
//! Start reading at [`judge`], then [`Figures`]; the bounds of a rate are in `poisson`, those of a share and of a percentile in `binomial`.

mod binomial;
mod figures;
mod poisson;
mod row;
#[cfg(test)]
mod tests;

pub use binomial::{percentile_bounds95, share_lower95};
pub use figures::Figures;
pub use poisson::{lower95, upper95};
pub use row::{AlarmRow, Verdict};

use std::collections::BTreeMap;

use tocsin_model::{Milliseconds, Timestamp};

use crate::day::Family;
use crate::truth::Truth;

/// A raise of the same family within this time is a repeat.
pub const REPEAT_WITHIN: Milliseconds = Milliseconds::from_hours(24);

/// One raise of one family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// Which family.
    pub family: Family,
    /// When the detector rang: the time of receipt of what made it ring.
    pub at: Timestamp,
    /// The detector's score, in its own unit.
    pub score: f64,
    /// The threshold it reached.
    pub threshold: f64,
}

/// Whose alarms, and of which day.
#[derive(Clone, Copy, Debug)]
pub struct Judging<'a> {
    /// The day, as in the rows of the truth.
    pub day: u32,
    /// The name of the detector, without commas.
    pub detector: &'a str,
}

/// A verdict on every alarm of one detector on one day, in the order of their times. Alarms may come in any order.
pub fn judge(of: Judging<'_>, truth: &Truth, alarms: &[Alarm]) -> Vec<AlarmRow> {
    let mut alarms = alarms.to_vec();
    alarms.sort_by_key(|alarm| (alarm.at, alarm.family));
    let mut last_raised: BTreeMap<Family, Timestamp> = BTreeMap::new();
    let mut rows = Vec::new();
    for alarm in alarms {
        let before = last_raised.insert(alarm.family, alarm.at);
        if alarm.at < truth.judged().from {
            continue;
        }
        let verdict = if before.is_some_and(|before| alarm.at - before < REPEAT_WITHIN) {
            Verdict::Repeat
        } else if truth.is_right(alarm.family, alarm.at) {
            Verdict::Right
        } else if truth.is_near(alarm.family, alarm.at) {
            Verdict::Near
        } else {
            Verdict::False
        };
        let onset_at = truth.family(alarm.family).and_then(|listed| listed.onset_at);
        rows.push(AlarmRow {
            day: of.day,
            detector: of.detector.to_owned(),
            family: alarm.family,
            kind: alarm.family.kind(),
            at: alarm.at,
            reuploads: truth.reuploads_before(alarm.family, alarm.at),
            accounts: truth.accounts_before(alarm.family, alarm.at),
            verdict,
            delay: onset_at.map(|onset_at| alarm.at - onset_at),
            score: alarm.score,
            threshold: alarm.threshold,
        });
    }
    rows
}
