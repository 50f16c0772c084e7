//! How soon a party is told of what its people decided and overturned, and whether every member of the families was told, those that came later
//! and across restarts of the dispatchers too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tocsin_casework::{Team, UNREVIEWED_BELOW};
use tocsin_log::{Append, RecordRef, SharedLog, TopicPartition};
use tocsin_model::{
    AlertId, Algorithm, Class, ContentHash, ContentId, FamilyAnnouncement, FamilyId, Name, Scope, Timestamp,
};
use tocsin_store::{EndpointKind, KeySubject, NewEndpoint, Store};
use tocsin_wire::document::parse_instant;
use tocsin_wire::{family, topics};

use super::seed::{LOT, alert};
use super::{Contest, moderators_key, post, start};
use crate::measure::corpus;
use crate::measure::latency::LATENCY_MAX_US;
use crate::measure::pipeline::{now, options};
use crate::measure::process::Played;
use crate::measure::role::connect;

/// One family for so many claims of the contest.
const CLAIMS_PER_FAMILY: u64 = 20;
/// Decisions a second.
pub(super) const RATE: f64 = 20.0;
/// Members of a family when it is decided, what founded it among them, and those that come after each restart.
const FIRST_MEMBERS: u32 = 3;
const LATER_MEMBERS: u32 = 2;
/// One family in so many is decided just before all dispatchers are killed; of the others half are overturned.
const KILLED_EACH: usize = 10;
/// And so many at most: all of them within the hold of the first.
const KILLED_MAX: usize = 50;
/// How long the party may wait before what it was not told counts as lost. Longer than what a killed dispatcher took is its own.
const TOLD_WITHIN: Duration = Duration::from_secs(180);
/// How often what a dispatcher cannot do at the moment is asked for.
const TRIES_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Clone, Debug)]
pub(in crate::measure) struct Fanned {
    pub(in crate::measure) families: u64,
    pub(in crate::measure) members: u64,
    /// Members of which the topic does not say what stands.
    pub(in crate::measure) unfanned: u64,
    /// From the end of the hold until a reader of committed records has it, in microseconds.
    pub(in crate::measure) decision: Histogram<u64>,
    /// The same of what overturned a decision.
    pub(in crate::measure) overturn: Histogram<u64>,
    /// From the answer to an appeal until a reader of committed records has it, in microseconds.
    pub(in crate::measure) appeal: Histogram<u64>,
}

/// What a reader of the party's topic was shown.
#[derive(Debug, Default)]
struct Seen {
    /// When each decision was first there.
    decisions: BTreeMap<String, Timestamp>,
    /// Of which decisions each member was told.
    members: BTreeSet<(String, String)>,
    /// When the answer to each appeal was first there.
    appeals: BTreeMap<String, Timestamp>,
}

/// A decision that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) family: usize,
    pub(super) decision: String,
    goes_out_at: Timestamp,
}

/// A party with its families, its moderator and its topic.
pub(super) struct Party {
    store: String,
    bootstrap: String,
    pub(super) key: String,
    /// Of somebody else of the party's people.
    pub(super) reviewer: String,
    /// Its platform, by name.
    pub(super) platform: String,
    http: reqwest::Client,
    /// The case of each family.
    cases: Vec<String>,
    pub(super) first: u128,
    members: u32,
    log: SharedLog,
}

/// Decides, overturns and restarts; `name` is the party's, which no other run on this log has.
pub(super) fn measure(
    (bootstrap, store): (&str, &str),
    contest: Contest,
    (name, first): (&str, u128),
) -> anyhow::Result<Fanned> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime for deciding")?;
    let count = usize::try_from(contest.claims / CLAIMS_PER_FAMILY)?.max(KILLED_EACH);
    let mut party = runtime.block_on(Party::new((bootstrap, store), (name, first), count))?;
    let topic = topics::deliveries_name(&name.parse::<Name>()?);
    let (seen, is_over) = (Mutex::new(Seen::default()), AtomicBool::new(false));
    let log = party.log.clone();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&log, &topic, &seen, &is_over));
        let measured = party.play(&runtime, contest, &seen);
        is_over.store(true, Ordering::Relaxed);
        let read = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
        read?;
        measured
    })
}

