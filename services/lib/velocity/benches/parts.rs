//! What the parts of the core cost, each beside what anybody would write first: the trigger, exact bins, the forecast, the priority. Results, and how
//! each cost grows, are kept in `RECORD.md`; the sketches have benchmarks of their own in `tocsin-sketch`, the whole event in `core`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tocsin_model::{
    AccountToken, Algorithm, Class, ClockFlag, ContentId, DeploymentKey, FamilyId, HashRef, Kind, Milliseconds,
    PartyId, PlatformId, Sharing, Sighting, SourceCoordinate, SourceId, Surface, Timestamp,
};
use tocsin_sketch::ColdConfig;
use tocsin_velocity::evidence::PartyEvidence;
use tocsin_velocity::forecast::{Calibration, Course, Model};
use tocsin_velocity::priority::{Setting, priority};
use tocsin_velocity::weight::Weights;
use tocsin_velocity::{Group, GroupConfig, HotKey, HotRecord, Input, Resolution, TriggerParameters};

const START: Timestamp = Timestamp(1_552_600_800_000);
const CONTENT: ContentId = ContentId(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834);
const DAY_MS: i64 = 86_400_000;

/// A group with one hot content.
struct One {
    group: Group,
    now: Timestamp,
    copies: u64,
    platforms: u64,
}

impl One {
    /// Whose copies come from so many platforms in turn, each of a party of its own and from an account of its own.
    fn new(platforms: u64) -> Self {
        let config = GroupConfig {
            key: DeploymentKey::from_bytes([7; 32]),
            cold: ColdConfig {
                width: 64,
                seed: 42,
                lateness: Milliseconds::from_hours(2),
            },
            hot_max: 16,
            promote_at: 1,
            retry_horizon: Milliseconds::from_minutes(130),
            retry_tokens_max: 16_384,
            shadow: None,
        };
        One {
            group: Group::new(CONTENT.group(), config),
            now: START,
            copies: 0,
            platforms,
        }
    }

    fn copy(&mut self, step: Milliseconds) {
        self.now = self.now + step;
        self.copies += 1;
        let platform = 1 + (self.copies % self.platforms) as u16;
        let scattered = self.copies.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let value = CONTENT.0.to_le_bytes();
        let sighting = Sighting {
            source: SourceCoordinate {
                source: SourceId(u64::from(platform)),
                offset: self.copies,
                index: 0,
            },
            event_token: scattered,
            party: PartyId(platform),
            platform: PlatformId(platform),
            kind: Kind::Upload,
            sharing: Sharing::All,
            surface: Surface::Feed,
            clock: ClockFlag::Plausible,
            occurred_at: self.now,
            received_at: self.now,
            content: CONTENT,
            hash: HashRef {
                algorithm: Algorithm::Md5,
                value: &value,
            },
            account: Some(AccountToken(scattered)),
            account_epoch: 1,
            audience: 100,
            region: *b"NZ",
            language: *b"en",
            tvec_confidence: Sighting::NO_LABEL,
        };
        let mut said = Vec::new();
        self.group.apply(Input::Sighting(&sighting), &mut said);
        black_box(said);
    }

    fn copies(mut self, count: u64, step: Milliseconds) -> Self {
        (0..count).for_each(|_| self.copy(step));
        self
    }

    fn record(&self) -> &HotRecord {
        let key = HotKey {
            content: CONTENT,
            class: Class::All,
        };
        self.group.hot(key).unwrap()
    }
}

/// The times of all copies of a day, as a detector without bins keeps them.
#[derive(Default)]
struct Times(VecDeque<i64>);

impl Times {
    fn copies(count: u64, step: i64) -> Self {
        let mut times = Times::default();
        (1..=count as i64).for_each(|copy| times.copy(START.0 + copy * step));
        times
    }

    fn copy(&mut self, at: i64) {
        while self.0.front().is_some_and(|first| *first <= at - DAY_MS) {
            self.0.pop_front();
        }
        self.0.push_back(at);
    }

    fn within(&self, length: i64) -> usize {
        let newest = self.0.back().copied().unwrap_or(0);
        self.0.len() - self.0.partition_point(|at| *at <= newest - length)
    }

    /// The Poisson scan statistic of nine windows, at one copy an hour.
    fn scan(&self) -> f64 {
        let score = |minutes: i64| {
            let (copies, expected) = (self.within(minutes * 60_000) as f64, minutes as f64 / 60.0);
            match copies > expected {
                true => copies * (copies / expected).ln() - (copies - expected),
                false => 0.0,
            }
        };
        [1, 2, 5, 10, 20, 30, 60, 120, 180]
            .into_iter()
            .map(score)
            .fold(0.0, f64::max)
    }
}

/// Asks the rule with all of its evidence, which a group does only where the windows alone come near the threshold.
fn trigger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trigger");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    let step = Milliseconds::from_seconds(5);
    for (windows, platforms) in [(1, 1), (10, 1), (100, 1), (390, 1), (390, 8), (390, 64), (100, 8)] {
        // An hour of copies, one each five seconds, fills every bin of it: 360 of five seconds and 30 of a minute.
        let copies = if windows == 390 { 720 } else { windows };
        let one = One::new(platforms).copies(copies, step);
        let id = BenchmarkId::new(
            "likelihood ratio over all windows",
            format!("{windows} windows, {platforms} platforms"),
        );
        group.bench_function(id, |b| {
            b.iter(|| one.group.rings_up_to(black_box(CONTENT), &TriggerParameters::SHIPPED));
        });
    }
    for copies in [10, 720, 100_000] {
        let times = Times::copies(copies, DAY_MS / 2 / copies.max(17_280) as i64);
        group.bench_function(BenchmarkId::new("10 in 5 min, 30 in 60 min", copies), |b| {
            b.iter(|| black_box(&times).within(300_000) >= 10 || black_box(&times).within(3_600_000) >= 30);
        });
        group.bench_function(BenchmarkId::new("Poisson scan of 9 windows", copies), |b| {
            b.iter(|| black_box(&times).scan())
        });
    }
    group.finish();
}

