//! The exact oracle: plain sums over the events themselves. Shares nothing with the services but the event type.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::ContentHash;

use crate::recorded::Recorded;

/// Every event of one content that was published so far, in order.
#[derive(Debug, Default)]
pub struct ContentTruth {
    events: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    at_ms: i64,
    platform: String,
    account: [u8; 16],
}

/// All contents.
#[derive(Debug, Default)]
pub struct Truth {
    contents: BTreeMap<ContentHash, ContentTruth>,
}

impl Truth {
    /// Takes in published events.
    pub fn add(&mut self, recorded: &[Recorded]) {
        for recorded in recorded {
            let event = &recorded.event;
            let seen = Seen {
                at_ms: event.occurred_at.0,
                platform: event.platform.as_str().to_owned(),
                account: event.account.map(|account| account.0).unwrap_or_default(),
            };
            self.contents
                .entry(event.content[0].clone())
                .or_default()
                .events
                .push(seen);
        }
    }

    /// How many contents there are.
    pub fn contents(&self) -> usize {
        self.contents.len()
    }

    /// One content, if it was published.
    pub fn of(&self, hash: &ContentHash) -> Option<&ContentTruth> {
        self.contents.get(hash)
    }

    /// The contents with an event at or after `from_ms`, ascending.
    pub fn active_since(&self, from_ms: i64) -> impl Iterator<Item = (&ContentHash, &ContentTruth)> {
        self.contents
            .iter()
            .filter(move |(_, content)| content.events.last().is_some_and(|last| last.at_ms >= from_ms))
    }
}

impl ContentTruth {
    /// Events in `from_ms..to_ms`.
    pub fn count(&self, from_ms: i64, to_ms: i64) -> u64 {
        self.inside(from_ms, to_ms).count() as u64
    }

    /// The same by platform.
    pub fn by_platform(&self, from_ms: i64, to_ms: i64) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for seen in self.inside(from_ms, to_ms) {
            *counts.entry(seen.platform.as_str()).or_insert(0) += 1;
        }
        counts
    }

    /// Whether the first event lies at this time (or later, which no promotion can).
    pub fn was_first_seen_at(&self, at_ms: i64) -> bool {
        self.events.first().is_some_and(|first| first.at_ms >= at_ms)
    }

    /// Distinct accounts by platform, of all events.
    pub fn accounts_by_platform(&self) -> BTreeMap<&str, u64> {
        let mut accounts: BTreeMap<&str, BTreeSet<[u8; 16]>> = BTreeMap::new();
        for seen in &self.events {
            accounts.entry(&seen.platform).or_default().insert(seen.account);
        }
        accounts
            .into_iter()
            .map(|(platform, accounts)| (platform, accounts.len() as u64))
            .collect()
    }

    fn inside(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = &Seen> {
        self.events
            .iter()
            .filter(move |seen| from_ms <= seen.at_ms && seen.at_ms < to_ms)
    }
}
