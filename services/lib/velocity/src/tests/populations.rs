//! What a group sees of ordinary contents, and what the nulls that follow from it change.

use tocsin_model::{
    AlertLevel, BetaLaw, Calibration, Class, ContentId, GroupId, Kind, Milliseconds, PlatformId, PlatformNull,
    Population, Populations, Sharing, Timestamp,
};

use tocsin_sketch::ColdConfig;

use super::harness::*;
use crate::null::{calibrate, shipped};
use crate::trigger::TriggerParameters;
use crate::{Group, HotKey, Input};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The first midnight after the start.
const MIDNIGHT: i64 = DAY - START % DAY;
const GROUP: GroupId = GroupId(1);
const HERE: u16 = 1;
const THERE: u16 = 2;

/// One group with all its traffic, and a calibrator that looks at it every hour.
struct Town {
    deployment: Deployment,
    calibrates: bool,
    nulls: Vec<PlatformNull>,
    number: u64,
    accounts: u64,
}

/// A content of the group; every one has another number.
pub(super) fn content(number: u64) -> ContentId {
    let scattered = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    ContentId(u128::from(GROUP.0) << 120 | u128::from(number) << 64 | scattered)
}

impl Town {
    fn new(calibrates: bool) -> Self {
        let mut deployment = Deployment::new(crate::GroupConfig {
            hot_max: 200,
            cold: ColdConfig {
                width: 1_024,
                ..config().cold
            },
            ..config()
        });
        deployment.group(GROUP);
        deployment.tick(MIDNIGHT);
        Town {
            deployment,
            calibrates,
            nulls: Vec::new(),
            number: 0,
            accounts: 0,
        }
    }

    fn see(&mut self, number: u64, platform: u16, kind: Kind, at: i64) {
        self.accounts += 1;
        let event = Seen {
            party: platform,
            kind,
            ..seen(0, self.accounts, at)
        };
        self.deployment.see_as(content(number), event);
    }

    /// Plays what happens, in the order of its times; at the end of each hour the calibrator looks.
    fn play(&mut self, mut events: Vec<(i64, u64, u16, Kind)>) {
        events.sort_by_key(|event| event.0);
        let mut hour = events.first().map_or(0, |first| first.0 / HOUR);
        for (at, number, platform, kind) in events {
            while hour < at / HOUR {
                hour += 1;
                self.end_hour(hour * HOUR);
            }
            self.see(number, platform, kind, at);
        }
        self.end_hour((hour + 1) * HOUR);
    }

    fn end_hour(&mut self, at: i64) {
        self.deployment.tick(at);
        let seen = self.deployment.group(GROUP).take_populations();
        if let (true, Some(seen)) = (self.calibrates, seen) {
            self.nulls = calibrate(&self.nulls, &[seen]);
            self.calibrate(at + MINUTE, self.nulls.clone());
        }
    }

    fn calibrate(&mut self, from: i64, platforms: Vec<PlatformNull>) {
        self.number += 1;
        let calibration = Calibration {
            number: self.number,
            effective_from: Timestamp(START + from),
            page_threshold: 1_500.0,
            pages_per_day: 15.0,
            episodes: 0,
            at: Timestamp(START + from),
            platforms,
        };
        self.deployment.apply(GROUP, Input::Calibration(&calibration));
    }

    fn alerts_since(&self, at: i64) -> Vec<&tocsin_model::Alert> {
        let alerts = self.deployment.alerts.iter();
        alerts.filter(|alert| alert.at.0 >= START + at).collect()
    }
}

/// Ordinary contents of some days: each is spread eight times in three hours, so many of the eight as uploads.
fn ordinary(days: i64, platform: u16, uploads: u64) -> Vec<(i64, u64, u16, Kind)> {
    let mut events = Vec::new();
    for number in 0..days as u64 * 144 {
        let begins = MIDNIGHT + number as i64 * 10 * MINUTE;
        for copy in 0..8 {
            let kind = if copy < uploads { Kind::Upload } else { Kind::Share };
            events.push((begins + copy as i64 * 23 * MINUTE, 1_000 + number, platform, kind));
        }
    }
    events
}

/// Forty uploads in twenty minutes.
fn burst(number: u64, platform: u16, at: i64) -> Vec<(i64, u64, u16, Kind)> {
    let copy = |copy: i64| (at + copy * MINUTE / 2, number, platform, Kind::Upload);
    (0..40).map(copy).collect()
}

/// What the term of re-uploads said when the burst rang, and which calibration judged.
fn reuploads_of_a_burst(calibrates: bool, uploads: u64) -> (f64, u64) {
    let mut town = Town::new(calibrates);
    let days = 3;
    town.play(ordinary(days, HERE, uploads));
    let at = MIDNIGHT + (days + 1) * DAY;
    town.play(burst(1, HERE, at));
    let alerts = town.alerts_since(at);
    let first = alerts.first().expect("a spike rings whatever is ordinary");
    (first.score_terms.expect("it has terms").reuploads, first.calibration)
}

