//! Goal: what videos cost is bounded and borne by whose they are, and what is left out for that is said.

use tocsin_model::{Algorithm, Frame, ToldBy};

use super::video_tests::{announcement, copy, file, frames, hash, told, told_by};
use super::*;
use crate::video::Video;

#[test]
fn copies_of_a_video_that_was_refused_are_remembered_once_and_looked_up_when_there_is_room_again() {
    let clip = frames(0..20);
    let limits = Limits {
        party_frames_max: 30,
        ..Limits::default()
    };
    // Named by a stronger hash, and by the digest itself.
    for is_own in [false, true] {
        let mut finder = LinkFinder::new(limits);
        let mut see = |id: u128, frames: &[Frame], minute: i64| {
            let mut seen = file(id, frames);
            seen.at = Timestamp(60_000 * minute);
            if is_own {
                seen.own = Name::new(seen.further[0].id, seen.further[0].hash.clone());
            }
            let links = finder.seen(seen);
            (links.len(), finder.recent.len(), finder.frames_refused())
        };
        assert_eq!(see(5, &clip, 0), (0, 1, 0));
        assert_eq!(see(8, &copy(&clip, 40), 0), (0, 2, 20));
        for copies in 2..10 {
            assert_eq!(see(8, &copy(&clip, 40), 0), (0, 2, 20 * copies), "{is_own}");
        }
        let announced = if is_own { 1_005 } else { 5 };
        finder.announced(&announcement(announced, 0));
        let mut see = |minute: i64| {
            let mut seen = file(8, &copy(&clip, 40));
            seen.at = Timestamp(60_000 * minute);
            if is_own {
                seen.own = Name::new(seen.further[0].id, seen.further[0].hash.clone());
            }
            let evidence = finder.seen(seen).iter().map(|link| link.evidence).collect();
            (evidence, finder.recent.len())
        };
        let expected: Vec<Evidence> = vec![Evidence::FrameShare(100)];
        assert_eq!(see(1), (expected, 3), "{is_own}");
        assert_eq!(see(1), (vec![], 3));
    }
}

#[test]
fn a_video_costs_its_party_what_is_looked_up_for_it() {
    let clip = frames(0..20);
    let limits = Limits {
        party_frames_max: 100,
        ..Limits::default()
    };
    let mut finder = LinkFinder::new(limits);
    let classes = [Class::All, Class::Coordinators];
    for class in classes {
        finder.announced(&FamilyAnnouncement {
            class,
            ..announcement(5, 5)
        });
        let name = file(5, &clip).further.remove(0);
        finder.further(ContentId(5), class, &name, Timestamp(0));
    }
    // Twenty frames, in each of two classes.
    for (id, expected) in [(100, 0), (200, 0), (300, 20 * 2)] {
        finder.seen(told_by(1, u128::from(id), &frames(id..id + 20)));
        assert_eq!(finder.frames_refused(), expected, "{id}");
    }
    // Of what is announced those seen of late are looked for, and each that is the same is tested: of three here.
    let mut finder = LinkFinder::new(Limits {
        party_frames_max: 200,
        ..limits
    });
    finder.seen(told_by(2, 5, &frames(500..520)));
    finder.announced(&announcement(5, 5));
    (20..23).for_each(|id| drop(finder.seen(told_by(2, id, &copy(&clip, id as usize)))));
    let name = Name::of_video(
        ContentId(77),
        hash(Algorithm::Vpdq, 77),
        Video::of_frames(clip.iter().copied()).expect("enough frames"),
    );
    let tells = Seen {
        further: name.into_list(),
        ..told_by(1, 20, &[])
    };
    finder.announced(&announcement(20, 20));
    finder.seen(tells);
    // Its own look-up, two among those seen of late, for the digest that party 2 told has a second party now, and those of the two others.
    finder.seen(told_by(1, 400, &frames(400..460)));
    assert_eq!(finder.frames_refused(), 0);
    finder.seen(told_by(1, 600, &frames(600..660)));
    assert_eq!(finder.frames_refused(), 60);
}

