//! What was published about the crisis, counted one by one: separate from everything that the deployment counts with.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Event, EventId, Kind, Name, Timestamp};

/// The events of the crisis.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    known: BTreeSet<(Name, EventId)>,
    events: Vec<Told>,
    samples: BTreeMap<String, Event>,
}

/// One event, as it was published.
#[derive(Clone, Debug)]
struct Told {
    platform: Name,
    content: String,
    kind: Kind,
    account: Option<[u8; 16]>,
    audience: u32,
    occurred_at: Timestamp,
}

/// The crisis, on the platforms that are asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) spread: u64,
    pub(super) uploads: u64,
    pub(super) blocked: u64,
    /// Pseudonyms, platform by platform.
    pub(super) accounts: u64,
    pub(super) platforms: BTreeSet<Name>,
    pub(super) contents: BTreeSet<String>,
    pub(super) first_at: Option<Timestamp>,
    pub(super) first_removed_at: Option<Timestamp>,
    pub(super) removals: u64,
}

impl Oracle {
    /// Takes what a party published. A second copy of an event is none.
    pub(super) fn add(&mut self, party: &Name, event: &Event) {
        if !self.known.insert((party.clone(), event.event_id)) {
            return;
        }
        let Some(hash) = event.content.first() else { return };
        self.samples.entry(hash.value_text()).or_insert_with(|| event.clone());
        self.events.push(Told {
            platform: event.platform.clone(),
            content: hash.value_text(),
            kind: event.kind,
            account: event.account.as_ref().map(|account| account.0),
            audience: event.audience.unwrap_or(0),
            occurred_at: event.occurred_at,
        });
    }

    /// An event of each content.
    pub(super) fn samples(&self) -> BTreeMap<String, Event> {
        self.samples.clone()
    }

    /// All of it.
    pub(super) fn counts(&self) -> Counts {
        self.counts_where(|_| true)
    }

    /// By platform.
    pub(super) fn by_platform(&self) -> BTreeMap<Name, Counts> {
        let platforms: BTreeSet<&Name> = self.events.iter().map(|told| &told.platform).collect();
        let of = |platform: &Name| self.counts_where(|told| told.platform == *platform);
        platforms
            .into_iter()
            .map(|platform| (platform.clone(), of(platform)))
            .collect()
    }

    /// Each content on each of these platforms on which a copy was posted, and when the last was.
    pub(super) fn posted(&self, platforms: &BTreeSet<Name>) -> BTreeMap<(String, Name), Timestamp> {
        let mut posted: BTreeMap<(String, Name), Timestamp> = BTreeMap::new();
        for told in &self.events {
            if matches!(told.kind, Kind::Upload | Kind::Share) && platforms.contains(&told.platform) {
                let last = posted
                    .entry((told.content.clone(), told.platform.clone()))
                    .or_insert(told.occurred_at);
                *last = (*last).max(told.occurred_at);
            }
        }
        posted
    }

    /// When copies were uploaded to each platform, and not blocked.
    pub(super) fn uploads(&self) -> BTreeMap<Name, Vec<Timestamp>> {
        let mut uploads: BTreeMap<Name, Vec<Timestamp>> = BTreeMap::new();
        for told in self
            .events
            .iter()
            .filter(|told| matches!(told.kind, Kind::Upload | Kind::LiveStart))
        {
            uploads.entry(told.platform.clone()).or_default().push(told.occurred_at);
        }
        uploads
    }

    /// The views that samples told of, of each content on this platform of which any did.
    pub(super) fn viewed(&self, platform: &Name) -> BTreeMap<String, u64> {
        let mut viewed: BTreeMap<String, u64> = BTreeMap::new();
        let samples = self.events.iter().filter(|told| told.kind == Kind::ViewSample);
        for told in samples.filter(|told| told.platform == *platform) {
            *viewed.entry(told.content.clone()).or_default() += u64::from(told.audience);
        }
        viewed
    }

    fn counts_where(&self, is_asked: impl Fn(&Told) -> bool) -> Counts {
        let mut counts = Counts::default();
        let mut accounts = BTreeSet::new();
        for told in self.events.iter().filter(|told| is_asked(told)) {
            let first = |known: &mut Option<Timestamp>| {
                *known = Some(known.map_or(told.occurred_at, |known| known.min(told.occurred_at)));
            };
            first(&mut counts.first_at);
            if told.kind.is_spread() {
                counts.spread += 1;
                counts.platforms.insert(told.platform.clone());
                counts.contents.insert(told.content.clone());
                accounts.extend(told.account.map(|account| (told.platform.clone(), account)));
            }
            match told.kind {
                Kind::Upload => counts.uploads += 1,
                Kind::BlockedUpload => counts.blocked += 1,
                Kind::Removal => {
                    counts.removals += 1;
                    first(&mut counts.first_removed_at);
                }
                _ => {}
            }
        }
        counts.accounts = accounts.len() as u64;
        counts
    }
}
