//! Figures of a family: sums over the hot records of its members inside one scope.

use std::collections::BTreeMap;

use tocsin_model::{Estimate, Interval, Kind, Milliseconds, PlatformId, Surface, Timestamp};
use tocsin_sketch::Reach;

use crate::record::{HotRecord, Resolution};

/// The windows that answers and alerts speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WindowLength {
    /// Five minutes: 60 bins of five seconds.
    Minutes5,
    /// One hour: 60 bins of a minute.
    Hour1,
    /// A day: 96 bins of fifteen minutes.
    Hours24,
}

/// A stretch of time, `from` included, `to` excluded, on the edges of bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its start.
    pub from: Timestamp,
    /// Its end: the end of the bin that holds `as_of`.
    pub to: Timestamp,
}

/// Figures of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowFigures {
    /// Which window.
    pub length: WindowLength,
    /// Where exactly it lies.
    pub window: Window,
    /// Uploads, blocked uploads and shares.
    pub spread: Interval,
    /// Exact counts since promotion by platform and kind; zeros are left out.
    pub counts: BTreeMap<(PlatformId, Kind), u64>,
}

/// Distinct accounts on one platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReachFigures {
    /// Accounts since promotion, with the 95 % interval.
    pub accounts: Estimate,
    /// Whether the platform's pseudonym key changed meanwhile: the estimate is then an upper bound.
    pub epochs_mixed: bool,
}

/// Everything known of a hot family inside one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyFigures {
    /// Five minutes, one hour, 24 hours.
    pub windows: [WindowFigures; 3],
    /// Spread per surface over 24 hours, exact since promotion.
    pub surfaces: BTreeMap<Surface, u64>,
    /// Reach per platform since promotion.
    pub reach: BTreeMap<PlatformId, ReachFigures>,
    /// The earliest event that is known.
    pub first_seen: Timestamp,
    /// The latest event.
    pub last_seen: Timestamp,
    /// From when on everything was counted exactly: the latest promotion among the records.
    pub exact_since: Timestamp,
    /// How many contents.
    pub members: u32,
}

impl WindowLength {
    /// All windows, shortest first.
    pub const ALL: [WindowLength; 3] = [WindowLength::Minutes5, WindowLength::Hour1, WindowLength::Hours24];

    /// The length.
    pub fn length(self) -> Milliseconds {
        Milliseconds(self.resolution().width().0 * self.bins())
    }

    /// The bins it is made of.
    pub fn resolution(self) -> Resolution {
        match self {
            WindowLength::Minutes5 => Resolution::Seconds5,
            WindowLength::Hour1 => Resolution::Minute1,
            WindowLength::Hours24 => Resolution::Minutes15,
        }
    }

    fn bins(self) -> i64 {
        match self {
            WindowLength::Minutes5 | WindowLength::Hour1 => 60,
            WindowLength::Hours24 => 96,
        }
    }
}

/// Where the window of this length lies that ends with the open bin at `as_of`.
pub fn window(length: WindowLength, as_of: Timestamp) -> Window {
    let to = as_of.floor_to(length.resolution().width()) + length.resolution().width();
    Window {
        from: to - length.length(),
        to,
    }
}

/// The figures of a family, from the records of its members in the classes of one scope. `None` without records.
pub fn family_figures(records: &[&HotRecord], as_of: Timestamp) -> Option<FamilyFigures> {
    let first_seen = records.iter().map(|record| record.first_seen()).min()?;
    let last_seen = records.iter().map(|record| record.last_seen()).max()?;
    let exact_since = records.iter().map(|record| record.exact_since()).max()?;
    let mut contents: Vec<_> = records.iter().map(|record| record.content()).collect();
    contents.sort_unstable();
    contents.dedup();
    Some(FamilyFigures {
        windows: WindowLength::ALL.map(|length| window_figures(records, length, as_of)),
        surfaces: surfaces(records, as_of),
        reach: reach(records),
        first_seen,
        last_seen,
        exact_since,
        members: contents.len() as u32,
    })
}

fn window_figures(records: &[&HotRecord], length: WindowLength, as_of: Timestamp) -> WindowFigures {
    let window = window(length, as_of);
    let resolution = length.resolution();
    let mut counts = BTreeMap::new();
    let mut spread = Interval::default();
    for record in records {
        spread = spread.plus(record.spread(resolution, window.from, window.to));
        for (platform, kind, count) in record.counts(resolution, window.from, window.to) {
            if count > 0 {
                *counts.entry((platform, kind)).or_insert(0) += count;
            }
        }
    }
    WindowFigures {
        length,
        window,
        spread,
        counts,
    }
}

fn surfaces(records: &[&HotRecord], as_of: Timestamp) -> BTreeMap<Surface, u64> {
    let window = window(WindowLength::Hours24, as_of);
    let mut sums = BTreeMap::new();
    for (surface, count) in records
        .iter()
        .flat_map(|record| record.surfaces(window.from, window.to))
    {
        if count > 0 {
            *sums.entry(surface).or_insert(0) += count;
        }
    }
    sums
}

fn reach(records: &[&HotRecord]) -> BTreeMap<PlatformId, ReachFigures> {
    let mut merged: BTreeMap<PlatformId, (Reach, bool)> = BTreeMap::new();
    for entry in records.iter().flat_map(|record| record.reach()) {
        merged
            .entry(entry.platform)
            .and_modify(|(reach, mixed)| {
                reach.merge(&entry.accounts);
                *mixed |= entry.epochs_mixed;
            })
            .or_insert_with(|| (entry.accounts.clone(), entry.epochs_mixed));
    }
    merged
        .into_iter()
        .map(|(platform, (reach, epochs_mixed))| {
            (
                platform,
                ReachFigures {
                    accounts: reach.estimate(),
                    epochs_mixed,
                },
            )
        })
        .collect()
}
