//! Declaring and listing incidents.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tocsin_incident::{Declaration, IncidentId, Phase, TITLE_BYTES_MAX};
use tocsin_model::DrillId;
use tocsin_runtime::{Problem, problem};
use tocsin_store::{IncidentQuery, NewIncident};

use super::super::refused::Refused;
use super::documents::{IncidentDocument, IncidentsDocument};
use super::requests::{DeclareRequest, IncidentsParameters, MarkingRequest};
use super::{CommandRefusals, NotShared, answered_incident, answered_plainly};
use crate::routes::body;
use crate::{Dispatcher, problems};

const LIMIT_DEFAULT: u32 = 20;
/// What the titles of incidents in drills begin with.
const DRILL_TITLE: &str = "DRILL: ";

/// Declares an incident, from an alert, a case of the coordinators, a notice or by hand; for coordinators. It keeps its protocol in this version.
#[utoipa::path(
    post,
    path = "/v1/incidents",
    tag = "incidents",
    operation_id = "declare_incident",
    request_body = DeclareRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn declare_incident(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let declare = async {
        let asking = dispatcher.incident_moderator(request.headers()).await?;
        let asked: DeclareRequest = body::read(request).await?;
        let (origin, protocol, families) = (asked.origin()?, asked.protocol(), asked.families()?);
        let new = NewIncident {
            declaration: Declaration {
                title: titled(asked.title, dispatcher.store.drill()),
                origin,
                protocol,
                marking: MarkingRequest::read(asked.marking)?,
            },
            families,
        };
        let declared = dispatcher
            .store
            .declare_incident(asking, IncidentId(rand::random()), &new)
            .await;
        let declared = declared.map_err(|error| problems::of_store(&error))?;
        dispatcher.incidents.changed.notify_one();
        dispatcher.incident_document(&declared.incident, asking.team).await
    };
    answered_incident(&dispatcher, "declare_incident", declare.await)
}

/// The title of an incident, which says of one in a drill that it is: its end makes room for that. What is no title of a real one is none of a drill's.
fn titled(title: String, drill: Option<DrillId>) -> String {
    let is_title = (1..=TITLE_BYTES_MAX).contains(&title.len());
    if drill.is_none() || !is_title || title.starts_with(DRILL_TITLE) {
        return title;
    }
    let mut titled = format!("{DRILL_TITLE}{title}");
    titled.truncate(titled.floor_char_boundary(TITLE_BYTES_MAX));
    titled
}

/// The incidents that are shared with you, the latest first.
#[utoipa::path(
    get,
    path = "/v1/incidents",
    tag = "incidents",
    operation_id = "list_incidents",
    params(IncidentsParameters),
    responses(
        (status = 200, description = "A page of them", body = IncidentsDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The key may not read", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    ),
    security(("api_key" = []))
)]
pub(crate) async fn list_incidents(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<IncidentsParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let list = async {
        let asking = dispatcher.incident_reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail.to_owned());
        let Query(asked) = parameters.map_err(|error| invalid(&error.body_text()))?;
        let phase = asked.phase.as_deref().map(|text| {
            let phase = Phase::from_name(text);
            phase.ok_or_else(|| invalid("phase: declared, active or concluded"))
        });
        let not_of_here = || invalid("after: what next said");
        let after = asked.after.as_deref().map(str::parse).transpose();
        let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=IncidentQuery::LIMIT_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 100"));
        }
        let query = IncidentQuery {
            phase: phase.transpose()?,
            limit,
            after: after.map_err(|_| not_of_here())?,
        };
        let page = dispatcher.store.incidents(asking, &query).await;
        let page = page
            .map_err(|error| problems::of_store(&error))?
            .ok_or_else(not_of_here)?;
        let mut incidents = Vec::with_capacity(page.incidents.len());
        for incident in &page.incidents {
            incidents.push(dispatcher.incident_document(incident, asking.team).await?);
        }
        Ok(IncidentsDocument {
            incidents,
            next: page.next.map(|id| id.to_string()),
        })
    };
    answered_plainly(&dispatcher, "list_incidents", list.await)
}

#[cfg(test)]
mod tests {
    //! Goal: an incident in a drill says so in its title, once; a real one is called what it was called.

    use super::*;

    #[test]
    fn the_title_of_an_incident_in_a_drill_says_so() {
        let drill = Some(DrillId(7));
        assert_eq!(titled("Attack".to_owned(), drill), "DRILL: Attack");
        assert_eq!(titled("DRILL: Attack".to_owned(), drill), "DRILL: Attack");
        assert_eq!(titled("Attack".to_owned(), None), "Attack");
        // No title is refused as no title.
        assert_eq!(titled(String::new(), drill), "");
    }
}
