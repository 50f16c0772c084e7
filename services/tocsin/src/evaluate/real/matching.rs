use super::compare::{Measured, is_rival, of_half, of_match, of_rival};
use super::play::{Detector, Half, Origin, Played};

/// What of a rival is matched on the first half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// No less recall, and no more shares at the alarm.
    RecallAndShares,
    /// No less recall, however late.
    Recall,
}

impl Aim {
    pub(super) const ALL: [Aim; 2] = [Aim::RecallAndShares, Aim::Recall];

    /// What the names of its figures and parameters begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Aim::RecallAndShares => "",
            Aim::Recall => "same_recall_",
        }
    }
}

/// The parameters at which Tocsin is compared with a rival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) rival: &'static str,
    pub(super) aim: Aim,
    /// The place of the parameters but their threshold.
    pub(super) candidate: usize,
    pub(super) threshold: f64,
}

/// At this threshold, and at every lower one until its next, a positive is alarmed with so many shares.
#[derive(Clone, Copy, Debug)]
struct Reached {
    threshold: f64,
    shares: u32,
    /// With how many at the threshold above; `None` where that does not alarm it.
    before: Option<u32>,
}

/// For each rival that is matched on the first half at all, what matches it there with the fewest false alarms: see the module's beginning.
pub(super) fn matches(played: &Played, positive: u32) -> Vec<Match> {
    let candidates = 0..played.candidates.len();
    let descents: Vec<Vec<Reached>> = candidates.map(|place| descent(played, positive, place)).collect();
    let rivals = played.detectors.iter().filter(|detector| is_rival(detector));
    rivals
        .flat_map(|rival| Aim::ALL.map(|aim| matched(played, positive, &descents, rival, aim)))
        .flatten()
        .collect()
}

/// What lower and lower thresholds change about the positives of the first half.
fn descent(played: &Played, positive: u32, candidate: usize) -> Vec<Reached> {
    let positives = of_half(played, Half::First)
        .filter(|(_, content)| content.origin == Origin::Real && content.busiest_day >= positive);
    let mut descent = Vec::new();
    for (_, content) in positives {
        // Of one content each step is at a higher threshold than the last.
        let mut steps = content.steps_of(candidate).peekable();
        while let Some(step) = steps.next() {
            descent.push(Reached {
                threshold: step.threshold,
                shares: step.shares,
                before: steps.peek().map(|above| above.shares),
            });
        }
    }
    descent.sort_unstable_by(|one, other| other.threshold.total_cmp(&one.threshold));
    descent
}

fn matched(played: &Played, positive: u32, descents: &[Vec<Reached>], rival: &Detector, aim: Aim) -> Option<Match> {
    let theirs = of_rival(played, Half::First, positive, rival);
    let found = descents.iter().enumerate().filter_map(|(candidate, descent)| {
        let found = Match {
            rival: rival.name,
            aim,
            candidate,
            threshold: highest(descent, &theirs, aim)?,
        };
        let measured = of_match(played, Half::First, positive, &found);
        Some(((measured.false_alarms, measured.background_false_alarms), found))
    });
    found
        .min_by_key(|(false_alarms, _)| *false_alarms)
        .map(|(_, found)| found)
}

