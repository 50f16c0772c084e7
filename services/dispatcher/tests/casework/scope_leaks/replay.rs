//! A history acted out on a dispatcher of its own, step by step at set times, with all that follows from a step done before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{ContentId, FamilyId, Kind, Milliseconds, Sharing, Timestamp};
use tocsin_runtime::streams::StreamTimes;
use tocsin_store::{Clock, EndpointKind, KeySubject, NewEndpoint, ReviewSettings, Role, Roles};

use super::history::{Side, Step};
use super::stream::Stream;
use super::view::{Area, Taken, View};
use crate::acknowledgements::{ALPHA, BETA, Spreading};
use crate::bench::{Bench, Running, WAIT_MAX, name};
use crate::deliveries::{loopback, webhook};
use crate::example::START;
use crate::receiver::Receiver;

/// How long a figure that only the order of handing out rests on is waited for: where it leaks, it never comes.
pub const RANKED_MAX: Duration = Duration::from_secs(5);
/// So often a lane is asked that shows nothing.
const CLAIM_TRIES: u32 = 20;
const STATES: [&str; 5] = ["open", "claimed", "decided", "closed", "merged"];

pub struct Replay {
    pub bench: Bench,
    pub running: Running,
    pub clock: Clock,
    pub keys: BTreeMap<Side, Keys>,
    pub outsider: String,
    /// What the reader was answered as it acted.
    pub answers: View,
    pub stream: Stream,
    /// Of beta, then of alpha.
    pub receivers: [Receiver; 2],
    /// Where the stream of alpha begins.
    pub alpha_began: String,
    /// What others did and was not refused.
    pub done: BTreeSet<String>,
    /// Cases, notices, appeals, reviews and incidents of others.
    pub hidden_ids: BTreeSet<(&'static str, String)>,
    /// So many effects on cases the alerts have that were rung.
    pub effects: f64,
    pub spreading: Spreading,
}

pub struct Keys {
    pub moderators: [String; 2],
    pub machine: String,
    pub second_id: String,
    pub platform: &'static str,
}

impl Keys {
    /// That of a moderator, 0 or 1, or of the machine, 2.
    fn key(&self, which: usize) -> &str {
        self.moderators.get(which).unwrap_or(&self.machine)
    }
}

impl Replay {
    pub async fn begin(url: &str, is_hidden_there: bool) -> Replay {
        let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
        let bench = Bench::on(tempfile::tempdir().unwrap(), url, clock.clone()).await;
        let gamma = bench.store.add_party(&name("gamma"), &[name("gamma-photo")]).await;
        let outsider = key(&bench, KeySubject::Party(gamma.unwrap().id), Role::Moderator)
            .await
            .1;
        let (alpha, beta) = (bench.team("alpha").await, bench.team("beta").await);
        let receivers = [Receiver::start().await, Receiver::start().await];
        let all = ReviewSettings {
            share_ppm: 1_000_000,
            golden_ppm: 0,
        };
        bench.store.set_review_settings(beta, all).await.unwrap();
        endpoints(&bench, "beta", beta, &receivers[0]).await;
        if is_hidden_there {
            bench.store.set_review_settings(alpha, all).await.unwrap();
            endpoints(&bench, "alpha", alpha, &receivers[1]).await;
            let settings = [("subject", "did:plc:subject"), ("created_by", "did:plc:tocsin")];
            let ozone = NewEndpoint {
                kind: EndpointKind::Ozone,
                settings: settings.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
                secret: "password".to_owned(),
                ..webhook("ozone-of-alpha", alpha, &receivers[1].url)
            };
            bench.add(&ozone).await;
        }
        let mut keys = BTreeMap::new();
        for (side, team, first, platform) in [
            (Side::Beta, beta, &bench.beta, "beta-chat"),
            (Side::Alpha, alpha, &bench.alpha, "alpha-video"),
            (
                Side::Coordinators,
                Team::Coordinators,
                &bench.coordinators,
                "alpha-video",
            ),
        ] {
            clock.advance(Milliseconds::from_seconds(1));
            let subject = match team {
                Team::Coordinators => KeySubject::Coordinators,
                Team::Party(party) => KeySubject::Party(party),
            };
            let (second_id, second) = key(&bench, subject, Role::Moderator).await;
            let machine = match team {
                Team::Coordinators => key(&bench, subject, Role::Reader).await.1,
                Team::Party(_) => key(&bench, subject, Role::Publisher).await.1,
            };
            let keys_of_side = Keys {
                moderators: [first.clone(), second],
                machine,
                second_id,
                platform,
            };
            keys.insert(side, keys_of_side);
        }
        let config = DispatcherConfig {
            undo_s: 0,
            longest_every: 3,
            ..loopback()
        };
        let times = StreamTimes {
            stall_max: Duration::from_secs(3_600),
            ..StreamTimes::default()
        };
        let running = bench.start_timed(config, times).await;
        crate::bench::until("parties announced", || {
            running.readiness.parts().values().all(Option::is_none)
        })
        .await;
        let stream = Stream::open(&running, &bench.beta).await;
        let alpha_began = Stream::open(&running, &bench.alpha).await.began;
        Replay {
            bench,
            running,
            clock,
            keys,
            outsider,
            answers: View::default(),
            stream,
            receivers,
            alpha_began,
            done: BTreeSet::new(),
            hidden_ids: BTreeSet::new(),
            effects: 0.0,
            spreading: spreading(),
        }
    }

