//! Distinct accounts: the estimator over its whole range.

mod page;
mod rival;

use anyhow::Result;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tocsin_model::{AccountPseudonym, DeploymentKey, EpochKey, KeyEpoch, PlatformId};
use tocsin_sketch::Reach;

use self::rival::Others;
use super::{EstimatorArguments, output};
use crate::rehearsal::Figures;

/// Sets per precision at scale 1.
const SETS: f64 = 4_000.0;
/// What the sketches of a family are merged from.
const PARTS: usize = 8;
/// Accounts of a set, evenly over the logarithm: from just above exact to far into the dense range.
const ACCOUNTS: (f64, f64) = (65.0, 1e6);
/// Accounts in the set that is crafted against an unkeyed sketch.
const CRAFTED: usize = 10_000;

/// What is estimated: at one precision alone, and at the other as a family does, merged from parts.
const SERIES: [Series; 2] = [
    Series {
        precision: 12,
        parts: 1,
        names: ["rmse_p12", "bias_p12", "coverage_95_p12", "sets_p12"],
    },
    Series {
        precision: 14,
        parts: PARTS,
        names: [
            "rmse_p14_merged",
            "bias_p14_merged",
            "coverage_95_p14_merged",
            "sets_p14_merged",
        ],
    },
];

/// Sets of one kind.
#[derive(Clone, Copy, Debug)]
struct Series {
    precision: u8,
    parts: usize,
    names: [&'static str; 4],
}

/// One set, estimated.
#[derive(Clone, Copy, Debug)]
struct Estimated {
    accounts: u64,
    estimate: f64,
    low: f64,
    high: f64,
    /// What others say of the same accounts, where only one sketch is asked.
    others: Option<Others>,
}

/// Exact counts to 64, error and coverage beyond, at p = 12 alone and p = 14 merged from parts; and crafted input.
///
/// # Errors
/// Files cannot be written.
pub fn run(arguments: &EstimatorArguments) -> Result<Figures> {
    let mut random = SmallRng::seed_from_u64(arguments.suite.seed);
    let mut figures = Figures::from([("exact_mismatches_up_to_64", json!(exact_mismatches(&mut random)))]);
    let sets = ((SETS * arguments.suite.scale) as usize).max(20);
    let mut measured = Vec::new();
    for series in SERIES {
        let estimated: Vec<Estimated> = (0..sets).map(|_| series.estimated(&mut random)).collect();
        let mean = |of: fn(&Estimated) -> f64| estimated.iter().map(of).sum::<f64>() / sets as f64;
        figures.extend([
            (series.names[0], json!(mean(|set| set.error() * set.error()).sqrt())),
            (series.names[1], json!(mean(Estimated::error))),
            (series.names[2], json!(mean(|set| f64::from(set.is_covered())))),
            (series.names[3], json!(sets)),
        ]);
        measured.push((series, estimated));
    }
    figures.extend(rival::figures(&measured));
    let (keyed, unkeyed) = crafted(&mut random);
    figures.extend([
        // In standard errors of the sketch, 1.04 / sqrt(2^12).
        ("crafted_error_sigmas", json!(keyed / (1.04 / 64.0))),
        ("crafted_error_unkeyed", json!(unkeyed)),
    ]);
    if let Some(directory) = &arguments.rows {
        let rows = measured.iter().flat_map(|(series, estimated)| {
            let Series { precision, parts, .. } = *series;
            estimated
                .iter()
                .map(move |set| format!("{precision},{parts},{}", set.to_csv()))
        });
        output::rows(
            directory,
            "reach.csv",
            "precision,parts,accounts,estimate,low,high",
            rows,
        )?;
    }
    if let Some(directory) = &arguments.report {
        output::page(directory, page::of(&arguments.suite, &figures, &measured), &figures)?;
    }
    Ok(figures)
}

impl Series {
    /// A set of a size drawn evenly over the logarithm.
    fn estimated(&self, random: &mut SmallRng) -> Estimated {
        let accounts = (ACCOUNTS.0 * (ACCOUNTS.1 / ACCOUNTS.0).powf(random.random())) as u64;
        let key = key(random);
        let estimate = merged(self.precision, self.parts, accounts, &key).estimate();
        let others = (self.parts == 1).then(|| {
            let tokens = (0..accounts).map(|account| key.account_token(PlatformId(1), pseudonym(account)));
            Others::of(self.precision, tokens)
        });
        Estimated {
            accounts,
            estimate: estimate.estimate,
            low: estimate.low,
            high: estimate.high,
            others,
        }
    }
}

impl Estimated {
    /// As part of the truth.
    fn error(&self) -> f64 {
        self.estimate / self.accounts as f64 - 1.0
    }

    fn is_covered(&self) -> bool {
        (self.low..=self.high).contains(&(self.accounts as f64))
    }

    fn to_csv(self) -> String {
        format!("{},{},{},{}", self.accounts, self.estimate, self.low, self.high)
    }
}

fn key(random: &mut SmallRng) -> EpochKey {
    DeploymentKey::from_bytes(random.random()).epoch_key(KeyEpoch(0))
}

/// Accounts of a fresh key, dealt out to `parts` sketches with every tenth in two of them, and united.
fn merged(precision: u8, parts: usize, cardinality: u64, key: &EpochKey) -> Reach {
    let mut sketches = vec![Reach::new(precision); parts];
    for account in 0..cardinality {
        let token = key.account_token(PlatformId(1), pseudonym(account));
        sketches[account as usize % parts].insert(token);
        if account % 10 == 0 {
            sketches[(account as usize / 10) % parts].insert(token);
        }
    }
    let mut united = Reach::new(precision);
    sketches.iter().for_each(|sketch| united.merge(sketch));
    united
}

fn exact_mismatches(random: &mut SmallRng) -> usize {
    let exact = |cardinality: u64, random: &mut SmallRng| {
        let estimate = merged(12, PARTS, cardinality, &key(random)).estimate();
        [estimate.estimate, estimate.low, estimate.high] == [cardinality as f64; 3]
    };
    (0..=64).filter(|cardinality| !exact(*cardinality, random)).count()
}

/// Accounts whose pseudonyms read as hashes give ever longer runs of zeros: what inflates a sketch that takes them as they are. Relative
/// error under a key, and without one.
fn crafted(random: &mut SmallRng) -> (f64, f64) {
    let key = key(random);
    let (mut keyed, mut unkeyed) = (Reach::new(12), Reach::new(12));
    for account in 0..CRAFTED as u64 {
        // The register by the upper twelve bits, all that follows zero but the last.
        let hash = (account << 52) | (account >> 12) << 1 | 1;
        keyed.insert(key.account_token(PlatformId(1), pseudonym(hash)));
        unkeyed.insert(tocsin_model::AccountToken(hash));
    }
    let error = |reach: &Reach| (reach.estimate().estimate / CRAFTED as f64 - 1.0).abs();
    (error(&keyed), error(&unkeyed))
}

fn pseudonym(number: u64) -> AccountPseudonym {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    AccountPseudonym(bytes)
}
