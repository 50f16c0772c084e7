//! Figures that criteria name, from the hot records of a family. A bound is never narrower than what is counted.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Class, ContentId, Kind, PlatformId, Timestamp};
use tocsin_protocol::{Figure, Figures, Measured, Missing, Reading};
use tocsin_velocity::HotRecord;
use tocsin_velocity::evidence::next_hour;
use tocsin_velocity::figures::{FamilyFigures, ReachFigures, WindowFigures, WindowLength, family_figures};
use tocsin_velocity::forecast::Calibration;
use tocsin_velocity::since::{Since, is_posted, since_listing};

/// What is known of a family inside one scope.
#[derive(Clone, Debug)]
pub(crate) struct FamilyReading {
    /// The time up to which it is counted.
    pub as_of: Timestamp,
    /// As criteria name it.
    pub figures: Figures,
    /// By platform, ascending by its number.
    pub platforms: BTreeMap<PlatformId, PlatformReading>,
}

/// A family on one platform.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlatformReading {
    /// Uploads, blocked uploads and shares of the last 5 minutes, hour and 24 hours, since each content became hot.
    pub spread: [u64; 3],
    /// Distinct accounts.
    pub reach: Option<ReachFigures>,
    /// The earliest event.
    pub first_seen: Option<Timestamp>,
    /// The earliest copy that was posted.
    pub first_posted: Option<Timestamp>,
    /// The earliest upload that was blocked.
    pub first_blocked: Option<Timestamp>,
    /// The earliest removal.
    pub first_removed: Option<Timestamp>,
    /// What came of listed contents since their listing.
    pub since: Since,
}

const WINDOWS: [[Figure; 4]; 3] = [
    [
        Figure::Spread5m,
        Figure::Uploads5m,
        Figure::Blocked5m,
        Figure::Platforms5m,
    ],
    [
        Figure::Spread1h,
        Figure::Uploads1h,
        Figure::Blocked1h,
        Figure::Platforms1h,
    ],
    [
        Figure::Spread24h,
        Figure::Uploads24h,
        Figure::Blocked24h,
        Figure::Platforms24h,
    ],
];

/// What the records of a family's members in the classes `all` and `own` say at `as_of`. `None` without records.
///
/// A class of a member without a record is cold: it has fewer than `promote_at` copies, or it would have become hot, unless the table of hot contents
/// was full. So many may be missing, of any kind, account and platform. What is quarantined as a flood is not counted at all; then nothing of
/// the spread is known.
pub(crate) fn reading(
    records: &[&HotRecord],
    own: Class,
    (as_of, promote_at): (Timestamp, u32),
    calibration: &Calibration,
) -> Option<FamilyReading> {
    let figures = family_figures(records, as_of)?;
    let contents: BTreeSet<ContentId> = records.iter().map(|record| record.content()).collect();
    let classes = if own == Class::All { 1 } else { 2 };
    let cold_classes = contents.len() * classes - records.len().min(contents.len() * classes);
    let is_flooded = records.iter().any(|record| record.flood().is_some());
    let mut setter = Setter {
        figures: Figures::default(),
        as_of,
        cold_max: cold_classes as u64 * u64::from(promote_at.saturating_sub(1)),
    };
    for (window, named) in figures.windows.iter().zip(WINDOWS) {
        match is_flooded {
            true => setter.missing(&named, Missing::NotHot),
            false => setter.window(window, named),
        }
    }
    setter.whole(&figures, is_flooded);
    let forecast = next_hour(records, calibration, as_of);
    for (figure, value) in [
        (Figure::Forecast1hP05, forecast.spread.low),
        (Figure::Forecast1hP50, forecast.spread.median),
        (Figure::Forecast1hP95, forecast.spread.high),
        (Figure::ForecastAccounts1hP05, forecast.accounts.low),
        (Figure::ForecastAccounts1hP50, forecast.accounts.median),
        (Figure::ForecastAccounts1hP95, forecast.accounts.high),
    ] {
        setter.number(figure, value, value);
    }
    let platforms = platforms(records, &figures, as_of);
    setter.listing(records, &platforms);
    Some(FamilyReading {
        as_of,
        figures: setter.figures,
        platforms,
    })
}

fn platforms(
    records: &[&HotRecord],
    figures: &FamilyFigures,
    as_of: Timestamp,
) -> BTreeMap<PlatformId, PlatformReading> {
    let mut platforms: BTreeMap<PlatformId, PlatformReading> = BTreeMap::new();
    for (index, window) in figures.windows.iter().enumerate() {
        for ((platform, kind), count) in &window.counts {
            if kind.is_spread() {
                platforms.entry(*platform).or_default().spread[index] += count;
            }
        }
    }
    for (platform, reach) in &figures.reach {
        platforms.entry(*platform).or_default().reach = Some(*reach);
    }
    for record in records {
        for (platform, kind, at) in record.first_of_each() {
            let of = platforms.entry(platform).or_default();
            let earliest = |first: &mut Option<Timestamp>| *first = Some(first.map_or(at, |first| first.min(at)));
            earliest(&mut of.first_seen);
            match kind {
                kind if is_posted(kind) => earliest(&mut of.first_posted),
                Kind::BlockedUpload => earliest(&mut of.first_blocked),
                Kind::Removal => earliest(&mut of.first_removed),
                _ => {}
            }
        }
        for (platform, since) in since_listing(record, as_of) {
            platforms.entry(platform).or_default().since.add(&since);
        }
    }
    platforms
}

