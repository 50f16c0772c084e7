use tocsin_model::{ContentHash, ContentId, FurtherHash};

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
}

/// What stands for a content: its hashes, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Name>);

impl Name {
    /// The name that a hash is.
    pub fn new(id: ContentId, hash: ContentHash) -> Name {
        let pdq = Pdq::of(&hash).ok();
        let video = None;
        Name { id, hash, pdq, video }
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
            video,
            ..Name::new(id, further.hash.clone())
        }
    }
}

impl Names {
    /// So many hashes of a content are kept: those known first.
    pub(crate) const MAX: usize = 64;

    /// Takes up further names, and says which were new: a digest whose frames were not known is.
    pub(crate) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a Name>) -> Names {
        let mut added = Names::default();
        for name in names {
            let is_full = self.0.len() == Names::MAX;
            match self.0.iter_mut().find(|known| known.id == name.id) {
                Some(known) if known.video.is_some() || name.video.is_none() => continue,
                Some(known) => known.video.clone_from(&name.video),
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

    /// A PDQ hash counts twice, since it is looked for in two ways, and each frame of a video once.
    pub(crate) fn count(&self) -> usize {
        let frames: usize = self.videos().map(|video| video.frames().len()).sum();
        self.0.len() + self.pdqs().count() + frames
    }
}
