//! Figures that criteria name, from the answers of the query API. A bound is never narrower than what the answer says.

use serde::Deserialize;
use tocsin_model::Timestamp;
use tocsin_protocol::{Figure, Figures, Measured, Missing, Reading};
use tocsin_wire::document::{AccountsRange, ForecastAnswer, LiveAnswer, Range, parse_instant};

use super::Family;

/// What is read of `/v1/families/{id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum FamilyAnswer {
    Hot(Box<Hot>),
    Cold(Cold),
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Hot {
    family: String,
    scope: String,
    as_of: Option<String>,
    lag_ms: u64,
    members: u32,
    quarantined_members: u32,
    first_seen: Option<String>,
    last_seen: Option<String>,
    windows: Vec<HotWindow>,
    live: Option<LiveAnswer>,
    reach: Reach,
    forecast: ForecastAnswer,
}

#[derive(Clone, Debug, Deserialize)]
struct HotWindow {
    window: String,
    spread: Range,
    before_exact: Range,
    not_hot: Option<NotHot>,
    platforms: Vec<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct NotHot {
    spread: Range,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    spread: u64,
    kinds: Vec<KindCount>,
}

#[derive(Clone, Debug, Deserialize)]
struct KindCount {
    kind: String,
    count: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Reach {
    sum_over_platforms: AccountsRange,
    upper_bound: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cold {
    family: String,
    scope: String,
    as_of: Option<String>,
    lag_ms: u64,
    windows: Vec<ColdWindow>,
    quarantined: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct ColdWindow {
    window: String,
    spread: Range,
}

/// What is read of `/v1/families/{id}/members`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MembersAnswer {
    as_of: Option<String>,
    listed_at: Option<String>,
    since_listing: Vec<SinceListing>,
}

#[derive(Clone, Debug, Deserialize)]
struct SinceListing {
    posted: u64,
    blocked: u64,
    reposted_1h: u64,
}

/// The figures of one window: spread, uploads, blocked uploads, platforms.
const WINDOWS: [(&str, [Figure; 4]); 3] = [
    (
        "5m",
        [
            Figure::Spread5m,
            Figure::Uploads5m,
            Figure::Blocked5m,
            Figure::Platforms5m,
        ],
    ),
    (
        "1h",
        [
            Figure::Spread1h,
            Figure::Uploads1h,
            Figure::Blocked1h,
            Figure::Platforms1h,
        ],
    ),
    (
        "24h",
        [
            Figure::Spread24h,
            Figure::Uploads24h,
            Figure::Blocked24h,
            Figure::Platforms24h,
        ],
    ),
];

/// The figures of a family. `None` when the answer has no time.
pub(super) fn figures(family: &FamilyAnswer, members: Option<&MembersAnswer>) -> Option<Family> {
    match family {
        FamilyAnswer::Hot(hot) => {
            let as_of = time(hot.as_of.as_deref())?;
            let mut setter = Setter::new(as_of, Missing::NotTold);
            of_hot(hot, &mut setter);
            of_listing(members, &mut setter);
            Some(Family {
                id: hot.family.clone(),
                scope: hot.scope.clone(),
                as_of,
                lag_ms: hot.lag_ms,
                figures: setter.figures,
            })
        }
        FamilyAnswer::Cold(cold) => {
            let as_of = time(cold.as_of.as_deref())?;
            let mut setter = Setter::new(as_of, Missing::NotHot);
            for window in &cold.windows {
                if let Some((_, [spread, ..])) = WINDOWS.iter().find(|(name, _)| *name == window.window) {
                    setter.range(*spread, window.spread);
                }
            }
            setter.flag(Figure::Quarantined, cold.quarantined.is_some());
            Some(Family {
                id: cold.family.clone(),
                scope: cold.scope.clone(),
                as_of,
                lag_ms: cold.lag_ms,
                figures: setter.figures,
            })
        }
    }
}

fn of_hot(hot: &Hot, setter: &mut Setter) {
    for window in &hot.windows {
        let Some((_, named)) = WINDOWS.iter().find(|(name, _)| *name == window.window) else {
            continue;
        };
        of_window(window, *named, setter);
    }
    let reach = &hot.reach.sum_over_platforms;
    // An estimate over two keys of a platform's pseudonyms may count an account twice: it bounds from above alone.
    let low = if hot.reach.upper_bound { 0.0 } else { reach.low };
    setter.number(Figure::Accounts, low, reach.high);
    setter.value(Figure::Variants, f64::from(hot.members));
    setter.flag(Figure::Quarantined, hot.quarantined_members > 0);
    setter.since(Figure::SinceFirstSeen, time(hot.first_seen.as_deref()));
    setter.since(Figure::SinceLastSeen, time(hot.last_seen.as_deref()));
    let live = hot.live.as_ref();
    setter.flag(Figure::Live, live.is_some_and(|live| live.running > 0));
    match live {
        None => {
            setter.missing(Figure::Viewers, Missing::NoStream);
            setter.missing(Figure::PeakViewers, Missing::NoStream);
        }
        Some(live) => {
            setter.value(Figure::Viewers, live.viewers as f64);
            let least = if live.streams == 1 {
                live.peak_viewers
            } else {
                live.viewers.min(live.peak_viewers)
            };
            setter.number(Figure::PeakViewers, least as f64, live.peak_viewers as f64);
        }
    }
    let (spread, accounts) = (hot.forecast.spread, &hot.forecast.accounts);
    for (figure, value) in [
        (Figure::Forecast1hP05, spread.low),
        (Figure::Forecast1hP50, spread.median),
        (Figure::Forecast1hP95, spread.high),
    ] {
        setter.value(figure, value);
    }
    for (figure, value) in [
        (Figure::ForecastAccounts1hP05, accounts.low),
        (Figure::ForecastAccounts1hP50, accounts.median.unwrap_or_default()),
        (Figure::ForecastAccounts1hP95, accounts.high),
    ] {
        // Without a median only bounds are told.
        match accounts.median {
            Some(_) => setter.value(figure, value),
            None => setter.number(figure, accounts.low, accounts.high),
        }
    }
}

/// What was not counted by kind and platform may be of any kind, and each copy of it on a further platform.
fn of_window(window: &HotWindow, named: [Figure; 4], setter: &mut Setter) {
    let [spread, uploads, blocked, platforms] = named;
    setter.range(spread, window.spread);
    let open = window.before_exact.high + window.not_hot.as_ref().map_or(0, |not_hot| not_hot.spread.high);
    let counted = |kind: &str| -> u64 {
        let kinds = window.platforms.iter().flat_map(|platform| &platform.kinds);
        kinds.filter(|count| count.kind == kind).map(|count| count.count).sum()
    };
    let from = |low: u64| Range {
        low,
        high: low.saturating_add(open),
    };
    setter.range(uploads, from(counted("upload")));
    setter.range(blocked, from(counted("blocked_upload")));
    let reached = window.platforms.iter().filter(|platform| platform.spread > 0).count() as u64;
    let mut range = from(reached);
    range.low = reached.max(window.spread.low.min(1));
    range.high = range.high.max(range.low);
    setter.range(platforms, range);
}

fn of_listing(members: Option<&MembersAnswer>, setter: &mut Setter) {
    let listing = [
        Figure::SinceListed,
        Figure::PostedSinceListed,
        Figure::LeakThrough,
        Figure::Reposted1h,
    ];
    let Some(members) = members else { return };
    setter.as_of = time(members.as_of.as_deref()).unwrap_or(setter.as_of);
    let listed_at = time(members.listed_at.as_deref());
    setter.flag(Figure::Listed, listed_at.is_some());
    if listed_at.is_none() {
        for figure in listing {
            setter.missing(figure, Missing::NotListed);
        }
        return;
    }
    let sum = |part: fn(&SinceListing) -> u64| members.since_listing.iter().map(part).sum::<u64>();
    let (posted, blocked) = (sum(|since| since.posted), sum(|since| since.blocked));
    setter.since(Figure::SinceListed, listed_at);
    setter.value(Figure::PostedSinceListed, posted as f64);
    setter.value(Figure::Reposted1h, sum(|since| since.reposted_1h) as f64);
    match posted + blocked {
        0 => setter.missing(Figure::LeakThrough, Missing::NoAttempt),
        attempts => setter.value(Figure::LeakThrough, posted as f64 / attempts as f64),
    }
}

struct Setter {
    figures: Figures,
    as_of: Timestamp,
}

impl Setter {
    /// What is not set later is missing for this reason.
    fn new(as_of: Timestamp, otherwise: Missing) -> Setter {
        let mut figures = Figures::default();
        for figure in Figure::ALL {
            figures.set(*figure, Reading::Missing(otherwise));
        }
        Setter { figures, as_of }
    }

    fn number(&mut self, figure: Figure, low: f64, high: f64) {
        let as_of = Some(self.as_of);
        self.figures.set(figure, Reading::Number(Measured { low, high, as_of }));
    }

    fn value(&mut self, figure: Figure, value: f64) {
        self.number(figure, value, value);
    }

    fn range(&mut self, figure: Figure, range: Range) {
        self.number(figure, range.low as f64, range.high as f64);
    }

    fn flag(&mut self, figure: Figure, yes: bool) {
        self.figures.set(figure, Reading::Flag(yes, Some(self.as_of)));
    }

    fn missing(&mut self, figure: Figure, why: Missing) {
        self.figures.set(figure, Reading::Missing(why));
    }

    fn since(&mut self, figure: Figure, from: Option<Timestamp>) {
        if let Some(from) = from {
            let seconds = self.as_of.0.saturating_sub(from.0).max(0) as f64 / 1_000.0;
            self.value(figure, seconds);
        }
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    parse_instant(text?)
}

#[cfg(test)]
mod tests {
    //! Goal: every figure is set or missing for a stated reason, and no bound is narrower than the answer.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn hot() -> serde_json::Value {
        let window = |name: &str| {
            json!({
                "window": name, "spread": {"low": 12, "high": 19}, "exact": 12, "before_exact": {"low": 0, "high": 4},
                "not_hot": {"spread": {"low": 0, "high": 3}},
                "platforms": [
                    {"platform": "north", "spread": 12, "kinds": [
                        {"kind": "upload", "count": 5}, {"kind": "blocked_upload", "count": 3}, {"kind": "share", "count": 4}]},
                    {"platform": "south", "spread": 0, "kinds": [{"kind": "removal", "count": 2}]}
                ]
            })
        };
        json!({
            "state": "hot", "family": "0123456789abcdef0011223344556677", "scope": "coordinators",
            "as_of": "2026-02-02T03:00:00.000Z", "lag_ms": 400, "members": 4, "quarantined_members": 0,
            "first_seen": "2026-02-02T02:30:00.000Z", "last_seen": "2026-02-02T02:59:59.000Z",
            "windows": [window("5m"), window("1h"), window("24h")], "live": null,
            "reach": {"sum_over_platforms": {"estimate": 10.0, "low": 9.0, "high": 11.0}, "upper_bound": false, "platforms": []},
            "forecast": {"spread": {"low": 1.0, "median": 2.0, "high": 3.0}, "accounts": {"low": 4.0, "median": 5.0, "high": 6.0}}
        })
    }

    fn members(listed_at: Option<&str>) -> MembersAnswer {
        serde_json::from_value(json!({
            "as_of": "2026-02-02T03:00:01.000Z", "listed_at": listed_at,
            "since_listing": [
                {"posted": 1, "blocked": 6, "reposted_1h": 1}, {"posted": 2, "blocked": 1, "reposted_1h": 0}
            ]
        }))
        .unwrap()
    }

    fn read(family: serde_json::Value, members: Option<&MembersAnswer>) -> Family {
        figures(&serde_json::from_value(family).unwrap(), members).unwrap()
    }

    fn bounds(family: &Family, figure: Figure) -> (f64, f64) {
        match family.figures.get(figure) {
            Reading::Number(measured) => (measured.low, measured.high),
            other => panic!("{figure:?}: {other:?}"),
        }
    }

    #[test]
    fn a_hot_family_has_its_figures() {
        let family = read(hot(), Some(&members(Some("2026-02-02T02:50:01.000Z"))));
        for (figure, expected) in [
            (Figure::Spread1h, (12.0, 19.0)),
            (Figure::Uploads1h, (5.0, 12.0)),
            (Figure::Blocked1h, (3.0, 10.0)),
            (Figure::Platforms1h, (1.0, 8.0)),
            (Figure::Accounts, (9.0, 11.0)),
            (Figure::Variants, (4.0, 4.0)),
            (Figure::SinceFirstSeen, (1_800.0, 1_800.0)),
            (Figure::SinceListed, (600.0, 600.0)),
            (Figure::PostedSinceListed, (3.0, 3.0)),
            (Figure::LeakThrough, (0.3, 0.3)),
            (Figure::Reposted1h, (1.0, 1.0)),
            (Figure::Forecast1hP05, (1.0, 1.0)),
            (Figure::ForecastAccounts1hP95, (6.0, 6.0)),
        ] {
            assert_eq!(bounds(&family, figure), expected, "{figure:?}");
        }
        assert_eq!(family.figures.get(Figure::Viewers), Reading::Missing(Missing::NoStream));
        assert!(matches!(
            family.figures.get(Figure::Live),
            Reading::Flag(false, Some(_))
        ));
        let told = |figure: &&Figure| family.figures.get(**figure) == Reading::Missing(Missing::NotTold);
        assert_eq!(Figure::ALL.iter().find(told), None);
    }

    #[test]
    fn what_is_not_known_is_missing_or_wide() {
        let unlisted = read(hot(), Some(&members(None)));
        assert_eq!(
            unlisted.figures.get(Figure::LeakThrough),
            Reading::Missing(Missing::NotListed)
        );
        assert!(matches!(unlisted.figures.get(Figure::Listed), Reading::Flag(false, _)));

        let mut answer = hot();
        answer["reach"]["upper_bound"] = true.into();
        answer["live"] = json!({
            "state": "running", "streams": 2, "running": 1, "started_at": null, "ended_at": null,
            "viewers": 18, "peak_viewers": 195, "viewer_minutes": 1250, "score": 1.0, "threshold": 4.2
        });
        let family = read(answer, None);
        assert_eq!(bounds(&family, Figure::Accounts), (0.0, 11.0));
        assert_eq!(bounds(&family, Figure::PeakViewers), (18.0, 195.0));
        assert_eq!(family.figures.get(Figure::Listed), Reading::Missing(Missing::NotTold));

        let cold = json!({
            "state": "cold", "family": "0123456789abcdef0011223344556677", "scope": "all", "as_of": "2026-02-02T03:00:00.000Z",
            "lag_ms": 40_000, "windows": [{"window": "1h", "spread": {"low": 0, "high": 7}}], "quarantined": null
        });
        let cold = read(cold, None);
        assert_eq!(bounds(&cold, Figure::Spread1h), (0.0, 7.0));
        assert_eq!(cold.figures.get(Figure::Platforms1h), Reading::Missing(Missing::NotHot));
    }
}