#[test]
fn an_announcement_tests_so_many_videos_and_says_how_many_it_left_out() {
    let clip = frames(0..20);
    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(file(5, &clip));
    (100..140).for_each(|id| drop(finder.seen(file(id, &copy(&clip, 40)))));
    let links = finder.announced(&announcement(5, 5));
    assert_eq!((links.len(), finder.limits_reached()), (16, 24));
    assert_eq!(
        finder.seen(told_by(2, 139, &copy(&clip, 40))).len(),
        1,
        "with its next party"
    );
}

#[test]
fn a_content_of_many_videos_takes_no_places_of_another() {
    let clip = frames(0..20);
    let mut finder = LinkFinder::new(Limits::default());
    for id in [5, 6] {
        finder.announced(&announcement(id, id));
    }
    let further = |finder: &mut LinkFinder, content: u128, digest: u128, frames: &[Frame]| {
        let video = Video::of_frames(frames.iter().copied()).expect("enough frames");
        let name = Name::of_video(ContentId(digest), hash(Algorithm::Vpdq, digest), video);
        finder.further(ContentId(content), Class::All, &name, Timestamp(0));
    };
    // All of it is in each of them, which is too little of theirs.
    for number in 0..20 {
        let own = frames(1_000 * (number + 1)..1_000 * (number + 1) + 21);
        let long = [&copy(&clip, 20)[..], &own[..]].concat();
        further(&mut finder, 5, 7_000 + u128::from(number), &long);
    }
    further(&mut finder, 6, 8_000, &copy(&clip, 10));
    assert_eq!(told(&finder.seen(file(9, &clip))), [(9, 6, Evidence::FrameShare(100))]);
}

#[test]
fn what_is_announced_in_the_class_of_the_link_waits_for_a_second_party_too() {
    let clip = frames(0..20);
    for is_announced in [false, true] {
        let mut finder = LinkFinder::new(Limits::default());
        finder.announced(&announcement(5, 5));
        if is_announced {
            finder.announced(&FamilyAnnouncement {
                class: Class::Coordinators,
                ..announcement(8, 8)
            });
        }
        finder.seen(told_by(1, 5, &clip));
        let links = finder.seen(Seen {
            sharing: Sharing::Coordinators,
            ..told_by(2, 8, &copy(&clip, 40))
        });
        let in_class = links.iter().any(|link| link.class == Class::Coordinators);
        let waits = finder.frames_uncorroborated() > 0;
        assert_eq!((in_class, waits), (!is_announced, is_announced));
    }
}

