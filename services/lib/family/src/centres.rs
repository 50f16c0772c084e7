use std::collections::HashMap;

use tocsin_model::{Class, FamilyId};

use crate::pdq::Pdq;

/// The centre of each family that something is announced of: the first picture that was. What joins by its looks stays near to it, so that
/// a chain of pictures, each near to the one before, does not end at another picture.
#[derive(Debug, Default)]
pub(crate) struct Centres(HashMap<(FamilyId, Class), Centre>);

#[derive(Debug, Default)]
struct Centre {
    pdq: Option<Pdq>,
    announcements: usize,
}

impl Centres {
    /// No picture joins a family whose centre is further away, in bits.
    pub(crate) const DISTANCE_MAX: u32 = 48;

    /// Whether a picture may join a family by its looks; any may as long as no centre is known.
    pub(crate) fn is_within(&self, pdq: &Pdq, family: FamilyId, class: Class) -> bool {
        let centre = self.0.get(&(family, class)).and_then(|centre| centre.pdq);
        centre.is_none_or(|centre| centre.distance(pdq) <= Centres::DISTANCE_MAX)
    }

    /// Whether two families may become one by the looks of a content; they may as long as one's centre is not known.
    pub(crate) fn are_near(&self, one: FamilyId, other: FamilyId, class: Class) -> bool {
        let centre = self.0.get(&(one, class)).and_then(|centre| centre.pdq);
        centre.is_none_or(|centre| self.is_within(&centre, other, class))
    }

    /// A content of the family is announced that belonged to another one before, whose centre is the new one's unless that has its own.
    pub(crate) fn enter(&mut self, family: FamilyId, class: Class, before: Option<FamilyId>) {
        let before = before.and_then(|before| self.0.get(&(before, class))?.pdq);
        let centre = self.0.entry((family, class)).or_default();
        centre.announcements += 1;
        centre.pdq = centre.pdq.or(before);
    }

    /// A content of the family is announced no more; with the last one its centre goes.
    pub(crate) fn leave(&mut self, family: FamilyId, class: Class) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.announcements -= 1;
            if centre.announcements == 0 {
                self.0.remove(&(family, class));
            }
        }
    }

    /// The first picture of a family is its centre.
    pub(crate) fn set(&mut self, family: FamilyId, class: Class, pdq: Pdq) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.pdq.get_or_insert(pdq);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
