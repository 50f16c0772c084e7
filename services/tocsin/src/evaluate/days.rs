//! Days, or whatever else can be played by itself, played side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many days are played at a time.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// Plays all of them, so many at a time. In the order of the plans, whatever the threads; `play` is told the place of its plan.
pub(super) fn side_by_side<P: Sync, T: Send>(
    plans: &[P],
    threads: usize,
    play: impl Fn(usize, &P) -> T + Sync,
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
                    tracing::info!(place, done = done.len(), of = plans.len(), "played");
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all threads have ended");
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, played)| played).collect()
}
