//! Goal: against the last checkpoint that a party holds, every edit, removal, swap, insertion and truncation of a
//! log is found, also when whoever did it computed all hashes again.
//!
//! By default on 150 records, every place of them. The full bar, 10,000 records:
//!   TOCSIN_AUDIT_RECORDS=10000 cargo test --release -p tocsin-audit --test tampering
//! TOCSIN_FIGURES names a directory that the figures are written into.
#![allow(clippy::unwrap_used, dead_code)]

mod log;

use log::{Log, Row, cover_up, verify};
use proptest::prelude::Rng as _;
use tocsin_audit::{Fault, Record, Verifier};

const RECORDS_DEFAULT: usize = 150;

/// One thing that is done to a log: its name, and what the rows from the first changed one on become.
struct Attack {
    name: &'static str,
    rows: Vec<Row>,
}

/// Every attack whose first changed row is `place`. `rows` are those from there on.
fn attacks(rows: &[Row], place: usize, further: usize, bit: usize) -> Vec<Attack> {
    let of = |name, change: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = rows.to_vec();
        change(&mut rows);
        Attack { name, rows }
    };
    let mut made = vec![
        of("a bit is flipped", &|rows| {
            let bytes = &mut rows[0].bytes;
            let bit = bit % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }),
        of("a hash is exchanged", &|rows| rows[0].hash[bit % 32] ^= 1),
        of("a record is removed", &|rows| drop(rows.remove(0))),
        of("a record is put in", &|rows| {
            let mut record = Record::from_bytes(&rows[0].bytes).unwrap();
            record.detail.push('!');
            let bytes = record.to_bytes();
            rows.insert(
                0,
                Row {
                    bytes,
                    ..rows[0].clone()
                },
            );
        }),
        of("the end is cut off", &|rows| rows.clear()),
    ];
    if rows.len() > 1 {
        let other = 1 + further % (rows.len() - 1);
        made.push(of("two records are swapped", &|rows| rows.swap(0, other)));
        made.push(of("two records change places", &|rows| {
            rows.swap(0, other);
            let (first, second) = (place as u64, (place + other) as u64);
            (rows[0].sequence, rows[other].sequence) = (first, second);
        }));
    }
    made
}

/// Plays every attack at every place, as it is and covered up; how many, and the names and places of those that nobody finds.
fn play(log: &Log, seed: u64) -> (u64, Vec<String>) {
    let mut rng = log::rng(seed);
    let (mut played, mut undetected) = (0, Vec::new());
    // What stands before the first changed row is read once.
    let mut before: Verifier = log.verifier();
    for (place, row) in log.rows.iter().enumerate() {
        let rows = &log.rows[place..];
        for mut attack in attacks(rows, place, rng.next_u32() as usize, rng.next_u32() as usize) {
            let mut tell = |how: &str, rows: &[Row]| {
                played += 1;
                if verify(before.clone(), rows).is_ok() {
                    undetected.push(format!("{} at {place}, {how}", attack.name));
                }
            };
            tell("as it is", &attack.rows);
            // A wrong hash that is computed again is the right one: nothing is left of that attack.
            if attack.name != "a hash is exchanged" {
                cover_up(&mut attack.rows, before.head());
                tell("covered up", &attack.rows);
            }
        }
        before.read(row.sequence, &row.bytes, &row.hash).unwrap();
    }
    (played, undetected)
}

#[test]
fn whatever_is_done_to_a_log_is_found() {
    let records = std::env::var("TOCSIN_AUDIT_RECORDS").map_or(RECORDS_DEFAULT, |count| count.parse().unwrap());
    let log = Log::new(records, 1);
    assert_eq!(
        verify(log.verifier(), &log.rows),
        Ok(log.checkpoint.chains[0].head),
        "untouched, it holds"
    );
    let (played, undetected) = play(&log, 2);
    eprintln!("{played} changes of {records} records: {} undetected", undetected.len());
    if let Ok(directory) = std::env::var("TOCSIN_FIGURES") {
        let figures = format!(
            "{{\"audit_records\": {records}, \"audit_changes\": {played}, \"undetected\": {}}}\n",
            undetected.len()
        );
        std::fs::write(std::path::Path::new(&directory).join("audit.json"), figures).unwrap();
    }
    assert_eq!(undetected, Vec::<String>::new());
}

#[test]
fn the_attacks_are_attacks() {
    // A verifier that believes everything would pass the test above if the attacks changed nothing.
    let log = Log::new(40, 3);
    let mut before = log.verifier();
    for (place, row) in log.rows.iter().enumerate() {
        for attack in attacks(&log.rows[place..], place, place * 7, place * 13) {
            assert_ne!(attack.rows, log.rows[place..], "{}", attack.name);
        }
        before.read(row.sequence, &row.bytes, &row.hash).unwrap();
    }
}

#[test]
fn without_a_checkpoint_a_cover_up_is_not_found_and_clumsiness_is() {
    let log = Log::new(20, 4);
    let alone = || Verifier::new(log::node(), tocsin_audit::Expected::default());
    let mut covered_up = log.rows.clone();
    covered_up.remove(7);
    assert_eq!(
        verify(alone(), &covered_up),
        Err(Fault::Missing { expected: 7, found: 8 })
    );
    cover_up(&mut covered_up, tocsin_audit::Head::EMPTY);
    assert!(verify(alone(), &covered_up).is_ok(), "this is what checkpoints are for");
    let found = verify(log.verifier(), &covered_up);
    assert_eq!(
        found,
        Err(Fault::Truncated {
            promised: 20,
            found: 19
        })
    );
}
