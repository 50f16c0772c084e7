//! Goal: a look-up finds what a plain list of what was announced and not withdrawn finds, inside the scope alone, in whatever order records
//! come.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tocsin_model::{DeploymentKey, FamilyId, PartyId};

use super::*;

const SCOPES: [Scope; 3] = [Scope::All, Scope::Coordinators, Scope::Party(PartyId(1))];
const CLASSES: [Class; 3] = [Class::All, Class::Coordinators, Class::Party(PartyId(1))];

fn id(hash: &ContentHash) -> ContentId {
    DeploymentKey::from_bytes([7; 32]).content_id(hash)
}

/// Files below 8, pictures from 8 on: four of each of which the hashes are near one another.
fn hash(number: u8) -> ContentHash {
    if number < 8 {
        return ContentHash::from_bytes(Algorithm::Sha256, vec![number; 32], None).unwrap();
    }
    let mut bytes = [if number < 12 { 0x5a } else { 0x3c }; 32];
    for bit in 0..number % 4 * 5 {
        bytes[usize::from(bit)] ^= 1;
    }
    ContentHash::from_bytes(Algorithm::Pdq, bytes.to_vec(), Some(100)).unwrap()
}

fn announcement(content: u8, class: Class, at: i64) -> FamilyAnnouncement {
    let hash = hash(content);
    FamilyAnnouncement {
        content: id(&hash),
        family: FamilyId(id(&hash)),
        hash,
        class,
        at: Timestamp(at),
    }
}

