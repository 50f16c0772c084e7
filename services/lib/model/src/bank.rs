//! Banks: named lists of hashes that somebody keeps, and what parties hold of what is listed.

use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;

use siphasher::sip::SipHasher24;

use crate::{ContentHash, Name, Severity, Timestamp};

/// The name of a bank: 1 to 64 of `A-Z`, `0-9` and `_`, as the open matcher HMA has it, but for [`BankName::RESERVED`] and what begins with
/// [`BankName::OF_INCIDENTS`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BankName(String);

/// The text is not a [`BankName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a bank's name has 1 to 64 of A-Z, 0-9 and '_', is not HOT_FAMILIES and does not begin with INCIDENT_")]
pub struct BankNameError;

impl BankName {
    /// The longest name, in bytes.
    pub const LENGTH_MAX: usize = 64;
    /// What look-ups call the families that are hot.
    pub const RESERVED: &str = "HOT_FAMILIES";
    /// With this begins what look-ups call a live incident; its id follows.
    pub const OF_INCIDENTS: &str = "INCIDENT_";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bank of what a source lists one by one: its name in capitals, '-' as '_'. No two sources have one: where the name holds a '_', or would be
    /// reserved, or end as one that is told apart so, `__` stands behind it and a number in base 36 that says which of its '_' are one. Where it would begin
    /// as an incident's, '_' stands before it, with which no source's name begins.
    pub fn of_source(source: &Name) -> BankName {
        let separators = source.as_str().bytes().filter(|byte| matches!(byte, b'-' | b'_'));
        // A name has 48 bytes at most, so its separators fit.
        let own = separators
            .enumerate()
            .fold(0_u64, |own, (place, byte)| own | u64::from(byte == b'_') << place);
        let name = source.as_str().to_ascii_uppercase().replace('-', "_");
        let seems_told_apart = name
            .rsplit_once("__")
            .is_some_and(|(_, last)| last.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let name = match own != 0 || seems_told_apart || name == BankName::RESERVED {
            true => format!("{name}__{}", base_36(own)),
            false => name,
        };
        BankName(match name.starts_with(BankName::OF_INCIDENTS) {
            true => format!("_{name}"),
            false => name,
        })
    }

    /// The source of which this is the bank ([`BankName::of_source`]), if there can be one.
    pub fn own_source(&self) -> Option<Name> {
        let plain = self.0.strip_prefix('_').unwrap_or(&self.0);
        let told_apart = plain.rsplit_once("__");
        let told_apart = told_apart.and_then(|(name, own)| Some((name, u64::from_str_radix(own, 36).ok()?)));
        let (name, own) = told_apart.unwrap_or((plain, 0));
        let mut place = 0;
        let separated = |letter: char| match letter {
            '_' => {
                place += 1;
                if (own >> (place - 1)) & 1 == 1 { '_' } else { '-' }
            }
            letter => letter.to_ascii_lowercase(),
        };
        let source: Name = name.chars().map(separated).collect::<String>().parse().ok()?;
        (BankName::of_source(&source) == *self).then_some(source)
    }
}

/// A number in the digits 0 to 9 and A to Z.
fn base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(
            char::from_digit((number % 36) as u32, 36)
                .unwrap_or('0')
                .to_ascii_uppercase(),
        );
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

impl FromStr for BankName {
    type Err = BankNameError;
    fn from_str(text: &str) -> Result<Self, BankNameError> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        match !text.is_empty()
            && text.len() <= BankName::LENGTH_MAX
            && text.bytes().all(allowed)
            && text != BankName::RESERVED
            && !text.starts_with(BankName::OF_INCIDENTS)
        {
            true => Ok(BankName(text.to_owned())),
            false => Err(BankNameError),
        }
    }
}

impl fmt::Display for BankName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which part of a bank is listed, in parts per million of its hashes. A hash is in or out by itself: the same in every run, and whoever is
/// in at one fraction is in at every larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sampled(u32);

impl Sampled {
    /// All of it.
    pub const ALL: Sampled = Sampled(1_000_000);

