//! Claims at a steady rate, however long each takes, on a long queue whose figures move every second: how soon a claim is answered, and whether by
//! one of the best cases.

mod moving;
mod order;
mod queue;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use self::moving::Moving;
use self::order::{Claimed, Figures, judge};
use self::queue::Queue;
use super::casework::post;
use super::latency::LATENCY_MAX_US;
use super::process::Played;
use super::role::connect;

pub(super) use self::order::Agreement;

/// What is asked of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Open cases.
    pub cases: usize,
    /// Families of them whose figures move each second.
    pub moving: usize,
    /// Claims a second, whether or not the ones before are answered.
    pub rate: f64,
    /// How long.
    pub lasts: Duration,
    /// Dispatchers on one database.
    pub dispatchers: usize,
    /// Decides which figures move and who claims what.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) flow: Flow,
    pub(super) agreement: Agreement,
    /// Claims that no case answered in the end: refused, lost, or told that none waits.
    pub(super) unanswered: u64,
    /// How often a dispatcher was too busy to answer one, which was made again.
    pub(super) refused: u64,
    /// From when a claim was due until its answer, in microseconds.
    pub(super) answered: Histogram<u64>,
}

/// A claimed case is held for so long at the least, and up to two seconds more; then its holder gives it back.
const HELD_MIN: Duration = Duration::from_secs(1);
const HELD_MORE_MS: u64 = 2_000;
/// A claim that a dispatcher is too busy for is made again after so long, as a tool would.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// How long a dispatcher may take until it has read the queue and the figures.
const RANKED_WITHIN: Duration = Duration::from_secs(600);
const FIGURES_EVERY: Duration = Duration::from_secs(1);

/// Opens the cases, lets figures move and people claim.
pub(super) fn measure(bootstrap: &str, store: &str, flow: Flow) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime for moderators")?;
    let log = connect(bootstrap)?;
    let mut moving = Moving::new(log.as_ref(), flow.moving, flow.seed)?;
    let first = moving.publish()?;
    let queue = runtime.block_on(Queue::open(store, flow, moving.families(), &first.live))?;
    let queue = Arc::new(queue);
    let mut addresses = Vec::new();
    let mut dispatchers = Vec::new();
    for number in 0..flow.dispatchers {
        let arguments = [
            "--bootstrap",
            bootstrap,
            "--store",
            store,
            "--instance",
            &number.to_string(),
        ];
        let mut dispatcher = Played::start("dispatcher", &arguments.map(str::to_owned))?;
        addresses.push(dispatcher.wait_for("ready")?);
        dispatchers.push(dispatcher);
    }
    let http = reqwest::Client::builder().timeout(ANSWERED_WITHIN).build()?;
    let desk = Desk {
        queue: queue.clone(),
        addresses: addresses.into(),
        http,
        worked: Arc::new(Mutex::new(Worked {
            claimed: Vec::new(),
            unanswered: 0,
            refused: 0,
            answered: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("a histogram of three digits")?,
        })),
    };
    let ended = Arc::new(AtomicBool::new(false));
    let publisher = {
        let ended = ended.clone();
        std::thread::spawn(move || -> anyhow::Result<Vec<Figures>> {
            let mut told = vec![first];
            while !ended.load(Ordering::Relaxed) {
                let due = Instant::now() + FIGURES_EVERY;
                told.push(moving.publish()?);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            Ok(told)
        })
    };
    let worked = runtime.block_on(async {
        desk.wait_until_ranked().await?;
        desk.clone().work(flow).await
    });
    ended.store(true, Ordering::Relaxed);
    let figures = publisher
        .join()
        .map_err(|_| anyhow::anyhow!("the publisher of figures panicked"))??;
    worked?;
    for dispatcher in dispatchers {
        dispatcher.stop()?;
    }
    let worked = Arc::into_inner(desk.worked).context("everybody has gone")?;
    let worked = worked.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome {
        flow,
        agreement: judge(queue.cases(), &figures, &worked.claimed),
        unanswered: worked.unanswered,
        refused: worked.refused,
        answered: worked.answered,
    })
}

/// What they did.
#[derive(Debug)]
struct Worked {
    claimed: Vec<Claimed>,
    unanswered: u64,
    refused: u64,
    answered: Histogram<u64>,
}

/// A request that was not answered as it was meant, and whether it may be made again.
struct NoAnswer {
    is_busy: bool,
    why: String,
}

