//! How listed contents fared, by bank and platform: what was posted all the same, how soon it was blocked, what comes again.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tocsin_model::{ContentHash, ContentId, PlatformId, Scope, Timestamp, nearest_rank};
use tocsin_velocity::since::{Since, since_listing};
use tocsin_wire::document::instant;
use utoipa::ToSchema;

use super::{AnswerError, Freshness, Listed, scope_name};
use crate::banks::banks_of;
use crate::replica::{Names, ReplicaState};

/// The most contents that one answer is made from: those seen last.
pub const LISTED_CONTENTS_MAX: usize = 65_536;

const DAY_MS: i64 = 24 * 3_600_000;

/// How the listed contents fared that are counted exactly: those of which anything was seen since they are on the watch list, inside the reader's
/// scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LeakThroughAnswer {
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The oldest time of all partitions, RFC 3339; null while nothing was counted.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: Option<u64>,
    /// How many contents this tells of.
    pub contents: u64,
    /// How many are left out: beyond 65,536 those that were not seen for longest.
    pub contents_left_out: u64,
    /// Over all banks by platform: a content that stands in several counts once.
    pub platforms: Vec<PlatformLeakThrough>,
    /// By bank. A content counts in each bank that lists it now, since it is on the watch list, whoever listed it first.
    pub banks: Vec<BankLeakThrough>,
}

/// How the contents of one bank fared.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BankLeakThrough {
    /// The bank.
    pub bank: String,
    /// How many of its contents this tells of.
    pub contents: u64,
    /// By platform.
    pub platforms: Vec<PlatformLeakThrough>,
}

/// How listed contents fared on one platform since they are listed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlatformLeakThrough {
    /// The platform.
    pub platform: String,
    /// Listed contents of which anything came there.
    pub contents: u64,
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
    /// Contents that were posted and never blocked.
    pub contents_never_blocked: u64,
    /// From the listing of a content to its first blocked upload, over those that were blocked. Null without any.
    pub first_block_after: Option<Delays>,
    /// From the listing of a content to its first removal, over those that were removed. Null without any.
    pub first_removal_after: Option<Delays>,
    /// Copies posted in the last hour.
    pub reposted_1h: u64,
    /// Copies posted in the last 24 hours.
    pub reposted_24h: u64,
    /// Those of them that were uploaded anew.
    pub reuploads_24h: u64,
    /// Uploads of the last 24 hours that were posted, for each content and each day that it was listed in them: what is left of the spread.
    /// Null where all were listed this moment.
    pub reuploads_per_content_day: Option<f64>,
}

/// How long something took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Delays {
    /// Of how many contents.
    pub contents: u64,
    /// Half of them took no longer.
    pub p50_s: f64,
    /// Nine in ten took no longer.
    pub p90_s: f64,
    /// The longest.
    pub max_s: f64,
}

/// The listed contents of which anything was seen, before it is known in which bank each stands.
#[derive(Debug)]
pub struct ListedContents {
    freshness: Option<Freshness>,
    left_out: u64,
    contents: Vec<ListedContent>,
}

#[derive(Debug)]
struct ListedContent {
    hash: ContentHash,
    /// How much of the last 24 hours it was listed.
    listed_ms: i64,
    platforms: BTreeMap<PlatformId, Since>,
}

impl ListedContents {
    /// Their hashes, in the order in which [`leak_through_answer`] is told who lists them.
    pub fn hashes(&self) -> Vec<ContentHash> {
        self.contents.iter().map(|content| content.hash.clone()).collect()
    }
}

/// The listed contents inside a scope. Looks at every record of one.
///
/// # Errors
/// A partition has not told its time yet.
pub fn listed_contents(replica: &ReplicaState, scope: Scope, now_ms: i64) -> Result<ListedContents, AnswerError> {
    let mut listed: Vec<(ContentId, Timestamp)> = replica.hot.listed(scope).into_iter().collect();
    let left_out = listed.len().saturating_sub(LISTED_CONTENTS_MAX) as u64;
    listed.sort_unstable_by_key(|(content, last_seen)| (Reverse(*last_seen), *content));
    listed.truncate(LISTED_CONTENTS_MAX);
    let contents = listed.into_iter().filter_map(|(content, _)| {
        let records = replica.hot.visible(content, scope);
        let listed_at = records.iter().filter_map(|record| Some(record.listing()?.at)).min()?;
        let hash = records.first()?.hash().clone();
        let of_content = |of_partition: Freshness| {
            let as_of = records.iter().map(|record| record.as_of).max();
            let now = as_of.into_iter().chain([of_partition.as_of]).max().unwrap_or_default();
            let mut platforms: BTreeMap<PlatformId, Since> = BTreeMap::new();
            for record in &records {
                for (platform, since) in since_listing(record, now) {
                    platforms.entry(platform).or_default().add(&since);
                }
            }
            ListedContent {
                hash,
                listed_ms: (now.0 - listed_at.0).clamp(0, DAY_MS),
                platforms,
            }
        };
        Some(Freshness::of_group(replica, content.group(), now_ms).map(of_content))
    });
    Ok(ListedContents {
        freshness: Freshness::of_all(replica, now_ms),
        left_out,
        contents: contents.collect::<Result<_, _>>()?,
    })
}

