//! Who does what, one after the other. Figures are asked for while nothing is published and everything published is counted, so that they can be held to the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_loadtest::scenario::{DemoPlan, Generated};
use tocsin_model::{Event, EventId, Kind, Milliseconds, Name, Timestamp};

use super::check::Check;
use super::compare;
use super::oracle::{Counts, Oracle};
use crate::client::Source;
use crate::demo::{Reader, Stage};
use crate::replay::{Gateway, first_refusal, now};

/// Nothing that is waited for takes longer.
const WAIT_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So much of the plan is played before people act.
const PLAYED_BEFORE: Milliseconds = Milliseconds::from_seconds(55);
/// Events that are due within this time go in one request.
const TOGETHER: Duration = Duration::from_millis(100);
/// Figures that count up to so long after the last event have it in them.
const SETTLED_AFTER: Milliseconds = Milliseconds::from_seconds(2);

/// When something was done: not before `from`, not after `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// What the script did when.
#[derive(Debug, Default)]
pub(super) struct Acts {
    pub(super) declared: Option<Span>,
    pub(super) activated: Option<Span>,
    pub(super) invited: BTreeMap<Name, Span>,
    pub(super) acknowledged: BTreeMap<Name, Span>,
    pub(super) decided: BTreeMap<Name, Span>,
    pub(super) ordered_at: Option<Timestamp>,
    pub(super) answered: Option<Span>,
    /// What was true when the level was activated.
    pub(super) true_then: Counts,
}

/// A party of the plan.
pub(super) struct Party {
    pub(super) name: Name,
    pub(super) platforms: BTreeSet<Name>,
    pub(super) api: Reader,
    gateway: Gateway,
}

/// The script.
pub(super) struct Script {
    pub(super) coordinators: Reader,
    pub(super) parties: Vec<Party>,
    pub(super) oracle: Oracle,
    pub(super) acts: Acts,
    pub(super) incident: String,
    events: Vec<Generated>,
    start: Timestamp,
    factor: f64,
    last_published: Timestamp,
}

impl Script {
    pub(super) fn new(seed: u64, lasts: Duration, stage: &Stage) -> Result<Script> {
        let plan = DemoPlan::new(seed, now());
        let coordinators = stage.reader()?;
        let mut parties = Vec::new();
        for planned in &plan.scenario.parties {
            let key = stage.publishers.iter().find(|(name, _)| *name == planned.name);
            let (_, key) = key.context("the stage has every party of the plan")?;
            parties.push(Party {
                name: planned.name.clone(),
                platforms: planned.platforms.iter().map(|platform| platform.name.clone()).collect(),
                api: Reader {
                    key: key.clone(),
                    ..coordinators.clone()
                },
                gateway: Gateway::new(&Source::with_key(&stage.url, key))?,
            });
        }
        let planned = Duration::from_millis(plan.scenario.duration.0.unsigned_abs());
        Ok(Script {
            coordinators,
            parties,
            oracle: Oracle::default(),
            acts: Acts::default(),
            incident: String::new(),
            events: plan.events().collect(),
            start: plan.scenario.start,
            factor: planned.as_secs_f64() / lasts.as_secs_f64(),
            last_published: Timestamp(0),
        })
    }

    /// Plays all of it, and compares.
    pub(super) async fn play(&mut self, check: &mut Check) -> Result<()> {
        let first_day = day(now())?;
        let all = std::mem::take(&mut self.events);
        let first = all.partition_point(|generated| generated.received_at - self.start < PLAYED_BEFORE);
        self.publish(&all[..first]).await?;
        self.declare().await?;
        self.invite().await?;
        self.settle().await?;
        self.acts.true_then = self.oracle.counts();
        self.acts.activated = Some(
            self.act(
                "activate",
                &json!({"level": "awareness", "reason": "the first figures"}),
            )
            .await?,
        );
        self.decide().await?;
        self.order().await?;
        self.told().await;
        self.publish(&all[first..]).await?;
        self.settle().await?;
        self.act("packs", &json!({})).await?;
        for party in &self.parties {
            let path = format!("/v1/incidents/{}/packs/1", self.incident);
            compare::pack(check, &party.name, &ask(&party.api, &path).await?, &self.oracle);
        }
        self.sample().await?;
        self.remove().await?;
        self.confirmed().await?;
        self.answer_order().await?;
        self.act("conclude", &json!({"reason": "the end of the script"}))
            .await?;

        let readers = self.parties.iter().map(|party| (Some(party), &party.api));
        for (party, api) in readers.chain([(None, &self.coordinators)]) {
            let debrief = ask(api, &format!("/v1/incidents/{}/debrief", self.incident)).await?;
            compare::debrief(check, party, &debrief, self);
            let last_day = day(now())?;
            let report = ask(api, &format!("/v1/reports?from={first_day}&to={last_day}")).await?;
            let cases = cases(api).await?;
            compare::report(check, party, &report, (self, cases));
        }
        Ok(())
    }

