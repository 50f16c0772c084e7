//! The plans that the Christchurch test names. Figures that a company or body has stated stand with their event; the rest is assumed, and
//! said to be.

use tocsin_model::{Milliseconds, Timestamp};

use super::plan::{
    AttackPlan, Attacked, CappedPlatform, CrisisPlan, DayPlan, DisorderPlan, LaunchPlan, NewsPlan, OrdinaryPlan,
    PetitionPlan, PlatformPlan, RhythmPlan, Silence, SourcePlan, SpreadPlan,
};
use super::spread::log_normal;
use crate::scenario::draw::Draw;

/// The size of ordinary traffic: 1 is 10^8 contents and 5 x 10^8 events a day. A crisis has its own size at every scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(pub f64);

/// What happens on a day beside ordinary traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// 15 March 2019: live for 17 minutes, 1.5 million uploads in a day, on all platforms.
    Christchurch,
    /// 9 October 2019: five viewers live, then channels of a messenger.
    Halle,
    /// 14 May 2022: one recorder, and links more than uploads.
    Buffalo,
    /// 30 January 2024: uploaded in the evening, slow, on one platform.
    Levittown,
    /// No crisis at all.
    Benign,
    /// All three attacks on the alarm, and a crisis that begins under cover of a flood.
    Poisoning,
}

/// 2026-01-05, a Monday.
const MIDNIGHT: Timestamp = Timestamp(1_767_571_200_000);
/// Crises of a headline day.
const HEADLINE_CRISES: u32 = 10;
/// Labels where there are any: of crisis copies, of organic ones, and of excerpts in the news, which show what classifiers look for.
const CRISIS_LABELLED_SHARE: f64 = 0.3;
const ORGANIC_LABELLED_SHARE: f64 = 0.001;
const NEWS_LABELLED_SHARE: f64 = 0.1;
/// Accounts at every scale: a crisis has its own size, and most who post it are new to it.
const ACCOUNTS: u64 = 20_000_000;
/// Large benign cascades a day at scale 1.
const CASCADES_PER_DAY: f64 = 2_000.0;
/// Cascades of a queue day, whatever its scale, and how much thinner its ordinary traffic is.
const QUEUE_CASCADES_PER_DAY: f64 = 5_000.0;
const QUEUE_THINNED: f64 = 0.1;
const QUEUE_CRISES: u32 = 8;
/// Cascades of a day of casework, whatever its scale: they are most of what a team decides about.
const CASEWORK_CASCADES_PER_DAY: f64 = 2_500.0;
/// A crisis whose source appears at a time of the day; some of it is drawn.
type CrisisShape = fn(Milliseconds, &mut Draw) -> CrisisPlan;
/// Of the ten crises of such a day so many have this shape.
const CASEWORK_CRISES: [(CrisisShape, u32); 4] = [
    (CrisisPlan::christchurch, 3),
    (CrisisPlan::halle, 2),
    (CrisisPlan::buffalo, 3),
    (CrisisPlan::levittown, 2),
];
/// Users report harmless copies a tenth as often as those of a crisis. Assumed.
const HARMLESS_REPORTED_SHARE: f64 = 0.002;
/// The highest rate of a crisis on such a day.
const CASEWORK_PEAK_PER_SECOND: f64 = 5.0;

const MINUTE: Milliseconds = Milliseconds::from_minutes(1);
const DAY: Milliseconds = Milliseconds::from_hours(24);

fn minutes(count: f64) -> Milliseconds {
    Milliseconds((count * MINUTE.0 as f64) as i64)
}

fn log_uniform((from, to): (f64, f64), draw: &mut Draw) -> f64 {
    from * libm::pow(to / from, draw.unit())
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Scenario; 6] = [
        Scenario::Christchurch,
        Scenario::Halle,
        Scenario::Buffalo,
        Scenario::Levittown,
        Scenario::Benign,
        Scenario::Poisoning,
    ];

    /// Its name on the command line and in rows.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Christchurch => "christchurch",
            Scenario::Halle => "halle",
            Scenario::Buffalo => "buffalo",
            Scenario::Levittown => "levittown",
            Scenario::Benign => "benign",
            Scenario::Poisoning => "poisoning",
        }
    }

    /// The scenario of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }
}

