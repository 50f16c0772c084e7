use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use futures::Stream;
use serde::Deserialize;
use tocsin_audit::Action;
use tocsin_runtime::Problem;
use tocsin_runtime::streams::{EndCode, HEARTBEAT_INTERVAL, KeyCheck};
use tokio::sync::watch;
use tokio::task::JoinSet;
use utoipa::IntoParams;

use super::first_frame::first_frame;
use super::parameters::{Parameters, refused};
use super::reader::Reader;
use super::recorded::record;
use super::{INVALID_CURSOR, TOO_MANY_STREAMS};
use crate::answer::{AlertAnswer, alert_answer};
use crate::cursor::Cursor;
use crate::frames::{FrameReader, Waiting};
use crate::replica::HeldAlert;
use crate::state::{QuerySlot, QueryState};

/// The most alerts held for one reader; what comes after waits in the replica's ring.
const BUFFER_MAX: usize = 64;

/// What a stream tells.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamParameters {
    /// `alerts` (the default), `moved`, or `alerts,moved`.
    events: Option<String>,
}

/// The alerts of the reader's scope as they come, and what moves in it, as server-sent events
///
/// Events:
/// * `position`: sent first; its id is where the stream begins.
/// * `alert`: an alert; its id is the position behind it. Pass the last id as the header `Last-Event-ID` to go on without gap or double.
/// * `moved`: where `events` asks for it, once a second at most: the families of the scope in which something happened, with the figures that they have
///   now, and those that are hot no more or were merged into others. Where nothing happens nothing is told: figures of windows fall as time passes.
///   The first tells the 100 families that spread most in the last five minutes; the others come when they move, or ask `/v1/trending?window=5m`. What
///   moved while it was made comes with the next. It has no id: after a broken connection the first one of the next stream tells those that spread most
///   again, and so does one in between (`frames` 0) where a reader that takes older alerts first was not offered its frames in time.
/// * `gap`: alerts after `Last-Event-ID` are no longer held; what follows is the oldest that is.
/// * `end`: the last event of a stream, with a `code`: `slow_reader` (alerts or frames waited for a minute and were not taken, or were dropped before they
///   were taken), `unauthenticated` (the key was revoked), `audit_unavailable` (that the stream goes on cannot be recorded), `shutting_down`. But for
///   `unauthenticated`, connect again with the last id.
///
/// Every 15 seconds without an event, a comment.
#[utoipa::path(get, path = "/v1/stream", tag = "query", security(("api_key" = [])),
    params(StreamParameters, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received, or `next` of `/v1/alerts`")),
    responses(
        (status = 200, description = "Events", body = AlertAnswer, content_type = "text/event-stream"),
        (status = 400, description = "`invalid_parameter`, `invalid_cursor`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`, `too_many_streams`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn stream(
    State(state): State<QueryState>,
    reader: Reader,
    headers: HeaderMap,
    Parameters(parameters): Parameters<StreamParameters>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let wanted = Wanted::parse(parameters.events.as_deref())?;
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
        .take(reader.scope, reader.key_id)
        .ok_or_else(|| Problem::new(TOO_MANY_STREAMS).with_retry_after_s(15))?;
    let frames = match wanted.moved {
        true => {
            let frames = state.frames().follow(state.replica(), reader.scope);
            Some(first_frame(&state, frames).await?)
        }
        false => None,
    };
    let follower = Follower::new(state, reader, cursor, slot, wanted, frames);
    Ok(Sse::new(futures::stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })))
}

/// What a reader wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    alerts: bool,
    moved: bool,
}

impl Wanted {
    fn parse(events: Option<&str>) -> Result<Wanted, Problem> {
        let mut wanted = Wanted::default();
        for name in events.unwrap_or("alerts").split(',') {
            match name {
                "alerts" => wanted.alerts = true,
                "moved" => wanted.moved = true,
                _ => return Err(refused("events: alerts, moved, or both with a comma")),
            }
        }
        Ok(wanted)
    }
}

