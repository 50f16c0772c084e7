//! The frames of videos in the index of what is announced, and their room.

use std::cmp::Reverse;

use tocsin_model::{Class, ContentId};

use crate::announced::{Announcement, Index};
use crate::names::Name;
use crate::pdq::Slot;

/// Frames have so much of the room for names for their own, beside it: one part of four.
pub(super) const FRAMES_PART: usize = 4;

impl Announcement {
    pub(super) fn frames(&self) -> usize {
        self.frames.iter().map(|(_, slots)| slots.len()).sum()
    }

    /// How many frames it loses with its last videos until it has fewer than `own`.
    fn beyond(&self, own: usize) -> usize {
        let (all, mut lost) = (self.frames(), 0);
        for (_, slots) in self.frames.iter().rev() {
            if all - lost < own {
                break;
            }
            lost += slots.len();
        }
        lost
    }
}

impl Index {
    /// The frames of a name that was added, if it has any, are looked up from now on. `false` where there is no room for them: it is known as a digest
    /// as any other.
    pub(super) fn add_frames(&mut self, of: (ContentId, Class), name: &Name, frames_max: usize) -> bool {
        let (content, class) = of;
        let Some(video) = &name.video else { return true };
        let has_room = self.make_room_for_frames(of, video.frames().len(), frames_max);
        let Some(announcement) = self.announcements.get_mut(&of) else {
            return true;
        };
        let Some(place) = announcement.names.place(name.id) else {
            return true;
        };
        if !has_room {
            self.forgotten_early += 1;
            announcement.names.forget_frames(place);
            return false;
        }
        let before = announcement.frames();
        let frames = video.frames().iter();
        let slots = frames.filter_map(|frame| self.by_frame.insert(*frame, (class, content, place)).ok());
        let slots: Vec<Slot> = slots.collect();
        *self.frames.entry(class).or_default() += slots.len();
        self.by_frames.remove(&(before, Reverse(announcement.age), of));
        self.by_frames
            .insert((before + slots.len(), Reverse(announcement.age), of));
        announcement.frames.push((place, slots));
        let family = announcement.known.family;
        self.centres.set_video(family, class, video, name.told_by);
        true
    }

    /// Whether there is room for so many frames of a content, which that is made for: the content with the most loses those that came last, unless
    /// that is the one that they are of, or they would be the most. Where that would not be enough none loses any.
    pub(super) fn make_room_for_frames(&mut self, of: (ContentId, Class), count: usize, frames_max: usize) -> bool {
        let own = count + self.announcements.get(&of).map_or(0, Announcement::frames);
        let wanting = (self.by_frame.len() + count).saturating_sub(frames_max);
        if !self.may_lose_frames(wanting, own) {
            return false;
        }
        while self.by_frame.len() + count > frames_max {
            match self.by_frames.last() {
                Some((most, _, largest)) if *largest != of && *most >= own => self.forget_last_frames(*largest),
                _ => return false,
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
            let Some((_, _, of)) = largest.next() else { return false };
            lost += self
                .announcements
                .get(of)
                .map_or(0, |announcement| announcement.beyond(own));
        }
        true
    }

    pub(super) fn forget_last_frames(&mut self, of: (ContentId, Class)) {
        let Some(announcement) = self.announcements.get_mut(&of) else {
            return;
        };
        let before = announcement.frames();
        let Some((place, slots)) = announcement.frames.pop() else {
            return;
        };
        if let Some((video, _)) = announcement.names.told_video(place) {
            self.centres.forget_video(announcement.known.family, of.1, video);
        }
        announcement.names.forget_frames(place);
        self.by_frames.remove(&(before, Reverse(announcement.age), of));
        if before > slots.len() {
            self.by_frames
                .insert((before - slots.len(), Reverse(announcement.age), of));
        }
        self.forgotten_early += 1;
        self.forget_slots(of.1, slots);
    }

    pub(super) fn forget_slots(&mut self, class: Class, slots: Vec<Slot>) {
        if let Some(count) = self.frames.get_mut(&class) {
            *count -= slots.len();
        }
        self.frames.retain(|_, count| *count > 0);
        for slot in slots {
            self.by_frame.remove(slot);
        }
    }
}