    /// So many parts per million, at most [`Sampled::ALL`].
    pub fn from_parts_per_million(parts: u32) -> Option<Sampled> {
        (parts <= Sampled::ALL.0).then_some(Sampled(parts))
    }

    /// The part from 0 to 1.
    pub fn from_fraction(fraction: f64) -> Option<Sampled> {
        let is_part = (0.0..=1.0).contains(&fraction);
        is_part.then(|| Sampled((fraction * f64::from(Sampled::ALL.0)).round() as u32))
    }

    /// Parts per million.
    pub fn parts_per_million(self) -> u32 {
        self.0
    }

    /// The part from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Sampled::ALL.0)
    }

    /// Whether this hash is in: SipHash-2-4 of its algorithm and bytes under the key zero, as a part of 2^64. Not secret: whoever wants may
    /// know which hashes are tried out.
    pub fn takes(self, hash: &ContentHash) -> bool {
        let mut sip = SipHasher24::new();
        sip.write(&[hash.algorithm() as u8]);
        sip.write(hash.value());
        let place = (u128::from(sip.finish()) * u128::from(Sampled::ALL.0)) >> 64;
        place < u128::from(self.0)
    }
}

/// What a party holds of one listed hash. Numbers and meaning as in the `threatexchange` library (`SignalOpinionCategory`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Opinion {
    /// It finds what is harmless, or is a test.
    Negative = 0,
    /// It leads to what is to be looked at.
    InvestigationSeed = 1,
    /// It is what the bank is for.
    Positive = 2,
}

/// What several parties hold together (`AggregateSignalOpinionCategory`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Aggregate {
    /// All say it is harmless.
    Negative = 0,
    /// Nobody says more than that it is to be looked at, and nobody that it is harmless.
    InvestigationSeed = 1,
    /// At least one says that it is what the bank is for, and nobody that it is harmless.
    Positive = 2,
    /// Some say that it is harmless, some say otherwise.
    Disputed = 3,
}

impl Opinion {
    /// All of them, by number.
    pub const ALL: [Opinion; 3] = [Opinion::Negative, Opinion::InvestigationSeed, Opinion::Positive];

    /// The opinion with this number.
    pub fn from_number(number: u8) -> Option<Opinion> {
        Opinion::ALL.into_iter().find(|opinion| *opinion as u8 == number)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Opinion::Negative => "negative",
            Opinion::InvestigationSeed => "investigation_seed",
            Opinion::Positive => "positive",
        }
    }

    /// The opinion of this name.
    pub fn from_name(name: &str) -> Option<Opinion> {
        Opinion::ALL.into_iter().find(|opinion| opinion.name() == name)
    }
}

impl Aggregate {
    /// What these come to: the strongest, unless one of them is negative and another is not. `None` without any.
    pub fn of(opinions: impl IntoIterator<Item = Opinion>) -> Option<Aggregate> {
        let (mut least, mut most) = (None::<Opinion>, None::<Opinion>);
        for opinion in opinions {
            least = Some(least.map_or(opinion, |least| least.min(opinion)));
            most = most.max(Some(opinion));
        }
        Some(match (least?, most?) {
            (Opinion::Negative, Opinion::Negative) => Aggregate::Negative,
            (Opinion::Negative, _) => Aggregate::Disputed,
            (_, Opinion::Positive) => Aggregate::Positive,
            (_, _) => Aggregate::InvestigationSeed,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Aggregate::Negative => "negative",
            Aggregate::InvestigationSeed => "investigation_seed",
            Aggregate::Positive => "positive",
            Aggregate::Disputed => "disputed",
        }
    }

    /// How grave a content is whose gravest listing says `listed`: what is disputed, or only a seed, rings as lightly as can be, so that one
    /// party can neither silence what another lists nor raise it; what all who said anything call harmless is not listed.
    pub fn severity(self, listed: Severity) -> Option<Severity> {
        match self {
            Aggregate::Negative => None,
            Aggregate::InvestigationSeed | Aggregate::Disputed => Some(Severity::MIN),
            Aggregate::Positive => Some(listed),
        }
    }
}

/// One entry of a bank, as its source gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankEntry {
    /// The hash.
    pub hash: ContentHash,
    /// How grave it is, where the entry says otherwise than its bank.
    pub severity: Option<Severity>,
    /// The source's own name of it; at most [`BankEntry::SOURCE_ID_LENGTH_MAX`] bytes.
    pub source_id: Option<String>,
    /// The source's tags; together at most [`BankEntry::TAGS_LENGTH_MAX`] bytes.
    pub tags: Vec<String>,
    /// What parties hold of it; at most [`BankEntry::OPINIONS_MAX`]. Whose bank it is holds it for positive unless it stands here.
    pub opinions: Vec<(Name, Opinion)>,
    /// When the source first listed it, if it says so.
    pub listed_at: Option<Timestamp>,
    /// When the source last changed it, if it says so.
    pub updated_at: Option<Timestamp>,
}

