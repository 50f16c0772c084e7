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
    /// Claims that no case answered: refused, lost, or told that none waits.
    pub(super) unanswered: u64,
    /// From when a claim was due until its answer, in microseconds.
    pub(super) answered: Histogram<u64>,
}

/// A claimed case is held for so long at the least, and up to two seconds more; then its holder gives it back.
const HELD_MIN: Duration = Duration::from_secs(1);
const HELD_MORE_MS: u64 = 2_000;
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
        answered: worked.answered,
    })
}

/// What they did.
#[derive(Debug)]
struct Worked {
    claimed: Vec<Claimed>,
    unanswered: u64,
    answered: Histogram<u64>,
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
        let answer = self.post(&format!("{address}/v1/queue/claim"), key, &body).await;
        let answered = Instant::now();
        let claimed = answer.and_then(|answer| self.claimed(&answer).ok_or_else(|| answer.to_string()));
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
                asked: due,
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

    /// The answer, or why there is none.
    async fn post(&self, url: &str, key: &str, body: &Value) -> Result<Value, String> {
        let sent = self.http.post(url).bearer_auth(key).json(body).send().await;
        let answer = sent.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|error| error.to_string())?;
        match status {
            StatusCode::OK => Ok(body),
            _ => Err(format!("{status}: {}", body["code"])),
        }
    }

    fn note(&self, note: impl FnOnce(&mut Worked)) {
        note(&mut self.worked.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
