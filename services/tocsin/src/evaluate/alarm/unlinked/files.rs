//! The files that copies of a family are, and the hashes that platforms report of them.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_family::Name;
use tocsin_loadtest::day::{DayPlan, Family, FamilyKind, Grouping, Identity, Occurrence};
use tocsin_loadtest::picture::flipped;
use tocsin_model::{Algorithm, ContentHash, DeploymentKey};

/// How a variant of a crisis differs from its source, and what leads from the one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    /// A PDQ hash within 31 bits: 60 % of the variants, and the source itself.
    Near,
    /// 32 to 76 bits, and a further hash in common, as of the sound: 12.5 %.
    Hash,
    /// 32 to 76 bits, and every second event says that it is the same: 12.5 %.
    Word,
    /// Nothing: 15 %. No machine can tell.
    None,
}

/// What one event says of its content.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) own: Name,
    pub(super) further: Vec<Name>,
    pub(super) same_as: Vec<Name>,
}

/// Makes files of families and variants.
#[derive(Debug)]
pub(super) struct Files {
    identity: Identity,
    key: DeploymentKey,
    seed: u64,
    /// Of the variants of crises, which are asked for again and again.
    crises: HashMap<(Family, u16), File>,
}

/// A file.
#[derive(Clone, Debug)]
struct File {
    signal: Signal,
    sha256: Name,
    md5: Name,
    pdq: Name,
    sound: Option<Name>,
}

/// This party names files by MD5 and knows no SHA-256: what it reports of a file is another content, with a hash in common.
const NAMES_BY_MD5: u8 = 2;

impl Files {
    pub(super) fn new(plan: &DayPlan, key: DeploymentKey) -> Self {
        Files {
            identity: Identity::new(plan, Grouping::Asserted),
            key,
            seed: plan.seed.wrapping_mul(1_000).wrapping_add(u64::from(plan.number)),
            crises: HashMap::new(),
        }
    }

    /// What leads from a variant of a crisis to its source.
    pub(super) fn signal(&mut self, crisis: Family, variant: u16) -> Signal {
        self.file(crisis, variant).signal
    }

    /// What the event of this record says.
    pub(super) fn named(&mut self, occurrence: &Occurrence) -> Named {
        let file = self.file(occurrence.family, occurrence.variant);
        let asserts = file.signal == Signal::Word && occurrence.number.is_multiple_of(2);
        let (own, mut further) = match occurrence.party {
            NAMES_BY_MD5 => (file.md5, vec![file.pdq]),
            _ => (file.sha256, vec![file.md5, file.pdq]),
        };
        further.extend(file.sound);
        let same_as = match asserts {
            true => vec![self.file(occurrence.family, 0).sha256],
            false => Vec::new(),
        };
        Named { own, further, same_as }
    }

    fn file(&mut self, family: Family, variant: u16) -> File {
        if let Some(file) = self.crises.get(&(family, variant)) {
            return file.clone();
        }
        let mut random = self.random(family, variant);
        let file = if family.kind() == FamilyKind::Crisis {
            let mut of_source = self.random(family, u16::MAX);
            let (source, sound): ([u8; 32], [u8; 16]) = (of_source.random(), of_source.random());
            let (signal, flips) = match (variant, random.random_range(0..1_000)) {
                (0, _) => (Signal::Near, 0),
                (_, 0..600) => (Signal::Near, random.random_range(0..=31)),
                (_, 600..725) => (Signal::Hash, random.random_range(32..=76)),
                (_, 725..850) => (Signal::Word, random.random_range(32..=76)),
                _ => (Signal::None, 128),
            };
            let pdq = flipped(source, flips, &mut random);
            let has_sound = variant == 0 || signal == Signal::Hash;
            let sound = has_sound.then(|| self.name(Algorithm::Md5, &sound));
            self.with_hashes((family, variant), signal, pdq, sound, &mut random)
        } else {
            let pdq = random.random();
            self.with_hashes((family, variant), Signal::Near, pdq, None, &mut random)
        };
        if family.kind() == FamilyKind::Crisis {
            self.crises.insert((family, variant), file.clone());
        }
        file
    }

    fn with_hashes(
        &self,
        (family, variant): (Family, u16),
        signal: Signal,
        pdq: [u8; 32],
        sound: Option<Name>,
        random: &mut SmallRng,
    ) -> File {
        let sha256 = self.identity.content(family, variant);
        File {
            signal,
            sha256: Name::new(self.key.content_id(&sha256), sha256),
            md5: self.name(Algorithm::Md5, &random.random::<[u8; 16]>()),
            pdq: self.name(Algorithm::Pdq, &pdq),
            sound,
        }
    }

    fn random(&self, family: Family, variant: u16) -> SmallRng {
        let family = family.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        SmallRng::seed_from_u64(self.seed ^ family ^ u64::from(variant).rotate_left(48))
    }

    fn name(&self, algorithm: Algorithm, value: &[u8]) -> Name {
        let hash = ContentHash::from_bytes(algorithm, value.to_vec(), None).expect("a value of that algorithm");
        Name::new(self.key.content_id(&hash), hash)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tocsin_loadtest::day::{Day, Scale};

    #[test]
    fn variants_differ_as_stated_and_hashes_are_shared_where_a_signal_says_so() {
        let plan = DayPlan::headline(Scale(1e-6), 5, 0);
        let key = DeploymentKey::from_bytes([7; 32]);
        let mut files = Files::new(&plan, key);
        let crisis = Day::new(&plan)
            .find(|record| record.family.kind() == FamilyKind::Crisis)
            .unwrap();
        let mut named = |variant: u16, party: u8| {
            let occurrence = Occurrence {
                variant,
                party,
                number: 2,
                ..crisis
            };
            (files.signal(crisis.family, variant), files.named(&occurrence))
        };
        let (_, source) = named(0, 0);
        let mut counts = [0; 4];
        for variant in 1..2_000 {
            let (signal, of_one) = named(variant, 0);
            let (_, of_other) = named(variant, NAMES_BY_MD5);
            counts[signal as usize] += 1;
            assert_ne!(of_one.own.id, of_other.own.id);
            assert!(of_one.further.contains(&of_other.own), "one file, an equal hash");
            let pdq = |named: &Named| named.further.iter().find_map(|name| name.pdq).unwrap();
            let distance = pdq(&of_one).distance(&pdq(&source));
            let shares = of_one
                .further
                .iter()
                .any(|name| source.further.contains(name) && distance > 0);
            let (near, shared, said) = match signal {
                Signal::Near => (0..=31, false, false),
                Signal::Hash => (32..=76, true, false),
                Signal::Word => (32..=76, false, true),
                Signal::None => (128..=128, false, false),
            };
            assert!(near.contains(&distance), "{variant} {signal:?} {distance}");
            assert_eq!(
                (shares, of_one.same_as == [source.own.clone()]),
                (shared, said),
                "{variant} {signal:?}"
            );
        }
        for (count, expected) in counts.into_iter().zip([1_200, 250, 250, 300]) {
            assert!(i32::abs(count - expected) < 80, "{counts:?}");
        }
    }
}
