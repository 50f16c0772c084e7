use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use tocsin_model::{Class, ContentHash, ContentId, FamilyId, PartyId, ToldBy};

use crate::announced::frames::FRAMES_PART;
use crate::centres::Centres;
use crate::names::{Name, Names};
use crate::pdq::{Found, Lookup, Pdq, PdqIndex, Slot};
use crate::video::{Most, Video};

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
    /// By the id of any hash known to stand for a content, per class of the announcement: ascending by class, and in each class the one told last is
    /// found; it goes, and the one before is found again.
    by_hash: HashMap<ContentId, Vec<(Class, ContentId)>>,
    by_pdq: PdqIndex<(Class, ContentId)>,
    /// Each frame with the place of its video among the names of the content.
    by_frame: PdqIndex<(Class, ContentId, u8)>,
    announcements: HashMap<(ContentId, Class), Announcement>,
    /// How many announcements there are of each class: those of none need not be looked for.
    classes: BTreeMap<Class, usize>,
    /// How many frames of videos are known in each class.
    frames: BTreeMap<Class, usize>,
    /// The contents with frames: ascending by how many, of equally many the oldest last.
    by_frames: BTreeSet<(usize, Reverse<u64>, (ContentId, Class))>,
    centres: Centres,
    early: Early,
    by_age: BTreeMap<u64, (ContentId, Class)>,
    next_age: u64,
    /// Names of all announcements, without frames.
    names: usize,
    forgotten_early: u64,
    lookup: Lookup,
    near: Vec<Found<(Class, ContentId)>>,
    near_frames: Vec<Found<(Class, ContentId, u8)>>,
    /// How many frames were looked up.
    frames_sought: usize,
}

/// An announced content with a video that is the same as one looked up.
#[derive(Debug)]
pub(crate) struct SameVideo {
    /// The class of the announcement.
    pub(crate) class: Class,
    /// The class that a link would hold in.
    pub(crate) holds_in: Class,
    /// The smaller share of frames, in percent.
    pub(crate) share: u16,
    pub(crate) known: Announced,
}

#[derive(Debug)]
struct Announcement {
    age: u64,
    known: Announced,
    names: Names,
    slots: Vec<Slot>,
    /// Of each video whose frames are looked up its place among the names, in order of arrival.
    frames: Vec<(u8, Vec<Slot>)>,
}

/// Further hashes that stand in the log before their announcement, which compaction leaves where it was said last.
#[derive(Debug, Default)]
struct Early {
    names: HashMap<(ContentId, Class), Names>,
    is_over: bool,
}

impl Index {
    /// What is announced under a hash.
    pub(crate) fn with_hash(&self, hash: ContentId) -> impl Iterator<Item = (Class, &Announced)> {
        let found = self.by_hash.get(&hash).map_or(&[][..], Vec::as_slice);
        let last_of_class = found
            .chunk_by(|(one, _), (other, _)| one == other)
            .filter_map(<[_]>::last);
        last_of_class.filter_map(|(class, content)| Some((*class, self.get(*content, *class)?)))
    }

    /// What was announced of a content in a class.
    pub(crate) fn get(&self, content: ContentId, class: Class) -> Option<&Announced> {
        Some(&self.announcements.get(&(content, class))?.known)
    }

    /// The family of a content, as far as it is known: its own unless it is announced of another.
    pub(crate) fn family(&self, content: ContentId, class: Class) -> FamilyId {
        self.get(content, class).map_or(FamilyId(content), |known| known.family)
    }

    /// The same for readers of the class's scope: of what is announced to all where nothing is in the class itself.
    pub(crate) fn family_in(&self, content: ContentId, class: Class) -> FamilyId {
        let known = self.get(content, class).or_else(|| self.get(content, Class::All));
        known.map_or(FamilyId(content), |known| known.family)
    }

    /// Whether a picture is not too far from a family's centre.
    pub(crate) fn is_within(&self, pdq: &Pdq, family: FamilyId, class: Class) -> bool {
        self.centres.is_within(pdq, family, class)
    }

    /// Whether a content may come into a family by the looks of one of its pictures: that is not too far from the family's centre, nor is the
    /// centre of the family that the content is announced of.
    pub(crate) fn may_join(&self, content: ContentId, pdq: &Pdq, family: FamilyId, class: Class) -> bool {
        match self.get(content, class) {
            Some(own) => own.family == family || self.centres.are_near(own.family, family, class),
            None => self.centres.is_within(pdq, family, class),
        }
    }

