use super::*;
use tocsin_model::Algorithm;

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).expect("32 bytes are a SHA-256")
}

fn seen(id: u128, hash: &ContentHash, further: &[ContentId], sharing: Sharing) -> Vec<Link> {
    let mut finder = announced(5, Class::All);
    finder.seen(event(id, hash, further, sharing))
}

fn event<'a>(id: u128, hash: &'a ContentHash, further: &'a [ContentId], sharing: Sharing) -> Seen<'a> {
    let (content, party, at) = (ContentId(id), PartyId(1), Timestamp(0));
    Seen {
        content,
        hash,
        further,
        pdqs: &[],
        same_as: &[],
        party,
        sharing,
        at,
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
    let (own, other) = (hash(1), hash(2));
    let mut finder = announced(5, Class::All);
    let same_as = [(ContentId(3), other)];
    let mut links = Vec::new();
    for minute in 0..25 {
        for _ in 0..100 {
            let event = Seen {
                same_as: &same_as,
                at: Timestamp(minute * 60_000),
                ..event(7, &own, &[ContentId(5)], Sharing::All)
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
    let own = hash(1);
    let limits = Limits {
        links_max: 10,
        contents_max: 10,
        ..Limits::default()
    };
    let mut finder = LinkFinder::new(limits);
    finder.announced(&announcement(5, Class::All));
    let count = |finder: &mut LinkFinder, contents: std::ops::Range<u128>| {
        let links = contents.flat_map(|id| finder.seen(event(id, &own, &[ContentId(5)], Sharing::All)));
        links.count()
    };
    assert_eq!(count(&mut finder, 100..200), 100);
    assert_eq!(count(&mut finder, 191..200), 0, "the latest are known");
    assert_eq!(count(&mut finder, 100..101), 1, "the oldest were forgotten");
    assert_eq!(finder.recent.with_hash(ContentId(5)).count(), 10);
}

#[test]
fn same_as_links_the_higher_id_to_the_lower_in_either_direction() {
    let (a, b) = (hash(1), hash(2));
    for (content, own, other, other_hash) in [(1, &a, 2, &b), (2, &b, 1, &a)] {
        let mut finder = LinkFinder::new(Limits::default());
        let same_as = [(ContentId(other), other_hash.clone())];
        let links = finder.seen(Seen {
            same_as: &same_as,
            ..event(content, own, &[], Sharing::All)
        });
        assert_eq!(links.len(), 1);
        assert_eq!(
            (links[0].content, links[0].family),
            (ContentId(2), FamilyId(ContentId(1)))
        );
        assert_eq!(links[0].hash, b, "the content that joins is named by its own hash");
    }
}

#[test]
fn a_further_hash_that_is_announced_links() {
    let own = hash(7);
    let links = seen(8, &own, &[ContentId(5)], Sharing::All);
    assert_eq!(links.len(), 1);
    assert_eq!(
        (links[0].content, links[0].family, links[0].class),
        (ContentId(8), FamilyId(ContentId(5)), Class::All)
    );
    assert!(seen(8, &own, &[ContentId(6)], Sharing::All).is_empty());
    assert_eq!(
        seen(8, &own, &[ContentId(5)], Sharing::Coordinators).len(),
        2,
        "coordinators and the party itself"
    );
}

#[test]
fn a_withdrawn_announcement_links_no_more() {
    let own = hash(7);
    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(event(5, &hash(9), &[ContentId(55)], Sharing::All));
    finder.announced(&announcement(5, Class::All));
    assert_eq!(finder.seen(event(8, &own, &[ContentId(55)], Sharing::All)).len(), 1);
    finder.withdrawn(ContentId(5), Class::All);
    for (id, further) in [(9, 55), (10, 5)] {
        let links = finder.seen(event(id, &own, &[ContentId(further)], Sharing::All));
        assert_eq!(links, [], "{further}");
    }
}

#[test]
fn contents_seen_before_the_announcement_link_by_the_hash_they_share() {
    let mut finder = LinkFinder::new(Limits::default());
    let (a, b) = (hash(1), hash(2));
    assert!(finder.seen(event(10, &a, &[ContentId(99)], Sharing::All)).is_empty());
    assert!(finder.seen(event(20, &b, &[ContentId(99)], Sharing::All)).is_empty());
    let links = finder.announced(&announcement(10, Class::All));
    assert_eq!(
        links.iter().map(|link| link.content).collect::<Vec<_>>(),
        [ContentId(20)]
    );
}

#[test]
fn a_link_never_tells_a_scope_of_what_it_does_not_see() {
    let own = hash(7);
    let mut finder = announced(5, Class::Party(PartyId(2)));
    assert!(
        finder.seen(event(8, &own, &[ContentId(5)], Sharing::Party)).is_empty(),
        "another party's family"
    );
    let links = finder.seen(event(9, &own, &[ContentId(5)], Sharing::All));
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
    let own = hash(1);
    for id in 10..14 {
        finder.seen(event(id, &own, &[ContentId(99)], Sharing::All));
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
fn picture(number: u64, flips: u8) -> Pdq {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = if number >> place & 1 == 1 { 0x0f } else { 0xf0 };
    }
    (0..flips).for_each(|bit| bytes[usize::from(bit / 4) % 32] ^= 1 << (bit % 4));
    Pdq::from_bytes(bytes)
}

fn with_pdq<'a>(event: Seen<'a>, pdqs: &'a [Pdq]) -> Seen<'a> {
    Seen { pdqs, ..event }
}

fn evidences(links: &[Link]) -> Vec<(u128, u128, Evidence)> {
    let evidence = |link: &Link| (link.content.0, link.family.0.0, link.evidence);
    links.iter().map(evidence).collect()
}

#[test]
fn a_near_picture_links_whether_it_was_seen_before_the_announcement_or_after_it() {
    let (own, other) = (hash(1), hash(2));
    let near = [(7, 0), (7, 31), (7, 32), (8, 0)].map(|(number, flips)| [picture(number, flips)]);
    let [founder, variant, beyond, another] = &near;
    let events = [
        with_pdq(event(20, &other, &[], Sharing::All), variant),
        with_pdq(event(21, &other, &[], Sharing::All), beyond),
        with_pdq(event(22, &other, &[], Sharing::All), another),
    ];
    let linked = [(20, 5, Evidence::PdqDistance(31))];

    let mut finder = LinkFinder::new(Limits::default());
    finder.seen(with_pdq(event(5, &own, &[], Sharing::All), founder));
    finder.announced(&announcement(5, Class::All));
    let links: Vec<Link> = events.iter().flat_map(|event| finder.seen(*event)).collect();
    assert_eq!(evidences(&links), linked, "seen after it");

    let mut finder = LinkFinder::new(Limits::default());
    let early: Vec<Link> = events.iter().flat_map(|event| finder.seen(*event)).collect();
    assert_eq!(early, []);
    finder.seen(with_pdq(event(5, &own, &[], Sharing::All), founder));
    let links = finder.announced(&announcement(5, Class::All));
    assert_eq!(evidences(&links), linked, "seen before it");
}

#[test]
fn what_an_event_says_of_an_announced_content_later_stands_for_its_family_too() {
    let (own, other) = (hash(1), hash(2));
    let (founder, variant) = ([picture(7, 0)], [picture(7, 9)]);
    let mut finder = announced(5, Class::All);
    assert_eq!(
        finder.seen(with_pdq(event(20, &other, &[], Sharing::All), &variant)),
        []
    );
    let links = finder.seen(with_pdq(event(5, &own, &[ContentId(99)], Sharing::All), &founder));
    assert_eq!(evidences(&links), [(20, 5, Evidence::PdqDistance(9))]);
    let links = finder.seen(event(21, &other, &[ContentId(99)], Sharing::All));
    assert_eq!(evidences(&links), [(21, 5, Evidence::EqualHash)]);
    // Said again, it has its names still.
    finder.announced(&announcement(5, Class::All));
    let links = finder.seen(with_pdq(event(22, &other, &[], Sharing::All), &variant));
    assert_eq!(evidences(&links), [(22, 5, Evidence::PdqDistance(9))]);
    finder.withdrawn(ContentId(5), Class::All);
    assert_eq!(
        finder.seen(with_pdq(event(23, &other, &[], Sharing::All), &variant)),
        []
    );
}

#[test]
fn a_picture_joins_the_nearest_in_each_scope_that_sees_both() {
    let own = hash(1);
    let mut finder = LinkFinder::new(Limits::default());
    let private = Class::Party(PartyId(2));
    for (id, class, flips) in [(5, Class::All, 20), (6, Class::All, 12), (7, private, 1)] {
        let pdqs = [picture(7, flips)];
        finder.seen(with_pdq(event(id, &own, &[], Sharing::All), &pdqs));
        finder.announced(&announcement(id, class));
    }
    let pdqs = [picture(7, 0)];
    let links = finder.seen(with_pdq(event(20, &own, &[], Sharing::All), &pdqs));
    assert_eq!(
        evidences(&links),
        [(20, 6, Evidence::PdqDistance(12)), (20, 7, Evidence::PdqDistance(1))]
    );
    assert_eq!(links[1].class, private);
    let links = finder.seen(with_pdq(event(21, &own, &[], Sharing::Party), &pdqs));
    assert_eq!(evidences(&links), [(21, 6, Evidence::PdqDistance(12))]);
    assert_eq!(
        links[0].class,
        Class::Party(PartyId(1)),
        "the event's party alone sees it"
    );
}

#[test]
fn a_picture_between_two_families_does_not_make_them_one() {
    let own = hash(1);
    // 40 bits from one another, and the one between them 20 from both.
    let (one, between, other) = ([picture(7, 0)], [picture(7, 20)], [picture(7, 40)]);
    assert_eq!((one[0].distance(&other[0]), between[0].distance(&other[0])), (40, 20));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
        let mut finder = LinkFinder::new(Limits::default());
        let mut links = Vec::new();
        for step in order {
            let (id, pdqs) = [(5, &one), (6, &between), (7, &other)][step];
            links.extend(finder.seen(with_pdq(event(id, &own, &[], Sharing::All), pdqs)));
            if id != 6 {
                links.extend(finder.announced(&announcement(id, Class::All)));
            }
        }
        assert_eq!(links.len(), 1, "{order:?}: {links:?}");
    }
}

#[test]
fn a_content_that_is_called_something_new_in_each_event_has_so_many_names_and_no_more() {
    let (own, other) = (hash(1), hash(2));
    let mut finder = announced(5, Class::All);
    for name in 1_000..6_000 {
        assert_eq!(finder.seen(event(5, &own, &[ContentId(name)], Sharing::All)), []);
    }
    assert_eq!(finder.announced.names(ContentId(5), Class::All).hashes.len(), 64);
    for (name, links) in [(1_010, 1), (5_990, 0)] {
        let found = finder.seen(event(8, &other, &[ContentId(name)], Sharing::All));
        assert_eq!(found.len(), links, "{name}");
    }
    // Said again, it is looked for under these names alone, and its own events are no links.
    let found = finder.announced(&announcement(5, Class::All));
    assert_eq!(found, []);
}
