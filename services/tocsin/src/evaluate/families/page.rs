//! What a person is told of families.

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Report, Section, Style, short};

use super::crisis::{Crises, Signal};
use crate::evaluate::SuiteArguments;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// The page.
pub(super) fn of(suite: &SuiteArguments, figures: &Figures, crises: &Crises) -> Report {
    let figure = |name: &str| number(figures, name);
    let at_least = |meaning: &str, name: &str, target| Bar::at_least(meaning, figure(name).unwrap_or(0.0), target);
    Report {
        title: "Which copies are one family?".to_owned(),
        introduction: vec![
            "Copies of a picture are edited, so their files differ. A perceptual hash (PDQ, 256 bits) of an edited copy differs from the \
             original's in a few bits. Tocsin takes two pictures for the same when at most 31 bits differ, and looks for all such pairs in an \
             index instead of comparing each with each. Beside that, a further hash in common makes one family."
                .to_owned(),
        ],
        bars: vec![
            at_least("of pairs within 31 bits in the published set, found", "recall_31", 0.999),
            at_least("of pairs found there, within 31 bits", "precision_31", 0.999),
            at_least("of pairs within 31 bits among generated hashes, found", "generated_recall_31", 0.999),
            at_least("of pairs found there, within 31 bits", "generated_precision_31", 0.999),
            at_least(
                "of a crisis' variants with any signal in common, in its family",
                "family_recall_multi_signal",
                0.9,
            ),
            Bar::at_most("crises in one family with another", figure("crises_merged"), 0.0),
            Bar::at_most("lookalikes drawn into another family", figure("benign_merges"), 0.0),
        ],
        sections: vec![of_crises(crises)],
        origin: vec![format!(
            "Made by: tocsin evaluate families --seed {} --scale {} --report DIR; the same arguments give the same page, its date aside. Rows to score again: \
             --rows DIR.",
            suite.seed, suite.scale
        )],
        ..Report::default()
    }
}

fn of_crises(crises: &Crises) -> Section {
    let signals = [
        (Signal::Near, "within 31 bits of the source"),
        (Signal::Further, "32 to 76 bits, and a hash in common"),
        (Signal::None, "nothing in common"),
    ];
    let mut table = vec![columns(["variants that are", "how many", "in the family, %"])];
    for (signal, meaning) in signals {
        let (count, joined) = crises.recall(&[signal]);
        table.push(vec![meaning.to_owned(), count.to_string(), short(100.0 * joined)]);
    }
    let joined = |distance: u32| {
        let of = crises.variants.iter().filter(|variant| variant.distance() == distance);
        let all: Vec<bool> = of.map(|variant| variant.is_joined()).collect();
        let part = all.iter().filter(|joined| **joined).count() as f64 / all.len() as f64;
        (!all.is_empty()).then_some((f64::from(distance), 100.0 * part))
    };
    Section {
        heading: "Variants of crises".to_owned(),
        text: "Each crisis has 800 variants of one source, most of them with a copy or a few, and ten lookalikes around it that are something \
               else: a frame of the news, a logo. A content becomes known to the index when it was copied three times. A variant that nothing \
               connects rings by itself, if it spreads."
            .to_owned(),
        charts: vec![Chart {
            caption: "Variants in the family of their crisis, by how many bits differ from its source.".to_owned(),
            x: Axis::linear("bits that differ from the source"),
            y: Axis::linear("in the family, %"),
            lines: vec![Line::new("variants", Style::Points, (0..=76).filter_map(joined).collect())],
            marks: Vec::new(),
        }],
        table,
    }
}
