use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use futures::Stream;
use tocsin_audit::Action;
use tocsin_runtime::Problem;
use tokio::sync::watch;

use super::reader::Reader;
use super::recorded::record;
use super::stream_slots::StreamSlot;
use super::{INVALID_CURSOR, TOO_MANY_STREAMS};
use crate::answer::{AlertAnswer, alert_answer};
use crate::cursor::Cursor;
use crate::replica::HeldAlert;
use crate::state::QueryState;

/// A stream without alerts says that it lives, and checks its reader's key, this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// A reader that takes nothing for this long while alerts wait is sent away.
pub const STALL_MAX: Duration = Duration::from_secs(60);
/// A stream that goes on is recorded this often.
pub const RECORD_INTERVAL: Duration = Duration::from_secs(60);
/// The most alerts held for one reader; what comes after waits in the replica's ring.
const BUFFER_MAX: usize = 64;

/// The alerts of the reader's scope as they come, as server-sent events
///
/// Events:
/// * `position`: sent first; its id is where the stream begins.
/// * `alert`: an alert; its id is the position behind it. Pass the last id as the header `Last-Event-ID` to go on without gap or double.
/// * `gap`: alerts after `Last-Event-ID` are no longer held; what follows is the oldest that is.
/// * `end`: the last event of a stream, with a `code`: `slow_reader` (alerts waited for a minute and were not taken, or were dropped before they
///   were taken), `unauthenticated` (the key was revoked), `audit_unavailable` (that the stream goes on cannot be recorded), `shutting_down`. But for
///   `unauthenticated`, connect again with the last id.
///
/// Every 15 seconds without an event, a comment.
#[utoipa::path(get, path = "/v1/stream", tag = "query", security(("api_key" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received, or `next` of `/v1/alerts`")),
    responses(
        (status = 200, description = "Events", body = AlertAnswer, content_type = "text/event-stream"),
        (status = 400, description = "`invalid_cursor`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`, `too_many_streams`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn stream(
    State(state): State<QueryState>,
    reader: Reader,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let invalid = || Problem::new(INVALID_CURSOR);
    let cursor = match headers.get("last-event-id") {
        None => state.replica().alerts.end(reader.scope),
        Some(id) => {
            let id = id.to_str().map_err(|_| invalid())?;
            Cursor::open(state.key(), reader.scope, id).map_err(|_| invalid())?
        }
    };
    let slot = state
        .slots()
        .take(reader.scope)
        .ok_or_else(|| Problem::new(TOO_MANY_STREAMS).with_retry_after_s(15))?;
    let follower = Follower::new(state, reader, cursor, slot);
    Ok(Sse::new(futures::stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })))
}

/// One stream. It is asked for the next event when the connection takes one, so a reader that takes none costs the buffer and no more.
struct Follower {
    state: QueryState,
    reader: Reader,
    cursor: Cursor,
    _slot: StreamSlot,
    arrivals: watch::Receiver<u64>,
    buffer: VecDeque<HeldAlert>,
    phase: Phase,
    stall_max: Duration,
    /// When the last event was handed over.
    handed_at: Instant,
    key_checked_at: Instant,
    recorded_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent.
    Begun,
    /// Alerts that came before the stream may be missing.
    Resuming,
    /// Everything held was sent at least once.
    Following,
    /// The last event was sent.
    Ended,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndCode {
    SlowReader,
    Unauthenticated,
    AuditUnavailable,
    ShuttingDown,
}

impl Follower {
    fn new(state: QueryState, reader: Reader, cursor: Cursor, slot: StreamSlot) -> Self {
        let now = Instant::now();
        Follower {
            arrivals: state.arrivals(),
            stall_max: state.stall_max(),
            state,
            reader,
            cursor,
            _slot: slot,
            buffer: VecDeque::new(),
            phase: Phase::Begun,
            handed_at: now,
            key_checked_at: now,
            recorded_at: now,
        }
    }