impl DayPlan {
    /// One day of a scenario, without labels.
    pub fn new(scenario: Scenario, scale: Scale, seed: u64) -> Self {
        let mut plan = DayPlan::ordinary(scale, seed, 0);
        let mut draw = Draw::of(seed, scenario.name(), 0);
        match scenario {
            Scenario::Benign => {}
            Scenario::Christchurch => plan.add_crisis(CrisisPlan::christchurch(Milliseconds::from_hours(1), &mut draw)),
            Scenario::Halle => plan.add_crisis(CrisisPlan::halle(Milliseconds::from_hours(10), &mut draw)),
            Scenario::Buffalo => plan.add_crisis(CrisisPlan::buffalo(Milliseconds::from_hours(6), &mut draw)),
            Scenario::Levittown => {
                // From noon to noon, since it begins at ten in the evening.
                plan.begins_at = MIDNIGHT + Milliseconds::from_hours(12);
                plan.add_crisis(CrisisPlan::levittown(Milliseconds::from_hours(10), &mut draw));
            }
            Scenario::Poisoning => {
                let at = Milliseconds::from_hours(9);
                plan.attacks = attacks(scale, at);
                let crisis = CrisisPlan::christchurch(at, &mut draw);
                plan.add_crisis(CrisisPlan {
                    at: Milliseconds(at.0 + MINUTE.0 / 2 - crisis.first_copy_after.0),
                    cut_after_onset: Some(Milliseconds::from_hours(2)),
                    ..crisis
                });
            }
        }
        plan
    }

    /// One of the independent days of the headline: ten crises that do not overlap, each cut two hours after its onset, and no labels.
    ///
    /// Ten such crises fill a day: re-uploads of each end, at the latest, when those of the next begin.
    pub fn headline(scale: Scale, seed: u64, number: u32) -> Self {
        let mut plan = DayPlan::ordinary(scale, seed, number);
        let slot = Milliseconds(DAY.0 / i64::from(HEADLINE_CRISES));
        let mut draw = Draw::of(seed, "headline", u64::from(number));
        for place in 0..i64::from(HEADLINE_CRISES) {
            let wait = minutes(2.0 * draw.unit());
            let crisis = CrisisPlan::christchurch(Milliseconds(0), &mut draw);
            plan.add_crisis(CrisisPlan {
                at: Milliseconds(slot.0 * place + wait.0 - crisis.first_copy_after.0),
                cut_after_onset: Some(Milliseconds::from_hours(2)),
                ends_after: Milliseconds(crisis.first_copy_after.0 + slot.0 - wait.0),
                ..crisis
            });
        }
        plan
    }

    /// One of the days on which pages are budgeted: the crises of a headline day with labels on three copies in ten, 20 large cascades.
    pub fn paging(scale: Scale, seed: u64, number: u32) -> Self {
        let mut plan = DayPlan::headline(scale, seed, number);
        plan.cascades.per_day = 20.0;
        plan.put_labels();
        plan
    }

    /// The day on which the queue's order is judged: 5,000 cascades over thinned traffic, eight smaller crises of a whole day, labels.
    pub fn queue(scale: Scale, seed: u64) -> Self {
        let mut plan = DayPlan::ordinary(Scale(scale.0 * QUEUE_THINNED), seed, 0);
        plan.cascades = SpreadPlan {
            per_day: QUEUE_CASCADES_PER_DAY,
            size_min: 200.0,
            size_max: 2e5,
            index: 1.0,
            ..plan.cascades
        };
        let mut draw = Draw::of(seed, "queue", 0);
        for place in 0..QUEUE_CRISES {
            let at = Milliseconds(DAY.0 / i64::from(QUEUE_CRISES) * i64::from(place));
            let crisis = CrisisPlan::christchurch(at, &mut draw);
            plan.add_crisis(CrisisPlan {
                peak_per_second: crisis.peak_per_second / 10.0,
                copies: 1e5,
                ..crisis
            });
        }
        plan.put_labels();
        plan
    }

