use tocsin_model::{AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Label, Name, Sharing};

use super::occurrence::{Account, Family, Occurrence};
use super::plan::DayPlan;
use crate::scenario::draw::Draw;

/// What names the contents of whole events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// All variants of a family have one hash: somebody has grouped them, without a mistake.
    Known,
    /// Every variant has a hash of its own, and every second event of one but the first asserts that it is the same as the first.
    Asserted,
}

/// Makes whole events of records: hashes, pseudonyms and event ids follow from the numbers, the day and its seed.
#[derive(Clone, Debug)]
pub struct Identity {
    seed: u64,
    grouping: Grouping,
    parties: Vec<Name>,
    platforms: Vec<Name>,
}

impl Identity {
    /// Of the records of this plan.
    pub fn new(plan: &DayPlan, grouping: Grouping) -> Self {
        Identity {
            seed: Draw::of(plan.seed, "identity", u64::from(plan.number)).next(),
            grouping,
            parties: plan.parties.clone(),
            platforms: plan.platforms.iter().map(|platform| platform.name.clone()).collect(),
        }
    }

    /// The party that publishes a record.
    pub fn party(&self, occurrence: &Occurrence) -> &Name {
        &self.parties[usize::from(occurrence.party)]
    }

    /// The hash of a variant: what its events carry, if variants have hashes of their own. The first variant's is the family's.
    pub fn content(&self, family: Family, variant: u16) -> ContentHash {
        let bytes: [u8; 32] = Draw::of(self.seed ^ family.0, "content", u64::from(variant)).bytes();
        ContentHash::from_bytes(Algorithm::Sha256, bytes.to_vec(), None).expect("a SHA-256 has 32 bytes")
    }

    /// The pseudonym of an account.
    ///
    /// That of a crafted one is what an attacker would like to have it: read as a hash of 64 bits by a HyperLogLog of 2^14 registers, it finds
    /// register after register at the highest rank there is.
    pub fn account(&self, account: Account) -> AccountPseudonym {
        let mut bytes: [u8; 16] = Draw::of(self.seed, "account", account.0).bytes();
        if account.is_crafted() {
            bytes[..8].copy_from_slice(&(account.index() << 50).to_be_bytes());
        }
        AccountPseudonym(bytes)
    }

    /// The whole event.
    pub fn event(&self, occurrence: &Occurrence) -> Event {
        let family = occurrence.family;
        let (variant, asserted) = match self.grouping {
            Grouping::Known => (0, false),
            Grouping::Asserted => (
                occurrence.variant,
                occurrence.variant > 0 && occurrence.number.is_multiple_of(2),
            ),
        };
        let place = occurrence.account.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61;
        let (region, language) = [
            (*b"US", *b"en"),
            (*b"US", *b"es"),
            (*b"NZ", *b"en"),
            (*b"DE", *b"de"),
            (*b"BR", *b"pt"),
            (*b"IN", *b"hi"),
            (*b"IN", *b"en"),
            (*b"FR", *b"fr"),
        ][place as usize];
        Event {
            event_id: self.event_id(occurrence),
            platform: self.platforms[usize::from(occurrence.platform)].clone(),
            kind: occurrence.kind,
            occurred_at: occurrence.occurred_at,
            content: vec![self.content(family, variant)],
            frames: Vec::new(),
            same_as: if asserted {
                vec![self.content(family, 0)]
            } else {
                Vec::new()
            },
            account: Some(self.account(occurrence.account)),
            account_epoch: 1,
            region: Some(region),
            language: Some(language),
            // A refused upload was seen by nobody.
            audience: (occurrence.kind != Kind::BlockedUpload).then_some(occurrence.audience),
            surface: occurrence.surface,
            labels: occurrence
                .tvec_confidence
                .map(|confidence| Label {
                    name: Event::LABEL_TVEC.to_owned(),
                    confidence: f32::from(confidence) / 100.0,
                })
                .into_iter()
                .collect(),
            sharing: Sharing::All,
        }
    }

    /// A UUID of version 7 (RFC 9562, section 5.7).
    fn event_id(&self, occurrence: &Occurrence) -> EventId {
        let mut bytes: [u8; 16] = Draw::of(self.seed, "event", occurrence.number).bytes();
        bytes[..6].copy_from_slice(&occurrence.occurred_at.0.to_be_bytes()[2..]);
        bytes[6] = 0x70 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        EventId(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::day::{Day, FamilyKind, Scale, Scenario};

    #[test]
    fn events_are_valid_and_as_different_as_their_records() {
        let plan = DayPlan::new(Scenario::Poisoning, Scale(2e-5), 3);
        let identity = Identity::new(&plan, Grouping::Asserted);
        let mut numbers: HashMap<EventId, u64> = HashMap::new();
        let mut contents: HashMap<Vec<ContentHash>, (Family, u16)> = HashMap::new();
        let schemas = tocsin_wire::Schemas::builtin();
        let mut asserted = 0;
        for occurrence in Day::new(&plan).take(20_000) {
            let event = identity.event(&occurrence);
            assert_eq!(
                *numbers.entry(event.event_id).or_insert(occurrence.number),
                occurrence.number
            );
            let content = (occurrence.family, occurrence.variant);
            assert_eq!(*contents.entry(event.content.clone()).or_insert(content), content);
            asserted += event.same_as.len();
            let bytes = tocsin_wire::event::encode_single_object(&event);
            let decoded = tocsin_wire::event::decode(&bytes, schemas).unwrap().to_events();
            assert_eq!(decoded, [Ok(event)]);
        }
        assert!(asserted > 0);
    }

    #[test]
    fn a_known_family_has_one_hash() {
        let plan = DayPlan::new(Scenario::Christchurch, Scale(1e-5), 3);
        let identity = Identity::new(&plan, Grouping::Known);
        let hashes: HashSet<_> = Day::new(&plan)
            .filter(|occurrence| occurrence.family.kind() == FamilyKind::Crisis)
            .take(1_000)
            .map(|occurrence| identity.event(&occurrence).content)
            .collect();
        assert_eq!(hashes.len(), 1);
    }

    #[test]
    fn crafted_pseudonyms_fill_registers_of_an_unkeyed_sketch() {
        let plan = DayPlan::new(Scenario::Poisoning, Scale(1e-5), 3);
        let identity = Identity::new(&plan, Grouping::Known);
        let hash = |index| {
            let pseudonym = identity.account(Account::crafted(1, index)).0;
            u64::from_be_bytes(pseudonym[..8].try_into().unwrap())
        };
        for index in 0..100 {
            assert_eq!((hash(index) >> 50, hash(index) << 14), (index, 0));
        }
        assert_ne!(
            identity.account(Account::crafted(1, 7)),
            identity.account(Account::crafted(2, 7))
        );
    }
}