/// One stream. It is asked for the next event when the connection takes one, so a reader that takes none costs the buffer and no more.
struct Follower {
    state: QueryState,
    reader: Arc<Reader>,
    cursor: Cursor,
    _slot: QuerySlot,
    wanted: Wanted,
    arrivals: watch::Receiver<u64>,
    frames: Option<FrameReader>,
    /// Sent behind the position.
    first_frame: Option<Arc<str>>,
    /// Alerts went first while frames waited, since frames were taken last.
    frames_held_up: bool,
    buffer: VecDeque<HeldAlert>,
    phase: Phase,
    stall_max: Duration,
    /// When the last event was handed over.
    handed_at: Instant,
    key_checked_at: Instant,
    /// The check of the key that is under way; dropping it ends it.
    key_check: JoinSet<KeyCheck>,
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

impl Follower {
    fn new(
        state: QueryState,
        reader: Reader,
        cursor: Cursor,
        slot: QuerySlot,
        wanted: Wanted,
        frames: Option<(FrameReader, Arc<str>)>,
    ) -> Self {
        let now = Instant::now();
        let (frames, first_frame) = frames.unzip();
        Follower {
            arrivals: state.arrivals(),
            stall_max: state.stall_max(),
            state,
            reader: Arc::new(reader),
            cursor,
            _slot: slot,
            wanted,
            frames,
            first_frame,
            frames_held_up: false,
            buffer: VecDeque::new(),
            phase: Phase::Begun,
            handed_at: now,
            key_checked_at: now,
            key_check: JoinSet::new(),
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
            if self.key_checked_at.elapsed() >= HEARTBEAT_INTERVAL && self.key_check.is_empty() {
                self.key_checked_at = Instant::now();
                let (state, reader) = (self.state.clone(), Arc::clone(&self.reader));
                self.key_check.spawn(async move { still_holds(&state, &reader).await });
            }
            if let Some(Ok(KeyCheck::Refused)) = self.key_check.try_join_next() {
                return self.end(EndCode::Unauthenticated);
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
            if let Some(first) = self.first_frame.take() {
                return moved(&first);
            }
            if self.wanted.alerts && self.buffer.is_empty() {
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
            let is_behind = self.frames.as_ref().is_some_and(FrameReader::is_behind);
            if stalled && (is_behind || !self.buffer.is_empty()) {
                return self.end(EndCode::SlowReader);
            }
            // From here on it is what happens that is awaited, not the reader.
            stalled = false;
            if let Some(held) = self.buffer.pop_front() {
                self.frames_held_up |= is_behind;
                return self.alert(&held);
            }
            if !self.wanted.alerts {
                self.phase = Phase::Following;
            }
            let held_up = std::mem::take(&mut self.frames_held_up);
            match self.frames.as_mut().map_or(Waiting::Nothing, FrameReader::take) {
                Waiting::Nothing => {}
                Waiting::Frame(text) => return moved(&text),
                // It was not offered them while alerts went first: it begins anew.
                Waiting::TooLate if held_up => match self.begin_anew().await {
                    Some(first) => return moved(&first),
                    None => return self.end(EndCode::SlowReader),
                },
                Waiting::TooLate => return self.end(EndCode::SlowReader),
            }
            // What comes for others is no event of this stream, and puts nothing off.
            let heartbeat = tokio::time::sleep_until((self.handed_at + HEARTBEAT_INTERVAL).into());
            let shutdown = self.state.shutdown().clone();
            tokio::select! {
                _ = self.arrivals.changed(), if self.wanted.alerts => {}
                () = changed(&mut self.frames) => {}
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

    /// What spread most in the last five minutes instead of frames that are no longer kept.
    async fn begin_anew(&mut self) -> Option<Arc<str>> {
        let (frames, first) = first_frame(&self.state, self.frames.take()?).await.ok()?;
        self.frames = Some(frames);
        Some(first)
    }

    /// Whether something is there to be taken.
    fn something_waits(&self) -> bool {
        let alerts = &self.state.replica().alerts;
        !self.buffer.is_empty()
            || self.first_frame.is_some()
            || self.frames.as_ref().is_some_and(FrameReader::is_behind)
            || (self.wanted.alerts && !alerts.after(self.reader.scope, &self.cursor, 1).alerts.is_empty())
    }

    fn alert(&mut self, held: &HeldAlert) -> Event {
        self.cursor.pass(held.partition, held.offset);
        let answer = alert_answer(held, self.reader.scope, &self.state.replica().names);
        let data = serde_json::to_string(&answer).expect("an alert's answer is plain data");
        Event::default().event("alert").id(self.sealed()).data(data)
    }

    fn end(&mut self, code: EndCode) -> Event {
        self.phase = Phase::Ended;
        if code == EndCode::SlowReader {
            self.state.metrics().streams_evicted.inc();
        }
        code.event()
    }

    fn sealed(&self) -> String {
        self.cursor
            .seal(self.state.key(), self.reader.scope, self.state.alert_partitions())
    }
}

/// A connection on which nothing was taken for too long is cut off without an `end`: its reader was sent away all the same.
impl Drop for Follower {
    fn drop(&mut self) {
        if self.phase != Phase::Ended && self.handed_at.elapsed() > self.stall_max && self.something_waits() {
            self.state.metrics().streams_evicted.inc();
        }
    }
}

/// Checks a reader's key again.
async fn still_holds(state: &QueryState, reader: &Reader) -> KeyCheck {
    let is_refused = async {
        let checked = reader.check_again(state).await;
        checked.is_err_and(|problem| problem.status().is_client_error())
    };
    state.key_checks().check(reader.token(), is_refused).await
}

/// A frame as an event.
fn moved(text: &str) -> Event {
    Event::default().event("moved").data(text)
}

/// Waits for a frame, for ever where none is wanted.
async fn changed(frames: &mut Option<FrameReader>) {
    match frames {
        Some(frames) => frames.changed().await,
        None => std::future::pending().await,
    }
}
