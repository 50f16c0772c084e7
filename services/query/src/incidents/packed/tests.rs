//! Goal: a hash is told of as the packs say that list it, and what one incident lists takes no room from another.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use tocsin_casework::Team;
use tocsin_incident::{By, Declaration, Event, Marking, Origin, ProtocolVersion, Tlp};
use tocsin_model::{Algorithm, FamilyId, KeyId, Timestamp};

use super::*;

/// An incident with packs of so many hashes, and those that were withdrawn.
fn incident(id: u128, packs: &[u32], withdrawn: &[u32]) -> Incident {
    let by = By {
        who: KeyId(1),
        team: Team::Coordinators,
        groups: BTreeSet::new(),
        version: None,
    };
    let declaration = Declaration {
        title: "An attack".to_owned(),
        origin: Origin::Hand,
        protocol: ProtocolVersion {
            name: "crisis".to_owned(),
            version: 1,
        },
        marking: Marking::of(Tlp::Amber),
    };
    let at = Timestamp(0);
    let mut incident = Incident::declare(IncidentId(id), &by, &declaration, at).unwrap().0;
    for (number, hashes) in (1..).zip(packs) {
        let hashes = *hashes;
        incident.take(&Event::PackMade { number, hashes }, Some((by.who, by.team)), at);
    }
    for number in withdrawn {
        let reason = String::new();
        let number = *number;
        incident.take(&Event::PackWithdrawn { number, reason }, Some((by.who, by.team)), at);
    }
    incident
}

fn file(number: u32, for_all: bool) -> (ContentId, PackedHash) {
    let mut value = vec![0; 32];
    value[..4].copy_from_slice(&number.to_le_bytes());
    packed(u128::from(number), (Algorithm::Sha256, value), for_all)
}

/// A picture with so many of its bits flipped.
fn picture(number: u128, flipped: usize, for_all: bool) -> (ContentId, PackedHash) {
    let mut value = vec![0x5a; 32];
    for bit in 0..flipped {
        value[bit / 8] ^= 1 << (bit % 8);
    }
    packed(number, (Algorithm::Pdq, value), for_all)
}

fn packed(content: u128, (algorithm, value): (Algorithm, Vec<u8>), for_all: bool) -> (ContentId, PackedHash) {
    let hash = ContentHash::from_bytes(algorithm, value, None).unwrap();
    let family = FamilyId(ContentId(content));
    let packed = PackedHash { hash, family, for_all };
    (ContentId(content), packed)
}

#[test]
fn the_latest_packs_that_hold_are_read() {
    let most = INCIDENT_ENTRIES_MAX;
    for (packs, withdrawn, expected, left_out) in [
        (vec![], vec![], vec![], 0),
        (vec![5, 7], vec![], vec![2, 1], 0),
        (vec![5, 7, 9], vec![2], vec![3, 1], 0),
        (vec![5, most - 1, 1], vec![], vec![3, 2], 5),
        (vec![1, most, 1], vec![], vec![3], most as usize + 1),
        (vec![3, most + 1], vec![], vec![2], 3),
    ] {
        let table = PackedTable::of(&[incident(7, &packs, &withdrawn)]);
        let expected: Vec<_> = expected.into_iter().map(|number| (IncidentId(7), number)).collect();
        assert_eq!(
            (table.wanted(), table.left_out()),
            (expected, left_out),
            "{packs:?} {withdrawn:?}"
        );
    }
}

#[test]
fn a_table_is_made_anew_when_an_incident_or_a_pack_comes_or_goes() {
    let before = [incident(1, &[3], &[]), incident(2, &[4, 5], &[])];
    let table = PackedTable::of(&before);
    assert!(table.is_of(&before));
    assert!(!table.is_of(&before[..1]) && !table.is_of(&[]));
    assert!(
        !table.is_of(&[before[1].clone(), before[0].clone()]),
        "places are theirs"
    );
    for after in [incident(2, &[4, 5, 6], &[]), incident(2, &[4, 5], &[1])] {
        assert!(!table.is_of(&[before[0].clone(), after]));
    }
}

