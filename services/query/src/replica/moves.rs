//! Which contents changed since somebody asked last. One mark for each hot record at most.

use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashSet;
use tocsin_model::{Class, ContentId};

/// The contents that changed, by class, while somebody follows.
#[derive(Debug, Default)]
pub struct Moves {
    is_followed: AtomicBool,
    marks: DashSet<(ContentId, Class)>,
}

impl Moves {
    /// Whether somebody follows: marks are kept from now on, or dropped and kept no longer.
    pub fn set_followed(&self, is_followed: bool) {
        self.is_followed.store(is_followed, Ordering::Release);
        if !is_followed {
            self.marks.clear();
            self.marks.shrink_to_fit();
        }
    }

    /// A record changed. Called when it can be read already.
    pub(super) fn mark(&self, content: ContentId, class: Class) {
        if self.is_followed.load(Ordering::Acquire) {
            self.marks.insert((content, class));
        }
    }

    /// What changed since the last call. What changes from now on is marked again, so whoever reads the records after this misses nothing.
    pub fn take(&self) -> Vec<(ContentId, Class)> {
        let marked: Vec<(ContentId, Class)> = self.marks.iter().map(|mark| *mark).collect();
        for mark in &marked {
            self.marks.remove(mark);
        }
        marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_once_and_only_while_somebody_follows() {
        let moves = Moves::default();
        moves.mark(ContentId(1), Class::All);
        assert_eq!(moves.take(), []);
        moves.set_followed(true);
        moves.mark(ContentId(1), Class::All);
        moves.mark(ContentId(1), Class::All);
        assert_eq!(moves.take(), [(ContentId(1), Class::All)]);
        assert_eq!(moves.take(), []);
        moves.mark(ContentId(2), Class::Coordinators);
        moves.set_followed(false);
        assert_eq!(moves.take(), []);
    }
}