impl Party {
    async fn new((bootstrap, url): (&str, &str), (name, first): (&str, u128), count: usize) -> anyhow::Result<Party> {
        let store = Store::open(url).await?;
        let name: Name = name.parse()?;
        let id = store.add_party(&name, std::slice::from_ref(&name)).await?.id;
        let key = moderators_key(&store, KeySubject::Party(id)).await?;
        let reviewer = moderators_key(&store, KeySubject::Party(id)).await?;
        let platform = name.to_string();
        let at = now();
        let families: Vec<_> = (0..count).map(|number| content(first, number, 0)).collect();
        for families in families.chunks(LOT as usize) {
            let alerts = families.iter().map(|(content, hash)| {
                let mut alert = alert((*content, hash.clone()), 1_000.0, at);
                alert.scope = Scope::Party(id);
                alert.id = AlertId(content.0);
                alert
            });
            let alerts: Vec<_> = alerts.collect();
            store.apply_alerts(&alerts, UNREVIEWED_BELOW).await?;
        }
        let mut cases = Vec::with_capacity(count);
        for (content, _) in &families {
            let (case, _) = store.remaining_case(Team::Party(id), FamilyId(*content)).await?;
            cases.push(case.id.to_string());
        }
        let log = tokio::task::block_in_place(|| connect(bootstrap))?;
        let topic = topics::deliveries(&name);
        let spec = tocsin_dispatcher::topic_spec(&topic, corpus::setup().partitions);
        tokio::task::block_in_place(|| log.ensure_topics(&[spec]))?;
        // It is told of what happens from now on: the alerts are none of it.
        let endpoint = NewEndpoint {
            name,
            team: Team::Party(id),
            kind: EndpointKind::Kafka,
            target: topic.name,
            settings: BTreeMap::new(),
            secret: String::new(),
        };
        store.add_endpoint(&endpoint).await?;
        store.close().await;
        let party = Party {
            store: url.to_owned(),
            bootstrap: bootstrap.to_owned(),
            key,
            reviewer,
            platform,
            http: reqwest::Client::builder().timeout(ANSWERED_WITHIN).build()?,
            cases,
            first,
            members: FIRST_MEMBERS,
            log,
        };
        tokio::task::block_in_place(|| party.announce(0..FIRST_MEMBERS))?;
        Ok(party)
    }

    /// These members of every family become known, as key groups say it.
    fn announce(&self, members: std::ops::Range<u32>) -> anyhow::Result<()> {
        let appender = self.log.appender(options())?;
        let mut appends = Vec::new();
        for number in 0..self.cases.len() {
            let (founder, _) = content(self.first, number, 0);
            for member in members.clone() {
                let (content, hash) = content(self.first, number, member);
                let announcement = FamilyAnnouncement {
                    content,
                    hash,
                    family: FamilyId(founder),
                    class: Class::All,
                    at: now(),
                };
                appends.push(Append {
                    to: TopicPartition::new(topics::FAMILIES, 0),
                    key: Some(family::key(content, Class::All).into()),
                    value: Some(family::encode(&announcement).into()),
                    headers: Vec::new(),
                });
            }
        }
        for appends in appends.chunks(LOT as usize) {
            appender.append(appends.to_vec()).wait()?;
        }
        Ok(())
    }