    /// Publishes events when they are due, each party its own.
    async fn publish(&mut self, events: &[Generated]) -> Result<()> {
        let Some(first) = events.first() else { return Ok(()) };
        let (planned_from, begins_at, began) = (first.received_at, now(), Instant::now());
        let due = |at: Timestamp, factor: f64| {
            let planned = Duration::from_millis((at - planned_from).0.max(0).unsigned_abs());
            planned.div_f64(factor)
        };
        let mut rest = events;
        while let Some(next) = rest.first() {
            if let Some(wait) = due(next.received_at, self.factor).checked_sub(began.elapsed()) {
                tokio::time::sleep(wait).await;
            }
            let until = began.elapsed() + TOGETHER;
            let ready = rest.partition_point(|generated| due(generated.received_at, self.factor) < until);
            let (batch, later) = rest.split_at(ready.max(1));
            let moved: Vec<(Name, Event, bool)> = batch
                .iter()
                .map(|generated| {
                    let mut event = generated.event.clone();
                    let since_ms = (event.occurred_at - planned_from).0 as f64 / self.factor;
                    event.occurred_at = Timestamp(begins_at.0 + since_ms as i64);
                    (generated.party.clone(), event, generated.truth.is_some())
                })
                .collect();
            self.send(moved).await?;
            rest = later;
        }
        Ok(())
    }

    async fn send(&mut self, events: Vec<(Name, Event, bool)>) -> Result<()> {
        for party in &self.parties {
            let own: Vec<Event> = events
                .iter()
                .filter(|(name, _, _)| *name == party.name)
                .map(|(_, event, _)| event.clone())
                .collect();
            if own.is_empty() {
                continue;
            }
            let answer = party.gateway.publish(&own).await?;
            if let Some(refusal) = first_refusal(&answer) {
                bail!("the gateway refuses an event: {refusal}");
            }
        }
        for (party, event, is_crisis) in &events {
            if *is_crisis {
                self.oracle.add(party, event);
            }
        }
        self.last_published = now();
        Ok(())
    }

    async fn declare(&mut self) -> Result<()> {
        let case = self.crisis_case(&self.coordinators).await?;
        let declare = json!({"title": "A scripted attack", "protocol": "crisis", "protocol_version": 1, "case": case});
        let from = now();
        let declared: Value = self
            .coordinators
            .post("/v1/incidents", &declare)
            .await?
            .context("it is declared")?;
        self.acts.declared = Some(Span { from, to: now() });
        self.incident = declared["id"].as_str().context("an incident has an id")?.to_owned();
        let answer = json!({"question": "depicts_the_violence", "answer": true, "reason": "seen"});
        self.act("answers", &answer).await?;
        Ok(())
    }

    async fn invite(&mut self) -> Result<()> {
        for name in self.parties.iter().map(|party| party.name.clone()).collect::<Vec<_>>() {
            let invite = json!({"party": name.to_string(), "class": "platforms"});
            let invited = self.act("participants", &invite).await?;
            self.acts.invited.insert(name, invited);
        }
        for party in &self.parties {
            let acknowledged = act(&party.api, &self.incident, "acknowledge", &json!({})).await?;
            self.acts.acknowledged.insert(party.name.clone(), acknowledged);
        }
        Ok(())
    }

