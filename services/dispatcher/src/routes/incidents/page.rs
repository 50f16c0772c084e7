//! The page of an incident: what was done, and where it stands now.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tocsin_casework::Team;
use tocsin_incident::{IncidentId, Shown, ShownFigure};
use tocsin_model::{FamilyId, Scope};
use tocsin_protocol::{Figure, Reading, Truth};
use tocsin_runtime::Problem;
use tocsin_store::Asking;
use tocsin_wire::document::{instant, scope_name};
use utoipa::ToSchema;

use super::super::refused::Refused;
use super::assessed::{FamilyClocksDocument, FamilyStandingDocument, ResultDocument, StandingDocument, result};
use super::documents::IncidentDocument;
use super::{AskedCase, NotShared, answered, incident_id, tagged};
use crate::incidents::Standing;
use crate::{Dispatcher, problems};

/// An incident and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentPageDocument {
    /// The incident.
    #[serde(flatten)]
    pub incident: IncidentDocument,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// Where it stands by its protocol now. Null for keys of those who run the deployment, who see no figures here.
    pub standing: Option<StandingDocument>,
}

/// The acts that criteria speak about.
pub(super) enum Act<'a> {
    /// To reach a level.
    Level(&'a str),
    /// To conclude.
    Conclusion,
}

/// The page of an incident: each criterion with its evidence now, met, not met or unknown and why, in your own scope; figures by platform; what is to
/// be done and who takes part. `ETag` names its version.
#[utoipa::path(
    get,
    path = "/v1/incidents/{id}",
    tag = "incidents",
    operation_id = "read_incident",
    params(("id" = String, Path, description = "The incident")),
    responses((status = 200, description = "The page", body = IncidentPageDocument), Refused, NotShared),
    security(("api_key" = []))
)]
pub(crate) async fn read_incident(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let asking = dispatcher.incident_reader(&headers).await?;
        let told = dispatcher.store.incident(asking, incident_id(id)?).await;
        let told = told.map_err(|error| problems::of_store(&error))?;
        let standing = match asking.team {
            None => None,
            Some(team) => Some(dispatcher.standing_document(&told, team).await?),
        };
        Ok(IncidentPageDocument {
            incident: dispatcher.incident_document(&told.incident, asking.team).await?,
            as_of: instant(told.now),
            standing,
        })
    };
    let read = read.await;
    let version = read.as_ref().ok().map(|page| page.incident.version);
    tagged(version, answered(&dispatcher, "read_incident", read))
}

impl Dispatcher {
    pub(super) async fn standing_document(
        &self,
        told: &tocsin_store::IncidentTold,
        team: Team,
    ) -> Result<StandingDocument, Problem> {
        let protocol = self.protocol(&told.incident.protocol).await;
        let protocol = protocol.map_err(|error| problems::of_store(&error))?;
        let standing = self.standing((&told.incident, team), &protocol, told.now);
        let levels = protocol.levels.iter().zip(&standing.levels);
        let names = self.names();
        let mut families = Vec::with_capacity(standing.families.len());
        for family in &standing.families {
            let clocks = match family.now.family {
                None => None,
                Some(id) => self.clocks_of(team, id).await?,
            };
            families.push(FamilyStandingDocument::of(family, &protocol, clocks, &names));
        }
        Ok(StandingDocument {
            scope: scope_name(team.scope()),
            proposed_level: levels
                .clone()
                .rfind(|(_, truth)| **truth == Truth::Met)
                .map(|(level, _)| level.name.clone()),
            levels: levels
                .map(|(level, truth)| ResultDocument {
                    name: level.name.clone(),
                    says: level.rule.says.clone(),
                    result: result(*truth),
                })
                .collect(),
            conclusion: result(standing.conclusion),
            families,
        })
    }

    async fn clocks_of(&self, team: Team, family: FamilyId) -> Result<Option<FamilyClocksDocument>, Problem> {
        let case = self.store.case_of_family(team, family).await;
        let case = case.map_err(|error| problems::of_store(&error))?;
        Ok(case.map(|case| FamilyClocksDocument {
            case: case.id.to_string(),
            seen_at: case.first_seen.and_then(instant),
            rang_at: case.first_alert_at.and_then(instant),
            opened_at: instant(case.opened_at),
            claimed_at: case.first_claimed_at.and_then(instant),
            decided_at: case.first_decided_at.and_then(instant),
        }))
    }

    /// What criteria say about an act, in the coordinators' scope; `None` where nobody of them asks, or there is no such level.
    pub(super) async fn shown(
        &self,
        (asking, id): (&Asking, IncidentId),
        act: &Act<'_>,
    ) -> Result<Option<Shown>, Problem> {
        if asking.team.map(Team::scope) != Some(Scope::Coordinators) {
            return Ok(None);
        }
        let told = self.store.incident(*asking, id).await;
        let told = told.map_err(|error| problems::of_store(&error))?;
        let protocol = self.protocol(&told.incident.protocol).await;
        let protocol = protocol.map_err(|error| problems::of_store(&error))?;
        let standing = self.standing((&told.incident, Team::Coordinators), &protocol, told.now);
        let result = match act {
            Act::Conclusion => Some(standing.conclusion),
            Act::Level(name) => {
                let level = protocol.levels.iter().position(|level| level.name == *name);
                level.map(|level| standing.levels[level])
            }
        };
        Ok(result.map(|result| shown(result, &standing)))
    }
}

fn shown(result: Truth, standing: &Standing) -> Shown {
    let as_of = standing
        .families
        .iter()
        .filter_map(|family| family.now.reading.as_ref());
    let mut met: Vec<String> = standing
        .families
        .iter()
        .flat_map(|family| &family.assessment.criteria)
        .filter(|criterion| criterion.truth == Truth::Met)
        .map(|criterion| criterion.name.clone())
        .collect();
    met.sort();
    met.dedup();
    Shown {
        result,
        as_of: as_of.map(|reading| reading.as_of).min(),
        met,
        figures: figures(standing),
    }
}

/// The figures that a debrief is about.
const KEPT: [Figure; 8] = [
    Figure::Spread5m,
    Figure::Spread1h,
    Figure::Spread24h,
    Figure::Accounts,
    Figure::Platforms24h,
    Figure::Variants,
    Figure::Viewers,
    Figure::PostedSinceListed,
];

/// What is known of them, family by family.
fn figures(standing: &Standing) -> Vec<ShownFigure> {
    let mut figures = Vec::new();
    for family in &standing.families {
        let (Some(id), Some(reading)) = (family.now.family, &family.now.reading) else {
            continue;
        };
        for figure in KEPT {
            if let Reading::Number(measured) = reading.figures.get(figure) {
                figures.push(ShownFigure {
                    family: id,
                    name: figure.name().to_owned(),
                    low: measured.low.floor() as u64,
                    high: measured.high.ceil() as u64,
                });
            }
        }
    }
    figures
}