    /// The next event; `None` after the last.
    async fn next(&mut self) -> Option<Event> {
        let event = match self.phase {
            Phase::Ended => return None,
            Phase::Begun => {
                self.phase = Phase::Resuming;
                Event::default().event("position").id(self.sealed()).data("{}")
            }
            Phase::Resuming | Phase::Following => self.wait().await,
        };
        self.handed_at = Instant::now();
        Some(event)
    }

    async fn wait(&mut self) -> Event {
        let mut stalled = self.handed_at.elapsed() > self.stall_max && self.phase == Phase::Following;
        loop {
            if self.state.shutdown().is_requested() {
                return self.end(EndCode::ShuttingDown);
            }
            if self.key_checked_at.elapsed() >= HEARTBEAT_INTERVAL {
                self.key_checked_at = Instant::now();
                // A store that does not answer says nothing against the key; new requests are refused meanwhile.
                if let Err(problem) = self.reader.check_again(&self.state).await
                    && problem.status().is_client_error()
                {
                    return self.end(EndCode::Unauthenticated);
                }
            }
            if self.recorded_at.elapsed() >= self.state.record_interval() {
                self.recorded_at = Instant::now();
                let entry = self
                    .reader
                    .principal
                    .audited(Action::StreamWentOn, "GET /v1/stream".to_owned(), None);
                if record(&self.state, entry).await.is_err() {
                    return self.end(EndCode::AuditUnavailable);
                }
            }
            if self.buffer.is_empty() {
                self.arrivals.borrow_and_update();
                let alerts = &self.state.replica().alerts;
                let page = alerts.after(self.reader.scope, &self.cursor, BUFFER_MAX);
                if page.gap {
                    if self.phase == Phase::Following {
                        return self.end(EndCode::SlowReader);
                    }
                    self.cursor.pass_all(&alerts.dropped(self.reader.scope));
                    return Event::default().event("gap").id(self.sealed()).data("{}");
                }
                self.buffer.extend(page.alerts);
                if !page.more {
                    self.phase = Phase::Following;
                }
            }
            if stalled && !self.buffer.is_empty() {
                return self.end(EndCode::SlowReader);
            }
            // From here on it is the alerts that are awaited, not the reader.
            stalled = false;
            if let Some(held) = self.buffer.pop_front() {
                return self.alert(&held);
            }
            let heartbeat = tokio::time::sleep(HEARTBEAT_INTERVAL);
            let shutdown = self.state.shutdown().clone();
            tokio::select! {
                _ = self.arrivals.changed() => {}
                () = shutdown.requested() => {}
                () = heartbeat => return Event::default().comment("alive"),
            }
        }
    }

    fn alert(&mut self, held: &HeldAlert) -> Event {
        self.cursor.pass(held.partition, held.offset);
        let answer = alert_answer(held, &self.state.replica().names);
        let data = serde_json::to_string(&answer).expect("an alert's answer is plain data");
        Event::default().event("alert").id(self.sealed()).data(data)
    }

    fn end(&mut self, code: EndCode) -> Event {
        self.phase = Phase::Ended;
        if code == EndCode::SlowReader {
            self.state.metrics().streams_evicted.inc();
        }
        let data = format!(r#"{{"code":"{}"}}"#, code.name());
        Event::default().event("end").data(data)
    }

    fn sealed(&self) -> String {
        self.cursor
            .seal(self.state.key(), self.reader.scope, self.state.alert_partitions())
    }
}

impl EndCode {
    #[cfg(test)]
    pub(super) const ALL: [EndCode; 4] = [
        EndCode::SlowReader,
        EndCode::Unauthenticated,
        EndCode::AuditUnavailable,
        EndCode::ShuttingDown,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            EndCode::SlowReader => "slow_reader",
            EndCode::Unauthenticated => "unauthenticated",
            EndCode::AuditUnavailable => "audit_unavailable",
            EndCode::ShuttingDown => "shutting_down",
        }
    }
}
