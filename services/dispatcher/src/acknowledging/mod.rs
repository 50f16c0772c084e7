//! From decision to confirmed removal: what the state says of the members of decided families is told to the store, and whoever decided is reminded of
//! what is not confirmed. The store decides, under the lock of the case, so every dispatcher may do the same.

mod telemetry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{DecisionId, FamilyId};
use tocsin_runtime::Shutdown;
use tocsin_store::{FollowedDecision, HEARD_MAX, MemberTally, StoreError};

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

pub(crate) use telemetry::AcknowledgingMetrics;
use telemetry::RemovalUnconfirmed;

/// How often to look at what the state says, and at the clock.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often to ask which decisions are followed, and whom to remind.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
const COUNT_INTERVAL: Duration = Duration::from_secs(10);
/// About so many members, each on a platform, are told at each look: the rest at the next.
const TOLD_MAX: usize = 1_024;
/// The state is read again for families that were left out at most so often.
const READ_AGAIN_INTERVAL: Duration = Duration::from_secs(600);

/// What is followed, and what the store was told of it.
#[derive(Default)]
struct Following {
    decisions: Vec<FollowedDecision>,
    told: BTreeMap<DecisionId, Vec<MemberTally>>,
    /// Families of which a record moved and the store was not told.
    moved: BTreeSet<FamilyId>,
    is_missed: bool,
    read_again_at: Option<Instant>,
}

/// Follows and reminds until the process ends.
pub(crate) async fn run(
    dispatcher: Arc<Dispatcher>,
    metrics: AcknowledgingMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut following = Following::default();
    let (mut asked_at, mut counted_at) = (None::<Instant>, None::<Instant>);
    while !shutdown.is_requested() {
        let is_due = |at: Option<Instant>, interval| at.is_none_or(|at| at.elapsed() >= interval);
        let asks = is_due(asked_at, ASK_INTERVAL);
        let counts = is_due(counted_at, COUNT_INTERVAL);
        match step(&dispatcher, &metrics, &mut following, (asks, counts)).await {
            Ok(()) => {
                let now = Some(Instant::now());
                asked_at = if asks { now } else { asked_at };
                counted_at = if counts { now } else { counted_at };
            }
            Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
        }
        pause(LOOK_INTERVAL, &shutdown).await;
    }
    Ok(())
}

async fn step(
    dispatcher: &Dispatcher,
    metrics: &AcknowledgingMetrics,
    following: &mut Following,
    (asks, counts): (bool, bool),
) -> Result<(), StoreError> {
    if asks {
        following.ask(dispatcher, metrics).await?;
    }
    // What cannot be told of one decision holds up no reminder of another.
    let told = following.tell(dispatcher, metrics).await;
    if asks {
        let reminded = dispatcher.store.remind_unconfirmed().await?;
        if !reminded.is_empty() {
            reach(FailPoint::UnconfirmedTold);
        }
        for reminded in reminded {
            RemovalUnconfirmed { reminded: &reminded }.emit(metrics);
            dispatcher.told.notify_one();
        }
    }
    if counts {
        let unconfirmed = dispatcher.store.count_unconfirmed().await?;
        metrics.unconfirmed.set(i64::try_from(unconfirmed).unwrap_or(i64::MAX));
    }
    told
}

impl Following {
    /// Asks which decisions are followed.
    async fn ask(&mut self, dispatcher: &Dispatcher, metrics: &AcknowledgingMetrics) -> Result<(), StoreError> {
        let (decisions, left_out) = dispatcher.store.followed_decisions().await?;
        metrics.followed.set(decisions.len() as i64);
        metrics.left_out.set(i64::try_from(left_out).unwrap_or(i64::MAX));
        let former: BTreeSet<DecisionId> = self.decisions.iter().map(|followed| followed.decision).collect();
        for new in decisions.iter().filter(|followed| !former.contains(&followed.decision)) {
            self.moved.insert(new.family);
        }
        let current: BTreeSet<DecisionId> = decisions.iter().map(|followed| followed.decision).collect();
        self.told.retain(|decision, _| current.contains(decision));
        let families: BTreeSet<FamilyId> = decisions.iter().map(|followed| followed.family).collect();
        self.moved.retain(|family| families.contains(family));
        self.decisions = decisions;
        self.is_missed |= dispatcher.ranking.follow(families);
        let is_due = self.read_again_at.is_none_or(|at| at.elapsed() >= READ_AGAIN_INTERVAL);
        if self.is_missed && is_due {
            (self.is_missed, self.read_again_at) = (false, Some(Instant::now()));
            dispatcher.ranking.read_again();
        }
        Ok(())
    }

    /// Tells the store what is new of the members of followed families.
    async fn tell(&mut self, dispatcher: &Dispatcher, metrics: &AcknowledgingMetrics) -> Result<(), StoreError> {
        // What is read in part would be taken for counts that fell.
        if !dispatcher.ranking.is_read() {
            return Ok(());
        }
        self.moved.append(&mut dispatcher.ranking.figures().take_moved());
        if self.moved.is_empty() {
            return Ok(());
        }
        let (mut left, mut failure, mut room) = (BTreeSet::new(), None, TOLD_MAX);
        for followed in &self.decisions {
            if !self.moved.contains(&followed.family) {
                continue;
            }
            if room == 0 {
                left.insert(followed.family);
                continue;
            }
            let tallies = {
                let figures = dispatcher.ranking.figures();
                // Since the look above it may be read anew.
                if !dispatcher.ranking.is_read() {
                    left.insert(followed.family);
                    continue;
                }
                figures.tallies(followed)
            };
            let told = self.told.entry(followed.decision).or_default();
            let news = news(told, &tallies);
            room = room.saturating_sub(news.len());
            // One that cannot be told does not hold up those behind it.
            match tell(dispatcher, metrics, followed.decision, &news).await {
                Ok(()) => *told = tallies,
                Err(error) => {
                    left.insert(followed.family);
                    failure = Some(error);
                }
            }
        }
        self.moved = left;
        failure.map_or(Ok(()), Err)
    }
}

/// What is new among these.
fn news(told: &[MemberTally], tallies: &[MemberTally]) -> Vec<MemberTally> {
    let key = |of: &MemberTally| (of.content, of.platform);
    let known: BTreeMap<_, &MemberTally> = told.iter().map(|of| (key(of), of)).collect();
    let new = tallies.iter().filter(|of| known.get(&key(of)) != Some(of));
    new.cloned().collect()
}

async fn tell(
    dispatcher: &Dispatcher,
    metrics: &AcknowledgingMetrics,
    decision: DecisionId,
    news: &[MemberTally],
) -> Result<(), StoreError> {
    for heard in news.chunks(HEARD_MAX) {
        let Some((acknowledged, now)) = dispatcher.store.acknowledge(decision, heard).await? else {
            return Ok(());
        };
        reach(FailPoint::MembersHeard);
        metrics.heard(&acknowledged);
        if acknowledged.recommended > 0 {
            dispatcher.told.notify_one();
        }
        if let Some(case) = &acknowledged.reopened {
            dispatcher.ranking.changed(case, now);
        }
    }
    Ok(())
}