#[test]
fn where_everything_is_uploaded_uploads_say_nothing_once_it_is_calibrated() {
    let (before, shipped_number) = reuploads_of_a_burst(false, 8);
    assert!(before > 2.0 && shipped_number == 0, "{before} by {shipped_number}");
    let (after, number) = reuploads_of_a_burst(true, 8);
    assert_eq!(after, 0.0, "by calibration {number}");
    assert!(number > 24, "{number}");
    let (shared, _) = reuploads_of_a_burst(true, 1);
    assert!(shared > 2.0, "where little is uploaded they say as much: {shared}");
}

/// Traffic with a night and an evening of four hours that is ten times as busy, and popular contents in the same rhythm.
fn evenings(days: i64) -> Vec<(i64, u64, u16, Kind)> {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    let mut random = SmallRng::seed_from_u64(5);
    let mut events = Vec::new();
    let mut cold = 1_000_000;
    for hour in 0..days * 24 {
        let times = if (18..22).contains(&(hour % 24)) { 10 } else { 1 };
        let mut at = || MIDNIGHT + hour * HOUR + random.random_range(0..HOUR);
        for _ in 0..200 * times {
            cold += 1;
            events.push((at(), cold, HERE, Kind::Share));
        }
        for popular in 0..10 {
            for _ in 0..4 * times {
                events.push((at(), popular, HERE, Kind::Upload));
            }
        }
    }
    events
}

#[test]
fn what_is_popular_does_not_ring_in_the_evening_once_the_day_is_known() {
    let mut known = Town::new(true);
    known.play(evenings(4));
    let nulls = known.nulls;
    let ratio = nulls[0].hours[20] / nulls[0].hours[3];
    assert!((7.0..13.0).contains(&ratio), "{ratio}");
    // Who has watched since midnight knows the night alone.
    let rings = |nulls: Vec<PlatformNull>| {
        let mut town = Town::new(false);
        town.calibrate(MIDNIGHT, nulls);
        town.play(evenings(1));
        town.deployment
            .alerts
            .iter()
            .filter(|alert| alert.level == AlertLevel::Raised)
            .count()
    };
    let (before, after) = (rings(Vec::new()), rings(nulls));
    assert_eq!((before, after), (10, 0));
}

fn told(town: &mut Town) -> Populations {
    let told = town.deployment.group(GROUP).take_populations();
    told.expect("an hour has ended")
}

#[test]
fn a_crisis_is_no_part_of_what_is_ordinary_and_a_content_counts_once_a_day() {
    let mut town = Town::new(false);
    town.play(ordinary(1, HERE, 2));
    town.deployment.tick(MIDNIGHT + 2 * DAY - 1);
    let before = told(&mut town).platforms[0];
    let all = before.reuploads.entries / Population::ONE;
    assert!(
        (110..=144).contains(&all),
        "each of 144 once at most, less what midnight faded: {all}"
    );
    let mut town = Town::new(false);
    let mut events = ordinary(1, HERE, 2);
    for crisis in 0..50 {
        events.extend(burst(crisis, HERE, MIDNIGHT + 5 * HOUR + crisis as i64 * MINUTE));
    }
    town.play(events);
    assert!(
        town.deployment
            .alerts
            .iter()
            .filter(|alert| alert.level as u8 == 1)
            .count()
            >= 50
    );
    town.deployment.tick(MIDNIGHT + 2 * DAY - 1);
    let after = told(&mut town).platforms[0];
    assert_eq!((after.reuploads, after.rates), (before.reuploads, before.rates));
    let spread: u64 = after
        .spread
        .iter()
        .zip(&before.spread)
        .map(|(more, less)| more - less)
        .sum();
    assert!(
        spread <= 3 * 50 * Population::ONE,
        "each content of a crisis until it is hot: {spread}"
    );
}

#[test]
fn a_flood_on_one_platform_is_counted_there_alone() {
    let there = |floods: bool| {
        let mut town = Town::new(false);
        let mut events = ordinary(2, THERE, 2);
        if floods {
            events.extend((0..20_000).map(|number| {
                (
                    MIDNIGHT + 3 * HOUR + number,
                    5_000_000 + number as u64,
                    HERE,
                    Kind::Upload,
                )
            }));
        }
        town.play(events);
        town.deployment.tick(MIDNIGHT + 4 * DAY);
        let told = told(&mut town).platforms;
        told.into_iter()
            .find(|population| population.platform == PlatformId(THERE))
            .unwrap()
    };
    assert_eq!(there(true), there(false));
}

