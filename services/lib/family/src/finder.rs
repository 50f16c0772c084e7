use std::cmp::Ordering;
use std::collections::HashSet;

use tocsin_model::{
    Class, ContentHash, ContentId, Evidence, FamilyAnnouncement, FamilyId, Link, PartyId, Sharing, Timestamp,
};

use crate::announced::{Announced, Index};
use crate::names::Names;
use crate::pdq::Pdq;
use crate::recent::{Limits, Recent, Remembered};
use crate::told::Told;

/// Finds links: between what an event says is the same, and between the hashes of a content and those of announced families, where they
/// are equal or, of PDQ hashes, near: a content that is seen joins the nearest one of each class, and what is announced is joined by those
/// seen lately that are near nothing else.
#[derive(Debug)]
pub struct LinkFinder {
    limits: Limits,
    announced: Index,
    recent: Recent,
    told: Told,
    left_out: u64,
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
    /// Its PDQ hashes that may be matched by distance.
    pub pdqs: &'a [Pdq],
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
            left_out: 0,
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
        if !seen.further.is_empty() || !seen.pdqs.is_empty() {
            let entry = Remembered {
                content: seen.content,
                hash: seen.hash.clone(),
                further: seen.further.to_vec(),
                pdqs: seen.pdqs.to_vec(),
                party: seen.party,
                sharing: seen.sharing,
                at: seen.at,
            };
            for hash in seen.further.iter().chain([&seen.content]) {
                let families = self.announced.with_hash(*hash);
                links.extend(
                    families
                        .flat_map(|(class, known)| links_between(&entry, known, class, seen.at, Evidence::EqualHash)),
                );
            }
            self.recent.make_room(seen.at, &self.limits);
            if let Some(new) = self.recent.new_names(&entry, &self.limits) {
                self.seen_first(&entry, &new, &mut links);
                self.recent.add(entry);
            }
        }
        self.untold(links)
    }

    /// A content is seen, with names that events of late did not say of it.
    fn seen_first(&mut self, entry: &Remembered, new: &Names, links: &mut Vec<Link>) {
        for pdq in &new.pdqs {
            let is_wanted = |class, content| content != entry.content && entry.is_seen_with(class);
            let near = self.announced.nearest(pdq, is_wanted);
            links.extend(near.into_iter().flat_map(|(class, distance, known)| {
                let evidence = Evidence::PdqDistance(distance as u16);
                links_between(entry, &known, class, entry.at, evidence)
            }));
        }
        // If it is announced itself, what names it stands for its family too.
        let own = self.announced.with_hash(entry.content);
        let own = own.filter(|(class, known)| known.content == entry.content && entry.is_in(*class));
        let own: Vec<(Class, Announced)> = own.map(|(class, known)| (class, known.clone())).collect();
        for (class, known) in own {
            let added = self.announced.add(known.content, class, new, self.limits.announced_max);
            links.extend(self.joining(&known, &added, class, entry.at));
        }
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
        let mut names = self.announced.names(known.content, class);
        names.add(&[known.content], Pdq::of(&known.hash).ok().as_slice());
        // Only events that the announcement's scope sees may tell.
        let told = self.recent.with_hash(known.content).rev().take(LATEST_MAX);
        for entry in told.filter(|entry| entry.content == known.content && entry.is_in(class)) {
            names.add(&entry.further, &entry.pdqs);
        }
        let links = self.joining(&known, &names, class, at);
        self.announced.put(class, known, &names, self.limits.announced_max);
        self.untold(links)
    }

    /// The contents seen lately that join what is announced under these names: those that share one, and those near one that no other
    /// announced content is near to. So a picture between two families, a logo or a frame of the news, does not make them one.
    fn joining(&mut self, known: &Announced, names: &Names, class: Class, at: Timestamp) -> Vec<Link> {
        let mut links = Vec::new();
        let mut told: HashSet<(ContentId, PartyId, Sharing)> = HashSet::new();
        for hash in &names.hashes {
            let entries = self.recent.with_hash(*hash).rev().take(LATEST_MAX);
            for entry in entries.filter(|entry| entry.content != known.content) {
                if told.insert(entry.whose()) {
                    links.extend(links_between(entry, known, class, at, Evidence::EqualHash));
                }
            }
        }
        for pdq in &names.pdqs {
            let is_wanted = |entry: &Remembered| entry.content != known.content && entry.is_seen_with(class);
            let near = self.recent.near(pdq, NEAR_MAX, is_wanted);
            let near: Vec<(u32, Remembered)> = near.map(|(distance, entry)| (distance, entry.clone())).collect();
            for (distance, entry) in near {
                if told.insert(entry.whose()) && !self.is_near_another(&entry, known.content, class) {
                    let evidence = Evidence::PdqDistance(distance as u16);
                    links.extend(links_between(&entry, known, class, at, evidence));
                }
            }
        }
        if links.len() > LINKS_MAX {
            self.left_out += (links.len() - LINKS_MAX) as u64;
            links.truncate(LINKS_MAX);
        }
        links
    }

    /// Whether a content is near something announced in this class, but for itself and `known`.
    fn is_near_another(&mut self, entry: &Remembered, known: ContentId, class: Class) -> bool {
        let is_wanted = |own, content| own == class && content != entry.content && content != known;
        let mut pdqs = entry.pdqs.iter();
        pdqs.any(|pdq| !self.announced.nearest(pdq, is_wanted).is_empty())
    }

    /// A content is hot no more: what was announced of it in this class holds no longer.
    pub fn withdrawn(&mut self, content: ContentId, class: Class) {
        self.announced.withdraw(content, class);
    }

    /// Announcements and seen contents that were forgotten before their time, since there was no room.
    /// Links that were left out since one announcement would have made too many count too.
    pub fn limits_reached(&self) -> u64 {
        self.announced.forgotten_early() + self.recent.forgotten_early() + self.left_out
    }
}

