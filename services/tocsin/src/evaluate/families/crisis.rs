//! Crises as files and pictures: variants of one source, lookalikes that are none of it, and what the finder of links makes of them.

use std::collections::{BTreeMap, HashMap};

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tocsin_family::{Limits, LinkFinder, Pdq, Seen};
use tocsin_loadtest::picture::{bits, flipped, with_flips};
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, FamilyAnnouncement, FamilyId, Milliseconds, PartyId, Sharing, Timestamp,
};

use crate::rehearsal::Figures;

/// At scale 1.
const CRISES: f64 = 50.0;
const VARIANTS: usize = 800;
/// Copies of the crisis' variants, by Zipf's law.
const COPIES: usize = 8_000;
const EXPONENT: f64 = 1.0;
/// Pictures that only look like the source, as a news frame or a logo do, with variants of their own.
const LOOKALIKES: usize = 10;
const LOOKALIKE_VARIANTS: usize = 20;
const LOOKALIKE_COPIES: usize = 10;
/// Every second crisis has a source so many bits from that of the one before, and there are pictures in the middle, near to both.
const APART: usize = 50;
const BRIDGES: usize = 5;
const BRIDGE_COPIES: usize = 20;
/// The groups announce a content with so many copies: the shipped setting.
const PROMOTE_AT: u32 = 3;
const BETWEEN_COPIES: Milliseconds = Milliseconds(500);

/// How a variant differs from the source of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    /// Within 31 bits.
    Near,
    /// 32 to 76 bits, and a further hash in common.
    Further,
    /// Nothing in common: no machine can tell.
    None,
}

/// A variant of a crisis, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    crisis: usize,
    signal: Signal,
    distance: u32,
    copies: u32,
    /// Whether it is in one family with the most copies of the crisis.
    joined: bool,
}

/// What became of all crises.
#[derive(Clone, Debug, Default)]
pub(super) struct Crises {
    pub(super) variants: Vec<Variant>,
    crises: usize,
    lookalikes: usize,
    /// Crises in one family with another one.
    crises_merged: usize,
    /// Lookalikes in one family with a variant of a crisis, or with another lookalike.
    benign_merges: usize,
}

/// A file: its hashes, and whose it is.
struct File {
    hash: ContentHash,
    content: ContentId,
    further: Vec<ContentId>,
    pdq: Pdq,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Crisis(usize),
    Lookalike(usize),
    /// Near to two crises: it may be taken for either.
    Bridge,
}

