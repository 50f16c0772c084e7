//! What it is worth to act on a family now: the order of the queue.
//!
//! Priority = probability that it violates x exposure that can still be prevented in the next hour x severity.
//!
//! The probability is a logistic function of a sum of documented log-odds. What the events of one party add to each of them is bounded, and
//! what they add to the exposure is capped ([`exposure_cap`]), so a party that inflates a harmless content raises its priority by at most
//! [`influence_cap`] of what the others say. Without that cap a single party could fill the first places of everybody's queue.

use tocsin_model::{PartyInfluence, PriorityTerm, Severity, Timestamp, Verdict};

use crate::evidence::PartyEvidence;
use crate::exposure::{Exposure, exposure, held};
use crate::forecast::Calibration;
use crate::odds::{LABELS_MAX, LABELS_OVERTURNED, WATCH_OVERTURNED, labels, log_odds, logistic};
use crate::weight::Weights;

pub use crate::exposure::{PARTY_EXPOSURE_MAX, PARTY_EXPOSURE_TIMES, exposure_cap};
pub use crate::odds::PARTY_LOG_ODDS_MAX;

/// The severity of what all labels agree on; what no label speaks of has 1.
const SEVERITY_MAX: f64 = 2.0;

/// What priority depends on beside the parties' events.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// What people decided.
    pub verdict: Option<Verdict>,
    /// How grave the gravest member on the watch list is.
    pub watched: Option<Severity>,
    /// What evidence is worth to the team.
    pub weights: Weights,
    /// How forecasts turned out.
    pub calibration: &'a Calibration,
    /// The group's time.
    pub now: Timestamp,
}

/// What it is worth to act now, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Priority {
    /// Exposures to what violates in the next hour that can still be prevented, weighed by severity.
    pub priority: f64,
    /// The log-odds and the factors, in a fixed order.
    pub terms: Vec<PriorityTerm>,
    /// Each party's part.
    pub influence: Vec<PartyInfluence>,
}

/// The priority of a family of which the parties say this.
pub fn priority(evidence: &[PartyEvidence], setting: Setting<'_>) -> Priority {
    let odds = log_odds(evidence, setting);
    let probability = logistic(odds.iter().map(|term| term.1).sum());
    let capped = Capped::new(evidence, setting);
    let shown = &capped.shown;
    let severity = severity(evidence, setting.watched);
    let factors = [
        ("probability", probability),
        ("forecast_1h", shown.forecast_1h),
        ("posted_share", shown.posted_share),
        ("audience_per_copy", shown.audience_per_copy),
    ];
    let links = (shown.links_weight < 1.0).then_some(("links_weight", shown.links_weight));
    let live = (shown.live > 0.0).then_some(("live_exposure", shown.live));
    let weighed = [
        ("exposure", shown.total),
        ("exposure_counted", capped.counted),
        ("severity", severity),
    ];
    let is_shown = |term: &(&str, f64)| term.1 != 0.0 || ![LABELS_OVERTURNED, WATCH_OVERTURNED].contains(&term.0);
    let odds = odds.into_iter().filter(is_shown);
    let terms = odds.chain(factors).chain(links).chain(live).chain(weighed);
    let terms = terms.map(|(name, value)| PriorityTerm {
        name: name.into(),
        value,
    });
    Priority {
        priority: probability * capped.counted * severity,
        terms: terms.collect(),
        influence: capped.influence(evidence),
    }
}

/// The most that one further party, whatever it says, adds to the priority of a family of which the others say this.
///
/// It follows from the bounds alone: the log-odds rise by at most [`PARTY_LOG_ODDS_MAX`], the exposure is at most what the others show and
/// [`exposure_cap`] of it, and the severity is at most its maximum.
pub fn influence_cap(others: &[PartyEvidence], setting: Setting<'_>) -> f64 {
    let odds: f64 = log_odds(others, setting).iter().map(|term| term.1).sum();
    let shown = exposure(others.iter(), setting.calibration, setting.now).total;
    let severity_max = SEVERITY_MAX.max(severity(&[], setting.watched));
    let most = logistic(odds + PARTY_LOG_ODDS_MAX) * (shown + exposure_cap(shown)) * severity_max;
    most - priority(others, setting).priority
}

/// How grave, from 1: what the labels agree on, or what the watch list says if that is more.
pub fn severity(evidence: &[PartyEvidence], watched: Option<Severity>) -> f64 {
    let labelled = 1.0 + (SEVERITY_MAX - 1.0) * labels(evidence) / LABELS_MAX;
    labelled.max(watched.map_or(0.0, |severity| f64::from(severity.get())))
}

/// The exposure with the cap on what each party adds.
struct Capped {
    shown: Exposure,
    counted: f64,
    /// For each party, what the others show.
    without: Vec<f64>,
    /// The place of the party that the cap holds back most.
    tightest: Option<usize>,
}

impl Capped {
    /// Whatever one party adds to what the others show is held below the cap; of all parties the one that is held most decides.
    fn new(evidence: &[PartyEvidence], setting: Setting<'_>) -> Self {
        let shown = exposure(evidence.iter(), setting.calibration, setting.now);
        let mut capped = Capped {
            counted: shown.total,
            shown,
            without: Vec::with_capacity(evidence.len()),
            tightest: None,
        };
        for place in 0..evidence.len() {
            let others = evidence[..place].iter().chain(&evidence[place + 1..]);
            let others = exposure(others, setting.calibration, setting.now).total;
            let counted = counted(shown.total, others);
            if counted < capped.counted {
                (capped.counted, capped.tightest) = (counted, Some(place));
            }
            capped.without.push(others);
        }
        capped
    }

    fn influence(&self, evidence: &[PartyEvidence]) -> Vec<PartyInfluence> {
        let hour = |place: usize| evidence[place].last_1h as f64;
        let sum_without = |left_out: Option<usize>| -> f64 {
            let counted = (0..evidence.len()).filter(|place| Some(*place) != left_out);
            counted.map(hour).sum()
        };
        let (all, all_others) = (sum_without(None), sum_without(self.tightest));
        let share = |place: usize, of: f64| if of > 0.0 { hour(place) / of } else { 0.0 };
        let party = |place: usize| {
            let counted_share = match self.tightest {
                None => share(place, all),
                Some(tightest) => {
                    let others = (self.without[tightest] / self.counted).clamp(0.0, 1.0);
                    if place == tightest {
                        1.0 - others
                    } else {
                        others * share(place, all_others)
                    }
                }
            };
            PartyInfluence {
                party: evidence[place].party,
                share: share(place, all),
                counted_share,
                capped: counted(self.shown.total, self.without[place]) < self.shown.total,
            }
        };
        (0..evidence.len()).map(party).collect()
    }
}

/// What counts of an exposure of which all but one party show `others`.
fn counted(shown: f64, others: f64) -> f64 {
    let added = shown - others;
    let cap = exposure_cap(others);
    // What is not held is said without rounding.
    if added <= cap / 2.0 {
        shown
    } else {
        others + held(added, cap)
    }
}

#[cfg(test)]
mod tests;
