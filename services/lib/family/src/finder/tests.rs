use super::*;
use tocsin_model::Algorithm;

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).expect("32 bytes are a SHA-256")
}

fn seen(id: u128, further: &[u128], sharing: Sharing) -> Vec<Link> {
    let mut finder = announced(5, Class::All);
    finder.seen(event(id, further, sharing))
}

/// A file's hash under this id.
fn name(id: u128) -> Name {
    Name::new(ContentId(id), hash(id as u8))
}

fn event(id: u128, further: &[u128], sharing: Sharing) -> Seen<'static> {
    Seen {
        own: name(id),
        further: further.iter().copied().map(name).collect(),
        same_as: &[],
        party: PartyId(1),
        sharing,
        at: Timestamp(0),
    }
}

fn announced(id: u128, class: Class) -> LinkFinder {
    let mut finder = LinkFinder::new(Limits::default());
    finder.announced(&announcement(id, class));
    finder
}

fn announcement(id: u128, class: Class) -> FamilyAnnouncement {
    let content = ContentId(id);
    FamilyAnnouncement {
        content,
        hash: hash(9),
        family: FamilyId(content),
        class,
        at: Timestamp(0),
    }
}

#[test]
fn what_follows_from_every_copy_is_said_once_in_a_while_and_remembered_once() {
    let mut finder = announced(5, Class::All);
    let same_as = [name(3)];
    let mut links = Vec::new();
    for minute in 0..25 {
        for _ in 0..100 {
            let event = Seen {
                same_as: &same_as,
                at: Timestamp(minute * 60_000),
                ..event(7, &[5], Sharing::All)
            };
            links.extend(finder.seen(event));
        }
    }
    let mut families: Vec<(i64, u128)> = links.iter().map(|link| (link.at.0 / 60_000, link.family.0.0)).collect();
    families.sort_unstable();
    assert_eq!(families, [(0, 3), (0, 5), (10, 3), (10, 5), (20, 3), (20, 5)]);
    assert_eq!(finder.recent.with_hash(ContentId(5)).count(), 1);
}

#[test]
fn a_flood_of_links_is_remembered_up_to_the_limit() {
    let limits = Limits {
        links_max: 10,
        contents_max: 10,
        ..Limits::default()
    };
    let mut finder = LinkFinder::new(limits);
    finder.announced(&announcement(5, Class::All));
    let count = |finder: &mut LinkFinder, contents: std::ops::Range<u128>| {
        let links = contents.flat_map(|id| finder.seen(event(id, &[5], Sharing::All)));
        links.count()
    };
    assert_eq!(count(&mut finder, 100..200), 100);
    assert_eq!(count(&mut finder, 191..200), 0, "the latest are known");
    assert_eq!(count(&mut finder, 100..101), 1, "the oldest were forgotten");
    assert_eq!(finder.recent.with_hash(ContentId(5)).count(), 10);
}

#[test]
fn same_as_links_the_higher_id_to_the_lower_in_either_direction() {
    for (content, other) in [(1, 2), (2, 1)] {
        let mut finder = LinkFinder::new(Limits::default());
        let same_as = [name(other)];
        let links = finder.seen(Seen {
            same_as: &same_as,
            ..event(content, &[], Sharing::All)
        });
        assert_eq!(links.len(), 1);
        assert_eq!(
            (links[0].content, links[0].family),
            (ContentId(2), FamilyId(ContentId(1)))
        );
        assert_eq!(
            links[0].hash,
            hash(2),
            "the content that joins is named by its own hash"
        );
    }
}

#[test]
fn same_as_leads_to_the_family_that_the_other_content_is_in() {
    for (own, expected) in [
        // The other content, 8, is in the family of 3.
        (9, vec![(9, 3)]),
        (5, vec![(5, 3)]),
        // The founder brings its members along.
        (2, vec![(3, 2)]),
        (3, vec![]),
    ] {
        let mut finder = announced(3, Class::All);
        finder.announced(&FamilyAnnouncement {
            family: FamilyId(ContentId(3)),
            ..announcement(8, Class::All)
        });
        let same_as = [name(8)];
        let links = finder.seen(Seen {
            same_as: &same_as,
            ..event(own, &[], Sharing::All)
        });
        let told: Vec<(u128, u128)> = links.iter().map(|link| (link.content.0, link.family.0.0)).collect();
        assert_eq!(told, expected, "{own}");
    }
}