    /// A day of casework: some 2,500 cascades over thinned traffic, ten crises of all scenarios at any time of the day, labels, and users who report
    /// harmless copies too.
    pub fn casework(scale: Scale, seed: u64, number: u32) -> Self {
        let mut plan = DayPlan::ordinary(Scale(scale.0 * QUEUE_THINNED), seed, number);
        plan.cascades = SpreadPlan {
            per_day: CASEWORK_CASCADES_PER_DAY,
            size_min: 200.0,
            size_max: 2e5,
            index: 1.0,
            reported_share: HARMLESS_REPORTED_SHARE,
            ..plan.cascades
        };
        plan.bursts.reported_share = HARMLESS_REPORTED_SHARE;
        let mut draw = Draw::of(seed, "casework", u64::from(number));
        for (shape, count) in CASEWORK_CRISES {
            for _ in 0..count {
                let at = Milliseconds(draw.below(DAY.0 as u64) as i64);
                let crisis = shape(at, &mut draw);
                // As on a day of the queue: the largest crises would be half of the day's records.
                plan.add_crisis(CrisisPlan {
                    peak_per_second: crisis.peak_per_second.min(CASEWORK_PEAK_PER_SECOND),
                    copies: crisis.copies.min(1e5),
                    ..crisis
                });
            }
        }
        plan.put_labels();
        plan
    }

    /// Ordinary traffic of five platforms of three parties with benign virality, hard negatives and disorder. No crisis, no label.
    pub fn ordinary(scale: Scale, seed: u64, number: u32) -> Self {
        let s = scale.0;
        let name = |text: &str| text.parse().expect("the names in this crate's source are names");
        let platform = |text, party, size, clock_ahead| PlatformPlan {
            name: name(text),
            party,
            size,
            clock_ahead,
        };
        DayPlan {
            seed,
            number,
            begins_at: MIDNIGHT,
            warm_up: Milliseconds::from_hours(3),
            lasts: DAY,
            parties: vec![name("example-video"), name("example-social"), name("example-forum")],
            platforms: vec![
                platform("example-video", 0, 10.0, Milliseconds(0)),
                platform("example-shorts", 0, 4.0, Milliseconds(0)),
                platform("example-social", 1, 6.0, Milliseconds(0)),
                platform("example-messenger", 1, 2.0, Milliseconds::from_hours(4)),
                platform("example-forum", 2, 1.0, Milliseconds(0)),
            ],
            rhythm: RhythmPlan {
                swing: 0.5,
                peak: Milliseconds::from_hours(20),
            },
            ordinary: OrdinaryPlan {
                once_per_day: 91.2e6 * s,
                popular: ((5.8e6 * s) as u32).max(16),
                popular_events_per_day: 3.6e8 * s,
                exponent: 0.7,
                echo_share: 0.3,
                echo_after: MINUTE,
                accounts: ACCOUNTS,
                labelled_share: 0.0,
            },
            // The smaller bursts go on where the large cascades end. Counted on six days, of those that reach 10 in an hour one in ten reaches 30 (of
            // the election posts 8 %), and one in 160 reaches 100.
            bursts: SpreadPlan {
                per_day: 3e6 * s,
                size_min: 6.0,
                size_max: 1_000.0,
                index: 2.35,
                growing_share: 0.2,
                several_platforms_share: 0.2,
                // As of the election posts that reach ten in an hour: one in four does within a minute, one in three within five.
                hasty_share: 0.25,
                few_accounts_share: 0.03,
                reported_share: 0.0,
                labelled_share: 0.0,
            },
            cascades: SpreadPlan {
                per_day: CASCADES_PER_DAY * s,
                size_min: 400.0,
                size_max: 1e6,
                index: 0.8,
                growing_share: 0.3,
                several_platforms_share: 0.3,
                hasty_share: 0.1,
                few_accounts_share: 0.0,
                reported_share: 0.0,
                labelled_share: 0.0,
            },
            news: Vec::new(),
            launches: [(9.0, 400.0), (10.0, 3_000.0), (17.0, 800.0)]
                .map(|(hour, copies)| LaunchPlan {
                    at: minutes(hour * 60.0),
                    copies,
                    mean_age: minutes(4.0),
                })
                .to_vec(),
            petitions: [(2.0, 8.0), (7.0, 11.0), (8.0, 9.0), (13.0, 10.0)]
                .map(|(hour, per_hour)| PetitionPlan {
                    at: minutes(hour * 60.0),
                    per_hour,
                    known_after: minutes(180.0),
                })
                .to_vec(),
            crises: Vec::new(),
            attacks: Vec::new(),
            disorder: DisorderPlan {
                delay_max: Milliseconds(400),
                late_share: 0.01,
                very_late_share: 0.001,
                duplicate_share: 0.01,
                silence: Some(Silence {
                    party: 1,
                    from: minutes(13.0 * 60.0),
                    lasts: minutes(20.0),
                }),
            },
        }
    }

