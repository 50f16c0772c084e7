//! When what happened to a case on each platform.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tocsin_casework::{Case, ClockKind, PlatformClocks};
use tocsin_model::Timestamp;
use tocsin_runtime::{Problem, problem};
use tocsin_wire::document::{instant, parse_instant};
use utoipa::ToSchema;

use super::cases::{AskedCase, case_id};
use super::clocks::ClocksDocument;
use super::documents::platform_name;
use super::refused::{NoSuchCase, NotModerated, NotRead, Refused};
use super::requests::platform;
use super::{answered, body};
use crate::{Dispatcher, problems};

/// When something first happened on a platform, as you know it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockRequest {
    /// The platform, by its name.
    pub platform: String,
    /// `shared` (others were told), `removed`, `confirmed` (all that is known is removed) or `leaked` (posted after others were told).
    pub clock: String,
    /// When, RFC 3339: not later than now.
    pub at: String,
}

/// The clocks of a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseClocksDocument {
    /// Its identity, 32 hexadecimal digits.
    pub case: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// Of the case as a whole.
    pub clocks: ClocksDocument,
    /// Of each platform that something is known of.
    pub platforms: Vec<PlatformClocksDocument>,
}

/// When what first happened on a platform, RFC 3339; null where it is not known to have happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformClocksDocument {
    /// The platform, by its name.
    pub platform: String,
    /// It was uploaded, blocked, shared or broadcast.
    pub first_seen: Option<String>,
    /// Somebody reported it.
    pub first_report: Option<String>,
    /// An authority or a flagger wrote.
    pub notice: Option<String>,
    /// Others were told of it.
    pub shared: Option<String>,
    /// A copy was removed.
    pub removed: Option<String>,
    /// All copies that are known were removed.
    pub confirmed: Option<String>,
    /// A copy was posted after others were told of it.
    pub leaked: Option<String>,
}

/// When what happened to a case first, as a whole and on each platform.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/clocks",
    tag = "casework",
    operation_id = "read_case_clocks",
    params(("id" = String, Path, description = "The case")),
    responses(
        (status = 200, description = "The clocks", body = CaseClocksDocument),
        Refused,
        NotRead,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_case_clocks(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let clocks = dispatcher.store.case_clocks(access.team, case_id(id)?).await;
        let (case, clocks, now) = clocks.map_err(|error| problems::of_store(&error))?;
        Ok(dispatcher.case_clocks(&case, &clocks, now))
    };
    answered(&dispatcher, "read_case_clocks", read.await)
}

/// Keeps when something first happened on a platform that no event tells of
///
/// Of what is told more than once the earliest counts. What events tell (`first_seen`, `first_report`) and notices is not said by hand.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/clocks",
    tag = "casework",
    operation_id = "tell_clock",
    params(("id" = String, Path, description = "The case")),
    request_body = ClockRequest,
    responses(
        (status = 200, description = "The clocks", body = CaseClocksDocument),
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn tell_clock(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let tell = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let request: ClockRequest = body::read(request).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_BODY).with_detail(detail);
        let kind = ClockKind::from_name(&request.clock).filter(|kind| kind.is_told_by_people());
        let kind = kind.ok_or_else(|| invalid("clock: shared, removed, confirmed or leaked"))?;
        let platform = platform(&request.platform, &dispatcher.names()).map_err(invalid)?;
        let at = parse_instant(&request.at).ok_or_else(|| invalid("at: a time as in RFC 3339"))?;
        let id = case_id(id)?;
        let case = dispatcher.store.case(access.team, id).await;
        let (_, now) = case.map_err(|error| problems::of_store(&error))?;
        if at > now || at < Timestamp(0) {
            return Err(invalid("at: not later than now"));
        }
        let by = (access.team, access.principal.key_id);
        let told = dispatcher.store.tell_clock(by, id, (platform, kind, at)).await;
        let (case, clocks, now) = told.map_err(|error| problems::of_store(&error))?;
        Ok(dispatcher.case_clocks(&case, &clocks, now))
    };
    answered(&dispatcher, "tell_clock", tell.await)
}

impl Dispatcher {
    fn case_clocks(&self, case: &Case, clocks: &PlatformClocks, now: Timestamp) -> CaseClocksDocument {
        let names = self.names();
        let on = clocks.platforms().into_iter().map(|platform| {
            let at = |kind| clocks.at(platform, kind).and_then(instant);
            PlatformClocksDocument {
                platform: platform_name(&names, platform),
                first_seen: at(ClockKind::FirstSeen),
                first_report: at(ClockKind::FirstReport),
                notice: at(ClockKind::Notice),
                shared: at(ClockKind::Shared),
                removed: at(ClockKind::Removed),
                confirmed: at(ClockKind::Confirmed),
                leaked: at(ClockKind::Leaked),
            }
        });
        CaseClocksDocument {
            case: case.id.to_string(),
            as_of: instant(now),
            clocks: ClocksDocument::of(&case.clocks(), now),
            platforms: on.collect(),
        }
    }
}
