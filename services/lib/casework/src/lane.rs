use std::collections::BTreeSet;

use tocsin_model::{AlertReason, PlatformId};

use crate::case::{Case, Desk};

/// A region (ISO 3166-1 alpha-2) or a language (ISO 639-1), as events say it.
pub type Code = [u8; 2];

/// Why a case is looked at, the most pressing first: a case is in the first lane that fits. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// A live stream of the family runs now.
    Live = 1,
    /// A content of the family is on the watch list.
    WatchListed = 2,
    /// An authority or a flagger waits for an answer.
    Notices = 3,
    /// Somebody appealed. No case is in this lane: what is handed out is the appeal.
    Appeals = 4,
    /// Everything else.
    General = 5,
    /// What was decided is decided once more. No case is in this lane: what is handed out is the review.
    SecondReview = 6,
}

/// Which cases a claim or a page of the queue is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only this lane.
    pub lane: Option<Lane>,
    /// Only what waits at this desk.
    pub desk: Option<Desk>,
    /// Only what was seen on this platform, or of which a notice names it.
    pub platform: Option<PlatformId>,
    /// Only what is at least as grave.
    pub severity_min: Option<f64>,
    /// Only what spread in this region within the last day, as far as regions are told apart.
    pub region: Option<Code>,
    /// Only what spread in this language, likewise.
    pub language: Option<Code>,
}

/// What filters look at: a short account of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Traits {
    /// The lane.
    pub lane: Lane,
    /// The desk.
    pub desk: Desk,
    /// How grave, from 1.
    pub severity: f64,
    /// The platforms that saw the family, as alerts or the state tell, and those that its notices name; ascending.
    pub platforms: Vec<PlatformId>,
    /// The regions in which it spread within the last day, ascending.
    pub regions: Vec<Code>,
    /// The languages in which it did, ascending.
    pub languages: Vec<Code>,
}

impl Lane {
    /// All lanes, the most pressing first.
    pub const ALL: [Lane; 6] = [
        Lane::Live,
        Lane::WatchListed,
        Lane::Notices,
        Lane::Appeals,
        Lane::General,
        Lane::SecondReview,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Live => "live",
            Lane::WatchListed => "watch_listed",
            Lane::Notices => "notices",
            Lane::Appeals => "appeals",
            Lane::General => "general",
            Lane::SecondReview => "second_review",
        }
    }

    /// The lane of this name.
    pub fn from_name(name: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// The lane with this number of the store.
    pub fn from_number(number: i64) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| *lane as i64 == number)
    }
}

impl Case {
    /// What filters look at, by the figures that are shown.
    pub fn traits(&self) -> Traits {
        let figures = self.alert.iter().flat_map(|alert| &alert.platforms);
        let mut platforms: BTreeSet<PlatformId> = figures.map(|figures| figures.platform).collect();
        platforms.extend(self.seen.iter().flat_map(|seen| &seen.platforms));
        platforms.extend(&self.noticed_platforms);
        let by_alert = || self.term("severity").unwrap_or(1.0);
        Traits {
            lane: self.lane(),
            desk: self.desk,
            severity: self.seen_last().map_or_else(by_alert, |seen| seen.severity),
            platforms: platforms.into_iter().collect(),
            regions: self.regions.clone(),
            languages: self.languages.clone(),
        }
    }

    /// The lane the case is in, by the latest figures.
    pub fn lane(&self) -> Lane {
        let alert = self.alert.as_ref();
        let runs = self.live().is_some_and(|live| live.running > 0);
        let rang_listed = alert.is_some_and(|alert| alert.reason == AlertReason::WatchList);
        let listed = rang_listed || self.term("watch").is_some_and(|watch| watch > 0.0);
        let fits = [
            (runs, Lane::Live),
            (listed, Lane::WatchListed),
            (self.notices.open > 0, Lane::Notices),
        ];
        fits.into_iter()
            .find(|(fits, _)| *fits)
            .map_or(Lane::General, |(_, lane)| lane)
    }

    fn term(&self, name: &str) -> Option<f64> {
        let mut terms = self.alert.iter().flat_map(|alert| &alert.priority_terms);
        let term = terms.find(|term| term.name == name);
        term.map(|term| term.value).filter(|value| value.is_finite())
    }
}