#[test]
fn frames_take_no_room_of_names_and_the_content_with_the_most_gives_way() {
    let limits = Limits {
        announced_max: 400,
        ..Limits::default()
    };
    let mut finder = LinkFinder::new(limits);
    let clip = |number: u64| frames(1_000 * number..1_000 * number + 20);
    // Those of the first are near enough to its centre, the first of them, and no two are the same.
    let of_first = |number: u64| [&clip(1)[..5], &clip(number)[5..]].concat();
    let further = |finder: &mut LinkFinder, content: u128, number: u64| {
        let digest = 7_000 + u128::from(number);
        let clip = if content == 1 { of_first(number) } else { clip(number) };
        let video = Video::of_frames(clip).expect("enough frames");
        let name = Name::of_video(ContentId(digest), hash(Algorithm::Vpdq, digest), video);
        finder.further(ContentId(content), Class::All, &name, Timestamp(0));
    };
    (1..=300).for_each(|id| drop(finder.announced(&announcement(id, id))));
    // Of a hundred frames four videos are one content's, the fifth is another's.
    (1..=4).for_each(|number| further(&mut finder, 1, number));
    further(&mut finder, 2, 5);
    assert_eq!(finder.limits_reached(), 0);
    // There is no room for more of the first, and room for others': its own go, those that came last.
    further(&mut finder, 1, 6);
    further(&mut finder, 3, 7);
    further(&mut finder, 4, 8);
    assert_eq!(finder.limits_reached(), 3);
    let found = |finder: &mut LinkFinder| {
        let numbers = 1..=8;
        let joined = numbers.filter(|number| {
            let clip = match number {
                1..=4 | 6 => of_first(*number),
                _ => clip(*number),
            };
            let seen = told_by(3, 10_000 + u128::from(*number), &copy(&clip, 30));
            !finder.seen(seen).is_empty()
        });
        joined.collect::<Vec<u64>>()
    };
    assert_eq!(found(&mut finder), [1, 2, 5, 7, 8]);
    // Its digest is a hash still, and so is each content.
    for id in (2..=300).chain([7_004, 7_006]) {
        let seen = Seen {
            further: vec![Name::new(ContentId(id), hash(Algorithm::Sha256, id))],
            ..file(20_000 + id, &[])
        };
        assert_eq!(finder.seen(seen).len(), 1, "{id}");
    }
    for id in 1..=300 {
        finder.withdrawn(ContentId(id), Class::All);
    }
    (1..=1).for_each(|id| drop(finder.announced(&announcement(id, id))));
    (11..=15).for_each(|number| further(&mut finder, 1, number));
    assert_eq!(finder.limits_reached(), 3, "a withdrawal gives all of it back");
}

#[test]
fn frames_that_are_half_of_another_video_are_seconded_by_nobody() {
    let [clip, other] = [frames(0..20), frames(100..120)];
    for (kept, expected) in [(15, true), (14, false), (10, false)] {
        // Party 1 puts frames of another family's video among those of the content.
        let mixed = [&clip[..kept], &other[kept..]].concat();
        let mut finder = LinkFinder::new(Limits::default());
        finder.announced(&announcement(5, 5));
        finder.seen(told_by(1, 5, &mixed));
        finder.take_further();
        let own = Name::of_video(
            ContentId(77),
            hash(Algorithm::Vpdq, 77),
            Video::of_frames(clip.iter().copied()).expect("enough frames"),
        );
        finder.seen(Seen {
            further: vec![own],
            ..told_by(2, 5, &[])
        });
        let further = finder.take_further();
        let is_of_several = further.iter().any(|told| told.told_by == ToldBy::Several);
        assert_eq!(is_of_several, expected, "{kept}");
        // The centre is what the second party told: all of it.
        let far = [&other[15..], &frames(900..914)[..], &clip[..1]].concat();
        let is_within = |finder: &LinkFinder, frames: &[Frame]| {
            let video = Video::of_frames(frames.iter().copied()).expect("enough frames");
            let family = FamilyId(ContentId(5));
            finder
                .announced
                .may_join_by_frames(ContentId(1), &video, family, Class::All)
        };
        assert_eq!(is_within(&finder, &far), !expected, "{kept}");
    }
}

fn video_name(digest: u128, frames: &[Frame]) -> Name {
    let video = Video::of_frames(frames.iter().copied()).expect("enough frames");
    Name::of_video(ContentId(digest), hash(Algorithm::Vpdq, digest), video)
}

/// An event of content `id` with a digest and its frames.
fn tells(party: u16, id: u128, name: Name) -> Seen<'static> {
    Seen {
        further: vec![name],
        ..told_by(party, id, &[])
    }
}

