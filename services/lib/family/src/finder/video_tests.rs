//! Goal: videos join by their frames, whichever came first and whoever read them, and neither a logo, nor an excerpt, nor a chain makes two one.

use tocsin_model::{Algorithm, Frame, ToldBy};

use super::*;
use crate::video::Video;

/// A picture of its own for each number.
pub(super) fn frame(number: u64) -> Frame {
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
pub(super) fn copy(frames: &[Frame], logo: usize) -> Vec<Frame> {
    let flipped = |(place, frame): (usize, &Frame)| {
        let flips = if place == 0 { 25 } else { logo };
        let mut frame = *frame;
        (0..flips).for_each(|bit| frame.pdq[bit / 8] ^= 1 << (bit % 8));
        frame
    };
    frames.iter().enumerate().map(flipped).collect()
}

pub(super) fn frames(numbers: std::ops::Range<u64>) -> Vec<Frame> {
    numbers.map(frame).collect()
}

pub(super) fn hash(algorithm: Algorithm, id: u128) -> ContentHash {
    ContentHash::from_bytes(algorithm, [id.to_be_bytes(); 2].concat(), None).expect("32 bytes")
}

/// A file with these frames; the digest stands under an id that follows from the file's.
pub(super) fn file(id: u128, frames: &[Frame]) -> Seen<'static> {
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

pub(super) fn announcement(id: u128, family: u128) -> FamilyAnnouncement {
    FamilyAnnouncement {
        content: ContentId(id),
        hash: hash(Algorithm::Sha256, id),
        family: FamilyId(ContentId(family)),
        class: Class::All,
        at: Timestamp(0),
    }
}

pub(super) fn told(links: &[Link]) -> Vec<(u128, u128, Evidence)> {
    links
        .iter()
        .map(|link| (link.content.0, link.family.0.0, link.evidence))
        .collect()
}

impl Name {
    pub(super) fn into_list(self) -> Vec<Name> {
        vec![self]
    }
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

/// What a party tells of a file.
pub(super) fn told_by(party: u16, id: u128, frames: &[Frame]) -> Seen<'static> {
    Seen {
        party: PartyId(party),
        ..file(id, frames)
    }
}

#[test]
fn a_digest_told_without_its_frames_takes_them_from_nobody() {
    let clip = frames(0..20);
    let [mut reader, mut other] = [(); 2].map(|()| LinkFinder::new(Limits::default()));
    reader.announced(&announcement(5, 5));
    other.announced(&announcement(5, 5));
    reader.seen(file(5, &clip));
    let with_frames = reader.take_further();
    // Another instance hears the digest by itself before it has read the record: in the topic its own comes last, and compaction keeps that.
    let digest = Name::new(ContentId(1_005), with_frames[0].hash.clone());
    other.seen(Seen {
        further: vec![digest],
        ..file(5, &[])
    });
    let without = other.take_further();
    assert!(without.len() == 1 && without[0].frames.is_empty());
    reader.further(
        ContentId(5),
        Class::All,
        &Name::of_further(ContentId(1_005), &without[0]),
        Timestamp(0),
    );
    assert_eq!(
        reader.take_further(),
        with_frames,
        "who knows the frames tells them again"
    );
    let frames_again = Name::of_further(ContentId(1_005), &with_frames[0]);
    reader.further(ContentId(5), Class::All, &frames_again, Timestamp(0));
    other.further(ContentId(5), Class::All, &frames_again, Timestamp(0));
    assert_eq!((reader.take_further(), other.take_further()), (vec![], vec![]));
    for finder in [&mut reader, &mut other] {
        let links = finder.seen(file(8, &copy(&clip, 40)));
        assert_eq!(told(&links), [(8, 5, Evidence::FrameShare(100))]);
    }
}

#[test]
fn a_party_has_its_part_of_the_look_ups_by_frames_and_no_other_pays_for_it() {
    let limits = Limits {
        party_frames_max: 100,
        ..Limits::default()
    };
    let clip = frames(0..20);
    let mut finder = LinkFinder::new(limits);
    finder.seen(file(5, &clip));
    finder.announced(&announcement(5, 5));
    finder.take_further();
    let at = |minute: i64| Timestamp(60_000 * minute + 500);
    let mut see = |party, id, minute| {
        let seen = Seen {
            at: at(minute),
            ..told_by(party, id, &copy(&clip, id as usize % 32))
        };
        let links = finder.seen(seen);
        (links.len(), finder.frames_refused())
    };
    // Twenty were looked up in the first minute.
    for id in 10..14 {
        assert_eq!(see(1, id, 0), (1, 0));
    }
    assert_eq!(see(1, 14, 0), (0, 20), "the hundred are full");
    assert_eq!(
        see(1, 10, 0),
        (0, 20),
        "a copy of what was looked up costs nothing, and its link was told"
    );
    assert_eq!(see(2, 15, 0), (1, 20), "another party's are its own");
    assert_eq!(
        see(1, 14, 1),
        (1, 20),
        "with the next copy of the next minute it is found"
    );
    // Its digest was kept as a hash.
    let mut finder = LinkFinder::new(Limits {
        party_frames_max: 19,
        ..Limits::default()
    });
    finder.seen(file(5, &clip));
    let same_digest = Seen {
        further: vec![Name::new(ContentId(1_005), hash(Algorithm::Vpdq, 1_005))],
        ..file(6, &[])
    };
    finder.announced(&announcement(5, 5));
    assert_eq!(told(&finder.seen(same_digest)), [(6, 5, Evidence::EqualHash)]);
}

#[test]
fn frames_that_one_party_alone_tells_join_no_two_announced_families_of_others() {
    let clip = frames(0..20);
    // Party 1 says of what others tell of, or of its own, that it has the frames of another family of theirs.
    let mut finder = LinkFinder::new(Limits::default());
    finder.announced(&announcement(5, 5));
    finder.announced(&announcement(8, 8));
    finder.seen(told_by(1, 5, &clip));
    assert_eq!(told(&finder.seen(told_by(2, 8, &copy(&clip, 40)))), []);
    assert_eq!(finder.frames_uncorroborated(), 1, "one event, and one video that waits");
    // What is no family of others yet joins, and what the party tells of itself: its group asks for a second word.
    assert_eq!(told(&finder.seen(told_by(3, 9, &copy(&clip, 41)))).len(), 1);
    assert_eq!(
        told(&finder.seen(told_by(1, 8, &copy(&clip, 40)))),
        [(8, 5, Evidence::FrameShare(100))]
    );
    // A second party tells like frames of the one: by other instances too, in whichever order they read.
    let [mut first, mut second] = [(); 2].map(|()| LinkFinder::new(Limits::default()));
    for finder in [&mut first, &mut second] {
        finder.announced(&announcement(5, 5));
        finder.announced(&announcement(8, 8));
        finder.seen(told_by(2, 8, &copy(&clip, 40)));
        finder.take_further();
    }
    first.seen(told_by(1, 5, &clip));
    second.seen(Seen {
        further: Name::of_video(
            ContentId(77),
            hash(Algorithm::Vpdq, 77),
            Video::of_frames(copy(&clip, 10)).expect("enough frames"),
        )
        .into_list(),
        ..told_by(3, 5, &[])
    });
    let said = [first.take_further(), second.take_further()];
    assert_eq!(
        said.each_ref().map(|said| said[0].told_by),
        [1, 3].map(|party| ToldBy::Alone(PartyId(party)))
    );
    for (finder, of_other) in [(&mut first, &said[1]), (&mut second, &said[0])] {
        let id = if of_other[0].told_by == ToldBy::Alone(PartyId(3)) {
            77
        } else {
            1_005
        };
        let name = Name::of_further(ContentId(id), &of_other[0]);
        let links = finder.further(ContentId(5), Class::All, &name, Timestamp(0));
        assert_eq!(told(&links), [(8, 5, Evidence::FrameShare(100))]);
    }
}

#[test]
fn two_parties_that_tell_the_same_digest_are_two_and_the_topic_says_so() {
    let clip = frames(0..20);
    let mut finder = LinkFinder::new(Limits::default());
    finder.announced(&announcement(5, 5));
    finder.seen(told_by(1, 5, &clip));
    finder.seen(told_by(1, 5, &clip));
    let alone = finder.take_further();
    assert_eq!((alone.len(), alone[0].told_by), (1, ToldBy::Alone(PartyId(1))));
    finder.seen(told_by(2, 5, &clip));
    let both = finder.take_further();
    assert_eq!((both.len(), both[0].told_by), (1, ToldBy::Several));
    // A record of before, that came late.
    let name = Name::of_further(ContentId(1_005), &alone[0]);
    finder.further(ContentId(5), Class::All, &name, Timestamp(0));
    assert_eq!(finder.take_further(), both);
    finder.announced(&announcement(8, 8));
    assert_eq!(
        told(&finder.seen(told_by(3, 8, &copy(&clip, 40)))),
        [(8, 5, Evidence::FrameShare(100))]
    );
}

#[test]
fn a_centre_of_one_party_gives_way_to_frames_that_two_tell() {
    let [true_clip, false_clip] = [frames(0..20), frames(100..120)];
    let mut finder = LinkFinder::new(Limits::default());
    finder.announced(&announcement(5, 5));
    let of = |party, clip: &[Frame], digest: u128| Seen {
        further: Name::of_video(
            ContentId(digest),
            hash(Algorithm::Vpdq, digest),
            Video::of_frames(clip.iter().copied()).expect("enough frames"),
        )
        .into_list(),
        ..told_by(party, 5, &[])
    };
    finder.seen(of(1, &false_clip, 71));
    finder.seen(of(2, &true_clip, 72));
    assert_eq!(
        told(&finder.seen(told_by(4, 9, &copy(&true_clip, 40)))),
        [],
        "far from the centre"
    );
    finder.seen(of(3, &copy(&true_clip, 5), 73));
    assert_eq!(
        told(&finder.seen(told_by(4, 10, &copy(&true_clip, 39)))),
        [(10, 5, Evidence::FrameShare(100))]
    );
    assert_eq!(told(&finder.seen(told_by(4, 11, &copy(&false_clip, 40)))), []);
}

#[test]
fn a_record_that_does_not_say_who_told_the_frames_launders_none_of_them() {
    let clip = frames(0..20);
    let name = file(5, &clip).further.remove(0);
    assert_eq!(name.told_by, ToldBy::Unknown);
    let other_digest = Name::of_video(
        ContentId(77),
        hash(Algorithm::Vpdq, 77),
        Video::of_frames(copy(&clip, 10)).expect("enough frames"),
    );
    // Each of a content of its own, so that no two parties tell the frames of one.
    let joins = |finder: &mut LinkFinder, party: u16| {
        let links = finder.seen(told_by(party, 100 + u128::from(party), &copy(&clip, 40)));
        links.iter().any(|link| link.family == FamilyId(ContentId(5)))
    };
    // The same digest, or another of like frames, as an instance wrote it that does not keep who told; before or after.
    for (record, is_first) in [
        (&name, true),
        (&name, false),
        (&other_digest, true),
        (&other_digest, false),
    ] {
        let mut finder = LinkFinder::new(Limits::default());
        finder.announced(&announcement(5, 5));
        (101..110).for_each(|id| drop(finder.announced(&announcement(id, id))));
        let read = |finder: &mut LinkFinder| finder.further(ContentId(5), Class::All, record, Timestamp(0));
        if is_first {
            read(&mut finder);
            assert!(!joins(&mut finder, 4), "nobody knows who told them");
        }
        finder.seen(told_by(1, 5, &clip));
        let told = finder.take_further();
        let told: Vec<_> = told.iter().filter(|told| told.content == ContentId(5)).collect();
        assert_eq!(told.last().map(|told| told.told_by), Some(ToldBy::Alone(PartyId(1))));
        read(&mut finder);
        let again = finder.take_further();
        assert_eq!(
            again.len(),
            usize::from(record.id == name.id),
            "it is said again who told them"
        );
        assert!(again.iter().all(|told| told.told_by == ToldBy::Alone(PartyId(1))));
        assert!(!joins(&mut finder, 2));
        finder.seen(told_by(3, 5, &clip));
        let told = finder.take_further();
        assert!(told.iter().any(|told| told.told_by == ToldBy::Several));
        assert!(joins(&mut finder, 6));
    }
}
