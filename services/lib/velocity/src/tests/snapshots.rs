//! States of versions before: they are read, and the one before is written for the way back.

use std::collections::BTreeMap;

use tocsin_model::{
    Class, ContentId, Evidence, EvidenceCount, EvidenceKind, FamilyId, Kind, Link, PartyId, PlatformId, Population,
    Scope, Timestamp, Weighing,
};

use super::harness::*;
use super::populations::content;
use crate::null::shipped;
use crate::{Group, HotKey, Input, Resolution, SNAPSHOT_VERSION, SnapshotLayout};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Two contents in different groups, that of the lower id first.
fn two() -> [u8; 2] {
    let mut contents = [1, 2];
    contents.sort_by_key(|content| id(*content));
    assert_ne!(id(1).group(), id(2).group());
    contents
}

/// A group with something of each kind: a member of a family elsewhere that is watched, spreads, is blocked, removed and live.
fn of_each_kind() -> Group {
    let [founder, member] = two();
    let mut deployment = Deployment::new(config());
    deployment.calibrate_platforms(1, 0, 9.5, vec![shipped(PlatformId(1))]);
    for copy in 0..40u64 {
        let at = copy as i64 * MINUTE;
        let kind = match copy % 8 {
            5 => Kind::BlockedUpload,
            6 => Kind::LiveHeartbeat,
            7 => Kind::Removal,
            _ => Kind::Upload,
        };
        deployment.see(Seen {
            kind,
            party: 1 + (copy % 2) as u16,
            audience: 50,
            ..seen(member, copy, at)
        });
        let mut link = |family, evidence| {
            let link = Link {
                content: id(member),
                hash: hash(member),
                family: FamilyId(family),
                evidence,
                party: Some(PartyId(2)),
                class: Class::All,
                at: Timestamp(START + at),
            };
            deployment.apply(link.content.group(), Input::Link(&link));
        };
        match copy {
            10 => link(id(founder), Evidence::PdqDistance(17)),
            // The founder joins the family of a content that nobody here has seen.
            15 => link(ContentId(id(founder).0 - 1), Evidence::FounderLinked),
            20 => deployment.watch_at(at, 1, member, 3),
            _ => {}
        }
        deployment.tick(at + 300);
    }
    deployment.groups.remove(&id(member).group()).unwrap()
}

fn cold_of(group: &Group) -> BTreeMap<Class, Vec<u8>> {
    let cold = group.cold();
    cold.map(|(class, cold)| (class, Group::encode_cold(cold))).collect()
}

/// The bytes of a group with contents of class `all` alone.
fn golden(text: &str) -> (Vec<u8>, BTreeMap<Class, Vec<u8>>) {
    let bytes: Vec<Vec<u8>> = text.lines().map(|line| hex::decode(line).unwrap()).collect();
    let [core, cold] = &bytes[..] else {
        panic!("a core and the cold counts of one class")
    };
    (core.clone(), [(Class::All, cold.clone())].into())
}

/// [`of_each_kind`], with what evidence is worth to a team.
fn of_each_kind_weighed() -> Group {
    let mut group = of_each_kind();
    let weighing = Weighing {
        number: 1,
        scope: Scope::Coordinators,
        at: Timestamp(START),
        counts: vec![EvidenceCount {
            kind: EvidenceKind::NearPicture,
            stood: 2,
            overturned: 30,
        }],
    };
    group.apply(Input::Weighing(&weighing), &mut Vec::new());
    group
}

/// [`of_each_kind_weighed`], with what version 10 keeps besides: a removal of a content that is not hot.
fn of_version_10() -> Group {
    let mut group = of_each_kind_weighed();
    let [_, member] = two();
    let cold = ContentId(id(member).0 ^ 1);
    assert_eq!(cold.group(), id(member).group());
    for (offset, kind) in [(1_000, Kind::Upload), (1_001, Kind::Removal)] {
        let event = Seen {
            kind,
            ..seen(member, offset, 41 * MINUTE)
        };
        group.apply(
            Input::Sighting(&sighting(cold, &[9; 32], event, offset)),
            &mut Vec::new(),
        );
    }
    group
}