    /// What is announced near a PDQ hash of a content, at what distance: in each class the nearest that is wanted and whose family it may join;
    /// of equally near ones that of the lowest id.
    pub(crate) fn nearest(
        &mut self,
        own: ContentId,
        pdq: &Pdq,
        wanted: impl Fn(Class, &Announced) -> bool,
    ) -> Vec<(Class, u32, Announced)> {
        let mut nearest: BTreeMap<Class, (u32, ContentId)> = BTreeMap::new();
        let (mut lookup, mut near) = (std::mem::take(&mut self.lookup), std::mem::take(&mut self.near));
        // One class at a time, so that what is announced in one does not take the places of another.
        while nearest.len() < self.classes.len() {
            let is_left = |(class, content): &(Class, ContentId)| {
                !nearest.contains_key(class)
                    && self
                        .get(*content, *class)
                        .is_some_and(|known| wanted(*class, known) && self.may_join(own, pdq, known.family, *class))
            };
            self.by_pdq.near(pdq, 1, is_left, &mut lookup, &mut near);
            let Some(found) = near.first() else { break };
            nearest.insert(found.value.0, (found.distance, found.value.1));
        }
        (self.lookup, self.near) = (lookup, near);
        let known = nearest
            .into_iter()
            .filter_map(|(class, (distance, content))| Some((class, distance, self.get(content, class)?.clone())));
        known.collect()
    }

    /// Whether a content may come into a family by the frames of its video, as [`Index::may_join`] says of pictures.
    pub(crate) fn may_join_by_frames(&self, content: ContentId, video: &Video, family: FamilyId, class: Class) -> bool {
        match self.get(content, class) {
            Some(own) => own.family == family || self.centres.are_videos_near(own.family, family, class),
            None => self.centres.is_video_within(video, family, class),
        }
    }

    /// What is announced that is the same as a video of a content, with the share of frames that agree: for each class that is looked in and each that
    /// a link to it would hold in (`links_of` says which, of a class that is not looked in none) the one with the largest share, of those that are wanted and whose family it may join; of equal ones that of
    /// the lowest id. Also, whether there would be more if a second party had told their frames.
    pub(crate) fn same_video(
        &mut self,
        (own, party): (ContentId, PartyId),
        video: &Video,
        links_of: impl Fn(Class) -> Vec<Class>,
        wanted: impl Fn(&Announced) -> bool,
    ) -> (Vec<SameVideo>, bool) {
        let (mut found, mut waits, mut sought) = (Vec::new(), false, 0);
        let (mut lookup, mut near) = (std::mem::take(&mut self.lookup), std::mem::take(&mut self.near_frames));
        // One class at a time, as with pictures.
        for class in self.frames.keys().copied() {
            let links_in = links_of(class);
            if links_in.is_empty() {
                continue;
            }
            sought += video.frames().len();
            let is_wanted = |(of, content, _): &(Class, ContentId, u8)| {
                *of == class && self.get(*content, class).is_some_and(&wanted)
            };
            let mut candidates = video.candidates(&self.by_frame, VIDEOS_MOST, is_wanted, &mut lookup, &mut near);
            let mut of_content: HashMap<ContentId, usize> = HashMap::new();
            candidates.retain(|(_, content, _)| {
                let count = of_content.entry(*content).or_default();
                *count += 1;
                *count <= VIDEOS_OF_CONTENT_MAX
            });
            candidates.truncate(COMPARED_MAX);
            let same = candidates.into_iter().filter_map(|(_, content, place)| {
                let announcement = self.announcements.get(&(content, class))?;
                let (other, told_by) = announcement.names.told_video(place)?;
                let (share, known) = (video.same(other)?, &announcement.known);
                let may_join = self.may_join_by_frames(own, video, known.family, class);
                may_join.then_some((share, told_by, known))
            });
            let same: Vec<(u16, ToldBy, &Announced)> = same.collect();
            for holds_in in links_in {
                let is_corroborated =
                    |told_by, known: &Announced| self.is_corroborated((own, party), told_by, known.family, holds_in);
                let best = same
                    .iter()
                    .filter(|(_, told_by, known)| is_corroborated(*told_by, known))
                    .max_by_key(|(share, _, known)| (*share, Reverse(known.content)));
                waits |= best.is_none() && !same.is_empty();
                found.extend(best.map(|(share, _, known)| SameVideo {
                    class,
                    holds_in,
                    share: *share,
                    known: (*known).clone(),
                }));
            }
        }
        (self.lookup, self.near_frames) = (lookup, near);
        self.frames_sought += sought;
        (found, waits)
    }

