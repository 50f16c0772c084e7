//! What makes a priority, and how far one party, and what was overturned, may move it.

use super::*;
use proptest::prelude::*;
use tocsin_model::{EvidenceCount, EvidenceKind, Milliseconds, PartyId, Scope, Weighing};

use crate::exposure::PARTY_EXPOSURE_MAX;
use crate::forecast::{Course, Model};
use crate::odds::{LABELS_PARTY_MAX, WATCH};
use crate::weight::WEIGHT_MIN;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn setting(calibration: &Calibration) -> Setting<'_> {
    Setting {
        verdict: None,
        watched: None,
        weights: Weights::FULL,
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
    let doubt = prop_oneof![Just(0.0), 0.0..=1.0 - WEIGHT_MIN];
    (since, prop::array::uniform13(any_count()), 0..9_u32, doubt).prop_map(|(since, counts, platforms, doubt)| {
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
            doubted: doubt * copies as f64,
        }
    })
}

fn any_weights() -> impl Strategy<Value = Weights> {
    prop::array::uniform6(0..100_u32).prop_map(|overturned| {
        let kinds = EvidenceKind::ALL.into_iter().zip(overturned);
        let counts = kinds.filter(|(_, overturned)| *overturned > 0);
        let weighing = Weighing {
            number: 1,
            scope: Scope::Coordinators,
            at: NOW,
            counts: counts
                .map(|(kind, overturned)| EvidenceCount {
                    kind,
                    stood: 10,
                    overturned,
                })
                .collect(),
        };
        Weights::of(Some(&weighing), NOW)
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
        weights in any_weights(),
    ) {
        let mut calibration = Calibration::new(&Model::SHIPPED);
        for outcome in outcomes {
            calibration.learn(&Model::SHIPPED, &Course { age: Milliseconds(600_000), last_5m: 9, last_30m: 9, last_3h: 9 }, outcome);
        }
        let watched = Severity::new(listed);
        let setting = Setting { verdict: decided, watched, weights, ..setting(&calibration) };
        let mut others = parties.clone();
        others.remove(place % parties.len());
        let (with, without) = (priority(&parties, setting), priority(&others, setting).priority);
        let cap = influence_cap(&others, setting);
        prop_assert!(with.priority.is_finite() && with.priority >= 0.0 && cap.is_finite(), "{with:?} {cap}");
        let slack = 1e-9 * (1.0 + without + cap.abs());
        prop_assert!(with.priority - without <= cap + slack, "{} from {without} with a cap of {cap}", with.priority);
    }

    /// At the very least half of the exposure, and of the log-odds of labels and watch list half of their most.
    #[test]
    fn what_was_overturned_lowers_within_its_bound_and_never_hides(
        parties in prop::collection::vec(any_party(), 1..6).prop_map(numbered),
        decided in prop_oneof![Just(None), Just(Some(Verdict::Benign)), Just(Some(Verdict::Violating))],
        listed in 0..5_u8,
        weights in any_weights(),
    ) {
        let calibration = Calibration::new(&Model::SHIPPED);
        let by_itself = Setting { verdict: decided, watched: Severity::new(listed), ..setting(&calibration) };
        let mut undoubted = parties.clone();
        undoubted.iter_mut().for_each(|said| said.doubted = 0.0);
        let full = priority(&undoubted, by_itself).priority;
        let lowered = priority(&parties, Setting { weights, ..by_itself });
        let most = WEIGHT_MIN * libm::exp(-(1.0 - WEIGHT_MIN) * (LABELS_MAX + WATCH));
        prop_assert!(lowered.priority <= full * (1.0 + 1e-9), "{lowered:?} above {full}");
        prop_assert!(lowered.priority >= full * most * (1.0 - 1e-9), "{lowered:?} hides {full}");
        let odds: f64 = lowered.terms.iter().take_while(|term| term.name != "probability").map(|term| term.value).sum();
        prop_assert_eq!(term(&lowered, "probability"), logistic(odds), "what is left out of the terms is nothing");
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