#[test]
fn what_not_every_reader_may_see_is_in_no_population() {
    let mut town = Town::new(false);
    for (number, sharing) in [Sharing::Coordinators, Sharing::Party].into_iter().enumerate() {
        for copy in 0..8 {
            let event = Seen {
                sharing,
                ..seen(0, copy, MIDNIGHT + HOUR + copy as i64 * MINUTE)
            };
            town.deployment.see_as(content(number as u64), event);
        }
    }
    town.deployment.tick(MIDNIGHT + 2 * DAY);
    assert!(
        town.deployment
            .group(GROUP)
            .hot(HotKey {
                content: content(0),
                class: Class::Coordinators
            })
            .is_some()
    );
    assert_eq!(town.deployment.group(GROUP).take_populations(), None);
}

#[test]
fn ticks_and_restores_change_no_population_however_far_time_goes() {
    let run = |between: &mut dyn FnMut(&mut Town, i64)| {
        let mut town = Town::new(false);
        for (at, number, platform, kind) in ordinary(1, HERE, 3) {
            town.see(number, platform, kind, at);
        }
        for days in [3, 4, 700, 2_000] {
            between(&mut town, days);
            town.deployment.tick(MIDNIGHT + days * DAY + 5 * HOUR + 17);
        }
        town.deployment.group(GROUP).encode_core()
    };
    let plain = run(&mut |_, _| {});
    let mut ticked_to = 0;
    let ticked = run(&mut |town, days| {
        for hour in (ticked_to * 24..days * 24).step_by(7) {
            town.deployment.tick(MIDNIGHT + hour * HOUR);
        }
        ticked_to = days;
    });
    assert!(plain == ticked);
    let restored = run(&mut |town, _| town.deployment.restore());
    assert!(plain == restored);
}

#[test]
fn nulls_hold_from_their_tick_on_and_those_beyond_the_limits_never() {
    let score = |nulls: Vec<PlatformNull>, from: i64| {
        let mut deployment = Deployment::new(config());
        deployment.calibrate_platforms(1, from, 1.0, nulls);
        for copy in 0..8 {
            deployment.see(seen(1, copy, copy as i64 * MINUTE));
        }
        let group = deployment.group(id(1).group());
        let refused = group.take_counters().calibrations_refused;
        (group.rings_up_to(id(1), &TriggerParameters::SHIPPED).unwrap(), refused)
    };
    let uploads_only = PlatformNull {
        reuploads: BetaLaw::with(0.97, 8.0),
        ..shipped(PlatformId(HERE))
    };
    let as_shipped = score(Vec::new(), 0);
    assert!(score(vec![uploads_only], 0).0 < as_shipped.0 - 1.0);
    assert_eq!(score(vec![uploads_only], HOUR), as_shipped, "not yet");
    let other = PlatformNull {
        platform: PlatformId(THERE),
        ..uploads_only
    };
    assert_eq!(score(vec![other], 0), as_shipped, "of another platform");
    let lying = PlatformNull {
        hours: [1e9; 24],
        ..uploads_only
    };
    assert_eq!(score(vec![lying], 0), (as_shipped.0, 1));
}

#[test]
fn an_episode_of_long_ago_is_ordinary_again() {
    let mut town = Town::new(false);
    town.play(burst(1, HERE, MIDNIGHT + HOUR));
    assert!(!town.deployment.alerts.is_empty());
    let slow = |day: i64| (0..8).map(move |copy| (MIDNIGHT + day * DAY + copy * 3 * HOUR, 1, HERE, Kind::Upload));
    town.play(slow(3).chain(slow(4)).collect());
    town.deployment.tick(MIDNIGHT + 5 * DAY);
    let entries = told(&mut town).platforms[0].reuploads.entries;
    assert!((1..=2 * Population::ONE).contains(&entries), "{entries}");
}

#[test]
fn time_is_told_once_however_short_the_stream() {
    let mut deployment = Deployment::new(config());
    deployment.see(seen(1, 1, 0));
    deployment.tick(HOUR / 2);
    let group = deployment.group(id(1).group());
    assert_eq!(group.take_populations(), None, "no hour has ended that was watched");
    deployment.tick(10 * DAY);
    let group = deployment.group(id(1).group());
    let told = group.take_populations().unwrap();
    assert_eq!(
        told.at,
        Timestamp(START + 10 * DAY).floor_to(Milliseconds::from_hours(1))
    );
    assert!(told.platforms[0].watched.iter().all(|watched| *watched > 0));
    assert_eq!(group.take_populations(), None, "it is told once");
}

#[test]
fn no_time_is_too_far() {
    for first in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1] {
        let mut group = Group::new(GROUP, config());
        let mut out = Vec::new();
        let mut event = seen(1, 1, 0);
        event.at = first.saturating_sub(START);
        group.apply(Input::Sighting(&sighting(content(1), &[1; 32], event, 1)), &mut out);
        for at in [0, i64::MAX - 1, i64::MAX, i64::MAX] {
            group.apply(Input::Tick(Timestamp(at)), &mut out);
        }
        assert_eq!(group.now(), Timestamp(i64::MAX));
    }
}
