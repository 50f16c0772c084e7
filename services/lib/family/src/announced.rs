use std::collections::{BTreeMap, HashMap};

use tocsin_model::{Class, ContentHash, ContentId, FamilyId};

/// A content that was announced, and the family it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    pub(crate) content: ContentId,
    pub(crate) hash: ContentHash,
    pub(crate) family: FamilyId,
}

/// What was announced, until it is withdrawn. At the limit what was announced longest ago goes.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By the id of any hash known to stand for a content, per class of the announcement.
    by_hash: HashMap<ContentId, BTreeMap<Class, Announced>>,
    /// The age and the hashes of each announcement.
    announcements: HashMap<(ContentId, Class), (u64, Vec<ContentId>)>,
    by_age: BTreeMap<u64, (ContentId, Class)>,
    next_age: u64,
    /// Hashes of all announcements.
    hashes: usize,
    forgotten_early: u64,
}

impl Index {
    /// What is announced under a hash.
    pub(crate) fn with_hash(&self, hash: ContentId) -> impl Iterator<Item = (Class, &Announced)> {
        let found = self.by_hash.get(&hash).into_iter().flatten();
        found.map(|(class, known)| (*class, known))
    }

    /// Takes up an announcement in place of an earlier one of the same content and class. Of its hashes the first `hashes_max` count.
    pub(crate) fn put(&mut self, class: Class, known: &Announced, mut hashes: Vec<ContentId>, hashes_max: usize) {
        self.withdraw(known.content, class);
        hashes.truncate(hashes_max);
        while self.hashes + hashes.len() > hashes_max {
            let Some((_, (content, class))) = self.by_age.first_key_value() else {
                break;
            };
            self.withdraw(*content, *class);
            self.forgotten_early += 1;
        }
        for hash in &hashes {
            self.by_hash.entry(*hash).or_default().insert(class, known.clone());
        }
        let age = self.next_age;
        self.next_age += 1;
        self.hashes += hashes.len();
        self.by_age.insert(age, (known.content, class));
        self.announcements.insert((known.content, class), (age, hashes));
    }

    /// Forgets what was announced of a content in a class.
    pub(crate) fn withdraw(&mut self, content: ContentId, class: Class) {
        let Some((age, hashes)) = self.announcements.remove(&(content, class)) else {
            return;
        };
        self.by_age.remove(&age);
        self.hashes -= hashes.len();
        for hash in hashes {
            let Some(known) = self.by_hash.get_mut(&hash) else {
                continue;
            };
            // A content announced later under the same hash has taken the place.
            if known.get(&class).is_some_and(|known| known.content == content) {
                known.remove(&class);
            }
            if known.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    pub(crate) fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is withdrawn or forgotten leaves nothing behind, and takes nothing of others with it.

    use super::*;
    use tocsin_model::Algorithm;

    fn put(index: &mut Index, content: u128, hashes: &[u128], hashes_max: usize) {
        let known = Announced {
            content: ContentId(content),
            hash: ContentHash::from_bytes(Algorithm::Sha256, vec![1; 32], None).expect("32 bytes are a SHA-256"),
            family: FamilyId(ContentId(content)),
        };
        let hashes = hashes.iter().copied().map(ContentId).collect();
        index.put(Class::All, &known, hashes, hashes_max);
    }

    fn under(index: &Index, hash: u128) -> Vec<u128> {
        let found = index.with_hash(ContentId(hash));
        found.map(|(_, known)| known.content.0).collect()
    }

    #[test]
    fn the_oldest_goes_at_the_limit_and_an_announcement_said_again_is_young() {
        let mut index = Index::default();
        put(&mut index, 1, &[1, 11], 4);
        put(&mut index, 2, &[2], 4);
        put(&mut index, 1, &[1, 11], 4);
        assert_eq!(index.forgotten_early(), 0);
        put(&mut index, 3, &[3, 13], 4);
        assert_eq!((under(&index, 2), index.forgotten_early()), (vec![], 1));
        assert_eq!((under(&index, 11), under(&index, 13)), (vec![1], vec![3]));
        assert_eq!(index.by_hash.len(), 4);
    }

    #[test]
    fn a_withdrawal_leaves_a_shared_hash_to_who_has_it() {
        let mut index = Index::default();
        put(&mut index, 1, &[1, 9], 100);
        put(&mut index, 2, &[2, 9], 100);
        index.withdraw(ContentId(1), Class::All);
        assert_eq!((under(&index, 1), under(&index, 9)), (vec![], vec![2]));
        index.withdraw(ContentId(2), Class::Coordinators);
        assert_eq!(under(&index, 2), [2], "another class");
        index.withdraw(ContentId(2), Class::All);
        let left = (
            index.by_hash.len(),
            index.announcements.len(),
            index.by_age.len(),
            index.hashes,
        );
        assert_eq!(left, (0, 0, 0, 0));
    }
}