/// Of the contents seen lately so many at most are looked at for one PDQ hash of an announcement: the nearest.
const NEAR_MAX: usize = 1_024;
/// Of what was seen under one hash so much is looked at: the latest.
const LATEST_MAX: usize = 4_096;
/// The most links that follow from one announcement, or from one event of what is announced.
const LINKS_MAX: usize = 4_096;

impl Remembered {
    /// Whether the scope of this class sees the event.
    fn is_in(&self, class: Class) -> bool {
        self.sharing.classes(self.party).any(|own| class.scope().contains(own))
    }

    /// Whether some scope sees both the event and what is announced in this class.
    fn is_seen_with(&self, class: Class) -> bool {
        self.classes_with(class).next().is_some()
    }

    /// The classes whose scopes see both the event and what is announced in this class.
    fn classes_with(&self, class: Class) -> impl Iterator<Item = Class> {
        let is_for_all = self.sharing == Sharing::All;
        let own = self.sharing.classes(self.party);
        let own = own.filter(move |own| !is_for_all && own.scope().contains(class));
        is_for_all.then_some(class).into_iter().chain(own)
    }
}

/// The links between a remembered content and an announced one: one per class whose scope sees both. The one with the higher id joins.
fn links_between(entry: &Remembered, known: &Announced, class: Class, at: Timestamp, evidence: Evidence) -> Vec<Link> {
    let (content, hash, family) = match entry.content.cmp(&known.family.0) {
        Ordering::Greater => (entry.content, &entry.hash, known.family),
        Ordering::Less => (known.content, &known.hash, FamilyId(entry.content)),
        Ordering::Equal => return Vec::new(),
    };
    let link = |class| Link {
        content,
        hash: hash.clone(),
        family,
        evidence,
        party: Some(entry.party),
        class,
        at,
    };
    entry.classes_with(class).map(link).collect()
}

#[cfg(test)]
mod tests;
