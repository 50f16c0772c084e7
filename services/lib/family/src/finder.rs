use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, Evidence, FamilyAnnouncement, FamilyId, FurtherHash, Link, Milliseconds,
    PartyId, Sharing, Timestamp,
};

use crate::allowance::Allowance;
use crate::announced::{Announced, Index};
use crate::names::{Name, Names};
use crate::recent::{Limits, Recent, Remembered};
use crate::told::Told;

/// Finds links: between what an event says is the same, and between the hashes of a content and those of announced families, where they
/// are equal or, of PDQ hashes, near, or where videos agree in their frames: a content that is seen joins the nearest one of each class, and what is
/// announced is joined by those seen lately that are near nothing else.
#[derive(Debug)]
pub struct LinkFinder {
    limits: Limits,
    announced: Index,
    recent: Recent,
    told: Told,
    /// Links by a party's word alone, in an hour.
    asserted: Allowance,
    /// Frames looked up, in a minute.
    frames: Allowance,
    further: Vec<FurtherHash>,
    left_out: u64,
    /// Videos that did not join since one party alone told the frames.
    alone: u64,
}

/// One event's content, as the finder looks at it.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The content, by its strongest hash.
    pub own: Name,
    /// Its further hashes.
    pub further: Vec<Name>,
    /// Contents the party says are the same.
    pub same_as: &'a [Name],
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
            asserted: Allowance::new(Milliseconds::from_hours(1)),
            frames: Allowance::new(Milliseconds::from_minutes(1)),
            further: Vec::new(),
            left_out: 0,
            alone: 0,
        }
    }

    /// An event goes by: the links that follow from it.
    pub fn seen(&mut self, seen: Seen<'_>) -> Vec<Link> {
        let mut links = Vec::new();
        for other in seen.same_as {
            for class in seen.sharing.classes(seen.party) {
                // Of the families that both are known to be in one joins the other: the content said to be the same may be in one of a lower id
                // already, and a link of that content to a higher one would say nothing.
                let [own, said] = [&seen.own, other].map(|name| (self.announced.family_in(name.id, class), name));
                let ((joins, member), family) = match own.0.cmp(&said.0) {
                    Ordering::Equal => continue,
                    Ordering::Greater => (own, said.0),
                    Ordering::Less => (said, own.0),
                };
                let (content, hash) = self.founder(joins, class).unwrap_or((member.id, &member.hash));
                links.push(Link {
                    content,
                    hash: hash.clone(),
                    family,
                    evidence: Evidence::PartyLink,
                    party: Some(seen.party),
                    class,
                    at: seen.at,
                });
            }
        }
        // A URL in its normal form has no further hash, and is one of those that are written otherwise.
        let is_url = seen.own.hash.algorithm() == Algorithm::Url;
        if !seen.further.is_empty() || seen.own.pdq.is_some() || is_url {
            let mut entry = Remembered {
                own: seen.own,
                further: seen.further,
                party: seen.party,
                sharing: seen.sharing,
                at: seen.at,
            };
            entry.tells_frames_alone();
            for name in entry.names() {
                for (class, known) in self.announced.with_hash(name.id) {
                    let own = self.announced.family(entry.content(), class);
                    links.extend(self.links_between(&entry, own, known, class, entry.at, Evidence::EqualHash));
                }
            }
            self.recent.make_room(entry.at, &self.limits);
            let mut new = self.recent.new_names(&entry, &self.limits);
            let frames = new.iter().flat_map(Names::videos).map(|video| video.frames().len());
            let classes = self.announced.classes_with_frames(|class| entry.is_seen_with(class));
            let (frames, most) = (frames.sum::<usize>() * classes.max(1), self.limits.party_frames_max);
            if !self.frames.takes(entry.party, entry.at, frames, most) {
                // As if the event had none: it counts, and its digest is a hash as any other, which an earlier copy may have said.
                entry.forget_frames();
                new = self.recent.new_names(&entry, &self.limits);
                new = new.filter(|new| new.iter().next().is_some());
            }
            if let Some(new) = new {
                let sought = self.frames_sought();
                let whose = (entry.party, entry.at);
                self.seen_first(&entry, &new, &mut links);
                let sought = self.frames_sought() - sought;
                self.recent.add(entry);
                // Of what is announced itself more is looked up, as much as others of late share with it.
                self.frames.took(whose.0, whose.1, sought.saturating_sub(frames));
            }
        }
        self.untold(links)
    }

    /// A content is seen, with names that events of late did not say of it. What looks like one family and shares a hash with another makes
    /// them one, if it is not far from the centre.
    fn seen_first(&mut self, entry: &Remembered, new: &Names, links: &mut Vec<Link>) {
        let mut equal: BTreeMap<Class, FamilyId> = BTreeMap::new();
        for (class, known) in entry.names().flat_map(|name| self.announced.with_hash(name.id)) {
            let family = equal.entry(class).or_insert(known.family);
            *family = known.family.min(*family);
        }
        for pdq in new.pdqs() {
            let is_wanted = |class, known: &Announced| known.content != entry.content() && entry.is_seen_with(class);
            let near = self.announced.nearest(entry.content(), pdq, is_wanted);
            links.extend(near.into_iter().flat_map(|(class, distance, known)| {
                let evidence = Evidence::PdqDistance(distance as u16);
                let own = self.announced.family(entry.content(), class);
                let own = equal.get(&class).copied().unwrap_or(own);
                self.links_between(entry, own, &known, class, entry.at, evidence)
            }));
        }
        let mut waits = false;
        for video in new.videos() {
            let is_another = |known: &Announced| known.content != entry.content();
            let links_of = |class| entry.classes_with(class).collect();
            let whose = (entry.content(), entry.party);
            let (same, more_waits) = self.announced.same_video(whose, video, links_of, is_another);
            waits |= more_waits;
            links.extend(same.into_iter().flat_map(|same| {
                let own = self.announced.family(entry.content(), same.class);
                let own = equal.get(&same.class).copied().unwrap_or(own);
                let evidence = Evidence::FrameShare(same.share);
                let mut links = self.links_between(entry, own, &same.known, same.class, entry.at, evidence);
                links.retain(|link| link.class == same.holds_in);
                links
            }));
        }
        let alone = self.alone;
        // If it is announced itself, what names it stands for its family too.
        let own = self.announced.with_hash(entry.content());
        let own = own.filter(|(class, known)| known.content == entry.content() && entry.is_in(*class));
        let own: Vec<(Class, Announced)> = own.map(|(class, known)| (class, known.clone())).collect();
        for (class, known) in own {
            let names_max = self.limits.announced_max;
            let mut added = self.announced.add(known.content, class, new.iter(), names_max);
            added.add(self.announced.corroborate(known.content, class, new.iter()).iter());
            if added.is_empty() {
                continue;
            }
            let news = self.announced.names_of(known.content, class, &added);
            // Frames for which there is no room here others may have room for.
            let mut told = news.clone();
            told.add(added.of_ids(&news).iter());
            self.tell(known.content, class, &told, entry.at);
            links.extend(self.joining(&known, &news, class, entry.at));
        }
        // One event is one video that waits, whichever way others are found.
        self.alone = alone + u64::from(waits || self.alone > alone);
    }

    fn frames_sought(&self) -> usize {
        self.announced.frames_sought() + self.recent.frames_sought()
    }

    /// Notes further hashes of what is announced, to be said to everyone who looks for it.
    fn tell(&mut self, content: ContentId, class: Class, names: &Names, at: Timestamp) {
        // Of a content that the digest of its frames names, nobody else knows them.
        let further = names.iter().filter(|name| name.id != content || name.video.is_some());
        self.further
            .extend(further.map(|name| name.to_further(content, class, at)));
    }

    /// Takes the further hashes of announced contents that events have told since: for `tocsin.families`.
    pub fn take_further(&mut self) -> Vec<FurtherHash> {
        std::mem::take(&mut self.further)
    }

    /// Leaves out what was said lately, and what a party asserts beyond its share: links by its word alone, and those by which hashes that
    /// it names together make two families one.
    fn untold(&mut self, mut links: Vec<Link>) -> Vec<Link> {
        let party_links_max = self.limits.party_links_max;
        links.retain(|link| {
            if !self.told.is_new(link, self.limits.links_max) {
                return false;
            }
            let is_asserted = match link.evidence {
                Evidence::PartyLink => true,
                // A link of a narrower class may rest on what is announced to all.
                Evidence::EqualHash => [link.class, Class::All]
                    .iter()
                    .any(|class| self.announced.get(link.content, *class).is_some()),
                _ => false,
            };
            let party = link.party.filter(|_| is_asserted);
            party.is_none_or(|party| self.asserted.takes(party, link.at, 1, party_links_max))
        });
        links
    }

    /// A family was announced: the links of contents seen before.
    pub fn announced(&mut self, announcement: &FamilyAnnouncement) -> Vec<Link> {
        let (class, at) = (announcement.class, announcement.at);
        let known = Announced {
            content: announcement.content,
            hash: announcement.hash.clone(),
            family: announcement.family,
        };
        let own = Name::new(known.content, known.hash.clone());
        let mut names = self.announced.names(known.content, class);
        names.add([&own]);
        // Only events that the announcement's scope sees may tell.
        let told = self.recent.with_hash(known.content).rev().take(LATEST_MAX);
        let told = told.filter(|entry| entry.content() == known.content && entry.is_in(class));
        let told: Vec<&Remembered> = told.collect();
        let mut news = names.add(told.iter().flat_map(|entry| entry.names()));
        let seconding = Remembered::seconding(&told).flat_map(Remembered::names);
        news.add(names.corroborate(seconding).iter());
        let told = names.of_ids(&news);
        self.tell(known.content, class, &told, at);
        // What joined it before follows its founder into another family; only new names find more.
        let is_known = self.announced.get(known.content, class).is_some();
        let links = self.joining(&known, if is_known { &told } else { &names }, class, at);
        self.announced.put(class, known, &names, self.limits.announced_max);
        self.untold(links)
    }

    /// An announced content has a further hash, as an event told that another instance saw: the links of contents seen before. `name` is
    /// the hash under its own id.
    pub fn further(&mut self, content: ContentId, class: Class, name: &Name, at: Timestamp) -> Vec<Link> {
        let mut news = self.announced.add(content, class, [name], self.limits.announced_max);
        if name.hash.algorithm() == Algorithm::Vpdq {
            news.add(self.announced.corroborate(content, class, [name]).iter());
            // Of the records of a hash compaction keeps the last: whoever knows more than it says tells it again.
            let mut own = Names::default();
            own.add([name]);
            let known = self.announced.names_of(content, class, &own);
            if known.iter().any(|known| known.says_more_than(name)) {
                self.tell(content, class, &known, at);
            }
        }
        if news.is_empty() {
            return Vec::new();
        }
        let news = self.announced.names_of(content, class, &news);
        let known = self.announced.get(content, class).cloned();
        let links = known.map(|known| self.joining(&known, &news, class, at));
        self.untold(links.unwrap_or_default())
    }

    /// The contents seen lately that join what is announced under these names: those that share one, and those near one, or of the same frames, that
    /// no other announced content is near to. So a picture between two families, a logo or a frame of the news, does not make them one.
    fn joining(&mut self, known: &Announced, names: &Names, class: Class, at: Timestamp) -> Vec<Link> {
        let mut links = Vec::new();
        let mut told: HashSet<(ContentId, PartyId, Sharing)> = HashSet::new();
        for name in names.iter() {
            let entries = self.recent.with_hash(name.id).rev().take(LATEST_MAX);
            for entry in entries.filter(|entry| entry.content() != known.content) {
                if told.insert(entry.whose()) {
                    let own = self.announced.family(entry.content(), class);
                    links.extend(self.links_between(entry, own, known, class, at, Evidence::EqualHash));
                }
            }
        }
        let mut tests_left = VIDEO_TESTS_MAX;
        for pdq in names.pdqs() {
            let is_wanted = |entry: &Remembered| {
                let is_within = |pdq| self.announced.is_within(pdq, known.family, class);
                entry.content() != known.content && entry.is_seen_with(class) && entry.pdqs().any(is_within)
            };
            let near = self.recent.near(pdq, NEAR_MAX, is_wanted);
            let near: Vec<(u32, Remembered)> = near.map(|(distance, entry)| (distance, entry.clone())).collect();
            for (distance, entry) in near {
                let may_join = |pdq| self.announced.may_join(entry.content(), pdq, known.family, class);
                let is_one_family = entry.pdqs().any(may_join) || self.shares_hash(&entry, class);
                let own = self.announced.family(entry.content(), class);
                if !told.insert(entry.whose()) || !is_one_family || own == known.family {
                    continue;
                }
                if entry.videos().next().is_some() && !self.takes_test(&mut tests_left) {
                    continue;
                }
                if !self.is_near_another(&entry, known, class) {
                    let evidence = Evidence::PdqDistance(distance as u16);
                    links.extend(self.links_between(&entry, own, known, class, at, evidence));
                }
            }
        }
        let mut waiting = HashSet::new();
        for (video, told_by) in names.told_videos() {
            // What is in the family has nothing to join, and takes no other's place.
            let is_wanted = |entry: &Remembered| {
                entry.is_seen_with(class)
                    && entry.content() != known.content
                    && self.announced.family(entry.content(), class) != known.family
            };
            for (share, entry) in self.recent.same_video(video, is_wanted) {
                let index = &self.announced;
                let may_join = |own| index.may_join_by_frames(entry.content(), own, known.family, class);
                let is_one_family = entry.videos().any(may_join) || self.shares_hash(&entry, class);
                if told.contains(&entry.whose()) || !is_one_family {
                    continue;
                }
                if !self.takes_test(&mut tests_left) {
                    continue;
                }
                if self.is_near_another(&entry, known, class) {
                    continue;
                }
                let whose = (entry.content(), entry.party);
                let own = self.announced.family(entry.content(), class);
                let mut found = self.links_between(&entry, own, known, class, at, Evidence::FrameShare(share));
                let count = found.len();
                found.retain(|link| self.announced.is_corroborated(whose, told_by, known.family, link.class));
                if found.len() == count {
                    told.insert(entry.whose());
                } else {
                    waiting.insert(entry.whose());
                }
                links.extend(found);
            }
        }
        self.alone += waiting.difference(&told).count() as u64;
        if links.len() > LINKS_MAX {
            self.left_out += (links.len() - LINKS_MAX) as u64;
            links.truncate(LINKS_MAX);
        }
        links
    }

    /// Whether one more content with frames may be tested; where not, it is left out.
    fn takes_test(&mut self, left: &mut usize) -> bool {
        let fewer = left.checked_sub(1);
        *left = fewer.unwrap_or_default();
        self.left_out += u64::from(fewer.is_none());
        fewer.is_some()
    }

    /// The links between a remembered content, of the family `own`, and an announced one: one per class whose scope sees both. Of their
    /// families that of the higher id joins the other: its founder does, and its members follow; or, while nobody knows the founder, the
    /// member alone.
    fn links_between(
        &self,
        entry: &Remembered,
        own: FamilyId,
        known: &Announced,
        class: Class,
        at: Timestamp,
        evidence: Evidence,
    ) -> Vec<Link> {
        let (joins, member, family) = match own.cmp(&known.family) {
            Ordering::Equal => return Vec::new(),
            Ordering::Greater => (own, (entry.content(), &entry.own.hash), known.family),
            Ordering::Less => (known.family, (known.content, &known.hash), own),
        };
        let (content, hash) = self.founder(joins, class).unwrap_or(member);
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

    /// The founder of a family, if it is announced, or was seen lately by an event that the class's scope sees.
    fn founder(&self, family: FamilyId, class: Class) -> Option<(ContentId, &ContentHash)> {
        if let Some(founder) = self.announced.get(family.0, class) {
            return Some((founder.content, &founder.hash));
        }
        let mut seen = self.recent.with_hash(family.0);
        let founder = seen.find(|entry| entry.content() == family.0 && entry.is_in(class))?;
        Some((founder.content(), &founder.own.hash))
    }

    /// Whether a content is near something announced in this class of a family that is neither its own nor that of `known`.
    fn is_near_another(&mut self, entry: &Remembered, known: &Announced, class: Class) -> bool {
        let own = self.announced.family(entry.content(), class);
        let is_wanted = |of, other: &Announced| of == class && other.family != own && other.family != known.family;
        let mut pdqs = entry.pdqs();
        if pdqs.any(|pdq| !self.announced.nearest(entry.content(), pdq, is_wanted).is_empty()) {
            return true;
        }
        let is_wanted = |other: &Announced| is_wanted(class, other);
        let mut videos = entry.videos();
        videos.any(|video| {
            let links_of = |of| if of == class { vec![class] } else { Vec::new() };
            let whose = (entry.content(), entry.party);
            let (same, _) = self.announced.same_video(whose, video, links_of, is_wanted);
            !same.is_empty()
        })
    }

    /// Whether another content has a hash of this one, as far as the class's scope can tell.
    fn shares_hash(&self, entry: &Remembered, class: Class) -> bool {
        entry.names().any(|name| {
            let mut announced = self.announced.with_hash(name.id);
            let mut seen = self.recent.with_hash(name.id).take(SHARED_MAX);
            announced.any(|(of, other)| of == class && other.content != entry.content())
                || seen.any(|other| other.content() != entry.content() && other.is_in(class))
        })
    }

    /// A content is hot no more: what was announced of it in this class holds no longer. Returns the ids of its further hashes, of which
    /// `tocsin.families` need not know any more.
    pub fn withdrawn(&mut self, content: ContentId, class: Class) -> Vec<ContentId> {
        let names = self.announced.withdraw(content, class);
        let further = names.iter().filter(|name| name.id != content || name.video.is_some());
        further.map(|name| name.id).collect()
    }

    /// A further hash was taken out of `tocsin.families`. Whoever did that may have read late that its content was withdrawn: if the content is
    /// announced again, and has that hash, everyone is told again.
    pub fn taken_out(&mut self, content: ContentId, class: Class, hash: ContentId, at: Timestamp) {
        if self.announced.get(content, class).is_none() {
            return;
        }
        let mut names = Names::default();
        let known = self.announced.names(content, class);
        names.add(known.iter().filter(|name| name.id == hash));
        self.tell(content, class, &names, at);
    }

    /// Everything was read that `tocsin.families` held at the start, where a further hash may stand before its announcement: from now on
    /// it stands behind. Returns those without one: content, class and id.
    pub fn caught_up(&mut self) -> Vec<(ContentId, Class, ContentId)> {
        self.announced.caught_up()
    }

    /// Announcements and seen contents that were forgotten before their time, since there was no room.
    /// Links that were left out since one announcement would have made too many, or one party asserted too many, count too.
    pub fn limits_reached(&self) -> u64 {
        self.announced.forgotten_early() + self.recent.forgotten_early() + self.left_out + self.asserted.refused()
    }

    /// Frames that were not looked up, since their party had its part of the minute.
    pub fn frames_refused(&self) -> u64 {
        self.frames.refused()
    }

    /// Videos that did not join a family since one party alone told the frames they share with it.
    pub fn frames_uncorroborated(&self) -> u64 {
        self.alone
    }
}

/// Of the contents seen lately so many at most are looked at for one PDQ hash of an announcement: the nearest.
const NEAR_MAX: usize = 1_024;
/// Of the contents seen lately that share frames with an announcement, or with one event of what is announced, so many are tested for whether another announced one
/// is the same too: those with the most in common. Each is a look-up of its frames.
const VIDEO_TESTS_MAX: usize = 16;
/// Of what was seen under one hash so much is looked at: the latest.
const LATEST_MAX: usize = 4_096;
/// Of what was seen under one hash so much is looked at to see whether contents share it.
const SHARED_MAX: usize = 8;
/// The most links that follow from one announcement, or from one event of what is announced.
const LINKS_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod video_limit_tests;
#[cfg(test)]
mod video_tests;
