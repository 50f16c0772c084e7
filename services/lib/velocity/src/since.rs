//! What came of a listed content on one platform since it is listed.

use std::collections::BTreeMap;

use tocsin_model::{Kind, PlatformId, Timestamp};

use crate::figures::{WindowLength, window};
use crate::record::HotRecord;

/// What came of one content, or of several, on one platform since each was listed.
#[derive(Clone, Debug, Default)]
pub struct Since {
    /// Copies that were posted all the same.
    pub posted: u64,
    /// Uploads that were blocked.
    pub blocked: u64,
    /// Removals.
    pub removed: u64,
    /// Restored copies.
    pub restored: u64,
    /// From a listing to the first blocked upload of that content: the shortest.
    pub first_block_after_ms: Option<i64>,
    /// From a listing to the first removal: the shortest.
    pub first_removal_after_ms: Option<i64>,
    /// Copies posted in the last hour.
    pub reposted_1h: u64,
    /// Copies posted in the last 24 hours.
    pub reposted_24h: u64,
    /// Those of them that were uploaded anew.
    pub reuploads_24h: u64,
}

/// Whether a copy was seen by people.
pub fn is_posted(kind: Kind) -> bool {
    matches!(kind, Kind::Upload | Kind::Share | Kind::LiveStart)
}

impl Since {
    /// Takes in what came of the same content in another class, or of another one.
    pub fn add(&mut self, other: &Since) {
        self.posted += other.posted;
        self.blocked += other.blocked;
        self.removed += other.removed;
        self.restored += other.restored;
        self.first_block_after_ms = earliest(self.first_block_after_ms, other.first_block_after_ms);
        self.first_removal_after_ms = earliest(self.first_removal_after_ms, other.first_removal_after_ms);
        self.reposted_1h += other.reposted_1h;
        self.reposted_24h += other.reposted_24h;
        self.reuploads_24h += other.reuploads_24h;
    }

    /// The part of the attempts that was posted; `None` without an attempt.
    pub fn leak_through(&self) -> Option<f64> {
        let attempts = self.posted + self.blocked;
        (attempts > 0).then(|| self.posted as f64 / attempts as f64)
    }
}

/// What came of a record's content since it is listed, by platform; nothing where it is not listed.
pub fn since_listing(record: &HotRecord, now: Timestamp) -> BTreeMap<PlatformId, Since> {
    let mut platforms: BTreeMap<PlatformId, Since> = BTreeMap::new();
    let Some(listing) = record.listing() else {
        return platforms;
    };
    for since in &listing.since {
        let of = platforms.entry(since.platform).or_default();
        let after = Some(since.first_at.0 - listing.at.0);
        match since.kind {
            kind if is_posted(kind) => of.posted += since.events,
            Kind::BlockedUpload => {
                of.blocked += since.events;
                of.first_block_after_ms = earliest(of.first_block_after_ms, after);
            }
            Kind::Removal => {
                of.removed += since.events;
                of.first_removal_after_ms = earliest(of.first_removal_after_ms, after);
            }
            Kind::Restore => of.restored += since.events,
            _ => {}
        }
    }
    for length in [WindowLength::Hour1, WindowLength::Hours24] {
        let window = window(length, now);
        // Since a listing inside the window every event is told of by itself; bins would be cut at its edge.
        let counts: Vec<(PlatformId, Kind, u64)> = match listing.at >= window.from {
            true => listing
                .since
                .iter()
                .map(|since| (since.platform, since.kind, since.events))
                .collect(),
            false => record.counts(length.resolution(), window.from, window.to).collect(),
        };
        for (platform, kind, count) in counts {
            if !is_posted(kind) || count == 0 {
                continue;
            }
            let of = platforms.entry(platform).or_default();
            match length {
                WindowLength::Hours24 => {
                    of.reposted_24h += count;
                    of.reuploads_24h += if kind == Kind::Upload { count } else { 0 };
                }
                _ => of.reposted_1h += count,
            }
        }
    }
    platforms
}

fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}
