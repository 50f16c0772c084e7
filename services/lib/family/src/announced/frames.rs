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
}

impl Index {
    /// The frames of a name that was added are looked up from now on; where there is no room for them it is a digest as any other.
    pub(super) fn add_frames(&mut self, of: (ContentId, Class), name: &mut Name, frames_max: usize) {
        let (content, class) = of;
        let count = name.video.as_ref().map_or(0, |video| video.frames().len());
        let has_room = self.make_room_for_frames(of, count, frames_max);
        let Some(announcement) = self.announcements.get_mut(&of) else {
            return;
        };
        let (Some(video), Some(place)) = (&name.video, announcement.names.place(name.id)) else {
            return;
        };
        if !has_room {
            self.forgotten_early += 1;
            announcement.names.forget_frames(place);
            name.forget_frames();
            return;
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
    }

    /// Whether there is room for so many frames of a content, which that is made for: the content with the most loses those that came last, unless
    /// that is the one that they are of, or they would be the most.
    pub(super) fn make_room_for_frames(&mut self, of: (ContentId, Class), count: usize, frames_max: usize) -> bool {
        let own = count + self.announcements.get(&of).map_or(0, Announcement::frames);
        while self.by_frame.len() + count > frames_max {
            match self.by_frames.last() {
                Some((most, _, largest)) if *largest != of && *most >= own => self.forget_last_frames(*largest),
                _ => return false,
            }
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
