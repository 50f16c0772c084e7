//! Goal: videos join by their frames, whichever came first and whoever read them, and neither a logo, nor an excerpt, nor a chain makes two one.

use tocsin_model::{Algorithm, Frame};

use super::*;
use crate::video::Video;

/// A picture of its own for each number.
fn frame(number: u64) -> Frame {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let pdq = std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    Frame { pdq, quality: 90 }
}

/// A copy: of the first frame the bits of a watermark flipped, 25, and of the others with a large logo as many as given.
fn copy(frames: &[Frame], logo: usize) -> Vec<Frame> {
    let flipped = |(place, frame): (usize, &Frame)| {
        let flips = if place == 0 { 25 } else { logo };
        let mut frame = *frame;
        (0..flips).for_each(|bit| frame.pdq[bit / 8] ^= 1 << (bit % 8));
        frame
    };
    frames.iter().enumerate().map(flipped).collect()
}

fn frames(numbers: std::ops::Range<u64>) -> Vec<Frame> {
    numbers.map(frame).collect()
}

fn hash(algorithm: Algorithm, id: u128) -> ContentHash {
    ContentHash::from_bytes(algorithm, [id.to_be_bytes(); 2].concat(), None).expect("32 bytes")
}

/// A file with these frames; the digest stands under an id that follows from the file's.
fn file(id: u128, frames: &[Frame]) -> Seen<'static> {
    let video = Video::of_frames(frames.iter().copied());
    let digest = id + 1_000;
    let video = video.map(|video| Name::of_video(ContentId(digest), hash(Algorithm::Vpdq, digest), video));
    Seen {
        own: Name::new(ContentId(id), hash(Algorithm::Sha256, id)),
        further: video.into_iter().collect(),
        same_as: &[],
        party: PartyId(1),
        sharing: Sharing::All,
        at: Timestamp(0),
    }
}

fn announcement(id: u128, family: u128) -> FamilyAnnouncement {
    FamilyAnnouncement {
        content: ContentId(id),
        hash: hash(Algorithm::Sha256, id),
        family: FamilyId(ContentId(family)),
        class: Class::All,
        at: Timestamp(0),
    }
}

fn told(links: &[Link]) -> Vec<(u128, u128, Evidence)> {
    links
        .iter()
        .map(|link| (link.content.0, link.family.0.0, link.evidence))
        .collect()
}

#[test]
fn a_copy_joins_whether_it_comes_before_the_announcement_or_after_it() {
    let clip = frames(0..20);
    for (other, expected) in [
        (copy(&clip, 20), Some(100)),
        (copy(&clip, 64), Some(100)),
        (copy(&clip, 65), None),
        // The second half is of another clip, or there is as much beside it.
        ([&clip[..10], &frames(100..110)[..]].concat(), Some(50)),
        ([&clip[..9], &frames(100..111)[..]].concat(), None),
        ([&clip[..], &frames(100..120)[..]].concat(), Some(50)),
        ([&clip[..], &frames(100..121)[..]].concat(), None),
        // A news frame in common.
        ([&clip[..1], &frames(100..119)[..]].concat(), None),
        (frames(100..120), None),
        // Too little to see.
        (clip.iter().map(|frame| Frame { quality: 49, ..*frame }).collect(), None),
        (vec![clip[0]; 20], None),
    ] {
        let expected: Vec<_> = expected
            .map(|share| (8, 5, Evidence::FrameShare(share)))
            .into_iter()
            .collect();
        let mut finder = LinkFinder::new(Limits::default());
        finder.seen(file(5, &clip));
        finder.announced(&announcement(5, 5));
        assert_eq!(told(&finder.seen(file(8, &other))), expected);
        let mut finder = LinkFinder::new(Limits::default());
        finder.seen(file(8, &other));
        finder.seen(file(5, &clip));
        assert_eq!(told(&finder.announced(&announcement(5, 5))), expected);
    }
}

