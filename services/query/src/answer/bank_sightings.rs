//! What was seen of the entries of a bank, each by its own content: whatever family that belongs to, or came to belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{Class, ContentHash, ContentId, FamilyId, Interval, Kind, PlatformId, Scope, Timestamp};
use tocsin_velocity::figures::{WindowLength, window};
use tocsin_velocity::record::HeardOf;
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::{Freshness, scope_name};
use crate::replica::{Held, ReplicaState, cold_sum};

/// The most entries that one answer tells of.
pub const BANK_SIGHTINGS_MAX: usize = 1_000;

/// Of so many contents that have one hash as a further one an entry is told.
const CONTENTS_MAX: usize = 64;

/// What was seen of the entries of a bank inside the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BankSightingsAnswer {
    /// The bank.
    pub bank: String,
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The oldest time of all partitions, RFC 3339; null while nothing was counted.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: Option<u64>,
    /// One for each entry of which something was seen, in the order of the bank. There may be none though there is a `next`.
    pub sightings: Vec<EntrySightings>,
    /// Pass it as `after` for the entries behind these; null where there are none.
    pub next: Option<String>,
}

/// What was seen of one entry: of the contents that have its hash, and not of the rest of their families.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EntrySightings {
    /// The hash that is listed.
    pub hash: HashText,
    /// The earliest sighting since the content is counted exactly, RFC 3339.
    pub first_seen: Option<String>,
    /// The latest one. Where an event of another kind came after it, the end of the bin that it stands in, no more than a quarter of an hour later.
    pub last_seen: Option<String>,
    /// Uploads, blocked uploads, shares and starts of live streams: all that came since the content is counted exactly, and at the upper end
    /// what may have come in the day before. What is listed before it is seen is counted exactly from its first sighting on.
    pub sightings: Range,
    /// The lower end by platform, ascending by name.
    pub platforms: Vec<PlatformSightings>,
    /// The contents, ascending.
    pub contents: Vec<SightedContent>,
}

/// Sightings on one platform.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlatformSightings {
    /// The platform.
    pub platform: String,
    /// How many.
    pub sightings: u64,
}

/// A content that has a listed hash.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SightedContent {
    /// Its id, 32 hexadecimal digits.
    pub content: String,
    /// The family it belongs to in the reader's scope now: after a merge that which it joined, after it was taken out again its own.
    pub family: String,
}

/// What came up of an entry.
fn is_sighting(kind: Kind) -> bool {
    kind.is_spread() || kind == Kind::LiveStart
}

/// What was seen of the entry with this hash, whose id is `id`; `None` where nothing is counted exactly inside the scope, as of a flood in quarantine.
pub fn entry_sightings(
    replica: &ReplicaState,
    scope: Scope,
    (hash, id): (&ContentHash, ContentId),
) -> Option<EntrySightings> {
    // Events count for their strongest hash. What has this one beside it is known once it is announced.
    let announced = replica.announced.equal(id, scope, CONTENTS_MAX);
    let contents: BTreeSet<ContentId> = [id]
        .into_iter()
        .chain(announced.into_iter().map(|announced| announced.content))
        .collect();
    let mut tally = Tally::default();
    let mut hot: BTreeSet<(ContentId, Class)> = BTreeSet::new();
    for content in contents.iter().copied() {
        let records = replica.hot.visible(content, scope);
        let before = tally.count;
        for record in records.iter().filter(|record| record.flood().is_none()) {
            hot.insert((content, record.class()));
            tally.add(record);
        }
        if tally.count > before {
            let family = replica.hot.family_of(content, scope).unwrap_or(FamilyId(content));
            tally.contents.push(SightedContent {
                content: content.to_string(),
                family: family.to_string(),
            });
        }
    }
    let (first, last) = tally.seen?;
    let not_hot = spread_not_hot(replica, scope, &contents, &hot);
    let mut platforms: BTreeMap<String, u64> = BTreeMap::new();
    for (platform, count) in tally.platforms {
        *platforms.entry(replica.names.platform(platform)).or_default() += count;
    }
    let platforms = platforms.into_iter();
    Some(EntrySightings {
        hash: HashText::from(hash),
        first_seen: instant(first),
        last_seen: instant(last),
        sightings: Range::from(Interval {
            low: tally.count,
            high: tally.count.saturating_add(tally.uncounted).saturating_add(not_hot),
        }),
        platforms: platforms
            .map(|(platform, sightings)| PlatformSightings { platform, sightings })
            .collect(),
        contents: tally.contents,
    })
}

/// What may have come of contents in the last day in those classes inside the scope in which they are not hot: they are cold there, or in quarantine.
fn spread_not_hot(
    replica: &ReplicaState,
    scope: Scope,
    contents: &BTreeSet<ContentId>,
    hot: &BTreeSet<(ContentId, Class)>,
) -> u64 {
    let of_content = |content: ContentId| {
        let Some(as_of) = replica.cold_as_of(content, scope) else {
            return 0;
        };
        let day = window(WindowLength::Hours24, as_of);
        let classes = replica.cold.visible(content, scope);
        let not_hot = classes.iter().filter(|(class, _)| !hot.contains(&(content, *class)));
        let states = not_hot.map(|(_, state)| (content, state.as_ref()));
        cold_sum(states, day.from, day.to).map_or(0, |sum| sum.spread.high)
    };
    contents.iter().copied().map(of_content).fold(0, u64::saturating_add)
}

/// The answer of some entries.
pub fn bank_sightings_answer(
    replica: &ReplicaState,
    scope: Scope,
    bank: String,
    (sightings, next): (Vec<EntrySightings>, Option<String>),
    now_ms: i64,
) -> BankSightingsAnswer {
    let freshness = Freshness::of_all(replica, now_ms);
    BankSightingsAnswer {
        bank,
        scope: scope_name(scope),
        as_of: freshness.and_then(|freshness| instant(freshness.as_of)),
        lag_ms: freshness.map(|freshness| freshness.lag_ms),
        sightings,
        next,
    }
}

/// Records of the contents of one hash, taken together. Each event is counted in one class, so none twice.
#[derive(Default)]
struct Tally {
    count: u64,
    uncounted: u64,
    seen: Option<(Timestamp, Timestamp)>,
    platforms: BTreeMap<PlatformId, u64>,
    contents: Vec<SightedContent>,
}

impl Tally {
    fn add(&mut self, record: &Arc<Held>) {
        for heard in record.heard_of_each().filter(|heard| is_sighting(heard.kind)) {
            self.count += heard.events;
            *self.platforms.entry(heard.platform).or_default() += heard.events;
            let last = last_of(&heard, record.last_seen());
            self.seen = Some(match self.seen {
                None => (heard.first_at, last),
                Some((first, latest)) => (first.min(heard.first_at), latest.max(last)),
            });
        }
        self.uncounted = self.uncounted.saturating_add(record.spread_uncounted());
    }
}

/// When the latest of these events occurred, at most: bins say where it lies, and it is no later than the record's last event.
fn last_of(heard: &HeardOf, last_of_any: Timestamp) -> Timestamp {
    let end = heard.latest.map(|(_, end)| Timestamp(end.0 - 1).min(last_of_any));
    end.unwrap_or(heard.first_at).max(heard.first_at)
}
