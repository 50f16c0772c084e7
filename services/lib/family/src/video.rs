//! Videos, by the PDQ hashes of their frames.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tocsin_model::Frame;

use crate::pdq::{Found, Lookup, Pdq, PdqIndex};

/// The frames by which a video is matched: a set without order or time, 64 at most, all more than [`Pdq::DISTANCE_MAX`] bits from one another.
///
/// vPDQ (Meta, <https://github.com/facebook/ThreatExchange/tree/main/vpdq>): frames of quality below 50 are left out; another video that has
/// one within 31 bits is compared with by the share of the frames of either that the other shows too. The authors' own comparison asks for 31 bits of
/// each frame and for 80 % of one video; a copy with a large logo has 10 % then, so here it is [`Video::AGREEMENT_DISTANCE_MAX`] and
/// [`Video::SHARE_MIN`] of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video(Arc<[Pdq]>);

/// How many videos are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// That have a frame near to one frame: the nearest.
    pub of_frame: usize,
    /// That are compared with: those near to the most frames.
    pub compared: usize,
}

impl Video {
    /// With fewer different frames a video is as good as a picture, and not matched by its frames.
    pub const FRAMES_MIN: usize = 5;
    /// Frames of two videos that are near in one are taken to show the same up to this distance, in bits. Frames of other pictures are 94 bits
    /// away at the least (23 frames of a clip beside 1,350 pictures), half of those of a copy with a large logo 54 at most.
    pub const AGREEMENT_DISTANCE_MAX: u32 = 64;
    /// Of the frames of either video so many in a hundred show what the other does, at the least, if they are one.
    pub const SHARE_MIN: u16 = 50;
    /// And so many if one party's frames second another's, so that those of a video do not second what is half of it and half of another. That holds
    /// between two: what was seconded seconds in its turn what is as much like it, and may be half of the first.
    pub(crate) const SECONDED_SHARE_MIN: u16 = 75;
    /// And so many those of the video that is the centre of the family.
    pub(crate) const CENTRE_SHARE_MIN: u16 = 25;

    /// What is matched of a video's frames, in this order; `None` if that is too little.
    pub fn of_frames(frames: impl IntoIterator<Item = Frame>) -> Option<Video> {
        Video::of(frames.into_iter().filter_map(|frame| Pdq::of_frame(&frame).ok()))
    }

    /// The same of any number of frames: of those whose quality is good as many as are matched, at even distances.
    pub fn sampled(frames: impl IntoIterator<Item = Frame>) -> Option<Video> {
        let good = frames.into_iter().filter_map(|frame| Pdq::of_frame(&frame).ok());
        let good: Vec<Pdq> = good.collect();
        let step = good.len().div_ceil(Video::FRAMES_MAX).max(1);
        Video::of(good.into_iter().step_by(step))
    }

    /// The same of frames whose quality is good.
    pub fn of(frames: impl IntoIterator<Item = Pdq>) -> Option<Video> {
        let mut kept: Vec<Pdq> = Vec::new();
        for frame in frames {
            let is_another = kept.iter().all(|other| frame.distance(other) > Pdq::DISTANCE_MAX);
            if kept.len() < Video::FRAMES_MAX && is_another {
                kept.push(frame);
            }
        }
        (kept.len() >= Video::FRAMES_MIN).then(|| Video(kept.into()))
    }

    const FRAMES_MAX: usize = tocsin_model::Event::FRAMES_MAX;

    /// The frames that are matched.
    pub fn frames(&self) -> &[Pdq] {
        &self.0
    }

    /// Of a hundred frames so many are within `distance_max` bits of one of the other video, rounded down.
    pub fn share(&self, other: &Video, distance_max: u32) -> u16 {
        let is_in_other = |frame: &&Pdq| other.0.iter().any(|of_other| frame.distance(of_other) <= distance_max);
        let shared = self.0.iter().filter(is_in_other).count();
        (100 * shared / self.0.len()) as u16
    }

    /// The smaller of the two shares, in percent, if it is so many at the least. Where the first is fewer the second is not looked at.
    pub(crate) fn agreement(&self, other: &Video, share_min: u16) -> Option<u16> {
        let distance_max = Video::AGREEMENT_DISTANCE_MAX;
        let is_enough = |share: &u16| *share >= share_min;
        let own = Some(self.share(other, distance_max)).filter(is_enough)?;
        let smaller = own.min(other.share(self, distance_max));
        Some(smaller).filter(is_enough)
    }

    /// The smaller share, in percent, if the two are one video.
    pub fn same(&self, other: &Video) -> Option<u16> {
        self.agreement(other, Video::SHARE_MIN)
    }

