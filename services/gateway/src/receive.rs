use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tocsin_model::Name;
use tocsin_runtime::{Problem, Traceparent, problem};

use crate::admission::Admission;
use crate::answer::{AllRejected, EventsAnswer};
use crate::judge::{Judged, judge};
use crate::media::{ContentEncoding, MediaType, content_encoding, media_type};
use crate::parties::Parties;
use crate::publish::{Publisher, pack};
use crate::telemetry::{EventsReceived, Metrics, RequestRefused};
use crate::{EventDocument, GatewayConfig, body, problems};

/// The state of the gateway.
pub struct Gateway {
    pub(crate) limits: GatewayConfig,
    pub(crate) admission: Admission,
    pub(crate) parties: Parties,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Metrics,
}

struct Received {
    party: Name,
    answer: EventsAnswer,
}

/// Publishes events: one or many, as JSON (an object or an array), NDJSON, or Avro (single-object encoding of an event or a batch),
/// optionally with `Content-Encoding: gzip`.
///
/// Accepted means: on disk. An event that is sent twice is accepted twice and counted once, by its `event_id`: after any answer but 202
/// and 4xx, or after none, send the request again. Limits: 10,000 events, and the bytes the operator states (1 MiB by default).
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    operation_id = "publish_events",
    request_body(
        description = "One event or many",
        content(
            (EventDocument = "application/json"),
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/avro")
        )
    ),
    responses(
        (status = 202, description = "At least one event was accepted; `results` tells of each", body = EventsAnswer),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The key may not publish", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too many bytes or events", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Another media type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No event was accepted", body = AllRejected, content_type = "application/problem+json"),
        (status = 503, description = "Try again after `Retry-After` seconds", body = Problem, content_type = "application/problem+json")
    ),
    security(("api_key" = []))
)]
pub(crate) async fn post_events(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let began = Instant::now();
    let header = request.headers().get(Traceparent::HEADER).map(HeaderValue::as_bytes);
    let trace = Traceparent::from_header(header).child();
    match gateway.receive(request, trace).await {
        Ok(Received { party, answer }) => {
            EventsReceived {
                party: &party,
                answer: &answer,
                trace,
                took: began.elapsed(),
            }
            .emit(&gateway.metrics);
            respond(answer)
        }
        Err(problem) => {
            RequestRefused {
                problem: &problem,
                trace,
                took: began.elapsed(),
            }
            .emit(&gateway.metrics);
            refuse(problem)
        }
    }
}

impl Gateway {
    async fn receive(self: &Arc<Self>, request: Request, trace: Traceparent) -> Result<Received, Problem> {
        let party = self.parties.authenticate(request.headers()).await?;
        let media_type = media_type(request.headers())?;
        let encoding = content_encoding(request.headers())?;
        let place = self.admission.enter(party.id)?;
        let platforms = self.parties.platforms(&party).await?;
        let body = body::read(request.into_body(), &self.limits).await?;
        let reading = self.admission.reading().await;

        // Ten thousand events take tens of milliseconds to read: too long for a thread that serves others. The place goes along: when the
        // client hangs up this future is dropped, but the thread goes on, and holds the body while the log makes it wait.
        let (gateway, name) = (Arc::clone(self), party.name.clone());
        let work = move || {
            let (records, answer) = gateway.read(body, encoding, media_type, &platforms)?;
            drop(reading);
            let appended = match records.is_empty() {
                true => None,
                false => Some(gateway.publisher.begin(&name, records, trace)?),
            };
            Ok::<_, Problem>((appended, answer, place))
        };
        let (appended, answer, _place) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Problem::internal(&error))??;
        if let Some(completion) = appended {
            self.publisher.finish(&party.name, completion).await?;
        }
        Ok(Received {
            party: party.name,
            answer,
        })
    }

    fn read(
        &self,
        body: Bytes,
        encoding: ContentEncoding,
        media_type: MediaType,
        platforms: &[Name],
    ) -> Result<(Vec<Bytes>, EventsAnswer), Problem> {
        let body = body::inflate(body, encoding, &self.limits)?;
        let Judged { events, answer } = judge(&body, media_type, platforms)
            .map_err(|error| Problem::new(problems::of_body(&error)).with_detail(error.to_string()))?;
        if answer.results.is_empty() {
            return Err(Problem::new(problems::NO_EVENTS));
        }
        Ok((pack(&events), answer))
    }
}

fn respond(answer: EventsAnswer) -> Response {
    if answer.accepted + answer.duplicates > 0 {
        return (StatusCode::ACCEPTED, Json(answer)).into_response();
    }
    let problem = Problem::new(problems::ALL_REJECTED);
    let status = problem.status();
    let mut response = (status, Json(AllRejected { problem, answer })).into_response();
    let media_type = HeaderValue::from_static(problem::MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// A connection on which a body was left unread is of no more use; the client is told, and does not wait to send the rest.
fn refuse(problem: Problem) -> Response {
    let leaves_body = matches!(problem.status().as_u16(), 408 | 413);
    let mut response = problem.into_response();
    if leaves_body {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
