//! Who is interrupted on days with ten crises and twenty large cascades, when pages are budgeted.
//!
//! The threshold is learned as the dispatcher learns it: from the highest page scores of the episodes seen so far, once an hour. So are the nulls of
//! the platforms, from what the groups have seen. Before the days that count comes one of the same kind, which begins with what a version ships
//! with: a deployment has its first day once.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_loadtest::day::{DayPlan, Family, FamilyKind, Scale};
use tocsin_loadtest::truth::{Records, Truth};
use tocsin_model::{
    Alert, AlertLevel, Calibration, GroupId, Milliseconds, PlatformNull, Populations, Timestamp, nearest_rank,
};
use tocsin_velocity::budget::{Observed, Prior, page_threshold};
use tocsin_velocity::null::calibrate;
use tocsin_velocity::recalibration::{AHEAD, Found, STANDS_FOR, is_due};

use super::core::{Core, Sizes};
use super::steps::{Step, Steps};

/// What became of some days.
#[derive(Clone, Debug, Default)]
pub(super) struct Paging {
    /// In order; the first is the one that the threshold is learned on.
    pub(super) days: Vec<PagingDay>,
}

/// Who was interrupted on a day.
#[derive(Clone, Debug)]
pub(super) struct PagingDay {
    /// The onset of every crisis.
    pub(super) crises: BTreeMap<Family, Option<Timestamp>>,
    /// The first alert of each episode that pages, in order.
    pub(super) pages: Vec<(Timestamp, Family)>,
    /// The highest page score of every episode.
    pub(super) peaks: Vec<(Family, f64)>,
    /// The threshold at the end of the day.
    pub(super) threshold: f64,
    /// The nulls at the end of the day.
    pub(super) nulls: Vec<PlatformNull>,
}

/// What the operator allows.
pub(super) const PAGES_PER_DAY: f64 = 15.0;
const DAY_MS: f64 = 86_400_000.0;

/// Learns the threshold, as the dispatcher does.
#[derive(Clone, Debug)]
struct Calibrator {
    /// The highest page scores of the episodes of earlier days.
    before: Vec<f64>,
    days_before: f64,
    /// Those of the day, and when each was raised.
    today: BTreeMap<(Family, u32), f64>,
    /// What the groups had seen at the end of each earlier day, and what those of this day have seen so far.
    seen_before: Vec<Populations>,
    seen_today: BTreeMap<GroupId, Populations>,
    in_force: Calibration,
}

/// Plays so many days after a first one.
pub(super) fn run(scale: Scale, seed: u64, days: u32) -> Paging {
    let mut calibrator = Calibrator::new();
    let mut paging = Paging::default();
    for number in 0..=days {
        let plan = DayPlan::paging(scale, seed, number);
        let played = play(&plan, &mut calibrator);
        calibrator.end_day();
        tracing::info!(day = number, pages = played.pages.len(), "played a day of pages");
        paging.days.push(played);
    }
    paging
}

fn play(plan: &DayPlan, calibrator: &mut Calibrator) -> PagingDay {
    let mut core = Core::new(Sizes::for_day(plan), plan);
    let mut alerts: Vec<Alert> = Vec::new();
    let mut told = 0;
    let mut records = Records::new(plan.judged());
    core.calibrate(&calibrator.begin_day(plan.stream_begins_at()));
    for step in Steps::new(plan) {
        match step {
            Step::Record(record) => {
                core.take(&record, &mut alerts);
                records.add(&record);
            }
            Step::Minute(now) => {
                core.tick(now, &mut alerts);
                calibrator.observe(&alerts[told..], plan.begins_at);
                told = alerts.len();
                calibrator.see(core.take_populations());
                let since = now - plan.begins_at;
                if since.0 % STANDS_FOR.0 == 0
                    && let Some(calibration) = calibrator.look(now, since)
                {
                    core.calibrate(&calibration);
                }
            }
        }
    }
    PagingDay::of(plan, &records.judge(), &alerts, calibrator)
}