struct Setter {
    figures: Figures,
    as_of: Timestamp,
    /// So many copies may be in classes that are not counted exactly.
    cold_max: u64,
}

impl Setter {
    /// What was not counted by kind and platform may be of any kind, and each copy of it on a further platform.
    fn window(&mut self, window: &WindowFigures, [spread, uploads, blocked, platforms]: [Figure; 4]) {
        let exact: u64 = window
            .counts
            .iter()
            .filter(|((_, kind), _)| kind.is_spread())
            .map(|(_, count)| count)
            .sum();
        let open = window.spread.high.saturating_sub(exact) + self.cold_max;
        let counted = |kind: Kind| -> u64 {
            let counts = window.counts.iter().filter(|((_, of), _)| *of == kind);
            counts.map(|(_, count)| count).sum()
        };
        let reached: BTreeSet<PlatformId> = window
            .counts
            .keys()
            .filter(|(_, kind)| kind.is_spread())
            .map(|(platform, _)| *platform)
            .collect();
        self.range(spread, window.spread.low, window.spread.high + self.cold_max);
        for (figure, kind) in [(uploads, Kind::Upload), (blocked, Kind::BlockedUpload)] {
            self.range(figure, counted(kind), counted(kind) + open);
        }
        let reached = reached.len() as u64;
        let least = reached.max(window.spread.low.min(1));
        self.range(platforms, least, (reached + open).max(least));
    }

    /// What is known of the family as a whole.
    fn whole(&mut self, figures: &FamilyFigures, is_flooded: bool) {
        let reach = figures.reach.values();
        // An estimate over two keys of a platform's pseudonyms may count an account twice: it bounds from above alone.
        let is_upper_bound = figures.reach.values().any(|reach| reach.epochs_mixed);
        let (low, high) = reach.fold((0.0, 0.0), |(low, high), reach| {
            (low + reach.accounts.low, high + reach.accounts.high)
        });
        match is_flooded {
            true => self.missing(&[Figure::Accounts], Missing::NotHot),
            false => {
                let low = if is_upper_bound { 0.0 } else { low };
                self.number(Figure::Accounts, low, high + self.cold_max as f64);
            }
        }
        self.number(Figure::Variants, f64::from(figures.members), f64::from(figures.members));
        self.flag(Figure::Quarantined, is_flooded);
        self.since(Figure::SinceFirstSeen, figures.first_seen);
        self.since(Figure::SinceLastSeen, figures.last_seen);
        let live = figures.live.as_ref();
        self.flag(Figure::Live, live.is_some_and(|live| live.running > 0));
        match live {
            None => self.missing(&[Figure::Viewers, Figure::PeakViewers], Missing::NoStream),
            Some(live) => {
                self.range(Figure::Viewers, live.viewers, live.viewers);
                let least = match live.streams {
                    1 => live.peak_viewers,
                    _ => live.viewers.min(live.peak_viewers),
                };
                self.range(Figure::PeakViewers, least, live.peak_viewers);
            }
        }
    }

    fn listing(&mut self, records: &[&HotRecord], platforms: &BTreeMap<PlatformId, PlatformReading>) {
        let listed = records.iter().filter_map(|record| record.listing());
        let listed_at = listed.map(|listing| listing.at).min();
        self.flag(Figure::Listed, listed_at.is_some());
        let Some(listed_at) = listed_at else {
            let of_listing = [
                Figure::SinceListed,
                Figure::PostedSinceListed,
                Figure::LeakThrough,
                Figure::Reposted1h,
            ];
            return self.missing(&of_listing, Missing::NotListed);
        };
        let mut sum = Since::default();
        for platform in platforms.values() {
            sum.add(&platform.since);
        }
        self.since(Figure::SinceListed, listed_at);
        self.range(Figure::PostedSinceListed, sum.posted, sum.posted);
        self.range(Figure::Reposted1h, sum.reposted_1h, sum.reposted_1h);
        match sum.leak_through() {
            None => self.missing(&[Figure::LeakThrough], Missing::NoAttempt),
            Some(part) => self.number(Figure::LeakThrough, part, part),
        }
    }

    fn number(&mut self, figure: Figure, low: f64, high: f64) {
        let as_of = Some(self.as_of);
        self.figures.set(figure, Reading::Number(Measured { low, high, as_of }));
    }

    fn range(&mut self, figure: Figure, low: u64, high: u64) {
        self.number(figure, low as f64, high as f64);
    }

    fn flag(&mut self, figure: Figure, yes: bool) {
        self.figures.set(figure, Reading::Flag(yes, Some(self.as_of)));
    }

    fn missing(&mut self, figures: &[Figure], why: Missing) {
        for figure in figures {
            self.figures.set(*figure, Reading::Missing(why));
        }
    }

    fn since(&mut self, figure: Figure, from: Timestamp) {
        let seconds = self.as_of.0.saturating_sub(from.0).max(0) as f64 / 1_000.0;
        self.number(figure, seconds, seconds);
    }
}

/// What is known of a family of which nothing is hot: nothing.
pub(crate) fn nothing_hot() -> Figures {
    let mut figures = Figures::default();
    for figure in Figure::ALL {
        figures.set(*figure, Reading::Missing(Missing::NotHot));
    }
    figures
}

const _: () = assert!(WINDOWS.len() == WindowLength::ALL.len());