    fn play(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        contest: Contest,
        seen: &Mutex<Seen>,
    ) -> anyhow::Result<Fanned> {
        let mut dispatchers = self.start(contest)?;
        let count = self.cases.len();
        let killed = (count / KILLED_EACH).min(KILLED_MAX);
        let mut standing = BTreeMap::new();

        let decided = runtime.block_on(self.decide(&dispatchers, 0..count - killed, "violating"))?;
        let decision = await_all(seen, &decided)?;
        standing.extend(decided.iter().map(|made| (made.family, made.decision.clone())));

        // Killed one after the other, and members come that nobody knew.
        drop(dispatchers);
        dispatchers = self.start(contest)?;
        self.grow()?;
        let overturned = runtime.block_on(self.decide(&dispatchers, 0..(count - killed) / 2, "benign"))?;
        let overturn = await_all(seen, &overturned)?;
        standing.extend(overturned.into_iter().map(|made| (made.family, made.decision)));

        // Somebody appeals against what was not overturned.
        let answered = runtime.block_on(self.appeal(&dispatchers, &decided[(count - killed) / 2..]))?;
        let told = |seen: &Seen, id: &str| seen.appeals.get(id).copied();
        let appeal = await_told(seen, &answered, told)?;

        // Killed while decisions can still be taken back: whoever comes next publishes them.
        let last = runtime.block_on(self.decide(&dispatchers, count - killed..count, "violating"))?;
        drop(dispatchers);
        standing.extend(last.into_iter().map(|made| (made.family, made.decision)));
        dispatchers = self.start(contest)?;
        self.grow()?;
        let unfanned = self.unfanned(seen, &standing);
        for (dispatcher, _) in dispatchers {
            dispatcher.stop()?;
        }
        Ok(Fanned {
            families: count as u64,
            members: count as u64 * u64::from(self.members),
            unfanned,
            decision,
            overturn,
            appeal,
        })
    }

    /// Further members of every family.
    fn grow(&mut self) -> anyhow::Result<()> {
        let members = self.members..self.members + LATER_MEMBERS;
        self.members = members.end;
        self.announce(members)
    }

    /// Dispatchers and where they listen. Dropped, they are killed where they stand.
    fn start(&self, contest: Contest) -> anyhow::Result<Vec<(Played, String)>> {
        let started = (0..contest.dispatchers).map(|number| {
            let mut dispatcher = start((&self.bootstrap, &self.store), number)?;
            let address = dispatcher.wait_for("ready")?;
            Ok((dispatcher, address))
        });
        started.collect()
    }

    /// Claims and decides these families, each when it is due, whatever the ones before take.
    async fn decide(
        &self,
        dispatchers: &[(Played, String)],
        families: std::ops::Range<usize>,
        verdict: &str,
    ) -> anyhow::Result<Vec<Made>> {
        let began = tokio::time::Instant::now();
        let decisions = families.clone().map(async |family| {
            let due = Duration::from_secs_f64((family - families.start) as f64 / RATE);
            tokio::time::sleep_until(began + due).await;
            let (_, address) = &dispatchers[family % dispatchers.len()];
            self.decide_one(address, family, verdict).await
        });
        futures::future::try_join_all(decisions).await
    }

    async fn decide_one(&self, address: &str, family: usize, verdict: &str) -> anyhow::Result<Made> {
        let path = format!("{address}/v1/cases/{}", self.cases[family]);
        let claimed = self.post(&self.key, &format!("{path}/claim"), &json!({})).await?;
        let body = json!({"fencing": claimed["fencing"], "verdict": verdict, "rationale": "a load test"});
        let decided = self.post(&self.key, &format!("{path}/decision"), &body).await?;
        let decision = &decided["decision"];
        let goes_out_at = decision["goes_out_at"].as_str().and_then(parse_instant);
        Ok(Made {
            family,
            decision: decision["id"].as_str().context("a decision has an id")?.to_owned(),
            goes_out_at: goes_out_at.context("a decision is held for a while")?,
        })
    }

