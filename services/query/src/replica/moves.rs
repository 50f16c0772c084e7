//! Which contents changed since somebody asked last, and which families some left. One mark for each content and class of which a record came, changed
//! or went since, however often; of families a bounded number.

use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashSet;
use tocsin_model::{Class, ContentId, FamilyId};

/// So many marks of families that were left are kept; those beyond are dropped.
const LEFT_MAX: usize = 65_536;

/// The contents that changed, by class, while somebody follows.
#[derive(Debug, Default)]
pub struct Moves {
    is_followed: AtomicBool,
    marks: DashSet<(ContentId, Class)>,
    left: DashSet<(FamilyId, Class)>,
}

/// What changed, by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Contents of which a record changed.
    pub contents: Vec<(ContentId, Class)>,
    /// Families that a record left, for another or altogether.
    pub left: Vec<(FamilyId, Class)>,
}

impl Marked {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.left.is_empty()
    }
}

impl Moves {
    /// Whether somebody follows: marks are kept from now on, or dropped and kept no longer.
    pub fn set_followed(&self, is_followed: bool) {
        self.is_followed.store(is_followed, Ordering::Release);
        if !is_followed {
            self.marks.clear();
            self.marks.shrink_to_fit();
            self.left.clear();
            self.left.shrink_to_fit();
        }
    }

    /// A record changed. Called when it can be read already.
    pub(super) fn mark(&self, content: ContentId, class: Class) {
        if self.is_followed.load(Ordering::Acquire) {
            self.marks.insert((content, class));
        }
    }

    /// A record left a family. Called when it can be read no more as one of it.
    pub(super) fn mark_left(&self, family: FamilyId, class: Class) {
        if self.is_followed.load(Ordering::Acquire) && self.left.len() < LEFT_MAX {
            self.left.insert((family, class));
        }
    }

    /// What changed since the last call. What changes from now on is marked again, so whoever reads the records after this misses nothing.
    pub fn take(&self) -> Marked {
        Marked {
            contents: taken(&self.marks),
            left: taken(&self.left),
        }
    }
}

fn taken<T: Copy + Eq + std::hash::Hash>(marks: &DashSet<T>) -> Vec<T> {
    let taken: Vec<T> = marks.iter().map(|mark| *mark).collect();
    for mark in &taken {
        marks.remove(mark);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_once_and_only_while_somebody_follows() {
        let moves = Moves::default();
        moves.mark(ContentId(1), Class::All);
        assert!(moves.take().is_empty());
        moves.set_followed(true);
        moves.mark(ContentId(1), Class::All);
        moves.mark(ContentId(1), Class::All);
        moves.mark_left(FamilyId(ContentId(3)), Class::All);
        let marked = Marked {
            contents: vec![(ContentId(1), Class::All)],
            left: vec![(FamilyId(ContentId(3)), Class::All)],
        };
        assert_eq!(moves.take(), marked);
        assert!(moves.take().is_empty());
        moves.mark(ContentId(2), Class::Coordinators);
        moves.mark_left(FamilyId(ContentId(2)), Class::Coordinators);
        moves.set_followed(false);
        assert!(moves.take().is_empty());
    }
}