/// Exact counts of one content.
fn bins(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bins");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    for platforms in [1, 8, 64] {
        let mut one = One::new(platforms).copies(2_000, Milliseconds(500));
        group.bench_function(
            BenchmarkId::new("whole event of a hot content", format!("{platforms} platforms")),
            |b| {
                b.iter(|| one.copy(Milliseconds(10)));
            },
        );
    }
    let mut times = Times::copies(100_000, 100);
    let mut at = START.0 + 100_000 * 100;
    group.bench_function("VecDeque of a day, one content, no platform", |b| {
        b.iter(|| {
            at += 100;
            times.copy(at);
        });
    });
    let mut by_platform: HashMap<(u128, u16, u8), Times> = HashMap::new();
    group.bench_function(
        "HashMap of VecDeques by content, platform and kind, 64 platforms",
        |b| {
            b.iter(|| {
                at += 100;
                by_platform
                    .entry((CONTENT.0, (at / 100 % 64) as u16, 1))
                    .or_default()
                    .copy(at);
            });
        },
    );
    for copies in [1_000u64, 100_000] {
        // Over ten hours, so that every resolution is used.
        let step = Milliseconds(36_000_000 / copies as i64);
        let one = One::new(8).copies(copies, step);
        let times = Times::copies(copies, step.0);
        let windows = [
            ("5 min", 5, Resolution::Seconds5),
            ("1 h", 60, Resolution::Minute1),
            ("24 h", 1_440, Resolution::Minutes15),
        ];
        for (name, minutes, resolution) in windows {
            let length = Milliseconds::from_minutes(minutes);
            let (from, to) = (one.now - length, one.now + Milliseconds(1));
            group.bench_function(BenchmarkId::new(format!("spread of {name}"), copies), |b| {
                b.iter(|| black_box(one.record()).spread(resolution, from, to));
            });
            group.bench_function(
                BenchmarkId::new(format!("spread of {name} by 8 platforms"), copies),
                |b| {
                    b.iter(|| {
                        let counts = black_box(one.record()).counts(resolution, from, to);
                        counts.map(|(_, _, count)| count).sum::<u64>()
                    });
                },
            );
            group.bench_function(BenchmarkId::new(format!("VecDeque, {name}"), copies), |b| {
                b.iter(|| black_box(&times).within(length.0));
            });
        }
    }
    group.finish();
}

fn forecast(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forecast");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    let course = Course {
        age: Milliseconds::from_minutes(60),
        last_5m: 50,
        last_30m: 300,
        last_3h: 600,
    };
    let model = Model::SHIPPED;
    let mut calibration = Calibration::new(&model);
    group.bench_function("three quantiles", |b| {
        b.iter(|| calibration.forecast(black_box(&model), black_box(&course)));
    });
    group.bench_function("learn from an outcome", |b| {
        b.iter(|| calibration.learn(black_box(&model), black_box(&course), black_box(500)));
    });
    group.bench_function("the pace of the last 5 minutes goes on", |b| {
        b.iter(|| 12.0 * black_box(&course).last_5m as f64);
    });
    group.bench_function("a regression on the logarithm of the last half hour", |b| {
        b.iter(|| (0.3 + 0.9 * (black_box(&course).last_30m as f64 + 0.5).ln()).exp());
    });
    group.finish();
}

/// A party of which so many copies came in the last half hour.
fn party(number: u16, copies: u64) -> PartyEvidence {
    PartyEvidence {
        since: Some(START - Milliseconds::from_minutes(30)),
        last_5m: copies / 6,
        last_30m: copies,
        last_3h: copies,
        last_1h: copies,
        posted_1h: copies / 2,
        copies,
        posted: copies / 2,
        audience_sum: 100 * copies,
        audience_count: copies,
        reports: 3,
        platforms: 1,
        ..PartyEvidence::nothing(PartyId(number))
    }
}

fn priorities(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("priority");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    let calibration = Calibration::new(&Model::SHIPPED);
    let setting = Setting {
        verdict: None,
        watched: None,
        weights: Weights::FULL,
        calibration: &calibration,
        now: START,
    };
    for parties in [1u16, 4, 16, 64] {
        let said: Vec<PartyEvidence> = (1..=parties).map(|number| party(number, 60)).collect();
        group.bench_function(BenchmarkId::new("with terms, cap and influence", parties), |b| {
            b.iter(|| priority(black_box(&said), setting));
        });
        group.bench_function(BenchmarkId::new("copies of the hour times audience", parties), |b| {
            b.iter(|| {
                let seen = black_box(&said).iter();
                seen.map(|said| said.last_1h as f64 * said.audience_sum as f64 / said.audience_count as f64)
                    .sum::<f64>()
            });
        });
    }
    for platforms in [1, 8, 64] {
        let one = One::new(platforms).copies(720, Milliseconds::from_seconds(5));
        let id = BenchmarkId::new(
            "from the records, what parties say included",
            format!("{platforms} platforms"),
        );
        group.bench_function(id, |b| {
            b.iter(|| one.group.priority_of(FamilyId(black_box(CONTENT)), Class::All).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, trigger, bins, forecast, priorities);
criterion_main!(benches);