    pub(super) async fn post(&self, key: &str, url: &str, body: &Value) -> anyhow::Result<Value> {
        for _ in 0..TRIES_MAX {
            let answer = post(&self.http, key, url, body).await;
            let (status, answer) = answer.with_context(|| format!("POST {url}"))?;
            // Nothing was done: a loaded machine could not keep the record of it in time.
            if status == StatusCode::SERVICE_UNAVAILABLE {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            ensure!(status.is_success(), "POST {url} is answered by {status}: {answer}");
            return Ok(answer);
        }
        bail!("POST {url} is not answered in {TRIES_MAX} tries")
    }

    /// How many members were not told of what stands in the end.
    fn unfanned(&self, seen: &Mutex<Seen>, standing: &BTreeMap<usize, String>) -> u64 {
        let mut wanted = BTreeSet::new();
        for (family, decision) in standing {
            for member in 0..self.members {
                let (content, _) = content(self.first, *family, member);
                wanted.insert((decision.clone(), content.to_string()));
            }
        }
        comes(seen, |seen| {
            wanted.retain(|of| !seen.members.contains(of));
            wanted.is_empty()
        });
        wanted.len() as u64
    }
}

/// The member of this number of a family, 0 of what founded it.
pub(super) fn content(first: u128, family: usize, member: u32) -> (ContentId, ContentHash) {
    let number = first + ((family as u128) << 16) + u128::from(member);
    let hash = ContentHash::from_bytes(Algorithm::Md5, number.to_be_bytes().to_vec(), None);
    (ContentId(number), hash.expect("an MD5 has 16 bytes"))
}

/// Waits until all are on the topic; how long each took from the end of its hold.
fn await_all(seen: &Mutex<Seen>, made: &[Made]) -> anyhow::Result<Histogram<u64>> {
    let made: Vec<(String, Timestamp)> = made
        .iter()
        .map(|made| (made.decision.clone(), made.goes_out_at))
        .collect();
    await_told(seen, &made, |seen, id| seen.decisions.get(id).copied())
}

/// Waits until the party was told of all of these; how long each took from its time on.
fn await_told(
    seen: &Mutex<Seen>,
    made: &[(String, Timestamp)],
    told: impl Fn(&Seen, &str) -> Option<Timestamp>,
) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("a histogram of three digits")?;
    let are_told = |seen: &Seen| made.iter().all(|(id, _)| told(seen, id).is_some());
    ensure!(comes(seen, are_told), "the party was not told of all of it");
    let seen = lock(seen);
    for (id, from) in made {
        let Some(at) = told(&seen, id) else { continue };
        let took = at - *from;
        if took.0 < 0 {
            bail!("the party was told of {id} before its time");
        }
        histogram.saturating_record((took.0 as u64 * 1_000).max(1));
    }
    Ok(histogram)
}

/// Looks until something holds, or the party waited too long; whether it holds.
fn comes(seen: &Mutex<Seen>, mut holds: impl FnMut(&Seen) -> bool) -> bool {
    let began = Instant::now();
    while !holds(&lock(seen)) {
        if began.elapsed() > TOLD_WITHIN {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

/// Reads what is committed, until it is over.
fn read(log: &SharedLog, topic: &str, seen: &Mutex<Seen>, is_over: &AtomicBool) -> anyhow::Result<()> {
    let mut reader = log.tail_reader(&[(TopicPartition::new(topic, 0), 0)])?;
    while !is_over.load(Ordering::Relaxed) {
        reader.poll(PAUSE, 1_024, &mut |record| note(&record, &mut lock(seen)))?;
    }
    Ok(())
}

fn note(record: &RecordRef<'_>, seen: &mut Seen) {
    let value = record
        .value
        .and_then(|value| serde_json::from_slice::<Value>(value).ok());
    let Some(document) = value else { return };
    if let Some(appeal) = document["appeal"].as_str() {
        seen.appeals.entry(appeal.to_owned()).or_insert_with(now);
        return;
    }
    match (&document["members"], document["decision"]["id"].as_str()) {
        (Value::Array(members), Some(decision)) => {
            for member in members {
                let content = member["content"].as_str().unwrap_or_default();
                seen.members.insert((decision.to_owned(), content.to_owned()));
            }
        }
        _ => {
            let decision = document["id"].as_str().unwrap_or_default();
            seen.decisions.entry(decision.to_owned()).or_insert_with(now);
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
