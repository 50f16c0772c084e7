//! Goal: a folder gives detection files and a score, and every way in which a folder can be wrong is told by its code.
#![allow(clippy::unwrap_used)]

use super::*;

const LABELS: &str = "labels/combined_windows.json";

/// Some six days of counts every five minutes: three or so, and thirty more within the window.
fn counts(burst: std::ops::Range<usize>) -> String {
    let mut text = "timestamp,value\n".to_owned();
    for place in 0..1_800_usize {
        let (day, minute) = (1 + place / 288, place % 288 * 5);
        let ordinary = 2 + place * 7_919 % 4;
        let value = ordinary + if burst.contains(&place) { 30 } else { 0 };
        text += &format!("2015-03-{day:02} {:02}:{:02}:00,{value}\n", minute / 60, minute % 60);
    }
    text
}

/// Rows 1,000 to 1,100.
const WINDOW: &str =
    r#"{"posts/burst.csv": [["2015-03-04 11:20:00.000000", "2015-03-04 19:40:00.000000"]], "posts/calm.csv": []}"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = directory.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    directory
}

fn arguments(directory: &tempfile::TempDir) -> SeriesArguments {
    SeriesArguments {
        input: directory.path().to_owned(),
        labels: None,
        out: "-".into(),
        rows: Some(directory.path().join("results")),
        report: Some(directory.path().join("report")),
    }
}

#[test]
fn a_burst_is_found_at_its_beginning_and_a_calm_series_is_left_alone() {
    let (burst, calm) = (counts(1_000..1_050), counts(0..0));
    let directory = folder(&[
        ("data/posts/burst.csv", &burst),
        ("data/posts/calm.csv", &calm),
        ("data/other.csv", &calm),
        (LABELS, WINDOW),
    ]);
    let figures = run(&arguments(&directory)).unwrap();
    let figure = |name: &str| figures[name].as_f64().unwrap();
    assert_eq!(
        (figure("series"), figure("series_without_labels"), figure("values")),
        (3.0, 1.0, 5_400.0)
    );
    assert_eq!(
        (figure("windows"), figure("windows_found"), figure("detections_outside")),
        (1.0, 1.0, 0.0)
    );
    assert!(figure("nab_standard") > 99.0, "{figures:?}");
    assert!(figure("nab_standard_best") >= figure("nab_standard"));
    let page = super::super::output::tests::read_page(&directory.path().join("report"), &figures);
    assert_eq!(page.matches("<svg").count(), 3, "each series is drawn");

    let file = directory.path().join("results/posts/tocsin_burst.csv");
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["timestamp", "value", "anomaly_score", "label"]);
    assert_eq!(rows.len(), 1_801);
    assert_eq!(rows.iter().filter(|row| row[3] == "1").count(), 101);
    let rang = rows
        .iter()
        .position(|row| row[2].parse::<f64>().is_ok_and(|score| score >= THRESHOLD));
    assert!((1_001..1_007).contains(&rang.unwrap()), "{rang:?}");
    assert_eq!(rows[1_001][0], "2015-03-04 11:20:00");
    assert!(directory.path().join("results/tocsin_other.csv").is_file());
}

#[test]
fn what_is_wrong_with_a_folder_is_told_by_its_code() {
    let good = counts(0..0);
    let check = |files: &[(&str, &str)], code: &str, place: &str| {
        let error = format!("{:#}", run(&arguments(&folder(files))).unwrap_err());
        assert!(error.starts_with(&format!("{code}: ")), "{code}: {error}");
        assert!(error.contains(place), "{code}: {error}");
    };
    check(&[("data/readme.txt", "")], "no_series", "data");
    check(&[("data/a.csv", &good)], "no_labels", LABELS);
    check(&[("data/a.csv", &good), (LABELS, "[]")], "bad_labels", LABELS);
    check(
        &[("data/a.csv", &good), (LABELS, r#"{"b.csv": []}"#)],
        "unknown_series",
        "b.csv",
    );
    let of = |text: &str, code: &str, place: &str| check(&[("data/a.csv", text), (LABELS, "{}")], code, place);
    of("time,value\n", "bad_header", "a.csv");
    of("", "bad_header", "a.csv");
    of("timestamp,value\n", "empty_series", "a.csv");
    of(
        "timestamp,value\n2015-03-01 00:00:00,1\nyesterday,2\n",
        "bad_timestamp",
        "row 2",
    );
    of("timestamp,value\n2015-03-01 00:00:00,NaN\n", "bad_value", "row 1");
    of("timestamp,value\n2015-03-01 00:00:00,\n", "bad_value", "row 1");
    of("timestamp,value\n2015-03-01 00:00:00\n", "bad_row", "row 1");
    let windows = |labels: &str, code: &str| check(&[("data/a.csv", &good), (LABELS, labels)], code, "a.csv");
    windows(r#"{"a.csv": [["2015-03-04", "2015-03-05 00:00:00"]]}"#, "bad_window");
    windows(
        r#"{"a.csv": [["2016-03-04 00:00:00", "2016-03-05 00:00:00"]]}"#,
        "empty_window",
    );
    windows(
        r#"{"a.csv": [["2015-03-02 00:00:00", "2015-03-03 00:00:00"], ["2015-03-02 23:00:00", "2015-03-04 00:00:00"]]}"#,
        "overlapping_windows",
    );
}
