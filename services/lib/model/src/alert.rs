use std::fmt;

use crate::{ContentHash, FamilyId, Interval, LiveFigures, Milliseconds, PartyId, PlatformId, Scope, Timestamp};

/// The identity of an alert: a keyed digest of (scope, family when raised, rule version, episode number, level, repetition). The same input
/// gives the same id on every machine, so duplicates are harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u128);

/// Where an episode stands. The numbers are part of the wire formats and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AlertLevel {
    /// The spread stopped being ordinary.
    Raised = 1,
    /// It grew well beyond the level at which it was raised.
    Escalated = 2,
    /// It goes on: said again every so often, so that a lost alert heals.
    Sustained = 3,
    /// It is over.
    Subsided = 4,
}

/// An alarm with the numbers that justify it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its identity.
    pub id: AlertId,
    /// Who may see it: it rests on events inside this scope alone.
    pub scope: Scope,
    /// The family that spreads.
    pub family: FamilyId,
    /// The founding content's strongest hash.
    pub hash: ContentHash,
    /// Where the episode stands.
    pub level: AlertLevel,
    /// The number of the episode of this family and scope, from 1.
    pub episode: u32,
    /// The version of the rule that rang.
    pub rule_version: u16,
    /// The group's time when it rang.
    pub at: Timestamp,
    /// When the family was first seen, as far as is known.
    pub first_seen: Timestamp,
    /// From when on the counts are exact.
    pub exact_since: Timestamp,
    /// What rang.
    pub trigger: TriggerEvidence,
    /// Spread (uploads, blocked uploads and shares) over the last 5 minutes, 1 hour and 24 hours.
    pub spread_5m: Interval,
    /// See `spread_5m`.
    pub spread_1h: Interval,
    /// See `spread_5m`.
    pub spread_24h: Interval,
    /// Figures per platform, ascending by platform.
    pub platforms: Vec<PlatformFigures>,
    /// Spread expected in the next hour, median: that of `forecast` where there is one.
    pub forecast_1h: f64,
    /// The next hour with quantiles. `None` in alerts of schema version 1.
    pub forecast: Option<NextHour>,
    /// Exposure that can still be prevented in the next hour, times probability, times severity. Orders the queue.
    pub priority: f64,
    /// The terms of the priority, in a fixed order.
    pub priority_terms: Vec<PriorityTerm>,
    /// How many contents the family has.
    pub members: u32,
    /// Whether this episode interrupts a person: at this alert or at an earlier one.
    pub paged: bool,
    /// What is compared with `page_threshold`.
    pub page_score: f64,
    /// The page score from which an episode pages.
    pub page_threshold: f64,
    /// The budget of pages that the threshold stands for.
    pub pages_per_day: f64,
    /// The parties that reported the family, ascending by party.
    pub influence: Vec<PartyInfluence>,
    /// Whether a content of the family is quarantined as a flood: its copies are in none of the exact counts.
    pub quarantined: bool,
    /// Why the episode was raised; or, where a live stream joined it later, that.
    pub reason: AlertReason,
    /// The family's live streams. `None` when it has none.
    pub live: Option<LiveFigures>,
    /// What the score of the window that rang is made of. `None` in alerts of a version before.
    pub score_terms: Option<ScoreTerms>,
    /// The number of the calibration that judged: of the page threshold, and of what is ordinary on each platform. 0 is what the version
    /// ships with.
    pub calibration: u64,
}

/// Why an episode was raised, or escalated by a live stream. The numbers are part of the wire formats and never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AlertReason {
    /// The spread stopped being ordinary.
    #[default]
    Spread = 1,
    /// A content on the watch list was seen.
    WatchList = 2,
    /// A live stream runs whose family rang within the day, or was found to violate.
    LiveMatch = 3,
    /// The audience of a live stream grows as if those who watch pass it on.
    LiveAudience = 4,
}

/// What is expected of the next hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NextHour {
    /// Uploads, blocked uploads and shares.
    pub spread: Quantiles,
    /// The accounts these come from.
    pub accounts: Quantiles,
}

