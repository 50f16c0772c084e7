//! Windowed counts in whole key groups against exact counts of a sample.

mod crowd;
mod page;
mod rival;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tocsin_detector::{DetectorConfig, DetectorSetup};
use tocsin_model::{
    Algorithm, Class, ClockFlag, ContentId, DeploymentKey, GroupId, HashRef, Interval, KEY_GROUPS, KeyEpoch, Kind,
    Milliseconds, PartitionCount, PartyId, PlatformId, Sharing, Sighting, SourceCoordinate, SourceId, Surface,
    Timestamp,
};
use tocsin_velocity::figures::{WindowLength, family_figures, window};
use tocsin_velocity::{Group, GroupConfig, HotKey, Input};

pub(super) use self::page::errors_chart;
use self::rival::{CountMin, exact_table_bytes, quantile};
use super::{EstimatorArguments, SuiteArguments, leak, output};
use crate::rehearsal::Figures;

const EVENTS: f64 = 5e7;
const CONTENTS: f64 = 1e7;
const HOT_LIMIT: u32 = 4_096;
/// One content in this many is counted exactly.
const SAMPLE: u64 = 40;
const START: Timestamp = Timestamp(1_552_600_800_000);
const DAY_MS: i64 = 86_400_000;

/// How the events of a day are shared, with what the names of its figures begin with.
const RUNS: [(Option<Sharing>, &str); 2] = [(None, ""), (Some(Sharing::Coordinators), "mixed_")];

/// What the names of the figures begin with of contents that come once, 10^6 a second.
const CROWD: &str = "crowd_";

/// A window of a content, answered.
#[derive(Clone, Copy, Debug)]
struct Compared {
    content: u64,
    class: Class,
    length: WindowLength,
    bound: Bound,
}

/// An answer beside the truth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// How many there were in the stated window.
    pub(super) exact: u64,
    /// The ends of the interval that was answered.
    pub(super) low: u64,
    pub(super) high: u64,
    /// Of a count by sketches: the error that is stated, and how likely it is to be no larger. `None` where it is counted exactly.
    pub(super) stated: Option<(f64, f64)>,
}

impl Bound {
    /// Whether the interval misses the truth.
    pub(super) fn misses(&self) -> bool {
        !(self.low..=self.high).contains(&self.exact)
    }

    /// By how much the upper end is too high.
    pub(super) fn error(&self) -> u64 {
        self.high.saturating_sub(self.exact)
    }
}

/// A day of all contents, with events of class `all` alone; then the same with every second event for coordinators; then a flood of contents
/// that come once beside some that spread.
///
/// # Errors
/// The scale leaves too few events for a figure, or files cannot be written.
pub fn run(arguments: &EstimatorArguments) -> Result<Figures> {
    let suite = &arguments.suite;
    let mut figures = Figures::new();
    let mut runs = Vec::new();
    for (sharing, prefix) in RUNS {
        let mut day = Day::new(suite, sharing);
        ensure!(
            day.events >= 10_000,
            "a scale of {} leaves {} events",
            suite.scale,
            day.events
        );
        day.play();
        let compared = day.compare();
        let measured = day.measure(&compared).into_iter();
        figures.extend(measured.map(|(name, value)| (leak(format!("{prefix}{name}")), value)));
        runs.push((prefix, compared));
    }
    let (measured, compared) = crowd::run(suite);
    figures.extend(measured);
    runs.push((CROWD, compared));
    if let Some(directory) = &arguments.rows {
        let all = runs
            .iter()
            .flat_map(|(prefix, run)| run.iter().map(|row| row.to_csv(prefix)));
        output::rows(directory, "windows.csv", Compared::HEADER, all)?;
    }
    if let Some(directory) = &arguments.report {
        output::page(directory, page::of(suite, &figures, &runs), &figures)?;
    }
    Ok(figures)
}