/// The highest threshold at which a rival is matched: one walk down, for it takes no list of shares to tell on which side of the rival's median
/// their own lies.
fn highest(descent: &[Reached], theirs: &Measured, aim: Aim) -> Option<f64> {
    let late = match aim {
        Aim::RecallAndShares => theirs.shares_p50(),
        Aim::Recall => None,
    };
    let is_early = |shares: u32| late.is_none_or(|late| shares <= late);
    let (mut alarmed, mut early) = (0_u64, 0_u64);
    let same = descent.chunk_by(|one, other| one.threshold == other.threshold);
    for reached in same {
        for step in reached {
            alarmed += u64::from(step.before.is_none());
            early += u64::from(is_early(step.shares));
            early -= u64::from(step.before.is_some_and(is_early));
        }
        // The lower median is early if those up to its place are.
        if alarmed >= theirs.alarmed && early > alarmed.saturating_sub(1) / 2 {
            return Some(reached[0].threshold);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use tocsin_model::Timestamp;
    use tocsin_velocity::TriggerParameters;

    use super::super::play::{Alarm, Content, Step};
    use super::*;

    /// The definition: of all thresholds that a positive reaches, the highest at which the contents, measured one by one, match.
    fn by_definition(played: &Played, positive: u32, candidate: usize, rival: &Detector, aim: Aim) -> Option<f64> {
        let theirs = of_rival(played, Half::First, positive, rival);
        let positives = of_half(played, Half::First)
            .filter(|(_, content)| content.origin == Origin::Real && content.busiest_day >= positive);
        let steps = positives.flat_map(|(_, content)| content.steps_of(candidate));
        let mut thresholds: Vec<f64> = steps.map(|step| step.threshold).collect();
        thresholds.sort_unstable_by(|one, other| other.total_cmp(one));
        thresholds.into_iter().find(|threshold| {
            let ours = Match {
                rival: rival.name,
                aim,
                candidate,
                threshold: *threshold,
            };
            let ours = of_match(played, Half::First, positive, &ours);
            let is_early_enough = match aim {
                Aim::RecallAndShares => ours.shares_p50() <= theirs.shares_p50() || theirs.shares_p50().is_none(),
                Aim::Recall => true,
            };
            ours.alarmed >= theirs.alarmed && is_early_enough
        })
    }

    /// A content of either half and origin, positive at 20 or not, whose thresholds are few, so that many are the same.
    fn content(random: &mut SmallRng) -> Content {
        let mut steps = Vec::new();
        for candidate in 0..2 {
            let (mut shares, mut threshold) = (random.random_range(1..12), random.random_range(-3..3));
            for _ in 0..random.random_range(0..5) {
                steps.push(Step {
                    candidate,
                    at: Timestamp(i64::from(shares)),
                    shares,
                    threshold: if threshold > 7 {
                        f64::INFINITY
                    } else {
                        f64::from(threshold) / 2.0
                    },
                });
                if threshold > 7 {
                    break;
                }
                shares += random.random_range(0..6);
                threshold += random.random_range(1..5);
            }
        }
        Content {
            origin: if random.random_bool(0.8) {
                Origin::Real
            } else {
                Origin::Background
            },
            half: if random.random_bool(0.7) {
                Half::First
            } else {
                Half::Second
            },
            busiest_day: random.random_range(15..25),
            steps,
            ..Content::default()
        }
    }

    #[test]
    fn one_walk_down_finds_what_the_definition_does() {
        let mut matched_by_walk = 0;
        for seed in 0..300 {
            let mut random = SmallRng::seed_from_u64(seed);
            let contents: Vec<Content> = (0..random.random_range(0..40)).map(|_| content(&mut random)).collect();
            let rings = random.random_range(0.0..0.9);
            let alarms = (0..contents.len()).filter_map(|place| {
                let shares = random.random_range(1..30);
                let at = Timestamp(i64::from(shares));
                random.random_bool(rings).then_some((place, Alarm { at, shares }))
            });
            let rival = Detector {
                name: "ten_in_5_min",
                alarms: alarms.collect(),
            };
            let played = Played {
                contents,
                detectors: vec![rival.clone()],
                candidates: vec![TriggerParameters::SHIPPED; 2],
                events: 0,
                background_events: 0,
                background_contents: 0,
            };
            let theirs = of_rival(&played, Half::First, 20, &rival);
            for (candidate, aim) in [0, 1].into_iter().flat_map(|place| Aim::ALL.map(|aim| (place, aim))) {
                let walked = highest(&descent(&played, 20, candidate), &theirs, aim);
                let expected = by_definition(&played, 20, candidate, &rival, aim);
                assert_eq!(walked, expected, "seed {seed}, candidate {candidate}, {aim:?}");
                matched_by_walk += u32::from(walked.is_some());
            }
        }
        assert!(
            (200..1_000).contains(&matched_by_walk),
            "{matched_by_walk} of 1,200 match"
        );
    }
}