    /// A crisis, and six excerpts in the news from three quarters of an hour after its source on.
    fn add_crisis(&mut self, crisis: CrisisPlan) {
        self.news.push(NewsPlan {
            from: crisis.at + minutes(45.0),
            within: minutes(60.0),
            families: 6,
            spread: SpreadPlan {
                size_min: 30.0,
                size_max: 20_000.0,
                index: 0.9,
                growing_share: 0.1,
                several_platforms_share: 0.8,
                hasty_share: 0.0,
                few_accounts_share: 0.0,
                ..self.cascades
            },
        });
        self.crises.push(crisis);
    }

    /// The platforms put labels, not always right.
    fn put_labels(&mut self) {
        self.ordinary.labelled_share = ORGANIC_LABELLED_SHARE;
        self.bursts.labelled_share = ORGANIC_LABELLED_SHARE;
        self.cascades.labelled_share = ORGANIC_LABELLED_SHARE;
        for news in &mut self.news {
            news.spread.labelled_share = NEWS_LABELLED_SHARE;
        }
        for crisis in &mut self.crises {
            crisis.labelled_share = CRISIS_LABELLED_SHARE;
        }
    }
}

/// Crafted accounts in the morning; a flood of 10^6 hashes a second at scale 1, for a minute, at `flood_at`; a hash inflated at noon.
fn attacks(scale: Scale, flood_at: Milliseconds) -> Vec<AttackPlan> {
    let attack = |at, lasts, per_second, platform, attacked| AttackPlan {
        at,
        lasts,
        per_second,
        platform,
        attacked,
    };
    vec![
        attack(minutes(360.0), minutes(20.0), 0.5, 4, Attacked::Reach),
        attack(flood_at, MINUTE, 1e6 * scale.0, 1, Attacked::Sketches),
        attack(minutes(720.0), minutes(30.0), 1.0, 0, Attacked::Priority),
    ]
}

