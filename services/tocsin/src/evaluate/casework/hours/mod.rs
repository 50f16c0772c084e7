//! Clocks and notices of a day's crises in a store as a deployment has it, beside what truly happened.
//!
//! The crises of the day are played to key groups of their own, which count from the first event on; their alerts and what their hot records say of
//! clocks go into an empty SQLite store of which the clock is set, and orders and other notices are filed, suspended, resumed and answered there as a seed says. Missed
//! deadlines are looked for as a dispatcher does: here when one is over, to the second, and each minute. The truth keeps no state: it reads each answer off the list of what was done.

mod script;
mod truth;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tocsin_casework::{
    By, Case, CaseId, Command, NoticeCommand, NoticeId, NoticeLoad, PlatformClocks, Refusal, Ruling, Team,
    UNREVIEWED_BELOW,
};
use tocsin_loadtest::day::{DayPlan, Family};
use tocsin_model::{Alert, DecisionId, FamilyId, KeyId, Milliseconds, Timestamp, Verdict};
use tocsin_store::{About, Clock, Observed, Store, StoreError};

use self::script::{Act, Doing, Planned, planned};
use self::truth::{NoticeTruth, Told, ceil_second};
use super::super::alarm::core::{Core, Sizes};
use super::super::alarm::steps::{Step, Steps};
use super::day::is_violating;

const TEAM: Team = Team::Coordinators;
/// Who does what people do.
const WHO: KeyId = KeyId(1);

/// What the store and the truth came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Times that were compared: of cases and of their platforms.
    pub(super) clocks: u64,
    /// Those that differ, are missing or are told of what never was.
    pub(super) clock_mismatches: u64,
    /// What was compared of notices: each at the end, and what a case's notices come to, minute by minute.
    pub(super) notices: u64,
    /// What differs.
    pub(super) notice_mismatches: u64,
    /// Deadlines of orders that passed unanswered.
    pub(super) orders_overdue: u64,
    /// Of these, those that were not escalated within a second.
    pub(super) orders_escalated_late: u64,
}

/// A crisis that rang, and what was filed about it.
struct Rang {
    case: CaseId,
    told: Told,
    notices: BTreeMap<usize, NoticeId>,
    planned: Planned,
}

struct Playing<'a> {
    plan: &'a DayPlan,
    store: Store,
    clock: Clock,
    now: Timestamp,
    core: Core,
    rang: BTreeMap<Family, Rang>,
    /// What is to be done: at this time, about this crisis.
    due: BTreeMap<Timestamp, Vec<(Family, Act)>>,
    /// Seconds in which a deadline may be over.
    looks: BTreeSet<Timestamp>,
    observed: BTreeMap<Family, PlatformClocks>,
    kept: Kept,
}

