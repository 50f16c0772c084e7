//! What a round has come to in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tocsin::serve::{Role, open_log};
use tocsin_log::{SharedLog, TopicPartition};
use tocsin_model::ContentHash;
use tocsin_tests::api::Api;
use tocsin_tests::site::Site;
use tocsin_wire::topics;

use super::{Outcome, World, parties, role_of};
use crate::check::{self, Exact, Sightings, Tokens, Verdict};
use crate::load::{PARTITIONS, Sent};
use crate::process::Process;
use crate::wait::{LONG, until_within};
use crate::watch::Seen;

/// What a detector says at its end where it is not known whether a unit was applied, or others own its partitions.
pub(super) const GAVE_UP: &str = "a unit could not be committed";

/// So many processes may end by themselves in a round that gives none a reason to, but for detectors that their group put out since the machine gave them no time. One that does so again and again is started again each time, loses nothing
/// and heals, so no invariant tells.
const ENDED_WITHOUT_REASON_MAX: f64 = 0.0;

impl World<'_> {
    /// Ends the load, lets the path come to its end, and holds what it came to to the invariants. Until all is applied, members that end by themselves
    /// are started again, as before. `may_fence`: whether a detector may have been put out of its group, and be about to end by itself; where none may,
    /// [`ENDED_WITHOUT_REASON_MAX`] holds.
    ///
    /// # Errors
    /// It cannot be looked at. What is wrong with it is no error.
    pub async fn conclude(mut self, may_fence: bool) -> Result<Outcome> {
        let load_ended = Instant::now();
        let markers = self.load.markers();
        let config = self.site.config()?;
        let log = tokio::task::block_in_place(|| open_log(&config)).context("reach the log")?;
        let sent = self.load.stop().await?;
        let tokens = Tokens::new(&config, parties(&self.site).await?)?;
        let mut wrong = std::mem::take(&mut self.violations);
        let mut sightings = Sightings::default();
        if let Err(error) = self.arrive(&log, &sent, &tokens, &mut sightings).await {
            wrong.push(format!("I1: {error:#}"));
        }
        // Nothing is appended to the sightings any more once these have stopped; what they had begun is at its end then.
        for name in names(&self.members, &[Role::Intake, Role::Dispatcher]) {
            wrong.extend(self.stop(&name, may_fence).await);
        }
        if let Err(error) = self.applied(&log).await {
            wrong.push(format!("I1: {error:#}"));
        }
        tokio::task::block_in_place(|| sightings.read_on(log.as_ref()))?;
        let exact = Exact::new(&sent, &tokens, &sightings);
        let known: std::collections::BTreeSet<u64> = sent.iter().map(|sent| tokens.of(sent)).collect();
        let invented = sightings.tokens.iter().filter(|token| !known.contains(token)).count();
        if invented > 0 {
            wrong.push(format!("I1: {invented} events are counted that nobody sent"));
        }
        if let Some(query) = self.members.get_mut("query-1") {
            let api = query.ready().await?;
            wrong.extend(answers(&api, &self.site, &exact).await);
        }
        for name in names(&self.members, &[Role::Detector, Role::Query]) {
            wrong.extend(self.stop(&name, may_fence).await);
        }
        let seen = self.watch.stop();
        let verdict =
            tokio::task::block_in_place(|| check::check(log.as_ref(), &config, &sightings, &exact, Some(&seen)))?;
        tokio::task::block_in_place(|| drop(log));
        wrong.extend(verdict.violations.iter().cloned());
        let put_out = self.figures.get("put_out").copied().unwrap_or(0.0);
        let ended = self.figures.entry("ended_by_themselves").or_insert(0.0);
        wrong.extend(ended_without_reason(*ended - put_out, may_fence));
        let mut figures = figures(&seen, &markers, load_ended, &verdict);
        figures.extend(self.figures);
        figures.insert("violations", wrong.len() as f64);
        Ok(Outcome {
            violations: wrong,
            figures,
        })
    }

    /// Asks a member to stop, and tells what is wrong with its end. One that was about to end by itself, as it should where the fate of a unit is not
    /// known, ends with that failure and is counted, where that may be.
    async fn stop(&mut self, name: &str, may_fence: bool) -> Option<String> {
        let mut process = self.members.remove(name)?;
        if self.restarted.contains_key(name) && matches!(process.ended(), Ok(None)) {
            // What has just been started again is not asked to stop before it can be; whether it came to work shows below.
            let _ = process.ready().await;
        }
        let said = match process.ended() {
            Ok(Some(status)) => format!("end: {name} ended by itself, {status}: {}", process.last_words()),
            _ => format!("end: {:#}", process.terminate().await.err()?),
        };
        if !may_fence || !said.contains(GAVE_UP) {
            return Some(said);
        }
        *self.figures.entry("ended_by_themselves").or_insert(0.0) += 1.0;
        None
    }

    /// Waits until all acknowledged events are in the sightings.
    async fn arrive(
        &mut self,
        log: &SharedLog,
        sent: &[Sent],
        tokens: &Tokens,
        sightings: &mut Sightings,
    ) -> Result<()> {
        let acknowledged: Vec<u64> = sent
            .iter()
            .filter(|sent| sent.is_acknowledged)
            .map(|sent| tokens.of(sent))
            .collect();
        let mut missing = 0;
        let arrived = until_within(LONG, "every acknowledged event is in the sightings", async || {
            self.supervise()?;
            // A broker that is away for a moment is asked again.
            let _ = tokio::task::block_in_place(|| sightings.read_on(log.as_ref()));
            missing = acknowledged
                .iter()
                .filter(|token| !sightings.tokens.contains(token))
                .count();
            Ok((missing == 0).then_some(()))
        })
        .await;
        arrived.with_context(|| format!("{missing} of {} acknowledged events are missing", acknowledged.len()))
    }

    /// Waits until the units of all partitions end where the sightings end, and those end there still.
    async fn applied(&mut self, log: &SharedLog) -> Result<()> {
        let mut told = String::new();
        let applied = until_within(LONG, "all sightings are applied", async || {
            self.supervise()?;
            let headers = self.watch.newest_headers();
            let mut all = true;
            told.clear();
            for number in 0..u32::from(PARTITIONS) {
                let place = TopicPartition::new(topics::SIGHTINGS, number);
                let Ok((_, end)) = tokio::task::block_in_place(|| log.bounds(&place)) else {
                    return Ok(None);
                };
                let header = headers.get(&number).copied().unwrap_or(0);
                told += &format!(" {number}: {header} of {end}");
                all &= header == end;
            }
            Ok(all.then_some(()))
        })
        .await;
        applied.with_context(|| format!("the newest units end at{told}"))
    }
}

