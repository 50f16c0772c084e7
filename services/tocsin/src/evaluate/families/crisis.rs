//! Crises as files and pictures: variants of one source, lookalikes that are none of it, and what the finder of links makes of them.

use std::collections::{BTreeMap, HashMap};

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tocsin_family::{Limits, LinkFinder, Name, Seen};
use tocsin_loadtest::picture::{bits, flipped, with_flips};
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, DeploymentKey, FamilyAnnouncement, FamilyId, FurtherHash, Link,
    Milliseconds, PartyId, Sharing, Timestamp,
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
/// So many instances of intake read the copies.
const INSTANCES: usize = 3;
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
    own: Name,
    further: Vec<Name>,
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
        let shared = name(hash(Algorithm::Md5, &random.random::<[u8; 16]>()));
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
                vec![shared.clone()]
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

/// The family of each file, as links join them. Copies are read by several instances of intake in turn, and all of them read what is announced.
fn link(files: &[File], copies: &[usize]) -> Vec<ContentId> {
    let mut finders: Vec<LinkFinder> = (0..INSTANCES).map(|_| LinkFinder::new(Limits::default())).collect();
    let mut groups = Groups::default();
    let mut counted = vec![0_u32; files.len()];
    let mut at = Timestamp(0);
    for (copy, place) in copies.iter().enumerate() {
        let file = &files[*place];
        at = at + BETWEEN_COPIES;
        let mut links = finders[copy % INSTANCES].seen(Seen {
            own: file.own.clone(),
            further: file.further.clone(),
            same_as: &[],
            party: PartyId(1),
            sharing: Sharing::All,
            at,
        });
        counted[*place] += 1;
        if counted[*place] == PROMOTE_AT {
            groups.announce(file.own.id, &file.own.hash);
        }
        // What follows from a copy may make further things follow.
        loop {
            links.drain(..).for_each(|link| groups.link(&link));
            let announced = std::mem::take(&mut groups.news);
            for (content, hash) in announced {
                let announcement = FamilyAnnouncement {
                    content,
                    hash,
                    family: FamilyId(groups.family(content)),
                    class: Class::All,
                    at,
                };
                links.extend(finders.iter_mut().flat_map(|finder| finder.announced(&announcement)));
            }
            let further: Vec<FurtherHash> = finders.iter_mut().flat_map(LinkFinder::take_further).collect();
            for further in further {
                let name = Name::of_further(name(further.hash.clone()).id, &further);
                let told = finders.iter_mut();
                links.extend(told.flat_map(|finder| finder.further(further.content, Class::All, &name, at)));
            }
            if links.is_empty() && groups.news.is_empty() {
                break;
            }
        }
    }
    files.iter().map(|file| groups.family(file.own.id)).collect()
}

/// What the key groups make of links: the rules of `tocsin-velocity` without figures.
#[derive(Default)]
struct Groups {
    /// Of each content that is not the founder of its family, that founder.
    founders: HashMap<ContentId, ContentId>,
    members: HashMap<ContentId, Vec<ContentId>>,
    announced: HashMap<ContentId, ContentHash>,
    /// What is to be announced, or announced anew.
    news: Vec<(ContentId, ContentHash)>,
}

impl Groups {
    fn family(&self, content: ContentId) -> ContentId {
        self.founders.get(&content).copied().unwrap_or(content)
    }

    fn announce(&mut self, content: ContentId, hash: &ContentHash) {
        self.announced.insert(content, hash.clone());
        self.news.push((content, hash.clone()));
    }

    fn link(&mut self, link: &Link) {
        let (from, to) = (self.family(link.content), self.family(link.family.0));
        let is_member = from != link.content;
        let is_by_looks = link.evidence.is_by_looks();
        if to >= from || (is_member && is_by_looks) {
            return;
        }
        let followers = if is_member {
            if let Some(members) = self.members.get_mut(&from) {
                members.retain(|member| *member != link.content);
            }
            Vec::new()
        } else {
            self.members.remove(&from).unwrap_or_default()
        };
        // A link makes a content hot.
        self.announced.entry(link.content).or_insert_with(|| link.hash.clone());
        for content in followers.into_iter().chain([link.content]) {
            self.founders.insert(content, to);
            self.members.entry(to).or_default().push(content);
            let hash = self.announced.get(&content).cloned();
            self.news.extend(hash.map(|hash| (content, hash)));
        }
    }
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
    fn new(pdq: [u8; 32], mut further: Vec<Name>, source: Source, random: &mut SmallRng) -> File {
        further.push(name(hash(Algorithm::Pdq, &pdq)));
        let value: [u8; 32] = random.random();
        File {
            own: name(hash(Algorithm::Sha256, &value)),
            further,
            source,
        }
    }
}

fn hash(algorithm: Algorithm, value: &[u8]) -> ContentHash {
    ContentHash::from_bytes(algorithm, value.to_vec(), None).expect("a value of that algorithm")
}

fn name(hash: ContentHash) -> Name {
    let key = DeploymentKey::from_bytes([7; 32]);
    Name::new(key.content_id(&hash), hash)
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
