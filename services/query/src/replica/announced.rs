//! The contents that were announced, by every hash that is known of them, and by the frames of their videos: what a look-up is answered from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::Included;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tocsin_family::{Lookup, Pdq, PdqIndex, Slot, Video};
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, FamilyAnnouncement, FurtherHash, Scope, Timestamp, ToldBy,
};

use crate::replica::announced::frames::{FRAMES_PART, Frames, NearVideo, VideoPlace, insert_frames};
use crate::replica::hot::{TableFull, classes_of};

/// Announced contents by the ids of their hashes and by PDQ distance, per class of the announcement. Written by one thread, read by many.
///
/// Frames of videos have room of their own, a quarter of as many as hashes; where it is full the content with the most loses those that came last.
///
/// Memory, measured at 10^6 contents of one hash: 365 bytes for each where it is a PDQ hash, 194 where it is a SHA-256, and some 30 for its age.
#[derive(Debug)]
pub struct AnnouncedTable {
    hashes_max: usize,
    tables: RwLock<Tables>,
}

/// An announced content that a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The content.
    pub content: ContentId,
    /// Its strongest hash.
    pub hash: ContentHash,
    /// In how many of 256 bits the PDQ hash found differs from the one looked up; `None` where hashes were compared for equality.
    pub distance: Option<u32>,
    /// Of a video looked up, and of the one found, so many frames of a hundred show what the other does; `None` where hashes were compared.
    pub shares: Option<Shares>,
    /// Which of the content's hashes was found.
    pub by: MatchedHash,
}

/// Which part of the frames of two videos agree, in percent, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Of the one that was looked up.
    pub of_sought: u16,
    /// Of the one that was found.
    pub of_found: u16,
    /// Who told the frames of that one.
    pub told_by: ToldBy,
}

/// Which hash of a content was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedHash {
    /// The one that names the content.
    Strongest,
    /// Another one that an event of the content carried.
    Further,
    /// The one by which a pack of a live incident names it, where nothing announces it in the reader's scope.
    Packed,
}

/// What a look-up inside a scope is answered from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexSize {
    /// How many hashes. What is announced in both classes of a scope counts twice.
    pub hashes: u64,
    /// When the latest of the contents was announced.
    pub newest: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Tables {
    contents: BTreeMap<(ContentId, Class), Content>,
    /// Further hashes of announced contents: the hash's id, the class, the content.
    further: BTreeSet<(ContentId, Class, ContentId)>,
    by_pdq: PdqIndex<(ContentId, Class)>,
    by_frame: PdqIndex<VideoPlace>,
    /// The number of the next video.
    next_video: u32,
    sizes: BTreeMap<(Class, Algorithm), IndexSize>,
    /// All hashes that are held.
    hashes: usize,
    /// The frames of videos that are held, and the contents that they are of: ascending by how many.
    frames: usize,
    by_frames: BTreeSet<(usize, ContentId, Class)>,
    /// The contents that are announced.
    announced: usize,
    /// The same by age: when they were announced last.
    by_age: BTreeMap<u64, (ContentId, Class)>,
    next_age: u64,
}

#[derive(Debug, Default)]
struct Content {
    /// `None`: further hashes came before the announcement, as they do when the log was compacted. They are found once it came.
    announced: Option<Strongest>,
    further: Vec<Further>,
    videos: Vec<Frames>,
}

#[derive(Debug)]
struct Strongest {
    hash: ContentHash,
    slot: Option<Slot>,
    age: u64,
}

#[derive(Debug)]
struct Further {
    id: ContentId,
    algorithm: Algorithm,
    pdq: Option<Pdq>,
    slot: Option<Slot>,
}

impl AnnouncedTable {
    /// The most further hashes of one content and class.
    pub const FURTHER_MAX: usize = 64;

    /// An empty table for so many hashes.
    pub fn new(hashes_max: usize) -> Self {
        AnnouncedTable {
            hashes_max,
            tables: RwLock::default(),
        }
    }