/// What is wrong with how many processes ended by themselves in a round.
fn ended_without_reason(ended: f64, may_fence: bool) -> Option<String> {
    let is_bounded = !may_fence && ended > ENDED_WITHOUT_REASON_MAX;
    is_bounded
        .then(|| format!("end: nothing puts a member out of its group, and members ended by themselves {ended} times"))
}

fn names(members: &BTreeMap<String, Process>, roles: &[Role]) -> Vec<String> {
    members
        .keys()
        .filter(|name| roles.contains(&role_of(name)))
        .cloned()
        .collect()
}

/// What a query node says that differs from the exact counts.
async fn answers(api: &Api, site: &Site, exact: &Exact) -> Vec<String> {
    let mut wrong = Vec::new();
    for (hash, count) in exact.by_hash() {
        let mut said = String::new();
        let answer = until_within(Duration::from_secs(20), "the query node counts it", async || {
            let answer = api
                .look_up(&site.keys.coordinators, &String::from_utf8_lossy(hash.value()))
                .await;
            said = format!("{answer:?}");
            let Ok(Some(answer)) = answer else { return Ok(None) };
            Ok((answer["windows"][2]["exact"].as_u64() == Some(count)).then_some(()))
        });
        if answer.await.is_err() {
            said.truncate(600);
            wrong.push(format!(
                "I1: the query node does not count {count} copies of {hash:?}: {said}"
            ));
        }
        if wrong.len() >= 3 {
            break;
        }
    }
    wrong
}

fn figures(
    seen: &Seen,
    markers: &BTreeMap<ContentHash, Instant>,
    load_ended: Instant,
    verdict: &Verdict,
) -> BTreeMap<&'static str, f64> {
    let mut first_shown = BTreeMap::new();
    for alert in &seen.alerts {
        if let Some(hash) = alert.hash.as_ref().filter(|hash| markers.contains_key(*hash)) {
            first_shown.entry(hash.clone()).or_insert(alert.at);
        }
    }
    // The first markers waited for the deployment to start.
    let begun = seen.alerts.first().map(|alert| alert.at);
    let counted = |due_at: &&Instant| begun.is_some_and(|begun| **due_at >= begun);
    let mut delays = Vec::new();
    let mut silent = 0;
    for (hash, due_at) in markers.iter().filter(|(_, due_at)| counted(due_at)) {
        match first_shown.get(hash) {
            Some(at) => delays.push(at.saturating_duration_since(*due_at)),
            None => silent += 1,
        }
    }
    let shown: Vec<Instant> = seen
        .alerts
        .iter()
        .map(|alert| alert.at)
        .filter(|at| *at <= load_ended)
        .collect();
    let gaps = shown.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0]));
    let gap = gaps
        .chain(shown.last().map(|last| load_ended - *last))
        .max()
        .unwrap_or_default();
    BTreeMap::from([
        (
            "recovery_seconds",
            delays.iter().max().copied().unwrap_or_default().as_secs_f64(),
        ),
        ("alert_gap_seconds", gap.as_secs_f64()),
        ("markers_silent", f64::from(silent)),
        ("zombie_writes_accepted", verdict.zombie_writes as f64),
        ("events", verdict.events as f64),
        ("alerts", verdict.alerts as f64),
        ("answers", seen.answers as f64),
    ])
}

#[cfg(test)]
mod tests {
    //! Goal: who ends by itself in a round that gives it no reason is told, even if the round heals.
    use super::ended_without_reason;

    #[test]
    fn ends_without_a_reason_are_violations() {
        for (ended, may_fence, is_wrong) in [
            (0.0, false, false),
            (1.0, false, true),
            (0.0, true, false),
            (3.0, true, false),
        ] {
            assert_eq!(
                ended_without_reason(ended, may_fence).is_some(),
                is_wrong,
                "{ended} {may_fence}"
            );
        }
    }
}
