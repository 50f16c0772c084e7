//! Verdicts and figures are those a person would find by hand.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Kind, Surface};

use super::*;
use crate::day::{Account, FamilyKind, Occurrence};
use crate::truth::{DayRow, Judged, Records, TruthRow};

const BEGIN: i64 = 1_000_000_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const NOON: i64 = BEGIN + 36 * HOUR;

/// A crisis and a burst of 40 copies a minute apart from noon on; a smaller burst of 25; a quiet content of 3. A day before them is known.
fn truth() -> Truth {
    let mut records = Records::new(Judged {
        stream_begins_at: Timestamp(BEGIN),
        from: Timestamp(BEGIN + 24 * HOUR),
        to: Timestamp(BEGIN + 48 * HOUR),
    });
    let mut number = 0;
    for (family, copies) in [(crisis(), 40), (burst(1), 40), (burst(2), 25), (burst(3), 3)] {
        for place in -1..copies {
            number += 1;
            records.add(&Occurrence {
                number,
                happened_at: Timestamp(NOON + place * MINUTE),
                occurred_at: Timestamp(0),
                received_at: Timestamp(0),
                family,
                account: Account(number),
                audience: 1,
                variant: 0,
                platform: 0,
                party: 0,
                kind: Kind::Upload,
                surface: Surface::Feed,
                tvec_confidence: None,
            });
        }
    }
    records.judge()
}

fn crisis() -> Family {
    Family::of(FamilyKind::Crisis, 0)
}

fn burst(index: u64) -> Family {
    Family::of(FamilyKind::Burst, index)
}

fn alarm(family: Family, minutes: i64) -> Alarm {
    Alarm {
        family,
        at: Timestamp(NOON + minutes * MINUTE),
        score: 20.5,
        threshold: 18.0,
    }
}

fn rows(alarms: &[Alarm]) -> Vec<AlarmRow> {
    let of = Judging {
        day: 3,
        detector: "test",
    };
    judge(of, &truth(), alarms)
}

fn verdicts(alarms: &[Alarm]) -> Vec<Verdict> {
    rows(alarms).iter().map(|row| row.verdict).collect()
}

#[test]
fn an_alarm_gets_the_verdict_of_its_moment() {
    use Verdict::{False, Near, Repeat, Right};
    assert_eq!(verdicts(&[alarm(crisis(), 9)]), [Right]);
    // The first hour begins with the original, a minute before noon.
    assert_eq!(verdicts(&[alarm(crisis(), -16)]), [Right]);
    assert_eq!(verdicts(&[alarm(crisis(), -17)]), [False]);
    assert_eq!(verdicts(&[alarm(burst(2), 9)]), [Near]);
    assert_eq!(verdicts(&[alarm(burst(3), 2)]), [False]);
    assert_eq!(verdicts(&[alarm(burst(404), 2)]), [False]);
    assert_eq!(verdicts(&[alarm(crisis(), 20), alarm(crisis(), 10)]), [Right, Repeat]);
    let a_day_later = 10 + 24 * 60;
    assert_eq!(
        verdicts(&[alarm(crisis(), 10), alarm(crisis(), a_day_later - 1)]),
        [Right, Repeat]
    );
    assert_eq!(
        verdicts(&[alarm(crisis(), 10), alarm(crisis(), a_day_later)]),
        [Right, False]
    );
}

#[test]
fn what_rings_before_the_day_is_not_scored_but_not_forgotten() {
    let before = -12 * 60 - 1;
    assert!(verdicts(&[alarm(burst(1), before)]).is_empty());
    assert_eq!(
        verdicts(&[alarm(burst(1), before), alarm(burst(1), 5)]),
        [Verdict::Repeat]
    );
}

#[test]
fn a_row_says_how_far_it_had_spread() {
    let rows = rows(&[alarm(crisis(), 11), alarm(burst(3), -1)]);
    assert_eq!(
        rows[1].to_csv(),
        format!(
            "3,test,{},crisis,{},12,12,right,{},20.5,18",
            crisis().0,
            NOON + 11 * MINUTE,
            2 * MINUTE
        )
    );
    assert_eq!((rows[0].reuploads, rows[0].delay), (0, None));
    assert_eq!(AlarmRow::HEADER.split(',').count(), rows[0].to_csv().split(',').count());
}

