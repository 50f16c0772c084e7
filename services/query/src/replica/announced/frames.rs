//! The frames of videos in the table of what is announced: what they are found by, and their room.

use std::collections::BTreeMap;

use tocsin_family::{Lookup, Most, PdqIndex, Slot, Video};
use tocsin_model::{Class, ContentId, Scope, ToldBy};

use crate::replica::announced::{Announced, AnnouncedTable, Content, MatchedHash, Tables};
use crate::replica::hot::classes_of;

/// Where a frame stands: the content, the class, and the number of the video.
pub(super) type VideoPlace = (ContentId, Class, u32);

/// The frames of a video, by the id of their digest.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) id: ContentId,
    /// Its own among the videos of a content.
    pub(super) number: u32,
    pub(super) video: Video,
    /// Who told them.
    pub(super) told_by: ToldBy,
    pub(super) slots: Vec<Slot>,
}

/// A video to compare with.
pub(super) struct NearVideo {
    pub(super) video: Video,
    /// Who told its frames.
    pub(super) told_by: ToldBy,
    /// What is found by it.
    pub(super) found: Announced,
}

/// Of announced videos of one class so many are looked at for one that is looked up, before those of one content are limited.
const VIDEOS_MOST: Most = Most {
    of_frame: 64,
    compared: 256,
};
/// So many are compared with in each class.
const COMPARED_MAX: usize = 64;
/// And so many of one content, which has 64 at most. That leaves room for others, unless as many frames of its videos as `of_frame` are nearer to
/// each frame of the one that is looked up, or equally near and of a lower id: then no others are looked at.
const VIDEOS_OF_CONTENT_MAX: usize = 4;
/// Frames have so much of the room for hashes for their own, beside it: one part of four.
pub(crate) const FRAMES_PART: usize = 4;

impl AnnouncedTable {
    /// The videos to compare with: they are compared without holding up who writes.
    pub(super) fn near_videos(&self, video: &Video, scope: Scope) -> Vec<NearVideo> {
        let tables = self.read();
        let (mut lookup, mut near, mut videos) = (Lookup::default(), Vec::new(), Vec::new());
        for class in classes_of(scope) {
            let is_wanted = |(_, of, _): &VideoPlace| *of == class;
            let mut candidates = video.candidates(&tables.by_frame, VIDEOS_MOST, is_wanted, &mut lookup, &mut near);
            let mut of_content: BTreeMap<ContentId, usize> = BTreeMap::new();
            candidates.retain(|(content, ..)| {
                let count = of_content.entry(*content).or_default();
                *count += 1;
                *count <= VIDEOS_OF_CONTENT_MAX
            });
            candidates.truncate(COMPARED_MAX);
            videos.extend(candidates.into_iter().filter_map(|(content, class, number)| {
                let held = tables.contents.get(&(content, class))?;
                let known = held.videos.iter().find(|known| known.number == number)?;
                let by = match known.id == content {
                    true => MatchedHash::Strongest,
                    false => MatchedHash::Further,
                };
                let found = held.announced.as_ref()?.found(content, None, by);
                Some(NearVideo {
                    video: known.video.clone(),
                    told_by: known.told_by,
                    found,
                })
            }));
        }
        videos
    }
}

impl Frames {
    /// They are told again. What two parties told is several parties' word for good; a program that does not say who told them takes nothing from that.
    pub(super) fn tell_again(&mut self, told_by: ToldBy) {
        self.told_by = match (self.told_by, told_by) {
            (known, ToldBy::Unknown) => known,
            (ToldBy::Unknown, told) => told,
            (ToldBy::Alone(one), ToldBy::Alone(other)) if one == other => self.told_by,
            _ => ToldBy::Several,
        };
    }
}

impl Content {
    pub(super) fn frames(&self) -> usize {
        self.videos.iter().map(|known| known.video.frames().len()).sum()
    }

    /// How many frames it loses with its last videos until it has fewer than `own`.
    fn beyond(&self, own: usize) -> usize {
        let (all, mut lost) = (self.frames(), 0);
        for known in self.videos.iter().rev() {
            if all - lost < own {
                break;
            }
            lost += known.video.frames().len();
        }
        lost
    }
}

impl Tables {
    /// Whether there is room for a video of a content, which that is made for: the content with the most frames loses those that came last, unless
    /// that is the one that these are of, or they would be the most. Where that would not be enough none loses any.
    pub(super) fn make_room_for_frames(&mut self, of: (ContentId, Class), count: usize, frames_max: usize) -> bool {
        let own = count + self.contents.get(&of).map_or(0, Content::frames);
        let wanting = (self.frames + count).saturating_sub(frames_max);
        if !self.may_lose_frames(wanting, own) {
            return false;
        }
        while self.frames + count > frames_max {
            let largest = self
                .by_frames
                .last()
                .map(|(most, content, class)| (*most, (*content, *class)));
            let Some((before, largest)) = largest.filter(|(most, largest)| *largest != of && *most >= own) else {
                return false;
            };
            let Some((held, last)) = self.contents.get_mut(&largest).and_then(|held| {
                let last = held.videos.pop()?;
                Some((held.frames(), last))
            }) else {
                return false;
            };
            self.count_frames(largest, before, held);
            self.forget_frames(last);
            let is_empty =
                |held: &Content| held.announced.is_none() && held.further.is_empty() && held.videos.is_empty();
            if self.contents.get(&largest).is_some_and(is_empty) {
                self.contents.remove(&largest);
            }
        }
        true
    }

    /// Whether the contents lose so many frames if each loses its last ones as long as it has `own` or more. Each that has so many has some to lose: only
    /// a few are looked at.
    fn may_lose_frames(&self, wanting: usize, own: usize) -> bool {
        let mut lost = 0;
        let mut largest = self.by_frames.iter().rev().take_while(|(most, ..)| *most >= own);
        while lost < wanting {
            let Some((_, content, class)) = largest.next() else {
                return false;
            };
            let held = self.contents.get(&(*content, *class));
            lost += held.map_or(0, |held| held.beyond(own));
        }
        true
    }

    pub(super) fn count_frames(&mut self, (content, class): (ContentId, Class), before: usize, after: usize) {
        self.frames = self.frames + after - before;
        self.by_frames.remove(&(before, content, class));
        if after > 0 {
            self.by_frames.insert((after, content, class));
        }
    }

    pub(super) fn forget_frames(&mut self, frames: Frames) {
        for slot in frames.slots {
            self.by_frame.remove(slot);
        }
    }
}

pub(super) fn insert_frames(index: &mut PdqIndex<VideoPlace>, video: &Video, place: VideoPlace) -> Vec<Slot> {
    let inserted = video.frames().iter().map(|frame| index.insert(*frame, place));
    inserted.filter_map(Result::ok).collect()
}
