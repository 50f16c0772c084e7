//! What was truly published in a drill: what its people are scored by. Nobody in it knows this.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tocsin_loadtest::scenario::{CrisisId, Generated};
use tocsin_model::{AccountPseudonym, Kind};
use tocsin_wire::document::HashText;

use super::after;

/// What was published until now. Times are milliseconds since 1970 of the machine that published.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Truth {
    /// When the scenario began.
    pub began_at_ms: i64,
    /// How far it is.
    pub progress: Progress,
    /// Each crisis of which something was published, by its number in the scenario.
    pub crises: BTreeMap<u32, CrisisTruth>,
}

/// How much was published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Events that the gateway took.
    pub published: u64,
    /// Events that it refused.
    pub refused: u64,
    /// Why the first of them.
    pub first_refusal: Option<String>,
    /// The longest that an event was sent after it was due, in milliseconds.
    pub behind_ms_max: u64,
}

/// One crisis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrisisTruth {
    /// When the first copy was published.
    pub began_at_ms: i64,
    /// When the tenth copy by another account was: from then on it is a spread.
    pub onset_at_ms: Option<i64>,
    /// The hashes of all variants that were published.
    pub contents: BTreeSet<HashText>,
    /// By platform, and second after the scenario began.
    pub copies: BTreeMap<String, BTreeMap<u32, Copies>>,
    /// The accounts until onset.
    #[serde(skip)]
    accounts: BTreeSet<AccountPseudonym>,
}

/// Copies of some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// That were posted.
    pub posted: u64,
    /// That a platform blocked at upload.
    pub blocked: u64,
}

/// Distinct accounts until a spread is one.
const ONSET_ACCOUNTS: usize = 10;

impl Truth {
    /// Writes down what was published at `at_ms`.
    pub(super) fn note(&mut self, generated: &Generated, at_ms: i64) {
        let Some(CrisisId(number)) = generated.truth else {
            return;
        };
        let event = &generated.event;
        if !event.kind.is_spread() {
            return;
        }
        let began_at_ms = self.began_at_ms;
        let crisis = self.crises.entry(number).or_insert_with(|| CrisisTruth {
            began_at_ms: at_ms,
            ..CrisisTruth::default()
        });
        if crisis.onset_at_ms.is_none() {
            crisis.accounts.extend(event.account);
            if crisis.accounts.len() >= ONSET_ACCOUNTS {
                crisis.onset_at_ms = Some(at_ms);
                crisis.accounts.clear();
            }
        }
        crisis.contents.extend(event.content.iter().map(HashText::from));
        let second = u32::try_from((at_ms - began_at_ms).max(0) / 1_000).unwrap_or(u32::MAX);
        let seconds = crisis.copies.entry(event.platform.to_string()).or_default();
        let copies = seconds.entry(second).or_default();
        match event.kind {
            Kind::BlockedUpload => copies.blocked += 1,
            _ => copies.posted += 1,
        }
    }

    /// Copies of a crisis until a time, to the second.
    pub(super) fn copies_until(&self, crisis: &CrisisTruth, at: tocsin_model::Timestamp) -> Copies {
        let until = after(self.began_at_ms, at) / 1_000;
        let mut sum = Copies::default();
        for (second, copies) in crisis.copies.values().flatten() {
            if i64::from(*second) < until {
                sum.posted += copies.posted;
                sum.blocked += copies.blocked;
            }
        }
        sum
    }
}

impl CrisisTruth {
    /// All copies.
    pub(super) fn total(&self) -> Copies {
        let all = self.copies.values().flatten();
        all.fold(Copies::default(), |sum, (_, copies)| Copies {
            posted: sum.posted + copies.posted,
            blocked: sum.blocked + copies.blocked,
        })
    }
}
