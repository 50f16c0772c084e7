//! What one event costs the whole core, beside an exact map, which forgets nothing, bounds nothing and rings for nothing.
//!
//! 200,000 contents by default; `TOCSIN_BENCH_CONTENTS=10000000` is the size the design speaks of (some 2 GB and minutes to fill).
//! Results are kept in `loadtest/RECORD.md`. The parts have benchmarks of their own, beside their rivals: `parts` here, and in `tocsin-sketch`.

#![allow(missing_docs)]

mod stream;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stream::{Core, Mix};

/// Events drawn at a time. Drawing is not measured.
const DRAWN: usize = 4_096;

fn core(criterion: &mut Criterion) {
    let contents = std::env::var("TOCSIN_BENCH_CONTENTS").map_or(200_000, |text| text.parse().expect("a number"));
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for mix in [Mix::Cold, Mix::Day, Mix::HotHeavy] {
        // As many new contents again fit into the filters.
        let mut core = Core::after_a_day(contents, contents);
        group.bench_function(BenchmarkId::new(format!("{mix:?}"), contents), |b| {
            b.iter_custom(|events| {
                let mut time = Duration::ZERO;
                for drawn in in_parts(events) {
                    core.draw(mix, drawn);
                    let began = Instant::now();
                    core.measured();
                    time += began.elapsed();
                }
                time
            });
        });
    }
    // The rival keeps every time stamp of every content, as the exact table of the evaluation does.
    let mut exact: HashMap<u128, Vec<i64>> = HashMap::new();
    let mut drawn = Core::empty(contents, contents);
    let all = contents as usize * 5;
    for part in in_parts(all as u64) {
        drawn.draw(Mix::Day, part);
        drawn.each(|content, at| exact.entry(content).or_default().push(at));
    }
    group.bench_function(BenchmarkId::new("exact HashMap, Day", contents), |b| {
        b.iter_custom(|events| {
            let mut time = Duration::ZERO;
            for part in in_parts(events) {
                drawn.draw(Mix::Day, part);
                let began = Instant::now();
                drawn.each(|content, at| exact.entry(content).or_default().push(at));
                time += began.elapsed();
            }
            black_box(exact.len());
            time
        });
    });
    group.finish();
}

/// So many events in parts of at most [`DRAWN`].
fn in_parts(events: u64) -> impl Iterator<Item = usize> {
    let whole = std::iter::repeat_n(DRAWN, events as usize / DRAWN);
    whole.chain(std::iter::once(events as usize % DRAWN))
}

criterion_group!(benches, core);
criterion_main!(benches);
