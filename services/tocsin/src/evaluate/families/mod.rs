//! Which contents are one family: the index of PDQ hashes against brute force, variants of generated crises against the truth, and copies of a real
//! video beside other videos.

mod crisis;
mod page;
mod video;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use tocsin_family::{Found, Lookup, Pdq, PdqIndex};
use tocsin_loadtest::picture::flipped;
use tocsin_model::{Algorithm, ContentHash};

use super::{EstimatorArguments, open, output, shared};
use crate::rehearsal::Figures;

/// How to evaluate families.
#[derive(Debug, Args)]
pub struct FamiliesArguments {
    /// Seed, scale and output.
    #[command(flatten)]
    pub estimator: EstimatorArguments,
    /// A directory with `haystack.txt.gz` and `needles.txt.gz`, a PDQ hash in hexadecimal each line. Without it: the one beside the
    /// checkout, or under TOCSIN_SHARED.
    #[arg(long, value_name = "DIR")]
    pub input: Option<PathBuf>,
    /// A directory with frames of one video and of copies of it, as vPDQ writes them. Without it: the one beside the checkout, or under
    /// TOCSIN_SHARED; where there is none either, nothing is said of videos.
    #[arg(long, value_name = "DIR")]
    pub videos: Option<PathBuf>,
}

/// The set of PDQ hashes, below what TOCSIN_SHARED names.
const PDQ: &str = "data/pdq";
/// And that of frames of videos.
const VPDQ: &str = "data/vpdq";
/// Hashes of the generated set at scale 1, and those that are looked up.
const GENERATED: f64 = 1e6;
const QUERIES: usize = 500;

/// Pairs of hashes at most 31 bits apart: true ones, and what the index says.
#[derive(Clone, Copy, Debug, Default)]
struct Pairs {
    truly: usize,
    found: usize,
    both: usize,
}

/// Recall and precision within 31 bits on real and generated hashes; families of generated crises.
///
/// # Errors
/// The set cannot be read, or files cannot be written.
pub fn run(arguments: &FamiliesArguments) -> Result<Figures> {
    let EstimatorArguments { suite, rows, report } = &arguments.estimator;
    let directory = arguments.input.clone().unwrap_or_else(|| shared(PDQ));
    let haystack = read(&directory.join("haystack.txt.gz"))?;
    let needles = read(&directory.join("needles.txt.gz"))?;
    let mut figures = Figures::new();
    let published = compare(&haystack, &needles)?;
    figures.extend([
        ("hashes", json!(haystack.len())),
        ("needles", json!(needles.len())),
        ("pairs_31", json!(published.truly)),
        ("recall_31", json!(published.recall())),
        ("precision_31", json!(published.precision())),
    ]);
    let videos = arguments.videos.clone().unwrap_or_else(|| shared(VPDQ));
    if arguments.videos.is_some() || videos.is_dir() {
        figures.extend(video::play(&videos, &haystack)?);
    }
    let mut random = SmallRng::seed_from_u64(suite.seed);
    let (stored, queries) = generated((GENERATED * suite.scale) as usize, &mut random);
    let pairs = compare(&stored, &queries)?;
    figures.extend([
        ("generated_hashes", json!(stored.len())),
        ("generated_pairs_31", json!(pairs.truly)),
        ("generated_recall_31", json!(pairs.recall())),
        ("generated_precision_31", json!(pairs.precision())),
    ]);
    let crises = crisis::play(suite.scale, &mut random);
    figures.extend(crises.figures());
    if let Some(directory) = rows {
        output::rows(directory, "families.csv", crisis::Variant::HEADER, crises.rows())?;
    }
    if let Some(directory) = report {
        output::page(directory, page::of(suite, &figures, &crises), &figures)?;
    }
    Ok(figures)
}

fn read(file: &Path) -> Result<Vec<Pdq>> {
    let lines = BufReader::new(open(file)?).lines();
    let parse = |(number, line): (usize, std::io::Result<String>)| {
        let place = || format!("line {} of {}", number + 1, file.display());
        let hash = ContentHash::parse(Algorithm::Pdq, line.with_context(place)?.trim(), None).with_context(place)?;
        Pdq::of(&hash).with_context(place)
    };
    lines.enumerate().map(parse).collect()
}

/// Random hashes; of them, and of others, the queries: half with up to 40 bits flipped.
fn generated(count: usize, random: &mut SmallRng) -> (Vec<Pdq>, Vec<Pdq>) {
    let stored: Vec<[u8; 32]> = (0..count.max(QUERIES)).map(|_| random.random()).collect();
    let query = |number: usize| match number % 2 {
        0 => {
            let flips = random.random_range(0..=40);
            flipped(stored[random.random_range(0..stored.len())], flips, random)
        }
        _ => random.random(),
    };
    let queries: Vec<[u8; 32]> = (0..QUERIES).map(query).collect();
    let pdqs = |hashes: Vec<[u8; 32]>| hashes.into_iter().map(Pdq::from_bytes).collect();
    (pdqs(stored), pdqs(queries))
}

/// What the index finds of `queries` among `stored`, and what a comparison of each with each does.
fn compare(stored: &[Pdq], queries: &[Pdq]) -> Result<Pairs> {
    let mut index = PdqIndex::default();
    for (place, hash) in stored.iter().enumerate() {
        index.insert(*hash, place)?;
    }
    let (mut lookup, mut found) = (Lookup::default(), Vec::<Found<usize>>::new());
    let mut pairs = Pairs::default();
    for query in queries {
        index.near(query, stored.len(), |_| true, &mut lookup, &mut found);
        let found: HashSet<usize> = found.iter().map(|found| found.value).collect();
        let is_near = |place: &usize| query.distance(&stored[*place]) <= Pdq::DISTANCE_MAX;
        let truly: HashSet<usize> = (0..stored.len()).filter(is_near).collect();
        pairs.truly += truly.len();
        pairs.found += found.len();
        pairs.both += found.intersection(&truly).count();
    }
    Ok(pairs)
}

impl Pairs {
    fn recall(&self) -> f64 {
        self.both as f64 / self.truly as f64
    }

    fn precision(&self) -> f64 {
        self.both as f64 / self.found as f64
    }
}
