use tocsin_model::Milliseconds;

use super::Rival;
use super::watch::Watch;
use crate::day::Occurrence;
use crate::score::Alarm;

/// The rule that everybody writes first: so many copies within such a time.
#[derive(Clone, Debug)]
pub struct CountedInWindow {
    name: &'static str,
    copies: usize,
    window: Milliseconds,
    watch: Watch,
}

impl CountedInWindow {
    /// At least 10 copies in 5 minutes.
    pub fn ten_in_five_minutes() -> Self {
        CountedInWindow::new("ten_in_5_min", 10, Milliseconds::from_minutes(5))
    }

    /// At least 30 copies in 60 minutes.
    pub fn thirty_in_an_hour() -> Self {
        CountedInWindow::new("thirty_in_60_min", 30, Milliseconds::from_minutes(60))
    }

    fn new(name: &'static str, copies: usize, window: Milliseconds) -> Self {
        CountedInWindow {
            name,
            copies,
            window,
            watch: Watch::new(window),
        }
    }
}

impl Rival for CountedInWindow {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rule(&self) -> String {
        format!(
            "{} or more copies within {} minutes",
            self.copies,
            self.window.0 / Milliseconds::from_minutes(1).0
        )
    }

    fn observe(&mut self, occurrence: &Occurrence) -> Option<Alarm> {
        let watched = self.watch.take_in(occurrence)?;
        let copies = watched.newest_within(self.window);
        if copies < self.copies {
            return None;
        }
        watched.ring(occurrence.received_at);
        Some(Alarm {
            family: occurrence.family,
            at: occurrence.received_at,
            score: copies as f64,
            threshold: self.copies as f64,
        })
    }
}
