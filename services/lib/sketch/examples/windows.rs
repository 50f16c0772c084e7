//! Bytes and errors of the cold counts at scale: a day of contents, nine in ten seen once, in 256 groups, against exact counts of a sample.
//!
//! `cargo run --release -p tocsin-sketch --example windows -- [CONTENTS] [EVENTS] [WIDTH] [HOT]`; the defaults are 10^7 contents, 5 x 10^7
//! events, width 1,024 and 4,096 hot contents, whose events are counted elsewhere. Prints figures, one a line.

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{ContentId, Milliseconds, Timestamp};
use tocsin_sketch::codec::Encoder;
use tocsin_sketch::{ColdConfig, ColdCounts};

const START: Timestamp = Timestamp(1_552_600_800_000);
const DAY: i64 = 86_400_000;
const GROUPS: usize = 256;
/// One content in this many is counted exactly.
const SAMPLE: u64 = 40;

fn content(number: u64) -> ContentId {
    let mix = |salt: u64| {
        let mut z = (number ^ salt).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(z ^ z >> 31)
    };
    ContentId(mix(0) << 64 | mix(0x5eed_0000_0000_0000))
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().expect("a number"));
    let contents = arguments.next().unwrap_or(10_000_000);
    let events = arguments.next().unwrap_or(50_000_000);
    let width = arguments.next().unwrap_or(1_024) as u32;
    let hot = arguments.next().unwrap_or(4_096);
    let repeated = contents / 10;
    let config = ColdConfig {
        width,
        seed: 42,
        lateness: Milliseconds::from_hours(2),
    };
    let mut groups: Vec<ColdCounts> = (0..GROUPS).map(|_| ColdCounts::new(config)).collect();
    let idle: usize = groups.iter().map(ColdCounts::memory_bytes).sum();
    let mut truth: HashMap<u64, Vec<Timestamp>> = HashMap::new();
    let mut random = SmallRng::seed_from_u64(7);
    let mut once = repeated;
    let mut seen = vec![false; contents as usize];
    let mut live = 0u64;
    let mut cold_events = 0u64;
    let mut busy = std::time::Duration::ZERO;
    let mut batch: Vec<(ContentId, Timestamp, Timestamp)> = Vec::with_capacity(4_096);
    for event in 0..events {
        let now = START + Milliseconds((i128::from(event) * i128::from(DAY) / i128::from(events)) as i64);
        // The contents seen once come in turn, evenly over the day; all others by rank, the k-th in proportion to 1 / k.
        let number = if (event * (contents - repeated) / events) + repeated >= once && once < contents {
            once += 1;
            once - 1
        } else {
            (repeated as f64).powf(random.random::<f64>()) as u64 % repeated
        };
        let at = match random.random_range(0..1_000u32) {
            0 => now - Milliseconds(random.random_range(0..7_200_000)),
            1..10 => now - Milliseconds(random.random_range(0..3_600_000)),
            _ => now - Milliseconds(random.random_range(0..2_000)),
        };
        if number < hot {
            continue;
        }
        live += u64::from(!std::mem::replace(&mut seen[number as usize], true));
        if number % SAMPLE == 0 {
            truth.entry(number).or_default().push(at);
        }
        cold_events += 1;
        batch.push((content(number), at, now));
        if batch.len() == batch.capacity() {
            busy += record(&mut groups, &mut batch);
        }
    }
    busy += record(&mut groups, &mut batch);
    let end = START + Milliseconds(DAY);
    groups.iter_mut().for_each(|group| group.advance(end));

    let memory: usize = groups.iter().map(ColdCounts::memory_bytes).sum();
    let first: usize = groups.iter().map(ColdCounts::first_sightings).sum();
    let encoded: usize = groups
        .iter()
        .map(|group| {
            let mut out = Encoder::new();
            group.encode(&mut out);
            out.finish().len()
        })
        .sum();
    println!("idle_bytes {idle}");
    println!("cold_events {cold_events}");
    println!("live_contents {live}");
    println!("first_sightings {first}");
    println!("memory_bytes {memory}");
    println!("bytes_per_content {:.2}", memory as f64 / live as f64);
    println!("encoded_bytes_per_content {:.2}", encoded as f64 / live as f64);
    println!("record_ns {:.1}", busy.as_nanos() as f64 / cold_events as f64);
    for (name, from, to) in [
        ("5m", end - Milliseconds::from_minutes(5), end),
        ("1h", end - Milliseconds::from_hours(1), end),
        ("24h", START, end),
        (
            "6h_3h_ago",
            end - Milliseconds::from_hours(9),
            end - Milliseconds::from_hours(3),
        ),
    ] {
        let mut all = Vec::new();
        let mut of_repeated = Vec::new();
        let (mut under, mut beyond, mut bound, mut confidence) = (0u64, 0u64, 0.0, 1.0f64);
        for (number, times) in &truth {
            let id = content(*number);
            let answer = groups[usize::from(id.group().0)].count(id, from, to);
            let exact = times
                .iter()
                .filter(|at| (answer.covered_from..answer.covered_to).contains(at))
                .count() as u64;
            under += u64::from(answer.count.high < exact);
            let error = answer.count.high.saturating_sub(exact);
            beyond += u64::from(error as f64 > answer.expected_error);
            bound += answer.expected_error;
            confidence = confidence.min(answer.confidence);
            all.push(error);
            if times.len() > 1 {
                of_repeated.push(error);
            }
        }
        all.sort_unstable();
        of_repeated.sort_unstable();
        let p999 = |errors: &[u64]| errors.get(errors.len() * 999 / 1_000).copied().unwrap_or(0);
        println!(
            "{name}: undercounts {under} error_mean {:.4} error_p999 {} error_max {} error_p999_repeated {} beyond_bound {:.5} bound_mean {:.2} confidence_min {confidence:.4}",
            all.iter().sum::<u64>() as f64 / all.len() as f64,
            p999(&all),
            all.last().copied().unwrap_or(0),
            p999(&of_repeated),
            beyond as f64 / all.len() as f64,
            bound / all.len() as f64,
        );
    }
}

/// Time this process has run on a processor where Linux says it, otherwise time passed.
fn processor_time(started: Instant) -> std::time::Duration {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = schedule.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or_else(|| started.elapsed(), std::time::Duration::from_nanos)
}

/// Records a batch and says how long that took.
fn record(groups: &mut [ColdCounts], batch: &mut Vec<(ContentId, Timestamp, Timestamp)>) -> std::time::Duration {
    let started = Instant::now();
    let before = processor_time(started);
    let mut bounds = 0u64;
    for (content, at, now) in batch.drain(..) {
        bounds += u64::from(groups[usize::from(content.group().0)].record(content, at, now).high);
    }
    std::hint::black_box(bounds);
    processor_time(started) - before
}