    /// Every step has its time, also one that is left out: what is compared stands at equal times.
    pub async fn act(&mut self, steps: &[Step], is_hidden_there: bool) {
        for (number, step) in steps.iter().enumerate() {
            self.clock.advance(Milliseconds::from_seconds(1));
            if step.is_hidden && !is_hidden_there {
                continue;
            }
            self.step(number, step.act).await;
            self.settled().await;
            if !step.is_hidden {
                self.follow().await;
            }
        }
    }

    /// The first shared family is that which the state knows.
    pub fn family(&self, number: u64) -> FamilyId {
        match number {
            1 => FamilyId(self.spreading.content),
            _ => FamilyId(ContentId(u128::from(number))),
        }
    }

    /// Asks as one of a side; what the reader is answered is kept.
    pub async fn say(
        &mut self,
        number: usize,
        (side, which): (Side, usize),
        (method, path): (Method, &str),
        body: Value,
    ) -> Value {
        let key = self.keys[&side].key(which);
        let taken = Taken::ask(&self.running, (method, path), key, Some(&body)).await;
        self.heard(number, side, path, &taken)
    }

    /// Claims what waits in a lane of appeals or reviews. What another transaction holds just now is passed over, as the dispatcher's own that looks for
    /// confirmations may hold a decided case: it is asked for again.
    pub async fn claim(&mut self, number: usize, side: Side, lane: &str) -> Value {
        let (path, body) = ("/v1/queue/claim", json!({"lane": lane}));
        let key = self.keys[&side].key(1);
        let mut tries = CLAIM_TRIES;
        let taken = loop {
            let taken = Taken::ask(&self.running, (Method::POST, path), key, Some(&body)).await;
            tries -= 1;
            if tries == 0 || !taken.is_nothing() {
                break taken;
            }
        };
        self.heard(number, side, path, &taken)
    }

    fn heard(&mut self, number: usize, side: Side, path: &str, taken: &Taken) -> Value {
        let what = path.rsplit('/').next().unwrap_or_default();
        if side == Side::Beta {
            let area = match what {
                "claim" => Area::Queue,
                _ => Area::Cases,
            };
            let label = format!("step {number}, {what}");
            self.answers.add(area, label, taken.without_figures());
        } else if taken.status == 200 && !taken.is_nothing() {
            self.done.insert(what.to_owned());
        }
        serde_json::from_str(&taken.body).unwrap_or_default()
    }

    pub fn hide(&mut self, side: Side, of: &'static str, id: &Value) {
        if let Some(id) = id.as_str().filter(|_| side != Side::Beta) {
            self.hidden_ids.insert((of, id.to_owned()));
        }
    }

