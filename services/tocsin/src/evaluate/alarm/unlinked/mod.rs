//! The headline's crises when nobody has grouped their variants: each file has its own hashes, links are found while events go by, and families
//! grow together from one of many key groups to the next.

mod files;
mod path;
mod story;

use std::collections::{BTreeMap, HashMap};

use tocsin_loadtest::day::{Day, DayPlan, Family, FamilyKind, Scale};
use tocsin_loadtest::score::{self, Alarm, Judging, Verdict};
use tocsin_loadtest::truth::Records;
use tocsin_model::{Alert, AlertLevel, ContentId, Milliseconds, Timestamp, nearest_rank};

use self::story::Story;
pub(super) use self::story::{AtAlarm, CrisisRow};
use self::{files::Files, path::Path};
use super::core::{Core, Sizes};

/// What became of the days.
#[derive(Clone, Debug, Default)]
pub(super) struct Unlinked {
    pub(super) crises: Vec<CrisisRow>,
    days: u32,
    /// Alarms about all else, by their verdicts.
    verdicts: BTreeMap<Verdict, u64>,
    totals: Totals,
    /// What found no room in a table.
    refused: u64,
}

/// Totals of families as their homes state them, held to exact counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    compared: u64,
    /// The truth lies outside the stated interval, or the home knows of other members.
    mismatches: u64,
    /// Its lower end is not what came since each member was promoted.
    inexact: u64,
    /// The most members of one family.
    members_max: u64,
}

/// At scale 1 so many days, each with this much of ordinary traffic; crises have their own size at every scale.
const DAYS: f64 = 5.0;
const SCALE: Scale = Scale(0.001);
/// Crises of a day at scale 1, and how long each has for itself.
const CRISES: f64 = 10.0;
const CRISES_MIN: f64 = 2.0;
const SLOT: Milliseconds = Milliseconds::from_minutes(144);
/// How often everything stands still, all groups start again from their bytes, and totals are compared.
const COMPARED_EVERY: Milliseconds = Milliseconds::from_minutes(30);

/// Plays the days that a scale stands for.
pub(super) fn run(scale: f64, seed: u64) -> Unlinked {
    let mut unlinked = Unlinked::default();
    let days = (DAYS * scale).clamp(1.0, DAYS) as u32;
    let crises = (CRISES * DAYS * scale).clamp(CRISES_MIN, CRISES) as usize;
    for number in 0..days {
        let mut plan = DayPlan::headline(SCALE, seed, number);
        plan.crises.truncate(crises);
        plan.lasts = Milliseconds(SLOT.0 * crises as i64);
        play(&plan, Sizes::for_day(&plan), &mut unlinked);
        tracing::info!(day = number, of = days, "played a day without known families");
    }
    unlinked
}