    /// Whose frames are within 31 bits of some of this video: those near to the most frames, equally many by value.
    pub fn candidates<T: Copy + Ord>(
        &self,
        index: &PdqIndex<T>,
        most: Most,
        wanted: impl Fn(&T) -> bool,
        lookup: &mut Lookup,
        near: &mut Vec<Found<T>>,
    ) -> Vec<T> {
        let mut hits: BTreeMap<T, usize> = BTreeMap::new();
        let mut values: Vec<T> = Vec::with_capacity(most.of_frame);
        index.near_each(&self.0, most.of_frame, wanted, (lookup, near), |_, near| {
            values.clear();
            values.extend(near.iter().map(|found| found.value));
            values.sort_unstable();
            values.dedup();
            for value in &values {
                *hits.entry(*value).or_default() += 1;
            }
        });
        let mut candidates: Vec<(Reverse<usize>, T)> =
            hits.into_iter().map(|(value, hits)| (Reverse(hits), value)).collect();
        candidates.sort_unstable();
        candidates.truncate(most.compared);
        candidates.into_iter().map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a video is its different frames of good quality, and another one is the same only if that holds both ways.

    use super::*;

    /// The frame of this number, with so many bits flipped: other numbers are about 128 bits away.
    fn frame(number: u64, flips: usize) -> Frame {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut pdq = [0; 32];
        for byte in &mut pdq {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 32) as u8;
        }
        for bit in 0..flips {
            pdq[bit / 8] ^= 1 << (bit % 8);
        }
        Frame { pdq, quality: 50 }
    }

    fn video(numbers: std::ops::Range<u64>, flips: usize) -> Video {
        Video::of_frames(numbers.map(|number| frame(number, flips))).expect("enough frames")
    }

    #[test]
    fn what_is_the_same_picture_or_none_is_left_out() {
        let count = |frames: Vec<Frame>| Video::of_frames(frames).map(|video| video.frames().len());
        let five: Vec<Frame> = (1..=5).map(|number| frame(number, 0)).collect();
        assert_eq!(count(five.clone()), Some(5));
        assert_eq!(count(five[..4].to_vec()), None);
        let with = |further: Frame| count(five.iter().copied().chain([further]).collect());
        assert_eq!(with(frame(1, 31)), Some(5), "near to one that is there");
        assert_eq!(with(frame(1, 32)), Some(6));
        assert_eq!(
            with(Frame {
                quality: 49,
                ..frame(6, 0)
            }),
            Some(5)
        );
        assert_eq!(
            with(Frame {
                pdq: [0; 32],
                quality: 100
            }),
            Some(5),
            "of a flat picture"
        );
        assert_eq!(count((1..=100).map(|number| frame(number, 0)).collect()), Some(64));
        assert_eq!(count(vec![frame(1, 0); 64]), None, "it stands still");
    }

    #[test]
    fn of_a_long_one_frames_at_even_distances_are_taken() {
        let long: Vec<Frame> = (0..700).map(|number| frame(number, 0)).collect();
        let video = Video::sampled(long.iter().copied()).expect("enough frames");
        let expected: Vec<Pdq> = long
            .iter()
            .step_by(11)
            .map(|frame| Pdq::from_bytes(frame.pdq))
            .collect();
        assert_eq!(video.frames(), expected);
        assert_eq!(
            video.share(&Video::of_frames(long.into_iter().take(64)).expect("enough"), 31),
            9
        );
        assert_eq!(Video::sampled([]), None);
    }

    #[test]
    fn both_must_show_half_of_the_other() {
        for (own, other, flips, expected) in [
            (0..20, 0..20, 0, Some(100)),
            (0..20, 0..20, 64, Some(100)),
            (0..20, 0..20, 65, None),
            (0..20, 10..30, 31, Some(50)),
            (0..20, 11..31, 31, None),
            // All of an excerpt is in the whole, but not the other way round.
            (0..20, 0..10, 0, Some(50)),
            (0..20, 0..9, 0, None),
            (0..9, 0..20, 0, None),
            (0..20, 100..120, 0, None),
        ] {
            let (own_video, other_video) = (video(own.clone(), 0), video(other.clone(), flips));
            assert_eq!(own_video.same(&other_video), expected, "{own:?} {other:?} {flips}");
        }
    }

    #[test]
    fn the_nearest_are_compared_with_first() {
        let mut index = PdqIndex::default();
        for (value, count) in [(1, 3), (2, 5), (3, 5), (4, 1)] {
            for number in 0..count {
                let pdq = Pdq::of_frame(&frame(number, 20)).expect("a picture");
                index.insert(pdq, value).expect("there is room");
            }
        }
        let found = |most: Most, unwanted: u64| {
            let (mut lookup, mut near) = (Lookup::default(), Vec::new());
            video(0..5, 0).candidates(&index, most, |value| *value != unwanted, &mut lookup, &mut near)
        };
        let most = |of_frame, compared| Most { of_frame, compared };
        assert_eq!(found(most(9, 9), 0), [2, 3, 1, 4]);
        assert_eq!(found(most(9, 2), 0), [2, 3]);
        assert_eq!(found(most(9, 9), 2), [3, 1, 4]);
        let why = "of one frame the nearest takes the place, and of equally near ones the lowest";
        assert_eq!(found(most(1, 9), 0), [1, 2], "{why}");
    }
}
