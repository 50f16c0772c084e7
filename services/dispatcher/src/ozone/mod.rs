//! What people decide in Ozone, the review tool of Bluesky, is the team's decision here, and what they report there opens the team's cases: its events are
//! asked for and taken, one after another.
//!
//! Invariants:
//! * An event counts once: what became of it is noted, and the id of its decision follows from its number, so whoever ends in between makes no second one.
//! * Only people whom the endpoint names decide; what Tocsin said itself, and what a machine did, decides nothing.
//! * Only families that stand as records of the endpoint's own are decided, and only cases of its team.
//! * One dispatcher at a time asks; an Ozone that hangs delays others by [`READ_MAX`] and [`RECORDS_TIMEOUT`] at most.
//! * An event that waits for its case holds back those of its family alone, and is asked for again.
//! * An event that cannot be taken is noted as refused, and holds back nothing.

mod event;
mod report;
mod reported;
mod telemetry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tocsin_casework::{Case, CaseState, Command, Desk, Refusal, Ruling, Team};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{DecisionId, FamilyId, KeyId, Milliseconds, Name, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::{Endpoint, EndpointKind, StoreError, digest_id};
use tocsin_wire::document::instant;

use crate::deliveries::{HttpClient, OzoneInwards, ozone_credentials, ozone_inwards};
use crate::elsewhere::{LEASE, Refused, stands, words};
use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

pub(crate) use event::Taking;
use event::{Meaning, OzoneEvent, prefix};
pub(crate) use telemetry::OzoneMetrics;
use telemetry::{EventTaken, NotReadOn};

/// How often each Ozone is asked.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked whether one is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// An Ozone that could not be read is asked again after this, then after twice as long, and so on.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// How long one dispatcher acts alone.
const ALONE: Milliseconds = Milliseconds::from_seconds(60);
/// An event is seen when its transaction in Ozone ends, which is later than the time it is created with: so far back is read again.
const OVERLAP: Milliseconds = Milliseconds::from_seconds(30);
/// A read takes no longer: what is left comes in the next.
const READ_MAX: Duration = Duration::from_secs(30);
/// How long Ozone may take to say what records show.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// So many events are asked for at a time, the most that Ozone gives.
const PAGE: usize = 100;
/// So many pages are read in a round; the rest comes in the next.
const PAGES_MAX: usize = 50;
const BODY_BYTES_MAX: usize = 4 << 20;

/// What is asked with.
pub(crate) struct OzoneReader {
    pub dispatcher: Arc<Dispatcher>,
    pub client: HttpClient,
    /// Names this dispatcher in the lease.
    pub instance: String,
    pub metrics: OzoneMetrics,
}

/// Why an Ozone was not read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    #[error("ask Ozone: {0}")]
    Answer(String),
    #[error("the answer of Ozone is no page of events")]
    Malformed(#[source] serde_json::Error),
    #[error("the key that decides is no valid moderator's of the endpoint's team")]
    Key,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A page of `tools.ozone.moderation.queryEvents`.
#[derive(Debug, Deserialize)]
struct Page {
    cursor: Option<String>,
    events: Vec<Value>,
}

/// When to ask an Ozone again.
struct Due {
    at: Instant,
    failures: u32,
}

impl OzoneReader {
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut due: BTreeMap<Name, Due> = BTreeMap::new();
        let mut forgotten_at = None::<Instant>;
        while !shutdown.is_requested() {
            if forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_INTERVAL) {
                forgotten_at = Some(Instant::now());
                if let Err(error) = self.dispatcher.store.forget_ozone_events(OVERLAP).await {
                    StoreFailed { error: &error }.emit(&self.dispatcher.metrics);
                }
            }
            match self.endpoints().await {
                Ok(endpoints) => {
                    due.retain(|name, _| endpoints.iter().any(|(endpoint, _)| endpoint.name == *name));
                    self.round(&endpoints, &mut due, &shutdown).await;
                }
                Err(error) => StoreFailed { error: &error }.emit(&self.dispatcher.metrics),
            }
            pause(LOOK_INTERVAL, &shutdown).await;
        }
        Ok(())
    }