/// A day of one crisis, with the alarm after so many re-uploads, if any.
fn day(number: u32, alarmed_at: Option<u64>) -> (DayRow, TruthRow, Option<AlarmRow>) {
    let onset_at = Timestamp(NOON);
    let truth = TruthRow {
        day: number,
        family: crisis(),
        kind: FamilyKind::Crisis,
        first_at: Timestamp(NOON - HOUR),
        onset_at: Some(onset_at),
        copies: 100,
        accounts: 90,
        peak_copies: 100,
        peak_accounts: 90,
        spike_from: Some(Timestamp(NOON - HOUR)),
        right: Vec::new(),
        near: Vec::new(),
    };
    let alarm = alarmed_at.map(|reuploads| AlarmRow {
        day: number,
        detector: "test".to_owned(),
        family: crisis(),
        kind: FamilyKind::Crisis,
        at: onset_at + Milliseconds(reuploads as i64 * 1_000),
        reuploads,
        accounts: reuploads,
        verdict: Verdict::Right,
        delay: Some(Milliseconds(reuploads as i64 * 1_000)),
        score: 1.0,
        threshold: 1.0,
    });
    let day = DayRow {
        day: number,
        from: Timestamp(0),
        to: Timestamp(1),
        contents: 1_000_000,
        events: 0,
        seen_once: 0,
        reaching: [0; 3],
    };
    (day, truth, alarm)
}

fn figures_of(alarmed_at: &[Option<u64>]) -> Figures {
    let days: Vec<_> = (0..).zip(alarmed_at).map(|(number, at)| day(number, *at)).collect();
    let rows: Vec<DayRow> = days.iter().map(|(row, _, _)| *row).collect();
    let truths: Vec<TruthRow> = days.iter().map(|(_, truth, _)| truth.clone()).collect();
    let alarms: Vec<AlarmRow> = days.into_iter().filter_map(|(_, _, alarm)| alarm).collect();
    Figures::of(&rows, &truths, &alarms)
}

#[test]
fn a_missed_crisis_stays_in_every_percentile() {
    let mut alarmed_at: Vec<Option<u64>> = (1..=100).map(Some).collect();
    let all = figures_of(&alarmed_at);
    assert_eq!(
        (all.crises, all.crises_alarmed, all.days, all.content_days),
        (100, 100, 100, 100_000_000)
    );
    assert_eq!((all.reuploads_at_alarm_p50, all.reuploads_at_alarm_p99), (50.0, 99.0));
    assert_eq!((all.delay_seconds_p50, all.delay_seconds_p99), (50.0, 99.0));
    alarmed_at[0] = None;
    let one_missed = figures_of(&alarmed_at);
    assert_eq!(
        (one_missed.crises_alarmed, one_missed.reuploads_at_alarm_p50),
        (99, 51.0)
    );
    assert_eq!(one_missed.reuploads_at_alarm_p99, 100.0);
    alarmed_at[1] = None;
    assert_eq!(figures_of(&alarmed_at).reuploads_at_alarm_p99, f64::INFINITY);
}

#[test]
fn false_alarms_are_pooled_over_content_days() {
    let (row, truth, alarm) = day(0, Some(5));
    let verdict = |verdict| AlarmRow {
        verdict,
        kind: FamilyKind::Burst,
        family: burst(1),
        ..alarm.clone().unwrap()
    };
    let alarms = [
        verdict(Verdict::False),
        verdict(Verdict::Repeat),
        verdict(Verdict::Near),
        verdict(Verdict::Right),
    ];
    let figures = Figures::of(&[row, DayRow { day: 1, ..row }], &[truth], &alarms);
    assert_eq!((figures.false_alarms, figures.repeated_alarms), (2, 1));
    assert_eq!((figures.near_alarms, figures.right_alarms), (1, 1));
    // Two in two million, and the bound for two: 6.2958 (Garwood's table, one-sided).
    assert!((figures.false_alarms_per_1e8_content_days - 100.0).abs() < 1e-9);
    assert!((figures.false_alarms_per_1e8_content_days_upper95 - 6.2958 * 50.0).abs() < 0.01);
    assert_eq!(figures.false_alarms_by_kind[FamilyKind::Burst as usize], 2);
    let named: BTreeMap<String, f64> = figures.by_name().into_iter().collect();
    assert_eq!(
        (named["false_alarms"], named["false_alarms_burst"], named["crises"]),
        (2.0, 2.0, 1.0)
    );
}

