//! Exact counts on a whole stream, kept in the simplest way there is: every copy of every content, in a list.
//!
//! It shares nothing with the detector but the event type: its own windows, its own idea of a duplicate, no keyed ids.

use std::collections::{BTreeMap, HashMap, HashSet};

use tocsin_model::{AccountPseudonym, ContentHash, Event, EventId, Kind, Name, Timestamp};

/// Exact counts. Memory grows with every event.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    contents: HashMap<ContentHash, Vec<Spread>>,
    seen: HashSet<EventId>,
    duplicates: u64,
}

/// One upload, blocked upload or share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// When, by the platform's clock.
    pub occurred_at: Timestamp,
    /// Where.
    pub platform: Name,
    /// By whom.
    pub account: Option<AccountPseudonym>,
}

/// A stretch of time: from its first millisecond up to, not including, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first millisecond.
    pub from: Timestamp,
    /// The millisecond after its last.
    pub to: Timestamp,
}

impl Oracle {
    /// Nothing counted.
    pub fn new() -> Self {
        Oracle::default()
    }

    /// Counts an event, unless one of this id was counted before. A content is its strongest hash.
    pub fn add(&mut self, event: &Event) {
        if !self.seen.insert(event.event_id) {
            self.duplicates += 1;
            return;
        }
        let Some(hash) = strongest(&event.content) else { return };
        let spreads = self.contents.entry(hash.clone()).or_default();
        if matches!(event.kind, Kind::Upload | Kind::BlockedUpload | Kind::Share) {
            spreads.push(Spread {
                occurred_at: event.occurred_at,
                platform: event.platform.clone(),
                account: event.account,
            });
        }
    }

    /// Contents seen, by any kind of event.
    pub fn contents(&self) -> u64 {
        self.contents.len() as u64
    }

    /// The share of contents with at most one upload, blocked upload or share.
    pub fn seen_once_share(&self) -> f64 {
        let once = self.contents.values().filter(|spreads| spreads.len() <= 1).count();
        once as f64 / self.contents.len().max(1) as f64
    }

    /// Events that were received again.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Every upload, blocked upload and share of a content, in the order of receipt.
    pub fn spreads(&self, content: &ContentHash) -> &[Spread] {
        self.contents.get(content).map_or(&[], Vec::as_slice)
    }

    /// How many of them happened in a window, per platform.
    pub fn platform_counts(&self, content: &ContentHash, window: Window) -> BTreeMap<Name, u64> {
        let mut counts = BTreeMap::new();
        for spread in self.inside(content, window) {
            *counts.entry(spread.platform.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// How many of them happened in a window.
    pub fn count(&self, content: &ContentHash, window: Window) -> u64 {
        self.inside(content, window).count() as u64
    }

    /// Distinct accounts in a window: those of different platforms are different.
    pub fn accounts(&self, content: &ContentHash, window: Window) -> u64 {
        let accounts: HashSet<_> = self
            .inside(content, window)
            .filter_map(|spread| Some((&spread.platform, spread.account?)))
            .collect();
        accounts.len() as u64
    }

    fn inside(&self, content: &ContentHash, window: Window) -> impl Iterator<Item = &Spread> {
        self.spreads(content)
            .iter()
            .filter(move |spread| spread.occurred_at >= window.from && spread.occurred_at < window.to)
    }
}

/// By the published order of algorithms, then by value; a PDQ hash of stated quality below 50 names nothing.
fn strongest(hashes: &[ContentHash]) -> Option<&ContentHash> {
    use tocsin_model::Algorithm::{Md5, Pdq, Sha256, Url, Vpdq};
    let names = |hash: &&ContentHash| hash.algorithm() != Pdq || hash.quality().is_none_or(|quality| quality >= 50);
    [Sha256, Md5, Pdq, Vpdq, Url].into_iter().find_map(|algorithm| {
        let of_this = hashes.iter().filter(|hash| hash.algorithm() == algorithm);
        of_this.filter(names).min_by_key(|hash| hash.value())
    })
}

#[cfg(test)]
mod tests {
    //! Counts are those a person would make by hand.
    #![allow(clippy::unwrap_used)]
    use tocsin_model::{Algorithm, Sharing, Surface};

    use super::*;

    fn event(id: u8, platform: &str, kind: Kind, at: i64, account: u8) -> Event {
        Event {
            event_id: EventId([id; 16]),
            platform: platform.parse().unwrap(),
            kind,
            occurred_at: Timestamp(at),
            content: vec![content()],
            same_as: Vec::new(),
            frames: Vec::new(),
            account: Some(AccountPseudonym([account; 16])),
            account_epoch: 1,
            region: None,
            language: None,
            audience: None,
            surface: Surface::Feed,
            labels: Vec::new(),
            sharing: Sharing::All,
        }
    }

    fn content() -> ContentHash {
        ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).unwrap()
    }

    #[test]
    fn windows_are_half_open_and_duplicates_and_reports_do_not_count() {
        let mut oracle = Oracle::new();
        for event in [
            event(1, "a", Kind::Upload, 100, 1),
            event(2, "a", Kind::Share, 199, 1),
            event(3, "b", Kind::BlockedUpload, 150, 1),
            event(3, "b", Kind::BlockedUpload, 150, 1),
            event(4, "b", Kind::Report, 150, 9),
            event(5, "b", Kind::Upload, 200, 2),
        ] {
            oracle.add(&event);
        }
        let window = Window {
            from: Timestamp(100),
            to: Timestamp(200),
        };
        assert_eq!(oracle.count(&content(), window), 3);
        assert_eq!(oracle.accounts(&content(), window), 2, "one account on each platform");
        let counts = oracle.platform_counts(&content(), window);
        assert_eq!(counts, [("a".parse().unwrap(), 2), ("b".parse().unwrap(), 1)].into());
        assert_eq!(oracle.duplicates(), 1);
        assert_eq!(oracle.contents(), 1);
        assert_eq!(oracle.seen_once_share(), 0.0);
    }

    #[test]
    fn a_stronger_hash_names_the_content() {
        let hash =
            |algorithm, length, quality| ContentHash::from_bytes(algorithm, vec![b'1'; length], quality).unwrap();
        let (pdq, url) = (hash(Algorithm::Pdq, 32, Some(20)), hash(Algorithm::Url, 3, None));
        assert_eq!(strongest(&[pdq.clone(), url.clone()]), Some(&url));
        let md5 = hash(Algorithm::Md5, 16, None);
        assert_eq!(strongest(&[url, md5.clone(), pdq]), Some(&md5));
        assert_eq!(strongest(&[]), None);
    }
}
