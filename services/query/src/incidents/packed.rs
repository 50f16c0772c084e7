//! The hashes that packs of live incidents list, by their ids and by PDQ distance: what is found when nothing announces it any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tocsin_family::{Lookup, Pdq, PdqIndex};
use tocsin_incident::{Incident, IncidentId};
use tocsin_model::{ContentHash, ContentId};
use tocsin_store::{OPEN_INCIDENTS_MAX, PackedHash};

use crate::replica::{Announced, MatchedHash};

/// How many different hashes that one incident's packs list for everyone are held at most: those of the latest packs. What one incident lists takes no room from
/// another, so that nobody learns from what is left out that there is another.
pub const INCIDENT_HASHES_MAX: usize = 16_384;
/// The same of those that its packs list for coordinators alone: they take no room from the others.
pub const INCIDENT_COORDINATORS_HASHES_MAX: usize = 4_096;
/// How many entries of one incident's packs are read at most, of the latest pack all in any case.
pub const INCIDENT_ENTRIES_MAX: u32 = 65_536;

/// A bit for each place in the list of live incidents.
pub(super) const BITS: [u64; OPEN_INCIDENTS_MAX] = {
    let mut bits = [0; OPEN_INCIDENTS_MAX];
    let mut place = 0;
    while place < OPEN_INCIDENTS_MAX {
        bits[place] = 1 << place;
        place += 1;
    }
    bits
};

/// What packs list, and of which incidents, each by its place in the list of live incidents.
///
/// Memory: some 320 bytes for each hash, and 8 MiB from the first PDQ hash on.
#[derive(Debug, Default)]
pub struct PackedTable {
    /// The live incidents in their order, each with its packs that hold, the latest first.
    of: Vec<(IncidentId, Vec<u32>)>,
    /// How many entries of packs are not read, since the incident has so many.
    unread: usize,
    hashes: HashMap<ContentId, Packed>,
    by_pdq: PdqIndex<ContentId>,
    /// How many different hashes each incident lists for everyone, and for coordinators alone.
    counts: Vec<(usize, usize)>,
    /// Those that found no place.
    refused: usize,
}

#[derive(Debug)]
struct Packed {
    hash: ContentHash,
    /// The incidents that list it for everyone who reads them, and for coordinators alone: a bit for each.
    for_all: u64,
    for_coordinators: u64,
}

impl PackedTable {
    /// A table for the packs of these incidents, still empty.
    pub fn of(incidents: &[Incident]) -> PackedTable {
        let mut unread = 0;
        let of = incidents.iter().take(OPEN_INCIDENTS_MAX).map(|incident| {
            let (packs, left_out) = wanted(incident);
            unread += left_out as usize;
            (incident.id, packs)
        });
        let of: Vec<_> = of.collect();
        PackedTable {
            counts: vec![(0, 0); of.len()],
            of,
            unread,
            ..PackedTable::default()
        }
    }

    /// Whether it is made of the packs that these incidents have now.
    pub fn is_of(&self, incidents: &[Incident]) -> bool {
        let now = incidents.iter().take(OPEN_INCIDENTS_MAX);
        now.map(|incident| (incident.id, wanted(incident).0))
            .eq(self.of.iter().cloned())
    }

    /// The packs to be added, by incident and number, the latest of each incident first.
    pub fn wanted(&self) -> Vec<(IncidentId, u32)> {
        let packs = |(id, numbers): &(IncidentId, Vec<u32>)| -> Vec<(IncidentId, u32)> {
            numbers.iter().map(|number| (*id, *number)).collect()
        };
        self.of.iter().flat_map(packs).collect()
    }

