use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tocsin_casework::{CaseId, CaseState, Desk, Filter, Lane, Team};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{Milliseconds, PlatformId};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{AppealQuery, AppealState, Choice, KeySubject, QueueQuery, Role};
use tocsin_wire::document::instant;
use utoipa::ToSchema;

use super::access::Access;
use super::documents::{ClaimDocument, QueueDocument};
use super::refused::{NotModerated, NotRead, Refused};
use super::requests::{BestRequest, FilterText, QueueParameters};
use super::{answered, body};
use crate::telemetry::StoreFailed;
use crate::{Dispatcher, problems};

const LIMIT_DEFAULT: u32 = 50;

/// Who moderates for the team.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModeratorsDocument {
    /// The keys that are valid, oldest first.
    pub moderators: Vec<ModeratorDocument>,
}

/// A key that may claim and decide.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModeratorDocument {
    /// Its id, 32 hexadecimal digits: what a case is handed over to.
    pub key: String,
    /// The name of its person; null where the key is nobody's alone.
    pub person: Option<String>,
}

/// The queue of the key's team: what is due soon, then highest priority first.
#[utoipa::path(
    get,
    path = "/v1/queue",
    tag = "casework",
    operation_id = "read_queue",
    params(QueueParameters),
    responses(
        (status = 200, description = "A page of the queue", body = QueueDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_queue(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<QueueParameters>, QueryRejection>,
) -> Response {
    let result = queue_page(&dispatcher, &headers, parameters).await;
    answered(&dispatcher, "read_queue", result)
}

/// Claims the best waiting case: one of which a notice is due soon; otherwise that of the highest priority, and every so many times that which
/// waits longest. `case` is `null` when none waits. In the lane `appeals` it hands out the appeal that waits longest, as `appeal`; in
/// `second_review` what waits longest to be decided once more, as `review`.
#[utoipa::path(
    post,
    path = "/v1/queue/claim",
    tag = "casework",
    operation_id = "claim_best",
    request_body(content = Option<BestRequest>, description = "Which, and how long to hold it"),
    responses(
        (status = 200, description = "The case, or null", body = ClaimDocument),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn claim_best(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let result = best(&dispatcher, request).await;
    answered(&dispatcher, "claim_best", result)
}

/// Who moderates for the key's team: to whom a case can be handed.
#[utoipa::path(
    get,
    path = "/v1/moderators",
    tag = "casework",
    operation_id = "read_moderators",
    responses(
        (status = 200, description = "The keys that may claim and decide", body = ModeratorsDocument),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_moderators(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let keys = dispatcher.store.list_keys(key_subject(access.team)).await;
        let keys = keys.map_err(|error| problems::of_store(&error))?.into_iter();
        let moderators = keys.filter(|key| key.revoked_at.is_none() && key.roles.contains(Role::Moderator));
        let moderators = moderators.map(|key| ModeratorDocument {
            key: key.id.to_string(),
            person: key.person.map(|person| person.to_string()),
        });
        Ok(ModeratorsDocument {
            moderators: moderators.collect(),
        })
    };
    answered(&dispatcher, "read_moderators", read.await)
}

fn key_subject(team: Team) -> KeySubject {
    match team {
        Team::Coordinators => KeySubject::Coordinators,
        Team::Party(party) => KeySubject::Party(party),
    }
}

async fn queue_page(
    dispatcher: &Dispatcher,
    headers: &HeaderMap,
    parameters: Result<Query<QueueParameters>, QueryRejection>,
) -> Result<QueueDocument, Problem> {
    let access = dispatcher.reader(headers).await?;
    let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
    let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
    let state = match parameters.state.as_deref() {
        None => CaseState::Open,
        Some(name) => {
            CaseState::from_name(name).ok_or_else(|| invalid("state: open, claimed, decided, closed or merged"))?
        }
    };
    let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=QueueQuery::LIMIT_MAX).contains(&limit) {
        return Err(invalid("limit: 1 to 200"));
    }
    let filter = FilterText {
        lane: parameters.lane.as_deref(),
        desk: parameters.desk.as_deref(),
        platform: parameters.platform.as_deref(),
        severity_min: parameters.severity_min,
        region: parameters.region.as_deref(),
        language: parameters.language.as_deref(),
    };
    let filter = filter.read(&dispatcher.names()).map_err(|reason| invalid(&reason))?;
    if filter.lane == Some(Lane::SecondReview) {
        return Err(invalid("lane: reviews are handed out, and not shown"));
    }
    if filter.lane == Some(Lane::Appeals) {
        let is_narrowed = filter
            != Filter {
                lane: filter.lane,
                platform: filter.platform,
                ..Filter::default()
            };
        if is_narrowed || state != CaseState::Open {
            return Err(invalid(
                "lane: of appeals the queue shows what is open, narrowed by platform alone; /v1/appeals shows more",
            ));
        }
        let after = parameters.after.map(|after| after.parse()).transpose();
        let query = AppealQuery {
            team: access.team,
            state: Some(AppealState::Open),
            case: None,
            platform: filter.platform,
            limit,
            after: after.map_err(|_| invalid("after: not the `next` of a page"))?,
        };
        let page = dispatcher.appeals_page(&query, &access).await?;
        return Ok(QueueDocument {
            team: page.team,
            as_of: page.as_of,
            cases: Vec::new(),
            appeals: page.appeals,
            next: page.next,
        });
    }
    let after = parameters.after.map(|after| after.parse()).transpose();
    let after = after.map_err(|_| invalid("after: not the `next` of a page"))?;
    let query = QueueQuery {
        team: access.team,
        state,
        filter,
        urgent_within: dispatcher.config.urgent_within(),
        limit,
        after,
    };
    let page = dispatcher.store.queue(&query).await;
    let page = page.map_err(|error| problems::of_store(&error))?;
    Ok(QueueDocument {
        team: access.team_name(),
        as_of: instant(page.as_of),
        cases: page
            .cases
            .iter()
            .map(|case| dispatcher.document(case, page.as_of, &access))
            .collect(),
        appeals: Vec::new(),
        next: page.next.map(|cursor| cursor.to_string()),
    })
}

async fn best(dispatcher: &Dispatcher, request: Request) -> Result<ClaimDocument, Problem> {
    let access = dispatcher.moderator(request.headers()).await?;
    let claim: BestRequest = body::read(request).await?;
    let length = dispatcher.lease_length(claim.lease_s);
    let filter = FilterText {
        lane: claim.lane.as_deref(),
        desk: Some(claim.desk.as_deref().unwrap_or(Desk::Moderators.name())),
        platform: claim.platform.as_deref(),
        severity_min: claim.severity_min,
        region: claim.region.as_deref(),
        language: claim.language.as_deref(),
    };
    let invalid = |reason: String| Problem::new(problem::INVALID_BODY).with_detail(reason);
    let filter = filter.read(&dispatcher.names()).map_err(invalid)?;
    if filter.lane == Some(Lane::Appeals) {
        let rest = (filter.desk, filter.severity_min, filter.region, filter.language);
        if rest != (Some(Desk::Moderators), None, None, None) {
            return Err(invalid("lane: appeals are narrowed by platform alone".to_owned()));
        }
        return best_appeal(dispatcher, &access, (length, filter.platform)).await;
    }
    if filter.lane == Some(Lane::SecondReview) {
        let rest = (
            filter.desk,
            filter.severity_min,
            filter.region,
            filter.language,
            filter.platform,
        );
        if rest != (Some(Desk::Moderators), None, None, None, None) {
            return Err(invalid("lane: reviews are narrowed by nothing".to_owned()));
        }
        let review = dispatcher.best_review(&access, length).await?;
        let pause = match review {
            Some(_) => dispatcher.pause_of(access.principal.key_id).await,
            None => None,
        };
        return Ok(ClaimDocument {
            case: None,
            pause,
            appeal: None,
            review,
        });
    }
    let choice = Choice {
        filter,
        candidates: Vec::new(),
        longest_every: dispatcher.config.longest_every,
        urgent_within: dispatcher.config.urgent_within(),
    };
    let choice = Choice {
        candidates: dispatcher.ranking.candidates(access.team, &choice.filter),
        ..choice
    };
    let claimed = dispatcher
        .store
        .claim_best(access.team, (access.principal.key_id, length), &choice)
        .await
        .map_err(|error| problems::of_store(&error))?;
    if let Some(claimed) = &claimed {
        reach(FailPoint::CaseClaimed);
        dispatcher.ranking.changed(&claimed.case, claimed.now);
    }
    dispatcher
        .ask_of_refused(&choice, claimed.as_ref().map(|claimed| claimed.case.id))
        .await;
    Ok(ClaimDocument {
        pause: match &claimed {
            Some(claimed) => dispatcher.pause_at(access.principal.key_id, claimed.now).await,
            None => None,
        },
        case: claimed.map(|claimed| dispatcher.document(&claimed.case, claimed.now, &access)),
        appeal: None,
        review: None,
    })
}

/// The appeal that waits longest, of those that whoever asks may answer.
async fn best_appeal(
    dispatcher: &Dispatcher,
    access: &Access,
    (length, platform): (Milliseconds, Option<PlatformId>),
) -> Result<ClaimDocument, Problem> {
    let who = access.principal.key_id;
    let claimed = dispatcher
        .store
        .claim_appeal(access.team, (who, length), platform)
        .await;
    let claimed = claimed.map_err(|error| problems::of_store(&error))?;
    let appeal = match claimed {
        Some(claimed) => Some(dispatcher.appeal_document(access, claimed.appeal.id).await?),
        None => None,
    };
    let pause = match appeal {
        Some(_) => dispatcher.pause_of(who).await,
        None => None,
    };
    Ok(ClaimDocument {
        case: None,
        pause,
        appeal,
        review: None,
    })
}

impl Dispatcher {
    /// The candidates that the store passed over: what is not open any more is tried by no further claim. Without the store's answer they are
    /// found out later.
    async fn ask_of_refused(&self, choice: &Choice, claimed: Option<CaseId>) {
        let tried = choice.candidates.iter().copied();
        let refused: Vec<CaseId> = tried.take_while(|id| Some(*id) != claimed).collect();
        if refused.is_empty() {
            return;
        }
        match self.store.standings_of(&refused).await {
            Ok((standings, now)) => self.ranking.asked(&refused, &standings, now),
            Err(error) => StoreFailed { error: &error }.emit(&self.metrics),
        }
    }

    /// The length asked for, or the operator's.
    pub(super) fn lease_length(&self, asked_s: Option<u32>) -> Milliseconds {
        asked_s.map_or(self.config.lease(), |seconds| {
            Milliseconds::from_seconds(i64::from(seconds))
        })
    }
}
