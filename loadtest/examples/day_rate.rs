//! How many records a second one thread makes: `cargo run --release -p tocsin-loadtest --example day_rate -- [scale]`.

use std::time::Instant;

use tocsin_loadtest::day::{Day, DayPlan, Scale};

fn main() {
    let scale = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.01);
    let plan = DayPlan::headline(Scale(scale), 1, 0);
    let began = Instant::now();
    let mut digest = 0_u64;
    let mut records = 0_u64;
    for occurrence in Day::new(&plan) {
        digest = digest.rotate_left(5) ^ occurrence.number ^ occurrence.account.0;
        records += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{records} records in {seconds:.2} s: {:.0} a second (digest {digest:016x})",
        records as f64 / seconds
    );
}
