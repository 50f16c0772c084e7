use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use tocsin_audit::Action;
use tocsin_casework::{CaseId, CaseState, Change, Glance, RankClass};
use tocsin_model::{KeyId, Milliseconds, Timestamp};
use tocsin_runtime::streams::{EndCode, HEARTBEAT_INTERVAL, KeyCheck};
use tocsin_runtime::{Problem, http, problem};
use tocsin_store::{StoreError, Watched};
use tocsin_wire::document::instant;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access::Access;
use super::documents::CaseLease;
use super::queue_documents::{LeaseEndsDocument, QueueEventDocument, QueueUpdateDocument};
use super::refused::{NotRead, Refused};
use crate::queue_updates::{HeldCase, Taken, Told, Watching};
use crate::telemetry::{CommandAnswered, StoreFailed};
use crate::{Dispatcher, problems};

/// Whoever was away for longer reads the queue anew.
const AWAY_MAX: Milliseconds = Milliseconds::from_hours(1);

/// What changes in the queue of the key's team, as server-sent events
///
/// Nobody has to ask again and again: a change is told within a second or two, whichever dispatcher made it. Events:
/// * `position`: sent first, but for a `gap`; its id is where the stream begins. Whoever reads the queue after it misses nothing.
/// * `case`: something changed of a case (`QueueUpdateDocument`): it is told whole, as it is then, so that a change that is told twice is told once. Its id
///   is how far the stream has come. Pass the last id as the header `Last-Event-ID` to go on, at any dispatcher: what was written since is told as it is
///   now, some of it again; so is whoever reads more slowly than the updates come. A change without an id is time's doing, or that of the order of the others: of these, what happened while you were away is told
///   of leases alone.
/// * `figures`: the case that you hold (as `/v1/queue/claim` answers), whose alert changed or whose live priority moved by a tenth.
/// * `lease`: your lease of a case ends within 30 seconds (`LeaseEndsDocument`).
/// * `gap`: `Last-Event-ID` is more than an hour back, and nothing of what was since is told: read the queue again.
/// * `end`: the last event of a stream, with a `code`: `slow_reader` (updates waited for a minute and were not taken), `unauthenticated` (the key was revoked), `audit_unavailable` (that the stream goes on cannot be recorded), `shutting_down`. But for
///   `unauthenticated`, connect again with the last id.
///
/// Every 15 seconds without an event, a comment.
#[utoipa::path(
    get,
    path = "/v1/queue/updates",
    tag = "casework",
    operation_id = "watch_queue",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received")),
    responses(
        (status = 200, description = "Events", body = QueueEventDocument, content_type = "text/event-stream"),
        (status = 400, description = "`Last-Event-ID` is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_streams`", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn watch_queue(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let follower = Follower::open(&dispatcher, headers).await;
    CommandAnswered {
        command: "watch_queue",
        code: follower.as_ref().map_or_else(Problem::code, |_| "ok"),
    }
    .emit(&dispatcher.metrics);
    match follower {
        Ok(follower) => {
            let events = futures::stream::unfold(follower, |mut follower| async {
                let event = follower.next().await?;
                Some((Ok::<Event, Infallible>(event), follower))
            });
            Sse::new(events).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// One stream. It is asked for the next event when the connection takes one, so a reader that takes none costs a page at most.
struct Follower {
    dispatcher: Arc<Dispatcher>,
    access: Arc<Access>,
    headers: Arc<HeaderMap>,
    watching: Watching,
    ticks: watch::Receiver<u64>,
    phase: Phase,
    /// How far it has come in the order of what is written.
    position: Timestamp,
    /// Events of the cases that the key holds, and of what changed while the reader was away.
    buffer: VecDeque<Event>,
    /// When the last event was handed over.
    handed_at: Instant,
    key_checked_at: Instant,
    /// The check of the key that is under way; dropping it ends it.
    key_check: JoinSet<KeyCheck>,
    recorded_at: Instant,
}

enum Phase {
    /// Nothing was sent.
    Begun { since: Option<Timestamp>, now: Timestamp },
    /// What changed while the reader was away is told, page by page, as what it is since then.
    Resuming { watched: Watched, since: Timestamp },
    /// After it, the leases that ended since, page by page: behind which case to go on.
    EndedLeases {
        since: Timestamp,
        after: Option<(Timestamp, CaseId)>,
    },
    /// Everything that is new is told.
    Following,
    /// The last event was sent.
    Ended,
}

impl Follower {
    async fn open(dispatcher: &Arc<Dispatcher>, headers: HeaderMap) -> Result<Follower, Problem> {
        let access = dispatcher.reader(&headers).await?;
        let since = match headers.get("last-event-id") {
            None => None,
            Some(id) => {
                let id = id.to_str().ok().and_then(position);
                let invalid = "Last-Event-ID: not the id of an event";
                Some(id.ok_or_else(|| Problem::new(problem::INVALID_PARAMETER).with_detail(invalid))?)
            }
        };
        let ticks = dispatcher.queue_updates.ticks();
        let who = access.principal.key_id;
        let (watching, now) = dispatcher.watch_queue(access.team, who).await?;
        let at = Instant::now();
        Ok(Follower {
            dispatcher: Arc::clone(dispatcher),
            access: Arc::new(access),
            headers: Arc::new(headers),
            watching,
            ticks,
            phase: Phase::Begun { since, now },
            position: since.map_or(now, |since| since.min(now)),
            buffer: VecDeque::new(),
            handed_at: at,
            key_checked_at: at,
            key_check: JoinSet::new(),
            recorded_at: at,
        })
    }

    /// The next event; `None` after the last.
    async fn next(&mut self) -> Option<Event> {
        let event = match self.phase {
            Phase::Ended => return None,
            Phase::Begun { since, now } => {
                self.begin(since, now);
                match self.buffer.pop_front() {
                    Some(gap) => gap,
                    None => Event::default().event("position").id(self.id()).data("{}"),
                }
            }
            Phase::Resuming { .. } | Phase::EndedLeases { .. } | Phase::Following => self.wait().await,
        };
        self.handed_at = Instant::now();
        Some(event)
    }

    fn begin(&mut self, since: Option<Timestamp>, now: Timestamp) {
        self.phase = match since {
            None => Phase::Following,
            Some(since) if now - since > AWAY_MAX => {
                self.position = now;
                let gap = Event::default().event("gap").id(self.id()).data("{}");
                self.buffer.push_back(gap);
                Phase::Following
            }
            Some(since) => self.resuming(since.min(now)),
        };
    }

    fn resuming(&self, since: Timestamp) -> Phase {
        Phase::Resuming {
            watched: Watched::resumed(self.access.team, since),
            since,
        }
    }

    async fn wait(&mut self) -> Event {
        let times = self.dispatcher.queue_updates.times();
        let mut stalled = self.handed_at.elapsed() > times.stall_max;
        loop {
            if self.dispatcher.queue_updates.shutdown().is_requested() {
                return self.end(EndCode::ShuttingDown);
            }
            self.check_key();
            if let Some(Ok(KeyCheck::Refused)) = self.key_check.try_join_next() {
                return self.end(EndCode::Unauthenticated);
            }
            if self.recorded_at.elapsed() >= times.record_interval {
                self.recorded_at = Instant::now();
                let principal = &self.access.principal;
                let entry = principal.audited(Action::StreamWentOn, "GET /v1/queue/updates".to_owned(), None);
                if self.dispatcher.record(entry).await.is_err() {
                    return self.end(EndCode::AuditUnavailable);
                }
            }
            if stalled && (self.watching.is_behind() || !self.buffer.is_empty()) {
                return self.end(EndCode::SlowReader);
            }
            // From here on it is what happens that is awaited, not the reader.
            stalled = false;
            if let Some(event) = self.buffer.pop_front() {
                return event;
            }
            if !matches!(self.phase, Phase::Following) {
                match self.resume().await {
                    Ok(()) => continue,
                    Err(error) => {
                        StoreFailed { error: &error }.emit(&self.dispatcher.metrics);
                        if self.handed_at.elapsed() >= HEARTBEAT_INTERVAL {
                            return Event::default().comment("alive");
                        }
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                        continue;
                    }
                }
            }
            self.ticks.borrow_and_update();
            match self.watching.take() {
                Taken::Update(told) => return self.told(&told),
                // From the store it is told whole, and once, however often it changed.
                Taken::Missed => {
                    self.phase = self.resuming(self.position);
                    continue;
                }
                Taken::Nothing => {}
            }
            self.look_at_held().await;
            if !self.buffer.is_empty() {
                continue;
            }
            let heartbeat = tokio::time::sleep_until((self.handed_at + HEARTBEAT_INTERVAL).into());
            let shutdown = self.dispatcher.queue_updates.shutdown().clone();
            tokio::select! {
                _ = self.ticks.changed() => {}
                () = shutdown.requested() => {}
                Some(checked) = self.key_check.join_next(), if !self.key_check.is_empty() => {
                    if let Ok(KeyCheck::Refused) = checked {
                        return self.end(EndCode::Unauthenticated);
                    }
                }
                () = heartbeat => return Event::default().comment("alive"),
            }
        }
    }

    fn check_key(&mut self) {
        if self.key_checked_at.elapsed() < KEY_CHECK_INTERVAL || !self.key_check.is_empty() {
            return;
        }
        self.key_checked_at = Instant::now();
        let (dispatcher, access) = (Arc::clone(&self.dispatcher), Arc::clone(&self.access));
        let headers = Arc::clone(&self.headers);
        self.key_check.spawn(async move {
            let is_refused = access.is_over(&dispatcher, &headers);
            let checks = dispatcher.queue_updates.key_checks();
            // A session may be over while the key of its person holds.
            let token = http::bearer_token(&headers).unwrap_or_default();
            checks.check(token, is_refused).await
        });
    }

    /// The next page of what changed while the reader was away; after the last, the leases that ended.
    async fn resume(&mut self) -> Result<(), StoreError> {
        let dispatcher = Arc::clone(&self.dispatcher);
        let _turn = dispatcher.queue_updates.resume().await;
        let (watched, since) = match &mut self.phase {
            Phase::Resuming { watched, since } => (watched, *since),
            Phase::EndedLeases { since, after } => {
                let (since, after) = (*since, *after);
                return self.ended_leases(since, after).await;
            }
            _ => return Ok(()),
        };
        let (glances, now) = dispatcher.store.watch_cases(watched).await?;
        if glances.is_empty() {
            self.phase = Phase::EndedLeases { since, after: None };
            return Ok(());
        }
        for (glance, written_at) in glances {
            self.position = self.position.max(written_at);
            let change = glance.change_since(since, now);
            let event = self.case(change, &glance, (None, now), false).id(self.id());
            self.buffer.push_back(event);
        }
        Ok(())
    }

    async fn ended_leases(&mut self, since: Timestamp, after: Option<(Timestamp, CaseId)>) -> Result<(), StoreError> {
        let store = &self.dispatcher.store;
        let (ended, now) = store.ended_leases(self.access.team, since, after).await?;
        let last = ended.last().map(|(glance, written_at)| (*written_at, glance.id));
        for (glance, _) in ended {
            let change = match glance.state(now) {
                CaseState::Open => Change::Returned,
                _ => glance.change_since(since, now),
            };
            let was_yours = glance.lease.is_some_and(|lease| lease.holder == self.who());
            let told = self.case(change, &glance, (None, now), was_yours);
            self.buffer.push_back(told);
        }
        self.phase = match last {
            Some(_) => Phase::EndedLeases { since, after: last },
            None => Phase::Following,
        };
        Ok(())
    }

    fn told(&mut self, told: &Told) -> Event {
        let update = &told.update;
        let was_yours = update.former_holder == Some(self.who());
        let event = self.case(update.change, &update.glance, (update.rank, update.at), was_yours);
        match told.written_at {
            Some(at) => {
                self.position = self.position.max(at);
                event.id(self.id())
            }
            None => event,
        }
    }

    fn case(
        &self,
        change: Change,
        glance: &Glance,
        (rank, at): (Option<RankClass>, Timestamp),
        was_yours: bool,
    ) -> Event {
        let who = self.who();
        let document = QueueUpdateDocument {
            case: glance.id.to_string(),
            change: change.name(),
            state: glance.state(at).name(),
            family: glance.family.to_string(),
            version: glance.version,
            lane: glance.lane.name(),
            desk: glance.desk.name(),
            severity: glance.severity,
            rank: rank.map(RankClass::name),
            priority: glance.priority,
            live_priority: self.dispatcher.ranking.priority(glance.id),
            waiting_since: instant(glance.waiting_since),
            held_until: glance.held_until.filter(|until| at < *until).and_then(instant),
            notice_due_at: glance.due_at.and_then(instant),
            fencing: glance.fencing,
            lease: glance.live_lease(at).map(|lease| CaseLease {
                holder: lease.holder.to_string(),
                is_yours: lease.holder == who,
                expires_at: instant(lease.expires_at),
            }),
            was_yours,
            verdict: glance
                .decision
                .filter(|_| glance.decided_by == Some(who))
                .map(|(_, verdict)| verdict.name()),
            merged_into: glance.merged.map(|merged| merged.into.to_string()),
            at: instant(at),
        };
        event(QueueEventDocument::Case(Box::new(document)))
    }

    /// What is to be told of the cases that the key holds. What cannot be read is told when it moves next.
    async fn look_at_held(&mut self) {
        for held in self.watching.held(&self.dispatcher.ranking) {
            let told = match held {
                HeldCase::Figures(case) => self.figures(case).await,
                HeldCase::LeaseEnds(glance, now) => glance.live_lease(now).map(|lease| {
                    let document = LeaseEndsDocument {
                        case: glance.id.to_string(),
                        fencing: glance.fencing,
                        expires_at: instant(lease.expires_at),
                        left_ms: (lease.expires_at - now).0,
                    };
                    event(QueueEventDocument::Lease(document))
                }),
            };
            self.buffer.extend(told);
        }
    }

    async fn figures(&self, case: CaseId) -> Option<Event> {
        match self.dispatcher.store.case(self.access.team, case).await {
            Ok((case, now)) => {
                let is_held = case.live_lease(now).is_some_and(|lease| lease.holder == self.who());
                let document = || Box::new(self.dispatcher.document(&case, now, &self.access));
                is_held.then(|| event(QueueEventDocument::Figures(document())))
            }
            Err(error) => {
                tracing::debug!(problem = problems::of_store(&error).code(), "a held case was not told");
                None
            }
        }
    }

    fn end(&mut self, code: EndCode) -> Event {
        self.phase = Phase::Ended;
        if code == EndCode::SlowReader {
            self.dispatcher.queue_updates.evicted();
        }
        code.event()
    }

    fn who(&self) -> KeyId {
        self.access.principal.key_id
    }

    fn id(&self) -> String {
        format!("{:x}", self.position.0)
    }
}

/// A connection on which nothing was taken for too long is cut off without an `end`: its reader was sent away all the same.
impl Drop for Follower {
    fn drop(&mut self) {
        let updates = &self.dispatcher.queue_updates;
        let is_stalled = self.handed_at.elapsed() > updates.times().stall_max;
        let waits = !self.buffer.is_empty() || self.watching.is_behind();
        if !matches!(self.phase, Phase::Ended) && is_stalled && waits {
            updates.evicted();
        }
    }
}

/// How often a stream's key is checked.
const KEY_CHECK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

fn event(document: QueueEventDocument) -> Event {
    let name = match document {
        QueueEventDocument::Case(_) => "case",
        QueueEventDocument::Figures(_) => "figures",
        QueueEventDocument::Lease(_) => "lease",
    };
    let data = serde_json::to_string(&document).expect("a document is plain data");
    Event::default().event(name).data(data)
}

/// The position that an id stands for.
fn position(id: &str) -> Option<Timestamp> {
    let is_hex = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| i64::from_str_radix(id, 16).ok().map(Timestamp))?
}

#[cfg(test)]
mod tests {
    //! Goal: ids read back, and no other text is one.
    use super::*;

    #[test]
    fn an_id_reads_back_and_no_other_text_is_one() {
        for at in [0, 1, 1_700_000_000_000, i64::MAX] {
            assert_eq!(position(&format!("{at:x}")), Some(Timestamp(at)));
        }
        for wrong in ["", "-1", "+1", "x", "1 ", "ffffffffffffffff", "10000000000000000"] {
            assert_eq!(position(wrong), None, "{wrong}");
        }
    }
}