#[test]
fn an_instance_that_never_saw_the_video_finds_copies_by_what_another_told() {
    let clip = frames(0..20);
    let [mut reader, mut other] = [(); 2].map(|()| LinkFinder::new(Limits::default()));
    for finder in [&mut reader, &mut other] {
        finder.announced(&announcement(5, 5));
    }
    reader.seen(file(5, &clip));
    let further = reader.take_further();
    assert_eq!(further.len(), 1);
    assert_eq!(further[0].frames.len(), clip.len());
    let name = Name::of_further(ContentId(1_005), &further[0]);
    // Without its frames the digest was known before: somebody named it by itself.
    let digest = Name::new(ContentId(1_005), further[0].hash.clone());
    other.further(ContentId(5), Class::All, &digest, Timestamp(0));
    other.further(ContentId(5), Class::All, &name, Timestamp(0));
    let expected = [(8, 5, Evidence::FrameShare(100))];
    assert_eq!(told(&other.seen(file(8, &copy(&clip, 40)))), expected);
    // What is withdrawn leaves nothing behind.
    let gone = other.withdrawn(ContentId(5), Class::All);
    assert_eq!(gone, [ContentId(1_005)]);
    assert_eq!(told(&other.seen(file(9, &copy(&clip, 41)))), []);
}

#[test]
fn a_chain_of_excerpts_ends_and_a_video_between_two_families_makes_them_one_no_more_than_a_picture() {
    // Each shares half of its frames with the one before, the third and the first none.
    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(file(5, &frames(0..20)));
    finder.announced(&announcement(5, 5));
    let second = finder.seen(file(6, &frames(10..30)));
    assert_eq!(told(&second), [(6, 5, Evidence::FrameShare(50))]);
    finder.announced(&announcement(6, 5));
    assert_eq!(told(&finder.seen(file(7, &frames(20..40)))), []);
    // Two families, and a video with half of either that was seen before the second was announced.
    let mut finder = LinkFinder::new(Limits::default());
    let [first, second] = [frames(0..20), frames(50..70)];
    finder.seen(file(5, &first));
    finder.announced(&announcement(5, 5));
    let between = [&first[..10], &second[..10]].concat();
    assert_eq!(
        told(&finder.seen(file(8, &between))),
        [(8, 5, Evidence::FrameShare(50))]
    );
    finder.seen(file(6, &second));
    assert_eq!(told(&finder.announced(&announcement(6, 6))), []);
}

#[test]
fn frames_seen_of_late_have_a_limit_and_who_fills_it_loses_its_own() {
    let limits = Limits {
        frames_max: 200,
        ..Limits::default()
    };
    let mut finder = LinkFinder::new(limits);
    let of = |party, number: u64| Seen {
        party: PartyId(party),
        ..file(u128::from(number), &frames(1_000 * number..1_000 * number + 20))
    };
    finder.seen(of(1, 1));
    (2..40).for_each(|number| drop(finder.seen(of(2, number))));
    assert!(finder.limits_reached() > 30, "{}", finder.limits_reached());
    for (copied, expected) in [(1, 1), (2, 0), (39, 1)] {
        let name = Name::of_video(
            ContentId(u128::MAX),
            hash(Algorithm::Vpdq, 7),
            Video::of_frames(frames(1_000 * copied..1_000 * copied + 20)).expect("enough frames"),
        );
        finder.announced(&announcement(0, 0));
        let links = finder.further(ContentId(0), Class::All, &name, Timestamp(0));
        finder.withdrawn(ContentId(0), Class::All);
        assert_eq!(links.len(), expected, "{copied}");
    }
}

#[test]
fn what_is_announced_to_one_party_takes_no_places_of_what_is_announced_to_all() {
    let clip = frames(0..20);
    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(file(5, &copy(&clip, 30)));
    finder.announced(&announcement(5, 5));
    for id in 100..140 {
        let own = Seen {
            party: PartyId(2),
            sharing: Sharing::Party,
            ..file(id, &clip)
        };
        finder.seen(own);
        finder.announced(&FamilyAnnouncement {
            class: Class::Party(PartyId(2)),
            ..announcement(id, id)
        });
    }
    let links = finder.seen(file(500, &clip));
    let in_all: Vec<&Link> = links.iter().filter(|link| link.class == Class::All).collect();
    assert_eq!(in_all.len(), 1);
    assert_eq!(in_all[0].family, FamilyId(ContentId(5)));
}
