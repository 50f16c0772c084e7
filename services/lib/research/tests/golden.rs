//! Goal: the bytes of a published day of version 1 are read for ever, and a day with these numbers is published in them.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use tocsin_model::Timestamp;
use tocsin_report::Day;
use tocsin_research::{Counted, Counts, Publication, TABLES, csv};

/// A day on which the cell at place `n` of a table has `7 n * n` families, and on which another party has none.
fn day() -> Publication {
    let mut counts = Counts::default();
    for table in TABLES {
        for (place, cell) in Counted::all(table).into_iter().enumerate() {
            counts.add_many(cell, 7 * (place * place) as u64);
        }
    }
    let name = |text: &str| text.parse().unwrap();
    let parties = [
        (name("north"), vec![name("north-video"), name("north-chat")], counts),
        (name("east"), vec![name("east-app")], Counts::default()),
    ];
    Publication::of(Day::of(Timestamp(1_800_000_000_000)), parties)
}

fn hold(file: &str, is: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("TOCSIN_REGENERATE").is_some() {
        std::fs::write(&path, is).unwrap();
    }
    assert_eq!(
        is,
        std::fs::read_to_string(&path).unwrap(),
        "{file} is of a released version"
    );
}

#[test]
fn a_day_is_published_in_these_bytes() {
    let day = day();
    hold("day-1.json", &serde_json::to_string(&day).unwrap());
    hold("day-1.csv", &csv(&day));
}

#[test]
fn a_published_day_is_read_back() {
    let read: Publication = serde_json::from_str(include_str!("golden/day-1.json")).unwrap();
    assert_eq!(read, day());
}
