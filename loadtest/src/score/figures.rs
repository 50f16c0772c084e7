use std::collections::BTreeMap;

use tocsin_model::nearest_rank;

use super::{AlarmRow, Verdict, upper95};
use crate::day::{Family, FamilyKind};
use crate::truth::{DayRow, TruthRow};

/// How good the alarms of one detector are, over all days that are given.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Days.
    pub days: u64,
    /// Contents of these days, summed.
    pub content_days: u64,
    /// Crises there were.
    pub crises: u64,
    /// Crises with a right alarm.
    pub crises_alarmed: u64,
    /// Re-uploads when a crisis was alarmed: median and 99th percentile (nearest rank); infinite where so many were missed.
    pub reuploads_at_alarm_p50: f64,
    /// See above.
    pub reuploads_at_alarm_p99: f64,
    /// Seconds from the onset of a crisis to its alarm, negative before it: median and 99th percentile, infinite where so many were missed.
    pub delay_seconds_p50: f64,
    /// See above.
    pub delay_seconds_p99: f64,
    /// Alarms by their verdict: right.
    pub right_alarms: u64,
    /// Near.
    pub near_alarms: u64,
    /// False, repeats included.
    pub false_alarms: u64,
    /// Repeats.
    pub repeated_alarms: u64,
    /// False alarms per 10^8 content-days.
    pub false_alarms_per_1e8_content_days: f64,
    /// The exact upper bound of that rate that holds with 95 % confidence, whatever the rate is; one-sided.
    pub false_alarms_per_1e8_content_days_upper95: f64,
    /// Organic families that spike: right to raise, and many of them. No crisis and no attack among them.
    pub organic_spikes: u64,
    /// Those with a right alarm.
    pub organic_spikes_alarmed: u64,
    /// False alarms by what they were about, in the order of [`FamilyKind::ALL`].
    pub false_alarms_by_kind: [u64; FamilyKind::ALL.len()],
}

impl Figures {
    /// Scores rows: all days, all rows of the truth on these days, and the alarms of one detector on them.
    pub fn of(days: &[DayRow], truths: &[TruthRow], alarms: &[AlarmRow]) -> Self {
        let mut first_right: BTreeMap<(u32, Family), &AlarmRow> = BTreeMap::new();
        let mut verdicts: BTreeMap<Verdict, u64> = BTreeMap::new();
        let mut false_alarms_by_kind = [0; FamilyKind::ALL.len()];
        for alarm in alarms {
            *verdicts.entry(alarm.verdict).or_insert(0) += 1;
            false_alarms_by_kind[alarm.kind as usize] += u64::from(alarm.verdict.is_false());
            if alarm.verdict == Verdict::Right {
                let first = first_right.entry((alarm.day, alarm.family)).or_insert(alarm);
                if alarm.at < first.at {
                    *first = alarm;
                }
            }
        }
        let crises: Vec<&TruthRow> = truths.iter().filter(|truth| truth.kind == FamilyKind::Crisis).collect();
        let alarmed = |truth: &TruthRow| first_right.get(&(truth.day, truth.family)).copied();
        let reuploads = |truth: &&TruthRow| alarmed(truth).map_or(f64::INFINITY, |alarm| alarm.reuploads as f64);
        let delay_seconds = |truth: &&TruthRow| match (alarmed(truth), truth.onset_at) {
            (Some(alarm), Some(onset_at)) => (alarm.at - onset_at).0 as f64 / 1_000.0,
            _ => f64::INFINITY,
        };
        let reuploads: Vec<f64> = crises.iter().map(reuploads).collect();
        let delays: Vec<f64> = crises.iter().map(delay_seconds).collect();
        let organic = |truth: &&TruthRow| {
            truth.spike_from.is_some() && !matches!(truth.kind, FamilyKind::Crisis | FamilyKind::Attack)
        };
        let verdict = |verdict| verdicts.get(&verdict).copied().unwrap_or(0);
        let content_days: u64 = days.iter().map(|day| day.contents).sum();
        let false_alarms = verdict(Verdict::False) + verdict(Verdict::Repeat);
        let per_1e8 = |count: f64| count * 1e8 / content_days as f64;
        Figures {
            days: days.len() as u64,
            content_days,
            crises: crises.len() as u64,
            crises_alarmed: crises.iter().filter(|truth| alarmed(truth).is_some()).count() as u64,
            reuploads_at_alarm_p50: percentile(&reuploads, 50),
            reuploads_at_alarm_p99: percentile(&reuploads, 99),
            delay_seconds_p50: percentile(&delays, 50),
            delay_seconds_p99: percentile(&delays, 99),
            right_alarms: verdict(Verdict::Right),
            near_alarms: verdict(Verdict::Near),
            false_alarms,
            repeated_alarms: verdict(Verdict::Repeat),
            false_alarms_per_1e8_content_days: per_1e8(false_alarms as f64),
            false_alarms_per_1e8_content_days_upper95: per_1e8(upper95(false_alarms)),
            organic_spikes: truths.iter().filter(organic).count() as u64,
            organic_spikes_alarmed: truths
                .iter()
                .filter(organic)
                .filter(|truth| alarmed(truth).is_some())
                .count() as u64,
            false_alarms_by_kind,
        }
    }

    /// All figures by their names, for a flat file. Where nothing is to be measured (no crisis, no content) a figure is infinite or NaN, which
    /// JSON cannot say: leave it out there.
    pub fn by_name(&self) -> Vec<(String, f64)> {
        let mut figures: Vec<(String, f64)> = [
            ("days", self.days as f64),
            ("content_days", self.content_days as f64),
            ("crises", self.crises as f64),
            ("crises_alarmed", self.crises_alarmed as f64),
            ("reuploads_at_alarm_p50", self.reuploads_at_alarm_p50),
            ("reuploads_at_alarm_p99", self.reuploads_at_alarm_p99),
            ("delay_seconds_p50", self.delay_seconds_p50),
            ("delay_seconds_p99", self.delay_seconds_p99),
            ("right_alarms", self.right_alarms as f64),
            ("near_alarms", self.near_alarms as f64),
            ("false_alarms", self.false_alarms as f64),
            ("repeated_alarms", self.repeated_alarms as f64),
            (
                "false_alarms_per_1e8_content_days",
                self.false_alarms_per_1e8_content_days,
            ),
            (
                "false_alarms_per_1e8_content_days_upper95",
                self.false_alarms_per_1e8_content_days_upper95,
            ),
            ("organic_spikes", self.organic_spikes as f64),
            ("organic_spikes_alarmed", self.organic_spikes_alarmed as f64),
        ]
        .map(|(name, figure)| (name.to_owned(), figure))
        .to_vec();
        for (kind, count) in FamilyKind::ALL.into_iter().zip(self.false_alarms_by_kind) {
            figures.push((format!("false_alarms_{}", kind.name()), count as f64));
        }
        figures
    }
}

/// The nearest rank; infinite where there is none.
fn percentile(values: &[f64], per_cent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    nearest_rank(&values, per_cent).copied().unwrap_or(f64::INFINITY)
}
