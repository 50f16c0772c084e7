use tocsin_model::ContentId;

use crate::pdq::Pdq;

/// What stands for a content: all its hashes by their ids, and its PDQ hashes to be matched by distance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) hashes: Vec<ContentId>,
    pub(crate) pdqs: Vec<Pdq>,
}

impl Names {
    /// So many hashes and so many PDQ hashes of a content are kept: those known first.
    const MAX: usize = 64;

    /// Takes up further names, each once, and says which were new.
    pub(crate) fn add(&mut self, hashes: &[ContentId], pdqs: &[Pdq]) -> Names {
        let mut added = Names::default();
        for hash in hashes {
            if self.hashes.len() < Names::MAX && !self.hashes.contains(hash) {
                self.hashes.push(*hash);
                added.hashes.push(*hash);
            }
        }
        for pdq in pdqs {
            if self.pdqs.len() < Names::MAX && !self.pdqs.contains(pdq) {
                self.pdqs.push(*pdq);
                added.pdqs.push(*pdq);
            }
        }
        added
    }

    pub(crate) fn count(&self) -> usize {
        self.hashes.len() + self.pdqs.len()
    }
}