    pub async fn cases(&self, side: Side, state: &str) -> Vec<Value> {
        let path = format!("/v1/queue?limit=200&state={state}");
        let page = self.running.get(&path, &self.keys[&side].moderators[0]).await;
        page["cases"].as_array().unwrap().clone()
    }

    pub async fn case_of(&self, side: Side, family: u64) -> Option<String> {
        let family = self.family(family).to_string();
        for state in STATES {
            let cases = self.cases(side, state).await;
            if let Some(case) = cases.iter().find(|case| case["family"] == family.as_str()) {
                return case["id"].as_str().map(str::to_owned);
            }
        }
        None
    }

    /// All that follows of what was done is done.
    async fn settled(&self) {
        self.running
            .metric_sum("tocsin_dispatcher_alert_effects_total{", |effects| {
                effects >= self.effects
            })
            .await;
        let store = &self.bench.store;
        let began = Instant::now();
        loop {
            let waiting = store.delivery_counts().await.unwrap().waiting;
            let outbox = store.outbox_length().await.unwrap();
            let fans = store.due_fans(1).await.unwrap().len();
            if (waiting, outbox, fans) == (0, 0, 0) {
                break;
            }
            assert!(
                began.elapsed() < WAIT_MAX,
                "{waiting} deliveries, {outbox} decisions, {fans} fans"
            );
            tokio::task::yield_now().await;
        }
        self.running
            .metric("tocsin_dispatcher_carrying_due", |due| due == 0.0)
            .await;
    }

    /// The reader's stream has told all there is, and its cases are ranked by what they show.
    pub async fn follow(&mut self) {
        let mut standing = BTreeMap::new();
        for state in STATES {
            for case in self.cases(Side::Beta, state).await {
                let id = case["id"].as_str().unwrap().to_owned();
                let of = ["state", "fencing", "held_until", "notice_due_at"].map(|field| case[field].clone());
                standing.insert(id, of.into());
            }
        }
        self.stream.until(&standing).await;
        let began = Instant::now();
        while began.elapsed() < RANKED_MAX {
            let open = self.cases(Side::Beta, "open").await;
            let known = self.family(1).to_string();
            let is_ranked = |case: &Value| {
                let live = &case["live_priority"];
                !live.is_null() && (case["family"] == known.as_str() || *live == case["priority"])
            };
            if open.iter().all(is_ranked) {
                return;
            }
        }
    }

    /// By the store.
    pub fn now(&self) -> Timestamp {
        match &self.clock {
            Clock::Set(now) => Timestamp(now.load(std::sync::atomic::Ordering::SeqCst)),
            Clock::Database => unreachable!("a replay stands at a set time"),
        }
    }
}

/// The content of the first shared family: both parties' figures for everybody, and uploads and removals that alpha keeps to itself.
pub fn spreading() -> Spreading {
    let mut spreading = Spreading::new(0x99);
    spreading.hear(BETA, Kind::Upload, 5);
    spreading.hear(ALPHA, Kind::Upload, 5);
    spreading.hear_shared(ALPHA, Kind::Upload, (Sharing::Party, 40));
    spreading.hear_shared(ALPHA, Kind::Removal, (Sharing::Party, 2));
    spreading
}

async fn key(bench: &Bench, subject: KeySubject, role: Role) -> (String, String) {
    let (id, key) = bench.store.issue_key(subject, Roles::of(&[role])).await.unwrap();
    (id.to_string(), key.expose().to_owned())
}

async fn endpoints(bench: &Bench, party: &str, team: Team, receiver: &Receiver) {
    bench.add(&webhook(&format!("of-{party}"), team, &receiver.url)).await;
    let topic = NewEndpoint {
        kind: EndpointKind::Kafka,
        target: format!("tocsin.deliveries.{party}"),
        secret: String::new(),
        ..webhook(&format!("topic-of-{party}"), team, "")
    };
    bench.add(&topic).await;
}