impl Filter {
    /// Whether a case of these traits is meant.
    pub fn admits(&self, traits: &Traits) -> bool {
        self.lane.is_none_or(|lane| lane == traits.lane)
            && self.desk.is_none_or(|desk| desk == traits.desk)
            && self
                .platform
                .is_none_or(|platform| traits.platforms.contains(&platform))
            && self.severity_min.is_none_or(|least| traits.severity >= least)
            && self.region.is_none_or(|region| traits.regions.contains(&region))
            && self
                .language
                .is_none_or(|language| traits.languages.contains(&language))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tocsin_model::{LiveFigures, PriorityTerm, Timestamp};

    use super::*;
    use crate::alert_rules::tests::open;
    use crate::seen::Seen;

    #[test]
    fn a_case_is_in_the_first_lane_that_fits() {
        let live = |running| {
            Some(LiveFigures {
                streams: 1,
                running,
                started_at: Timestamp(0),
                ended_at: None,
                viewers: 0,
                peak_viewers: 0,
                viewer_minutes: 0,
                score: 0.0,
                threshold: 0.0,
            })
        };
        let watch = |value| PriorityTerm {
            name: "watch".into(),
            value,
        };
        for (live, reason, watch, open_notices, lane) in [
            (live(1), AlertReason::WatchList, watch(2.0), 1, Lane::Live),
            (live(0), AlertReason::WatchList, watch(0.0), 1, Lane::WatchListed),
            (None, AlertReason::Spread, watch(2.0), 0, Lane::WatchListed),
            (None, AlertReason::Spread, watch(0.0), 1, Lane::Notices),
            (live(0), AlertReason::LiveMatch, watch(f64::NAN), 0, Lane::General),
        ] {
            let mut case = open();
            case.notices.open = open_notices;
            let alert = case.alert.as_mut().unwrap();
            (alert.live, alert.reason, alert.priority_terms) = (live, reason, vec![watch]);
            assert_eq!(case.lane(), lane);
            case.alert = None;
            let without = if open_notices > 0 { Lane::Notices } else { Lane::General };
            assert_eq!(case.lane(), without);
        }
    }

    #[test]
    fn the_later_of_alert_and_state_is_shown_and_platforms_add_up() {
        let live = |running, viewers| LiveFigures {
            streams: 1,
            running,
            started_at: Timestamp(0),
            ended_at: None,
            viewers,
            peak_viewers: 9,
            viewer_minutes: 0,
            score: 0.0,
            threshold: 0.0,
        };
        let mut case = open();
        let rang_at = case.alert.as_ref().map(|alert| alert.at).unwrap();
        let alert = case.alert.as_mut().unwrap();
        alert.live = Some(live(1, 7));
        let by_alert = case.traits();
        assert_eq!((by_alert.lane, case.live().unwrap().viewers), (Lane::Live, 7));
        let seen = |at: i64, running, platform: u16| Seen {
            at: Timestamp(at),
            platforms: vec![PlatformId(platform)],
            severity: 1.5,
            live: Some(live(running, 3)),
        };
        assert!(case.take_seen(seen(rang_at.0 - 1, 0, 90)));
        let traits = case.traits();
        assert_eq!(
            (traits.lane, case.live().unwrap().viewers),
            (Lane::Live, 7),
            "the alert is later"
        );
        assert_eq!(traits.severity, by_alert.severity);
        assert!(traits.platforms.contains(&PlatformId(90)), "whoever saw it saw it");
        assert!(case.take_seen(seen(rang_at.0, 0, 91)));
        let traits = case.traits();
        assert_eq!((traits.lane, case.live().unwrap().viewers), (Lane::General, 3));
        assert_eq!((traits.severity, case.is_live()), (1.5, true));
        assert!(!traits.platforms.contains(&PlatformId(90)));
        assert!(
            by_alert
                .platforms
                .iter()
                .all(|platform| traits.platforms.contains(platform))
        );
        assert!(!case.take_seen(seen(rang_at.0 - 1, 1, 92)), "what was told later stays");
        // Without an alert, and with a notice alone.
        case.alert = None;
        case.note_platform(PlatformId(5));
        case.note_platform(PlatformId(3));
        case.note_platform(PlatformId(5));
        assert_eq!(case.traits().platforms, [3, 5, 91].map(PlatformId));
        assert!(!case.take_seen(Seen::nothing(Timestamp(rang_at.0 - 1))));
        assert!(case.take_seen(Seen::nothing(rang_at)));
        let traits = case.traits();
        assert_eq!(
            (traits.platforms, traits.severity),
            (vec![PlatformId(3), PlatformId(5)], 1.0)
        );
        assert!(case.live().is_none() && !case.is_live());
    }

    #[test]
    fn a_filter_admits_what_fits_in_every_part() {
        let traits = Traits {
            lane: Lane::Live,
            desk: Desk::Moderators,
            severity: 2.0,
            platforms: vec![PlatformId(3), PlatformId(5)],
            regions: vec![*b"DE", *b"NZ"],
            languages: vec![*b"en"],
        };
        let all = Filter::default();
        let cases = [
            (all.clone(), true),
            (
                Filter {
                    lane: Some(Lane::Live),
                    ..all.clone()
                },
                true,
            ),
            (
                Filter {
                    lane: Some(Lane::General),
                    ..all.clone()
                },
                false,
            ),
            (
                Filter {
                    desk: Some(Desk::Legal),
                    ..all.clone()
                },
                false,
            ),
            (
                Filter {
                    platform: Some(PlatformId(5)),
                    ..all.clone()
                },
                true,
            ),
            (
                Filter {
                    platform: Some(PlatformId(4)),
                    ..all.clone()
                },
                false,
            ),
            (
                Filter {
                    severity_min: Some(2.0),
                    ..all.clone()
                },
                true,
            ),
            (
                Filter {
                    severity_min: Some(2.5),
                    ..all.clone()
                },
                false,
            ),
            (
                Filter {
                    region: Some(*b"NZ"),
                    language: Some(*b"en"),
                    ..all.clone()
                },
                true,
            ),
            (
                Filter {
                    region: Some(*b"US"),
                    ..all.clone()
                },
                false,
            ),
            (
                Filter {
                    language: Some(*b"de"),
                    ..all
                },
                false,
            ),
        ];
        for (filter, admitted) in cases {
            assert_eq!(filter.admits(&traits), admitted, "{filter:?}");
        }
    }
}
