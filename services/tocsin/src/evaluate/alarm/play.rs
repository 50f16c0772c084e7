//! One day, played once to every detector, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tocsin_loadtest::day::{Day, DayPlan, Family, FamilyKind, Occurrence};
use tocsin_loadtest::rival::{self, Rival};
use tocsin_loadtest::score::{self, Alarm, AlarmRow, Judging};
use tocsin_loadtest::truth::{DayRow, Records, TruthRow};
use tocsin_model::{Alert, AlertLevel, Timestamp};

use super::bounds::Bound;
use super::core::{Core, Sizes};

/// How to play a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Play {
    /// Those of the deployment.
    pub(super) sizes: Sizes,
    /// Whether the same groups with an exact table watch too. It takes several times as long as all else.
    pub(super) exact: Exact,
}

/// Whether the rule is also asked with exact counts of every content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exact {
    /// It is.
    Too,
    /// It is not.
    LeftOut,
}

/// What became of a day.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) plan: DayPlan,
    pub(super) day: DayRow,
    pub(super) truths: Vec<TruthRow>,
    /// Of all detectors.
    pub(super) alarms: Vec<AlarmRow>,
    /// Copies of each crisis, per minute from the beginning of the stream on.
    pub(super) curves: BTreeMap<Family, Vec<u32>>,
    pub(super) stream_begins_at: Timestamp,
    /// Episodes that open (1) and end (-1), in order.
    pub(super) episodes: Vec<(Timestamp, i32)>,
    /// What the groups answer at the end of the day for a sample of contents.
    pub(super) bounds: Vec<Bound>,
    /// Time in the groups, by the wall clock.
    pub(super) busy: Duration,
    pub(super) records: u64,
}

/// The names of detectors in rows.
pub(super) const TOCSIN: &str = "tocsin";
pub(super) const EXACT: &str = "exact";
/// The names of the rivals, as they call themselves.
pub(super) fn rivals() -> Vec<&'static str> {
    rival::all().iter().map(|rival| rival.name()).collect()
}

const MINUTE_MS: i64 = 60_000;
/// Records are handed to the detectors so many at a time, so that the clock is asked once for all of them.
const BATCH: usize = 4_096;

/// A detector of this project and what it said.
struct Watcher {
    name: &'static str,
    core: Core,
    alerts: Vec<Alert>,
    busy: Duration,
}

impl Watcher {
    fn new(name: &'static str, core: Core) -> Self {
        Watcher {
            name,
            core,
            alerts: Vec::new(),
            busy: Duration::ZERO,
        }
    }

    fn take(&mut self, batch: &[Occurrence]) {
        let began = Instant::now();
        for occurrence in batch {
            self.core.take(occurrence, &mut self.alerts);
        }
        self.busy += began.elapsed();
    }

    /// Raised episodes.
    fn alarms(&self) -> Vec<Alarm> {
        let raised = self.alerts.iter().filter(|alert| alert.level == AlertLevel::Raised);
        raised
            .inspect(|alert| {
                let (at, evidence) = (alert.at.0, alert.trigger);
                tracing::debug!(
                    detector = self.name,
                    family = Core::family_of(alert).0,
                    at,
                    ?evidence,
                    "raised"
                );
            })
            .map(|alert| Alarm {
                family: Core::family_of(alert),
                at: alert.at,
                score: alert.trigger.score,
                threshold: alert.trigger.threshold,
            })
            .collect()
    }
}

/// Plays a day to all detectors.
pub(super) fn play(plan: &DayPlan, play: Play) -> Played {
    let judged = plan.judged();
    let mut records = Records::new(judged);
    let ours = Watcher::new(TOCSIN, Core::new(play.sizes, plan).sampled());
    let mut watchers = vec![ours];
    if play.exact == Exact::Too {
        watchers.push(Watcher::new(EXACT, Core::new(Sizes::EXACT, plan)));
    }
    let mut rivals: Vec<(Box<dyn Rival>, Vec<Alarm>)> =
        rival::all().into_iter().map(|rival| (rival, Vec::new())).collect();
    let mut curves = BTreeMap::new();
    let mut day = Day::new(plan);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        batch.extend(day.by_ref().take(BATCH));
        let Some(last) = batch.last() else { break };
        debug_assert!(
            last.received_at >= batch[0].received_at,
            "records come in the order of their receipt"
        );
        for occurrence in &batch {
            records.add(occurrence);
            draw_curve(&mut curves, occurrence, judged.stream_begins_at);
            for (rival, alarms) in &mut rivals {
                alarms.extend(rival.observe(occurrence));
            }
        }
        for watcher in &mut watchers {
            watcher.take(&batch);
        }
    }
    for watcher in &mut watchers {
        watcher.core.tick(plan.ends_at(), &mut watcher.alerts);
    }
    let truth = records.judge();
    let mut alarms = Vec::new();
    let by_detector = watchers.iter().map(|watcher| (watcher.name, watcher.alarms()));
    let by_rival = rivals.into_iter().map(|(rival, alarms)| (rival.name(), alarms));
    for (detector, rung) in by_detector.chain(by_rival) {
        let of = Judging {
            day: plan.number,
            detector,
        };
        alarms.extend(score::judge(of, &truth, &rung));
    }
    let alarmed: BTreeSet<Family> = alarms.iter().map(|alarm: &AlarmRow| alarm.family).collect();
    Played {
        plan: plan.clone(),
        day: truth.day_row(plan.number),
        truths: truth.rows(plan.number, &alarmed),
        episodes: episodes(&watchers[0].alerts),
        bounds: watchers[0].core.bounds(),
        alarms,
        curves,
        stream_begins_at: judged.stream_begins_at,
        busy: watchers[0].busy,
        records: day.received(),
    }
}

fn episodes(alerts: &[Alert]) -> Vec<(Timestamp, i32)> {
    let mut changes: Vec<(Timestamp, i32)> = alerts
        .iter()
        .filter_map(|alert| match alert.level {
            AlertLevel::Raised => Some((alert.at, 1)),
            AlertLevel::Subsided => Some((alert.at, -1)),
            AlertLevel::Escalated | AlertLevel::Sustained => None,
        })
        .collect();
    changes.sort_unstable();
    changes
}

fn draw_curve(curves: &mut BTreeMap<Family, Vec<u32>>, occurrence: &Occurrence, begins_at: Timestamp) {
    if occurrence.family.kind() != FamilyKind::Crisis || !occurrence.kind.is_spread() {
        return;
    }
    let minute = ((occurrence.happened_at - begins_at).0 / MINUTE_MS).max(0) as usize;
    let curve = curves.entry(occurrence.family).or_default();
    if curve.len() <= minute {
        curve.resize(minute + 1, 0);
    }
    curve[minute] += 1;
}
