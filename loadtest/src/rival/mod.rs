//! The detectors that Tocsin is compared with, on the same records in the same order: what anybody would write first, and the classical scan
//! statistic. Exact counts in hash maps; own code that shares nothing with the core.
//!
//! They are given more than a deployment has: the family of every variant, and the true time of every event, so that neither a wrong clock nor
//! a late or replayed event costs them anything. All of them drop duplicates of whatever they still look back to, ring once for a family and
//! are quiet about it for [`REARMED_AFTER`].
//!
//! Start reading at [`Rival`]; [`all`] makes the set.

mod counted;
mod mixed;
mod scan;
#[cfg(test)]
mod tests;
mod watch;

pub use counted::CountedInWindow;
pub use scan::PoissonScan;

use tocsin_model::Milliseconds;

use crate::day::Occurrence;
use crate::score::Alarm;

/// A family that has rung may ring again after this.
pub const REARMED_AFTER: Milliseconds = Milliseconds::from_hours(24);

/// A detector.
pub trait Rival {
    /// Its name in rows.
    fn name(&self) -> &'static str;

    /// When it rings, in words, with its threshold.
    fn rule(&self) -> String;

    /// The next record, in the order of receipt. The alarm it leads to, if it does.
    fn observe(&mut self, occurrence: &Occurrence) -> Option<Alarm>;
}

/// All rivals, fresh.
pub fn all() -> Vec<Box<dyn Rival>> {
    vec![
        Box::new(CountedInWindow::ten_in_five_minutes()),
        Box::new(CountedInWindow::thirty_in_an_hour()),
        Box::new(PoissonScan::new()),
    ]
}