#[test]
fn a_full_incident_leaves_another_its_room() {
    let full = INCIDENT_HASHES_MAX as u32;
    let mut table = PackedTable::of(&[incident(1, &[full], &[]), incident(2, &[10], &[])]);
    table.add(IncidentId(1), (0..full + 5).map(|number| file(number, true)));
    assert_eq!((table.len(), table.left_out()), (full as usize, 5));
    table.add(IncidentId(2), (full..full + 10).map(|number| file(number, true)));
    assert_eq!(table.len(), full as usize + 10);
    let of = |number: u32| table.incidents_of(ContentId(u128::from(number)), false);
    assert_eq!((of(0), of(full), of(full + 9), of(full + 10)), (1, 2, 2, 0));
}

#[test]
fn what_coordinators_alone_are_told_takes_no_room_from_the_others() {
    let (for_all, for_coordinators) = (INCIDENT_HASHES_MAX as u32, INCIDENT_COORDINATORS_HASHES_MAX as u32);
    let mut table = PackedTable::of(&[incident(1, &[1, for_coordinators + 5], &[])]);
    let theirs = |number| for_all + number;
    table.add(
        IncidentId(1),
        (0..for_coordinators + 5).map(|number| file(theirs(number), false)),
    );
    assert_eq!((table.len(), table.left_out()), (for_coordinators as usize, 5));
    table.add(IncidentId(1), (0..for_all).map(|number| file(number, true)));
    assert_eq!(
        (table.len(), table.left_out()),
        ((for_all + for_coordinators) as usize, 5)
    );
    // What is the coordinators' and everyone's counts as either.
    table.add(IncidentId(1), [file(theirs(0), true)]);
    let of = |number: u32, all| table.incidents_of(ContentId(u128::from(number)), all);
    assert_eq!((table.left_out(), of(theirs(0), false), of(theirs(0), true)), (6, 0, 1));
    assert_eq!((of(0, false), of(for_all - 1, false)), (1, 1));
}

/// What a reader is told by a plain list of all that was added.
fn plainly(added: &[(usize, ContentId, usize, bool)], sought: usize, read: u64, all: bool) -> Vec<(u32, ContentId)> {
    let visible = added
        .iter()
        .filter(|(place, _, _, for_all)| read & BITS[*place] != 0 && (all || *for_all));
    let near = visible.map(|(_, content, flipped, _)| (flipped.abs_diff(sought) as u32, *content));
    let found: BTreeSet<(u32, ContentId)> = near.filter(|(distance, _)| *distance <= Pdq::DISTANCE_MAX).collect();
    found.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever packs list, a reader finds what a list of those alone finds that the reader may see.
    #[test]
    fn a_reader_finds_what_its_incidents_list(
        added in proptest::collection::vec((0_usize..4, 0_usize..90, any::<bool>()), 0..60),
        sought in 0_usize..90,
        read in 0_u64..16,
        all in any::<bool>(),
        most in 1_usize..9,
    ) {
        let incidents: Vec<Incident> = (0..4).map(|id| incident(id, &[1], &[])).collect();
        let mut table = PackedTable::of(&incidents);
        let mut plain = Vec::new();
        for (place, flipped, for_all) in added {
            let (content, hash) = picture(flipped as u128, flipped, for_all);
            table.add(IncidentId(place as u128), [(content, hash)]);
            plain.push((place, content, flipped, for_all));
        }
        let (_, PackedHash { hash, .. }) = picture(0, sought, true);
        let found = table.near(&Pdq::of(&hash).unwrap(), (read, all), most);
        let found: Vec<_> = found.into_iter().map(|found| (found.distance.unwrap(), found.content)).collect();
        let mut expected = plainly(&plain, sought, read, all);
        expected.truncate(most);
        prop_assert_eq!(found, expected);
        let equal = table.equal(ContentId(sought as u128), read, all).is_some();
        let is_listed = plainly(&plain, sought, read, all).contains(&(0, ContentId(sought as u128)));
        prop_assert_eq!(equal, is_listed);
    }
}
