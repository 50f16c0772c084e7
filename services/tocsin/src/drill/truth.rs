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
    pub(super) accounts: BTreeSet<AccountPseudonym>,
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

#[cfg(test)]
mod tests {
    //! Goal: what is written down is what spread: when, where, and from when on it was a spread.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::{Algorithm, ContentHash, Event, EventId, Sharing, Surface, Timestamp};

    use super::*;

    fn event(account: u8, platform: &str, kind: Kind, truth: Option<u32>) -> Generated {
        Generated {
            received_at: Timestamp(0),
            party: "north".parse().unwrap(),
            event: Event {
                event_id: EventId([account; 16]),
                platform: platform.parse().unwrap(),
                kind,
                occurred_at: Timestamp(0),
                content: vec![ContentHash::parse(Algorithm::Sha256, &"ab".repeat(32), None).unwrap()],
                same_as: Vec::new(),
                frames: Vec::new(),
                account: Some(AccountPseudonym([account; 16])),
                account_epoch: 0,
                region: None,
                language: None,
                audience: None,
                surface: Surface::Feed,
                labels: Vec::new(),
                sharing: Sharing::All,
            },
            truth: truth.map(CrisisId),
        }
    }

    #[test]
    fn a_spread_begins_with_its_tenth_account() {
        let mut truth = Truth {
            began_at_ms: 10_000,
            ..Truth::default()
        };
        truth.note(&event(1, "video", Kind::Upload, None), 10_000);
        assert!(truth.crises.is_empty(), "what is ordinary is no crisis");
        truth.note(&event(1, "video", Kind::Report, Some(0)), 10_500);
        assert!(truth.crises.is_empty(), "a report is no copy");
        for second in 1..=9 {
            truth.note(
                &event(second, "video", Kind::Upload, Some(0)),
                10_000 + i64::from(second) * 1_000,
            );
        }
        // The same account again is no other one, and what is blocked is a copy all the same.
        truth.note(&event(9, "video", Kind::Share, Some(0)), 20_000);
        assert_eq!(truth.crises[&0].onset_at_ms, None);
        truth.note(&event(10, "forum", Kind::BlockedUpload, Some(0)), 20_500);
        truth.note(&event(11, "forum", Kind::Upload, Some(0)), 21_000);
        let crisis = &truth.crises[&0];
        assert_eq!((crisis.began_at_ms, crisis.onset_at_ms), (11_000, Some(20_500)));
        assert_eq!(crisis.contents.len(), 1);
        assert_eq!(crisis.total(), Copies { posted: 11, blocked: 1 });
        // Until a time, to the second: what came within it does not count yet.
        let until = |at_ms| truth.copies_until(crisis, Timestamp(at_ms)).posted;
        assert_eq!(
            [9_000, 11_000, 12_000, 20_999, 21_000, 22_000].map(until),
            [0, 0, 1, 9, 10, 11]
        );
        // What is kept says the same.
        let kept: Truth = serde_json::from_str(&serde_json::to_string(&truth).unwrap()).unwrap();
        assert_eq!(kept.crises[&0].total(), crisis.total());
    }
}