/// The answer, with who lists each of the contents.
pub fn leak_through_answer(scope: Scope, of: &ListedContents, listings: &[Listed], names: &Names) -> LeakThroughAnswer {
    let mut all = Tally::default();
    let mut banks: BTreeMap<String, Tally> = BTreeMap::new();
    for (content, (listings, _)) in of.contents.iter().zip(listings) {
        all.add(content);
        for bank in banks_of(false, listings, &[]) {
            banks.entry(bank).or_default().add(content);
        }
    }
    LeakThroughAnswer {
        scope: scope_name(scope),
        as_of: of.freshness.and_then(|freshness| instant(freshness.as_of)),
        lag_ms: of.freshness.map(|freshness| freshness.lag_ms),
        contents: all.contents,
        contents_left_out: of.left_out,
        platforms: all.platforms(names),
        banks: banks
            .into_iter()
            .map(|(bank, tally)| BankLeakThrough {
                bank,
                contents: tally.contents,
                platforms: tally.platforms(names),
            })
            .collect(),
    }
}

/// Contents taken together.
#[derive(Default)]
struct Tally {
    contents: u64,
    platforms: BTreeMap<PlatformId, OnPlatform>,
}

#[derive(Default)]
struct OnPlatform {
    contents: u64,
    never_blocked: u64,
    listed_ms: i64,
    sum: Since,
    first_blocks_ms: Vec<i64>,
    first_removals_ms: Vec<i64>,
}

impl Tally {
    fn add(&mut self, content: &ListedContent) {
        self.contents += 1;
        for (platform, since) in &content.platforms {
            let on = self.platforms.entry(*platform).or_default();
            on.contents += 1;
            on.never_blocked += u64::from(since.posted > 0 && since.blocked == 0);
            on.listed_ms += content.listed_ms;
            on.sum.add(since);
            on.first_blocks_ms.extend(since.first_block_after_ms);
            on.first_removals_ms.extend(since.first_removal_after_ms);
        }
    }

    fn platforms(self, names: &Names) -> Vec<PlatformLeakThrough> {
        let told = |(platform, on): (PlatformId, OnPlatform)| {
            let content_days = on.listed_ms as f64 / DAY_MS as f64;
            PlatformLeakThrough {
                platform: names.platform(platform),
                contents: on.contents,
                posted: on.sum.posted,
                blocked: on.sum.blocked,
                removed: on.sum.removed,
                restored: on.sum.restored,
                leak_through: on.sum.leak_through(),
                contents_never_blocked: on.never_blocked,
                first_block_after: delays(on.first_blocks_ms),
                first_removal_after: delays(on.first_removals_ms),
                reposted_1h: on.sum.reposted_1h,
                reposted_24h: on.sum.reposted_24h,
                reuploads_24h: on.sum.reuploads_24h,
                reuploads_per_content_day: (content_days > 0.0).then(|| on.sum.reuploads_24h as f64 / content_days),
            }
        };
        self.platforms.into_iter().map(told).collect()
    }
}

/// Quantiles by the nearest rank.
fn delays(mut after_ms: Vec<i64>) -> Option<Delays> {
    after_ms.sort_unstable();
    let at = |per_cent: usize| nearest_rank(&after_ms, per_cent).map(|after| *after as f64 / 1_000.0);
    Some(Delays {
        contents: after_ms.len() as u64,
        p50_s: at(50)?,
        p90_s: at(90)?,
        max_s: at(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_those_of_the_nearest_rank() {
        assert_eq!(delays(Vec::new()), None);
        let of = |after_ms: Vec<i64>| {
            delays(after_ms).map(|delays| (delays.contents, delays.p50_s, delays.p90_s, delays.max_s))
        };
        assert_eq!(of(vec![1_500]), Some((1, 1.5, 1.5, 1.5)));
        assert_eq!(
            of((1..=10).rev().map(|second| second * 1_000).collect()),
            Some((10, 5.0, 9.0, 10.0))
        );
    }
}