#[test]
fn a_further_hash_that_is_announced_links() {
    let links = seen(8, &[5], Sharing::All);
    assert_eq!(links.len(), 1);
    assert_eq!(
        (links[0].content, links[0].family, links[0].class),
        (ContentId(8), FamilyId(ContentId(5)), Class::All)
    );
    assert!(seen(8, &[6], Sharing::All).is_empty());
    assert_eq!(
        seen(8, &[5], Sharing::Coordinators).len(),
        2,
        "coordinators and the party itself"
    );
}

#[test]
fn a_withdrawn_announcement_links_no_more() {
    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(event(5, &[55], Sharing::All));
    finder.announced(&announcement(5, Class::All));
    assert_eq!(finder.seen(event(8, &[55], Sharing::All)).len(), 1);
    finder.withdrawn(ContentId(5), Class::All);
    for (id, further) in [(9, 55), (10, 5)] {
        let links = finder.seen(event(id, &[further], Sharing::All));
        assert_eq!(links, [], "{further}");
    }
}

#[test]
fn contents_seen_before_the_announcement_link_by_the_hash_they_share() {
    let mut finder = LinkFinder::new(Limits::default());
    assert!(finder.seen(event(10, &[99], Sharing::All)).is_empty());
    assert!(finder.seen(event(20, &[99], Sharing::All)).is_empty());
    let links = finder.announced(&announcement(10, Class::All));
    assert_eq!(
        links.iter().map(|link| link.content).collect::<Vec<_>>(),
        [ContentId(20)]
    );
}

#[test]
fn a_link_never_tells_a_scope_of_what_it_does_not_see() {
    let mut finder = announced(5, Class::Party(PartyId(2)));
    assert!(
        finder.seen(event(8, &[5], Sharing::Party)).is_empty(),
        "another party's family"
    );
    let links = finder.seen(event(9, &[5], Sharing::All));
    assert_eq!(
        links[0].class,
        Class::Party(PartyId(2)),
        "a public event links for that party alone"
    );
}

#[test]
fn memory_is_bounded_by_count_and_by_age() {
    let limits = Limits {
        contents_max: 2,
        ..Limits::default()
    };
    let mut finder = LinkFinder::new(limits);
    for id in 10..14 {
        finder.seen(event(id, &[99], Sharing::All));
    }
    assert_eq!(finder.limits_reached(), 2);
    let links = finder.announced(&announcement(13, Class::All));
    assert_eq!(links.len(), 1, "10 and 11 are forgotten: {links:?}");
    let (joins, family) = (links[0].content, links[0].family);
    assert_eq!(
        (joins, family),
        (ContentId(13), FamilyId(ContentId(12))),
        "the lower id wins"
    );
}

/// A picture's hash, of `number`, with so many bits flipped.
fn picture(number: u64, flips: u8) -> Name {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = if number >> place & 1 == 1 { 0x0f } else { 0xf0 };
    }
    (0..flips).for_each(|bit| bytes[usize::from(bit / 4) % 32] ^= 1 << (bit % 4));
    let hash = ContentHash::from_bytes(Algorithm::Pdq, bytes.to_vec(), None).expect("32 bytes are a PDQ hash");
    Name::new(ContentId(u128::from(number) * 1_000_000 + u128::from(flips)), hash)
}

fn with<'a>(event: Seen<'a>, picture: &Name) -> Seen<'a> {
    let further = event.further.iter().chain([picture]).cloned().collect();
    Seen { further, ..event }
}

fn evidences(links: &[Link]) -> Vec<(u128, u128, Evidence)> {
    let evidence = |link: &Link| (link.content.0, link.family.0.0, link.evidence);
    links.iter().map(evidence).collect()
}

#[test]
fn a_near_picture_links_whether_it_was_seen_before_the_announcement_or_after_it() {
    let near = [(7, 0), (7, 31), (7, 32), (8, 0)].map(|(number, flips)| picture(number, flips));
    let [founder, variant, beyond, another] = &near;
    let events = [
        with(event(20, &[], Sharing::All), variant),
        with(event(21, &[], Sharing::All), beyond),
        with(event(22, &[], Sharing::All), another),
    ];
    let linked = [(20, 5, Evidence::PdqDistance(31))];

    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(with(event(5, &[], Sharing::All), founder));
    finder.announced(&announcement(5, Class::All));
    let links: Vec<Link> = events.iter().flat_map(|event| finder.seen(event.clone())).collect();
    assert_eq!(evidences(&links), linked, "seen after it");

    let mut finder = LinkFinder::new(Limits::default());
    let early: Vec<Link> = events.iter().flat_map(|event| finder.seen(event.clone())).collect();
    assert_eq!(early, []);
    finder.seen(with(event(5, &[], Sharing::All), founder));
    let links = finder.announced(&announcement(5, Class::All));
    assert_eq!(evidences(&links), linked, "seen before it");
}

