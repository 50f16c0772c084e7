//! The hot records a replica holds, and which of them make a family for a reader.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use dashmap::{DashMap, DashSet};
use tocsin_model::{Class, ContentId, FamilyId, Scope, Timestamp};
use tocsin_velocity::HotRecord;

use super::moves::Moves;

/// Hot records by content and class, and the members of each family. Written by one thread, read by many.
#[derive(Debug)]
pub struct HotTable {
    records_max: usize,
    records: DashMap<(ContentId, Class), Arc<Held>>,
    members: DashMap<FamilyId, BTreeSet<(ContentId, Class)>>,
    /// The records of what is on the watch list.
    listed: DashSet<(ContentId, Class)>,
    moves: Moves,
}

/// A record, and up to when it counts everything.
#[derive(Debug)]
pub struct Held {
    record: HotRecord,
    /// The group's time when the record was written. What comes later may be told of first by the header of its partition.
    pub as_of: Timestamp,
}

impl Deref for Held {
    type Target = HotRecord;

    fn deref(&self) -> &HotRecord {
        &self.record
    }
}

/// The table is full: the record was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

impl HotTable {
    /// An empty table.
    pub fn new(records_max: usize) -> Self {
        HotTable {
            records_max,
            records: DashMap::new(),
            members: DashMap::new(),
            listed: DashSet::new(),
            moves: Moves::default(),
        }
    }

    /// Takes the newest record of its content and class, and the time up to which it counts everything.
    ///
    /// # Errors
    /// The record is new and the table is full.
    pub fn put(&self, record: HotRecord, as_of: Timestamp) -> Result<(), TableFull> {
        let key = (record.content(), record.class());
        let family = record.family();
        if self.records.len() >= self.records_max && !self.records.contains_key(&key) {
            return Err(TableFull);
        }
        // The new membership stands before the old one goes: a reader in between finds the member twice, and takes it for the family
        // that its record names.
        self.members.entry(family).or_default().insert(key);
        match record.listing() {
            Some(_) => drop(self.listed.insert(key)),
            None => drop(self.listed.remove(&key)),
        }
        let old = self.records.insert(key, Arc::new(Held { record, as_of }));
        let was = old.map(|old| old.family());
        if was != Some(family) {
            if let Some(was) = was {
                self.leave(was, key);
            }
            self.mark_left_beside(key, was, family);
        }
        self.moves.mark(key.0, key.1);
        Ok(())
    }

    /// The content is no longer hot in this class.
    pub fn remove(&self, content: ContentId, class: Class) {
        self.listed.remove(&(content, class));
        if let Some((key, old)) = self.records.remove(&(content, class)) {
            self.leave(old.family(), key);
            // To who sees it in another class too, it may be of another family now.
            self.moves.mark(content, class);
        }
    }

    /// The records of a content that a reader may see, the scope's own class first.
    pub fn visible(&self, content: ContentId, scope: Scope) -> Vec<Arc<Held>> {
        classes_of(scope)
            .filter_map(|class| self.records.get(&(content, class)).map(|record| Arc::clone(&record)))
            .collect()
    }

    /// The family that a content belongs to for a reader; `None` when nothing of it is hot there.
    ///
    /// An id that once named a family goes on answering: it is the id of its founding content, which belongs to the new family.
    pub fn family_of(&self, content: ContentId, scope: Scope) -> Option<FamilyId> {
        let visible = self.visible(content, scope);
        if visible.is_empty() {
            let family = FamilyId(content);
            return self.contents(family, scope).next().map(|_| family);
        }
        Some(family_of_records(content, &visible))
    }

    /// All records of a family that a reader may see, ascending by content.
    pub fn records_of(&self, family: FamilyId, scope: Scope) -> Vec<Arc<Held>> {
        self.contents(family, scope)
            .flat_map(|content| self.visible(content, scope))
            .collect()
    }

    /// Every family of which a reader may see something, in no order.
    pub fn families(&self, scope: Scope) -> Vec<FamilyId> {
        self.members
            .iter()
            .filter(|entry| entry.value().iter().any(|(_, class)| scope.contains(*class)))
            .map(|entry| *entry.key())
            .collect()
    }

    /// Every content on the watch list of which a reader may see something, and when it was last seen.
    pub fn listed(&self, scope: Scope) -> BTreeMap<ContentId, Timestamp> {
        let mut listed: BTreeMap<ContentId, Timestamp> = BTreeMap::new();
        for key in self.listed.iter().filter(|key| scope.contains(key.1)) {
            if let Some(record) = self.records.get(&key) {
                let last_seen = listed.entry(key.0).or_insert(record.last_seen());
                *last_seen = record.last_seen().max(*last_seen);
            }
        }
        listed
    }

    /// Which contents changed.
    pub fn moves(&self) -> &Moves {
        &self.moves
    }

    /// How many records are held.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    fn contents(&self, family: FamilyId, scope: Scope) -> impl Iterator<Item = ContentId> + '_ {
        let members: BTreeSet<ContentId> = self
            .members
            .get(&family)
            .map(|members| {
                members
                    .iter()
                    .filter(|(_, class)| scope.contains(*class))
                    .map(|(content, _)| *content)
                    .collect()
            })
            .unwrap_or_default();
        members
            .into_iter()
            .filter(move |content| family_of_records(*content, &self.visible(*content, scope)) == family)
    }

    fn leave(&self, family: FamilyId, key: (ContentId, Class)) {
        if let Some(mut members) = self.members.get_mut(&family) {
            members.remove(&key);
        }
        self.members.remove_if(&family, |_, members| members.is_empty());
        self.moves.mark_left(family, key.1);
    }

    /// A link may be news to who sees the content in another class too: it left the family that the record there names. Marked in the narrower of
    /// the two classes, so that what others may not see moves nothing of theirs.
    fn mark_left_beside(&self, (content, class): (ContentId, Class), was: Option<FamilyId>, family: FamilyId) {
        let alone = FamilyId(content);
        if family == alone || was.is_some_and(|was| was != alone) {
            // Without a link it changes nothing of a record beside it, and a link that was there before was left itself.
            return;
        }
        if class != Class::All {
            let beside = self.records.get(&(content, Class::All)).map(|record| record.family());
            if let Some(left) = beside.filter(|left| *left != family) {
                self.moves.mark_left(left, class);
            }
        } else if let Some(members) = self.members.get(&alone) {
            let of_content = members
                .range((content, Class::All)..)
                .map(|(member, class)| (*member, *class));
            for (_, beside) in of_content.take_while(|(member, _)| *member == content) {
                if beside != Class::All {
                    self.moves.mark_left(alone, beside);
                }
            }
        }
    }
}

/// The classes inside a scope, its own first.
pub fn classes_of(scope: Scope) -> impl Iterator<Item = Class> {
    let all = (scope != Scope::All).then_some(Class::All);
    std::iter::once(scope.own_class()).chain(all)
}

/// The family of a content from the records a reader may see, own class first: a link in the scope's own class goes before one that
/// everybody sees, and both before being alone.
fn family_of_records(content: ContentId, records: &[Arc<Held>]) -> FamilyId {
    let alone = FamilyId(content);
    records
        .iter()
        .map(|record| record.family())
        .find(|family| *family != alone)
        .unwrap_or(alone)
}