/// One thing that a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListUpdate {
    /// This is listed, and replaces what was said of the hash before.
    Listed(BankEntry),
    /// This is listed no more: a deletion, or a tombstone.
    Withdrawn(ContentHash),
}

impl BankEntry {
    /// The longest name of its source, in bytes.
    pub const SOURCE_ID_LENGTH_MAX: usize = 128;
    /// How long its tags are together, in bytes, with one between any two.
    pub const TAGS_LENGTH_MAX: usize = 1_024;
    /// How many parties' opinions are kept of one entry.
    pub const OPINIONS_MAX: usize = 32;

    /// An entry of which nothing is known but its hash.
    pub fn new(hash: ContentHash) -> BankEntry {
        BankEntry {
            hash,
            severity: None,
            source_id: None,
            tags: Vec::new(),
            opinions: Vec::new(),
            listed_at: None,
            updated_at: None,
        }
    }
}

impl ListUpdate {
    /// The hash that it is about.
    pub fn hash(&self) -> &ContentHash {
        match self {
            ListUpdate::Listed(entry) => &entry.hash,
            ListUpdate::Withdrawn(hash) => hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    #[test]
    fn a_banks_name_is_what_hma_takes() {
        for name in ["A", "INCIDENT", "INCIDENTS_00FF", "_INCIDENT_00FF", "_", "7"] {
            assert_eq!(name.parse::<BankName>().unwrap().as_str(), name);
        }
        let long = "A".repeat(65);
        for name in [
            "",
            "a",
            "A-B",
            "Ä",
            "A B",
            "HOT_FAMILIES",
            "INCIDENT_",
            "INCIDENT_00FF",
            long.as_str(),
        ] {
            assert_eq!(name.parse::<BankName>(), Err(BankNameError), "{name}");
        }
    }

    #[test]
    fn no_two_sources_have_one_bank() {
        for (source, bank) in [
            ("tech-against-terrorism", "TECH_AGAINST_TERRORISM"),
            ("tech-against_terrorism", "TECH_AGAINST_TERRORISM__2"),
            ("hot-families", "HOT_FAMILIES__0"),
            ("hot_families", "HOT_FAMILIES__1"),
            ("a--1", "A__1__0"),
            ("incident", "INCIDENT"),
            ("incidents-1", "INCIDENTS_1"),
            ("incident-00ff", "_INCIDENT_00FF"),
            ("incident_", "_INCIDENT___1"),
        ] {
            assert_eq!(BankName::of_source(&source.parse().unwrap()).as_str(), bank);
        }
        // All short names, and the longest.
        let mut names = vec![String::new()];
        for _ in 0..7 {
            let longer = names
                .iter()
                .flat_map(|name| ["a", "1", "-", "_"].map(|letter| format!("{name}{letter}")));
            names = longer.collect::<Vec<_>>().into_iter().chain(names).collect();
            names.sort_unstable();
            names.dedup();
        }
        names.push(format!("a{}", "_".repeat(Name::LENGTH_MAX - 1)));
        names.push(format!("incident{}", "_".repeat(Name::LENGTH_MAX - 8)));
        names.extend(
            [
                "incident",
                "incident-",
                "incident_",
                "incident-a",
                "incident_a",
                "incident--1",
            ]
            .map(str::to_owned),
        );
        let sources: Vec<Name> = names.iter().filter_map(|name| name.parse().ok()).collect();
        assert!(sources.len() > 4_000);
        let banks: std::collections::BTreeSet<BankName> = sources
            .iter()
            .map(|source| BankName::of_source(source).as_str().parse().unwrap())
            .collect();
        assert_eq!(banks.len(), sources.len());
        for source in sources {
            assert_eq!(BankName::of_source(&source).own_source(), Some(source));
        }
        for bank in [
            "A__3",
            "_A",
            "_INCIDENTS_A",
            "A____________________________________________________________1",
        ] {
            assert_eq!(bank.parse::<BankName>().unwrap().own_source(), None, "{bank}");
        }
    }

    #[test]
    fn a_sample_is_stable_grows_with_its_fraction_and_has_its_size() {
        let hashes: Vec<ContentHash> = (0..20_000_u32)
            .map(|number| {
                let mut value = [0; 16];
                value[..4].copy_from_slice(&number.to_le_bytes());
                ContentHash::from_bytes(Algorithm::Md5, value.to_vec(), None).unwrap()
            })
            .collect();
        let mut before = 0;
        for fraction in [0.0, 0.001, 0.1, 0.5, 0.9, 1.0] {
            let sampled = Sampled::from_fraction(fraction).unwrap();
            let taken = hashes.iter().filter(|hash| sampled.takes(hash)).count();
            let expected = fraction * hashes.len() as f64;
            let deviation = (expected * (1.0 - fraction)).sqrt();
            assert!(
                (taken as f64 - expected).abs() <= 5.0 * deviation,
                "{fraction}: {taken}"
            );
            assert!(taken >= before);
            before = taken;
        }
        let (small, large) = (Sampled(1_000), Sampled(300_000));
        assert!(hashes.iter().all(|hash| !small.takes(hash) || large.takes(hash)));
        assert_eq!(Sampled::from_fraction(1.1), None);
        assert_eq!(Sampled::from_fraction(f64::NAN), None);
        // Of these bytes the place is known: another would list other contents in a deployment that was updated.
        let taken: Vec<usize> = (0..64).filter(|place| large.takes(&hashes[*place])).collect();
        assert_eq!(taken, TAKEN);
    }

    const TAKEN: [usize; 17] = [2, 6, 13, 15, 20, 22, 28, 34, 36, 41, 43, 45, 48, 53, 54, 59, 62];

    #[test]
    fn opinions_come_together_as_the_threatexchange_library_has_it() {
        use Opinion::{InvestigationSeed as Seed, Negative, Positive};
        let cases: [(&[Opinion], Option<Aggregate>); 9] = [
            (&[], None),
            (&[Negative], Some(Aggregate::Negative)),
            (&[Negative, Negative], Some(Aggregate::Negative)),
            (&[Seed], Some(Aggregate::InvestigationSeed)),
            (&[Positive], Some(Aggregate::Positive)),
            (&[Positive, Seed], Some(Aggregate::Positive)),
            (&[Seed, Negative], Some(Aggregate::Disputed)),
            (&[Positive, Negative], Some(Aggregate::Disputed)),
            (&[Negative, Positive, Seed], Some(Aggregate::Disputed)),
        ];
        for (opinions, aggregate) in cases {
            assert_eq!(Aggregate::of(opinions.iter().copied()), aggregate, "{opinions:?}");
        }
        let grave = Severity::MAX;
        assert_eq!(Aggregate::Negative.severity(grave), None);
        assert_eq!(Aggregate::Disputed.severity(grave), Some(Severity::MIN));
        assert_eq!(Aggregate::InvestigationSeed.severity(grave), Some(Severity::MIN));
        assert_eq!(Aggregate::Positive.severity(grave), Some(grave));
    }
}
