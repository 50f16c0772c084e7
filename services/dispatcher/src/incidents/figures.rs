//! Figures that criteria name, from the hot records of a family. A bound is never narrower than what is counted.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Class, ContentId, Kind, PlatformId, Timestamp};
use tocsin_protocol::{Figure, Figures, Measured, Missing, Reading};
use tocsin_suppression::{AccountsTable, Shown};
use tocsin_velocity::HotRecord;
use tocsin_velocity::evidence::next_hour;
use tocsin_velocity::figures::{FamilyFigures, WindowFigures, WindowLength, family_figures};
use tocsin_velocity::forecast::Calibration;
use tocsin_velocity::since::{Since, is_posted, since_listing};

use super::told_accounts::{expected, told};

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
    /// Distinct accounts as the reader is told them, and whether they are an upper bound.
    pub reach: Option<(Shown, bool)>,
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
/// the spread is known. Accounts are known as the reader is told them, who owns the platforms of `is_own`: what criteria come to follows from no more.
pub(crate) fn reading(
    records: &[&HotRecord],
    own: Class,
    (as_of, promote_at): (Timestamp, u32),
    calibration: &Calibration,
    is_own: impl Fn(PlatformId) -> bool,
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
    let accounts = told(&figures.reach, is_own);
    setter.whole(&figures, &accounts.total, is_flooded);
    let forecast = next_hour(records, calibration, as_of);
    for (figure, value) in [
        (Figure::Forecast1hP05, forecast.spread.low),
        (Figure::Forecast1hP50, forecast.spread.median),
        (Figure::Forecast1hP95, forecast.spread.high),
    ] {
        setter.number(figure, value, value);
    }
    for (figure, (low, high)) in [
        Figure::ForecastAccounts1hP05,
        Figure::ForecastAccounts1hP50,
        Figure::ForecastAccounts1hP95,
    ]
    .into_iter()
    .zip(expected(&accounts, &forecast))
    {
        setter.number(figure, low, high);
    }
    let platforms = platforms(records, &figures, accounts, as_of);
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
    accounts: AccountsTable,
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
    for (platform, shown) in accounts.platforms {
        let upper_bound = figures.reach.get(&platform).is_some_and(|reach| reach.epochs_mixed);
        platforms.entry(platform).or_default().reach = Some((shown, upper_bound));
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
    fn whole(&mut self, figures: &FamilyFigures, accounts: &Shown, is_flooded: bool) {
        // An estimate over two keys of a platform's pseudonyms may count an account twice: it bounds from above alone.
        let is_upper_bound = figures.reach.values().any(|reach| reach.epochs_mixed);
        match is_flooded {
            true => self.missing(&[Figure::Accounts], Missing::NotHot),
            false => {
                let low = if is_upper_bound { 0.0 } else { accounts.low };
                self.number(Figure::Accounts, low, accounts.high + self.cold_max as f64);
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

#[cfg(test)]
mod tests {
    //! Goal: bounds hold what was counted, what was before, and what a class that is not hot may hide; of a flood nothing is claimed.
    #![allow(clippy::unwrap_used)]

    use std::ops::Range;

    use tocsin_model::{
        AccountToken, Algorithm, ClockFlag, ContentHash, DeploymentKey, Milliseconds, PartyId, Severity, Sharing,
        Sighting, SourceCoordinate, SourceId, Surface, Watch,
    };
    use tocsin_sketch::ColdConfig;
    use tocsin_velocity::forecast::Model;
    use tocsin_velocity::{Group, GroupConfig, HotKey, Input};

    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);
    const PROMOTE_AT: u32 = 3;

    fn hash() -> ContentHash {
        ContentHash::from_bytes(Algorithm::Sha256, vec![9; 32], None).unwrap()
    }

    /// A group that saw so many copies of a content, from so many accounts each in turn.
    fn seen(copies: u64, accounts: u64) -> (Group, ContentId, Timestamp) {
        let key = DeploymentKey::from_bytes([7; 32]);
        let content = key.content_id(&hash());
        let config = GroupConfig {
            key,
            cold: ColdConfig {
                width: 64,
                seed: 11,
                lateness: Milliseconds::from_hours(2),
            },
            hot_max: 16,
            promote_at: PROMOTE_AT,
            retry_horizon: Milliseconds::from_minutes(130),
            shadow: None,
            retry_tokens_max: 1_000_000,
        };
        let mut group = Group::new(content.group(), config);
        let now = feed(&mut group, content, (0..copies, accounts), Kind::Upload);
        (group, content, now)
    }

    /// Copies of these numbers, each at its own time; the time after them.
    fn feed(group: &mut Group, content: ContentId, (copies, accounts): (Range<u64>, u64), kind: Kind) -> Timestamp {
        let (end, hash, mut outputs) = (copies.end, hash(), Vec::new());
        for copy in copies {
            let at = START + Milliseconds(copy as i64 * 10);
            let sighting = Sighting {
                source: SourceCoordinate {
                    source: SourceId(1),
                    offset: copy + 1,
                    index: 0,
                },
                event_token: (copy + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                party: PartyId(1),
                platform: PlatformId(1),
                kind,
                sharing: Sharing::All,
                surface: Surface::Feed,
                clock: ClockFlag::Plausible,
                occurred_at: at,
                received_at: at,
                content,
                hash: hash.view(),
                account: Some(AccountToken((copy % accounts + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
                account_epoch: 0,
                audience: 1_000,
                region: [0; 2],
                language: [0; 2],
                tvec_confidence: Sighting::NO_LABEL,
            };
            group.apply(Input::Sighting(&sighting), &mut outputs);
        }
        let now = START + Milliseconds(end as i64 * 10);
        group.apply(Input::Tick(now), &mut outputs);
        now
    }

    /// As the platform's owner reads it.
    fn read(group: &Group, content: ContentId, own: Class, now: Timestamp) -> FamilyReading {
        read_by(group, content, own, now, |_| true)
    }

    fn read_by(
        group: &Group,
        content: ContentId,
        own: Class,
        now: Timestamp,
        is_own: fn(PlatformId) -> bool,
    ) -> FamilyReading {
        let class = Class::All;
        let record = group.kept(HotKey { content, class }).unwrap();
        let calibration = Calibration::new(&Model::SHIPPED);
        reading(&[record], own, (now, PROMOTE_AT), &calibration, is_own).unwrap()
    }

    fn bounds(reading: &FamilyReading, figure: Figure) -> (f64, f64) {
        match reading.figures.get(figure) {
            Reading::Number(measured) => (measured.low, measured.high),
            other => panic!("{figure:?}: {other:?}"),
        }
    }

    #[test]
    fn bounds_allow_for_what_was_before_and_for_classes_that_are_not_hot() {
        let (group, content, now) = seen(60, 60);
        let all = read(&group, content, Class::All, now);
        let (low, high) = bounds(&all, Figure::Spread1h);
        assert!(
            low <= 60.0 && 60.0 <= high && high - low <= f64::from(PROMOTE_AT),
            "{low} to {high}"
        );
        assert!(bounds(&all, Figure::Uploads1h).1 >= 60.0);
        // A scope with a class of its own, of which nothing is hot: two copies may hide there, on platforms and by accounts of their own.
        let own = read(&group, content, Class::Coordinators, now);
        let hidden = f64::from(PROMOTE_AT - 1);
        for figure in [
            Figure::Spread1h,
            Figure::Uploads24h,
            Figure::Platforms5m,
            Figure::Accounts,
        ] {
            let (all, own) = (bounds(&all, figure), bounds(&own, figure));
            assert_eq!((own.0, own.1), (all.0, all.1 + hidden), "{figure:?}");
        }
        let told = |figure: &&Figure| own.figures.get(**figure) == Reading::Missing(Missing::NotAsked);
        assert_eq!(
            Figure::ALL.iter().find(told),
            None,
            "every figure is told or missing for a reason"
        );
        assert_eq!(
            own.figures.get(Figure::LeakThrough),
            Reading::Missing(Missing::NotListed)
        );
        assert_eq!(own.platforms[&PlatformId(1)].first_removed, None);
    }

    #[test]
    fn accounts_of_others_are_known_as_they_are_told() {
        let of = |accounts, figure| {
            let (group, content, now) = seen(60, accounts);
            let [own, others] = [|_| true, |_| false]
                .map(|is_own: fn(PlatformId) -> bool| read_by(&group, content, Class::All, now, is_own));
            let told = others.platforms[&PlatformId(1)]
                .reach
                .map(|(shown, _)| shown.to_string());
            (bounds(&own, figure), bounds(&others, figure), told.unwrap())
        };
        assert_eq!(of(24, Figure::Accounts), ((24.0, 24.0), (23.0, 27.0), "25".to_owned()));
        assert_eq!(of(9, Figure::Accounts), ((9.0, 9.0), (0.0, 9.0), "<10".to_owned()));
        let (own, others, _) = of(24, Figure::ForecastAccounts1hP95);
        assert!(others.0 <= own.0 && own.1 <= others.1, "{own:?} in {others:?}");
        let forecast = Figure::ForecastAccounts1hP50;
        assert_eq!(of(3, forecast).1, of(9, forecast).1, "no small number follows from it");
    }

    #[test]
    fn of_a_flood_nothing_is_claimed() {
        let (group, content, now) = seen(20_000, 1);
        let flood = read(&group, content, Class::All, now);
        assert!(
            matches!(flood.figures.get(Figure::Quarantined), Reading::Flag(true, _)),
            "it is a flood"
        );
        for figure in [
            Figure::Spread5m,
            Figure::Uploads1h,
            Figure::Platforms24h,
            Figure::Accounts,
        ] {
            assert_eq!(
                flood.figures.get(figure),
                Reading::Missing(Missing::NotHot),
                "{figure:?}"
            );
        }
    }

    #[test]
    fn what_came_since_a_listing_is_counted() {
        let (mut group, content, now) = seen(10, 10);
        let watch = Watch {
            number: 1,
            content,
            hash: hash(),
            listed: Severity::new(3),
            source: "north".parse().unwrap(),
            at: now,
        };
        group.apply(Input::Watch(&watch), &mut Vec::new());
        feed(&mut group, content, (11..14, 10), Kind::Upload);
        let now = feed(&mut group, content, (14..15, 10), Kind::BlockedUpload);
        let reading = read(&group, content, Class::All, now);
        assert_eq!(bounds(&reading, Figure::PostedSinceListed), (3.0, 3.0));
        assert_eq!(bounds(&reading, Figure::LeakThrough), (0.75, 0.75));
        let platform = &reading.platforms[&PlatformId(1)];
        assert_eq!((platform.since.posted, platform.since.blocked), (3, 1));
        assert!(platform.first_blocked.is_some() && platform.first_posted.is_some());
    }
}