#[test]
fn what_an_event_says_of_an_announced_content_later_stands_for_its_family_too() {
    let (founder, variant) = (picture(7, 0), picture(7, 9));
    let mut finder = announced(5, Class::All);
    assert_eq!(finder.seen(with(event(20, &[], Sharing::All), &variant)), []);
    let links = finder.seen(with(event(5, &[99], Sharing::All), &founder));
    assert_eq!(evidences(&links), [(20, 5, Evidence::PdqDistance(9))]);
    let links = finder.seen(event(21, &[99], Sharing::All));
    assert_eq!(evidences(&links), [(21, 5, Evidence::EqualHash)]);
    // Said again, it has its names still.
    finder.announced(&announcement(5, Class::All));
    let links = finder.seen(with(event(22, &[], Sharing::All), &variant));
    assert_eq!(evidences(&links), [(22, 5, Evidence::PdqDistance(9))]);
    finder.withdrawn(ContentId(5), Class::All);
    assert_eq!(finder.seen(with(event(23, &[], Sharing::All), &variant)), []);
}

#[test]
fn a_picture_joins_the_nearest_in_each_scope_that_sees_both() {
    let mut finder = LinkFinder::new(Limits::default());
    let private = Class::Party(PartyId(2));
    for (id, class, flips) in [(5, Class::All, 20), (6, Class::All, 12), (7, private, 1)] {
        let picture = picture(7, flips);
        finder.seen(with(event(id, &[], Sharing::All), &picture));
        finder.announced(&announcement(id, class));
    }
    let picture = picture(7, 0);
    let links = finder.seen(with(event(20, &[], Sharing::All), &picture));
    assert_eq!(
        evidences(&links),
        [(20, 6, Evidence::PdqDistance(12)), (20, 7, Evidence::PdqDistance(1))]
    );
    assert_eq!(links[1].class, private);
    let links = finder.seen(with(event(21, &[], Sharing::Party), &picture));
    assert_eq!(evidences(&links), [(21, 6, Evidence::PdqDistance(12))]);
    assert_eq!(
        links[0].class,
        Class::Party(PartyId(1)),
        "the event's party alone sees it"
    );
}

#[test]
fn a_picture_between_two_families_does_not_make_them_one() {
    // 40 bits from one another, and the one between them 20 from both.
    let (one, between, other) = (picture(7, 0), picture(7, 20), picture(7, 40));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
        let mut finder = LinkFinder::new(Limits::default());
        let mut links = Vec::new();
        for step in order {
            let (id, picture) = [(5, &one), (6, &between), (7, &other)][step];
            links.extend(finder.seen(with(event(id, &[], Sharing::All), picture)));
            if id != 6 {
                links.extend(finder.announced(&announcement(id, Class::All)));
            }
        }
        assert_eq!(links.len(), 1, "{order:?}: {links:?}");
    }
}

#[test]
fn a_content_that_is_called_something_new_in_each_event_has_so_many_names_and_no_more() {
    let mut finder = announced(5, Class::All);
    for name in 1_000..6_000 {
        assert_eq!(finder.seen(event(5, &[name], Sharing::All)), []);
    }
    assert_eq!(finder.announced.names(ContentId(5), Class::All).iter().count(), 64);
    for (name, links) in [(1_010, 1), (5_990, 0)] {
        let found = finder.seen(event(8, &[name], Sharing::All));
        assert_eq!(found.len(), links, "{name}");
    }
    // Said again, it is looked for under these names alone, and its own events are no links.
    let found = finder.announced(&announcement(5, Class::All));
    assert_eq!(found, []);
}