fn play(plan: &DayPlan, sizes: Sizes, unlinked: &mut Unlinked) {
    let mut path = Path::new(sizes, plan);
    let mut files = Files::new(plan, path.key());
    let mut known = Core::new(sizes, plan);
    let (mut alerts, mut known_alerts): (Vec<Alert>, Vec<Alert>) = Default::default();
    let mut records = Records::new(plan.judged());
    let mut stories: BTreeMap<Family, Story> = BTreeMap::new();
    let mut owners: HashMap<ContentId, Family> = HashMap::new();
    let mut others: Vec<Alarm> = Vec::new();
    let mut compared_at = plan.stream_begins_at();
    for occurrence in Day::new(plan) {
        records.add(&occurrence);
        known.take(&occurrence, &mut known_alerts);
        if occurrence.received_at - compared_at >= COMPARED_EVERY {
            compared_at = occurrence.received_at;
            compare(&mut path, &stories, compared_at, &mut alerts, &mut unlinked.totals);
        }
        let named = files.named(&occurrence);
        owners.insert(named.own.id, occurrence.family);
        let taken = path.take(&occurrence, named, &mut alerts);
        if occurrence.family.kind() == FamilyKind::Crisis {
            let signal = files.signal(occurrence.family, occurrence.variant);
            let story = stories
                .entry(occurrence.family)
                .or_insert_with(|| Story::new(plan.number, occurrence.family));
            story.saw(&occurrence, signal, &taken);
        }
        for alert in alerts.drain(..) {
            let owner = owners.get(&alert.family.0).copied();
            match owner.and_then(|family| stories.get_mut(&family)) {
                Some(story) => story.heard(&alert, &path),
                None if alert.level == AlertLevel::Raised => others.extend(owner.map(|family| Alarm {
                    family,
                    at: alert.at,
                    score: alert.trigger.score,
                    threshold: alert.trigger.threshold,
                })),
                None => {}
            }
        }
    }
    compare(&mut path, &stories, plan.ends_at(), &mut alerts, &mut unlinked.totals);
    let truth = records.judge();
    let of = Judging {
        day: plan.number,
        detector: super::play::TOCSIN,
    };
    for row in score::judge(of, &truth, &others) {
        *unlinked.verdicts.entry(row.verdict).or_default() += 1;
    }
    let mut known_at: BTreeMap<Family, Timestamp> = BTreeMap::new();
    for alert in known_alerts.iter().filter(|alert| alert.level == AlertLevel::Raised) {
        known_at.entry(Core::family_of(alert)).or_insert(alert.at);
    }
    let rows = stories
        .iter()
        .map(|(family, story)| story.row(known_at.get(family).copied(), &path));
    unlinked.crises.extend(rows);
    unlinked.refused += path.refused();
    unlinked.days += 1;
}

/// Everything arrives, every group starts again from its bytes, and the totals of all families of crises are held to exact counts.
fn compare(
    path: &mut Path,
    stories: &BTreeMap<Family, Story>,
    now: Timestamp,
    alerts: &mut Vec<Alert>,
    totals: &mut Totals,
) {
    path.settle(alerts);
    path.restart();
    path.settle(alerts);
    for story in stories.values().filter(|story| story.spread_since(now - SLOT)) {
        story.compare(path, totals);
    }
}

impl Unlinked {
    /// All figures by their names. What is infinite has no place in JSON.
    pub(super) fn by_name(&self) -> Vec<(String, f64)> {
        let crises = self.crises.len() as f64;
        let sum = |of: fn(&CrisisRow) -> u64| self.crises.iter().map(of).sum::<u64>() as f64;
        let count = |is: fn(&CrisisRow) -> bool| self.crises.iter().filter(|row| is(row)).count() as f64;
        let part = |of: fn(&CrisisRow) -> u64| sum(of) / sum(CrisisRow::reuploads_at_alarm);
        let verdict = |verdict| self.verdicts.get(&verdict).copied().unwrap_or(0) as f64;
        let figures = [
            ("unlinked_days", f64::from(self.days)),
            ("unlinked_crises", crises),
            ("unlinked_crises_alarmed", count(CrisisRow::is_alarmed)),
            ("unlinked_crises_with_one_alarm", count(|row| row.alarms == 1)),
            ("unlinked_alarms_per_crisis", sum(|row| row.alarms) / crises),
            ("unlinked_alarms_after_a_merge", sum(|row| row.alarms_after_a_merge)),
            ("unlinked_episodes_taken_over", sum(|row| row.taken_over)),
            ("unlinked_alarms", sum(|row| row.alarms_without_signal)),
            ("unlinked_alarms_repeated", sum(|row| row.repeated_without_signal)),
            (
                "unlinked_reuploads_at_alarm_p50_leading",
                self.percentile(50, |row| row.at_alarm.map(|at| at.leading)),
            ),
            (
                "unlinked_reuploads_at_alarm_p50",
                self.percentile(50, |row| row.at_alarm.map(|at| at.all())),
            ),
            (
                "unlinked_reuploads_at_alarm_p99",
                self.percentile(99, |row| row.at_alarm.map(|at| at.all())),
            ),
            (
                "unlinked_reuploads_at_alarm_p50_known",
                self.percentile(50, |row| row.known_at_alarm),
            ),
            (
                "unlinked_at_alarm_in_family",
                part(|row| row.at_alarm.map_or(0, |at| at.in_family)),
            ),
            (
                "unlinked_at_alarm_outside",
                part(|row| row.at_alarm.map_or(0, |at| at.outside)),
            ),
            (
                "unlinked_at_alarm_without_signal",
                part(|row| row.at_alarm.map_or(0, |at| at.without_signal)),
            ),
            (
                "unlinked_copies_in_family",
                sum(|row| row.copies_in_family) / sum(|row| row.copies_with_signal),
            ),
            ("unlinked_other_right_alarms", verdict(Verdict::Right)),
            ("unlinked_other_near_alarms", verdict(Verdict::Near)),
            (
                "unlinked_other_false_alarms",
                verdict(Verdict::False) + verdict(Verdict::Repeat),
            ),
            ("unlinked_refused", self.refused as f64),
            ("merge_totals_compared", self.totals.compared as f64),
            ("merge_mismatches", self.totals.mismatches as f64),
            ("merge_inexact", self.totals.inexact as f64),
            ("merge_members_max", self.totals.members_max as f64),
        ];
        figures.map(|(name, figure)| (name.to_owned(), figure)).to_vec()
    }

