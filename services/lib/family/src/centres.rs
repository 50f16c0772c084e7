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
    videos: Vec<Video>,
    /// Whether one party alone told the frames of the first video, or nobody knows who did.
    is_of_one_party: bool,
    announcements: usize,
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
        centres.is_empty() || centres.iter().any(|centre| self.is_video_within(centre, other, class))
    }

    /// A content of the family is announced that belonged to another one before, whose centres are the new one's too.
    pub(crate) fn enter(&mut self, family: FamilyId, class: Class, before: Option<FamilyId>) {
        let before = before.filter(|before| *before != family);
        let before = before.and_then(|before| self.0.get(&(before, class)));
        let before = before.map(|before| (before.pdqs.clone(), before.videos.clone(), before.is_of_one_party));
        let (pdqs, videos, is_of_one_party) = before.unwrap_or_default();
        let centre = self.0.entry((family, class)).or_default();
        centre.announcements += 1;
        pdqs.into_iter().for_each(|pdq| centre.add(pdq));
        centre.is_of_one_party |= centre.videos.is_empty() && is_of_one_party;
        videos.iter().for_each(|video| centre.add_video(video));
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
        if centre.videos.is_empty() {
            centre.add_video(video);
            centre.is_of_one_party = told_by != ToldBy::Several;
        } else if told_by == ToldBy::Several {
            centre.corroborate(video);
        }
    }

    /// Two parties told like frames of a content of the family: where its centre is what one alone told of, that gives way.
    pub(crate) fn corroborate(&mut self, family: FamilyId, class: Class, video: &Video) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.corroborate(video);
        }
    }

    /// The frames of a content of the family are known no more.
    pub(crate) fn forget_video(&mut self, family: FamilyId, class: Class, video: &Video) {
        if let Some(centre) = self.0.get_mut(&(family, class)) {
            centre.videos.retain(|known| known != video);
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
        let is_near = |centre: &Video| centre.agreement(video) >= Video::CENTRE_SHARE_MIN;
        self.videos.iter().any(is_near)
    }

    fn corroborate(&mut self, video: &Video) {
        let is_of_one_party = std::mem::take(&mut self.is_of_one_party);
        let first = self.videos.first_mut().filter(|_| is_of_one_party);
        if let Some(first) = first.filter(|first| first.agreement(video) < Video::CENTRE_SHARE_MIN) {
            *first = video.clone();
        }
    }

    fn add_video(&mut self, video: &Video) {
        if self.videos.len() < Centres::CENTRES_MAX && !self.is_video_near(video) {
            self.videos.push(video.clone());
        }
    }
}
