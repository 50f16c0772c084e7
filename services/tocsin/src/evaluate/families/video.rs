//! Copies of a real video, and other videos, held to it by the finder of links.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use tocsin_family::{Limits, LinkFinder, Name, Pdq, Seen, Video};
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, Event, FamilyAnnouncement, FamilyId, Frame, Link, PartyId, Sharing,
    Timestamp,
};

use super::super::open;
use crate::rehearsal::Figures;

/// Sample hashes of vPDQ's authors: of each frame its number, quality, PDQ hash and time.
const ORIGINAL: &str = "chair-orig-22-sd-bar.txt.gz";
/// Each with the names of its figures: the share of frames that agree, and that within 31 bits.
const COPIES: [(&str, [&str; 2]); 2] = [
    (
        "chair-22-sd-grey-bar.txt.gz",
        ["video_grey_share", "video_grey_share_31"],
    ),
    (
        "chair-22-with-large-logo-bar.txt.gz",
        ["video_logo_share", "video_logo_share_31"],
    ),
];

/// Which copies join the original, and which other videos: those whose frames are the pictures of `haystack`, as many in each as an event carries.
pub(super) fn play(directory: &Path, haystack: &[Pdq]) -> Result<Figures> {
    let original = sampled(&read(&directory.join(ORIGINAL))?)?;
    let mut figures = Figures::new();
    let mut joined = 0;
    for (file, names) in COPIES {
        let copy = sampled(&read(&directory.join(file))?)?;
        joined += usize::from(joins(&original, &copy));
        let smaller = |distance| copy.share(&original, distance).min(original.share(&copy, distance));
        let distances = [Video::AGREEMENT_DISTANCE_MAX, Pdq::DISTANCE_MAX];
        figures.extend(std::iter::zip(
            names,
            distances.map(|distance| json!(smaller(distance))),
        ));
    }
    let others: Vec<Video> = haystack
        .chunks(Event::FRAMES_MAX)
        .filter_map(|frames| Video::of(frames.iter().copied()))
        .collect();
    let share = |other: &Video| original.share(other, Video::AGREEMENT_DISTANCE_MAX);
    figures.extend([
        ("video_frames", json!(original.frames().len())),
        ("video_copies", json!(COPIES.len())),
        ("video_copies_joined", json!(joined)),
        ("video_others", json!(others.len())),
        (
            "video_others_joined",
            json!(others.iter().filter(|other| joins(&original, other)).count()),
        ),
        ("video_other_share_max", json!(others.iter().map(share).max())),
    ]);
    Ok(figures)
}

/// As many frames as an event carries, at even distances.
fn sampled(frames: &[Frame]) -> Result<Video> {
    let step = frames.len().div_ceil(Event::FRAMES_MAX).max(1);
    Video::of_frames(frames.iter().step_by(step).copied()).context("there are too few different frames")
}

fn read(file: &Path) -> Result<Vec<Frame>> {
    let parse = |(number, line): (usize, std::io::Result<String>)| {
        let place = || format!("line {} of {}", number + 1, file.display());
        let line = line.with_context(place)?;
        let fields: Vec<&str> = line.trim().split(',').collect();
        let (quality, hash) = (fields.get(1).with_context(place)?, fields.get(2).with_context(place)?);
        let quality = quality.parse().with_context(place)?;
        let hash = ContentHash::parse(Algorithm::Pdq, hash, Some(quality)).with_context(place)?;
        let pdq = hash.value().try_into().with_context(place)?;
        anyhow::Ok(Frame { pdq, quality })
    };
    BufReader::new(open(file)?).lines().enumerate().map(parse).collect()
}

/// Whether a video joins the original, whichever of the two was seen first.
fn joins(original: &Video, other: &Video) -> bool {
    let (of_original, of_other) = (Named::new(1, original), Named::new(2, other));
    let mut before = LinkFinder::new(Limits::default());
    before.seen(of_other.seen());
    before.seen(of_original.seen());
    let mut after = LinkFinder::new(Limits::default());
    after.seen(of_original.seen());
    after.announced(&of_original.announcement());
    let found = [
        before.announced(&of_original.announcement()),
        after.seen(of_other.seen()),
    ];
    let is_to_original = |link: &Link| link.content == of_other.own.id && link.family == FamilyId(of_original.own.id);
    found.iter().all(|links| links.iter().any(is_to_original))
}

/// A file and its frames.
struct Named {
    own: Name,
    video: Name,
}

impl Named {
    fn new(number: u128, video: &Video) -> Self {
        let name = |algorithm, number: u128| {
            let value = [number.to_be_bytes(); 2].concat();
            let hash = ContentHash::from_bytes(algorithm, value, None).expect("it has 32 bytes");
            (ContentId(number), hash)
        };
        let (id, hash) = name(Algorithm::Sha256, number);
        let (digest_id, digest) = name(Algorithm::Vpdq, number + 100);
        Named {
            own: Name::new(id, hash),
            video: Name::of_video(digest_id, digest, video.clone()),
        }
    }

    fn seen(&self) -> Seen<'static> {
        Seen {
            own: self.own.clone(),
            further: vec![self.video.clone()],
            same_as: &[],
            party: PartyId(1),
            sharing: Sharing::All,
            at: Timestamp(0),
        }
    }

    fn announcement(&self) -> FamilyAnnouncement {
        FamilyAnnouncement {
            content: self.own.id,
            hash: self.own.hash.clone(),
            family: FamilyId(self.own.id),
            class: Class::All,
            at: Timestamp(0),
        }
    }
}