    /// Each party decides about its own case: that it is violating, and to be removed.
    async fn decide(&mut self) -> Result<()> {
        for party in &self.parties {
            let case = self.crisis_case(&party.api).await?;
            let claim = format!("/v1/cases/{case}/claim");
            let claimed: Value = party.api.post(&claim, &json!({})).await?.context("the case is there")?;
            let fencing = claimed["lease"]["fencing"].as_u64().or(claimed["fencing"].as_u64());
            let decision = json!({
                "fencing": fencing.context("a claimed case has a fencing number")?,
                "verdict": "violating",
                "recommended_action": "remove",
                "rationale": "The script has seen it.",
            });
            let from = now();
            let path = format!("/v1/cases/{case}/decision");
            let decided: Option<Value> = party.api.post(&path, &decision).await?;
            decided.context("the case is there")?;
            self.acts.decided.insert(party.name.clone(), Span { from, to: now() });
        }
        Ok(())
    }

    /// Waits until the decisions are surely told, so that every copy from then on is a leak and every one before is none.
    async fn told(&self) {
        let decided = self.acts.decided.values().map(|decided| decided.to).max();
        let is_told_at = decided.unwrap_or(Timestamp(0)) + compare::LEAK_KNOWN + SETTLED_AFTER;
        let wait = (is_told_at - now()).0.max(0).unsigned_abs();
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }

    /// An authority orders the removal from a platform of the first party.
    async fn order(&mut self) -> Result<()> {
        let party = &self.parties[0];
        let case = self.crisis_case(&party.api).await?;
        let received_at = Timestamp(now().0 / 1_000 * 1_000);
        let order = json!({
            "kind": "removal_order", "authority": "an authority", "reference": REFERENCE, "case": case,
            "platform": party.platforms.first().map(ToString::to_string), "received_at": rfc3339(received_at)?,
        });
        let filed: Option<Value> = party.api.post("/v1/notices", &order).await?;
        filed.context("the order is filed")?;
        self.acts.ordered_at = Some(received_at);
        Ok(())
    }

    async fn answer_order(&mut self) -> Result<()> {
        let party = &self.parties[0];
        let notices = ask(&party.api, "/v1/notices").await?;
        let notice = notices["notices"].as_array().into_iter().flatten().next();
        let id = notice
            .and_then(|notice| notice["id"].as_str())
            .context("the order is there")?;
        let from = now();
        let path = format!("/v1/notices/{id}/answer");
        let answered: Option<Value> = party.api.post(&path, &json!({"outcome": "removed"})).await?;
        answered.context("the order is answered")?;
        self.acts.answered = Some(Span { from, to: now() });
        Ok(())
    }

    /// Each platform tells how often it was seen of every other content that was posted on it, and of the others nothing.
    async fn sample(&mut self) -> Result<()> {
        let told = self.of_posted(Kind::ViewSample)?;
        let told = told.into_iter().enumerate().filter(|(number, _)| number % 2 == 0);
        let told = told.map(|(number, (party, mut event, is_crisis))| {
            event.audience = u32::try_from(VIEWS * (number + 1)).ok();
            (party, event, is_crisis)
        });
        self.send(told.collect()).await?;
        self.settle().await
    }

    /// Each platform removes each content that was posted on it, with an event for each.
    async fn remove(&mut self) -> Result<()> {
        let removals = self.of_posted(Kind::Removal)?;
        self.send(removals).await?;
        self.settle().await
    }

    /// An event of this kind for each content on each platform on which it was posted.
    fn of_posted(&self, kind: Kind) -> Result<Vec<(Name, Event, bool)>> {
        let mut events = Vec::new();
        let samples: BTreeMap<String, Event> = self.oracle.samples();
        for party in &self.parties {
            for (content, platform) in self.oracle.posted(&party.platforms).into_keys() {
                let mut event = samples.get(&content).context("a posted content was published")?.clone();
                event.event_id = event_id(kind, events.len());
                event.platform = platform;
                event.kind = kind;
                event.occurred_at = now();
                (event.account, event.audience) = (None, None);
                events.push((party.name.clone(), event, true));
            }
        }
        Ok(events)
    }