impl PagingDay {
    fn of(plan: &DayPlan, truth: &Truth, alerts: &[Alert], calibrator: &Calibrator) -> Self {
        let judged = plan.judged();
        let mut paged = BTreeSet::new();
        let pages = alerts
            .iter()
            .filter(|alert| alert.paged && paged.insert((Core::family_of(alert), alert.episode)))
            .filter(|alert| (judged.from..judged.to).contains(&alert.at))
            .map(|alert| (alert.at, Core::family_of(alert)));
        let crises = truth
            .families()
            .iter()
            .filter(|told| told.family.kind() == FamilyKind::Crisis);
        PagingDay {
            pages: pages.collect(),
            crises: crises.map(|told| (told.family, told.onset_at)).collect(),
            peaks: calibrator
                .today
                .iter()
                .map(|((family, _), peak)| (*family, *peak))
                .collect(),
            threshold: calibrator.in_force.page_threshold,
            nulls: calibrator.in_force.platforms.clone(),
        }
    }

    /// Seconds from the onset of each crisis to its page; infinite where nobody was called. In no order.
    fn delays_seconds(&self) -> impl Iterator<Item = f64> + '_ {
        self.crises.iter().map(|(family, onset)| {
            let page = self.pages.iter().find(|(_, paged)| paged == family);
            match (page, onset) {
                (Some((at, _)), Some(onset)) => (*at - *onset).0 as f64 / 1_000.0,
                _ => f64::INFINITY,
            }
        })
    }
}

impl Paging {
    /// The days that count.
    fn scored(&self) -> &[PagingDay] {
        self.days.get(1..).unwrap_or(&[])
    }

    /// All figures by their names. What is infinite has no place in JSON.
    pub(super) fn by_name(&self) -> Vec<(String, f64)> {
        let scored = self.scored();
        let days = scored.len().max(1) as f64;
        let mut delays: Vec<f64> = scored.iter().flat_map(PagingDay::delays_seconds).collect();
        delays.sort_by(f64::total_cmp);
        let paged = delays.iter().filter(|delay| delay.is_finite()).count();
        let at = |per_cent: usize| nearest_rank(&delays, per_cent).copied().unwrap_or(f64::INFINITY);
        let pages = || scored.iter().map(|day| day.pages.len());
        let episodes = || scored.iter().map(|day| day.peaks.len()).sum::<usize>() as f64;
        let of_kind = |kind: FamilyKind| {
            let pages = scored.iter().flat_map(|day| &day.pages);
            pages.filter(|(_, family)| family.kind() == kind).count() as f64
        };
        let mut figures: Vec<(String, f64)> = [
            ("paging_days", scored.len() as f64),
            ("paging_crises", delays.len() as f64),
            ("crises_paged", paged as f64),
            ("pages", pages().sum::<usize>() as f64),
            ("pages_per_day", pages().sum::<usize>() as f64 / days),
            ("pages_per_day_max", pages().max().unwrap_or(0) as f64),
            ("page_delay_seconds_p50", at(50)),
            ("page_delay_seconds_max", at(100)),
            ("page_threshold", scored.last().map_or(f64::NAN, |day| day.threshold)),
            ("episodes_per_day", episodes() / days),
            (
                "episodes_on_first_day",
                self.days.first().map_or(0, |day| day.peaks.len()) as f64,
            ),
            (
                "pages_on_first_day",
                self.days.first().map_or(0, |day| day.pages.len()) as f64,
            ),
        ]
        .map(|(name, figure)| (name.to_owned(), figure))
        .to_vec();
        for kind in FamilyKind::ALL {
            figures.push((format!("pages_{}", kind.name()), of_kind(kind)));
        }
        let nulls = scored.last().map_or(&[][..], |day| &day.nulls);
        for null in nulls {
            let platform = null.platform.0;
            figures.push((format!("null_reuploads_{platform}"), null.reuploads.mean()));
            figures.push((format!("null_base_rate_hours_{platform}"), null.base_rate.hours));
            let busiest = null.hours.iter().copied().fold(0.0, f64::max);
            let quietest = null.hours.iter().copied().fold(f64::INFINITY, f64::min);
            figures.push((format!("null_rhythm_{platform}"), busiest / quietest));
        }
        figures
    }
}

