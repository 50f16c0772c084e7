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
use crate::odds::{LABELS_MAX, labels, log_odds, logistic};

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
    let live = (shown.live > 0.0).then_some(("live_exposure", shown.live));
    let weighed = [
        ("exposure", shown.total),
        ("exposure_counted", capped.counted),
        ("severity", severity),
    ];
    let terms = odds.into_iter().chain(factors).chain(live).chain(weighed);
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

/// What the labels agree on, or what the watch list says if that is more.
fn severity(evidence: &[PartyEvidence], watched: Option<Severity>) -> f64 {
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tocsin_model::{Milliseconds, PartyId};

    use crate::exposure::PARTY_EXPOSURE_MAX;
    use crate::forecast::{Course, Model};
    use crate::odds::{LABELS_PARTY_MAX, WATCH};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn setting(calibration: &Calibration) -> Setting<'_> {
        Setting {
            verdict: None,
            watched: None,
            calibration,
            now: NOW,
        }
    }

    /// A party of which so many copies came in the last half hour, half of them blocked.
    fn party(number: u16, copies: u64) -> PartyEvidence {
        PartyEvidence {
            since: Some(Timestamp(NOW.0 - 1_800_000)),
            last_5m: copies / 6,
            last_30m: copies,
            last_3h: copies,
            last_1h: copies,
            posted_1h: copies / 2,
            copies,
            posted: copies / 2,
            platforms: 1,
            ..PartyEvidence::nothing(PartyId(number))
        }
    }

    fn of(evidence: &[PartyEvidence]) -> Priority {
        priority(evidence, setting(&Calibration::new(&Model::SHIPPED)))
    }

    fn term(priority: &Priority, name: &str) -> f64 {
        priority.terms.iter().find(|term| term.name == name).unwrap().value
    }

    #[test]
    fn the_terms_make_the_priority() {
        let said = [
            PartyEvidence {
                label_percent: 1_500,
                reports: 3,
                audience_sum: 4_000,
                audience_count: 40,
                after_removal: 7,
                ..party(1, 60)
            },
            party(2, 60),
        ];
        let priority = of(&said);
        let names: Vec<&str> = priority.terms.iter().map(|term| &*term.name).collect();
        assert_eq!(
            names,
            [
                "prior",
                "labels",
                "watch",
                "reports",
                "spread_after_removal",
                "synchrony",
                "decision",
                "probability",
                "forecast_1h",
                "posted_share",
                "audience_per_copy",
                "exposure",
                "exposure_counted",
                "severity"
            ]
        );
        let odds: f64 = priority.terms[..7].iter().map(|term| term.value).sum();
        assert_eq!(term(&priority, "probability"), logistic(odds));
        assert_eq!(
            ["labels", "reports", "spread_after_removal", "synchrony"].map(|name| term(&priority, name)),
            [LABELS_PARTY_MAX, 1.0, 1.5, 0.5]
        );
        assert_eq!(term(&priority, "audience_per_copy"), 100.0);
        assert!((term(&priority, "posted_share") - 61.0 / 121.0).abs() < 1e-12);
        let product = ["probability", "exposure_counted", "severity"].map(|name| term(&priority, name));
        assert_eq!(priority.priority, product.iter().product::<f64>());
        let shown = ["forecast_1h", "posted_share", "audience_per_copy"].map(|name| term(&priority, name));
        assert_eq!(term(&priority, "exposure"), shown.iter().product::<f64>());
    }

    #[test]
    fn blocked_uploads_expose_nobody() {
        let posted = PartyEvidence {
            posted_1h: 600,
            ..party(1, 600)
        };
        let blocked = PartyEvidence {
            posted_1h: 0,
            ..party(1, 600)
        };
        let ratio = of(&[posted]).priority / of(&[blocked]).priority;
        assert!(ratio > 500.0, "{ratio}");
    }

    #[test]
    fn a_few_labels_among_many_copies_say_nothing_and_many_say_much() {
        let labelled = |percent| PartyEvidence {
            label_percent: percent,
            ..party(1, 1_000)
        };
        assert_eq!(term(&of(&[labelled(0)]), "labels"), 0.0);
        assert_eq!(term(&of(&[labelled(90)]), "labels"), 0.0, "one in a thousand");
        assert!(term(&of(&[labelled(25_000)]), "labels") >= 2.4);
        let (quiet, loud) = (of(&[party(1, 1_000)]), of(&[labelled(25_000)]));
        assert!(loud.priority > 5.0 * quiet.priority);
    }

    #[test]
    fn what_millions_see_is_reported_by_some_and_that_says_nothing() {
        let reported = |copies: u64, reports| {
            let said = PartyEvidence {
                reports,
                posted: copies,
                ..party(1, copies)
            };
            term(&of(&[said]), "reports")
        };
        assert_eq!([reported(100_000, 0), reported(100_000, 900)], [0.0; 2]);
        assert!((0.3..1.0).contains(&reported(100, 2)), "{}", reported(100, 2));
        assert_eq!([reported(10, 1), reported(100_000, 9_000)], [1.0; 2]);
    }

    #[test]
    fn verdicts_lower_and_never_hide() {
        let said = [party(1, 100)];
        let calibration = Calibration::new(&Model::SHIPPED);
        let of = |verdict| {
            let setting = Setting {
                verdict,
                ..setting(&calibration)
            };
            priority(&said, setting).priority
        };
        let [none, violating, benign, newsworthy] = [
            None,
            Some(Verdict::Violating),
            Some(Verdict::Benign),
            Some(Verdict::Newsworthy),
        ]
        .map(of);
        assert!(0.0 < benign && benign < newsworthy && newsworthy < none && none < violating);
    }

    #[test]
    fn what_is_watched_ranks_higher_by_a_term_and_by_its_severity() {
        let said = [party(1, 100)];
        let calibration = Calibration::new(&Model::SHIPPED);
        let of = |severity| {
            let setting = Setting {
                watched: Severity::new(severity),
                ..setting(&calibration)
            };
            priority(&said, setting)
        };
        let [none, mild, grave] = [0, 1, 4].map(of);
        assert_eq!(
            [&none, &mild, &grave].map(|priority| term(priority, "watch")),
            [0.0, WATCH, WATCH]
        );
        assert_eq!(
            [&none, &mild, &grave].map(|priority| term(priority, "severity")),
            [1.0, 1.0, 4.0]
        );
        assert!(mild.priority > 5.0 * none.priority && grave.priority == 4.0 * mild.priority);
    }

    #[test]
    fn a_party_that_shows_most_of_it_is_capped_and_said_to_be() {
        let inflating = PartyEvidence {
            audience_sum: 1_000_000,
            audience_count: 100,
            ..party(1, 10_000)
        };
        let priority = of(&[inflating, party(2, 100)]);
        let [first, second] = priority.influence[..] else {
            panic!("{:?}", priority.influence)
        };
        assert!(first.capped && !second.capped, "{:?}", priority.influence);
        assert!(first.share > 0.98 && first.counted_share < 0.999, "{first:?}");
        assert!((first.counted_share + second.counted_share - 1.0).abs() < 1e-9);
        assert!(term(&priority, "exposure_counted") < 0.01 * term(&priority, "exposure"));
        let even = of(&[party(1, 100), party(2, 100)]);
        assert!(
            even.influence
                .iter()
                .all(|party| !party.capped && party.counted_share == 0.5)
        );
    }

    #[test]
    fn a_larger_spread_stays_above_a_smaller_one_where_only_one_party_reports() {
        let mut before = 0.0;
        for copies in [10, 100, 1_000, 10_000, 100_000, 1_000_000] {
            let priority = of(&[party(1, copies)]).priority;
            assert!(priority > before, "{copies} copies: {priority} after {before}");
            before = priority;
        }
        assert!(before <= PARTY_EXPOSURE_MAX);
    }

    fn any_count() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(u64::MAX), 0..100_u64, 0..100_000_000_u64]
    }

    fn any_party() -> impl Strategy<Value = PartyEvidence> {
        let since = prop_oneof![
            Just(None),
            Just(Some(i64::MIN)),
            (-90_000_000..1_000_000_i64).prop_map(Some)
        ];
        (since, prop::array::uniform13(any_count()), 0..9_u32).prop_map(|(since, counts, platforms)| {
            let [
                last_5m,
                last_30m,
                last_3h,
                last_1h,
                posted_1h,
                copies,
                audience_sum,
                audience_count,
                label_percent,
                reports,
                after_removal,
                live_viewers,
                posted,
            ] = counts;
            PartyEvidence {
                party: PartyId(0),
                since: since.map(|after| Timestamp(NOW.0.saturating_add(after))),
                last_5m,
                last_30m,
                last_3h,
                last_1h,
                posted_1h: posted_1h.min(last_1h),
                copies,
                posted: posted.min(copies),
                audience_sum,
                audience_count,
                label_percent,
                reports,
                after_removal,
                platforms,
                live_viewers,
            }
        })
    }

    fn numbered(mut parties: Vec<PartyEvidence>) -> Vec<PartyEvidence> {
        for (number, said) in parties.iter_mut().enumerate() {
            said.party = PartyId(number as u16);
        }
        parties
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_party_raises_a_priority_by_more_than_its_cap(
            parties in prop::collection::vec(any_party(), 1..6).prop_map(numbered),
            decided in prop_oneof![Just(None), Just(Some(Verdict::Benign)), Just(Some(Verdict::Violating))],
            outcomes in prop::collection::vec(0..100_000_u64, 0..20),
            place in 0..6_usize,
            listed in 0..5_u8,
        ) {
            let mut calibration = Calibration::new(&Model::SHIPPED);
            for outcome in outcomes {
                calibration.learn(&Model::SHIPPED, &Course { age: Milliseconds(600_000), last_5m: 9, last_30m: 9, last_3h: 9 }, outcome);
            }
            let watched = Severity::new(listed);
            let setting = Setting { verdict: decided, watched, ..setting(&calibration) };
            let mut others = parties.clone();
            others.remove(place % parties.len());
            let (with, without) = (priority(&parties, setting), priority(&others, setting).priority);
            let cap = influence_cap(&others, setting);
            prop_assert!(with.priority.is_finite() && with.priority >= 0.0 && cap.is_finite(), "{with:?} {cap}");
            let slack = 1e-9 * (1.0 + without + cap.abs());
            prop_assert!(with.priority - without <= cap + slack, "{} from {without} with a cap of {cap}", with.priority);
        }

        #[test]
        fn shares_are_parts_of_one(parties in prop::collection::vec(any_party(), 1..6).prop_map(numbered)) {
            let priority = of(&parties);
            let all: u64 = parties.iter().map(|said| u64::from(said.last_1h > 0)).sum();
            let sums = priority.influence.iter().fold([0.0, 0.0], |[shares, counted], party| {
                [shares + party.share, counted + party.counted_share]
            });
            for sum in sums {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&sum), "{:?}", priority.influence);
            }
            prop_assert!(all == 0 || (sums[0] - 1.0).abs() < 1e-9);
        }
    }
}