    /// Takes an announcement, in place of an earlier one of the same content and class. At the limit what was announced longest ago goes, so that a
    /// long watch list never hides what becomes hot.
    ///
    /// # Errors
    /// The table was full: the announcement is held, and older ones are not any more.
    pub fn announce(&self, announcement: FamilyAnnouncement) -> Result<(), TableFull> {
        let FamilyAnnouncement {
            content,
            hash,
            class,
            at,
            ..
        } = announcement;
        let mut guard = self.write();
        let tables = &mut *guard;
        let age = tables.next_age;
        tables.next_age += 1;
        let size = tables.sizes.entry((class, hash.algorithm())).or_default();
        size.newest = size.newest.max(Some(at));
        let held = tables.contents.get_mut(&(content, class));
        // A content is named by its strongest hash: an announcement said again has the same one.
        if let Some(known) = held.and_then(|held| held.announced.as_mut()) {
            tables.by_age.remove(&std::mem::replace(&mut known.age, age));
            tables.by_age.insert(age, (content, class));
            return Ok(());
        }
        let mut made_room = false;
        while tables.hashes >= self.hashes_max {
            let Some((_, (oldest, class))) = tables.by_age.pop_first() else {
                // Nothing but further hashes that came before their announcements.
                return Err(TableFull);
            };
            tables.withdraw(oldest, class);
            made_room = true;
        }
        tables.by_age.insert(age, (content, class));
        let entry = tables.contents.entry((content, class)).or_default();
        let size = tables.sizes.entry((class, hash.algorithm())).or_default();
        size.hashes += 1;
        tables.hashes += 1;
        tables.announced += 1;
        let pdq = Pdq::of(&hash).ok();
        let slot = pdq.and_then(|pdq| tables.by_pdq.insert(pdq, (content, class)).ok());
        entry.announced = Some(Strongest { hash, slot, age });
        for further in &mut entry.further {
            tables.further.insert((further.id, class, content));
            tables.sizes.entry((class, further.algorithm)).or_default().hashes += 1;
            further.slot = further
                .pdq
                .and_then(|pdq| tables.by_pdq.insert(pdq, (content, class)).ok());
        }
        for known in &mut entry.videos {
            known.slots = insert_frames(&mut tables.by_frame, &known.video, (content, class, known.number));
        }
        match made_room {
            true => Err(TableFull),
            false => Ok(()),
        }
    }

    /// Takes a further hash of a content, whose id is `id`, and the frames of a digest. A digest that was known without them gets them, and whoever says it
    /// without them takes none.
    ///
    /// # Errors
    /// The hash, or its frames, are new, and the table is full or the content has [`AnnouncedTable::FURTHER_MAX`] of them; or the frames are held, and
    /// those of others are not any more.
    pub fn add(&self, further: &FurtherHash, id: ContentId) -> Result<(), TableFull> {
        self.add_hash(further, id)?;
        let frames = further.frames.iter().map(|frame| Pdq::from_bytes(*frame));
        match Video::of(frames) {
            Some(video) => self.add_frames((further.content, further.class), id, (video, further.told_by)),
            None => Ok(()),
        }
    }

    fn add_frames(
        &self,
        (content, class): (ContentId, Class),
        id: ContentId,
        (video, told_by): (Video, ToldBy),
    ) -> Result<(), TableFull> {
        let mut guard = self.write();
        let tables = &mut *guard;
        let held = tables.contents.get_mut(&(content, class));
        let held = held.map(|held| held.videos.as_mut_slice()).unwrap_or_default();
        if let Some(known) = held.iter_mut().find(|known| known.id == id) {
            known.tell_again(told_by);
            return Ok(());
        }
        if held.len() >= Self::FURTHER_MAX {
            return Err(TableFull);
        }
        let before = tables.frames;
        let frames_max = self.hashes_max / FRAMES_PART;
        if !tables.make_room_for_frames((content, class), video.frames().len(), frames_max) {
            return Err(TableFull);
        }
        let made_room = tables.frames < before;
        let number = tables.next_video;
        tables.next_video = number.wrapping_add(1);
        let entry = tables.contents.entry((content, class)).or_default();
        let slots = match entry.announced.is_some() {
            true => insert_frames(&mut tables.by_frame, &video, (content, class, number)),
            false => Vec::new(),
        };
        let before = entry.frames();
        entry.videos.push(Frames {
            id,
            number,
            video,
            told_by,
            slots,
        });
        let after = entry.frames();
        tables.count_frames((content, class), before, after);
        match made_room {
            true => Err(TableFull),
            false => Ok(()),
        }
    }