/// Plays a day.
///
/// # Errors
/// The store failed.
pub(super) fn keep(plan: &DayPlan) -> Result<Kept> {
    let directory = tempfile::tempdir().context("make a directory for a store")?;
    let url = format!("sqlite:{}", directory.path().join("store.sqlite").display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime for a store")?;
    runtime.block_on(async {
        let clock = Clock::standing_at(plan.begins_at);
        let mut playing = Playing {
            plan,
            store: Store::open_with_clock(&url, clock.clone()).await?,
            clock,
            now: plan.begins_at,
            core: Core::new(Sizes::EXACT, plan),
            rang: BTreeMap::new(),
            due: BTreeMap::new(),
            looks: BTreeSet::new(),
            observed: BTreeMap::new(),
            kept: Kept::default(),
        };
        playing.play().await?;
        playing.store.close().await;
        Ok(playing.kept)
    })
}

impl Playing<'_> {
    async fn play(&mut self) -> Result<()> {
        let mut alerts: Vec<Alert> = Vec::new();
        let mut first: BTreeMap<Family, PlatformClocks> = BTreeMap::new();
        let mut reader = truth::Reader::of(self.plan);
        for step in Steps::new(self.plan) {
            match step {
                Step::Record(record) if is_violating(record.family) => {
                    self.core.take(&record, &mut alerts);
                    reader.read(&record, first.entry(record.family).or_default());
                }
                Step::Record(_) => {}
                Step::Minute(minute) => {
                    self.core.tick(minute, &mut alerts);
                    self.until(minute).await?;
                    for alert in std::mem::take(&mut alerts) {
                        self.ring(&alert).await?;
                    }
                    self.observe().await?;
                    self.escalate().await?;
                    self.compare_loads().await?;
                }
            }
        }
        // What was received behind the last minute.
        self.observe().await?;
        for (family, clocks) in &first {
            if let Some(rang) = self.rang.get_mut(family) {
                rang.told.seen(clocks);
            }
        }
        self.compare().await
    }

    fn set(&mut self, at: Timestamp) {
        if at > self.now {
            self.clock.advance(at - self.now);
            self.now = at;
        }
    }

    /// Does what is due by a minute, and looks for missed deadlines, in the order of time.
    async fn until(&mut self, minute: Timestamp) -> Result<()> {
        loop {
            let act = self.due.keys().next().copied().filter(|at| *at <= minute);
            let look = self.looks.first().copied().filter(|at| *at <= minute);
            match (act, look) {
                (None, None) => break,
                // What is done in the second in which a deadline ends is done before somebody looks.
                (Some(act), look) if look.is_none_or(|look| act <= look) => {
                    self.set(act);
                    for (family, act) in self.due.remove(&act).unwrap_or_default() {
                        self.act(family, act).await?;
                    }
                }
                (_, Some(look)) => {
                    self.looks.remove(&look);
                    self.set(look);
                    self.escalate().await?;
                }
                (Some(_), None) => {}
            }
        }
        self.set(minute);
        Ok(())
    }

    async fn ring(&mut self, alert: &Alert) -> Result<()> {
        let family = Core::family_of(alert);
        self.store
            .apply_alerts(std::slice::from_ref(alert), UNREVIEWED_BELOW)
            .await?;
        let Some(case) = self.store.case_of_family(TEAM, alert.family).await? else {
            return Ok(());
        };
        if let Some(rang) = self.rang.get_mut(&family) {
            rang.told.rang(alert);
            return Ok(());
        }
        let mut random = SmallRng::seed_from_u64(self.plan.seed ^ family.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let planned = planned(&mut random, (self.now, self.plan.ends_at()), self.plan.platforms.len());
        for (at, act) in &planned.acts {
            self.due.entry(*at).or_default().push((family, *act));
        }
        for deadline in planned.notices.iter().flat_map(NoticeTruth::deadlines) {
            self.looks.insert(ceil_second(deadline));
        }
        let mut told = Told::opened(self.now);
        told.rang(alert);
        let case = case.id;
        let rang = Rang {
            case,
            told,
            notices: BTreeMap::new(),
            planned,
        };
        self.rang.insert(family, rang);
        Ok(())
    }

    async fn act(&mut self, family: Family, act: Act) -> Result<()> {
        let Some(rang) = self.rang.get_mut(&family) else {
            return Ok(());
        };
        let by = |fencing| By {
            who: WHO,
            fencing,
            version: None,
        };
        let now = self.now;
        match act {
            Act::Claim => {
                let length = Milliseconds::from_minutes(30);
                let claim = Command::Claim { length };
                // It may have been closed unreviewed meanwhile.
                match self.store.command(TEAM, rang.case, by(0), &claim).await {
                    Ok(_) => rang.told.claimed(now),
                    Err(StoreError::Refused(Refusal::Closed)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Act::Decide if rang.told.is_claimed() => {
                let (case, _) = self.store.case(TEAM, rang.case).await?;
                let decide = Command::Decide {
                    id: DecisionId(family.0.into()),
                    ruling: Ruling::of(Verdict::Violating, "seen"),
                    undo_for: Milliseconds(0),
                };
                self.store.command(TEAM, rang.case, by(case.fencing), &decide).await?;
                rang.told.decided(now);
            }
            Act::Decide => {}
            Act::Notice(number, doing) => {
                let notice = &rang.planned.notices[number];
                match (doing, rang.notices.get(&number)) {
                    (Doing::File, _) => {
                        let filing = notice.filing(family, number);
                        let about = About::Case(rang.case);
                        let filed = Box::pin(self.store.file_notice((TEAM, WHO), &about, &filing)).await?;
                        rang.notices.insert(number, filed.notice.id);
                        rang.told.noticed(&filing);
                    }
                    (doing, Some(id)) => {
                        let command: NoticeCommand = doing.command();
                        Box::pin(self.store.command_notice((TEAM, WHO), *id, &command)).await?;
                    }
                    (_, None) => ensure!(false, "notice {number} was not filed before"),
                }
            }
        }
        Ok(())
    }

    /// What hot records say of clocks goes to the store, when it changed.
    async fn observe(&mut self) -> Result<()> {
        for family in self.rang.keys() {
            let Some(record) = self.core.hot_of(*family) else {
                continue;
            };
            let clocks = tocsin_dispatcher::platform_clocks(&[record]);
            if self.observed.get(family) == Some(&clocks) {
                continue;
            }
            let observed = Observed {
                clocks: clocks.iter().collect(),
                ..Observed::default()
            };
            let id: FamilyId = record.family();
            self.store.observe(TEAM, id, &observed).await?;
            self.observed.insert(*family, clocks);
        }
        Ok(())
    }

    async fn escalate(&self) -> Result<()> {
        Box::pin(self.store.escalate_overdue()).await?;
        Ok(())
    }

    /// What the notices of each case come to now.
    async fn compare_loads(&mut self) -> Result<()> {
        for rang in self.rang.values() {
            let (case, _): (Case, Timestamp) = self.store.case(TEAM, rang.case).await?;
            let truth = rang
                .planned
                .notices
                .iter()
                .filter_map(|notice| notice.load_at(self.now));
            let truth = truth.fold(NoticeLoad::default(), |load, (open, due_at)| NoticeLoad {
                open: load.open + u32::from(open),
                due_at: [load.due_at, due_at].into_iter().flatten().min(),
            });
            self.kept.notices += 1;
            self.kept.notice_mismatches += u64::from(case.notices != truth);
        }
        Ok(())
    }

    /// The clocks and notices that the store has in the end.
    async fn compare(&mut self) -> Result<()> {
        let ends_at = self.now;
        for rang in self.rang.values() {
            let (case, on_platforms, _) = self.store.case_clocks(TEAM, rang.case).await?;
            let (compared, mismatches) = rang.told.compare(&case, &on_platforms);
            self.kept.clocks += compared;
            self.kept.clock_mismatches += mismatches;
            for (number, id) in &rang.notices {
                let truth = &rang.planned.notices[*number];
                let (notice, _) = self.store.notice(TEAM, *id).await?;
                let (passed, escalated) = (truth.overdue_by(ends_at), notice.overdue_at);
                self.kept.notices += 1;
                self.kept.notice_mismatches += u64::from(!truth.is(&notice, ends_at));
                if let Some(passed) = passed.filter(|_| truth.is_order()) {
                    self.kept.orders_overdue += 1;
                    let is_late = escalated.is_none_or(|at| at > ceil_second(passed));
                    self.kept.orders_escalated_late += u64::from(is_late);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: on a small day of crises the store keeps what the truth says, and there is something to keep.
    #![allow(clippy::unwrap_used)]
    use tocsin_loadtest::day::Scale;

    use super::*;

    #[test]
    fn a_days_clocks_and_notices_are_those_of_the_truth() {
        let mut plan = DayPlan::casework(Scale(1e-4), 3, 0);
        (plan.cascades.per_day, plan.bursts.per_day) = (0.0, 0.0);
        for crisis in &mut plan.crises {
            crisis.copies = crisis.copies.min(2_000.0);
        }
        let kept = keep(&plan).unwrap();
        assert_eq!(
            (
                kept.clock_mismatches,
                kept.notice_mismatches,
                kept.orders_escalated_late
            ),
            (0, 0, 0),
            "{kept:?}"
        );
        assert!(
            kept.clocks > 50 && kept.notices > 1_000 && kept.orders_overdue > 0,
            "{kept:?}"
        );
    }
}