#[test]
fn the_version_that_is_written_has_the_bytes_of_its_golden() {
    // What is new in the state is a new version: a golden that does not hold any more belongs to the version before, and stays. The program writes its
    // own with: cargo test -p tocsin-velocity the_version_that_is_written -- --nocapture
    let text = match SNAPSHOT_VERSION {
        10 => include_str!("snapshot_10.hex"),
        version => panic!("version {version} has no golden"),
    };
    let now = of_version_10();
    let (core, cold) = (now.encode_core(), cold_of(&now));
    let lines = [&core, &cold[&Class::All]].map(hex::encode);
    if lines.join("\n") != text.trim_end() {
        println!("{}", lines.join("\n"));
        panic!("the bytes of version {SNAPSHOT_VERSION} are others than they were");
    }
    let read = Group::decode(config(), &core, &cold).unwrap();
    assert!(read.encode_core() == core);
    assert!(cold_of(&read) == cold);
}

#[test]
fn a_state_of_version_9_is_read_and_written_for_the_way_back() {
    // Written by the program of commit 4a9f32c.
    let (core, cold) = golden(include_str!("snapshot_9.hex"));
    let now = of_each_kind_weighed();
    assert!(
        now.encode_core_in(SnapshotLayout::Before) == core,
        "what the program before made of the same events"
    );
    let group = Group::decode(config(), &core, &cold).unwrap();
    assert!(group.encode_core_in(SnapshotLayout::Before) == core);
    assert!(
        group.encode_core() == now.encode_core(),
        "nothing of it is other than what is kept now"
    );
    let again = Group::decode(config(), &now.encode_core(), &cold_of(&now)).unwrap();
    assert!(again.encode_core() == now.encode_core());
}

#[test]
fn removals_of_what_is_not_hot_are_kept_and_are_unknown_to_version_9() {
    let mut deployment = Deployment::new(config());
    deployment.see(seen(1, 1, 0));
    deployment.see(Seen {
        kind: Kind::Removal,
        ..seen(1, 1, 1_000)
    });
    let group = &deployment.groups[&id(1).group()];
    for (layout, is_kept) in [(SnapshotLayout::Current, true), (SnapshotLayout::Before, false)] {
        let core = group.encode_core_in(layout);
        let back = Group::decode(config(), &core, &cold_of(group)).unwrap();
        assert!(back.encode_core_in(layout) == core);
        assert_eq!(back.encode_core() == group.encode_core(), is_kept, "{layout:?}");
    }
}

#[test]
fn a_state_of_version_8_is_read() {
    // Written by the program of commit dbfa2fb.
    let (core, cold) = golden(include_str!("snapshot_8.hex"));
    let group = Group::decode(config(), &core, &cold).unwrap();
    assert!(group.encode_core() == of_each_kind().encode_core());
}

#[test]
fn a_state_of_version_7_is_read() {
    // Written by the program of commit 7b6b746.
    let (core, cold) = golden(include_str!("snapshot_7.hex"));
    let group = Group::decode(config(), &core, &cold).unwrap();
    assert!(group.encode_core() == of_each_kind().encode_core());
}

#[test]
fn weights_and_how_members_elsewhere_joined_are_kept() {
    let [founder, member] = two();
    let mut deployment = Deployment::new(config());
    for copy in 0..20u64 {
        deployment.see(seen(founder, copy, copy as i64 * 1_000));
        deployment.see(seen(member, copy, copy as i64 * 1_000));
    }
    let link = Link {
        content: id(member),
        hash: hash(member),
        family: FamilyId(id(founder)),
        evidence: Evidence::PdqDistance(17),
        party: None,
        class: Class::All,
        at: Timestamp(START),
    };
    deployment.apply(link.content.group(), Input::Link(&link));
    let weighing = Weighing {
        number: 1,
        scope: Scope::Coordinators,
        at: Timestamp(START),
        counts: vec![EvidenceCount {
            kind: EvidenceKind::NearPicture,
            stood: 0,
            overturned: 30,
        }],
    };
    deployment.weigh(&weighing);
    deployment.tick(HOUR / 2);
    let home = &deployment.groups[&id(founder).group()];
    let scope = Class::Coordinators;
    let priority = |group: &Group| group.priority_of(FamilyId(id(founder)), scope).unwrap();
    let [current, before] = [SnapshotLayout::Current, SnapshotLayout::Before].map(|layout| {
        let core = home.encode_core_in(layout);
        let back = Group::decode(config(), &core, &cold_of(home)).unwrap();
        assert!(back.encode_core_in(layout) == core);
        back
    });
    assert!(current.encode_core() == home.encode_core());
    assert_eq!(priority(&current), priority(home));
    assert_eq!(priority(&before), priority(home));
}

