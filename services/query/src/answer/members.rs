use std::collections::BTreeMap;
use std::ops;
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{ContentId, Evidence, FamilyId, Interval, Joined, Kind, PlatformId, Scope, Timestamp};
use tocsin_velocity::HotRecord;
use tocsin_velocity::figures::{WindowLength, window};
use tocsin_velocity::record::{Listing, Resolution};
use tocsin_velocity::since::{self, Since, is_posted};
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::trending::range_of;
use super::{AnswerError, Freshness, scope_name};
use crate::page::Rank;
use crate::replica::{Held, Names, ReplicaState};

/// The most members in one answer.
pub const MEMBERS_LIMIT_MAX: usize = 1_000;

/// The contents of a family, how they came into it, and what came of them on each platform.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MembersAnswer {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The time up to which everything is counted, RFC 3339.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
    /// When the first member was put on the watch list that is on it still, as far as the reader's records tell.
    pub listed_at: Option<String>,
    /// What came since the listing of each member that is listed, over all of them, by platform.
    pub since_listing: Vec<SinceListingAnswer>,
    /// The members, by spread in the last hour, then in the last 24: the first of the first page leads.
    pub members: Vec<MemberAnswer>,
    /// How many members rank behind these.
    pub members_left_out: u64,
    /// Pass it as `after` for those that do; null where there are none.
    pub next: Option<String>,
}

/// One content of a family.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MemberAnswer {
    /// Its id, 32 hexadecimal digits.
    pub content: String,
    /// Its strongest hash.
    pub hash: HashText,
    /// How it came into the family. Null of the founder, and of links made before this was kept.
    pub joined: Option<JoinedAnswer>,
    /// The earliest event that is known.
    pub first_seen: Option<String>,
    /// The latest event.
    pub last_seen: Option<String>,
    /// Uploads, blocked uploads and shares in the last hour.
    pub spread_1h: Range,
    /// And in the last 24 hours.
    pub spread_24h: Range,
    /// How grave it is, 1 to 4, where it is on the watch list.
    pub severity: Option<u8>,
    /// Since when.
    pub listed_at: Option<String>,
    /// Whether it was posted, and not blocked, after the first member was listed.
    pub escaped: bool,
    /// When each kind of event was first known on each platform since the content became hot.
    pub platforms: Vec<MemberPlatform>,
}

/// Why a content belongs to a family.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JoinedAnswer {
    /// `party_link` (a party said so), `equal_hash` (another of its hashes is one of the family's), `pdq_distance` (its picture is near to one),
    /// `frame_share` (its video shows what another one does),
    /// `founder_linked` (the content that founded its family joined), `moderator`, or `family_parted` (a person took it out of
    /// the family that it had joined, and its own family with it).
    pub evidence: &'static str,
    /// Of `pdq_distance`: in how many of 256 bits the pictures differ.
    pub distance: Option<u16>,
    /// Of `frame_share`: how many of a hundred frames agree, of that video of the two of which fewer do.
    pub share_percent: Option<u16>,
    /// Whose event gave the evidence.
    pub party: Option<String>,
    /// When.
    pub at: Option<String>,
}

/// A member on one platform.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MemberPlatform {
    /// The platform.
    pub platform: String,
    /// The earliest event of any kind.
    pub first_seen: Option<String>,
    /// The earliest copy that was posted: upload, share or live stream.
    pub first_posted: Option<String>,
    /// The earliest upload that was blocked.
    pub first_blocked: Option<String>,
    /// The earliest removal.
    pub first_removed: Option<String>,
}

/// What came of listed contents on one platform since they were listed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SinceListingAnswer {
    /// The platform.
    pub platform: String,
    /// Copies that were posted all the same.
    pub posted: u64,
    /// Uploads that were blocked.
    pub blocked: u64,
    /// Removals.
    pub removed: u64,
    /// Restored copies.
    pub restored: u64,
    /// The part of the attempts that was posted, 0 to 1. Null without an attempt.
    pub leak_through: Option<f64>,
    /// From the listing to the first blocked upload, in seconds: the shortest of all listed members.
    pub first_block_after_s: Option<f64>,
    /// From the listing to the first removal, in seconds: the shortest of all listed members.
    pub first_removal_after_s: Option<f64>,
    /// Copies posted in the last hour by the listed members: what comes again.
    pub reposted_1h: u64,
}

