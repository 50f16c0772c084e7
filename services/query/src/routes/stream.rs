use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use futures::Stream;
use serde::Deserialize;
use tocsin_audit::Action;
use tocsin_model::Scope;
use tocsin_runtime::Problem;
use tocsin_velocity::figures::WindowLength;
use tocsin_wire::document::instant;
use tokio::sync::watch;
use utoipa::IntoParams;

use super::parameters::{Parameters, refused};
use super::reader::Reader;
use super::recorded::record;
use super::stream_slots::StreamSlot;
use super::trending::ranking;
use super::{INVALID_CURSOR, TOO_MANY_STREAMS};
use crate::answer::{AlertAnswer, FrameAnswer, alert_answer, all_that_spreads};
use crate::cursor::Cursor;
use crate::frames::{FrameReader, Waiting};
use crate::replica::HeldAlert;
use crate::state::QueryState;
use crate::tail::now_ms;

/// A stream without alerts says that it lives, and checks its reader's key, this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// A reader that takes nothing for this long while alerts or frames wait is sent away.
pub const STALL_MAX: Duration = Duration::from_secs(60);
/// A stream that goes on is recorded this often.
pub const RECORD_INTERVAL: Duration = Duration::from_secs(60);
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
/// * `moved`: where `events` asks for it, once a second at most: the families of the scope whose figures changed, with the figures that they have now.
///   The first tells what spread in the last five minutes. It has no id: after a broken connection the first one of the next stream tells all again.
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
            // First the reader, then what it begins with: what moves in between comes with the next frame.
            let frames = state.frames().follow(state.replica(), reader.scope);
            let first = first_frame(&state, reader.scope, frames.passed()).await?;
            Some((frames, first))
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

/// What spread in the last five minutes, as the frame before the next.
async fn first_frame(state: &QueryState, scope: Scope, passed: u64) -> Result<String, Problem> {
    // One that was begun before may lack what moved since and is marked no more.
    let ranking = ranking(state, scope, WindowLength::Minutes5, Some(Instant::now())).await?;
    let all = all_that_spreads(state.replica(), ranking.families(), now_ms());
    let frame = FrameAnswer {
        frame: passed,
        frames: 0,
        as_of: all.as_of.and_then(instant),
        families: all.families.into_iter().map(|(_, figures)| figures).collect(),
        families_left_out: all.left_out,
    };
    Ok(serde_json::to_string(&frame).expect("a frame is plain data"))
}

/// One stream. It is asked for the next event when the connection takes one, so a reader that takes none costs the buffer and no more.
struct Follower {
    state: QueryState,
    reader: Reader,
    cursor: Cursor,
    _slot: StreamSlot,
    wanted: Wanted,
    arrivals: watch::Receiver<u64>,
    frames: Option<FrameReader>,
    /// Sent behind the position.
    first_frame: Option<String>,
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
    fn new(
        state: QueryState,
        reader: Reader,
        cursor: Cursor,
        slot: StreamSlot,
        wanted: Wanted,
        frames: Option<(FrameReader, String)>,
    ) -> Self {
        let now = Instant::now();
        let (frames, first_frame) = frames.unzip();
        Follower {
            arrivals: state.arrivals(),
            stall_max: state.stall_max(),
            state,
            reader,
            cursor,
            _slot: slot,
            wanted,
            frames,
            first_frame,
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
                if let Err(problem) = self.state.key_checks().check(&self.state, &self.reader).await
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
            if let Some(first) = self.first_frame.take() {
                return Event::default().event("moved").data(first);
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
                return self.alert(&held);
            }
            if !self.wanted.alerts {
                self.phase = Phase::Following;
            }
            match self.frames.as_mut().map_or(Waiting::Nothing, FrameReader::take) {
                Waiting::Nothing => {}
                Waiting::Frame(text) => return Event::default().event("moved").data(&*text),
                Waiting::TooLate => return self.end(EndCode::SlowReader),
            }
            let heartbeat = tokio::time::sleep(HEARTBEAT_INTERVAL);
            let shutdown = self.state.shutdown().clone();
            tokio::select! {
                _ = self.arrivals.changed(), if self.wanted.alerts => {}
                () = changed(&mut self.frames) => {}
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

/// Waits for a frame, for ever where none is wanted.
async fn changed(frames: &mut Option<FrameReader>) {
    match frames {
        Some(frames) => frames.changed().await,
        None => std::future::pending().await,
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