/// People at work. Clones are the same people.
#[derive(Clone)]
struct Desk {
    queue: Arc<Queue>,
    addresses: Arc<[String]>,
    http: reqwest::Client,
    worked: Arc<Mutex<Worked>>,
}

impl Desk {
    /// Until every dispatcher ranks a case by figures: it has read all open cases then.
    async fn wait_until_ranked(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let case = self.queue.moving_case();
        for address in self.addresses.iter() {
            loop {
                let url = format!("{address}/v1/cases/{case}");
                let asked = self.http.get(url).bearer_auth(self.queue.key(0)).send().await?;
                let found: Value = asked.error_for_status()?.json().await?;
                let live = found["live_priority"].as_f64();
                if live.is_some_and(|live| Some(live) != found["priority"].as_f64()) {
                    break;
                }
                ensure!(began.elapsed() < RANKED_WITHIN, "a dispatcher does not rank: {found}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        // Records that stood in the topic before are read by then, and those of the seconds after it.
        tokio::time::sleep(3 * FIGURES_EVERY).await;
        Ok(())
    }

    async fn work(self, flow: Flow) -> anyhow::Result<()> {
        let mut random = SmallRng::seed_from_u64(flow.seed);
        let mut people = JoinSet::new();
        let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / flow.rate));
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0..(flow.rate * flow.lasts.as_secs_f64()) as usize {
            let at = due.tick().await.into_std();
            let person = SmallRng::seed_from_u64(random.random());
            people.spawn(self.clone().claim(number, at, person));
        }
        while let Some(person) = people.join_next().await {
            person.context("nobody panics")?;
        }
        Ok(())
    }

    /// Claims once, holds the case for a while and gives it back.
    async fn claim(self, number: usize, due: Instant, mut random: SmallRng) {
        let address = &self.addresses[random.random_range(0..self.addresses.len())];
        let key = self.queue.key(number);
        let (platform, body) = self.queue.wanted(&mut random);
        let url = format!("{address}/v1/queue/claim");
        let mut asked = due;
        let answer = loop {
            match self.post(&url, key, &body).await {
                Err(NoAnswer { is_busy: true, .. }) if due.elapsed() < ANSWERED_WITHIN => {
                    self.note(|worked| worked.refused += 1);
                    // It counts from when the claim was due all the same.
                    tokio::time::sleep(ASKED_AGAIN_AFTER).await;
                    asked = Instant::now();
                }
                answer => break answer,
            }
        };
        let answered = Instant::now();
        let claimed = answer
            .map_err(|no| no.why)
            .and_then(|answer| self.claimed(&answer).ok_or_else(|| answer.to_string()));
        let microseconds = answered.saturating_duration_since(due).as_micros() as u64;
        self.note(|worked| worked.answered.saturating_record(microseconds.max(1)));
        let (case, id, fencing) = match claimed {
            Ok(claimed) => claimed,
            Err(why) => {
                eprintln!("a claim got no case: {why}");
                return self.note(|worked| worked.unanswered += 1);
            }
        };
        let held = HELD_MIN + Duration::from_millis(random.random_range(0..HELD_MORE_MS));
        tokio::time::sleep(held).await;
        let released = format!("{address}/v1/cases/{id}/release");
        let given_back = self.post(&released, key, &json!({ "fencing": fencing })).await;
        let waits_again = given_back.ok().map(|_| Instant::now());
        self.note(|worked| {
            worked.claimed.push(Claimed {
                case,
                platform,
                asked,
                answered,
                waits_again,
            });
        });
    }

    /// Place, id and fencing number of the case that a claim got.
    fn claimed(&self, answer: &Value) -> Option<(usize, String, u64)> {
        let case = &answer["case"];
        let place = self.queue.place(case["family"].as_str()?)?;
        Some((place, case["id"].as_str()?.to_owned(), case["fencing"].as_u64()?))
    }

    async fn post(&self, url: &str, key: &str, body: &Value) -> Result<Value, NoAnswer> {
        match post(&self.http, key, url, body).await {
            Ok((StatusCode::OK, answer)) => Ok(answer),
            Ok((status, problem)) => Err(NoAnswer {
                is_busy: [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status),
                why: format!("{status}: {}", problem["code"]),
            }),
            Err(error) => Err(NoAnswer {
                is_busy: false,
                why: error.to_string(),
            }),
        }
    }

    fn note(&self, note: impl FnOnce(&mut Worked)) {
        note(&mut self.worked.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