/// What a key group of such a deployment is told.
fn group_config(config: &DetectorConfig) -> GroupConfig {
    let setup = DetectorSetup {
        instance: String::new(),
        key: DeploymentKey::from_bytes([7; 32]),
        epoch: KeyEpoch(0),
        partitions: PartitionCount::new(1).expect("one partition is allowed"),
        lateness: Milliseconds::from_hours(2),
    };
    setup.group_config(config)
}

struct Day {
    events: u64,
    contents: u64,
    seed: u64,
    /// How every second event is shared; the others are for all.
    second: Option<Sharing>,
    groups: Vec<Group>,
    truth: HashMap<u64, Vec<(Timestamp, Sharing)>>,
    live: Vec<bool>,
    /// What others would count the same events with; of the day that everybody may see alone.
    rival: Option<CountMin>,
    busy: Duration,
}

impl Day {
    fn new(arguments: &SuiteArguments, second: Option<Sharing>) -> Self {
        let config = DetectorConfig {
            hot_limit: HOT_LIMIT,
            // The width for 10^7 contents in 256 groups.
            sketch_width: 1_024,
            ..DetectorConfig::default()
        };
        let contents = (CONTENTS * arguments.scale) as u64;
        Day {
            events: (EVENTS * arguments.scale) as u64,
            contents,
            seed: arguments.seed,
            second,
            groups: (0..KEY_GROUPS)
                .map(|id| Group::new(GroupId(id), group_config(&config)))
                .collect(),
            truth: HashMap::new(),
            live: vec![false; contents as usize],
            rival: second.is_none().then(|| CountMin::new(contents)),
            busy: Duration::ZERO,
        }
    }

    /// In order of receipt; 1 % up to an hour late and 0.1 % up to two.
    fn play(&mut self) {
        let mut random = SmallRng::seed_from_u64(self.seed);
        let repeated = self.contents / 10;
        let mut once = repeated;
        let mut outputs = Vec::new();
        for event in 0..self.events {
            let now = START + Milliseconds((i128::from(event) * i128::from(DAY_MS) / i128::from(self.events)) as i64);
            // The contents seen once come in turn, evenly over the day; all others by rank, the k-th in proportion to 1 / k.
            let number = if event * (self.contents - repeated) / self.events + repeated >= once && once < self.contents
            {
                once += 1;
                once - 1
            } else {
                (repeated as f64).powf(random.random::<f64>()) as u64 % repeated
            };
            let late_ms = match random.random_range(0..1_000u32) {
                0 => random.random_range(0..7_200_000),
                1..10 => random.random_range(0..3_600_000),
                _ => random.random_range(0..2_000),
            };
            let sharing = self.second.filter(|_| event % 2 == 1).unwrap_or(Sharing::All);
            let at = now - Milliseconds(late_ms);
            self.live[number as usize] = true;
            if number % SAMPLE == 0 {
                self.truth.entry(number).or_default().push((at, sharing));
            }
            let value = u128::from(number).to_le_bytes();
            let sighting = sighting(content(self.seed, number), &value, sharing, event, at, now);
            let group = &mut self.groups[usize::from(sighting.content.group().0)];
            let began = Instant::now();
            group.apply(Input::Sighting(&sighting), &mut outputs);
            self.busy += began.elapsed();
            if let Some(rival) = &mut self.rival {
                rival.record(sighting.content);
            }
            outputs.clear();
        }
        for group in &mut self.groups {
            group.apply(Input::Tick(START + Milliseconds(DAY_MS)), &mut outputs);
            group.take_changed();
            outputs.clear();
        }
    }