    fn add_hash(&self, further: &FurtherHash, id: ContentId) -> Result<(), TableFull> {
        let (content, class) = (further.content, further.class);
        let mut guard = self.write();
        let tables = &mut *guard;
        let held = tables.contents.get(&(content, class));
        if id == content || held.is_some_and(|held| held.further.iter().any(|known| known.id == id)) {
            return Ok(());
        }
        if tables.hashes >= self.hashes_max || held.is_some_and(|held| held.further.len() >= Self::FURTHER_MAX) {
            return Err(TableFull);
        }
        let entry = tables.contents.entry((content, class)).or_default();
        let pdq = Pdq::of(&further.hash).ok();
        let mut known = Further {
            id,
            algorithm: further.hash.algorithm(),
            pdq,
            slot: None,
        };
        if entry.announced.is_some() {
            tables.further.insert((id, class, content));
            tables.sizes.entry((class, known.algorithm)).or_default().hashes += 1;
            known.slot = pdq.and_then(|pdq| tables.by_pdq.insert(pdq, (content, class)).ok());
        }
        entry.further.reserve_exact(1);
        entry.further.push(known);
        tables.hashes += 1;
        Ok(())
    }

    /// The announcement of a content in a class holds no longer, and neither do its further hashes there.
    pub fn withdraw(&self, content: ContentId, class: Class) {
        self.write().withdraw(content, class);
    }

    /// The log has forgotten a further hash.
    pub fn remove(&self, content: ContentId, class: Class, id: ContentId) {
        let mut guard = self.write();
        let tables = &mut *guard;
        let Some(entry) = tables.contents.get_mut(&(content, class)) else {
            return;
        };
        let place = entry.further.iter().position(|further| further.id == id);
        let further = place.map(|place| entry.further.swap_remove(place));
        let before = entry.frames();
        let place = entry.videos.iter().position(|known| known.id == id);
        let frames = place.map(|place| entry.videos.remove(place));
        let after = entry.frames();
        let is_announced = entry.announced.is_some();
        if !is_announced && entry.further.is_empty() && entry.videos.is_empty() {
            tables.contents.remove(&(content, class));
        }
        if let Some(further) = further {
            tables.forget_further(class, content, &further, is_announced);
        }
        tables.count_frames((content, class), before, after);
        if let Some(frames) = frames {
            tables.forget_frames(frames);
        }
    }

    /// What is announced inside `scope` under the hash of this id: at most `most` contents, ascending.
    pub fn equal(&self, id: ContentId, scope: Scope, most: usize) -> Vec<Announced> {
        let tables = self.read();
        let mut found: BTreeMap<ContentId, Announced> = BTreeMap::new();
        for class in classes_of(scope) {
            let strongest = tables.announced(id, class);
            found.extend(strongest.map(|strongest| (id, strongest.found(id, None, MatchedHash::Strongest))));
            let range = (
                Included((id, class, ContentId(0))),
                Included((id, class, ContentId(u128::MAX))),
            );
            for (_, _, content) in tables.further.range(range).take(most) {
                let Some(strongest) = tables.announced(*content, class) else {
                    continue;
                };
                let further = strongest.found(*content, None, MatchedHash::Further);
                found.entry(*content).or_insert(further);
            }
        }
        found.into_values().take(most).collect()
    }

    /// What is announced inside `scope` at most [`Pdq::DISTANCE_MAX`] bits from `pdq`: at most `most` contents, the nearest first, equally near
    /// ones ascending.
    pub fn near(&self, pdq: &Pdq, scope: Scope, most: usize) -> Vec<Announced> {
        let tables = self.read();
        let (mut lookup, mut slots) = (Lookup::default(), Vec::new());
        let mut nearest: BTreeMap<ContentId, (u32, Class)> = BTreeMap::new();
        // A content may be found by several of its hashes: what was found is passed over until there is enough, or nothing more.
        while nearest.len() < most {
            let wanted =
                |(content, class): &(ContentId, Class)| scope.contains(*class) && !nearest.contains_key(content);
            tables.by_pdq.near(pdq, most, wanted, &mut lookup, &mut slots);
            let is_all = slots.len() < most;
            for found in &slots {
                let (content, class) = found.value;
                if nearest.len() < most {
                    nearest.entry(content).or_insert((found.distance, class));
                }
            }
            if is_all {
                break;
            }
        }
        let mut found: Vec<Announced> = nearest
            .into_iter()
            .filter_map(|(content, (distance, class))| {
                let strongest = tables.announced(content, class)?;
                let of_strongest = Pdq::of(&strongest.hash).ok().map(|strongest| strongest.distance(pdq));
                let by = match of_strongest == Some(distance) {
                    true => MatchedHash::Strongest,
                    false => MatchedHash::Further,
                };
                Some(strongest.found(content, Some(distance), by))
            })
            .collect();
        found.sort_by_key(|found| (found.distance, found.content));
        found
    }

