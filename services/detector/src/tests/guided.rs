//! Goal: whatever a detector refuses, its message names the remedy and the operators' guide has the rest under its code.

use std::collections::BTreeSet;

use crate::error::DetectorError;

/// The codes in the source, in the order in which they stand there.
fn in_the_source() -> BTreeSet<&'static str> {
    let source = include_str!("../error.rs");
    let of_arm = |line: &'static str| line.split_once("=> Some(\"")?.1.split_once('"').map(|(code, _)| code);
    source.lines().filter_map(of_arm).collect()
}

/// The codes of the guide's table: in the first cell of each row.
fn in_the_guide() -> BTreeSet<&'static str> {
    let guide = include_str!("../../../../deploy/guides/operators.md");
    let (_, section) = guide
        .split_once("### A detector that refuses its state")
        .expect("the guide has the section");
    let section = section.split_once("\n### ").map_or(section, |(section, _)| section);
    let first_cell = |line: &'static str| Some(line.strip_prefix("| ")?.split_once(" |")?.0);
    let cells = section
        .lines()
        .filter_map(first_cell)
        .filter(|cell| cell.starts_with('`'));
    cells
        .flat_map(|cell| cell.split(", "))
        .map(|code| code.trim_matches('`'))
        .collect()
}

#[test]
fn every_refusal_has_its_row_in_the_guide() {
    let codes = in_the_source();
    assert!(codes.len() > 15, "{codes:?}");
    assert_eq!(in_the_guide(), codes);
}

#[test]
fn every_refusal_names_its_remedy() {
    let partition = 3;
    let broken = || DetectorError::BrokenState {
        group: 7,
        reason: "r".to_owned(),
    };
    let refusals = [
        DetectorError::OtherPartitionCount {
            written: 4,
            configured: 8,
        },
        DetectorError::OtherStateVersion { written: 9, known: 8 },
        DetectorError::OtherKeyEpoch {
            written: 1,
            configured: 2,
        },
        DetectorError::OtherDeployment { partition },
        DetectorError::InputDeleted {
            partition,
            needed: 1,
            first_held: 2,
        },
        DetectorError::InputEndsBefore {
            partition,
            needed: 2,
            end: 1,
        },
        DetectorError::InputReplaced { partition },
        DetectorError::StateLost {
            partition,
            sign: "s".to_owned(),
        },
        DetectorError::StateReplaced,
        DetectorError::NothingToBeginFrom { group: 7 },
        DetectorError::BrokenHeader {
            partition,
            reason: "r".to_owned(),
        },
        DetectorError::GoneMeanwhile {
            partition,
            source: Box::new(broken()),
        },
        DetectorError::BrokenOnward { partition },
        DetectorError::UnevenTopics { sightings: 1, state: 2 },
        DetectorError::NotAtRest { partition },
        DetectorError::OtherMove { to: 8 },
        DetectorError::StagingIncomplete { put: 2, found: 1 },
        DetectorError::OtherHeaderLayout {
            partition,
            written: 4,
            known: 3,
        },
        broken(),
    ];
    let codes: BTreeSet<&str> = refusals.iter().filter_map(DetectorError::code).collect();
    assert_eq!(codes, in_the_source(), "one of each");
    let remedies = [
        "tocsin topics salvage",
        "tocsin topics repartition",
        "tocsin topics check",
        "configure",
        "configured until",
        "set keys.epoch",
        "run the program that wrote it",
        "start this one again",
        "stop all detectors",
        "must be stopped",
        "a later span is wanted",
        "run the command again",
    ];
    for refusal in &refusals {
        let text = refusal.to_string();
        assert!(remedies.iter().any(|remedy| text.contains(remedy)), "{text}");
    }
}
