//! Packs of hashes: made and withdrawn by coordinators, fetched by those who read the incident.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tocsin_casework::Team;
use tocsin_incident::{Command, Refusal};
use tocsin_model::DrillId;
use tocsin_runtime::{Problem, problem};
use tocsin_store::{IncidentPack, PackedHash};

use super::super::refused::Refused;
use super::documents::IncidentDocument;
use super::requests::{NothingRequest, PackParameters, WithdrawPackRequest};
use super::{AskedCase, AskingAbout, CommandRefusals, NotShared, answered_incident, coordinated, incident_id};
use crate::incidents::{PackForm, Packed, Signed, Signer};
use crate::routes::body;
use crate::routes::cases::asked_version;
use crate::telemetry::CommandAnswered;
use crate::{Dispatcher, problems};

/// The header that carries the signature: Ed25519 (RFC 8032) over the whole body, in base64.
const SIGNATURE: &str = "tocsin-signature";
/// The header that carries the public key it holds under, in hexadecimal digits.
const SIGNING_KEY: &str = "tocsin-signing-key";

/// Gives the hashes of the incident's families out, as its next pack; for coordinators. It has the strongest hash of each content that is hot in the
/// coordinators' scope now, and never changes.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/packs",
    tag = "incidents",
    operation_id = "make_pack",
    params(("id" = String, Path, description = "The incident")),
    request_body = Option<NothingRequest>,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn make_pack(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = async {
        let asking = dispatcher.incident_moderator(request.headers()).await?;
        let version = asked_version(request.headers())?;
        let id = incident_id(id)?;
        let _: NothingRequest = body::read(request).await?;
        let told = dispatcher.store.incident(asking, id).await;
        let told = told.map_err(|error| problems::of_store(&error))?;
        if asking.team != Some(Team::Coordinators) {
            return Err(problems::of_incident_refusal(Refusal::CoordinatorsOnly).into());
        }
        let hashes = dispatcher.hashes_of(&told.incident);
        // The pack is of the incident that was read: a family that was taken out meanwhile is in none.
        let version = version.or(Some(told.incident.version));
        let made = dispatcher.store.make_pack(asking, (id, version), &hashes).await;
        let made = made.map_err(|error| problems::of_store(&error))?;
        dispatcher.incident_document(&made.incident, asking.team).await
    };
    answered_incident(&dispatcher, "make_pack", make.await)
}

/// Withdraws a pack; for coordinators. It is given out as a tombstone from now on.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/packs/withdraw",
    tag = "incidents",
    operation_id = "withdraw_pack",
    params(("id" = String, Path, description = "The incident")),
    request_body = WithdrawPackRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn withdraw_pack(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: WithdrawPackRequest, _: AskingAbout<'_>| {
        Ok(Command::WithdrawPack {
            number: asked.number,
            reason: asked.reason,
        })
    };
    coordinated(&dispatcher, "withdraw_pack", (id, request), make).await
}

/// A pack, signed: its hashes as far as they are of contents in your scope. `tocsin-signature` is an Ed25519 signature (RFC 8032) of the whole body
/// in base64, `tocsin-signing-key` the public key in hexadecimal digits, the same for all packs of a deployment. The same pack is the same bytes each
/// time, until the incident is marked anew or the pack is withdrawn; then its `manifest` says since when, in `stix` its indicators are revoked, and there is no `local_file` any more.
#[utoipa::path(
    get,
    path = "/v1/incidents/{id}/packs/{number}",
    tag = "incidents",
    operation_id = "read_pack",
    params(
        ("id" = String, Path, description = "The incident"),
        ("number" = u32, Path, description = "The version of the pack"),
        PackParameters
    ),
    responses(
        (status = 200, description = "The pack", content(
            (serde_json::Value = "application/json"),
            (serde_json::Value = "application/stix+json"),
            (String = "text/plain")
        )),
        (status = 400, description = "There is no such form", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "It was withdrawn, and this form cannot say so", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotShared
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_pack(
    State(dispatcher): State<Arc<Dispatcher>>,
    asked: Result<Path<(String, String)>, PathRejection>,
    parameters: Result<Query<PackParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let asking = dispatcher.incident_reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail.to_owned());
        let Query(parameters) = parameters.map_err(|error| invalid(&error.body_text()))?;
        let form = parameters.form.as_deref().unwrap_or("manifest");
        let form = PackForm::from_name(form).ok_or_else(|| invalid("form: manifest, stix or local_file"))?;
        let refused = |refusal| Problem::new(problems::of_incident_refusal(refusal));
        let Path((id, number)) = asked.map_err(|_| refused(Refusal::NoSuchIncident))?;
        let id = id.parse().map_err(|_| refused(Refusal::NoSuchIncident))?;
        // What is no number is the number of no pack.
        let pack = dispatcher.store.pack(asking, id, number.parse().unwrap_or(0)).await;
        let pack = pack.map_err(|error| problems::of_store(&error))?;
        let drill = dispatcher.store.drill();
        if drill.is_some() && form == PackForm::LocalFile {
            return Err(invalid("form: a local_file has no place to say that it is of a drill"));
        }
        let bytes = written(&pack, asking.team == Some(Team::Coordinators), form, drill);
        let signed = dispatcher
            .signed(bytes.ok_or_else(|| refused(Refusal::PackWithdrawn))?)
            .await?;
        Ok::<_, Problem>((form, signed))
    };
    let read = read.await;
    CommandAnswered {
        command: "read_pack",
        code: read.as_ref().map_or_else(Problem::code, |_| "ok"),
    }
    .emit(&dispatcher.metrics);
    match read {
        Ok((form, signed)) => {
            let headers = [
                (header::CONTENT_TYPE.as_str(), form.content_type().to_owned()),
                (SIGNATURE, STANDARD.encode(signed.signature)),
                (SIGNING_KEY, hex::encode(signed.public_key)),
            ];
            (headers, signed.bytes).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Parties get what everyone may see: what is the coordinators' alone stays with them.
fn written(pack: &IncidentPack, is_coordinator: bool, form: PackForm, drill: Option<DrillId>) -> Option<Vec<u8>> {
    let visible = pack.hashes.iter().filter(|packed| is_coordinator || packed.for_all);
    let hashes: Vec<PackedHash> = visible.cloned().collect();
    let packed = Packed {
        incident: &pack.told.incident,
        pack: &pack.pack,
        hashes: &hashes,
        scope: if is_coordinator { "coordinators" } else { "all" },
        drill,
    };
    packed.write(form)
}

impl Dispatcher {
    async fn signed(&self, bytes: Vec<u8>) -> Result<Signed, Problem> {
        let seed = self.store.pack_signing_seed().await;
        let seed = seed.map_err(|error| problems::of_store(&error))?;
        let signed = Signer::new(&seed).and_then(|signer| signer.sign(bytes));
        signed.ok_or_else(|| problem::INTERNAL.into())
    }
}