    /// What is announced inside `scope` of which a video's frames agree with `video`, as families are found by their frames ([`Video::same`]): at most
    /// `most` contents, those with the largest share first, of equal ones ascending. Of each class the 64 videos are compared with that have a frame near to
    /// the most of its frames.
    pub fn same_video(&self, video: &Video, scope: Scope, most: usize) -> Vec<Announced> {
        let mut best: BTreeMap<ContentId, (u16, Announced)> = BTreeMap::new();
        for near in self.near_videos(video, scope) {
            let NearVideo {
                video: known,
                told_by,
                found,
            } = near;
            let Some(share) = video.same(&known) else { continue };
            if best.get(&found.content).is_some_and(|(known, _)| *known >= share) {
                continue;
            }
            let shares = Shares {
                of_sought: video.share(&known, Video::AGREEMENT_DISTANCE_MAX),
                of_found: known.share(video, Video::AGREEMENT_DISTANCE_MAX),
                told_by,
            };
            let shares = Some(shares);
            best.insert(found.content, (share, Announced { shares, ..found }));
        }
        let mut found: Vec<(u16, Announced)> = best.into_values().collect();
        found.sort_by_key(|(share, found)| (Reverse(*share), found.content));
        found.into_iter().map(|(_, found)| found).take(most).collect()
    }

    /// How much of one algorithm is announced inside a scope.
    pub fn size(&self, algorithm: Algorithm, scope: Scope) -> IndexSize {
        let tables = self.read();
        let sizes = classes_of(scope).filter_map(|class| tables.sizes.get(&(class, algorithm)));
        sizes.fold(IndexSize::default(), |sum, size| IndexSize {
            hashes: sum.hashes + size.hashes,
            newest: sum.newest.max(size.newest),
        })
    }

    /// How many contents are announced. In two classes it is two.
    pub fn count(&self) -> usize {
        self.read().announced
    }

    /// How many hashes are held.
    pub fn hashes(&self) -> usize {
        self.read().hashes
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn announced(&self, content: ContentId, class: Class) -> Option<&Strongest> {
        self.contents.get(&(content, class))?.announced.as_ref()
    }

    fn withdraw(&mut self, content: ContentId, class: Class) {
        let Some(gone) = self.contents.remove(&(content, class)) else {
            return;
        };
        let was_announced = gone.announced.is_some();
        self.count_frames((content, class), gone.frames(), 0);
        if let Some(strongest) = gone.announced {
            self.announced -= 1;
            self.by_age.remove(&strongest.age);
            self.forget(class, strongest.hash.algorithm(), strongest.slot);
        }
        for further in gone.further {
            self.forget_further(class, content, &further, was_announced);
        }
        for frames in gone.videos {
            self.forget_frames(frames);
        }
    }

    fn forget_further(&mut self, class: Class, content: ContentId, further: &Further, was_announced: bool) {
        if was_announced {
            self.further.remove(&(further.id, class, content));
            self.forget(class, further.algorithm, further.slot);
        } else {
            self.hashes -= 1;
        }
    }

    fn forget(&mut self, class: Class, algorithm: Algorithm, slot: Option<Slot>) {
        self.hashes -= 1;
        if let Some(size) = self.sizes.get_mut(&(class, algorithm)) {
            size.hashes -= 1;
        }
        if let Some(slot) = slot {
            self.by_pdq.remove(slot);
        }
    }
}

impl Strongest {
    fn found(&self, content: ContentId, distance: Option<u32>, by: MatchedHash) -> Announced {
        Announced {
            content,
            hash: self.hash.clone(),
            distance,
            shares: None,
            by,
        }
    }
}

mod frames;
#[cfg(test)]
mod tests;
