//! Fail-points: the named places where a crash must lose nothing and double nothing.
//!
//! What this crate does not do: it decides nothing. Without the feature `armed`, as in every production build, [`reach`] is empty and
//! compiles to nothing. With it, a test's hook is asked at each place (the simulation), or the process ends at the place that the
//! environment variable [`VARIABLE`] names (faults on real processes).
//!
//! Invariants:
//! * Every point of [`FailPoint::ALL`] is reached at exactly one place of the code; `tests/simulation/tests/fail_points.rs` compares them.
//! * No code branches on a fail-point: what is reached with and without `armed` is the same.
//!
//! Start reading at [`FailPoint`].

#[cfg(feature = "armed")]
mod armed;
mod point;

#[cfg(feature = "armed")]
pub use armed::{Adopted, Hook, VARIABLE, adopt, inherited};
pub use point::FailPoint;

/// What an unarmed build hands from thread to thread: nothing.
#[cfg(not(feature = "armed"))]
#[derive(Clone, Copy, Debug)]
pub struct Hook;

/// The hook of this thread, for a thread that it starts.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn inherited() -> Hook {
    Hook
}

/// Takes over the hook of the thread that started this one, until the result is dropped.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn adopt(_hook: Hook) -> Adopted {
    Adopted
}

/// What stands in an unarmed build for a thread's hook.
#[cfg(not(feature = "armed"))]
#[derive(Clone, Copy, Debug)]
pub struct Adopted;

/// The code has come to this point.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn reach(_point: FailPoint) {}

/// The code has come to this point: the hook of the thread is asked, and may unwind; the environment may end the process.
#[cfg(feature = "armed")]
pub fn reach(point: FailPoint) {
    armed::reach(point);
}