/// The members of a family in the order of their spread.
#[derive(Clone, Debug)]
pub struct RankedMembers {
    scope: Scope,
    family: FamilyId,
    freshness: Freshness,
    listed_at: Option<Timestamp>,
    since_listing: Vec<SinceListingAnswer>,
    /// Where each stands: by spread in the last hour, then in the last 24.
    pub ranks: Vec<Rank>,
}

impl RankedMembers {
    /// Ranks the members that a reader may see.
    ///
    /// # Errors
    /// Nothing of it is hot inside the reader's scope, or a partition has not told its time yet.
    pub fn of(
        replica: &ReplicaState,
        scope: Scope,
        content: ContentId,
        now_ms: i64,
    ) -> Result<RankedMembers, AnswerError> {
        let family = replica.hot.family_of(content, scope).ok_or(AnswerError::NotHot)?;
        let records = replica.hot.records_of(family, scope);
        let freshness = Freshness::of_family(replica, family, &records, now_ms)?;
        let mut counts: BTreeMap<ContentId, (u64, u64)> = BTreeMap::new();
        for record in &records {
            let spread = |length| spread(record, length, freshness.as_of).low;
            let counts = counts.entry(record.content()).or_default();
            counts.0 += spread(WindowLength::Hour1);
            counts.1 += spread(WindowLength::Hours24);
        }
        let mut ranks: Vec<Rank> = counts
            .into_iter()
            .map(|(content, counts)| Rank { counts, id: content.0 })
            .collect();
        ranks.sort_unstable();
        Ok(RankedMembers {
            scope,
            family,
            freshness,
            listed_at: listings(&records).map(|listing| listing.at).min(),
            since_listing: since_listing(&records, freshness.as_of, &replica.names),
            ranks,
        })
    }

    /// The family.
    pub fn family(&self) -> FamilyId {
        self.family
    }

    /// The time up to which everything is counted.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// The `limit` places behind `after`, or the first ones; and whether there are more behind them.
    pub fn page(&self, after: Option<Rank>, limit: usize) -> (&[Rank], bool) {
        let page = self.page_range(after, limit);
        (&self.ranks[page.clone()], page.end < self.ranks.len())
    }

    /// Where those stand in `ranks`.
    pub fn page_range(&self, after: Option<Rank>, limit: usize) -> ops::Range<usize> {
        range_of(&self.ranks, after, limit)
    }

    /// A member at its place. `None` when it is no longer hot.
    pub fn member(&self, replica: &ReplicaState, rank: &Rank) -> Option<MemberAnswer> {
        let held = replica.hot.visible(ContentId(rank.id), self.scope);
        let records: Vec<&HotRecord> = held.iter().map(|held| &***held).collect();
        let (now, names) = (self.freshness.as_of, &replica.names);
        (!records.is_empty()).then(|| member(&records, self.listed_at, now, names))
    }
}

/// The members of a family, as a reader may know them: `limit` of them behind `after`. The second is where the next page goes on, if there is one.
///
/// # Errors
/// Nothing of it is hot inside the reader's scope, or a partition has not told its time yet.
pub fn members_answer(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    (after, limit): (Option<Rank>, usize),
    now_ms: i64,
) -> Result<(MembersAnswer, Option<Rank>), AnswerError> {
    let ranked = RankedMembers::of(replica, scope, content, now_ms)?;
    let (places, more) = ranked.page(after, limit.min(MEMBERS_LIMIT_MAX));
    let last = places.last().or(after.as_ref());
    let behind = last.map_or(0, |last| {
        ranked.ranks.len() - ranked.ranks.partition_point(|rank| rank <= last)
    });
    let answer = MembersAnswer {
        family: ranked.family.to_string(),
        scope: scope_name(scope),
        as_of: instant(ranked.freshness.as_of),
        lag_ms: ranked.freshness.lag_ms,
        listed_at: ranked.listed_at.and_then(instant),
        since_listing: ranked.since_listing.clone(),
        members: places.iter().filter_map(|rank| ranked.member(replica, rank)).collect(),
        members_left_out: behind as u64,
        next: None,
    };
    Ok((answer, places.last().filter(|_| more).copied()))
}

/// What a record says of the spread in the window that ends now.
fn spread(record: &HotRecord, length: WindowLength, now: Timestamp) -> Interval {
    let window = window(length, now);
    record.spread(length.resolution(), window.from, window.to)
}

fn listings(records: &[Arc<Held>]) -> impl Iterator<Item = &Listing> {
    records.iter().filter_map(|record| record.listing())
}

