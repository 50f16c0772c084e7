//! What one event costs the core, once through: for a profiler, and for instruction counts on a machine too busy to time anything.
//!
//! `cargo run --release -p tocsin-velocity --example core_event -- MIX [CONTENTS] [EVENTS]`; MIX is `cold`, `day` or `hot`, the defaults are
//! 200,000 contents on the day before and 200,000 events. Under `valgrind --tool=callgrind --toggle-collect='*Core*measured*'` only these
//! events are counted.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

#[path = "../benches/stream/mod.rs"]
mod stream;

use std::time::{Duration, Instant};

use stream::{Core, Mix};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mix = match arguments.next().as_deref() {
        Some("cold") => Mix::Cold,
        Some("day") => Mix::Day,
        Some("hot") => Mix::HotHeavy,
        _ => panic!("cold, day or hot is wanted"),
    };
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |text| text.parse::<u64>().expect("a number"))
    };
    let (contents, events) = (number(200_000), number(200_000));
    let mut core = Core::after_a_day(contents, events);
    println!("contents, hot records, open episodes: {:?}", core.sizes());
    core.draw(mix, events as usize);
    let (started, before) = (Instant::now(), processor_time());
    core.measured();
    let (elapsed, busy) = (started.elapsed(), processor_time() - before);
    println!("contents, hot records, open episodes: {:?}", core.sizes());
    println!("digest of the state: {:016x}", core.digest());
    println!(
        "{mix:?}: {:.0} ns an event, {:.0} ns of processor time",
        per(elapsed, events),
        per(busy, events)
    );
}

fn per(time: Duration, events: u64) -> f64 {
    time.as_nanos() as f64 / events.max(1) as f64
}

/// How long this process has run on a processor, where Linux says it.
fn processor_time() -> Duration {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = schedule.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