#[test]
fn what_one_instance_reads_of_an_announced_content_another_one_finds_copies_by() {
    let (founder, variant) = (picture(7, 0), picture(7, 9));
    for says_before in [true, false] {
        let [mut one, mut other] = [(); 2].map(|()| LinkFinder::new(Limits::default()));
        // The one reads the founder, the other one variants of it: before and after it is announced.
        assert_eq!(other.seen(with(event(20, &[], Sharing::All), &variant)), []);
        let says = |one: &mut LinkFinder| one.seen(with(event(5, &[99], Sharing::All), &founder));
        if says_before {
            says(&mut one);
            assert_eq!(one.take_further(), [], "nothing is announced");
        }
        for finder in [&mut one, &mut other] {
            finder.announced(&announcement(5, Class::All));
        }
        if !says_before {
            says(&mut one);
        }
        let further = one.take_further();
        let hashes: Vec<&ContentHash> = further.iter().map(|further| &further.hash).collect();
        assert_eq!(hashes, [&name(99).hash, &founder.hash]);
        let mut links = Vec::new();
        for further in &further {
            let known = [name(99), founder.clone()]
                .into_iter()
                .find(|name| name.hash == further.hash);
            let known = known.expect("one of the two");
            links.extend(other.further(further.content, further.class, &known, further.at));
            assert_eq!(one.further(further.content, further.class, &known, further.at), []);
        }
        assert_eq!(evidences(&links), [(20, 5, Evidence::PdqDistance(9))]);
        let links = other.seen(event(21, &[99], Sharing::All));
        assert_eq!(evidences(&links), [(21, 5, Evidence::EqualHash)]);
        // Nothing is said twice, and all of it goes with the announcement.
        says(&mut one);
        one.announced(&announcement(5, Class::All));
        assert_eq!((one.take_further(), other.take_further()), (vec![], vec![]));
        assert_eq!(other.withdrawn(ContentId(5), Class::All), [ContentId(99), founder.id]);
        assert_eq!(other.seen(event(22, &[99], Sharing::All)), []);
    }
}

#[test]
fn only_what_readers_of_an_announcement_see_is_said_of_it() {
    let mut finder = announced(5, Class::All);
    finder.announced(&announcement(5, Class::Party(PartyId(1))));
    finder.seen(event(5, &[99], Sharing::Party));
    let told: Vec<Class> = finder.take_further().iter().map(|further| further.class).collect();
    assert_eq!(told, [Class::Party(PartyId(1))]);
}

#[test]
fn a_chain_of_pictures_does_not_leave_its_centre() {
    let mut finder = LinkFinder::new(Limits::default());
    let mut family = FamilyId(ContentId(5));
    let mut joined = Vec::new();
    for (place, flips) in (0..=120).step_by(12).enumerate() {
        let id = 5 + place as u128;
        let links = finder.seen(with(event(id, &[], Sharing::All), &picture(7, flips)));
        joined.extend(links.iter().map(|link| (link.content.0, link.family.0.0)));
        family = links.first().map_or(FamilyId(ContentId(id)), |link| link.family);
        finder.announced(&FamilyAnnouncement {
            family,
            ..announcement(id, Class::All)
        });
    }
    // 0 to 48 bits from the first one belong to it; the next founds a family of its own.
    assert_eq!(
        joined,
        [(6, 5), (7, 5), (8, 5), (9, 5), (11, 10), (12, 10), (13, 10), (14, 10)]
    );
    assert_eq!(family, FamilyId(ContentId(15)));
}

#[test]
fn a_party_that_asserts_that_everything_is_the_same_is_believed_so_often_and_others_still_are() {
    let mut finder = LinkFinder::new(Limits::default());
    let same_as = [name(1)];
    let mut assert = |party, id: u128, at| {
        let event = Seen {
            same_as: &same_as,
            party: PartyId(party),
            at: Timestamp(at),
            ..event(id, &[], Sharing::All)
        };
        finder.seen(event).len()
    };
    let believed: usize = (2..10_000).map(|id| assert(1, id, 0)).sum();
    assert_eq!(believed, 4_096);
    assert_eq!(assert(2, 20_000, 0), 1, "another party");
    assert_eq!(assert(1, 20_001, 3_600_000), 1, "the next hour");
    assert_eq!(finder.limits_reached(), 9_998 - 4_096);
}

#[test]
fn a_party_that_names_hashes_of_two_families_together_makes_them_one_so_often_and_no_more() {
    for (sharing, classes) in [(Sharing::All, 1), (Sharing::Coordinators, 2)] {
        merges_of_one_party(sharing, classes);
    }
}

/// Of each merge there is a link for each class that the event is seen in.
fn merges_of_one_party(sharing: Sharing, classes: usize) {
    let mut finder = LinkFinder::new(Limits {
        party_links_max: 10,
        ..Limits::default()
    });
    for id in 0..100 {
        finder.announced(&announcement(1_000 + id, Class::All));
    }
    // Each event says that it is two of them.
    let merged = |links: &[Link]| {
        links
            .iter()
            .filter(|link| (1_000..1_100).contains(&link.content.0))
            .count()
    };
    let said: usize = (0..50)
        .map(|event_of| {
            let (one, other) = (1_000 + event_of * 2, 1_001 + event_of * 2);
            merged(&finder.seen(event(event_of, &[one, other], sharing)))
        })
        .sum();
    assert_eq!(said, 10);
    // What joins by a hash that it shares is no merge, and not held back.
    let links = finder.seen(event(9_000, &[1_000], sharing));
    assert_eq!(links.len(), classes);
}