impl CrisisPlan {
    /// Live for 17 min before fewer than 200, about 4,000 views before removal, first report after 29 min, 1.5 million uploads in 24 h, one a
    /// second at most on one platform, 800 variants, one repost seen over a million times: all stated. First re-upload after 12 min, doubling
    /// every 5 to 20 min, 20 to 60 a second at the peak, 80 % blocked once a hash is shared: the test's own. That a hash is shared after an
    /// hour, and that re-uploads begin at 0.3 to 1 a minute: assumed.
    fn christchurch(at: Milliseconds, draw: &mut Draw) -> Self {
        CrisisPlan {
            at,
            source: SourcePlan {
                platform: 2,
                live: Some(minutes(17.0)),
                viewers: 190,
                views: 4_000,
                removed_after: minutes(46.0),
            },
            first_copy_after: minutes(12.0),
            first_per_minute: log_uniform((0.3, 1.0), draw),
            doubling: minutes(log_uniform((5.0, 20.0), draw)),
            peak_per_second: log_uniform((20.0, 60.0), draw),
            copies: 1.5e6,
            cut_after_onset: None,
            ends_after: DAY,
            platforms: [10.0, 4.0, 12.0, 2.0, 3.0]
                .map(|size| log_normal((size, 0.4), draw))
                .to_vec(),
            capped: Some(CappedPlatform {
                platform: 0,
                per_second: 1.0,
            }),
            variants: 800,
            variant_exponent: 1.0,
            hash_shared_after: minutes(60.0),
            blocked_share: 0.8,
            link_share: 0.1,
            first_report_after: minutes(29.0),
            reported_share: 0.02,
            removed_share: 0.8,
            repeated_account_share: 0.06,
            labelled_share: 0.0,
            audience_min: 20,
            audience_max: 1_200_000,
        }
    }

    /// Live for 35 min before five, about 2,200 views in the 30 min after, some 15,600 accounts of a messenger within 30 min: stated. Read as the
    /// audience of some fifteen posts in channels; how it went on is assumed.
    fn halle(at: Milliseconds, draw: &mut Draw) -> Self {
        CrisisPlan {
            source: SourcePlan {
                platform: 1,
                live: Some(minutes(35.0)),
                viewers: 5,
                views: 2_200,
                removed_after: minutes(65.0),
            },
            first_copy_after: minutes(36.0),
            first_per_minute: 0.3,
            doubling: minutes(15.0),
            peak_per_second: 0.5,
            copies: 1.5e4,
            platforms: vec![1.0, 1.0, 2.0, 12.0, 2.0],
            capped: None,
            variants: 60,
            hash_shared_after: minutes(120.0),
            link_share: 0.5,
            first_report_after: minutes(45.0),
            audience_min: 200,
            audience_max: 20_000,
            ..CrisisPlan::christchurch(at, draw)
        }
    }

    /// Live before 22 to 30, cut under 2 min after violence began, one recorder, links more than uploads, one copy seen over 3 million times,
    /// on many platforms in the end: stated. Rates are assumed.
    fn buffalo(at: Milliseconds, draw: &mut Draw) -> Self {
        CrisisPlan {
            source: SourcePlan {
                platform: 1,
                live: Some(minutes(24.0)),
                viewers: 26,
                views: 30,
                removed_after: minutes(24.0),
            },
            first_copy_after: minutes(40.0),
            first_per_minute: 0.2,
            doubling: minutes(18.0),
            peak_per_second: 2.0,
            copies: 6e4,
            platforms: vec![3.0, 3.0, 6.0, 3.0, 4.0],
            capped: None,
            variants: 120,
            hash_shared_after: minutes(90.0),
            link_share: 0.7,
            first_report_after: minutes(50.0),
            audience_max: 3_000_000,
            ..CrisisPlan::christchurch(at, draw)
        }
    }

    /// Uploaded about 22:00, the protocol activated at 00:41, up for about 5 h with over 5,000 views: stated. Slow, on one platform; how slow is
    /// assumed.
    fn levittown(at: Milliseconds, _: &mut Draw) -> Self {
        CrisisPlan {
            source: SourcePlan {
                platform: 0,
                live: None,
                viewers: 50,
                views: 5_000,
                removed_after: minutes(300.0),
            },
            first_copy_after: minutes(25.0),
            first_per_minute: 0.1,
            doubling: minutes(40.0),
            peak_per_second: 0.05,
            copies: 900.0,
            ends_after: Milliseconds::from_hours(14),
            platforms: vec![1.0, 0.0, 0.0, 0.0, 0.0],
            capped: None,
            variants: 12,
            hash_shared_after: minutes(161.0),
            first_report_after: minutes(70.0),
            audience_max: 5_000,
            ..CrisisPlan::christchurch(at, &mut Draw::of(0, "levittown", 0))
        }
    }
}
