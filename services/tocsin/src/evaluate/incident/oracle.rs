//! What was published about the crisis, counted one by one: separate from everything that the deployment counts with.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Algorithm, Event, EventId, Kind, Milliseconds, Name, Timestamp};

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
    what: &'static str,
    is_labelled: bool,
}

/// A content that was posted on a platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Posted {
    /// What it is: one of [`WHATS`].
    pub(super) what: &'static str,
    /// Whether the platform labelled an upload of it, or the start of a stream.
    pub(super) is_labelled: bool,
    /// Whether it labelled one that came when the content was counted exactly for certain.
    pub(super) is_surely_counted: bool,
}

/// What contents are.
pub(super) const WHATS: [&str; 5] = ["picture", "video", "live_stream", "address", "file"];

/// The label of terrorist and violent extremist content, as the schema of events names it. Confidences are told in whole percent.
const LABEL: (&str, f32) = ("tvec", 0.01);

/// So long after its third copy a content is counted exactly for certain, whichever way copies came.
const SURELY_COUNTED: Milliseconds = Milliseconds::from_seconds(5);

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
            what: what(event),
            is_labelled: event
                .labels
                .iter()
                .any(|label| label.name == LABEL.0 && label.confidence >= LABEL.1),
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

    /// What each content is that was posted on this platform, and whether the platform labelled it.
    pub(super) fn labelled(&self, platform: &Name) -> BTreeMap<String, Posted> {
        let is_upload = |told: &Told| matches!(told.kind, Kind::Upload | Kind::LiveStart);
        let mut posted: BTreeMap<String, Posted> = BTreeMap::new();
        for told in self.events.iter().filter(|told| told.platform == *platform) {
            if !is_upload(told) && told.kind != Kind::Share {
                continue;
            }
            let of = posted.entry(told.content.clone()).or_insert(Posted {
                what: told.what,
                is_labelled: false,
                is_surely_counted: false,
            });
            if told.kind == Kind::LiveStart {
                of.what = "live_stream";
            }
            if is_upload(told) && told.is_labelled {
                of.is_labelled = true;
                let third = self.third_copy(&told.content);
                of.is_surely_counted |= third.is_some_and(|third| told.occurred_at >= third + SURELY_COUNTED);
            }
        }
        posted
    }

    /// When the third copy of a content came, on any platform.
    fn third_copy(&self, content: &str) -> Option<Timestamp> {
        let copies = self
            .events
            .iter()
            .filter(|told| told.content == content && told.kind.is_spread());
        let mut times: Vec<Timestamp> = copies.map(|told| told.occurred_at).collect();
        times.sort_unstable();
        times.get(2).copied()
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

/// What a content is that is no live stream, by its hashes.
fn what(event: &Event) -> &'static str {
    let has = |algorithm| event.content.iter().any(|hash| hash.algorithm() == algorithm);
    match () {
        () if has(Algorithm::Pdq) => "picture",
        () if has(Algorithm::Vpdq) => "video",
        () if has(Algorithm::Sha256) || has(Algorithm::Md5) => "file",
        () => "address",
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a label is surely counted when it came while its content was, and is one of the platform that gave it.
    #![allow(clippy::unwrap_used)]

    use tocsin_loadtest::scenario::DemoPlan;
    use tocsin_model::Label;

    use super::*;

    #[test]
    fn a_label_counts_for_certain_once_its_content_is_counted_exactly() {
        let start = Timestamp(1_800_000_000_000);
        let sample = DemoPlan::new(1, start).events().next().unwrap().event;
        let (north, south): (Name, Name) = ("north".parse().unwrap(), "south".parse().unwrap());
        let (mut oracle, mut number) = (Oracle::default(), 0_u8);
        let mut add = |platform: &Name, kind, second, confidence: Option<f32>| {
            number += 1;
            let mut event = sample.clone();
            event.event_id = EventId([number; 16]);
            event.platform = platform.clone();
            event.kind = kind;
            event.occurred_at = start + Milliseconds::from_seconds(second);
            let label = |confidence| Label {
                name: "tvec".to_owned(),
                confidence,
            };
            event.labels = confidence.map(label).into_iter().collect();
            oracle.add(platform, &event);
            oracle.labelled(platform).into_values().next()
        };
        let is = |posted: Option<Posted>| posted.map(|posted| (posted.is_labelled, posted.is_surely_counted));
        assert_eq!(is(add(&north, Kind::Removal, 0, Some(1.0))), None, "nothing was posted");
        assert_eq!(
            is(add(&north, Kind::Upload, 0, Some(0.9))),
            Some((true, false)),
            "too early"
        );
        assert_eq!(is(add(&south, Kind::Upload, 1, None)), Some((false, false)));
        assert_eq!(
            is(add(&south, Kind::BlockedUpload, 2, Some(0.9))),
            Some((false, false)),
            "no copy"
        );
        assert_eq!(
            is(add(&south, Kind::Upload, 6, Some(0.9))),
            Some((true, false)),
            "it may come first"
        );
        assert_eq!(
            is(add(&south, Kind::Share, 9, Some(0.9))),
            Some((true, false)),
            "no upload"
        );
        assert_eq!(
            is(add(&south, Kind::Upload, 9, Some(0.001))),
            Some((true, false)),
            "as good as none"
        );
        assert_eq!(is(add(&south, Kind::Upload, 9, Some(0.9))), Some((true, true)));
        assert_eq!(
            is(add(&north, Kind::Upload, 9, None)),
            Some((true, false)),
            "another platform's"
        );
        let stream = add(&south, Kind::LiveStart, 20, None).unwrap();
        assert_eq!(stream.what, "live_stream");
    }
}