    /// In how many of these classes the frames of videos are looked up.
    pub(crate) fn classes_with_frames(&self, is_looked_in: impl Fn(Class) -> bool) -> usize {
        self.frames.keys().filter(|class| is_looked_in(**class)).count()
    }

    /// How many frames were looked up since the beginning.
    pub(crate) fn frames_sought(&self) -> usize {
        self.frames_sought
    }

    /// Whether a content of which a party tells may come into a family by frames that `told_by` alone told of what is announced: what is announced of
    /// another family itself, hot or listed, waits for a second party to tell like frames, since the one may tell what it likes of any content. `class` is
    /// that of the link.
    pub(crate) fn is_corroborated(
        &self,
        (own, party): (ContentId, PartyId),
        told_by: ToldBy,
        family: FamilyId,
        class: Class,
    ) -> bool {
        let announced = self.get(own, class).or_else(|| self.get(own, Class::All));
        matches!(told_by, ToldBy::Several)
            || told_by == ToldBy::Alone(party)
            || announced.is_none_or(|own| own.family == family)
    }

    /// An event says these names of what is announced: those of which a second party tells like frames now.
    pub(crate) fn corroborate<'a>(
        &mut self,
        content: ContentId,
        class: Class,
        told: impl IntoIterator<Item = &'a Name>,
    ) -> Names {
        let Some(announcement) = self.announcements.get_mut(&(content, class)) else {
            return Names::default();
        };
        let mut corroborated = Names::default();
        for name in told {
            let news = announcement.names.corroborate([name]);
            let is_seconded = news.told_videos().any(|(_, told_by)| told_by == ToldBy::Several);
            // What the second party tells, not what it seconds.
            if let Some(video) = name.video.as_ref().filter(|_| is_seconded) {
                self.centres.corroborate(announcement.known.family, class, video);
            }
            corroborated.add(news.iter());
        }
        corroborated
    }

    /// What stands for an announced content, as far as it is known.
    pub(crate) fn names(&self, content: ContentId, class: Class) -> Names {
        self.known_names(content, class).cloned().unwrap_or_default()
    }

    /// Of what stands for an announced content the names that have one of these ids.
    pub(crate) fn names_of(&self, content: ContentId, class: Class, ids: &Names) -> Names {
        let names = self.known_names(content, class);
        names.map(|names| names.of_ids(ids)).unwrap_or_default()
    }

    fn known_names(&self, content: ContentId, class: Class) -> Option<&Names> {
        let announcement = self.announcements.get(&(content, class));
        let early = || self.early.names.get(&(content, class));
        announcement.map(|announcement| &announcement.names).or_else(early)
    }

    /// Takes up an announcement in place of an earlier one of the same content and class. Beyond `names_max` names of all announcements
    /// the oldest go.
    pub(crate) fn put(&mut self, class: Class, known: Announced, names: &Names, names_max: usize) {
        let (content, family) = (known.content, known.family);
        let before = self.get(content, class).map(|before| before.family);
        self.centres.enter(family, class, before);
        self.withdraw(content, class);
        let age = self.next_age;
        self.next_age += 1;
        self.by_age.insert(age, (content, class));
        let announcement = Announcement {
            age,
            known,
            names: Names::default(),
            slots: Vec::new(),
            frames: Vec::new(),
        };
        self.announcements.insert((content, class), announcement);
        *self.classes.entry(class).or_default() += 1;
        self.add(content, class, names.iter(), names_max);
    }

    /// Further names of an announced content: those of them that it did not have, as far as there is room for them. A new digest for whose frames
    /// there is none is one of them, with the frames as they were told; one that was known is not.
    pub(crate) fn add<'a>(
        &mut self,
        content: ContentId,
        class: Class,
        further: impl IntoIterator<Item = &'a Name>,
        names_max: usize,
    ) -> Names {
        let Some(announcement) = self.announcements.get_mut(&(content, class)) else {
            self.forgotten_early += self.early.add(content, class, further, names_max);
            return Names::default();
        };
        let (names_before, new_from) = (announcement.names.count(), announcement.names.len());
        let mut added = announcement.names.add(further);
        let inserted = added.pdqs().map(|pdq| self.by_pdq.insert(*pdq, (class, content)));
        announcement.slots.reserve_exact(added.pdqs().count());
        announcement.slots.extend(inserted.filter_map(Result::ok));
        if let Some(pdq) = added.pdqs().next() {
            self.centres.set(announcement.known.family, class, *pdq);
        }
        self.names += announcement.names.count() - names_before;
        added.retain(|name| {
            if self.add_frames((content, class), name, names_max / FRAMES_PART) {
                return true;
            }
            // Names keep their places: what stands before those that are new was known.
            let announcement = self.announcements.get(&(content, class));
            let place = announcement.and_then(|announcement| announcement.names.place(name.id));
            place.is_some_and(|place| usize::from(place) >= new_from)
        });
        for name in added.iter() {
            let known = self.by_hash.entry(name.id).or_default();
            known.retain(|place| *place != (class, content));
            let begin = known.partition_point(|(of, _)| *of < class);
            let end = known.partition_point(|(of, _)| *of <= class);
            if end - begin == SHARING_MAX {
                known.remove(begin);
            } else {
                known.reserve_exact(1);
            }
            known.insert(end.min(begin + SHARING_MAX - 1), (class, content));
        }
        while self.names > names_max {
            let Some((_, (oldest, class))) = self.by_age.first_key_value() else {
                break;
            };
            self.withdraw(*oldest, *class);
            self.forgotten_early += 1;
        }
        added
    }

    /// Forgets what was announced of a content in a class, and returns what it was found by.
    pub(crate) fn withdraw(&mut self, content: ContentId, class: Class) -> Names {
        self.early.names.remove(&(content, class));
        let Some(announcement) = self.announcements.remove(&(content, class)) else {
            return Names::default();
        };
        if let Some(count) = self.classes.get_mut(&class) {
            *count -= 1;
        }
        self.classes.retain(|_, count| *count > 0);
        self.centres.leave(announcement.known.family, class);
        self.by_age.remove(&announcement.age);
        self.names -= announcement.names.count();
        let frames = announcement.frames();
        self.by_frames
            .remove(&(frames, Reverse(announcement.age), (content, class)));
        for slot in announcement.slots {
            self.by_pdq.remove(slot);
        }
        for (_, slots) in announcement.frames {
            self.forget_slots(class, slots);
        }
        for name in announcement.names.iter() {
            let Some(known) = self.by_hash.get_mut(&name.id) else {
                continue;
            };
            known.retain(|place| *place != (class, content));
            if known.is_empty() {
                self.by_hash.remove(&name.id);
            }
        }
        announcement.names
    }

    /// All that the log held at the start was read: names of what is not announced are given back, and none is kept any more.
    pub(crate) fn caught_up(&mut self) -> Vec<(ContentId, Class, ContentId)> {
        self.early.is_over = true;
        let early = std::mem::take(&mut self.early.names).into_iter();
        let mut without: Vec<_> = early
            .flat_map(|((content, class), names)| {
                let ids: Vec<ContentId> = names.iter().map(|name| name.id).collect();
                ids.into_iter().map(move |id| (content, class, id))
            })
            .collect();
        without.sort_unstable();
        without
    }

    pub(crate) fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }
}

