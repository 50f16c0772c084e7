use std::collections::HashMap;

use tocsin_model::{Class, FamilyId, ToldBy};

use crate::pdq::Pdq;
use crate::video::Video;

/// The centre of each family that something is announced of: the first picture that was, and the first video. What joins by its looks stays near to
/// it, so that a chain of pictures, each near to the one before, does not end at another picture. A family that grew together with one that looks
/// otherwise, by what they shared, has the centres of both.
#[derive(Debug, Default)]
pub(crate) struct Centres(HashMap<(FamilyId, Class), Centre>);

#[derive(Debug, Default)]
struct Centre {
    /// All further apart than [`Centres::DISTANCE_MAX`].
    pdqs: Vec<Pdq>,
    /// Of each two fewer than [`Video::CENTRE_SHARE_MIN`] of a hundred frames agree.
    videos: Vec<VideoCentre>,
    announcements: usize,
}

#[derive(Clone, Debug)]
struct VideoCentre {
    video: Video,
    /// Whether two parties told its frames.
    is_seconded: bool,
}

impl Centres {
    /// No picture joins a family whose centre is further away, in bits.
    pub(crate) const DISTANCE_MAX: u32 = 48;
    /// So many centres of a family are known at most, of pictures and of videos each: the first.
    const CENTRES_MAX: usize = 4;

    /// Whether a picture may join a family by its looks; any may as long as no centre is known.
    pub(crate) fn is_within(&self, pdq: &Pdq, family: FamilyId, class: Class) -> bool {
        self.0
            .get(&(family, class))
            .is_none_or(|centre| centre.pdqs.is_empty() || centre.is_near(pdq))
    }

    /// Whether two families may become one by the looks of a content; they may as long as one's centre is not known.
    pub(crate) fn are_near(&self, one: FamilyId, other: FamilyId, class: Class) -> bool {
        let centres = self.0.get(&(one, class)).map_or(&[][..], |centre| &centre.pdqs);
        centres.is_empty() || centres.iter().any(|centre| self.is_within(centre, other, class))
    }

    /// Whether a video may join a family by its frames; any may as long as no centre is known.
    pub(crate) fn is_video_within(&self, video: &Video, family: FamilyId, class: Class) -> bool {
        self.0
            .get(&(family, class))
            .is_none_or(|centre| centre.videos.is_empty() || centre.is_video_near(video))
    }

    /// Whether two families may become one by the frames of a content; they may as long as one's centre is not known.
    pub(crate) fn are_videos_near(&self, one: FamilyId, other: FamilyId, class: Class) -> bool {
        let centres = self.0.get(&(one, class)).map_or(&[][..], |centre| &centre.videos);
        centres.is_empty()
            || centres
                .iter()
                .any(|centre| self.is_video_within(&centre.video, other, class))
    }

    /// A content of the family is announced that belonged to another one before, whose centres are the new one's too.
    pub(crate) fn enter(&mut self, family: FamilyId, class: Class, before: Option<FamilyId>) {
        let before = before.filter(|before| *before != family);
        let before = before.and_then(|before| self.0.get(&(before, class)));
        let before = before.map(|before| (before.pdqs.clone(), before.videos.clone()));
        let (pdqs, videos) = before.unwrap_or_default();
        let centre = self.0.entry((family, class)).or_default();
        centre.announcements += 1;
        pdqs.into_iter().for_each(|pdq| centre.add(pdq));
        videos.into_iter().for_each(|video| centre.add_video(video));
    }