#[test]
fn a_state_of_version_6_is_read() {
    // Written by the program of commit 8c28761.
    let (core, cold) = golden(include_str!("snapshot_6.hex"));
    let group = Group::decode(config(), &core, &cold).unwrap();
    let key = HotKey {
        content: id(two()[1]),
        class: Class::All,
    };
    let record = group.hot(key).unwrap();
    let joined = record.joined().unwrap();
    assert_eq!(
        (joined.evidence, joined.party),
        (Evidence::PdqDistance(17), Some(PartyId(2)))
    );
    assert!(record.listing().unwrap().at < group.now());
}

#[test]
fn frames_in_common_are_kept() {
    let content = two()[1];
    let mut group = Group::new(id(content).group(), config());
    let link = Link {
        content: id(content),
        hash: hash(content),
        family: FamilyId(ContentId(0)),
        evidence: Evidence::FrameShare(71),
        party: Some(PartyId(2)),
        class: Class::All,
        at: Timestamp(START),
    };
    group.apply(Input::Link(&link), &mut Vec::new());
    let key = HotKey {
        content: id(content),
        class: Class::All,
    };
    for layout in [SnapshotLayout::Current, SnapshotLayout::Before] {
        let core = group.encode_core_in(layout);
        let back = Group::decode(config(), &core, &cold_of(&group)).unwrap();
        assert_eq!(back.hot(key).unwrap().joined().unwrap().evidence, link.evidence);
        assert!(back.encode_core_in(layout) == core);
    }
}

#[test]
fn a_state_of_version_5_is_read() {
    let (core, cold) = golden(include_str!("snapshot_5.hex"));
    let group = Group::decode(config(), &core, &cold).unwrap();
    let key = HotKey {
        content: id(two()[1]),
        class: Class::All,
    };
    let record = group.hot(key).unwrap();
    assert_eq!(record.joined(), None);
    let listing = record.listing().unwrap();
    assert_eq!(
        (listing.at, listing.since.len()),
        (group.now(), 0),
        "watched since it is known when"
    );
    let again = Group::decode(config(), &group.encode_core(), &cold_of(&group)).unwrap();
    assert!(again.encode_core() == group.encode_core());
}

#[test]
fn a_state_of_version_4_is_read_and_begins_to_count() {
    let (core, cold) = golden(include_str!("snapshot_4.hex"));
    let mut group = Group::decode(config(), &core, &cold).unwrap();
    let key = HotKey {
        content: id(1),
        class: Class::All,
    };
    let spread = group
        .hot(key)
        .unwrap()
        .spread(Resolution::Minute1, Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(spread.high, 12);
    let in_force = group.calibrations.in_force(group.now()).unwrap();
    assert_eq!((in_force.number, in_force.platforms.len()), (3, 0));
    let mut out = Vec::new();
    for hour in 1..4 {
        let value = [9; 32];
        let event = seen(9, hour, hour as i64 * HOUR);
        let sighting = sighting(content(hour), &value, event, 1_000 + hour);
        group.apply(Input::Sighting(&sighting), &mut out);
    }
    let told = group.take_populations().unwrap();
    // The hour in which it began was not watched as a whole, and the last is open.
    assert_eq!(told.platforms[0].spread.iter().sum::<u64>(), Population::ONE);
    let again = Group::decode(config(), &group.encode_core(), &cold_of(&group)).unwrap();
    assert!(again.encode_core() == group.encode_core());
}