impl Calibrator {
    fn new() -> Self {
        Calibrator {
            before: Vec::new(),
            days_before: 0.0,
            today: BTreeMap::new(),
            seen_before: Vec::new(),
            seen_today: BTreeMap::new(),
            in_force: Calibration {
                number: 0,
                effective_from: Timestamp(0),
                page_threshold: Prior::SHIPPED.threshold(PAGES_PER_DAY),
                pages_per_day: PAGES_PER_DAY,
                episodes: 0,
                at: Timestamp(0),
                platforms: Vec::new(),
            },
        }
    }

    /// The groups of a day are new, and are told what is in force.
    fn begin_day(&mut self, now: Timestamp) -> Calibration {
        // It was made on an earlier day; every day has times of its own.
        self.in_force.at = now - STANDS_FOR;
        self.in_force.number += 1;
        self.in_force.effective_from = now + AHEAD;
        self.in_force.clone()
    }

    /// Alerts were made; those before the day counts are of its warm-up.
    fn observe(&mut self, alerts: &[Alert], from: Timestamp) {
        let open = alerts
            .iter()
            .filter(|alert| alert.level != AlertLevel::Subsided && alert.at >= from);
        for alert in open {
            let peak = self.today.entry((Core::family_of(alert), alert.episode)).or_insert(0.0);
            *peak = peak.max(alert.page_score);
            let (family, at, score) = (Core::family_of(alert), (alert.at - from).0, alert.page_score);
            let terms: Vec<f64> = alert.priority_terms.iter().map(|term| term.value).collect();
            tracing::debug!(
                kind = family.kind().name(),
                family = family.0,
                at,
                score,
                paged = alert.paged,
                ?terms,
                "said"
            );
        }
    }

    /// An hour may have ended.
    fn see(&mut self, populations: Vec<Populations>) {
        self.seen_today
            .extend(populations.into_iter().map(|seen| (seen.group, seen)));
    }

    /// So much of the day is over: another calibration, if the one in force does not fit.
    fn look(&mut self, now: Timestamp, since: Milliseconds) -> Option<Calibration> {
        let peaks: Vec<f64> = self.before.iter().chain(self.today.values()).copied().collect();
        let observed = Observed {
            peaks: &peaks,
            days: self.days_before + since.0 as f64 / DAY_MS,
        };
        let found = page_threshold(&observed, &Prior::SHIPPED, PAGES_PER_DAY);
        let seen: Vec<Populations> = self
            .seen_before
            .iter()
            .chain(self.seen_today.values())
            .cloned()
            .collect();
        let platforms = calibrate(&self.in_force.platforms, &seen);
        let fits = Found {
            page_threshold: found,
            pages_per_day: PAGES_PER_DAY,
            platforms: &platforms,
        };
        if !is_due(Some(&self.in_force), &fits, now) {
            return None;
        }
        self.in_force = Calibration {
            number: self.in_force.number + 1,
            effective_from: now + AHEAD,
            page_threshold: found,
            pages_per_day: PAGES_PER_DAY,
            episodes: u32::try_from(peaks.len()).unwrap_or(u32::MAX),
            at: now,
            platforms,
        };
        Some(self.in_force.clone())
    }

    fn end_day(&mut self) {
        self.before.extend(std::mem::take(&mut self.today).into_values());
        self.days_before += 1.0;
        self.seen_before
            .extend(std::mem::take(&mut self.seen_today).into_values());
    }
}
