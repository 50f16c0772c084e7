//! The index of PDQ hashes, on one thread: how many lookups it answers, in how much memory, beside the matchers a platform would take.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tocsin_family::{Found, Lookup, Pdq, PdqIndex};
use tocsin_loadtest::picture::flipped;

use super::process;

const SEED: u64 = 20_190_315;
/// Lookups of a set; half of them are to find something.
const QUERIES: usize = 4_000;
/// So many are handed over at once, where they are.
const BATCH: usize = 1_000;
/// All are looked up so often, one at a time and at once in turn: what else the machine does meets both.
const ROUNDS: usize = 3;
/// So many are asked for at most.
const MOST: usize = 8;
/// Hashes inserted while lookups go on.
const INSERTS: usize = 1_000;

/// What the index is filled with.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Hashes that have nothing to do with one another.
    Random,
    /// Pictures of which there are a thousand copies each, up to 20 bits from theirs.
    Clustered,
    /// Copies of one picture, up to 20 bits from it: most chunks of all hashes are the same.
    Skewed,
}

/// What was measured with one set of hashes.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) lookups: usize,
    pub(super) elapsed: Duration,
    /// Of the thread.
    pub(super) processor_time: Duration,
    /// The same lookups, [`BATCH`] handed over at once: how long they took, and of the thread.
    pub(super) batched: (Duration, Duration),
    pub(super) bytes_per_hash: f64,
    /// From before an insertion to the answer that has it: 99 of 100.
    pub(super) insert_visible: Duration,
}

/// Lookups a second of another matcher, one at a time and a thousand at once, among as many random hashes as `random` of Tocsin's has.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) batch: u64,
    pub(super) lookups_per_second: f64,
}

/// Measures sets of up to ten times `hashes`.
pub(super) fn measure(hashes: usize) -> anyhow::Result<Vec<Measured>> {
    let sets = [
        ("random", Kind::Random, hashes),
        ("random_tenfold", Kind::Random, 10 * hashes),
        ("clustered", Kind::Clustered, hashes),
        ("skewed", Kind::Skewed, hashes),
    ];
    sets.into_iter()
        .map(|(name, kind, count)| measure_set(name, kind, count))
        .collect()
}

fn measure_set(name: &str, kind: Kind, count: usize) -> anyhow::Result<Measured> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut index = PdqIndex::default();
    let mut stored = Vec::new();
    let mut picture: [u8; 32] = random.random();
    for number in 0..count {
        if matches!(kind, Kind::Random) || (matches!(kind, Kind::Clustered) && number % 1_000 == 0) {
            picture = random.random();
        }
        let hash = match kind {
            Kind::Random => picture,
            Kind::Clustered | Kind::Skewed => flipped(picture, random.random_range(0..=20), &mut random),
        };
        index.insert(Pdq::from_bytes(hash), number as u128)?;
        if stored.len() < QUERIES || random.random_range(0..count) < QUERIES {
            stored.push(hash);
        }
    }
    let queries: Vec<Pdq> = (0..QUERIES)
        .map(|number| {
            let hash = match number % 2 {
                0 => flipped(
                    stored[random.random_range(0..stored.len())],
                    Pdq::DISTANCE_MAX,
                    &mut random,
                ),
                _ => random.random(),
            };
            Pdq::from_bytes(hash)
        })
        .collect();

    let (mut lookup, mut found) = (Lookup::default(), Vec::<Found<u128>>::new());
    let (mut elapsed, mut processor_time) = (Duration::ZERO, Duration::ZERO);
    let mut batched = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let mut answered = [0; 2];
        let (began, began_at) = (Instant::now(), process::thread_time());
        for query in &queries {
            index.near(query, MOST, |_| true, &mut lookup, &mut found);
            answered[0] += usize::from(!found.is_empty());
        }
        elapsed += began.elapsed();
        processor_time += process::thread_time() - began_at;
        let (began, began_at) = (Instant::now(), process::thread_time());
        for queries in queries.chunks(BATCH) {
            let told = |_, found: &[Found<u128>]| answered[1] += usize::from(!found.is_empty());
            index.near_each(queries, MOST, |_| true, (&mut lookup, &mut found), told);
        }
        batched.0 += began.elapsed();
        batched.1 += process::thread_time() - began_at;
        ensure!(
            answered == [QUERIES / 2; 2],
            "{answered:?} of {} were found",
            QUERIES / 2
        );
    }

    let mut visible = Vec::new();
    for number in 0..INSERTS {
        let (hash, value) = (Pdq::from_bytes(random.random()), u128::MAX - number as u128);
        let began = Instant::now();
        index.insert(hash, value)?;
        index.near(&hash, MOST, |_| true, &mut lookup, &mut found);
        visible.push(began.elapsed());
        ensure!(
            found.iter().any(|found| found.value == value),
            "an insertion is not seen"
        );
    }
    visible.sort_unstable();
    Ok(Measured {
        name: name.to_owned(),
        lookups: ROUNDS * QUERIES,
        elapsed,
        processor_time,
        batched,
        bytes_per_hash: index.bytes() as f64 / index.len() as f64,
        insert_visible: visible[INSERTS * 99 / 100],
    })
}

/// What other matchers said of themselves: one JSON object a line.
pub(super) fn peers(file: &Path) -> anyhow::Result<Vec<Peer>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line)?;
        Ok(Peer {
            name: line["run"].as_str().context("a line names its run")?.to_owned(),
            batch: line["batch"].as_u64().context("a line has its batch")?,
            lookups_per_second: line["lookups_per_s"].as_f64().context("a line has its rate")?,
        })
    };
    text.lines().map(read).collect()
}