fn further(content: u8, class: Class, other: u8) -> (FurtherHash, ContentId) {
    let further = FurtherHash {
        content: id(&hash(content)),
        hash: hash(other),
        frames: Vec::new(),
        told_by: tocsin_model::ToldBy::Unknown,
        class,
        at: Timestamp(0),
    };
    let id = id(&further.hash);
    (further, id)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Announce { content: u8, class: usize },
    Add { content: u8, class: usize, other: u8 },
    Withdraw { content: u8, class: usize },
    Remove { content: u8, class: usize, other: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (content, class) = (|| 0_u8..16, || 0_usize..3);
    let step = prop_oneof![
        3 => (content(), class()).prop_map(|(content, class)| Step::Announce { content, class }),
        4 => (content(), class(), content()).prop_map(|(content, class, other)| Step::Add { content, class, other }),
        1 => (content(), class()).prop_map(|(content, class)| Step::Withdraw { content, class }),
        1 => (content(), class(), content()).prop_map(|(content, class, other)| Step::Remove { content, class, other }),
    ];
    proptest::collection::vec(step, 0..80)
}

/// What is held of one content in one class: whether it is announced, and its further hashes.
type Plain = BTreeMap<(u8, usize), (bool, BTreeSet<u8>)>;

fn plain(steps: &[Step]) -> Plain {
    let mut plain = Plain::new();
    for step in steps {
        match *step {
            Step::Announce { content, class } => plain.entry((content, class)).or_default().0 = true,
            Step::Add { content, class, other } if content != other => {
                plain.entry((content, class)).or_default().1.insert(other);
            }
            Step::Add { .. } => {}
            Step::Withdraw { content, class } => drop(plain.remove(&(content, class))),
            Step::Remove { content, class, other } => {
                if let Some(held) = plain.get_mut(&(content, class)) {
                    held.1.remove(&other);
                }
            }
        }
    }
    plain
}

fn table(steps: &[Step]) -> AnnouncedTable {
    let table = AnnouncedTable::new(10_000);
    for step in steps {
        match *step {
            Step::Announce { content, class } => table.announce(announcement(content, CLASSES[class], 5)).unwrap(),
            Step::Add { content, class, other } => {
                let (further, id) = further(content, CLASSES[class], other);
                table.add(&further, id).unwrap();
            }
            Step::Withdraw { content, class } => table.withdraw(id(&hash(content)), CLASSES[class]),
            Step::Remove { content, class, other } => {
                table.remove(id(&hash(content)), CLASSES[class], id(&hash(other)))
            }
        }
    }
    table
}

/// The names of what is announced inside a scope: the content, its hash, whether that is the strongest.
fn names(plain: &Plain, scope: Scope) -> Vec<(u8, u8, MatchedHash)> {
    let inside = plain
        .iter()
        .filter(|((_, class), (announced, _))| *announced && scope.contains(CLASSES[*class]));
    let names = inside.flat_map(|((content, _), (_, others))| {
        let further = others.iter().map(|other| (*content, *other, MatchedHash::Further));
        std::iter::once((*content, *content, MatchedHash::Strongest)).chain(further)
    });
    names.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_look_up_finds_what_a_plain_list_finds(steps in steps(), sought in 0_u8..16, most in 1_usize..20) {
        let (table, plain) = (table(&steps), plain(&steps));
        let query = hash(sought);
        for scope in SCOPES {
            let names = names(&plain, scope);
            let mut equal: Vec<ContentId> = names.iter().filter(|name| name.1 == sought).map(|name| id(&hash(name.0))).collect();
            equal.sort_unstable();
            equal.dedup();
            equal.truncate(most);
            let found = table.equal(id(&query), scope, most);
            prop_assert_eq!(found.iter().map(|found| found.content).collect::<Vec<_>>(), equal);
            for algorithm in [Algorithm::Sha256, Algorithm::Pdq] {
                let size = table.size(algorithm, scope);
                let of_algorithm = |name: &&(u8, u8, MatchedHash)| hash(name.1).algorithm() == algorithm;
                prop_assert_eq!(size.hashes, names.iter().filter(of_algorithm).count() as u64);
            }
            let Ok(pdq) = Pdq::of(&query) else { continue };
            let mut near: BTreeMap<ContentId, u32> = BTreeMap::new();
            for (content, other, _) in &names {
                let distance = Pdq::of(&hash(*other)).map_or(256, |other| other.distance(&pdq));
                if distance <= Pdq::DISTANCE_MAX {
                    let known = near.entry(id(&hash(*content))).or_insert(distance);
                    *known = distance.min(*known);
                }
            }
            let mut near: Vec<_> = near.into_iter().map(|(content, distance)| (Some(distance), content)).collect();
            near.sort_unstable();
            near.truncate(most);
            let found = table.near(&pdq, scope, most);
            prop_assert_eq!(found.iter().map(|found| (found.distance, found.content)).collect::<Vec<_>>(), near);
        }
        let held: usize = plain.values().map(|(announced, others)| usize::from(*announced) + others.len()).sum();
        prop_assert_eq!(table.hashes(), held);
        prop_assert_eq!(table.count(), plain.values().filter(|(announced, _)| *announced).count());
    }
}

#[test]
fn a_further_hash_that_came_first_is_found_once_its_content_is_announced() {
    let table = AnnouncedTable::new(10);
    let (known, id_of_picture) = further(1, Class::All, 9);
    table.add(&known, id_of_picture).unwrap();
    let pdq = Pdq::of(&hash(9)).unwrap();
    assert_eq!(table.near(&pdq, Scope::All, 8), []);
    assert_eq!(table.equal(id_of_picture, Scope::All, 8), []);
    table.announce(announcement(1, Class::All, 5)).unwrap();
    let expected = Announced {
        content: id(&hash(1)),
        hash: hash(1),
        distance: Some(0),
        shares: None,
        by: MatchedHash::Further,
    };
    assert_eq!(table.near(&pdq, Scope::All, 8), [expected]);
    assert_eq!(table.equal(id_of_picture, Scope::All, 8).len(), 1);
    let (_, by_strongest) = further(2, Class::All, 1);
    assert_eq!(table.equal(by_strongest, Scope::All, 8)[0].by, MatchedHash::Strongest);
}

#[test]
fn in_a_full_table_what_was_announced_longest_ago_gives_way() {
    let table = AnnouncedTable::new(3);
    table.announce(announcement(1, Class::All, 5)).unwrap();
    table.announce(announcement(2, Class::All, 6)).unwrap();
    let (other, id_of_other) = further(1, Class::All, 4);
    table.add(&other, id_of_other).unwrap();
    let (surplus, id_of_surplus) = further(1, Class::All, 5);
    assert_eq!(table.add(&surplus, id_of_surplus), Err(TableFull), "left out");
    assert_eq!(table.add(&other, id_of_other), Ok(()), "known already");
    // Said again it is young, and the other one goes.
    assert_eq!(table.announce(announcement(1, Class::All, 9)), Ok(()), "said again");
    assert_eq!(table.size(Algorithm::Sha256, Scope::All).newest, Some(Timestamp(9)));
    assert_eq!(
        table.announce(announcement(3, Class::All, 10)),
        Err(TableFull),
        "held all the same"
    );
    let is_held = |content| !table.equal(id(&hash(content)), Scope::All, 8).is_empty();
    assert_eq!([1, 2, 3].map(is_held), [true, false, true]);
    assert_eq!((table.hashes(), table.count()), (3, 2));
    // The one with two hashes goes as a whole.
    assert_eq!(table.announce(announcement(6, Class::All, 11)), Err(TableFull));
    assert_eq!([1, 3, 6].map(is_held), [false, true, true]);
    assert!(table.equal(id_of_other, Scope::All, 8).is_empty());
    assert_eq!((table.hashes(), table.count()), (2, 2));
    for content in [3, 6] {
        table.withdraw(id(&hash(content)), Class::All);
    }
    assert_eq!((table.hashes(), table.count()), (0, 0));
}

#[test]
fn one_content_takes_no_more_places_than_its_own() {
    let table = AnnouncedTable::new(10_000);
    let content = id(&hash(1));
    for number in 0..AnnouncedTable::FURTHER_MAX as u8 + 1 {
        let hash = ContentHash::from_bytes(Algorithm::Md5, vec![number; 16], None).unwrap();
        let id = id(&hash);
        let class = Class::All;
        let at = Timestamp(0);
        let taken = table.add(
            &FurtherHash {
                content,
                hash,
                frames: Vec::new(),
                told_by: tocsin_model::ToldBy::Unknown,
                class,
                at,
            },
            id,
        );
        assert_eq!(
            taken.is_ok(),
            usize::from(number) < AnnouncedTable::FURTHER_MAX,
            "{number}"
        );
    }
}

#[test]
fn frames_have_room_of_their_own_and_the_content_with_the_most_gives_way() {
    let pdq =
        |number: u8| std::array::from_fn(|place| number.wrapping_mul(37).wrapping_add((place * place) as u8 ^ number));
    let frames: Vec<[u8; 32]> = (1..=10).map(pdq).collect();
    let video = Video::of(frames.iter().map(|frame| Pdq::from_bytes(*frame))).unwrap();
    let count = video.frames().len();
    let table = AnnouncedTable::new(4 * 2 * count);
    let with_frames = |content: u8| {
        let (known, id) = further(content, Class::All, 20);
        let frames = frames.clone();
        (FurtherHash { frames, ..known }, id)
    };
    let (of_one, id_of_one) = with_frames(1);
    table.announce(announcement(1, Class::All, 0)).unwrap();
    table
        .add(
            &FurtherHash {
                frames: Vec::new(),
                ..of_one.clone()
            },
            id_of_one,
        )
        .unwrap();
    assert!(table.same_video(&video, Scope::All, 9).is_empty());
    table.add(&of_one, id_of_one).unwrap();
    table.add(&of_one, id_of_one).unwrap();
    assert_eq!(table.hashes(), 2, "frames are none");
    assert_eq!(table.same_video(&video, Scope::All, 9).len(), 1);
    // There is room for two videos. Of a content that would have the most a further one is not held, and another's takes the place of the last of
    // those that have more.
    table.announce(announcement(3, Class::All, 0)).unwrap();
    let of = |content: u8, digest: u8| {
        let (known, id) = further(content, Class::All, digest);
        let frames = frames.clone();
        (FurtherHash { frames, ..known }, id)
    };
    let held = || -> Vec<ContentId> {
        let found = table.same_video(&video, Scope::All, 9);
        found.iter().map(|found| found.content).collect()
    };
    let (second, id_of_second) = of(1, 21);
    table.add(&second, id_of_second).unwrap();
    assert_eq!(held(), [id(&hash(1))]);
    let (third, id_of_third) = of(1, 22);
    assert_eq!(table.add(&third, id_of_third), Err(TableFull));
    assert_eq!(table.hashes(), 5, "its digest is held");
    let (of_third, id_of_its) = of(3, 23);
    assert_eq!(
        table.add(&of_third, id_of_its),
        Err(TableFull),
        "the last of another is not held"
    );
    let mut both = [id(&hash(1)), id(&hash(3))];
    both.sort_unstable();
    assert_eq!(held(), both);
    table.remove(id(&hash(1)), Class::All, id_of_one);
    assert_eq!(held(), [id(&hash(3))], "the second gave way");
    table.add(&of_one, id_of_one).unwrap();
    for content in [1, 3] {
        table.withdraw(id(&hash(content)), Class::All);
    }
    assert_eq!((table.hashes(), held().len()), (0, 0));
    let (of_other, id_of_other) = with_frames(2);
    // What came before its announcement is found once that came.
    table.add(&of_other, id_of_other).unwrap();
    assert!(table.same_video(&video, Scope::All, 9).is_empty());
    table.announce(announcement(2, Class::All, 0)).unwrap();
    let found = table.same_video(&video, Scope::All, 9);
    assert_eq!((found.len(), found[0].by), (1, MatchedHash::Further));
}

/// A picture of its own for each number.
fn frame(number: u64) -> [u8; 32] {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
}

#[test]
fn nothing_gives_way_where_that_makes_too_little_room_for_frames() {
    let table = AnnouncedTable::new(400);
    let frames = |numbers: std::ops::Range<u64>| -> Vec<[u8; 32]> { numbers.map(frame).collect() };
    let add = |content: u8, digest: u8, frames: Vec<[u8; 32]>| {
        let (known, id) = further(content, Class::All, digest);
        table.add(&FurtherHash { frames, ..known }, id)
    };
    let held = |content: u8| {
        let tables = table.read();
        let held = tables.contents.get(&(id(&hash(content)), Class::All));
        held.map_or(0, |held| held.videos.len())
    };
    for content in [1, 2, 3, 4] {
        table.announce(announcement(content, Class::All, 0)).unwrap();
    }
    // Of a hundred frames the first has 55 and 5, and the second 35.
    add(1, 20, frames(0..55)).unwrap();
    add(1, 21, frames(100..105)).unwrap();
    add(2, 22, frames(200..235)).unwrap();
    // Sixty want 55: the first would lose its last five, and be smaller than the one that comes.
    assert_eq!(add(3, 23, frames(300..360)), Err(TableFull));
    assert_eq!([1, 2, 3].map(held), [2, 1, 0]);
    // Ten want five, which are lost.
    assert_eq!(add(4, 24, frames(400..410)), Err(TableFull));
    assert_eq!([1, 2, 4].map(held), [1, 1, 1]);
}

#[test]
fn a_content_of_many_videos_takes_no_places_of_others_in_a_look_up() {
    let clip: Vec<[u8; 32]> = (0..20).map(frame).collect();
    let table = AnnouncedTable::new(100_000);
    let add = |content: ContentId, digest: u8, frames: Vec<[u8; 32]>| {
        let hash = ContentHash::from_bytes(Algorithm::Vpdq, vec![digest; 32], None).unwrap();
        let id = id(&hash);
        let (known, _) = further(1, Class::All, 20);
        let further = FurtherHash {
            content,
            hash,
            frames,
            ..known
        };
        table.add(&further, id).unwrap();
    };
    for content in [1, 2] {
        table.announce(announcement(content, Class::All, 0)).unwrap();
    }
    // The one with the lower id is found first among equals: each of its videos has all of the clip, which is too little of it.
    let mut contents = [id(&hash(1)), id(&hash(2))];
    contents.sort_unstable();
    let flipped = |frame: &[u8; 32]| {
        let [first, second, rest @ ..] = frame;
        let mut out = [0; 32];
        (out[0], out[1]) = (!first, !second);
        out[2..].copy_from_slice(rest);
        out
    };
    for digest in 0..30 {
        let own = (1..=21).map(|number| frame(1_000 * (u64::from(digest) + 1) + number));
        add(contents[0], digest, clip.iter().map(flipped).chain(own).collect());
    }
    add(contents[1], 200, clip.clone());
    add(contents[0], 201, clip.clone());
    let video = Video::of(clip.iter().map(|frame| Pdq::from_bytes(*frame))).unwrap();
    let found = table.same_video(&video, Scope::All, 9);
    let found: Vec<ContentId> = found.iter().map(|found| found.content).collect();
    assert_eq!(found, [contents[1]], "of the one the first four are compared with");
}
