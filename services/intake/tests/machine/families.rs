//! Goal: what one intake reads of an announced content is said to all, and taken back with the announcement.

use tocsin_intake::TimeSource;
use tocsin_model::{
    Algorithm, Class, ContentHash, Event, Evidence, FamilyAnnouncement, FamilyId, Frame, Link, PartyId, Timestamp,
    ToldBy,
};
use tocsin_wire::event::encode_single_object;
use tocsin_wire::family;

use crate::bench::{Bench, NOON, Said, key, share};

type Record = (Vec<u8>, Option<Vec<u8>>);

/// A picture with so many bits of its hash flipped.
fn picture(flips: usize) -> ContentHash {
    let mut value = [0x1e; 32];
    (0..flips).for_each(|flip| value[flip] ^= 0x10);
    ContentHash::from_bytes(Algorithm::Pdq, value.to_vec(), Some(80)).unwrap()
}

fn read(bench: &mut Bench, id: u128, number: usize, picture: ContentHash) {
    let event = Event {
        content: vec![
            ContentHash::from_bytes(Algorithm::Sha256, vec![number as u8; 32], None).unwrap(),
            picture,
        ],
        ..share(id, number, NOON)
    };
    bench.read(NOON, Some(&encode_single_object(&event)));
}

fn file(number: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![number; 32], None).unwrap()
}

fn announcement(number: u8) -> Record {
    let content = key().content_id(&file(number));
    let announcement = FamilyAnnouncement {
        content,
        hash: file(number),
        family: FamilyId(content),
        class: Class::All,
        at: Timestamp(NOON),
    };
    (family::key(content, Class::All), Some(family::encode(&announcement)))
}

fn families(said: &[Said]) -> Vec<Record> {
    let record = |said: &Said| match said {
        Said::Family(key, value) => Some((key.clone(), value.clone())),
        _ => None,
    };
    said.iter().filter_map(record).collect()
}

fn links(said: &[Said]) -> Vec<Link> {
    let link = |said: &Said| match said {
        Said::Link(_, link) => Some(link.clone()),
        _ => None,
    };
    said.iter().filter_map(link).collect()
}

fn url(text: &str) -> ContentHash {
    ContentHash::parse(Algorithm::Url, text, None).unwrap()
}

/// Whichever spelling is announced, whether the other was seen before or after, and by whichever intake; another page is another content.
#[test]
fn two_spellings_of_a_url_become_one_family() {
    let normal = "https://example.org/watch?v=1";
    let spelled = "HTTPS://Example.org:443/a/../watch?v=1&utm_source=b#t=3";
    let other_page = "https://example.org/watch?v=2&utm_source=b";
    for (announced, seen) in [
        (normal, spelled),
        (spelled, normal),
        (spelled, "https://example.org/watch?v=1&fbclid=c"),
    ] {
        for is_before in [false, true] {
            let mut bench = Bench::new(TimeSource::Log);
            let see = |bench: &mut Bench| {
                for (id, text) in [(1, seen), (2, other_page)] {
                    let event = Event {
                        content: vec![url(text)],
                        ..share(id, 1, NOON)
                    };
                    bench.read(NOON, Some(&encode_single_object(&event)));
                }
            };
            if is_before {
                see(&mut bench);
            }
            let content = key().content_id(&url(announced));
            bench.intake.announced(&FamilyAnnouncement {
                content,
                hash: url(announced),
                family: FamilyId(content),
                class: Class::All,
                at: Timestamp(NOON),
            });
            if !is_before {
                see(&mut bench);
            }
            let links = links(&bench.said());
            let ids = [announced, seen].map(|text| key().content_id(&url(text)));
            let [one] = &links[..] else {
                panic!("{announced} {seen} {is_before}: {links:?}")
            };
            let joined = (one.content, one.family.0, one.evidence);
            let expected = (ids[0].max(ids[1]), ids[0].min(ids[1]), Evidence::EqualHash);
            assert_eq!(joined, expected, "{announced} {seen} {is_before}");
        }
    }
}

#[test]
fn a_variant_that_another_intake_reads_joins_by_a_further_hash_and_not_after_the_withdrawal() {
    let [mut one, mut other, mut late] = [(); 3].map(|()| Bench::new(TimeSource::Log));
    let (key_of, announced) = announcement(1);
    for bench in [&mut one, &mut other] {
        bench.read_family(&key_of, announced.as_deref());
    }
    read(&mut one, 1, 1, picture(0));
    let told = families(&one.said());
    assert_eq!(told.len(), 1);
    let hash = family::decode_further_hash(told[0].1.as_ref().unwrap()).unwrap().hash;
    // Qualities say nothing in a look-up, and stand beside the hash.
    assert_eq!(hash, picture(0));

    read(&mut other, 2, 2, picture(20));
    assert_eq!(links(&other.said()), []);
    // It comes back to the one who said it, too.
    for bench in [&mut one, &mut other] {
        bench.read_family(&told[0].0, told[0].1.as_deref());
    }
    let found = links(&other.said());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].evidence, Evidence::PdqDistance(20));
    assert_eq!(one.said(), []);

    // Who starts later may read the further hash first.
    late.read_family(&told[0].0, told[0].1.as_deref());
    late.read_family(&key_of, announced.as_deref());
    late.intake.caught_up();
    assert_eq!(late.said(), []);
    read(&mut late, 3, 3, picture(5));
    assert_eq!(links(&late.said()).len(), 1);

    late.read_family(&key_of, None);
    assert_eq!(families(&late.said()), [(told[0].0.clone(), None)]);
    read(&mut late, 4, 4, picture(6));
    assert_eq!(links(&late.said()), []);
}