    /// Every window of the sampled contents, in their order.
    fn compare(&self) -> Vec<Compared> {
        let classes: &[Class] = if self.second.is_some() {
            &[Class::All, Class::Coordinators]
        } else {
            &[Class::All]
        };
        let mut contents: Vec<_> = self.truth.iter().collect();
        contents.sort_unstable_by_key(|(number, _)| **number);
        let mut compared = Vec::with_capacity(contents.len() * classes.len() * WindowLength::ALL.len());
        for (number, events) in contents {
            let id = content(self.seed, *number);
            let group = &self.groups[usize::from(id.group().0)];
            for (class, length) in classes
                .iter()
                .flat_map(|class| WindowLength::ALL.map(|length| (*class, length)))
            {
                let answer = answer(group, id, class, length);
                compared.push(Compared::of(*number, class, length, &answer, events));
            }
        }
        compared
    }

    fn measure(&self, compared: &[Compared]) -> Figures {
        let live = self.live.iter().filter(|live| **live).count() as f64;
        let cold: usize = self
            .groups
            .iter()
            .flat_map(Group::cold)
            .map(|(_, cold)| cold.memory_bytes())
            .sum();
        let core: usize = self.groups.iter().map(|group| group.encode_core().len()).sum();
        let hot: usize = self.groups.iter().map(|group| group.hot_keys().len()).sum();
        let mut of_day: Vec<u64> = compared
            .iter()
            .filter(|compared| compared.length == WindowLength::Hours24)
            .map(|compared| compared.bound.error())
            .collect();
        of_day.sort_unstable();
        let mut figures = of_bounds(compared.iter().map(|compared| &compared.bound));
        figures.extend([
            ("events", json!(self.events)),
            ("live_contents", json!(live)),
            ("hot_records", json!(hot)),
            ("bytes_per_cold_content", json!(cold as f64 / live)),
            ("bytes_per_content_exact_table", json!(exact_table_bytes(&self.truth))),
            (
                "day_error_mean",
                json!(of_day.iter().sum::<u64>() as f64 / of_day.len().max(1) as f64),
            ),
            ("day_error_p999", json!(quantile(&of_day, 0.999))),
            ("encoded_bytes_hot_and_tokens", json!(core)),
            (
                "apply_ns_with_clock",
                json!(self.busy.as_nanos() as f64 / self.events as f64),
            ),
        ]);
        if let Some(rival) = &self.rival {
            let exact = self.truth.iter();
            let exact = exact.map(|(number, events)| (content(self.seed, *number), events.len() as u64));
            figures.extend(rival.figures(exact, live));
        }
        figures
    }
}

/// What answers say beside the truth.
fn of_bounds<'a>(bounds: impl Iterator<Item = &'a Bound> + Clone) -> Figures {
    let mut errors: Vec<u64> = bounds.clone().map(Bound::error).collect();
    let undercounts = bounds.clone().filter(|bound| bound.high < bound.exact).count();
    let lower_bounds_above_truth = bounds.clone().filter(|bound| bound.low > bound.exact).count();
    let stated = bounds.filter_map(|bound| Some((bound.error(), bound.stated?)));
    let cold_answers = stated.clone().count();
    let beyond = stated
        .clone()
        .filter(|(error, (expected, _))| *error as f64 > *expected)
        .count();
    let may_fail: f64 = stated.map(|(_, (_, confidence))| 1.0 - confidence).sum();
    errors.sort_unstable();
    Figures::from([
        ("windows_compared", json!(errors.len())),
        ("undercounts", json!(undercounts)),
        ("lower_bounds_above_truth", json!(lower_bounds_above_truth)),
        (
            "error_mean",
            json!(errors.iter().sum::<u64>() as f64 / errors.len().max(1) as f64),
        ),
        ("error_p999", json!(quantile(&errors, 0.999))),
        ("error_max", json!(errors.last())),
        ("cold_answers", json!(cold_answers)),
        ("beyond_bound", json!(beyond)),
        ("beyond_bound_allowed", json!(may_fail)),
        ("bound_violations", json!((beyond as f64 - may_fail).max(0.0).floor())),
    ])
}

impl Compared {
    const HEADER: &str = "run,content,class,window,exact,low,high,stated_error,confidence";

