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
}

impl Span {
    pub(super) fn begin(&self) {
        self.first.store(count(), Ordering::Relaxed);
        self.look();
    }

    pub(super) fn look(&self) {
        self.latest.store(count(), Ordering::Relaxed);
    }

    pub(super) fn allocated(&self) -> u64 {
        self.latest
            .load(Ordering::Relaxed)
            .saturating_sub(self.first.load(Ordering::Relaxed))
    }
}
