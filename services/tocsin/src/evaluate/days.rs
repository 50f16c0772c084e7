//! Days that do not depend on one another, played side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tocsin_loadtest::day::DayPlan;

/// As many days are played at a time.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// Plays all days, so many at a time. In the order of the plans, whatever the threads; `play` is told the place of its plan.
pub(super) fn each_day<T: Send>(
    plans: &[DayPlan],
    threads: usize,
    play: impl Fn(usize, &DayPlan) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(plans.len()) {
            scope.spawn(|| {
                while let place = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(plan) = plans.get(place)
                {
                    let played = play(place, plan);
                    let mut done = done.lock().expect("no thread panics while it holds this");
                    done.push((place, played));
                    tracing::info!(day = place, done = done.len(), of = plans.len(), "played a day");
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all threads have ended");
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, played)| played).collect()
}
