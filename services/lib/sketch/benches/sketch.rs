//! What one event costs, beside what it would cost with the crates that lost. Results are kept in `RECORD.md`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datasketches::hll::{HllSketch, HllType};
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use probabilistic_collections::SipHasherBuilder;
use probabilistic_collections::count_min_sketch::{CountMinSketch, CountMinStrategy};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{AccountToken, ContentId, Milliseconds, Timestamp};
use tocsin_sketch::{ColdConfig, ColdCounts, Reach, RecentTokens};

const START: Timestamp = Timestamp(1_552_600_800_000);
const GROUPS: usize = 256;

fn content(number: u64) -> ContentId {
    let high = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let low = u128::from((number ^ 0x5bd1_e995).wrapping_mul(0xc2b2_ae3d_27d4_eb4f));
    ContentId(high << 64 | low)
}

/// `contents` seen over a day in 256 groups: nine in ten once, the rest as often as the k-th in proportion to 1 / k.
struct Day {
    groups: Vec<ColdCounts>,
    random: SmallRng,
    contents: u64,
    now: Timestamp,
}

impl Day {
    fn new(contents: u64) -> Self {
        let config = ColdConfig {
            width: 1_024,
            seed: 1,
            lateness: Milliseconds::from_hours(2),
        };
        let mut day = Day {
            groups: vec![ColdCounts::new(config); GROUPS],
            random: SmallRng::seed_from_u64(contents),
            contents,
            now: START,
        };
        let events = contents * 3;
        for event in 0..events {
            day.now = START + Milliseconds((event as i128 * 86_400_000 / i128::from(events)) as i64);
            day.event();
        }
        day
    }

    fn pick(&mut self) -> ContentId {
        let repeated = (self.contents / 10) as f64;
        if self.random.random_range(0..3u8) == 0 {
            content(self.random.random_range(0..self.contents) + 1)
        } else {
            content(repeated.powf(self.random.random::<f64>()) as u64)
        }
    }

    fn event(&mut self) -> u32 {
        let content = self.pick();
        let now = self.now;
        self.groups[usize::from(content.group().0)]
            .record(content, now, now)
            .high
    }
}

fn cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cold");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    for contents in [10_000u64, 1_000_000] {
        let mut day = Day::new(contents);
        group.bench_function(BenchmarkId::new("picking a content alone", contents), |b| {
            b.iter(|| day.pick())
        });
        group.bench_function(BenchmarkId::new("record", contents), |b| b.iter(|| day.event()));
        for (name, window) in [("5 min", 5), ("1 h", 60), ("24 h", 1_440)] {
            let window = Milliseconds::from_minutes(window);
            group.bench_function(BenchmarkId::new(format!("count {name}"), contents), |b| {
                b.iter(|| {
                    let content = day.pick();
                    day.groups[usize::from(content.group().0)].count(content, day.now - window, day.now)
                });
            });
        }
        let builders = [SipHasherBuilder::from_seed(1, 1), SipHasherBuilder::from_seed(1, 2)];
        // One window without any notion of time, of the same 4 rows.
        let mut theirs = CountMinSketch::<CountMinStrategy, u128>::with_hashers(4, 1 << 18, builders);
        group.bench_function(
            BenchmarkId::new("probabilistic-collections insert and count", contents),
            |b| {
                b.iter(|| {
                    let content = day.pick().0;
                    theirs.insert(&content, 1);
                    theirs.count(&content)
                });
            },
        );
    }
    group.finish();
}

#[derive(Clone, Default)]
struct Unchanged(u64);

impl Hasher for Unchanged {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, token: u64) {
        self.0 = token;
    }
}

impl BuildHasher for Unchanged {
    type Hasher = Unchanged;
    fn build_hasher(&self) -> Unchanged {
        Unchanged(0)
    }
}

fn reach(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reach");
    for accounts in [64u64, 1_000, 100_000] {
        let tokens: Vec<u64> = {
            let mut random = SmallRng::seed_from_u64(accounts);
            (0..accounts).map(|_| random.random()).collect()
        };
        group.throughput(Throughput::Elements(accounts)).sample_size(20);
        group.bench_function(BenchmarkId::new("ours p=12", accounts), |b| {
            b.iter(|| {
                let mut reach = Reach::new(12);
                tokens.iter().for_each(|token| reach.insert(AccountToken(*token)));
                reach
            });
        });
        group.bench_function(BenchmarkId::new("hyperloglogplus p=12", accounts), |b| {
            b.iter(|| {
                let mut plus: HyperLogLogPlus<u64, _> = HyperLogLogPlus::new(12, Unchanged(0)).unwrap();
                tokens.iter().for_each(|token| plus.insert(token));
                plus
            });
        });
        group.bench_function(BenchmarkId::new("datasketches p=12 HLL8", accounts), |b| {
            b.iter(|| {
                let mut apache = HllSketch::new(12, HllType::Hll8);
                tokens.iter().for_each(|token| apache.update(*token));
                apache
            });
        });
        let mut ours = Reach::new(12);
        tokens.iter().for_each(|token| ours.insert(AccountToken(*token)));
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("ours estimate", accounts), |b| {
            b.iter(|| black_box(&ours).estimate())
        });
    }
    group.finish();
}

fn recent(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recent tokens");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let horizon = Milliseconds::from_minutes(130);
    let held = 1_000_000u64;
    // One token a step keeps some `held` of them inside the horizon.
    let step = horizon.0 as f64 / held as f64;
    let mut random = SmallRng::seed_from_u64(3);
    let mut ours = RecentTokens::new(horizon, 4 * held as usize);
    let mut count = 0u64;
    let mut next = move |ours: &mut RecentTokens| {
        count += 1;
        ours.insert(random.random(), START + Milliseconds((count as f64 * step) as i64))
    };
    for _ in 0..2 * held {
        next(&mut ours);
    }
    group.bench_function("ours, expiry included", |b| b.iter(|| next(&mut ours)));
    let mut random = SmallRng::seed_from_u64(3);
    let mut theirs: HashSet<u64> = (0..held).map(|_| random.random()).collect();
    group.bench_function("std HashSet, nothing expires", |b| {
        b.iter(|| theirs.insert(random.random()))
    });
    group.finish();
    eprintln!(
        "recent tokens: {} held in {} bytes; HashSet at the end: {} in a table for {}",
        ours.len(),
        ours.memory_bytes(),
        theirs.len(),
        theirs.capacity()
    );
}

criterion_group!(benches, cold, reach, recent);
criterion_main!(benches);
