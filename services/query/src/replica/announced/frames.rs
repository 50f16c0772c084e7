//! The frames of videos in the table of what is announced: what they are found by, and their room.

use tocsin_family::{PdqIndex, Slot, Video};
use tocsin_model::{Class, ContentId};

use crate::replica::announced::{Content, Tables};

/// The frames of a video, by the id of their digest.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) id: ContentId,
    pub(super) video: Video,
    pub(super) slots: Vec<Slot>,
}

/// Frames have so much of the room for hashes for their own, beside it: one part of four.
pub(crate) const FRAMES_PART: usize = 4;
impl Content {
    pub(super) fn frames(&self) -> usize {
        self.videos.iter().map(|known| known.video.frames().len()).sum()
    }
}

impl Tables {
    /// Whether there is room for a video of a content, which that is made for: the content with the most frames loses those that came last, and that may
    /// be the one that these are of.
    pub(super) fn make_room_for_frames(&mut self, of: (ContentId, Class), count: usize, frames_max: usize) -> bool {
        let own = count + self.contents.get(&of).map_or(0, Content::frames);
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

pub(super) fn insert_frames(
    index: &mut PdqIndex<(ContentId, Class)>,
    video: &Video,
    place: (ContentId, Class),
) -> Vec<Slot> {
    let inserted = video.frames().iter().map(|frame| index.insert(*frame, place));
    inserted.filter_map(Result::ok).collect()
}