    /// A content of the family is announced no more; with the last one its centres go.
    pub(crate) fn leave(&mut self, family: FamilyId, class: Class) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.announcements -= 1;
            if centre.announcements == 0 {
                self.0.remove(&(family, class));
            }
        }
    }

    /// The first picture of a family is its centre.
    pub(crate) fn set(&mut self, family: FamilyId, class: Class, pdq: Pdq) {
        if let Some(centre) = self.0.get_mut(&(family, class))
            && centre.pdqs.is_empty()
        {
            centre.add(pdq);
        }
    }

    /// The first video of a family is its centre.
    pub(crate) fn set_video(&mut self, family: FamilyId, class: Class, video: &Video, told_by: ToldBy) {
        let Some(centre) = self.0.get_mut(&(family, class)) else {
            return;
        };
        let is_seconded = told_by == ToldBy::Several;
        if centre.videos.is_empty() {
            let video = video.clone();
            centre.add_video(VideoCentre { video, is_seconded });
        } else if is_seconded {
            centre.corroborate(video);
        }
    }

    /// Two parties told like frames of a content of the family: where one that is near them, or else any, is what one alone told of, that gives way to
    /// them.
    pub(crate) fn corroborate(&mut self, family: FamilyId, class: Class, video: &Video) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.corroborate(video);
        }
    }

    /// The frames of a content of the family are known no more.
    pub(crate) fn forget_video(&mut self, family: FamilyId, class: Class, video: &Video) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.videos.retain(|known| known.video != *video);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Centre {
    fn is_near(&self, pdq: &Pdq) -> bool {
        self.pdqs
            .iter()
            .any(|centre| centre.distance(pdq) <= Centres::DISTANCE_MAX)
    }

    /// What is near to a centre is none of its own: it came by its looks.
    fn add(&mut self, pdq: Pdq) {
        if self.pdqs.len() < Centres::CENTRES_MAX && !self.is_near(&pdq) {
            self.pdqs.reserve_exact(1);
            self.pdqs.push(pdq);
        }
    }

    fn is_video_near(&self, video: &Video) -> bool {
        self.videos.iter().any(|centre| centre.is_near(video))
    }

    fn corroborate(&mut self, video: &Video) {
        let near = self.videos.iter().position(|centre| centre.is_near(video));
        let place = near.or_else(|| self.videos.iter().position(|centre| !centre.is_seconded));
        let centre = place.and_then(|place| self.videos.get_mut(place));
        if let Some(centre) = centre.filter(|centre| !centre.is_seconded) {
            let video = video.clone();
            *centre = VideoCentre {
                video,
                is_seconded: true,
            };
        }
    }

    fn add_video(&mut self, centre: VideoCentre) {
        if self.videos.len() < Centres::CENTRES_MAX && !self.is_video_near(&centre.video) {
            self.videos.push(centre);
        }
    }
}

impl VideoCentre {
    fn is_near(&self, video: &Video) -> bool {
        self.video.agreement(video, Video::CENTRE_SHARE_MIN).is_some()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a centre that one party alone told gives way, and no other in its stead.

    use tocsin_model::{ContentId, Frame};

    use super::*;

    fn video(numbers: std::ops::Range<u64>) -> Video {
        let frame = |number: u64| {
            let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let pdq = std::array::from_fn(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            });
            Frame { pdq, quality: 90 }
        };
        Video::of_frames(numbers.map(frame)).expect("enough frames")
    }

    #[test]
    fn each_centre_knows_whether_it_was_seconded() {
        let mut centres = Centres::default();
        let [one, other] = [1, 2].map(|id| FamilyId(ContentId(id)));
        let alone = ToldBy::Alone(tocsin_model::PartyId(1));
        for family in [one, other] {
            centres.enter(family, Class::All, None);
        }
        centres.set_video(one, Class::All, &video(0..20), ToldBy::Several);
        centres.set_video(other, Class::All, &video(100..120), alone);
        // The one grows together with the other: it has both centres, of which the second is one party's.
        centres.enter(one, Class::All, Some(other));
        let within = |centres: &Centres| {
            [0..20, 100..120, 200..220, 300..320].map(|of| centres.is_video_within(&video(of), one, Class::All))
        };
        assert_eq!(within(&centres), [true, true, false, false]);
        centres.corroborate(one, Class::All, &video(200..220));
        assert_eq!(within(&centres), [true, false, true, false]);
        centres.corroborate(one, Class::All, &video(300..320));
        assert_eq!(within(&centres), [true, false, true, false], "both are of several");
    }
}