    /// An answer beside the events of the content, which are for party 1's readers.
    fn of(
        content: u64,
        class: Class,
        length: WindowLength,
        answer: &Answer,
        events: &[(Timestamp, Sharing)],
    ) -> Compared {
        let inside = |(at, sharing): &&(Timestamp, Sharing)| {
            sharing.classes(PartyId(1)).any(|of| of == class) && answer.from <= *at && *at < answer.to
        };
        Compared {
            content,
            class,
            length,
            bound: Bound {
                exact: events.iter().filter(inside).count() as u64,
                low: answer.spread.low,
                high: answer.spread.high,
                stated: answer.bound,
            },
        }
    }

    /// As a row. What was counted exactly states no error.
    fn to_csv(self, prefix: &str) -> String {
        let run = if prefix.is_empty() {
            "all"
        } else {
            prefix.trim_end_matches('_')
        };
        let class = match self.class {
            Class::All => "all",
            Class::Coordinators => "coordinators",
            Class::Party(_) => "party",
        };
        let window = match self.length {
            WindowLength::Minutes5 => "5m",
            WindowLength::Hour1 => "1h",
            WindowLength::Hours24 => "24h",
        };
        let Bound {
            exact,
            low,
            high,
            stated,
        } = self.bound;
        let (stated, confidence) = stated.map_or_else(Default::default, |(error, confidence)| {
            (error.to_string(), confidence.to_string())
        });
        format!(
            "{run},{},{class},{window},{exact},{low},{high},{stated},{confidence}",
            self.content
        )
    }
}

pub(super) struct Answer {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) spread: Interval,
    /// Of a cold answer: the error that is stated, and with which confidence.
    pub(super) bound: Option<(f64, f64)>,
}

pub(super) fn answer(group: &Group, content: ContentId, class: Class, length: WindowLength) -> Answer {
    if let Some(record) = group.hot(HotKey { content, class }) {
        let figures = family_figures(&[record], group.now()).expect("there is a record");
        let window = figures.windows.iter().find(|window| window.length == length);
        let window = window.expect("figures have every window");
        return Answer {
            from: window.window.from,
            to: window.window.to,
            spread: window.spread,
            bound: None,
        };
    }
    let window = window(length, group.now());
    let Some((_, cold)) = group.cold().find(|(of, _)| *of == class) else {
        return Answer {
            from: window.from,
            to: window.to,
            spread: Interval::exact(0),
            bound: None,
        };
    };
    let count = cold.count(content, window.from, window.to);
    Answer {
        from: count.covered_from,
        to: count.covered_to,
        spread: count.count,
        bound: Some((count.expected_error, count.confidence)),
    }
}

fn sighting(
    content: ContentId,
    value: &[u8; 16],
    sharing: Sharing,
    event: u64,
    occurred_at: Timestamp,
    received_at: Timestamp,
) -> Sighting<'_> {
    Sighting {
        source: SourceCoordinate {
            source: SourceId(1),
            offset: event + 1,
            index: 0,
        },
        event_token: mix(event),
        party: PartyId(1),
        platform: PlatformId(1 + (event % 5) as u16),
        kind: Kind::Upload,
        sharing,
        surface: Surface::Feed,
        clock: ClockFlag::Plausible,
        occurred_at,
        received_at,
        content,
        hash: HashRef {
            algorithm: Algorithm::Md5,
            value,
        },
        // No account: reach has a suite of its own.
        account: None,
        account_epoch: 0,
        audience: 0,
        region: [0; 2],
        language: [0; 2],
        tvec_confidence: Sighting::NO_LABEL,
    }
}

fn content(seed: u64, number: u64) -> ContentId {
    let half = |salt: u64| u128::from(mix(number ^ mix(seed ^ salt)));
    ContentId(half(0) << 64 | half(1))
}

/// A bijection that scatters (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
