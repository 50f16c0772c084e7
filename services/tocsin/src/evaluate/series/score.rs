use std::ops::RangeInclusive;

/// What a profile of the benchmark gives for a window found, and takes for a false detection and for a window missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    found: f64,
    false_detection: f64,
    missed: f64,
}

/// The benchmark's three.
pub(super) const PROFILES: [Profile; 3] = [
    Profile {
        name: "standard",
        found: 1.0,
        false_detection: 0.11,
        missed: 1.0,
    },
    Profile {
        name: "reward_low_fp",
        found: 1.0,
        false_detection: 0.22,
        missed: 1.0,
    },
    Profile {
        name: "reward_low_fn",
        found: 1.0,
        false_detection: 0.11,
        missed: 2.0,
    },
];

/// The beginning of a series is not scored: this share of it, of so many rows at most.
const PROBATION: f64 = 0.15;
const PROBATION_OF_MAX: usize = 5_000;
/// So many widths behind a window a detection is as false as can be.
const FAR_BEHIND: f64 = 3.0;

/// One series held to its labels, as the Numenta Anomaly Benchmark does (Lavin and Ahmad 2015, "Evaluating Real-time Anomaly Detection
/// Algorithms", arXiv 1510.03336).
///
/// Of each window the earliest detection counts: by a sigmoid nearly its whole weight at the window's left edge and almost nothing at its right
/// one. Every detection outside costs the more, the further behind a window it is, by the same sigmoid; before the first window all of its
/// weight. A window without a detection costs its weight.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    rows: Vec<Row>,
    windows: usize,
}

/// A row that is scored.
#[derive(Clone, Copy, Debug)]
struct Row {
    anomaly: f64,
    /// The window it is in, by number.
    window: Option<usize>,
    /// What a detection here is worth, before weights: 0 to 1 inside a window, 0 to -1 outside.
    worth: f64,
}

/// The threshold at which a profile scores best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    pub(super) score: f64,
    pub(super) threshold: f64,
}

/// 2 / (1 + exp(5 y)) - 1: at -1, the left edge of a window, 0.98661; at 0, its right one, 0; beyond three widths -1.
fn scaled_sigmoid(position: f64) -> f64 {
    if position >= FAR_BEHIND {
        return -1.0;
    }
    2.0 / (1.0 + libm::exp(5.0 * position)) - 1.0
}

impl Scored {
    /// Windows are in order and do not overlap; there is a score for each row.
    pub(super) fn new(windows: &[RangeInclusive<usize>], scores: Vec<f64>) -> Self {
        let probation = (PROBATION * scores.len() as f64).floor() as usize;
        let probation = probation.min((PROBATION * PROBATION_OF_MAX as f64) as usize);
        let rows = scores.into_iter().enumerate().skip(probation);
        let rows = rows.map(|(place, anomaly)| {
            let begun = windows.partition_point(|window| *window.start() <= place);
            let last = begun.checked_sub(1).map(|number| (number, &windows[number]));
            let (window, worth) = match last {
                Some((number, window)) if window.contains(&place) => {
                    let width = (window.end() - window.start() + 1) as f64;
                    let position = -((window.end() - place + 1) as f64) / width;
                    (Some(number), scaled_sigmoid(position) / scaled_sigmoid(-1.0))
                }
                Some((_, window)) => {
                    // A window of a single row has no width: everything is far behind it.
                    let position = (place - window.end()) as f64 / (window.end() - window.start()) as f64;
                    (None, scaled_sigmoid(position))
                }
                None => (None, -1.0),
            };
            Row { anomaly, window, worth }
        });
        let rows: Vec<Row> = rows.collect();
        let mut numbers: Vec<usize> = rows.iter().filter_map(|row| row.window).collect();
        numbers.dedup();
        Scored {
            windows: numbers.len(),
            rows,
        }
    }