    /// Takes the hashes of a pack, each with the id of its content.
    pub fn add(&mut self, incident: IncidentId, hashes: impl IntoIterator<Item = (ContentId, PackedHash)>) {
        let Some(place) = self.of.iter().position(|(id, _)| *id == incident) else {
            return;
        };
        let bit = BITS[place];
        let mut refused = BTreeSet::new();
        for (content, PackedHash { hash, for_all, .. }) in hashes {
            let known = self.hashes.get(&content);
            let listed = known.map_or(0, |known| match for_all {
                true => known.for_all,
                false => known.for_coordinators,
            });
            if listed & bit == 0 {
                let (count, most) = match for_all {
                    true => (&mut self.counts[place].0, INCIDENT_HASHES_MAX),
                    false => (&mut self.counts[place].1, INCIDENT_COORDINATORS_HASHES_MAX),
                };
                if *count >= most {
                    refused.insert(content);
                    continue;
                }
                *count += 1;
            }
            if known.is_none()
                && let Ok(pdq) = Pdq::of(&hash)
            {
                // An index has room for sixteen times as many.
                let _ = self.by_pdq.insert(pdq, content);
            }
            let packed = self.hashes.entry(content).or_insert(Packed {
                hash,
                for_all: 0,
                for_coordinators: 0,
            });
            match for_all {
                true => packed.for_all |= bit,
                false => packed.for_coordinators |= bit,
            }
        }
        self.refused += refused.len();
    }

    /// How many hashes it holds.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// How many entries of packs it has no place for; what several packs list counts several times.
    pub fn left_out(&self) -> usize {
        self.unread + self.refused
    }

    /// The incidents that list a content, as far as they tell the reader of its hash.
    pub(super) fn incidents_of(&self, content: ContentId, reads_all_hashes: bool) -> u64 {
        let told = |packed: &Packed| packed.told(reads_all_hashes);
        self.hashes.get(&content).map_or(0, told)
    }

    /// The content of this id, if one of the incidents `read` lists it.
    pub(super) fn equal(&self, id: ContentId, read: u64, reads_all_hashes: bool) -> Option<Announced> {
        let packed = self.hashes.get(&id)?;
        (packed.told(reads_all_hashes) & read != 0).then(|| packed.found(id, None))
    }

    /// What the incidents `read` list at most [`Pdq::DISTANCE_MAX`] bits away, the nearest first, equally near ones ascending.
    pub(super) fn near(&self, pdq: &Pdq, (read, reads_all_hashes): (u64, bool), most: usize) -> Vec<Announced> {
        if read == 0 || self.by_pdq.is_empty() {
            return Vec::new();
        }
        let wanted = |content: &ContentId| self.incidents_of(*content, reads_all_hashes) & read != 0;
        let (mut lookup, mut slots) = (Lookup::default(), Vec::new());
        self.by_pdq.near(pdq, most, wanted, &mut lookup, &mut slots);
        let found = slots.into_iter().filter_map(|found| {
            let packed = self.hashes.get(&found.value)?;
            Some(packed.found(found.value, Some(found.distance)))
        });
        found.collect()
    }
}

impl Packed {
    fn told(&self, reads_all_hashes: bool) -> u64 {
        match reads_all_hashes {
            true => self.for_all | self.for_coordinators,
            false => self.for_all,
        }
    }

    fn found(&self, content: ContentId, distance: Option<u32>) -> Announced {
        Announced {
            content,
            hash: self.hash.clone(),
            distance,
            shares: None,
            by: MatchedHash::Packed,
        }
    }
}

/// The packs of an incident that are read, the latest first, and how many entries are in those that are not.
fn wanted(incident: &Incident) -> (Vec<u32>, u32) {
    let hold = incident.packs.iter().filter(|pack| pack.withdrawn_at.is_none());
    // A number is given once.
    let latest_first: BTreeMap<_, _> = hold.map(|pack| (std::cmp::Reverse(pack.number), pack.hashes)).collect();
    let (mut packs, mut read, mut left_out) = (Vec::new(), 0_u32, 0_u32);
    for (number, hashes) in latest_first {
        read = read.saturating_add(hashes);
        match packs.is_empty() || (left_out == 0 && read <= INCIDENT_ENTRIES_MAX) {
            true => packs.push(number.0),
            false => left_out = left_out.saturating_add(hashes),
        }
    }
    (packs, left_out)
}

#[cfg(test)]
mod tests;
