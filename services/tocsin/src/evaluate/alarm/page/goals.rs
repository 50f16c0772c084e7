//! What is asked of the headline.

use tocsin_loadtest::day::{FamilyKind, Scenario};
use tocsin_loadtest::report::{Bar, Estimate, short};
use tocsin_loadtest::score::{lower95, percentile_bounds95, share_lower95};

use super::super::play::{Played, TOCSIN};
use super::headline::first_right;
use super::rung::Rung;
use crate::evaluate::output::number;
use crate::rehearsal::Figures;

/// The most false alarms per 10^8 content-days.
const FALSE_MAX: f64 = 10.0;
/// Re-uploads at the alarm: of half of the crises, and of 99 in 100.
const REUPLOADS_MAX: [(usize, f64); 2] = [(50, 10.0), (99, 20.0)];

/// All of it; nothing where the headline was not played.
pub(super) fn bars(scenario: Scenario, figures: &Figures, played: &[Played]) -> Vec<Bar> {
    if played.is_empty() {
        return Vec::new();
    }
    let mut bars = crises(scenario, figures, played);
    bars.extend(alarms(figures, played));
    bars
}

fn crises(scenario: Scenario, figures: &Figures, played: &[Played]) -> Vec<Bar> {
    let figure = |name: &str| number(figures, name);
    let crises = figure("crises").unwrap_or(0.0);
    if crises == 0.0 {
        return Vec::new();
    }
    let alarmed = figure("crises_alarmed").unwrap_or(0.0);
    let mut bars = vec![all("crises of this run with a right alarm", alarmed, crises)];
    let reuploads = reuploads_at_alarm(played);
    for (per_cent, target) in REUPLOADS_MAX {
        let of_crises = match per_cent {
            50 => "median of the crises".to_owned(),
            _ => format!("in {per_cent} of 100 crises"),
        };
        let meaning = format!("re-uploads of a crisis by the time of its alarm, {of_crises}");
        let value = figure(&format!("reuploads_at_alarm_p{per_cent}"));
        bars.push(match scenario {
            Scenario::Christchurch => percentile(&meaning, value, &reuploads, per_cent, target),
            _ => Bar::told(&meaning, value.map_or_else(|| "never".to_owned(), short)),
        });
    }
    bars.push(Bar::told(
        "when the alarm rings, beside the crisis's onset (the re-upload by its 10th account), median of the crises",
        beside(figure("delay_seconds_p50")),
    ));
    bars
}

fn alarms(figures: &Figures, played: &[Played]) -> Vec<Bar> {
    let figure = |name: &str| number(figures, name);
    let rung = Rung::of(played, TOCSIN);
    let of = |count: u64, all: u64| format!("{} of {}", short(count as f64), short(all as f64));
    vec![
        Bar::told("right alarms that are about a crisis", of(rung.crises, rung.right())),
        Bar::told(
            "right alarms about other contents that truly spiked",
            of(rung.others(), rung.right()),
        ),
        Bar::told("alarms that were near", of(rung.near, rung.all())),
        Bar::told("alarms that were false", of(rung.false_alarms, rung.all())),
        false_rate(
            figure("false_alarms").unwrap_or(0.0) as u64,
            figure("content_days").unwrap_or(0.0),
            figure("false_alarms_per_1e8_content_days_upper95"),
        ),
        Bar::told(
            "harmless contents that spiked and were alarmed",
            of(
                figure("organic_spikes_alarmed").unwrap_or(0.0) as u64,
                figure("organic_spikes").unwrap_or(0.0) as u64,
            ),
        ),
    ]
}

/// False alarms per 10^8 content-days, of so many on so many; the upper bound is a figure of its own.
fn false_rate(count: u64, content_days: f64, upper95: Option<f64>) -> Bar {
    let per_1e8 = |count: f64| count * 1e8 / content_days;
    let rate = Estimate {
        value: per_1e8(count as f64),
        low: per_1e8(lower95(count)),
        high: upper95.unwrap_or(f64::INFINITY),
    };
    Bar::estimated_at_most("false alarms per 100 million contents seen for a day", rate, FALSE_MAX)
}

/// How many of those that all have to be, and how many of such crises are by that at least.
pub(super) fn all(meaning: &str, count: f64, of: f64) -> Bar {
    let share = 100.0 * share_lower95(count as u64, of as u64);
    // Rounded down: it is a lower bound.
    let bound = format!("at least {} % of such crises", short(libm::floor(10.0 * share) / 10.0));
    Bar::all(meaning, count, of).bounded(bound)
}