    /// Windows that are scored: those that do not end within the probation.
    pub(super) fn windows(&self) -> usize {
        self.windows
    }

    /// Those of them with a detection at this threshold.
    pub(super) fn found(&self, threshold: f64) -> usize {
        let mut found: Vec<usize> = self.detected(threshold).filter_map(|row| row.window).collect();
        found.dedup();
        found.len()
    }

    /// Detections outside of windows.
    pub(super) fn outside(&self, threshold: f64) -> usize {
        self.detected(threshold).filter(|row| row.window.is_none()).count()
    }

    fn detected(&self, threshold: f64) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.anomaly >= threshold)
    }

    fn raw(&self, profile: &Profile, threshold: f64) -> f64 {
        let mut sum = -profile.missed * self.windows as f64;
        let mut last = None;
        for row in self.detected(threshold) {
            match row.window {
                None => sum += profile.false_detection * row.worth,
                // The first within a window is worth most.
                Some(_) if row.window != last => sum += profile.missed + profile.found * row.worth,
                Some(_) => {}
            }
            last = row.window.or(last);
        }
        sum
    }
}

/// From what a detector gets that never rings (0) to what one gets that rings once, at the left edge of every window (100). `None` without a
/// window.
pub(super) fn normalised(all: &[Scored], profile: &Profile, threshold: f64) -> Option<f64> {
    let raw = all.iter().map(|scored| scored.raw(profile, threshold)).sum();
    on_scale(all, profile, raw)
}

fn on_scale(all: &[Scored], profile: &Profile, raw: f64) -> Option<f64> {
    let windows = all.iter().map(Scored::windows).sum::<usize>() as f64;
    let (null, perfect) = (-profile.missed * windows, profile.found * windows);
    (windows > 0.0).then(|| 100.0 * (raw - null) / (perfect - null))
}