/// The records of one content, the scope's own class first.
fn member(records: &[&HotRecord], listed_at: Option<Timestamp>, now: Timestamp, names: &Names) -> MemberAnswer {
    let joined = records.iter().find_map(|record| record.joined());
    let range = |length: WindowLength| {
        let of_each = records.iter().map(|record| spread(record, length, now));
        Range::from(of_each.reduce(Interval::plus).unwrap_or_default())
    };
    let listing = records
        .iter()
        .filter_map(|record| record.listing())
        .map(|listing| listing.at);
    MemberAnswer {
        content: records[0].content().to_string(),
        hash: HashText::from(records[0].hash()),
        joined: joined.map(|joined| joined_answer(joined, names)),
        first_seen: records.iter().map(|record| record.first_seen()).min().and_then(instant),
        last_seen: records.iter().map(|record| record.last_seen()).max().and_then(instant),
        spread_1h: range(WindowLength::Hour1),
        spread_24h: range(WindowLength::Hours24),
        severity: records
            .iter()
            .filter_map(|record| record.watched())
            .max()
            .map(|severity| severity.get()),
        listed_at: listing.min().and_then(instant),
        escaped: listed_at.is_some_and(|listed_at| records.iter().any(|record| was_posted_after(record, listed_at))),
        platforms: platforms(records, names),
    }
}

fn joined_answer(joined: &Joined, names: &Names) -> JoinedAnswer {
    let (distance, share_percent) = match joined.evidence {
        Evidence::PdqDistance(bits) => (Some(bits), None),
        Evidence::FrameShare(percent) => (None, Some(percent)),
        _ => (None, None),
    };
    JoinedAnswer {
        evidence: joined.evidence.name(),
        distance,
        share_percent,
        party: joined.party.map(|party| names.party(party)),
        at: instant(joined.at),
    }
}

/// Exact of a listed content; of another one by its first copies, and by bins of a quarter of an hour that lie behind the listing as a whole.
fn was_posted_after(record: &HotRecord, listed_at: Timestamp) -> bool {
    if let Some(listing) = record.listing()
        && listing.at <= listed_at
    {
        return listing.since.iter().any(|since| is_posted(since.kind));
    }
    let quarter = Resolution::Minutes15.width();
    let behind = listed_at.floor_to(quarter) + quarter;
    let first = record.first_of_each().filter(|(_, kind, _)| is_posted(*kind));
    let in_bins = record.counts(Resolution::Minutes15, behind, Timestamp(i64::MAX));
    first.map(|(_, _, at)| at).any(|at| at >= listed_at)
        || in_bins.into_iter().any(|(_, kind, count)| is_posted(kind) && count > 0)
}

fn platforms(records: &[&HotRecord], names: &Names) -> Vec<MemberPlatform> {
    let mut firsts: BTreeMap<PlatformId, Vec<(Kind, Timestamp)>> = BTreeMap::new();
    for (platform, kind, at) in records.iter().flat_map(|record| record.first_of_each()) {
        firsts.entry(platform).or_default().push((kind, at));
    }
    let platform = |(platform, firsts): (PlatformId, Vec<(Kind, Timestamp)>)| {
        let first = |wanted: fn(Kind) -> bool| {
            let of = firsts.iter().filter(|(kind, _)| wanted(*kind));
            of.map(|(_, at)| *at).min().and_then(instant)
        };
        MemberPlatform {
            platform: names.platform(platform),
            first_seen: first(|_| true),
            first_posted: first(is_posted),
            first_blocked: first(|kind| kind == Kind::BlockedUpload),
            first_removed: first(|kind| kind == Kind::Removal),
        }
    };
    firsts.into_iter().map(platform).collect()
}

fn since_listing(records: &[Arc<Held>], now: Timestamp, names: &Names) -> Vec<SinceListingAnswer> {
    let mut platforms: BTreeMap<PlatformId, Since> = BTreeMap::new();
    for record in records {
        for (platform, since) in since::since_listing(record, now) {
            platforms.entry(platform).or_default().add(&since);
        }
    }
    let seconds = |milliseconds: i64| milliseconds as f64 / 1_000.0;
    let answer = |(platform, since): (PlatformId, Since)| SinceListingAnswer {
        platform: names.platform(platform),
        posted: since.posted,
        blocked: since.blocked,
        removed: since.removed,
        restored: since.restored,
        leak_through: since.leak_through(),
        first_block_after_s: since.first_block_after_ms.map(seconds),
        first_removal_after_s: since.first_removal_after_ms.map(seconds),
        reposted_1h: since.reposted_1h,
    };
    platforms.into_iter().map(answer).collect()
}
