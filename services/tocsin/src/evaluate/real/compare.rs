use serde_json::{Value, json};

use super::super::leak;
use super::matching::{Aim, Match};
use super::play::{Content, Detector, Half, Origin, Played, TOCSIN};
use crate::rehearsal::Figures;

/// A rival with fewer false alarms than this is not compared by a ratio: it would be one of chance.
const FALSE_ALARMS_MIN: u64 = 10;
/// What is a spike already rings at every threshold; no other score reaches this.
const THRESHOLD_MAX: f64 = 99.0;

/// The place of the shipped parameters.
pub(super) const SHIPPED: usize = 0;

/// How good alarms were.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) positives: u64,
    pub(super) alarmed: u64,
    /// About real contents that are not positive.
    pub(super) false_alarms: u64,
    /// About contents of the background that would not be.
    pub(super) background_false_alarms: u64,
    /// Of each positive that was alarmed, ascending.
    shares: Vec<u32>,
}

impl Measured {
    /// Of the contents of one half, or of all.
    pub(super) fn of<'a>(
        contents: impl IntoIterator<Item = (usize, &'a Content)>,
        positive: u32,
        shares_at_alarm: impl Fn(usize, &Content) -> Option<u32>,
    ) -> Self {
        let mut measured = Measured::default();
        for (place, content) in contents {
            let is_positive = content.busiest_day >= positive;
            let alarm = shares_at_alarm(place, content);
            match (content.origin, is_positive) {
                (Origin::Real, true) => {
                    measured.positives += 1;
                    measured.alarmed += u64::from(alarm.is_some());
                    measured.shares.extend(alarm);
                }
                (Origin::Real, false) => measured.false_alarms += u64::from(alarm.is_some()),
                (Origin::Background, true) => {}
                (Origin::Background, false) => measured.background_false_alarms += u64::from(alarm.is_some()),
            }
        }
        measured.shares.sort_unstable();
        measured
    }

    fn recall(&self) -> Option<f64> {
        (self.positives > 0).then(|| self.alarmed as f64 / self.positives as f64)
    }

    /// Half of the alarmed positives had so many shares, or fewer, by their alarm.
    pub(super) fn shares_p50(&self) -> Option<u32> {
        self.shares.get(self.shares.len().saturating_sub(1) / 2).copied()
    }

    fn insert(&self, figures: &mut Figures, prefix: &str) {
        for (name, value) in [
            ("recall", json!(self.recall())),
            ("false_alarms", json!(self.false_alarms)),
            ("background_false_alarms", json!(self.background_false_alarms)),
            ("shares_at_alarm_p50", json!(self.shares_p50())),
        ] {
            insert(figures, format!("{prefix}{name}"), value);
        }
    }
}

/// Every figure of a set.
pub(super) fn figures(played: &Played, matches: &[Match], positive: u32) -> Figures {
    let mut figures = Figures::new();
    let all = || played.contents.iter().enumerate();
    let real = || played.contents.iter().filter(|content| content.origin == Origin::Real);
    for detector in &played.detectors {
        let prefix = match detector.name {
            TOCSIN => String::new(),
            name => format!("{name}_"),
        };
        let alarmed = |place: usize, _: &Content| Some(detector.alarms.get(&place)?.shares);
        let measured = Measured::of(all(), positive, alarmed);
        measured.insert(&mut figures, &prefix);
        if detector.name == TOCSIN {
            insert(&mut figures, "positives".to_owned(), json!(measured.positives));
        } else if is_rival(detector) {
            for aim in Aim::ALL {
                let mut of_rival = matches.iter().filter(|matched| matched.rival == detector.name);
                let matched = of_rival.find(|matched| matched.aim == aim);
                against(&mut figures, played, positive, (detector, &measured), (aim, matched));
            }
        }
    }
    let tocsin = &played.detectors[0];
    let otherwise = all().filter(|(place, content)| {
        let expected = content.rings_at(SHIPPED, played.candidates[SHIPPED].threshold);
        expected.map(|alarm| alarm.at) != tocsin.alarms.get(place).map(|alarm| alarm.at)
    });
    for (name, value) in [
        ("contents", json!(real().count())),
        ("threshold", json!(played.candidates[SHIPPED].threshold)),
        ("events", json!(played.events - played.background_events)),
        ("background_events", json!(played.background_events)),
        ("background_contents", json!(played.background_contents)),
        // The scores that are swept say of every content when it is raised, and here is how often they were wrong.
        ("raised_otherwise_than_scored", json!(otherwise.count())),
    ] {
        insert(&mut figures, name.to_owned(), value);
    }
    figures
}

/// The same rule with exact counts is no rival.
pub(super) fn is_rival(detector: &Detector) -> bool {
    tocsin_loadtest::rival::all()
        .iter()
        .any(|rival| rival.name() == detector.name)
}

pub(super) fn of_half(played: &Played, half: Half) -> impl Iterator<Item = (usize, &Content)> {
    let numbered = played.contents.iter().enumerate();
    numbered.filter(move |(_, content)| content.half == half)
}

