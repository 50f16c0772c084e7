use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tocsin_casework::{CaseState, Filter, Team};
use tocsin_log::TopicPartition;
use tocsin_model::{DecisionId, Milliseconds};
use tocsin_store::{QueueQuery, Store};
use tocsin_wire::{decision, topics};

use super::moderators::{Lease, Worked};
use crate::measure::role::connect;

/// What stands in the store, and on the log, in the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Cases with a decision.
    pub(super) decided: u64,
    /// Decisions that stand.
    pub(super) decisions: u64,
    pub(super) lost_decisions: u64,
    pub(super) unpublished: u64,
}

/// How long decisions may take to come to the log: two dispatchers may wait for each other's leases of the outbox.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(120);

/// Leases of a case that held at the same time, or bear the same number. Each ends when its holder asked for it, or its length after it was asked
/// for at the earliest; the next was given before it was answered at the latest.
pub(super) fn double_leases(leases: &BTreeMap<String, Vec<Lease>>) -> u64 {
    let mut doubles = 0;
    for leases in leases.values() {
        let mut leases = leases.clone();
        leases.sort_by_key(|lease| lease.fencing);
        doubles += leases
            .windows(2)
            .filter(|pair| {
                let (first, second) = (pair[0], pair[1]);
                let ends = first
                    .ended
                    .map_or(first.holds_until, |ended| ended.min(first.holds_until));
                second.fencing == first.fencing || second.answered < ends
            })
            .count() as u64;
    }
    doubles
}

/// Holds the store and the log to what moderators were told.
pub(super) async fn judge(bootstrap: &str, url: &str, worked: &Worked) -> anyhow::Result<Found> {
    let store = Store::open(url).await?;
    let mut found = Found::default();
    let mut standing: BTreeSet<DecisionId> = BTreeSet::new();
    let mut rationales: BTreeMap<String, String> = BTreeMap::new();
    let mut after = None;
    loop {
        let query = QueueQuery {
            team: Team::Coordinators,
            state: CaseState::Decided,
            filter: Filter::default(),
            urgent_within: Milliseconds(0),
            limit: QueueQuery::LIMIT_MAX,
            after,
        };
        let page = store.queue(&query).await?;
        for case in page.cases {
            let decision = case.decision.context("a decided case has a decision")?;
            found.decided += 1;
            standing.insert(decision.id);
            rationales.insert(case.id.to_string(), decision.ruling.rationale);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    store.close().await;
    found.decisions = standing.len() as u64;
    // A case is decided about once: it leaves the queue. So of two that were acknowledged one is lost.
    for (case, acknowledged) in &worked.decided {
        let stands = rationales.get(case);
        found.lost_decisions += acknowledged.iter().filter(|why| stands != Some(*why)).count() as u64;
    }
    let missing = tokio::task::block_in_place(|| published(bootstrap, standing))?;
    found.unpublished = missing.len() as u64;
    Ok(found)
}

/// Those that did not come to the log.
fn published(bootstrap: &str, mut awaited: BTreeSet<DecisionId>) -> anyhow::Result<BTreeSet<DecisionId>> {
    let log = connect(bootstrap)?;
    let place = TopicPartition::new(topics::DECISIONS, 0);
    let (begin, _) = log.bounds(&place)?;
    let mut reader = log.tail_reader(&[(place, begin)])?;
    let began = Instant::now();
    while !awaited.is_empty() && began.elapsed() < PUBLISHED_WITHIN {
        reader.poll(Duration::from_millis(100), 10_000, &mut |record| {
            let told = record.value.and_then(|value| decision::decode(value).ok());
            if let Some(told) = told {
                awaited.remove(&told.id);
            }
        })?;
    }
    Ok(awaited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_double_when_the_second_was_given_before_the_first_could_end() {
        let now = Instant::now();
        let seconds = |count: u64| now + Duration::from_secs(count);
        let lease = |fencing, answered, holds_until, ended: Option<u64>| Lease {
            fencing,
            answered: seconds(answered),
            holds_until: seconds(holds_until),
            ended: ended.map(seconds),
        };
        let check = |first, second, expected| {
            let leases = BTreeMap::from([("case".to_owned(), vec![second, first])]);
            assert_eq!(double_leases(&leases), expected, "{leases:?}");
        };
        check(lease(1, 0, 5, None), lease(2, 6, 11, None), 0);
        check(lease(1, 0, 5, None), lease(2, 4, 9, None), 1);
        check(lease(1, 0, 5, Some(3)), lease(2, 4, 9, None), 0);
        check(lease(1, 0, 5, Some(3)), lease(2, 2, 9, None), 1);
        check(lease(1, 0, 5, Some(3)), lease(1, 9, 14, None), 1);
    }
}