/// A percentile of re-uploads at the alarm, of as many as there are crises; infinite where one has none.
pub(super) fn percentile(meaning: &str, value: Option<f64>, ascending: &[f64], per_cent: usize, target: f64) -> Bar {
    let (low, high) = percentile_bounds95(ascending, per_cent);
    let value = value.unwrap_or(f64::INFINITY);
    let bar = Bar::estimated_at_most(meaning, Estimate { value, low, high }, target);
    match value.is_finite() {
        true => bar,
        false => Bar {
            value: "never".to_owned(),
            ..bar
        },
    }
}

/// Of every crisis of the headline, ascending; infinite where it was missed.
fn reuploads_at_alarm(played: &[Played]) -> Vec<f64> {
    let mut reuploads: Vec<f64> = Vec::new();
    for day in played {
        let first = first_right(day, TOCSIN);
        let crises = day.truths.iter().filter(|truth| truth.kind == FamilyKind::Crisis);
        let at_alarm = |truth: &tocsin_loadtest::truth::TruthRow| {
            first
                .get(&truth.family)
                .map_or(f64::INFINITY, |alarm| alarm.reuploads as f64)
        };
        reuploads.extend(crises.map(at_alarm));
    }
    reuploads.sort_by(f64::total_cmp);
    reuploads
}

/// A delay in words.
pub(super) fn beside(seconds: Option<f64>) -> String {
    match seconds {
        None => "never".to_owned(),
        Some(seconds) if libm::round(seconds) < 0.0 => format!("{} s before it", short(-libm::round(seconds))),
        Some(seconds) if libm::round(seconds) > 0.0 => format!("{} s after it", short(libm::round(seconds))),
        Some(_) => "at it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: no verdict says more than the run allows.
    use tocsin_loadtest::report::Met;
    use tocsin_loadtest::score::upper95;

    use super::*;

    #[test]
    fn a_rate_is_decided_by_its_bounds() {
        let bar = |count: u64, content_days: f64| {
            let upper = upper95(count) * 1e8 / content_days;
            false_rate(count, content_days, Some(upper))
        };
        // None in a hundred thousand says next to nothing of ten in 10^8.
        let small = bar(0, 107_718.0);
        assert_eq!(
            (small.value.as_str(), small.bound.as_str(), small.met),
            ("0", "at most 2,781", Met::Undecided)
        );
        assert_eq!(bar(0, 1e8).met, Met::Yes);
        assert_eq!(
            bar(1, 1e7).met,
            Met::Undecided,
            "as many as allowed, and by chance perhaps"
        );
        assert_eq!(bar(2, 107_718.0).met, Met::No);
        let full = bar(362, 1.01e8);
        assert_eq!((full.met, full.bound.as_str()), (Met::No, "at least 328"));
        assert_eq!(false_rate(0, 0.0, None).met, Met::Undecided, "nothing was seen");
    }

    #[test]
    fn a_percentile_of_few_crises_is_not_decided() {
        let verdict = |crises: usize, reuploads: f64, per_cent, target| {
            let sample = vec![reuploads; crises];
            percentile("", Some(reuploads), &sample, per_cent, target).met
        };
        assert_eq!(verdict(10, 11.0, 99, 20.0), Met::Undecided);
        assert_eq!(verdict(299, 11.0, 99, 20.0), Met::Yes);
        assert_eq!(verdict(299, 21.0, 99, 20.0), Met::No);
        assert_eq!(verdict(10, 10.0, 50, 10.0), Met::Yes);
        assert_eq!(verdict(10, 11.0, 50, 10.0), Met::No);
        // One of ten that is missed may be one of a hundred by chance, one of two is not.
        let missed = |alarmed: usize| {
            let mut sample = vec![3.0; alarmed];
            sample.push(f64::INFINITY);
            let bar = percentile("", None, &sample, 99, 20.0);
            assert_eq!(bar.value, "never");
            bar.met
        };
        assert_eq!((missed(9), missed(1)), (Met::Undecided, Met::No));
    }

    #[test]
    fn all_of_few_is_told_with_what_it_is_worth() {
        let bar = all("", 10.0, 10.0);
        assert_eq!(
            (bar.met, bar.bound.as_str()),
            (Met::Yes, "at least 74.1 % of such crises")
        );
        assert_eq!(all("", 9.0, 10.0).met, Met::No);
    }

    #[test]
    fn a_delay_says_of_what_and_on_which_side() {
        for (seconds, text) in [
            (Some(-10.007), "10 s before it"),
            (Some(162.3), "162 s after it"),
            (Some(0.2), "at it"),
            (None, "never"),
        ] {
            assert_eq!(beside(seconds), text);
        }
    }
}