#[test]
fn frames_that_find_no_room_are_told_to_who_may_have_some_and_take_none_from_the_topic() {
    let [clip, other] = [frames(0..20), frames(100..120)];
    let with_room = |announced_max| {
        let mut finder = LinkFinder::new(Limits {
            announced_max,
            ..Limits::default()
        });
        finder.announced(&announcement(5, 5));
        finder
    };
    // There is room for one of the two, and none of the first gives way to a second of its own.
    let mut full = with_room(80);
    full.seen(tells(1, 5, video_name(71, &clip)));
    full.take_further();
    full.seen(tells(1, 5, video_name(72, &other)));
    let records = full.take_further();
    assert_eq!((records.len(), records[0].frames.len()), (1, 20));
    assert_eq!(records[0].told_by, ToldBy::Alone(PartyId(1)));
    assert_eq!(full.limits_reached(), 1);
    let mut reader = with_room(1_000);
    let record = Name::of_further(ContentId(72), &records[0]);
    reader.further(ContentId(5), Class::All, &record, Timestamp(0));
    let links = reader.seen(told_by(3, 9, &copy(&other, 40)));
    let expected = (9, 5, Evidence::FrameShare(100));
    assert_eq!(told(&links), [expected]);
    // Known by its digest, it is nothing new when it comes with its frames once more: the record that has them stays the last.
    full.seen(tells(2, 5, video_name(72, &other)));
    assert_eq!(full.take_further(), []);
    full.further(ContentId(5), Class::All, &record, Timestamp(0));
    assert_eq!(full.take_further(), []);
    // Its digest is a hash of the content as before.
    let same_digest = Name::new(ContentId(72), hash(Algorithm::Vpdq, 72));
    assert_eq!(
        told(&full.seen(tells(3, 10, same_digest))),
        [(10, 5, Evidence::EqualHash)]
    );
}

#[test]
fn nothing_gives_way_where_that_makes_too_little_room() {
    let mut finder = LinkFinder::new(Limits {
        announced_max: 400,
        ..Limits::default()
    });
    for id in [5, 6, 7, 8] {
        finder.announced(&announcement(id, id));
    }
    let further = |finder: &mut LinkFinder, content: u128, digest: u128, frames: &[Frame]| {
        finder.further(
            ContentId(content),
            Class::All,
            &video_name(digest, frames),
            Timestamp(0),
        );
    };
    // Of a hundred frames the first content has 55 and 5, and the second 35.
    further(&mut finder, 5, 71, &frames(0..55));
    further(&mut finder, 5, 72, &frames(100..105));
    further(&mut finder, 6, 73, &frames(200..235));
    assert_eq!(finder.limits_reached(), 0);
    // Sixty want 55: the first would lose its last five, and be smaller than the one that comes.
    further(&mut finder, 7, 74, &frames(300..360));
    assert_eq!(finder.limits_reached(), 1);
    let held = |finder: &LinkFinder, content| {
        let names = finder.announced.names(ContentId(content), Class::All);
        names.videos().count()
    };
    assert_eq!([5, 6, 7].map(|content| held(&finder, content)), [2, 1, 0]);
    // Ten want five, which are lost.
    further(&mut finder, 8, 75, &frames(400..410));
    assert_eq!([5, 6, 8].map(|content| held(&finder, content)), [1, 1, 1]);
    assert_eq!(finder.limits_reached(), 2);
}

#[test]
fn an_announcement_asks_so_many_entries_of_each_party_whether_they_second_others() {
    let mut finder = LinkFinder::new(Limits::default());
    for number in 0..6 {
        let clip = frames(1_000 * number..1_000 * number + 20);
        for party in [1, 2] {
            let digest = 100 * u128::from(party) + u128::from(number);
            finder.seen(tells(party, 5, video_name(digest, &copy(&clip, usize::from(party)))));
        }
        // What has no frames takes no place.
        let other = Name::new(ContentId(900 + u128::from(number)), hash(Algorithm::Sha256, 900));
        finder.seen(tells(1, 5, other));
    }
    finder.announced(&announcement(5, 5));
    let told = finder.take_further();
    let told = told.iter().filter(|told| !told.frames.is_empty());
    let (seconded, alone): (Vec<_>, Vec<_>) = told.partition(|told| told.told_by == ToldBy::Several);
    assert_eq!((seconded.len(), alone.len()), (8, 4));
}
