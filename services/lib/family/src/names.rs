use tocsin_model::{Class, ContentHash, ContentId, FurtherHash, Timestamp, ToldBy};

use crate::pdq::Pdq;
use crate::video::Video;

/// One hash of a content: what it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The content id that the hash has by itself.
    pub id: ContentId,
    /// The hash.
    pub hash: ContentHash,
    /// What it is matched by where it is a PDQ hash that may be. See [`Pdq::of`].
    pub pdq: Option<Pdq>,
    /// What it is matched by where it is the digest of a video's frames and they are known.
    pub video: Option<Video>,
    /// Who told the video's frames.
    pub told_by: ToldBy,
}

/// What stands for a content: its hashes, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Name>);

impl Name {
    /// The name that a hash is.
    pub fn new(id: ContentId, hash: ContentHash) -> Name {
        let pdq = Pdq::of(&hash).ok();
        Name {
            id,
            hash,
            pdq,
            video: None,
            told_by: ToldBy::Unknown,
        }
    }

    /// The name that the digest of a video's frames is.
    pub fn of_video(id: ContentId, digest: ContentHash, video: Video) -> Name {
        let video = Some(video);
        Name {
            video,
            ..Name::new(id, digest)
        }
    }

    /// The name that was told of an announced content.
    pub fn of_further(id: ContentId, further: &FurtherHash) -> Name {
        let video = Video::of(further.frames.iter().map(|frame| Pdq::from_bytes(*frame)));
        Name {
            told_by: match video {
                Some(_) => further.told_by,
                None => ToldBy::Unknown,
            },
            video,
            ..Name::new(id, further.hash.clone())
        }
    }
}

impl Name {
    /// The inverse of [`Name::of_further`].
    pub(crate) fn to_further(&self, content: ContentId, class: Class, at: Timestamp) -> FurtherHash {
        let frames = self.video.iter().flat_map(Video::frames);
        FurtherHash {
            content,
            hash: self.hash.clone(),
            frames: frames.map(|frame| frame.to_bytes()).collect(),
            told_by: self.told_by,
            class,
            at,
        }
    }

    /// Whether frames are known of this digest, or of those that several parties tell of them, where the other says it not.
    pub(crate) fn says_more_than(&self, other: &Name) -> bool {
        let how_many = |name: &Name| match name.told_by {
            ToldBy::Unknown => 0,
            ToldBy::Alone(_) => 1,
            ToldBy::Several => 2,
        };
        self.video.is_some() && (other.video.is_none() || how_many(self) > how_many(other))
    }

    /// Leaves the digest.
    pub(crate) fn forget_frames(&mut self) {
        (self.video, self.told_by) = (None, ToldBy::Unknown);
    }
}

impl Names {
    /// So many hashes of a content are kept: those known first.
    pub(crate) const MAX: usize = 64;

    /// Takes note that parties told frames of videos that are the same as those another one alone told of. Returns the names of which that is news,
    /// or of which nobody knew who told them.
    pub(crate) fn corroborate<'a>(&mut self, told: impl IntoIterator<Item = &'a Name>) -> Names {
        let mut corroborated = Names::default();
        for name in told {
            let Some(video) = &name.video else { continue };
            if name.told_by == ToldBy::Unknown {
                continue;
            }
            // Who told frames of which it is not known may be this party.
            let is_by_another = |known: &Name| match (known.told_by, name.told_by) {
                (ToldBy::Unknown, by) => by == ToldBy::Several,
                (known, by) => known != by,
            };
            let is_same = |known: &Name| {
                let same =
                    |known: &Video| known == video || known.agreement(video, Video::SECONDED_SHARE_MIN).is_some();
                known.id != name.id && known.video.as_ref().is_some_and(same)
            };
            let mut is_seconded = false;
            let seconds = |known: &Name| {
                // What several told is looked at only for whether it seconds this one.
                let is_news = known.told_by != ToldBy::Several || !is_seconded;
                let seconds = is_news && is_by_another(known) && is_same(known);
                is_seconded |= seconds;
                seconds
            };
            let seconds: Vec<bool> = self.0.iter().map(seconds).collect();
            let news = self.0.iter_mut().zip(seconds).filter(|(known, is_same)| {
                let is_itself = known.id == name.id && (is_seconded || is_by_another(known));
                let is_learnt = known.id == name.id && known.told_by == ToldBy::Unknown && known.video.is_some();
                let is_open = known.told_by != ToldBy::Several && known.video.is_some();
                is_learnt || is_open && (is_itself || *is_same)
            });
            for (known, _) in news {
                let is_seconded = is_seconded || known.id != name.id;
                known.told_by = match known.told_by {
                    ToldBy::Unknown if !is_seconded => name.told_by,
                    _ => ToldBy::Several,
                };
                corroborated.0.push(known.clone());
            }
        }
        corroborated
    }

    /// The names that have one of these ids.
    pub(crate) fn of_ids(&self, ids: &Names) -> Names {
        let of_ids = self.0.iter().filter(|name| ids.iter().any(|of| of.id == name.id));
        Names(of_ids.cloned().collect())
    }

    /// Takes up further names, and says which were new: a digest whose frames were not known is.
    pub(crate) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a Name>) -> Names {
        let mut added = Names::default();
        for name in names {
            let is_full = self.0.len() == Names::MAX;
            match self.0.iter_mut().find(|known| known.id == name.id) {
                Some(known) if known.video.is_some() || name.video.is_none() => continue,
                Some(known) => {
                    known.video.clone_from(&name.video);
                    known.told_by = name.told_by;
                }
                None if is_full => continue,
                None => {
                    // Most contents have one or two: room for more would be most of what a long watch list takes.
                    self.0.reserve_exact(1);
                    self.0.push(name.clone());
                }
            }
            added.0.push(name.clone());
        }
        added
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    pub(crate) fn pdqs(&self) -> impl Iterator<Item = &Pdq> {
        self.0.iter().filter_map(|name| name.pdq.as_ref())
    }

    pub(crate) fn videos(&self) -> impl Iterator<Item = &Video> {
        self.0.iter().filter_map(|name| name.video.as_ref())
    }

    /// Videos, each with who told its frames.
    pub(crate) fn told_videos(&self) -> impl Iterator<Item = (&Video, ToldBy)> {
        let videos = self.0.iter();
        videos.filter_map(|name| Some((name.video.as_ref()?, name.told_by)))
    }

    /// Where a name stands: names keep their places.
    pub(crate) fn place(&self, id: ContentId) -> Option<u8> {
        let place = self.0.iter().position(|name| name.id == id)?;
        u8::try_from(place).ok()
    }

    /// The video of the name at a place, with who told its frames.
    pub(crate) fn told_video(&self, place: u8) -> Option<(&Video, ToldBy)> {
        let name = self.0.get(usize::from(place))?;
        Some((name.video.as_ref()?, name.told_by))
    }

    /// Of the name at a place the digest is left.
    pub(crate) fn forget_frames(&mut self, place: u8) {
        let name = self.0.get_mut(usize::from(place));
        name.into_iter().for_each(Name::forget_frames);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn retain(&mut self, is_kept: impl FnMut(&Name) -> bool) {
        self.0.retain(is_kept);
    }

    /// A PDQ hash counts twice, since it is looked for in two ways. Frames have room of their own.
    pub(crate) fn count(&self) -> usize {
        self.0.len() + self.pdqs().count()
    }
}
