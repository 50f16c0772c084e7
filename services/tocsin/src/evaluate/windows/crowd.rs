//! Contents that come once, 10^6 of them a second, beside contents that spread: what they do to counts, to places among the hot ones, and to alarms.
//!
//! As many key groups take part as the scale says, each with its share of the flood, so that a small run is as hard on a group as a whole one. The
//! same spreads are played without the flood too.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tocsin_detector::DetectorConfig;
use tocsin_model::{
    AccountToken, AlertLevel, Class, ContentId, GroupId, KEY_GROUPS, Milliseconds, PlatformId, Sharing, Timestamp,
};
use tocsin_velocity::figures::WindowLength;
use tocsin_velocity::{Counters, Group, HotKey, Input, Output};

use super::{Compared, START, answer, content, group_config, mix, of_bounds, sighting};
use crate::evaluate::{SuiteArguments, leak};
use crate::rehearsal::Figures;

/// Contents that come once, of all groups together.
const ONCE_PER_SECOND: u64 = 1_000_000;
/// The flood begins so long after the first spreads, and lasts so long: the filter of first sightings is full after four seconds of it.
const FLOOD_FROM_MS: i64 = 3 * 3_600_000;
const FLOOD_MS: i64 = 60_000;
const END_MS: i64 = FLOOD_FROM_MS + 3_600_000;
/// Contents of each course in each group.
const SPREADS: u64 = 3;
/// One content in this many of those that come once is looked at.
const SAMPLE: u64 = 500;
/// The numbers of contents that come once begin here.
const FIRST_ONCE: u64 = 1 << 32;
/// Eight copies an hour.
const STEADY_EVERY_MS: i64 = 450_000;

/// How a content spreads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    /// Eight copies an hour all the time.
    Steady,
    /// The same until the flood; in it, 60 copies within 40 seconds.
    BreaksOut,
    /// In the flood alone: 120 copies within 40 seconds.
    BeginsWithin,
    /// When it is over: 60 copies within 20 minutes.
    BeginsAfter,
}

/// One copy of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    at_ms: i64,
    number: u64,
}

/// What became of one play.
#[derive(Default)]
struct Played {
    /// The copies after which contents rang, by number.
    alarms: BTreeMap<u64, usize>,
    /// Alarms about contents that came once.
    false_alarms: u64,
    /// Steady contents that had the same record at the end as before the flood.
    kept: usize,
    compared: Vec<Compared>,
    counters: Counters,
    once: u64,
}

impl Course {
    const ALL: [Course; 4] = [
        Course::Steady,
        Course::BreaksOut,
        Course::BeginsWithin,
        Course::BeginsAfter,
    ];

    fn copies(self, random: &mut SmallRng) -> Vec<i64> {
        let mut within = |from: i64, ms: i64, copies: u64| -> Vec<i64> {
            (0..copies).map(|_| from + random.random_range(0..ms)).collect()
        };
        let steady = |to_ms: i64| -> Vec<i64> {
            (0..to_ms / STEADY_EVERY_MS)
                .map(|copy| copy * STEADY_EVERY_MS)
                .collect()
        };
        match self {
            Course::Steady => steady(END_MS),
            Course::BreaksOut => [steady(FLOOD_FROM_MS), within(FLOOD_FROM_MS + 10_000, 40_000, 60)].concat(),
            Course::BeginsWithin => within(FLOOD_FROM_MS + 10_000, 40_000, 120),
            Course::BeginsAfter => within(FLOOD_FROM_MS + FLOOD_MS + 600_000, 1_200_000, 60),
        }
    }

    /// Of a spread's number.
    fn of(number: u64) -> Course {
        Course::ALL[(number % Course::ALL.len() as u64) as usize]
    }
}

/// Figures, each with `crowd_` before its name, and rows.
pub(super) fn run(suite: &SuiteArguments) -> (Figures, Vec<Compared>) {
    let groups = ((f64::from(KEY_GROUPS) * suite.scale).ceil() as u16).clamp(1, KEY_GROUPS);
    let [mut alone, mut crowded] = [Played::default(), Played::default()];
    for group in 0..groups {
        play(suite.seed, GroupId(group), 0, &mut alone);
        play(
            suite.seed,
            GroupId(group),
            ONCE_PER_SECOND / u64::from(KEY_GROUPS),
            &mut crowded,
        );
    }
    let spreads = u64::from(groups) * SPREADS;
    let rang = |played: &Played, course: Course| -> Vec<usize> {
        let mut copies: Vec<usize> = played
            .alarms
            .iter()
            .filter(|(number, _)| Course::of(**number) == course)
            .map(|(_, copies)| *copies)
            .collect();
        copies.sort_unstable();
        copies
    };
    let later = |course: Course| -> Option<i64> {
        let both = alone.alarms.iter().filter(|(number, _)| Course::of(**number) == course);
        let delays = both.filter_map(|(number, copies)| Some(*crowded.alarms.get(number)? as i64 - *copies as i64));
        delays.max()
    };
    let mut figures = Figures::from([
        ("groups", json!(groups)),
        ("contents_once", json!(crowded.once)),
        ("spreads_of_each_course", json!(spreads)),
        ("steady_kept_hot", json!(crowded.kept)),
        ("steady_kept_hot_without", json!(alone.kept)),
        ("evicted", json!(crowded.counters.evicted)),
        ("false_alarms", json!(crowded.false_alarms)),
        ("false_alarms_steady", json!(rang(&crowded, Course::Steady).len())),
    ]);
    for (course, name) in [
        (Course::BreaksOut, "breaking_out"),
        (Course::BeginsWithin, "beginning_within"),
        (Course::BeginsAfter, "beginning_after"),
    ] {
        let [with, without] = [rang(&crowded, course), rang(&alone, course)];
        let median = |copies: &[usize]| copies.get(copies.len() / 2).copied();
        figures.extend([
            (leak(format!("{name}_alarmed")), json!(with.len())),
            (leak(format!("{name}_alarmed_without")), json!(without.len())),
            (leak(format!("{name}_copies_at_alarm_p50")), json!(median(&with))),
            (
                leak(format!("{name}_copies_at_alarm_p50_without")),
                json!(median(&without)),
            ),
            (leak(format!("{name}_copies_later_max")), json!(later(course))),
        ]);
    }
    figures.extend(of_bounds(crowded.compared.iter().map(|compared| &compared.bound)));
    let named = figures
        .into_iter()
        .map(|(name, value)| (leak(format!("crowd_{name}")), value));
    (named.collect(), crowded.compared)
}