/// Plays crises in one stream of copies.
pub(super) fn play(scale: f64, random: &mut SmallRng) -> Crises {
    let crises = ((CRISES * scale) as usize).max(2);
    let (mut files, mut variants, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = [0; 32];
    for crisis in 0..crises {
        let mut source: [u8; 32] = random.random();
        if crisis % 2 == 1 {
            let apart = bits(random);
            source = with_flips(before, &apart[..APART]);
            for _ in 0..BRIDGES {
                let bridge = with_flips(before, &apart[..APART / 2]);
                files.push(File::new(
                    flipped(bridge, 2, random),
                    Vec::new(),
                    Source::Bridge,
                    random,
                ));
                copies.extend(std::iter::repeat_n(files.len() - 1, BRIDGE_COPIES));
            }
        }
        before = source;
        let shared = ContentId(random.random());
        let first = files.len();
        for place in 0..VARIANTS {
            let (signal, flips) = match (place, random.random_range(0..100)) {
                // Of every second crisis the source itself is about, and leads.
                (0, _) if crisis % 2 == 0 => (Signal::Further, 0),
                (_, 0..60) => (Signal::Near, random.random_range(0..=31)),
                (_, 60..85) => (Signal::Further, random.random_range(32..=76)),
                _ => (Signal::None, 128),
            };
            let further = if signal == Signal::Further {
                vec![shared]
            } else {
                Vec::new()
            };
            files.push(File::new(
                flipped(source, flips, random),
                further,
                Source::Crisis(crisis),
                random,
            ));
            variants.push(Variant {
                crisis,
                signal,
                distance: flips,
                copies: 0,
                joined: false,
            });
        }
        let weights: Vec<f64> = (1..=VARIANTS).map(|rank| (rank as f64).powf(-EXPONENT)).collect();
        let total: f64 = weights.iter().sum();
        for (place, weight) in weights.iter().enumerate() {
            let count = (COPIES as f64 * weight / total).round().max(1.0) as usize;
            copies.extend(std::iter::repeat_n(first + place, count));
            variants[first_variant(crisis) + place].copies = count as u32;
        }
        for number in 0..LOOKALIKES {
            let flips = random.random_range(63..=90);
            let lookalike = flipped(source, flips, random);
            for _ in 0..LOOKALIKE_VARIANTS {
                let flips = random.random_range(0..=15);
                let source = Source::Lookalike(crisis * LOOKALIKES + number);
                files.push(File::new(flipped(lookalike, flips, random), Vec::new(), source, random));
                copies.extend(std::iter::repeat_n(files.len() - 1, LOOKALIKE_COPIES));
            }
        }
    }
    copies.shuffle(random);
    let families = link(&files, &copies);
    judge(crises, &files, variants, &families)
}

fn first_variant(crisis: usize) -> usize {
    crisis * VARIANTS
}

/// The family of each file, as links join them.
fn link(files: &[File], copies: &[usize]) -> Vec<ContentId> {
    let mut finder = LinkFinder::new(Limits::default());
    let mut joined: HashMap<ContentId, ContentId> = HashMap::new();
    let mut counted = vec![0_u32; files.len()];
    let mut at = Timestamp(0);
    for place in copies {
        let file = &files[*place];
        at = at + BETWEEN_COPIES;
        let mut links = finder.seen(Seen {
            content: file.content,
            hash: &file.hash,
            further: &file.further,
            pdqs: std::slice::from_ref(&file.pdq),
            same_as: &[],
            party: PartyId(1),
            sharing: Sharing::All,
            at,
        });
        counted[*place] += 1;
        if counted[*place] == PROMOTE_AT {
            links.extend(finder.announced(&FamilyAnnouncement {
                content: file.content,
                hash: file.hash.clone(),
                family: FamilyId(root(&joined, file.content)),
                class: Class::All,
                at,
            }));
        }
        for link in links {
            let (one, other) = (root(&joined, link.content), root(&joined, link.family.0));
            if one != other {
                joined.insert(one.max(other), one.min(other));
            }
        }
    }
    files.iter().map(|file| root(&joined, file.content)).collect()
}

/// The content that founded a content's family.
fn root(joined: &HashMap<ContentId, ContentId>, mut content: ContentId) -> ContentId {
    while let Some(founder) = joined.get(&content) {
        content = *founder;
    }
    content
}

fn judge(crises: usize, files: &[File], mut variants: Vec<Variant>, families: &[ContentId]) -> Crises {
    let mut sources: BTreeMap<ContentId, Vec<Source>> = BTreeMap::new();
    for (file, family) in files.iter().zip(families) {
        sources.entry(*family).or_default().push(file.source);
    }
    let (mut merged, mut crises_merged) = (Vec::new(), 0);
    for sources in sources.values_mut() {
        sources.sort_unstable();
        sources.dedup();
        let lookalikes = sources.iter().filter_map(|source| match source {
            Source::Lookalike(number) => Some(*number),
            Source::Crisis(_) | Source::Bridge => None,
        });
        let of_crises = sources
            .iter()
            .filter(|source| matches!(source, Source::Crisis(_)))
            .count();
        if of_crises > 1 {
            crises_merged += of_crises;
        }
        let of_something = sources.iter().filter(|source| **source != Source::Bridge).count();
        if of_something > 1 {
            merged.extend(lookalikes);
        }
    }
    merged.sort_unstable();
    merged.dedup();

    let of_crises = files
        .iter()
        .zip(families)
        .filter(|(file, _)| matches!(file.source, Source::Crisis(_)));
    let own: Vec<ContentId> = of_crises.map(|(_, family)| *family).collect();
    for crisis in 0..crises {
        let members = first_variant(crisis)..first_variant(crisis + 1);
        let mut copies: BTreeMap<ContentId, u32> = BTreeMap::new();
        for member in members.clone() {
            *copies.entry(own[member]).or_default() += variants[member].copies;
        }
        let largest = copies
            .into_iter()
            .max_by_key(|(_, copies)| *copies)
            .map(|(family, _)| family);
        for member in members {
            variants[member].joined = Some(own[member]) == largest;
        }
    }
    Crises {
        variants,
        crises,
        lookalikes: crises * LOOKALIKES,
        crises_merged,
        benign_merges: merged.len(),
    }
}

impl File {
    fn new(pdq: [u8; 32], further: Vec<ContentId>, source: Source, random: &mut SmallRng) -> File {
        let value: [u8; 32] = random.random();
        File {
            hash: ContentHash::from_bytes(Algorithm::Sha256, value.to_vec(), None).expect("32 bytes are a SHA-256"),
            content: ContentId(random.random()),
            further,
            pdq: Pdq::from_bytes(pdq),
            source,
        }
    }
}

impl Variant {
    pub(super) const HEADER: &str = "crisis,signal,distance,copies,joined";

    pub(super) fn distance(&self) -> u32 {
        self.distance
    }

    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    fn to_csv(self) -> String {
        let signal = match self.signal {
            Signal::Near => "near",
            Signal::Further => "further",
            Signal::None => "none",
        };
        let Variant {
            crisis,
            distance,
            copies,
            joined,
            ..
        } = self;
        format!("{crisis},{signal},{distance},{copies},{}", u8::from(joined))
    }
}

impl Crises {
    /// Of the variants with one of these signals: how many there are, and the part in their crisis' family.
    pub(super) fn recall(&self, signals: &[Signal]) -> (usize, f64) {
        let of = self.variants.iter().filter(|variant| signals.contains(&variant.signal));
        let (count, joined) = of.fold((0, 0), |(count, joined), variant| {
            (count + 1, joined + usize::from(variant.joined))
        });
        (count, joined as f64 / count as f64)
    }

    pub(super) fn figures(&self) -> Figures {
        let copies = |wanted: fn(&Variant) -> bool| {
            let of = self.variants.iter().filter(|variant| wanted(variant));
            of.map(|variant| f64::from(variant.copies)).sum::<f64>()
        };
        Figures::from([
            ("crises", json!(self.crises)),
            ("variants", json!(self.variants.len())),
            (
                "family_recall_multi_signal",
                json!(self.recall(&[Signal::Near, Signal::Further]).1),
            ),
            ("family_recall_near", json!(self.recall(&[Signal::Near]).1)),
            ("family_recall_further", json!(self.recall(&[Signal::Further]).1)),
            ("family_recall_no_signal", json!(self.recall(&[Signal::None]).1)),
            (
                "copies_in_family",
                json!(copies(|variant| variant.joined) / copies(|_| true)),
            ),
            ("lookalikes", json!(self.lookalikes)),
            ("crises_merged", json!(self.crises_merged)),
            ("benign_merges", json!(self.benign_merges)),
        ])
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = String> {
        self.variants.iter().map(|variant| variant.to_csv())
    }
}
