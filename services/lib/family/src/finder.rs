use std::cmp::Ordering;

use tocsin_model::{
    Class, ContentHash, ContentId, Evidence, FamilyAnnouncement, FamilyId, Link, PartyId, Sharing, Timestamp,
};

use crate::announced::{Announced, Index};
use crate::recent::{Limits, Recent, Remembered};
use crate::told::Told;

/// Finds links: between what an event says is the same, and between a content's further hashes and announced families.
#[derive(Debug)]
pub struct LinkFinder {
    limits: Limits,
    announced: Index,
    recent: Recent,
    told: Told,
}

/// One event's content, as the finder looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The content.
    pub content: ContentId,
    /// Its strongest hash.
    pub hash: &'a ContentHash,
    /// The ids of its further hashes.
    pub further: &'a [ContentId],
    /// Contents the party says are the same: their ids and hashes.
    pub same_as: &'a [(ContentId, ContentHash)],
    /// The party.
    pub party: PartyId,
    /// Who may see the event.
    pub sharing: Sharing,
    /// When it was received.
    pub at: Timestamp,
}

impl LinkFinder {
    /// A finder that knows nothing yet.
    pub fn new(limits: Limits) -> Self {
        LinkFinder {
            limits,
            announced: Index::default(),
            recent: Recent::default(),
            told: Told::default(),
        }
    }

    /// An event goes by: the links that follow from it.
    pub fn seen(&mut self, seen: Seen<'_>) -> Vec<Link> {
        let mut links = Vec::new();
        for (other, hash) in seen.same_as {
            let (joins, family) = if *other > seen.content {
                ((*other, hash), seen.content)
            } else {
                ((seen.content, seen.hash), *other)
            };
            if joins.0 == family {
                continue;
            }
            for class in seen.sharing.classes(seen.party) {
                links.push(Link {
                    content: joins.0,
                    hash: joins.1.clone(),
                    family: FamilyId(family),
                    evidence: Evidence::PartyLink,
                    party: Some(seen.party),
                    class,
                    at: seen.at,
                });
            }
        }
        if !seen.further.is_empty() {
            let whom = (seen.party, seen.sharing);
            let entry = Remembered::new(seen.content, seen.hash.clone(), seen.further.to_vec(), whom, seen.at);
            for hash in seen.further.iter().chain([&seen.content]) {
                let families = self.announced.with_hash(*hash);
                links.extend(families.flat_map(|(class, known)| equal_hash_links(&entry, known, class, seen.at)));
            }
            self.recent.add(entry, &self.limits);
        }
        self.untold(links)
    }

    /// Leaves out what was said lately.
    fn untold(&mut self, mut links: Vec<Link>) -> Vec<Link> {
        links.retain(|link| self.told.is_new(link, self.limits.links_max));
        links
    }

    /// A family was announced: the links of contents seen before.
    pub fn announced(&mut self, announcement: &FamilyAnnouncement) -> Vec<Link> {
        let (class, at) = (announcement.class, announcement.at);
        let (content, hash) = (announcement.content, announcement.hash.clone());
        let known = Announced {
            content,
            hash,
            family: announcement.family,
        };
        // The content's further hashes, as far as events named them, stand for the family too. Only events that the announcement's
        // scope sees may tell.
        let told: Vec<ContentId> = self
            .recent
            .with_hash(announcement.content)
            .filter(|entry| entry.content == announcement.content)
            .filter(|entry| {
                entry
                    .sharing
                    .classes(entry.party)
                    .any(|own| class.scope().contains(own))
            })
            .flat_map(|entry| entry.further.iter().copied())
            .collect();
        let mut hashes = vec![announcement.content];
        hashes.extend(told);
        hashes.sort_unstable();
        hashes.dedup();

        let entries = hashes.iter().flat_map(|hash| self.recent.with_hash(*hash));
        let links = entries.flat_map(|entry| equal_hash_links(entry, &known, class, at));
        let links = links.collect();
        self.announced.put(class, &known, hashes, self.limits.announced_max);
        self.untold(links)
    }

    /// A content is hot no more: what was announced of it in this class holds no longer.
    pub fn withdrawn(&mut self, content: ContentId, class: Class) {
        self.announced.withdraw(content, class);
    }

    /// Announcements and seen contents that were forgotten before their time, since there was no room.
    pub fn limits_reached(&self) -> u64 {
        self.announced.forgotten_early() + self.recent.forgotten_early()
    }
}

/// The links between a remembered content and an announced one that share a hash: one per class whose scope sees both. The one with the
/// higher id joins.
fn equal_hash_links(entry: &Remembered, known: &Announced, class: Class, at: Timestamp) -> Vec<Link> {
    let classes: Vec<Class> = match entry.sharing {
        Sharing::All => vec![class],
        sharing => sharing
            .classes(entry.party)
            .filter(|own| own.scope().contains(class))
            .collect(),
    };
    let (content, hash, family) = match entry.content.cmp(&known.family.0) {
        Ordering::Greater => (entry.content, &entry.hash, known.family),
        Ordering::Less => (known.content, &known.hash, FamilyId(entry.content)),
        Ordering::Equal => return Vec::new(),
    };
    let link = |class| Link {
        content,
        hash: hash.clone(),
        family,
        evidence: Evidence::EqualHash,
        party: Some(entry.party),
        class,
        at,
    };
    classes.into_iter().map(link).collect()
}

#[cfg(test)]
mod tests {
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
}