/// The lines of a file by the names of its columns.
fn read(header: &str, lines: &[String]) -> Vec<BTreeMap<String, String>> {
    let named = |line: &String| {
        header
            .split(',')
            .map(str::to_owned)
            .zip(line.split(',').map(str::to_owned))
            .collect()
    };
    lines.iter().map(named).collect()
}

fn held_by(spans: &str, at: i64) -> bool {
    spans.split(';').filter(|span| !span.is_empty()).any(|span| {
        let (from, to) = span.split_once('-').unwrap();
        (from.parse().unwrap()..to.parse().unwrap()).contains(&at)
    })
}

#[test]
fn anyone_can_score_again_from_the_rows_alone() {
    let truth = truth();
    let alarms = [
        alarm(crisis(), 11),
        alarm(crisis(), 30),
        alarm(burst(1), 3),
        alarm(burst(2), 4),
        alarm(burst(3), 2),
        alarm(burst(9), 2),
    ];
    let judged = rows(&alarms);
    let alarmed: BTreeSet<Family> = alarms.iter().map(|alarm| alarm.family).collect();
    let truths = truth.rows(3, &alarmed);
    let figures = Figures::of(&[truth.day_row(3)], &truths, &judged);

    let alarm_lines: Vec<String> = judged.iter().map(AlarmRow::to_csv).collect();
    let truth_lines: Vec<String> = truths.iter().map(TruthRow::to_csv).collect();
    let alarm_rows = read(AlarmRow::HEADER, &alarm_lines);
    let truth_rows = read(TruthRow::HEADER, &truth_lines);
    let day_rows = read(DayRow::HEADER, &[truth.day_row(3).to_csv()]);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut crisis_at = None;
    for row in &alarm_rows {
        let at: i64 = row["at_ms"].parse().unwrap();
        let about = truth_rows.iter().find(|truth| truth["family"] == row["family"]);
        let spans = |name: &str| about.map(|truth| truth[name].as_str()).unwrap_or_default();
        let verdict = match last.insert(&row["family"], at) {
            Some(before) if at - before < 24 * HOUR => "repeat",
            _ if held_by(spans("right_spans_ms"), at) => "right",
            _ if held_by(spans("near_spans_ms"), at) => "near",
            _ => "false",
        };
        assert_eq!(row["verdict"], verdict, "{row:?}");
        *counts.entry(verdict).or_default() += 1;
        if verdict == "right" && row["kind"] == "crisis" && crisis_at.is_none() {
            let onset: i64 = about.unwrap()["onset_ms"].parse().unwrap();
            crisis_at = Some((row["reuploads"].parse::<f64>().unwrap(), (at - onset) as f64 / 1_000.0));
            assert_eq!(row["delay_ms"].parse::<i64>().unwrap(), at - onset);
        }
    }
    assert_eq!(counts, [("false", 2), ("near", 1), ("repeat", 1), ("right", 2)].into());
    assert_eq!(
        (
            figures.right_alarms,
            figures.near_alarms,
            figures.false_alarms,
            figures.repeated_alarms
        ),
        (
            counts["right"],
            counts["near"],
            counts["false"] + counts["repeat"],
            counts["repeat"]
        )
    );
    assert_eq!(
        (figures.reuploads_at_alarm_p50, figures.delay_seconds_p50),
        crisis_at.unwrap()
    );
    let contents: f64 = day_rows[0]["contents"].parse().unwrap();
    assert_eq!(figures.false_alarms_per_1e8_content_days, 3.0 * 1e8 / contents);
    let organic = truth_rows
        .iter()
        .filter(|truth| truth["spike"] == "1" && truth["kind"] != "crisis")
        .count();
    assert_eq!(
        (figures.organic_spikes, figures.organic_spikes_alarmed),
        (organic as u64, 1)
    );
}