/// What is expected: 5, 50 and 95 % quantiles, never negative, ascending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// With 5 % probability it is less.
    pub low: f64,
    /// It is as likely to be more as to be less.
    pub median: f64,
    /// With 5 % probability it is more.
    pub high: f64,
}

/// One party's part in an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartyInfluence {
    /// The party.
    pub party: PartyId,
    /// The part of the family's spread over the last hour that it reported, 0 to 1.
    pub share: f64,
    /// The part of the exposure in the priority that is its own after the cap, 0 to 1.
    pub counted_share: f64,
    /// Whether the cap on what one party adds holds it back.
    pub capped: bool,
}

/// The window that rang.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriggerEvidence {
    /// Its length.
    pub window: Milliseconds,
    /// Spread observed in it; from rule version 5 on, without what one account repeated within an hour.
    pub observed: u64,
    /// Spread expected in it.
    pub expected: f64,
    /// What speaks for the beginning of a spike against ordinary spread: a sum of log-odds, in nats.
    pub score: f64,
    /// The score from which the rule rings.
    pub threshold: f64,
    /// Distinct accounts since the family is counted exactly, summed over platforms.
    pub accounts: Estimate,
}

/// What the score is the sum of, in nats. What could not make the rule ring was not looked at, and is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreTerms {
    /// How rare so many copies in such a time are.
    pub rarity: f64,
    /// Whether they took the time that those of a crisis take.
    pub pace: f64,
    /// Whether they came faster and faster.
    pub growth: f64,
    /// Whether they came on several platforms.
    pub synchrony: f64,
    /// Whether they were uploaded anew or passed on.
    pub reuploads: f64,
}

impl ScoreTerms {
    /// Every term with its name, in the order of the fields.
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("rarity", self.rarity),
            ("pace", self.pace),
            ("growth", self.growth),
            ("synchrony", self.synchrony),
            ("reuploads", self.reuploads),
        ]
    }

    /// The score, in nats.
    pub fn sum(&self) -> f64 {
        self.named().iter().map(|(_, value)| value).sum()
    }
}

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub estimate: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
}

impl Estimate {
    /// A number that is known.
    pub fn exactly(number: f64) -> Self {
        Estimate {
            estimate: number,
            low: number,
            high: number,
        }
    }
}

/// One platform's share in an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlatformFigures {
    /// The platform.
    pub platform: PlatformId,
    /// Exact spread counted since promotion over the last hour.
    pub spread_1h: u64,
    /// Exact spread counted since promotion over the last 24 hours.
    pub spread_24h: u64,
    /// Distinct accounts since promotion.
    pub reach: Estimate,
}

/// One term of a priority.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorityTerm {
    /// What it is: a stable name. This program's own need no memory: every alert tells a dozen.
    pub name: std::borrow::Cow<'static, str>,
    /// Its value.
    pub value: f64,
}

impl AlertReason {
    /// All reasons in the order of their numbers.
    pub const ALL: [AlertReason; 4] = [
        AlertReason::Spread,
        AlertReason::WatchList,
        AlertReason::LiveMatch,
        AlertReason::LiveAudience,
    ];

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<AlertReason> {
        AlertReason::ALL.into_iter().find(|reason| *reason as u8 == number)
    }

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            AlertReason::Spread => "spread",
            AlertReason::WatchList => "watch_list",
            AlertReason::LiveMatch => "live_match",
            AlertReason::LiveAudience => "live_audience",
        }
    }
}

impl AlertLevel {
    /// All levels in the order of their numbers.
    pub const ALL: [AlertLevel; 4] = [
        AlertLevel::Raised,
        AlertLevel::Escalated,
        AlertLevel::Sustained,
        AlertLevel::Subsided,
    ];

    /// The level with this number.
    pub fn from_number(number: u8) -> Option<AlertLevel> {
        AlertLevel::ALL.into_iter().find(|level| *level as u8 == number)
    }

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            AlertLevel::Raised => "raised",
            AlertLevel::Escalated => "escalated",
            AlertLevel::Sustained => "sustained",
            AlertLevel::Subsided => "subsided",
        }
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
