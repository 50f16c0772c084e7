//! Figures of a family: sums over the hot records of its members inside one scope.

use std::collections::BTreeMap;

use tocsin_model::{Estimate, Interval, Kind, LiveFigures, Milliseconds, PlatformId, Surface, Timestamp};
use tocsin_sketch::Reach;

use crate::live::live_figures;
use crate::record::{Code, HotRecord, Parts, Resolution};

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

/// How the spread of a day divides by a code: [`CodeFigures::stated`], `others` and `unstated` sum up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeFigures {
    /// The codes with the largest counts, at most [`CODES_MAX`]: the largest first, of equal counts the lower code.
    pub stated: Vec<(Code, u64)>,
    /// The count of all other codes together.
    pub others: u64,
    /// The count of the events that state none.
    pub unstated: u64,
}

/// The most codes that are told apart for one family; the others have one count together.
pub const CODES_MAX: usize = 32;

/// Everything known of a hot family inside one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyFigures {
    /// Five minutes, one hour, 24 hours.
    pub windows: [WindowFigures; 3],
    /// Spread per surface over 24 hours, exact since promotion.
    pub surfaces: BTreeMap<Surface, u64>,
    /// Spread per region over 24 hours, exact since promotion.
    pub regions: CodeFigures,
    /// Spread per language over 24 hours, exact since promotion.
    pub languages: CodeFigures,
    /// The live streams among the contents; `None` when there are none.
    pub live: Option<LiveFigures>,
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
    let figures = undivided_figures(records, as_of)?;
    Some(FamilyFigures {
        surfaces: surfaces(records, as_of),
        regions: codes(records, as_of, HotRecord::regions),
        languages: codes(records, as_of, HotRecord::languages),
        ..figures
    })
}

/// The same without surfaces, regions and languages, which no alert tells.
pub(crate) fn undivided_figures(records: &[&HotRecord], as_of: Timestamp) -> Option<FamilyFigures> {
    let first_seen = records.iter().map(|record| record.first_seen()).min()?;
    let last_seen = records.iter().map(|record| record.last_seen()).max()?;
    let exact_since = records.iter().map(|record| record.exact_since()).max()?;
    let mut contents: Vec<_> = records.iter().map(|record| record.content()).collect();
    contents.sort_unstable();
    contents.dedup();
    Some(FamilyFigures {
        windows: WindowLength::ALL.map(|length| window_figures(records, length, as_of)),
        surfaces: BTreeMap::new(),
        regions: CodeFigures::default(),
        languages: CodeFigures::default(),
        live: live_figures(records, as_of),
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

fn codes(
    records: &[&HotRecord],
    as_of: Timestamp,
    parts: impl Fn(&HotRecord, Timestamp, Timestamp) -> Parts,
) -> CodeFigures {
    let Window { from, to } = window(WindowLength::Hours24, as_of);
    let mut sums: BTreeMap<Code, u64> = BTreeMap::new();
    let (mut others, mut spread) = (0_u64, 0_u64);
    for record in records {
        let parts = parts(record, from, to);
        for (code, count) in parts.codes {
            *sums.entry(code).or_insert(0) += count;
        }
        others = others.saturating_add(parts.others);
        spread = spread.saturating_add(record.spread(Resolution::Minutes15, from, to).low);
    }
    let unstated = spread.saturating_sub(others).saturating_sub(sums.values().sum());
    let mut stated: Vec<(Code, u64)> = sums.into_iter().collect();
    stated.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
    let beyond = stated.split_off(stated.len().min(CODES_MAX));
    CodeFigures {
        stated,
        others: beyond.iter().fold(others, |sum, (_, count)| sum.saturating_add(*count)),
        unstated,
    }
}

fn reach(records: &[&HotRecord]) -> BTreeMap<PlatformId, ReachFigures> {
    let figures = |accounts: &Reach, epochs_mixed| ReachFigures {
        accounts: accounts.estimate(),
        epochs_mixed,
    };
    if let [only] = records {
        // Nothing to unite, so nothing is copied.
        let each = only.reach().iter();
        return each
            .map(|entry| (entry.platform, figures(&entry.accounts, entry.epochs_mixed)))
            .collect();
    }
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
    let merged = merged.iter();
    merged
        .map(|(platform, (reach, epochs_mixed))| (*platform, figures(reach, *epochs_mixed)))
        .collect()
}
