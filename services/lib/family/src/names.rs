use tocsin_model::{ContentHash, ContentId};

use crate::pdq::Pdq;

/// One hash of a content: what it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The content id that the hash has by itself.
    pub id: ContentId,
    /// The hash.
    pub hash: ContentHash,
    /// What it is matched by where it is a PDQ hash that may be. See [`Pdq::of`].
    pub pdq: Option<Pdq>,
}

/// What stands for a content: its hashes, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Name>);

impl Name {
    /// The name that a hash is.
    pub fn new(id: ContentId, hash: ContentHash) -> Name {
        let pdq = Pdq::of(&hash).ok();
        Name { id, hash, pdq }
    }
}

impl Names {
    /// So many hashes of a content are kept: those known first.
    pub(crate) const MAX: usize = 64;

    /// Takes up further names, and says which were new.
    pub(crate) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a Name>) -> Names {
        let mut added = Names::default();
        for name in names {
            if self.0.len() < Names::MAX && self.0.iter().all(|known| known.id != name.id) {
                // Most contents have one or two: room for more would be most of what a long watch list takes.
                self.0.reserve_exact(1);
                self.0.push(name.clone());
                added.0.push(name.clone());
            }
        }
        added
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    pub(crate) fn pdqs(&self) -> impl Iterator<Item = &Pdq> {
        self.0.iter().filter_map(|name| name.pdq.as_ref())
    }

    /// A PDQ hash counts twice, since it is looked for in two ways.
    pub(crate) fn count(&self) -> usize {
        self.0.len() + self.pdqs().count()
    }
}