    /// The Ozones from which anything is taken.
    async fn endpoints(&self) -> Result<Vec<(Endpoint, OzoneInwards)>, StoreError> {
        let open = self
            .dispatcher
            .store
            .open_endpoints(EndpointKind::Ozone)
            .await?
            .into_iter();
        let taken = open.filter_map(|endpoint| ozone_inwards(&endpoint).map(|inwards| (endpoint, inwards)));
        Ok(taken.collect())
    }

    /// Asks those that are due, all at once.
    async fn round(&self, endpoints: &[(Endpoint, OzoneInwards)], due: &mut BTreeMap<Name, Due>, shutdown: &Shutdown) {
        let now = Instant::now();
        let is_due = |name: &Name| due.get(name).is_none_or(|due| due.at <= now);
        let asked: Vec<_> = endpoints
            .iter()
            .filter(|(endpoint, _)| is_due(&endpoint.name))
            .collect();
        if asked.is_empty() {
            return;
        }
        match self.dispatcher.store.hold_calibrator(&self.instance, ALONE).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return StoreFailed { error: &error }.emit(&self.dispatcher.metrics),
        }
        let reads = asked.into_iter().map(async |(endpoint, inwards)| {
            let read = tokio::select! {
                read = self.read(endpoint, inwards) => read,
                () = shutdown.requested() => Ok(()),
            };
            (endpoint.name.clone(), read)
        });
        for (name, read) in futures::future::join_all(reads).await {
            let failures = match &read {
                Ok(()) => 0,
                Err(why) => {
                    NotReadOn { endpoint: &name, why }.emit(&self.metrics);
                    due.get(&name).map_or(0, |due| due.failures) + 1
                }
            };
            let wait = INTERVAL * 2_u32.saturating_pow(failures.min(16));
            let at = Instant::now()
                + if failures == 0 {
                    INTERVAL
                } else {
                    wait.min(RETRY_AFTER_MAX)
                };
            due.insert(name, Due { at, failures });
        }
    }

    /// Reads on, and takes what is new: how far it was read is not moved past what waits.
    async fn read(&self, endpoint: &Endpoint, inwards: &OzoneInwards) -> Result<(), NotRead> {
        let store = &self.dispatcher.store;
        if let Some(key) = inwards.taking.key
            && !store.is_moderator(key, endpoint.team).await?
        {
            return Err(NotRead::Key);
        }
        let (through, begun_at) = store.ozone_position(&endpoint.name, endpoint.added_at).await?;
        let collection = inwards.collection.as_deref();
        let prefix = collection.map(|collection| prefix(&inwards.subject, collection));
        let (mut cursor, mut read_through) = (None::<String>, through);
        let mut waiting: BTreeSet<FamilyId> = BTreeSet::new();
        let mut holds_back = false;
        let ends_at = Instant::now() + READ_MAX;
        // Whether Ozone said what records show each time that it was asked in this read.
        let mut is_shown = true;
        for _ in 0..PAGES_MAX {
            if !store.hold_calibrator(&self.instance, ALONE).await? {
                return Ok(());
            }
            let page = self.page(inwards, through - OVERLAP, cursor.as_deref());
            let page = tokio::time::timeout_at(ends_at.into(), page).await;
            let page = match page {
                Ok(page) => page?,
                // What is left comes in the next.
                Err(_) if cursor.is_some() => return Ok(()),
                Err(_) => return Err(NotRead::Answer("timeout".to_owned())),
            };
            let mut events: Vec<_> = page
                .events
                .iter()
                .take(PAGE)
                .map(|value| (value, OzoneEvent::read(value)))
                .collect();
            let number = |value: &Value| value["id"].as_i64();
            let ids: Vec<i64> = events.iter().filter_map(|(value, _)| number(value)).collect();
            let known = store.ozone_events_known(&endpoint.name, &ids).await?;
            let new = events
                .iter_mut()
                .filter(|(value, _)| number(value).is_none_or(|id| !known.contains(&id)));
            let mut new: Vec<&mut OzoneEvent> = new.filter_map(|(_, event)| event.as_mut().ok()).collect();
            let reports = (prefix.as_deref(), &mut new[..]);
            let unseen = self.show((endpoint, inwards), reports, (&mut is_shown, ends_at)).await;
            for (value, event) in &events {
                if number(value).is_some_and(|id| known.contains(&id)) {
                    continue;
                }
                let event = match event {
                    Ok(event) => event,
                    // Without a number it cannot be noted, and is counted each time that it is read.
                    Err(error) => {
                        tracing::warn!(endpoint = %endpoint.name, error = %error, "an event of Ozone could not be read");
                        self.note(endpoint, (number(value), None), "malformed").await?;
                        continue;
                    }
                };
                // An event that was created before decisions were taken was decided without them.
                if event.created_at().is_some_and(|at| at < begun_at) {
                    continue;
                }
                let meaning = inwards.taking.meaning(event, prefix.as_deref());
                let family = meaning.family();
                if family.is_some_and(|family| waiting.contains(&family)) {
                    continue;
                }
                if Instant::now() >= ends_at {
                    return Ok(());
                }
                if unseen.contains(&event.id) {
                    holds_back = true;
                    continue;
                }
                let id = decision_id(endpoint.team, &inwards.url, event.id);
                let by = (endpoint.team, inwards.taking.key);
                let taken = match meaning {
                    Meaning::Report(report) => {
                        self.take_report(endpoint, event, report).await?;
                        continue;
                    }
                    Meaning::Nothing(why) => Some(why),
                    Meaning::Decide(family, ruling) => self.take(by, family, Asked::Decide(id, ruling)).await?,
                    Meaning::Escalate(family, desk, note) => self.take(by, family, Asked::Escalate(desk, note)).await?,
                };
                match taken {
                    Some(outcome) => {
                        reach(FailPoint::OzoneEventTaken);
                        self.note(endpoint, (Some(event.id), event.created_at()), outcome)
                            .await?;
                    }
                    None => waiting.extend(family),
                }
            }
            // A time that has not come would leave out what comes before it.
            let created = events.iter().filter_map(|(_, event)| event.as_ref().ok()?.created_at());
            let latest = created.filter(|at| *at <= latest_time());
            read_through = latest.fold(read_through, Timestamp::max);
            if waiting.is_empty() && !holds_back && read_through > through {
                store
                    .note_ozone_position((&endpoint.name, &endpoint.target), read_through)
                    .await?;
            }
            cursor = page.cursor.filter(|_| !events.is_empty());
            if cursor.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn note(
        &self,
        endpoint: &Endpoint,
        (event, created_at): (Option<i64>, Option<Timestamp>),
        outcome: &'static str,
    ) -> Result<(), StoreError> {
        if let Some(event) = event {
            self.dispatcher
                .store
                .note_ozone_event((&endpoint.name, &endpoint.target), (event, created_at), outcome)
                .await?;
            reach(FailPoint::OzoneEventNoted);
        }
        EventTaken {
            endpoint: &endpoint.name,
            event: event.unwrap_or_default(),
            outcome,
        }
        .emit(&self.metrics);
        Ok(())
    }

    async fn page(&self, inwards: &OzoneInwards, after: Timestamp, cursor: Option<&str>) -> Result<Page, NotRead> {
        let mut url: Url = inwards.url.clone();
        {
            let mut query = url.query_pairs_mut();
            for kind in inwards.taking.types() {
                query.append_pair("types", &kind);
            }
            query.append_pair("sortDirection", "asc");
            query.append_pair("subjectType", "record");
            // What is reported stands anywhere.
            if let Some(collection) = inwards
                .collection
                .as_deref()
                .filter(|_| !inwards.taking.takes_reports())
            {
                query.append_pair("collections", collection);
            }
            query.append_pair("limit", &PAGE.to_string());
            if let Some(after) = instant(after) {
                query.append_pair("createdAfter", &after);
            }
            if let Some(cursor) = cursor {
                query.append_pair("cursor", cursor);
            }
        }
        self.ask(inwards, url).await
    }

    /// Asks an Ozone as its administrator.
    async fn ask<T: DeserializeOwned>(&self, inwards: &OzoneInwards, url: Url) -> Result<T, NotRead> {
        let credentials = ozone_credentials(&inwards.password);
        let credentials = credentials.ok_or_else(|| NotRead::Answer("password_malformed".to_owned()))?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, credentials)]);
        let body = self.client.get((url, headers), BODY_BYTES_MAX).await;
        let body = body.map_err(|why| NotRead::Answer(why.into_owned()))?;
        serde_json::from_slice(&body).map_err(NotRead::Malformed)
    }

    /// What becomes of what a person asks for of a family; `None` where its case is being decided: it is asked for again.
    async fn take(
        &self,
        (team, key): (Team, Option<KeyId>),
        family: FamilyId,
        asked: Asked,
    ) -> Result<Option<&'static str>, NotRead> {
        let Some(key) = key else {
            return Ok(Some("not_meant"));
        };
        let by = (team, key);
        let Some((case, now)) = self.remaining(team, family).await? else {
            return Ok(Some("no_case"));
        };
        let (done, outcome) = match &asked {
            Asked::Decide(id, _) if self.dispatcher.store.has_decision(*id).await? => return Ok(Some("stands")),
            Asked::Decide(_, ruling) if stands(&case, now, (key, ruling)) => return Ok(Some("stands")),
            Asked::Decide(id, ruling) => {
                let decided = self.dispatcher.decide_at_once(by, &case, (*id, ruling)).await;
                (decided.map(drop), "decided")
            }
            // What is decided waits at no desk.
            Asked::Escalate(..) if !matches!(case.state(now), CaseState::Open | CaseState::Claimed) => {
                (Err(Refused::Rules(Refusal::Closed)), "refused")
            }
            Asked::Escalate(desk, _) if case.desk == *desk => return Ok(Some("stands")),
            Asked::Escalate(desk, note) => {
                let command = Command::Escalate {
                    to: *desk,
                    note: note.clone(),
                };
                let escalated = self.dispatcher.claim_and(by, case.id, &command).await;
                (escalated.map(drop), "escalated")
            }
        };
        match done {
            Ok(()) => Ok(Some(outcome)),
            // Somebody's second thoughts, or what this key began before the process ended: soon over.
            Err(Refused::Rules(Refusal::DecisionHeld)) => Ok(None),
            Err(Refused::Rules(Refusal::Claimed)) if held_by(&case, now) == Some(key) => Ok(None),
            Err(Refused::Rules(refusal)) => {
                let said = asked.words();
                self.dispatcher
                    .note_refused(by, case.id, ("ozone_refused", refusal.code(), &said))
                    .await;
                Ok(Some("refused"))
            }
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    async fn remaining(&self, team: Team, family: FamilyId) -> Result<Option<(Case, Timestamp)>, StoreError> {
        match self.dispatcher.store.remaining_case(team, family).await {
            Ok(remaining) => Ok(Some(remaining)),
            Err(StoreError::Refused(Refusal::NoSuchCase)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a person in Ozone wants of a case.
enum Asked {
    Decide(DecisionId, Box<Ruling>),
    Escalate(Desk, String),
}

impl Asked {
    fn words(&self) -> String {
        match self {
            Asked::Decide(_, ruling) => words(ruling),
            Asked::Escalate(desk, note) => format!("{} {note}", desk.name()),
        }
    }
}

/// Who holds the case for no longer than a claim from here does.
fn held_by(case: &Case, now: Timestamp) -> Option<KeyId> {
    let lease = case.live_lease(now).filter(|lease| lease.expires_at - now <= LEASE);
    lease.map(|lease| lease.holder)
}

/// The latest time that an Ozone may say of what was: its clock may be ahead.
fn latest_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)) + OVERLAP
}

/// The id of the decision that an event of an Ozone is for a team: the same whenever it is read, and through whichever endpoint.
fn decision_id(team: Team, url: &Url, event: i64) -> DecisionId {
    DecisionId(digest_id(&format!(
        "tocsin ozone decision\0{}\0{url}\0{event}",
        team.to_number()
    )))
}

const _: () = assert!(
    READ_MAX.as_millis() < ALONE.0 as u128,
    "a read ends before another dispatcher begins one"
);
const _: () = assert!(LEASE.0 < ALONE.0 * 2, "what a process that ended held is over soon");
