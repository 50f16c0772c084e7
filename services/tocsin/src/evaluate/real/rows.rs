use std::path::Path;

use anyhow::Result;

use super::super::output;
use super::compare::SHIPPED;
use super::matching::Match;
use super::play::{Content, Half, Origin, Played};

/// Writes all that figures are made of: contents.csv, alarms.csv (the first of each detector about each content) and scores.csv (from when on
/// the rule would ring at which threshold, where it is higher than before; with the shipped parameters, and with those that match a rival).
pub(super) fn write(directory: &Path, played: &Played, matches: &[Match]) -> Result<()> {
    let write = |name: &str, header: &str, lines: Vec<String>| output::rows(directory, name, header, lines);
    let numbered = || played.contents.iter().enumerate();
    write(
        "contents.csv",
        "content,name,origin,half,shares,busiest_day",
        numbered().map(|(place, content)| line(place, content)).collect(),
    )?;
    let mut alarms: Vec<String> = Vec::new();
    for detector in &played.detectors {
        let mut of_detector: Vec<_> = detector.alarms.iter().collect();
        of_detector.sort_unstable_by_key(|(place, alarm)| (alarm.at, **place));
        alarms.extend(
            of_detector
                .into_iter()
                .map(|(place, alarm)| format!("{},{place},{},{}", detector.name, alarm.at.0, alarm.shares)),
        );
    }
    write("alarms.csv", "detector,content,at_ms,shares", alarms)?;
    let mut scores: Vec<String> = Vec::new();
    let matched = matches
        .iter()
        .map(|matched| (matched.aim.prefix().to_owned() + matched.rival, matched.candidate));
    for (parameters, candidate) in std::iter::once(("shipped".to_owned(), SHIPPED)).chain(matched) {
        for (place, content) in numbered() {
            let steps = content.steps_of(candidate);
            scores.extend(steps.map(|step| {
                let (at, shares, threshold) = (step.at.0, step.shares, step.threshold);
                format!("{parameters},{place},{at},{shares},{threshold}")
            }));
        }
    }
    write("scores.csv", "parameters,content,at_ms,shares,rings_up_to", scores)
}

fn line(place: usize, content: &Content) -> String {
    let origin = match content.origin {
        Origin::Real => "real",
        Origin::Background => "background",
    };
    let half = match content.half {
        Half::First => 1,
        Half::Second => 2,
    };
    let Content {
        name,
        shares,
        busiest_day,
        ..
    } = content;
    format!("{place},{name},{origin},{half},{shares},{busiest_day}")
}