/// The threshold that scores best over all series, the highest of them.
pub(super) fn best(all: &[Scored], profile: &Profile) -> Option<Best> {
    // From the highest score down: what each row changes once it is a detection.
    let rows = all.iter().enumerate();
    let mut rows: Vec<(usize, &Row)> = rows
        .flat_map(|(number, scored)| scored.rows.iter().map(move |row| (number, row)))
        .collect();
    rows.sort_by(|(_, one), (_, other)| other.anomaly.total_cmp(&one.anomaly));
    let mut worth: std::collections::HashMap<(usize, usize), f64> = std::collections::HashMap::new();
    let windows = all.iter().map(Scored::windows).sum::<usize>() as f64;
    let mut raw = -profile.missed * windows;
    // Above all scores nothing is detected.
    let mut best = (raw, f64::INFINITY);
    for same in rows.chunk_by(|(_, one), (_, other)| one.anomaly == other.anomaly) {
        for (series, row) in same {
            let Some(window) = row.window else {
                raw += profile.false_detection * row.worth;
                continue;
            };
            let found = profile.found * row.worth;
            let before = worth.entry((*series, window)).or_insert(-profile.missed);
            raw += (found - *before).max(0.0);
            *before = before.max(found);
        }
        if raw > best.0 {
            best = (raw, same[0].1.anomaly);
        }
    }
    Some(Best {
        score: on_scale(all, profile, best.0)?,
        // A finite number says the same: no score is above 1.
        threshold: best.1.min(2.0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STANDARD: &Profile = &PROFILES[0];

    /// A thousand rows with windows at 300 to 399 and 700 to 799; detections at these rows.
    fn scored(detections: &[usize]) -> Scored {
        let mut scores = vec![0.1; 1_000];
        for place in detections {
            scores[*place] = 0.9;
        }
        Scored::new(&[300..=399, 700..=799], scores)
    }

    fn standard(detections: &[usize]) -> f64 {
        normalised(&[scored(detections)], STANDARD, 0.5).unwrap()
    }

    #[test]
    fn the_perfect_detector_gets_100_and_one_that_never_rings_0() {
        assert_eq!(standard(&[300, 700]), 100.0);
        assert_eq!(standard(&[]), 0.0);
        for profile in &PROFILES {
            assert_eq!(normalised(&[scored(&[300, 700])], profile, 0.5), Some(100.0));
            assert_eq!(normalised(&[scored(&[])], profile, 0.5), Some(0.0));
        }
        assert_eq!(normalised(&[Scored::new(&[], vec![0.9; 10])], STANDARD, 0.5), None);
    }

    #[test]
    fn scores_are_those_computed_by_hand() {
        let check = |detections: &[usize], raw: f64| {
            let measured = standard(detections);
            let expected = 100.0 * (raw + 2.0) / 4.0;
            assert!(
                (measured - expected).abs() < 1e-9,
                "{detections:?}: {measured}, not {expected}"
            );
        };
        // Half-way into the first window: 2 / (1 + exp(-2.5)) - 1 = 0.848284 of 0.986614; the second is missed.
        let middle = (2.0 / (1.0 + libm::exp(-2.5)) - 1.0) / (2.0 / (1.0 + libm::exp(-5.0)) - 1.0);
        check(&[350], middle - 1.0);
        check(&[350, 351, 399], middle - 1.0);
        // Before the first window a false detection costs 0.11; three widths behind one as well; a tenth behind, 0.11 x 0.2449.
        check(&[200], -2.0 - 0.11);
        check(&[399 + 297], -2.0 - 0.11);
        let shortly_after = 2.0 / (1.0 + libm::exp(5.0 * 9.9 / 99.0)) - 1.0;
        assert!((shortly_after - -0.244_918).abs() < 1e-6);
        let behind = 2.0 / (1.0 + libm::exp(5.0 * 10.0 / 99.0)) - 1.0;
        check(&[300, 409], 1.0 - 1.0 + 0.11 * behind);
        // What happens in the first 15 % is not scored.
        check(&[0, 149], -2.0);
        check(&[150], -2.0 - 0.11);
    }

    #[test]
    fn other_profiles_weigh_otherwise() {
        let of = |place: usize, profile: usize| normalised(&[scored(&[place])], &PROFILES[profile], 0.5).unwrap();
        assert!((of(200, 1) - 100.0 * -0.22 / 4.0).abs() < 1e-9);
        assert!((of(300, 2) - 50.0).abs() < 1e-9, "(1 - 2 + 4) / (2 + 4)");
    }

    #[test]
    fn a_window_within_the_probation_is_not_scored_and_one_of_a_row_has_no_width() {
        let single = Scored::new(&[10..=20, 500..=500], vec![0.9; 1_000]);
        assert_eq!((single.windows(), single.found(0.5), single.outside(0.5)), (1, 1, 849));
        assert!(single.raw(STANDARD, 0.5).is_finite());
        let long = Scored::new(&[], vec![0.9; 100_000]);
        assert_eq!(long.outside(0.5), 100_000 - 750);
    }

    #[test]
    fn the_best_threshold_is_the_one_that_a_search_finds() {
        let mut scores: Vec<f64> = (0..1_000)
            .map(|place| f64::from(place * 7_919 % 1_000) / 1_000.0)
            .collect();
        scores[310] = 1.0;
        scores[720] = 0.9985;
        let all = [scored(&[300]), Scored::new(&[300..=399, 700..=799], scores.clone())];
        for profile in &PROFILES {
            let best = best(&all, profile).unwrap();
            let searched = scores.iter().chain(&[0.9, 0.1, 2.0]);
            let searched = searched.map(|threshold| normalised(&all, profile, *threshold).unwrap());
            let highest = searched.fold(f64::NEG_INFINITY, f64::max);
            assert!((best.score - highest).abs() < 1e-9, "{best:?}, not {highest}");
            let there = normalised(&all, profile, best.threshold).unwrap();
            assert!((there - best.score).abs() < 1e-9);
        }
    }
}
