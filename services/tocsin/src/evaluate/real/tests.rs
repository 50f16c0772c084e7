//! Goal: what a small made-up set must give, with and without a background; and that files which are none are refused by name.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::super::output::tests::read_page;
use super::*;

/// Cascades that rise (their n-th copy after 20 log2(1 + n) minutes) or drip (a copy an hour), as a file.
fn cascades_file(rising: u64, dripping: u64) -> tempfile::NamedTempFile {
    let mut text = "cascade,root_time_of_day_fraction,delay_s,followers\n".to_owned();
    for cascade in 0..rising + dripping {
        for copy in 0..40_u64 {
            let delay = if cascade < rising {
                1_200.0 * libm::log2(1.0 + copy as f64)
            } else {
                copy as f64 * 5_400.0
            };
            text += &format!("{cascade},{},{delay},{}\n", 0.01 * cascade as f64, copy * 7);
        }
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// With rows and page in this directory.
fn arguments(input: &Path, scale: f64, directory: Option<&Path>) -> RealArguments {
    RealArguments {
        suite: SuiteArguments {
            seed: 3,
            scale,
            out: "-".into(),
        },
        input: Some(input.to_owned()),
        judging: JudgingArguments {
            positive: 20,
            rows: directory.map(|directory| directory.join("rows")),
            report: directory.map(|directory| directory.join("report")),
        },
        exact: true,
    }
}

#[test]
fn what_rises_is_positive_and_alarmed_and_what_drips_is_neither() {
    let file = cascades_file(6, 4);
    let directory = tempfile::tempdir().unwrap();
    let figures = cascades(&arguments(file.path(), 0.02, Some(directory.path()))).unwrap();
    let figure = |name: &str| figures[name].as_f64().unwrap();
    assert_eq!((figure("contents"), figure("positives")), (10.0, 6.0));
    assert_eq!((figure("recall"), figure("false_alarms")), (1.0, 0.0), "{figures:?}");
    assert_eq!((figure("exact_recall"), figure("exact_false_alarms")), (1.0, 0.0));
    assert!((6.0..=40.0).contains(&figure("shares_at_alarm_p50")), "{figures:?}");
    assert_eq!(figure("events"), 400.0);
    assert!(figure("background_events") > 1_000.0, "{figures:?}");
    assert_eq!(figure("raised_otherwise_than_scored"), 0.0);

    let rows = directory.path().join("rows");
    let alarms = std::fs::read_to_string(rows.join("alarms.csv")).unwrap();
    let by_tocsin = alarms.lines().filter(|line| line.starts_with("tocsin,")).count();
    let contents = std::fs::read_to_string(rows.join("contents.csv")).unwrap();
    let of_background = contents.lines().filter(|line| line.contains(",background,")).count();
    assert!(by_tocsin >= 6 && contents.lines().count() == 11 + of_background);
    assert!(contents.contains("\n0,cascade 0,real,"), "{contents}");

    let page = read_page(&directory.path().join("report"), &figures);
    assert!(page.contains("6 of 6") && page.contains("alarm after"), "{page}");

    let again = cascades(&arguments(file.path(), 0.02, None)).unwrap();
    assert_eq!(figures, again, "the same input gives the same figures");
}

#[test]
fn posts_are_the_contents_they_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(crate::recorded::tests::POSTS.as_bytes()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let arguments = PostsArguments {
        real: arguments(file.path(), 0.0, Some(directory.path())),
        content: vec![PostContent::Url, PostContent::Hashtag],
    };
    let figures = posts(&arguments).unwrap();
    let page = std::fs::read_to_string(directory.path().join("report/index.html")).unwrap();
    assert!(page.contains("0 of 0"), "without a positive there is a page too");
    assert_eq!((&figures["contents"], &figures["events"]), (&json!(2), &json!(3)));
    assert_eq!(
        (&figures["positives"], &figures["background_events"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(figures["recall"], json!(null), "there is nothing to recall");
}

#[test]
fn a_file_that_is_no_set_is_refused_by_name() {
    let check = |text: &str, reason: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let error = cascades(&arguments(file.path(), 0.0, None)).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{text}: {error}");
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    };
    check("cascade,delay_s\n", "no event");
    check("cascade\n1\n", "copy 1: ");
    check("cascade,delay_s\n1,0\n1,-3\n", "copy 2 has no delay");
    check("cascade,delay_s\n1,NaN\n", "copy 1 has no delay");
    check(
        "cascade,delay_s\n1,1e300\n",
        "copy 1 has no delay, or a time beyond all times",
    );
    check("cascade,delay_s\n1,0\n1,40000000\n", "more than 400 days");
    check("cascade,delay_s\n1,soon\n", "copy 1: ");
    let absent = cascades(&arguments(Path::new("absent.csv"), 0.0, None)).unwrap_err();
    assert!(format!("{absent:#}").contains("absent.csv"), "{absent:#}");
    let file = cascades_file(1, 0);
    let error = cascades(&arguments(file.path(), f64::NAN, None)).unwrap_err();
    assert!(format!("{error:#}").contains("a scale of NaN"), "{error:#}");
}