    /// Waits until every removal is confirmed.
    async fn confirmed(&self) -> Result<()> {
        for party in &self.parties {
            let case = self.crisis_case(&party.api).await?;
            let path = format!("/v1/cases/{case}/acknowledgements");
            let began = Instant::now();
            loop {
                let answer = ask(&party.api, &path).await?;
                let (members, unconfirmed) = (
                    answer["acknowledgement"]["members"].as_u64(),
                    answer["acknowledgement"]["unconfirmed"].as_u64(),
                );
                if members > Some(0) && unconfirmed == Some(0) {
                    break;
                }
                // What is not confirmed by then shows in the report.
                if began.elapsed() > WAIT_MAX {
                    tracing::warn!(party = %party.name, %answer, "not all removals are confirmed");
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Waits until everything that was published is counted.
    async fn settle(&self) -> Result<()> {
        let began = Instant::now();
        let path = format!("/v1/incidents/{}", self.incident);
        let counted_to = self.last_published + SETTLED_AFTER;
        loop {
            let page = ask(&self.coordinators, &path).await?;
            let families = page["standing"]["families"].as_array().cloned().unwrap_or_default();
            let as_of = families.iter().map(|family| instant(&family["as_of"]));
            if !families.is_empty() && as_of.min().flatten() >= Some(counted_to) {
                return Ok(());
            }
            ensure!(began.elapsed() < WAIT_MAX, "it does not settle: {}", page["standing"]);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The case that a team has of the crisis.
    async fn crisis_case(&self, api: &Reader) -> Result<String> {
        let contents = self.oracle.counts().contents;
        let began = Instant::now();
        loop {
            for case in cases(api).await? {
                let hash = case["hash"]["value"].as_str().unwrap_or_default();
                if contents.contains(hash) {
                    return Ok(case["id"].as_str().context("a case has an id")?.to_owned());
                }
            }
            ensure!(began.elapsed() < WAIT_MAX, "the crisis does not ring");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn act(&self, what: &str, document: &Value) -> Result<Span> {
        act(&self.coordinators, &self.incident, what, document).await
    }
}

/// The first sample tells of so many views, the next of more.
const VIEWS: usize = 10;

/// The number of the order.
const REFERENCE: &str = "order-1";

async fn act(api: &Reader, incident: &str, what: &str, document: &Value) -> Result<Span> {
    let from = now();
    let path = format!("/v1/incidents/{incident}/{what}");
    let done: Option<Value> = api.post(&path, document).await?;
    done.with_context(|| format!("{path} answers that there is none"))?;
    Ok(Span { from, to: now() })
}

/// All cases of a team, whatever became of them.
async fn cases(api: &Reader) -> Result<Vec<Value>> {
    let mut cases = Vec::new();
    for state in ["open", "claimed", "decided", "closed"] {
        let page = ask(api, &format!("/v1/queue?state={state}&limit=200")).await?;
        cases.extend(page["cases"].as_array().cloned().unwrap_or_default());
    }
    Ok(cases)
}

async fn ask(api: &Reader, path: &str) -> Result<Value> {
    let began = Instant::now();
    loop {
        if let Some(answer) = api.get(path).await? {
            return Ok(answer);
        }
        ensure!(began.elapsed() < WAIT_MAX, "{path} has nothing to tell");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A UUID of version 7 for what the script itself publishes.
fn event_id(kind: Kind, number: usize) -> EventId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&now().0.to_be_bytes()[2..]);
    bytes[8..].copy_from_slice(&(number as u64).to_be_bytes());
    bytes[6] = 0x70;
    bytes[7] = kind as u8;
    bytes[8] = 0x80;
    EventId(bytes)
}

fn date_time(at: Timestamp) -> Result<OffsetDateTime> {
    Ok(OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000)?)
}

fn rfc3339(at: Timestamp) -> Result<String> {
    Ok(date_time(at)?.format(&Rfc3339)?)
}

fn day(at: Timestamp) -> Result<String> {
    Ok(date_time(at)?.date().to_string())
}

/// The time that an answer names.
pub(super) fn instant(told: &Value) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(told.as_str()?, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
}