/// Plays the spreads of one group, with so many contents a second that come once.
fn play(seed: u64, id: GroupId, once_per_second: u64, played: &mut Played) {
    let mut group = Group::new(id, group_config(&DetectorConfig::default()));
    let mut random = SmallRng::seed_from_u64(mix(seed ^ u64::from(id.0)));
    let mut copies = Vec::new();
    let first = u64::from(id.0) * SPREADS * Course::ALL.len() as u64;
    for number in first..first + SPREADS * Course::ALL.len() as u64 {
        let times = Course::of(number).copies(&mut random);
        copies.extend(times.into_iter().map(|at_ms| Sent { at_ms, number }));
    }
    let once = once_per_second * (FLOOD_MS / 1_000) as u64;
    let first_once = FIRST_ONCE + u64::from(id.0) * once;
    copies.extend((0..once).map(|number| Sent {
        at_ms: FLOOD_FROM_MS + (number as i64 * FLOOD_MS) / once as i64,
        number: first_once + number,
    }));
    copies.sort_unstable();
    let mut seen: BTreeMap<u64, Vec<(Timestamp, Sharing)>> = BTreeMap::new();
    let mut outputs = Vec::new();
    let mut hot_before = BTreeMap::new();
    let mut phase = [FLOOD_FROM_MS, FLOOD_FROM_MS + FLOOD_MS].into_iter().peekable();
    for (event, copy) in copies.into_iter().enumerate() {
        while phase.next_if(|at_ms| *at_ms <= copy.at_ms).is_some() {
            if hot_before.is_empty() {
                hot_before = steady_since(&group, seed, &seen);
            } else {
                compare(&group, seed, &seen, &mut played.compared);
            }
        }
        let at = START + Milliseconds(copy.at_ms);
        let is_once = copy.number >= FIRST_ONCE;
        if !is_once || copy.number % SAMPLE == 0 {
            seen.entry(copy.number).or_default().push((at, Sharing::All));
        }
        let content = in_group(id, seed, copy.number);
        let value = u128::from(copy.number).to_le_bytes();
        let account = mix(mix(seed) ^ event as u64);
        let mut sighting = sighting(content, &value, Sharing::All, event as u64, at, at);
        sighting.account = Some(AccountToken(account));
        sighting.platform = PlatformId(1 + (account % 5) as u16);
        group.apply(Input::Sighting(&sighting), &mut outputs);
        for output in outputs.drain(..) {
            let Output::Alert(alert) = output else { continue };
            if alert.level != AlertLevel::Raised {
                continue;
            }
            match seen
                .iter()
                .find(|(number, _)| in_group(id, seed, **number) == alert.family.0)
            {
                Some((number, times)) if *number < FIRST_ONCE => {
                    played.alarms.entry(*number).or_insert(times.len());
                }
                _ => played.false_alarms += 1,
            }
        }
    }
    group.apply(Input::Tick(START + Milliseconds(END_MS)), &mut outputs);
    compare(&group, seed, &seen, &mut played.compared);
    let hot_after = steady_since(&group, seed, &seen);
    played.kept += hot_before
        .iter()
        .filter(|(number, since)| hot_after.get(number) == Some(since))
        .count();
    played.counters.add(group.take_counters());
    played.once += once;
}

/// Since when each steady content is counted exactly, of those that are.
fn steady_since(group: &Group, seed: u64, seen: &BTreeMap<u64, Vec<(Timestamp, Sharing)>>) -> BTreeMap<u64, Timestamp> {
    let steady = seen
        .keys()
        .filter(|number| **number < FIRST_ONCE && Course::of(**number) == Course::Steady);
    let since = steady.filter_map(|number| {
        let content = in_group(group.id(), seed, *number);
        let record = group.hot(HotKey {
            content,
            class: Class::All,
        })?;
        Some((*number, record.exact_since()))
    });
    since.collect()
}

/// Every window of the spreads and of a sample of what came once, as the group answers now.
fn compare(group: &Group, seed: u64, seen: &BTreeMap<u64, Vec<(Timestamp, Sharing)>>, compared: &mut Vec<Compared>) {
    for (number, events) in seen {
        let content = in_group(group.id(), seed, *number);
        for length in WindowLength::ALL {
            let answer = answer(group, content, Class::All, length);
            compared.push(Compared::of(*number, Class::All, length, &answer, events));
        }
    }
}

/// A content of this group.
fn in_group(id: GroupId, seed: u64, number: u64) -> ContentId {
    let ContentId(scattered) = content(seed, number);
    ContentId(scattered << 8 >> 8 | u128::from(id.0) << 120)
}
