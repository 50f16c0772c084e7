use std::collections::{BTreeMap, HashMap};

use tocsin_model::{Class, ContentHash, ContentId, FamilyId};

use crate::names::Names;
use crate::pdq::{Found, Lookup, Pdq, PdqIndex, Slot};

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
    by_hash: HashMap<ContentId, BTreeMap<Class, ContentId>>,
    by_pdq: PdqIndex<(Class, ContentId)>,
    announcements: HashMap<(ContentId, Class), Announcement>,
    by_age: BTreeMap<u64, (ContentId, Class)>,
    next_age: u64,
    /// Names of all announcements.
    names: usize,
    forgotten_early: u64,
    lookup: Lookup,
    near: Vec<Found<(Class, ContentId)>>,
}

#[derive(Debug)]
struct Announcement {
    age: u64,
    known: Announced,
    names: Names,
    slots: Vec<Slot>,
}

impl Index {
    /// What is announced under a hash.
    pub(crate) fn with_hash(&self, hash: ContentId) -> impl Iterator<Item = (Class, &Announced)> {
        let found = self.by_hash.get(&hash).into_iter().flatten();
        found.filter_map(|(class, content)| Some((*class, &self.announcements.get(&(*content, *class))?.known)))
    }

    /// What is announced near a PDQ hash, at what distance: in each class the nearest that is wanted; of equally
    /// near ones that of the lowest id.
    pub(crate) fn nearest(
        &mut self,
        pdq: &Pdq,
        wanted: impl Fn(Class, ContentId) -> bool,
    ) -> Vec<(Class, u32, Announced)> {
        let mut nearest: BTreeMap<Class, (u32, ContentId)> = BTreeMap::new();
        // One class at a time, so that what is announced in one does not take the places of another.
        loop {
            let is_left =
                |(class, content): &(Class, ContentId)| !nearest.contains_key(class) && wanted(*class, *content);
            self.by_pdq.near(pdq, 1, is_left, &mut self.lookup, &mut self.near);
            let Some(found) = self.near.first() else { break };
            nearest.insert(found.value.0, (found.distance, found.value.1));
        }
        let known = nearest.into_iter().filter_map(|(class, (distance, content))| {
            let announcement = self.announcements.get(&(content, class))?;
            Some((class, distance, announcement.known.clone()))
        });
        known.collect()
    }

    /// What stands for an announced content, as far as it is known.
    pub(crate) fn names(&self, content: ContentId, class: Class) -> Names {
        let announcement = self.announcements.get(&(content, class));
        announcement
            .map(|announcement| announcement.names.clone())
            .unwrap_or_default()
    }

    /// Takes up an announcement in place of an earlier one of the same content and class. Beyond `names_max` names of all announcements
    /// the oldest go.
    pub(crate) fn put(&mut self, class: Class, known: Announced, names: &Names, names_max: usize) {
        let content = known.content;
        self.withdraw(content, class);
        let age = self.next_age;
        self.next_age += 1;
        self.by_age.insert(age, (content, class));
        let announcement = Announcement {
            age,
            known,
            names: Names::default(),
            slots: Vec::new(),
        };
        self.announcements.insert((content, class), announcement);
        self.add(content, class, names, names_max);
    }

    /// Further names of an announced content: those of them that it did not have, as far as there is room for them.
    pub(crate) fn add(&mut self, content: ContentId, class: Class, further: &Names, names_max: usize) -> Names {
        let Some(announcement) = self.announcements.get_mut(&(content, class)) else {
            return Names::default();
        };
        let added = announcement.names.add(&further.hashes, &further.pdqs);
        let inserted = added.pdqs.iter().map(|pdq| self.by_pdq.insert(*pdq, (class, content)));
        announcement.slots.extend(inserted.filter_map(Result::ok));
        for hash in &added.hashes {
            self.by_hash.entry(*hash).or_default().insert(class, content);
        }
        self.names += added.count();
        while self.names > names_max {
            let Some((_, (oldest, class))) = self.by_age.first_key_value() else {
                break;
            };
            self.withdraw(*oldest, *class);
            self.forgotten_early += 1;
        }
        added
    }

    /// Forgets what was announced of a content in a class.
    pub(crate) fn withdraw(&mut self, content: ContentId, class: Class) {
        let Some(announcement) = self.announcements.remove(&(content, class)) else {
            return;
        };
        self.by_age.remove(&announcement.age);
        self.names -= announcement.names.count();
        for slot in announcement.slots {
            self.by_pdq.remove(slot);
        }
        for hash in announcement.names.hashes {
            let Some(known) = self.by_hash.get_mut(&hash) else {
                continue;
            };
            // A content announced later under the same hash has taken the place.
            if known.get(&class) == Some(&content) {
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

    fn put(index: &mut Index, content: u128, hashes: &[u128], names_max: usize) {
        let known = Announced {
            content: ContentId(content),
            hash: ContentHash::from_bytes(Algorithm::Sha256, vec![1; 32], None).expect("32 bytes are a SHA-256"),
            family: FamilyId(ContentId(content)),
        };
        let mut names = Names::default();
        names.add(&hashes.iter().copied().map(ContentId).collect::<Vec<_>>(), &[]);
        index.put(Class::All, known, &names, names_max);
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
            index.names,
        );
        assert_eq!(left, (0, 0, 0, 0));
    }
}