pub(super) fn of_rival(played: &Played, half: Half, positive: u32, rival: &Detector) -> Measured {
    Measured::of(of_half(played, half), positive, |place, _| {
        Some(rival.alarms.get(&place)?.shares)
    })
}

pub(super) fn of_match(played: &Played, half: Half, positive: u32, matched: &Match) -> Measured {
    Measured::of(of_half(played, half), positive, |_, content| {
        Some(content.rings_at(matched.candidate, matched.threshold)?.shares)
    })
}

/// Of each positive that both are alarmed by: how many shares later Tocsin is, ascending, below zero where it is earlier. The medians of each detector alone are of other
/// contents: one that alarms more of them has those that are harder to see among its own.
fn later_of_both(played: &Played, half: Half, positive: u32, (rival, matched): (&Detector, &Match)) -> Vec<i64> {
    let of_both = of_half(played, half).filter_map(|(place, content)| {
        let is_positive = content.origin == Origin::Real && content.busiest_day >= positive;
        let theirs = rival.alarms.get(&place).filter(|_| is_positive)?.shares;
        let ours = content.rings_at(matched.candidate, matched.threshold)?.shares;
        Some(i64::from(ours) - i64::from(theirs))
    });
    let mut later: Vec<i64> = of_both.collect();
    later.sort_unstable();
    later
}

/// Tocsin beside a rival on the second half.
fn against(
    figures: &mut Figures,
    played: &Played,
    positive: u32,
    (rival, overall): (&Detector, &Measured),
    (aim, matched): (Aim, Option<&Match>),
) {
    let (name, aim) = (rival.name, aim.prefix());
    insert(
        figures,
        format!("{aim}threshold_vs_{name}"),
        json!(matched.map(|matched| matched.threshold.min(THRESHOLD_MAX))),
    );
    let Some(matched) = matched else { return };
    let parameters = &played.candidates[matched.candidate];
    for (parameter, value) in [
        ("copies_min", parameters.copies_min),
        ("growth_max", parameters.growth_max),
        ("synchrony_max", parameters.synchrony_max),
        ("pace_max", parameters.pace_max),
    ] {
        insert(figures, format!("{aim}{parameter}_vs_{name}"), json!(value));
    }
    let tocsin = of_match(played, Half::Second, positive, matched);
    let later = later_of_both(played, Half::Second, positive, (rival, matched));
    let rival = of_rival(played, Half::Second, positive, rival);
    tocsin.insert(figures, &format!("{aim}second_half_vs_{name}_"));
    rival.insert(figures, &format!("second_half_{name}_"));
    insert(
        figures,
        format!("{aim}second_half_vs_{name}_alarmed_by_both"),
        json!(later.len()),
    );
    insert(
        figures,
        format!("{aim}second_half_vs_{name}_shares_later_p50"),
        json!(later.get(later.len().saturating_sub(1) / 2)),
    );
    for (prefix, ours, theirs, counted) in [
        ("", tocsin.false_alarms, rival.false_alarms, overall.false_alarms),
        (
            "background_",
            tocsin.background_false_alarms,
            rival.background_false_alarms,
            overall.background_false_alarms,
        ),
    ] {
        if counted >= FALSE_ALARMS_MIN {
            let ratio = (theirs > 0).then(|| ours as f64 / theirs as f64);
            insert(
                figures,
                format!("{aim}{prefix}false_alarm_ratio_vs_{name}"),
                json!(ratio),
            );
        }
    }
}

