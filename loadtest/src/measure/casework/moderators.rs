use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Addresses, Contest};
use crate::measure::latency::LATENCY_MAX_US;

/// How long a case is held; who lost an answer waits no longer for the case to come back.
const LEASE_S: u64 = 5;
/// How long an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// With nothing to claim, or nobody who answers.
const PAUSE: Duration = Duration::from_millis(50);
/// How often who finds nothing asks again before it believes that all is decided: longer than any lease.
const EMPTY_MAX: u32 = 200;
/// How often a decision is sent before the run gives up.
const DECISION_TRIES_MAX: u32 = 200;

/// A lease, as the one who got it knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) fencing: u64,
    pub(super) answered: Instant,
    /// It cannot have ended before, unless it was given back: from when the claim, or the last renewal that was answered, was sent.
    pub(super) holds_until: Instant,
    /// When the holder asked to end it.
    pub(super) ended: Option<Instant>,
}

/// What all of them did.
#[derive(Debug)]
pub(super) struct Worked {
    pub(super) claims: u64,
    pub(super) unanswered: u64,
    /// By case.
    pub(super) leases: BTreeMap<String, Vec<Lease>>,
    /// The rationale of every decision that was acknowledged, by case.
    pub(super) decided: BTreeMap<String, Vec<String>>,
    pub(super) claim: Histogram<u64>,
}

/// People at work. Clones are the same people.
#[derive(Clone)]
pub(super) struct Moderators {
    addresses: Addresses,
    key: String,
    contest: Contest,
    http: reqwest::Client,
    claims: Arc<AtomicU64>,
    worked: Arc<Mutex<Worked>>,
}

impl Moderators {
    pub(super) fn new(addresses: Addresses, key: String, contest: Contest) -> anyhow::Result<Moderators> {
        let http = reqwest::Client::builder().timeout(ANSWERED_WITHIN).build();
        Ok(Moderators {
            addresses,
            key,
            contest,
            http: http.context("an HTTP client")?,
            claims: Arc::default(),
            worked: Arc::new(Mutex::new(Worked {
                claims: 0,
                unanswered: 0,
                leases: BTreeMap::new(),
                decided: BTreeMap::new(),
                claim: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("a histogram of three digits")?,
            })),
        })
    }

    /// Claims so far.
    pub(super) fn claims(&self) -> u64 {
        self.claims.load(Ordering::Relaxed)
    }

    /// Works until nothing is left.
    pub(super) async fn work(self) -> anyhow::Result<()> {
        let mut people = tokio::task::JoinSet::new();
        for number in 0..self.contest.moderators {
            people.spawn(self.clone().moderate(number as u64));
        }
        while let Some(person) = people.join_next().await {
            person.context("nobody panics")??;
        }
        Ok(())
    }

    /// What they did, once all have gone.
    pub(super) fn into_worked(self) -> anyhow::Result<Worked> {
        let worked = Arc::into_inner(self.worked).context("everybody has gone")?;
        Ok(worked.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    async fn moderate(self, number: u64) -> anyhow::Result<()> {
        let mut random = SmallRng::seed_from_u64(self.contest.seed ^ number << 32);
        let mut empty = 0;
        let mut decisions = 0_u64;
        while empty < EMPTY_MAX {
            let sent = Instant::now();
            let claimed = self
                .post(&mut random, "/v1/queue/claim", &json!({ "lease_s": LEASE_S }))
                .await;
            let Ok((status, answer)) = claimed else {
                self.note(|worked| worked.unanswered += 1);
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if status != StatusCode::OK {
                bail!("a claim was answered by {status}: {answer}");
            }
            let case = &answer["case"];
            let Some(id) = case["id"].as_str() else {
                empty += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            empty = 0;
            let fencing = case["fencing"].as_u64().context("a lease has a number")?;
            let answered = Instant::now();
            let mut lease = Lease {
                fencing,
                answered,
                holds_until: sent + Duration::from_secs(LEASE_S),
                ended: None,
            };
            let claims = self.claims.fetch_add(1, Ordering::Relaxed);
            self.note(|worked| {
                worked.claims += 1;
                worked
                    .claim
                    .saturating_record(((answered - sent).as_micros() as u64).max(1));
            });
            let (id, action) = (id.to_owned(), random.random_range(0..100));
            // Once there were claims enough, everything is decided.
            let is_last = claims >= self.contest.claims;
            match action {
                0..5 if !is_last => {}
                5..30 if !is_last => {
                    lease.ended = Some(Instant::now());
                    let path = format!("/v1/cases/{id}/release");
                    // Whether it was or not: the lease ends by itself.
                    let _ = self.post(&mut random, &path, &json!({ "fencing": fencing })).await;
                }
                _ => {
                    if action < 40 {
                        self.renew(&mut random, &id, &mut lease).await;
                    }
                    decisions += 1;
                    lease.ended = Some(Instant::now());
                    let rationale = format!("moderator {number}, decision {decisions}");
                    if self.decide(&mut random, (&id, fencing), &rationale).await? {
                        self.note(|worked| worked.decided.entry(id.clone()).or_default().push(rationale));
                    }
                }
            }
            self.note(|worked| worked.leases.entry(id).or_default().push(lease));
        }
        Ok(())
    }

    async fn renew(&self, random: &mut SmallRng, id: &str, lease: &mut Lease) {
        let sent = Instant::now();
        let body = json!({ "fencing": lease.fencing, "lease_s": LEASE_S });
        let renewed = self.post(random, &format!("/v1/cases/{id}/renew"), &body).await;
        if renewed.is_ok_and(|(status, _)| status == StatusCode::OK) {
            lease.holds_until = sent + Duration::from_secs(LEASE_S);
        }
    }

    /// Sends a decision until somebody answers; whether it was taken.
    async fn decide(&self, random: &mut SmallRng, (id, fencing): (&str, u64), why: &str) -> anyhow::Result<bool> {
        let verdict = ["violating", "benign", "newsworthy"][random.random_range(0..3)];
        let body = json!({ "fencing": fencing, "verdict": verdict, "rationale": why });
        for _ in 0..DECISION_TRIES_MAX {
            match self.post(random, &format!("/v1/cases/{id}/decision"), &body).await {
                Ok((StatusCode::OK, _)) => return Ok(true),
                Ok((StatusCode::CONFLICT, _)) => return Ok(false),
                Ok((status, answer)) => bail!("a decision was answered by {status}: {answer}"),
                Err(_) => {
                    self.note(|worked| worked.unanswered += 1);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        bail!("nobody answers a decision")
    }

    /// Asks any of the dispatchers.
    async fn post(&self, random: &mut SmallRng, path: &str, body: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let address = {
            let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
            addresses[random.random_range(0..addresses.len())].clone()
        };
        super::post(&self.http, &self.key, &format!("{address}{path}"), body).await
    }

    fn note(&self, note: impl FnOnce(&mut Worked)) {
        note(&mut self.worked.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
