//! Decisions on their way to the members of families: to those that a family has when the decision is out, and to each that comes later.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::FamilyMember;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{ContentId, FamilyId};
use tocsin_store::{DueFan, FAMILIES_MAX, FAN_OUT_MAX, FannedOut, StoreError};

use super::telemetry::CarryingMetrics;
use crate::Dispatcher;

/// How many decisions are told to all members at once.
const DECISIONS_MAX: u32 = 16;

/// Tells contents of which a group said something of the decisions about the families they belong to; those that are to be told a little later.
pub(super) async fn tell_news(
    dispatcher: &Dispatcher,
    due: &[FamilyId],
    metrics: &CarryingMetrics,
) -> Result<Vec<FamilyId>, StoreError> {
    let mut contents: BTreeMap<FamilyId, Vec<ContentId>> = BTreeMap::new();
    {
        let memberships = dispatcher.carrying.lock();
        for content in due.iter().map(|due| due.0) {
            for family in memberships.families_of(content) {
                contents.entry(family).or_default().push(content);
            }
        }
    }
    let families: Vec<FamilyId> = contents.keys().copied().collect();
    let mut left = BTreeSet::new();
    for families in families.chunks(FAMILIES_MAX) {
        for (team, family) in dispatcher.store.decided_families(families).await? {
            let members: Vec<FamilyMember> = {
                let memberships = dispatcher.carrying.lock();
                let contents = contents.get(&family).into_iter().flatten();
                contents
                    .filter_map(|content| memberships.member((team, family), *content))
                    .collect()
            };
            for members in members.chunks(FAN_OUT_MAX) {
                match dispatcher.store.fan_out((team, family), members).await? {
                    FannedOut::Told(count) => told(dispatcher, count, metrics),
                    FannedOut::Later => left.extend(members.iter().map(|member| FamilyId(member.content))),
                }
            }
        }
    }
    Ok(left.into_iter().collect())
}

/// Tells all members that are known of decisions that are out now. Whoever is told of later is told as news.
pub(super) async fn tell_decisions(dispatcher: &Dispatcher, metrics: &CarryingMetrics) -> Result<(), StoreError> {
    loop {
        let due = dispatcher.store.due_fans(DECISIONS_MAX).await?;
        let mut done = 0;
        for due in &due {
            if tell_decision(dispatcher, due, metrics).await? {
                dispatcher.store.fan_done(due.decision).await?;
                done += 1;
            }
        }
        // What somebody is at would come first again.
        if due.len() < DECISIONS_MAX as usize || done < due.len() {
            return Ok(());
        }
    }
}

/// Whether all are told.
async fn tell_decision(dispatcher: &Dispatcher, due: &DueFan, metrics: &CarryingMetrics) -> Result<bool, StoreError> {
    let mut members = dispatcher.carrying.lock().members_of(due.team, due.family);
    members.extend(dispatcher.store.founder(due.team, due.family).await?);
    let mut is_done = true;
    for members in members.chunks(FAN_OUT_MAX) {
        match dispatcher.store.fan_out((due.team, due.family), members).await? {
            FannedOut::Told(count) => told(dispatcher, count, metrics),
            FannedOut::Later => is_done = false,
        }
    }
    Ok(is_done)
}

fn told(dispatcher: &Dispatcher, count: usize, metrics: &CarryingMetrics) {
    if count > 0 {
        reach(FailPoint::MembersTold);
        metrics.members_told.inc_by(count as u64);
        dispatcher.told.notify_one();
    }
}