/// An instance that reads slowly takes out what another one told again meanwhile.
#[test]
fn a_further_hash_that_is_taken_out_late_is_told_again() {
    let [mut one, mut slow] = [(); 2].map(|()| Bench::new(TimeSource::Log));
    let (key_of, announced) = announcement(1);
    for bench in [&mut one, &mut slow] {
        bench.read_family(&key_of, announced.as_deref());
    }
    read(&mut one, 1, 1, picture(0));
    let told = families(&one.said());
    slow.read_family(&told[0].0, told[0].1.as_deref());
    one.read_family(&key_of, None);
    assert_eq!(families(&one.said()), [(told[0].0.clone(), None)]);
    one.read_family(&told[0].0, None);
    assert_eq!(one.said(), [], "nothing is announced");
    one.read_family(&key_of, announced.as_deref());
    read(&mut one, 2, 1, picture(0));
    assert_eq!(families(&one.said()), told, "it is announced again");

    slow.read_family(&key_of, None);
    let late = families(&slow.said());
    assert_eq!(late, [(told[0].0.clone(), None)]);
    one.read_family(&late[0].0, None);
    assert_eq!(families(&one.said()), told, "the topic must not end without it");
}

#[test]
fn a_further_hash_without_an_announcement_is_taken_out_of_the_topic_once_it_was_read() {
    let mut one = Bench::new(TimeSource::Log);
    let (key_of, announced) = announcement(1);
    one.read_family(&key_of, announced.as_deref());
    read(&mut one, 1, 1, picture(0));
    let told = families(&one.said());
    let mut late = Bench::new(TimeSource::Log);
    late.read_family(&told[0].0, told[0].1.as_deref());
    late.intake.caught_up();
    assert_eq!(families(&late.said()), [(told[0].0.clone(), None)]);
}

/// A picture of its own for each number, with so many bits flipped.
fn frame(number: u8, flips: usize) -> Frame {
    let mut pdq = std::array::from_fn(|place| (number ^ place as u8).wrapping_mul(number * 2 + 37) ^ 0x3c);
    (0..flips).for_each(|bit| pdq[bit / 8] ^= 1 << (bit % 8));
    Frame { pdq, quality: 80 }
}

#[test]
fn an_announced_video_joins_by_frames_once_two_parties_told_them_and_what_waits_is_counted() {
    let mut bench = Bench::new(TimeSource::Log);
    for number in [1, 2] {
        let (key_of, announced) = announcement(number);
        bench.read_family(&key_of, announced.as_deref());
    }
    let tell = |bench: &mut Bench, id: u128, party: &str, platform: &str, (number, flips): (u8, usize)| {
        let event = Event {
            platform: platform.parse().unwrap(),
            content: vec![file(number)],
            frames: (0..12).map(|number| frame(number, flips)).collect(),
            ..share(id, 0, NOON)
        };
        let topic = format!("tocsin.ingest.{party}");
        bench.read_from(&topic, NOON, Some(&encode_single_object(&event)), &[]);
        let said = bench.said();
        let further = families(&said).into_iter();
        let told_by: Vec<ToldBy> = further
            .map(|(_, value)| family::decode_further_hash(&value.unwrap()).unwrap())
            .map(|further| further.told_by)
            .collect();
        let counted = bench.intake.take_counted();
        (
            links(&said).len(),
            told_by,
            counted.frames_uncorroborated,
            counted.accepted,
        )
    };
    assert_eq!(
        tell(&mut bench, 1, "alpha", "alpha-video", (1, 0)),
        (0, vec![ToldBy::Alone(PartyId(1))], 0, 1)
    );
    // Both directions are looked in, what was announced and what was seen, and one event counts once.
    assert_eq!(
        tell(&mut bench, 2, "beta", "beta-social", (2, 25)),
        (0, vec![ToldBy::Alone(PartyId(2))], 1, 1)
    );
    let (links, told_by, ..) = tell(&mut bench, 3, "beta", "beta-social", (1, 0));
    assert_eq!((links > 0, told_by), (true, vec![ToldBy::Several]));
}

#[test]
fn a_copy_of_a_video_joins_by_its_frames_at_an_intake_that_never_saw_the_video() {
    let event = |id: u128, number: u8, flips: usize, frames: u8| Event {
        content: vec![file(number)],
        frames: (0..frames).map(|number| frame(number, flips)).collect(),
        ..share(id, 0, NOON)
    };
    let [mut one, mut other] = [(); 2].map(|()| Bench::new(TimeSource::Log));
    let (key_of, announced) = announcement(1);
    for bench in [&mut one, &mut other] {
        bench.read_family(&key_of, announced.as_deref());
    }
    one.read(NOON, Some(&encode_single_object(&event(1, 1, 0, 12))));
    let told = families(&one.said());
    assert_eq!(told.len(), 1);
    let further = family::decode_further_hash(told[0].1.as_ref().unwrap()).unwrap();
    assert_eq!(further.hash.algorithm(), Algorithm::Vpdq);
    assert_eq!(further.frames.len(), 12);
    other.read_family(&told[0].0, told[0].1.as_deref());
    other.read(NOON, Some(&encode_single_object(&event(2, 2, 30, 12))));
    let found = links(&other.said());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].evidence, Evidence::FrameShare(100));
    // Four frames are too few, and counted.
    other.read(NOON, Some(&encode_single_object(&event(3, 3, 30, 4))));
    assert_eq!(links(&other.said()), []);
    assert_eq!(other.intake.take_counted().unmatchable, 1);
    other.read_family(&key_of, None);
    assert_eq!(families(&other.said()), [(told[0].0.clone(), None)]);
    other.read(NOON, Some(&encode_single_object(&event(4, 4, 29, 12))));
    assert_eq!(links(&other.said()), []);
}