    /// The nearest rank; a crisis without an alarm has infinitely many.
    fn percentile(&self, per_cent: usize, of: impl Fn(&CrisisRow) -> Option<u64>) -> f64 {
        let reuploads = self
            .crises
            .iter()
            .map(|row| of(row).map_or(f64::INFINITY, |count| count as f64));
        let mut reuploads: Vec<f64> = reuploads.collect();
        reuploads.sort_unstable_by(f64::total_cmp);
        nearest_rank(&reuploads, per_cent).copied().unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One crisis, cut ten minutes after its onset, in hardly any traffic.
    fn short() -> DayPlan {
        let mut plan = DayPlan::headline(Scale(1e-6), 5, 0);
        plan.crises.truncate(1);
        plan.crises[0].cut_after_onset = Some(Milliseconds::from_minutes(10));
        plan.warm_up = Milliseconds::from_hours(1);
        plan.lasts = Milliseconds::from_hours(2);
        plan
    }

    #[test]
    fn a_crisis_whose_variants_nobody_has_grouped_rings_once_and_its_totals_are_exact() {
        let [one, again] = [(); 2].map(|()| {
            let mut unlinked = Unlinked::default();
            play(&short(), Sizes::for_day(&short()), &mut unlinked);
            unlinked
        });
        let figures: BTreeMap<String, f64> = one.by_name().into_iter().collect();
        assert_eq!(figures["unlinked_crises_alarmed"], 1.0, "{figures:?}");
        assert_eq!(figures["unlinked_alarms_per_crisis"], 1.0, "{figures:?}");
        assert!(figures["unlinked_copies_in_family"] > 0.5, "{figures:?}");
        assert!(figures["merge_members_max"] > 10.0, "{figures:?}");
        assert!(figures["merge_totals_compared"] > 20.0, "{figures:?}");
        assert_eq!((figures["merge_mismatches"], figures["merge_inexact"]), (0.0, 0.0));
        let rows = |unlinked: &Unlinked| unlinked.crises.iter().map(CrisisRow::to_csv).collect::<Vec<_>>();
        assert_eq!(rows(&one), rows(&again));
        assert_eq!(CrisisRow::HEADER.split(',').count(), rows(&one)[0].split(',').count());
    }
    /// Members that are silent for an hour make room here, and what is linked finds none.
    #[test]
    fn totals_hold_the_truth_where_hot_tables_are_full() {
        let plan = DayPlan {
            lasts: Milliseconds::from_hours(5),
            ..short()
        };
        let sizes = Sizes {
            hot_limit: 256,
            ..Sizes::for_day(&plan)
        };
        let mut unlinked = Unlinked::default();
        play(&plan, sizes, &mut unlinked);
        let figures: BTreeMap<String, f64> = unlinked.by_name().into_iter().collect();
        assert!(figures["unlinked_refused"] > 0.0, "{figures:?}");
        assert!(figures["merge_totals_compared"] > 20.0, "{figures:?}");
        assert_eq!(
            (figures["merge_mismatches"], figures["merge_inexact"]),
            (0.0, 0.0),
            "{figures:?}"
        );
    }
}
