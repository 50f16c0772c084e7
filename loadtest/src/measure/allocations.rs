//! What the program allocates: librdkafka's own memory is not in it.

use std::sync::atomic::{AtomicU64, Ordering};

use stats_alloc::INSTRUMENTED_SYSTEM;

/// Allocations and growths by this process so far.
pub(super) fn count() -> u64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    (stats.allocations + stats.reallocations) as u64
}

/// Bytes that are allocated now.
pub(super) fn bytes() -> u64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64
}

/// Allocations between the first look and the latest, of a process that goes on meanwhile.
#[derive(Debug, Default)]
pub(super) struct Span {
    first: AtomicU64,
    latest: AtomicU64,
    aside: AtomicU64,
}

impl Span {
    pub(super) fn begin(&self) {
        self.first.store(count(), Ordering::Relaxed);
        self.aside.store(0, Ordering::Relaxed);
        self.look();
    }

    /// Does what whoever measures does, and what the process itself would not: what is allocated meanwhile is not counted. That of other threads is
    /// left out with it, so it must be short.
    pub(super) fn aside<T>(&self, measure: impl FnOnce() -> T) -> T {
        let before = count();
        let measured = measure();
        self.aside.fetch_add(count() - before, Ordering::Relaxed);
        measured
    }

    pub(super) fn look(&self) {
        let own = count().saturating_sub(self.aside.load(Ordering::Relaxed));
        self.latest.store(own, Ordering::Relaxed);
    }

    pub(super) fn allocated(&self) -> u64 {
        self.latest
            .load(Ordering::Relaxed)
            .saturating_sub(self.first.load(Ordering::Relaxed))
    }
}
