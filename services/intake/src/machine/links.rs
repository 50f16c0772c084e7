//! Links: what is read goes through the finder, and what it finds goes to the groups and to everyone who looks for it.

use bytes::Bytes;
use tocsin_family::{Name, Seen, Video};
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{Algorithm, ContentHash, FamilyAnnouncement, Link, Sighting};
use tocsin_wire::event::EventRef;
use tocsin_wire::{SightingsRecord, family, topics};

use super::Intake;

impl Intake {
    /// A family was announced.
    pub fn announced(&mut self, announcement: &FamilyAnnouncement) {
        let mut links = self.finder.announced(announcement);
        if let Some(normal) = announcement.hash.normal() {
            let name = Name::new(self.setup.key.content_id(&normal), normal);
            let FamilyAnnouncement { content, class, at, .. } = *announcement;
            links.extend(self.finder.further(content, class, &name, at));
        }
        self.append_links(links);
    }

    /// `tocsin.families` was read as far as it was written at the start. Further hashes of what is announced no more are taken out of it:
    /// whoever read the withdrawal may have ended before it did.
    pub fn caught_up(&mut self) {
        for (content, class, hash) in self.finder.caught_up() {
            self.append_family(family::further_hash_key(content, class, hash), None);
        }
    }

    pub(super) fn links(&mut self, event: &EventRef<'_>, sighting: &Sighting<'_>) -> Vec<Link> {
        let key = &self.setup.key;
        let name_of = |hash: ContentHash| Name::new(key.content_id(&hash), hash);
        let Some(own) = sighting.hash.to_hash() else {
            return Vec::new();
        };
        let own = Name::new(sighting.content, own);
        let mut further = Vec::new();
        for hash in event.content.iter().map(|view| view.to_hash()) {
            let is_pdq = hash.algorithm() == Algorithm::Pdq;
            further.extend(hash.normal().map(name_of));
            let name = name_of(hash);
            self.counted.unmatchable += u64::from(is_pdq && name.pdq.is_none());
            if name.hash.routes() && name.id != own.id {
                further.push(name);
            }
        }
        if !event.frames.is_empty() {
            match Video::of_frames(event.frames.iter()) {
                Some(video) => {
                    let digest = event.frames.digest();
                    further.push(Name::of_video(key.content_id(&digest), digest, video));
                }
                None => self.counted.unmatchable += 1,
            }
        }
        let same_as = event.same_as.iter().map(|view| view.to_hash());
        let same_as: Vec<Name> = same_as.filter(ContentHash::routes).map(name_of).collect();
        self.finder.seen(Seen {
            own,
            further,
            same_as: &same_as,
            party: sighting.party,
            sharing: sighting.sharing,
            at: sighting.received_at,
        })
    }

    pub(super) fn append_links(&mut self, links: Vec<Link>) {
        for link in links {
            let partition = self.setup.partitions.partition_of(link.content.group());
            self.flush_partition(partition);
            self.counted.links += 1;
            self.append(partition, SightingsRecord::Link(link).encode(), None);
        }
        for further in self.finder.take_further() {
            let hash = self.setup.key.content_id(&further.hash);
            let key = family::further_hash_key(further.content, further.class, hash);
            self.append_family(key, Some(family::encode_further_hash(&further)));
        }
    }

    pub(super) fn append_family(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.out.push(Append {
            to: TopicPartition::new(topics::FAMILIES, 0),
            key: Some(Bytes::from(key)),
            value: value.map(Bytes::from),
            headers: Vec::new(),
        });
    }
}