/// Of announced videos so many are looked at for one that was seen, before those of one content are limited.
const VIDEOS_MOST: Most = Most {
    of_frame: 32,
    compared: 256,
};
/// So many are compared with in each class.
const COMPARED_MAX: usize = 16;
/// And so many of one content, which has 64 at most. That leaves room for others, unless as many frames of its videos as `of_frame` are nearer to
/// each frame of the one that was seen, or equally near and of a lower id: then no others are looked at.
const VIDEOS_OF_CONTENT_MAX: usize = 4;
/// So many contents that share a hash in one class are found by it again, one after the other as those after them go.
const SHARING_MAX: usize = 8;

impl Early {
    /// Keeps names of a content that is not announced, as long as that may still come. Returns how many there was no room for.
    fn add<'a>(
        &mut self,
        content: ContentId,
        class: Class,
        names: impl IntoIterator<Item = &'a Name>,
        contents_max: usize,
    ) -> u64 {
        let is_known = self.names.contains_key(&(content, class));
        if self.is_over {
            return 0;
        }
        if !is_known && self.names.len() >= contents_max {
            return 1;
        }
        let known = self.names.entry((content, class)).or_default();
        for name in names {
            known.add([name]);
            known.corroborate([name]);
        }
        0
    }
}

mod frames;
#[cfg(test)]
mod tests;