fn insert(figures: &mut Figures, name: String, value: Value) {
    figures.insert(leak(name), value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashMap;

    use tocsin_model::Timestamp;
    use tocsin_velocity::TriggerParameters;

    use super::super::matching::matches;
    use super::super::play::{Alarm, Step};
    use super::*;

    /// With so many shares in its busiest day; the rule reaches these thresholds at these shares.
    fn content(half: Half, busiest_day: u32, steps: &[(u32, f64)]) -> Content {
        let step = |&(shares, threshold): &(u32, f64)| Step {
            candidate: 0,
            at: Timestamp(i64::from(shares)),
            shares,
            threshold,
        };
        Content {
            half,
            shares: busiest_day,
            busiest_day,
            steps: steps.iter().map(step).collect(),
            ..Content::default()
        }
    }

    /// Everything twice, once in each half. The rival rings at the tenth share of all of them.
    fn played(contents: &[(u32, &[(u32, f64)])]) -> Played {
        let of_half = |half: Half| contents.iter().map(move |(day, steps)| content(half, *day, steps));
        let contents: Vec<Content> = of_half(Half::First).chain(of_half(Half::Second)).collect();
        let at = |shares: u32| Alarm {
            at: Timestamp(i64::from(shares)),
            shares,
        };
        let tocsin = contents.iter().enumerate();
        let tocsin = tocsin.filter_map(|(place, content)| Some((place, content.rings_at(SHIPPED, 5.0)?)));
        let ten = (0..contents.len()).map(|place| (place, at(10)));
        Played {
            detectors: vec![
                Detector {
                    name: TOCSIN,
                    alarms: tocsin.collect(),
                },
                Detector {
                    name: "ten_in_5_min",
                    alarms: ten.collect(),
                },
            ],
            contents,
            candidates: vec![TriggerParameters {
                threshold: 5.0,
                ..TriggerParameters::SHIPPED
            }],
            events: 100,
            background_events: 0,
            background_contents: 0,
        }
    }

    fn figures_of(played: &Played) -> Figures {
        figures(played, &matches(played, 20), 20)
    }

    #[test]
    fn of_several_parameters_those_with_the_fewest_false_alarms_match() {
        let mut played = played(&[(20, &[(8, 6.0)]), (19, &[(10, 7.0)])]);
        played.candidates.push(TriggerParameters {
            growth_max: 0.0,
            ..played.candidates[0]
        });
        for content in &mut played.contents {
            let other = Step {
                candidate: 1,
                threshold: if content.busiest_day >= 20 { 3.0 } else { 2.0 },
                ..content.steps[0]
            };
            content.steps.push(other);
        }
        let found = matches(&played, 20);
        let expected = Aim::ALL.map(|aim| Match {
            rival: "ten_in_5_min",
            aim,
            candidate: 1,
            threshold: 3.0,
        });
        assert_eq!(found, expected);
        let figures = figures(&played, &found, 20);
        assert_eq!(figures["growth_max_vs_ten_in_5_min"], json!(0.0));
        assert_eq!(figures["second_half_vs_ten_in_5_min_false_alarms"], 0);
    }

    #[test]
    fn a_rival_is_compared_at_its_recall_and_no_more_shares() {
        // Two positives, of which the second needs a threshold of 4; five others, of which one reaches it.
        let mut contents: Vec<(u32, &[(u32, f64)])> =
            vec![(20, &[(8, 4.5), (12, 6.0)]), (30, &[(9, 4.0), (11, f64::INFINITY)])];
        contents.push((19, &[(10, 4.0)]));
        contents.extend([(19, [(10, 3.9)].as_slice()); 4]);
        let figures = figures_of(&played(&contents));
        let figure = |name: &str| figures[name].as_f64().unwrap();
        assert_eq!((figure("contents"), figure("positives")), (14.0, 4.0));
        assert_eq!((figure("recall"), figure("false_alarms")), (1.0, 0.0), "at 5");
        assert_eq!(figure("shares_at_alarm_p50"), 11.0);
        assert_eq!(figure("ten_in_5_min_false_alarms"), 10.0);
        // At 6 and at 4.5 both are alarmed too, but in the median not before the eleventh share and the eighth.
        assert_eq!(figure("threshold_vs_ten_in_5_min"), 4.5);
        assert_eq!(figure("second_half_vs_ten_in_5_min_recall"), 1.0);
        assert_eq!(figure("second_half_vs_ten_in_5_min_shares_at_alarm_p50"), 8.0);
        // The first after its eighth share and the second after its eleventh, the rule after the tenth of both.
        assert_eq!(figure("second_half_vs_ten_in_5_min_alarmed_by_both"), 2.0);
        assert_eq!(figure("second_half_vs_ten_in_5_min_shares_later_p50"), -2.0);
        assert_eq!(figure("false_alarm_ratio_vs_ten_in_5_min"), 0.0);
        assert_eq!(figure("same_recall_threshold_vs_ten_in_5_min"), 6.0, "however late");
        assert_eq!(
            figure("same_recall_second_half_vs_ten_in_5_min_shares_at_alarm_p50"),
            11.0
        );
        assert_eq!(figure("raised_otherwise_than_scored"), 0.0);
        assert!(!figures.contains_key("background_false_alarm_ratio_vs_ten_in_5_min"));
    }

    #[test]
    fn few_false_alarms_are_only_counted_and_late_rules_match_nobody() {
        let figures = figures_of(&played(&[(20, &[(11, 9.0)]), (19, &[(10, 9.5)])]));
        assert_eq!(figures["ten_in_5_min_false_alarms"], 2);
        assert_eq!(figures["threshold_vs_ten_in_5_min"], Value::Null);
        assert_eq!(figures["false_alarms"], 2, "both halves");
        assert!(!figures.contains_key("false_alarm_ratio_vs_ten_in_5_min"));
    }

    #[test]
    fn nothing_at_all_gives_no_figure_that_is_no_number() {
        let nothing = Played {
            contents: Vec::new(),
            detectors: vec![Detector {
                name: TOCSIN,
                alarms: HashMap::new(),
            }],
            candidates: vec![TriggerParameters {
                threshold: 5.0,
                ..TriggerParameters::SHIPPED
            }],
            events: 0,
            background_events: 0,
            background_contents: 0,
        };
        let figures = figures_of(&nothing);
        assert_eq!(
            (&figures["recall"], &figures["false_alarms"]),
            (&Value::Null, &json!(0))
        );
    }
}
