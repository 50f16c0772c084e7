//! Second reviews: what was decided is decided once more by somebody who does not know how. Figures are a team's, never a person's.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tocsin_casework::{Agreement, By, Review, ReviewCommand, ReviewId, ReviewRefusal};
use tocsin_model::{KeyId, Milliseconds, Timestamp, Verdict};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{ReviewFigures, ReviewSettings, Reviewed};
use tocsin_wire::document::{HashText, instant};
use utoipa::{IntoParams, ToSchema};

use super::access::Access;
use super::alert_documents::CaseAlert;
use super::appeal_documents::lease_document;
use super::documents::CaseLease;
use super::refused::{NotModerated, NotRead, Refused};
use super::requests::verdict;
use super::{answered, body};
use crate::{Dispatcher, problems};

/// The longest period that is summed up.
const HOURS_MAX: u32 = 31 * 24;

/// Over which time reviews are summed up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QualityParameters {
    /// Those answered within so many hours until now: 1 to 744, by default 744.
    pub hours: Option<u32>,
}

/// How to renew the lease of a review.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRenewRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// How long to hold it from now, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
}

/// Which lease of a review to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewReleaseRequest {
    /// The number of the lease.
    pub fencing: u64,
}

/// What a reviewer says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewAnswerRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// `violating`, `benign`, `newsworthy`, `disputed` or `needs_expert`.
    pub verdict: String,
    /// Why, in at most 2,048 bytes. It stays with the team.
    #[serde(default)]
    pub note: String,
}

/// Something that was decided, to be decided once more. It does not say how it was decided, by whom, or which case it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// `claimed`, `open` (your lease is over) or `answered`.
    pub state: &'static str,
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The strongest hash of its founder: what your platform's own tool finds it by.
    pub hash: HashText,
    /// The figures as they were when it was decided; null where it never rang.
    pub alert: Option<CaseAlert>,
    /// The number of the last lease: send it with whatever you do.
    pub fencing: u64,
    /// Your lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<CaseLease>,
    /// What you said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
}

/// How often a team's people agree about the same thing. Of the team as a whole: nothing here is asked or answered of a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct QualityDocument {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// How many hours it is about.
    pub hours: u32,
    /// Which part of the cases is decided twice, in percent.
    pub share_percent: f64,
    /// How often a golden case is handed out instead, in percent.
    pub golden_percent: f64,
    /// How many reviews wait.
    pub waiting: u64,
    /// How many cases of the sample were decided twice; beyond 100,000 reviews the latest of them.
    pub reviewed: u64,
    /// How many of them alike.
    pub agreed: u64,
    /// Cohen's kappa; null where nothing was reviewed, or where all said one thing.
    pub kappa: Option<KappaDocument>,
    /// How many were answered by a third person, because two differed.
    pub thirds: u64,
    /// In how many of these the decision changed.
    pub changed: u64,
    /// How many golden cases were answered. They count in none of the figures above.
    pub golden: u64,
    /// How many of them as is known.
    pub golden_right: u64,
}

/// Cohen's kappa (1960), with the interval of Fleiss, Cohen and Everitt (1969).
#[derive(Debug, Serialize, ToSchema)]
pub struct KappaDocument {
    /// 1: always alike; 0: as often as by chance.
    pub value: f64,
    /// The lower end of the interval that holds the true one 95 times in 100. Null: fewer than 20 were reviewed, or what was said varies so little that none
    /// can be told.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// A review that you hold or answered.
#[utoipa::path(
    get,
    path = "/v1/reviews/{id}",
    tag = "casework",
    operation_id = "read_review",
    params(("id" = String, Path, description = "The review")),
    responses(
        (status = 200, description = "The review", body = ReviewDocument),
        (status = 404, description = "No such review, or another holds it", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_review(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedReview,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.moderator(&headers).await?;
        let who = access.principal.key_id;
        let read = dispatcher.store.review((access.team, who), review_id(id)?).await;
        let (review, now) = read.map_err(|error| problems::of_store(&error))?;
        Ok(dispatcher.review_document(&review, (now, who)))
    };
    answered(&dispatcher, "read_review", read.await)
}

/// Holds a review longer.
#[utoipa::path(
    post,
    path = "/v1/reviews/{id}/renew",
    tag = "casework",
    operation_id = "renew_review",
    params(("id" = String, Path, description = "The review")),
    request_body = ReviewRenewRequest,
    responses(
        (status = 200, description = "The review", body = ReviewDocument),
        (status = 404, description = "No such review, or another holds it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease does not hold it (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn renew_review(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedReview,
    request: Request,
) -> Response {
    let make = |renew: ReviewRenewRequest| {
        let length = dispatcher.lease_length(renew.lease_s);
        Ok((renew.fencing, ReviewCommand::Renew { length }))
    };
    commanded(&dispatcher, "renew_review", (id, request), make).await
}

/// Gives a review back, unanswered.
#[utoipa::path(
    post,
    path = "/v1/reviews/{id}/release",
    tag = "casework",
    operation_id = "release_review",
    params(("id" = String, Path, description = "The review")),
    request_body = ReviewReleaseRequest,
    responses(
        (status = 200, description = "The review", body = ReviewDocument),
        (status = 404, description = "No such review, or another holds it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease does not hold it (any more)", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn release_review(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedReview,
    request: Request,
) -> Response {
    let make = |release: ReviewReleaseRequest| Ok((release.fencing, ReviewCommand::Release));
    commanded(&dispatcher, "release_review", (id, request), make).await
}

/// Says what it is. What the first decided is told to nobody: where two differ a third is asked, and what they say holds
#[utoipa::path(
    post,
    path = "/v1/reviews/{id}/answer",
    tag = "casework",
    operation_id = "answer_review",
    params(("id" = String, Path, description = "The review")),
    request_body = ReviewAnswerRequest,
    responses(
        (status = 200, description = "The review", body = ReviewDocument),
        (status = 404, description = "No such review, or another holds it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease does not hold it (any more), it was answered, you decided meanwhile, or somebody is at the case", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note is too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn answer_review(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedReview,
    request: Request,
) -> Response {
    let make = |answer: ReviewAnswerRequest| {
        let command = ReviewCommand::Answer {
            verdict: verdict(&answer.verdict)?,
            note: answer.note,
        };
        Ok((answer.fencing, command))
    };
    commanded(&dispatcher, "answer_review", (id, request), make).await
}

/// How often the people of the key's team agree about the same thing. Of the team as a whole, never of one person.
#[utoipa::path(
    get,
    path = "/v1/quality",
    tag = "casework",
    operation_id = "read_quality",
    params(QualityParameters),
    responses(
        (status = 200, description = "The team's reviews, summed up", body = QualityDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_quality(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<QualityParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let hours = parameters.hours.unwrap_or(HOURS_MAX);
        if !(1..=HOURS_MAX).contains(&hours) {
            return Err(invalid("hours: 1 to 744"));
        }
        let period = Milliseconds::from_hours(i64::from(hours));
        let settings = dispatcher.store.review_settings(access.team).await;
        let settings = settings.map_err(|error| problems::of_store(&error))?;
        let figures = dispatcher.store.review_figures(access.team, period).await;
        let figures = figures.map_err(|error| problems::of_store(&error))?;
        Ok(QualityDocument::of((access.team_name(), hours), settings, figures))
    };
    answered(&dispatcher, "read_quality", read.await)
}

/// Carries out what a reviewer does: `make` makes of the body the fencing number and the command.
async fn commanded<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    (id, request): (AskedReview, Request),
    make: impl FnOnce(T) -> Result<(u64, ReviewCommand), Problem>,
) -> Response {
    let command = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let (fencing, command) = make(body::read(request).await?)?;
        let who = access.principal.key_id;
        let by = By {
            who,
            fencing,
            version: None,
        };
        let done = dispatcher
            .store
            .command_review((access.team, by), review_id(id)?, &command)
            .await;
        let done = done.map_err(|error| problems::of_store(&error))?;
        dispatcher.reviewed(&done);
        Ok(dispatcher.review_document(&done.review, (done.now, who)))
    };
    answered(dispatcher, name, command.await)
}

impl Dispatcher {
    /// What waits longest for a second or third person, of what whoever asks may review.
    pub(super) async fn best_review(
        &self,
        access: &Access,
        length: Milliseconds,
    ) -> Result<Option<ReviewDocument>, Problem> {
        let who = access.principal.key_id;
        let claimed = self.store.claim_review(access.team, (who, length)).await;
        let claimed = claimed.map_err(|error| problems::of_store(&error))?;
        Ok(claimed.map(|claimed| self.review_document(&claimed.review, (claimed.now, who))))
    }

    fn review_document(&self, review: &Review, (now, asker): (Timestamp, KeyId)) -> ReviewDocument {
        let lease = review.live_lease(now);
        ReviewDocument {
            id: review.id.to_string(),
            state: match (&review.answer, lease) {
                (Some(_), _) => "answered",
                (None, Some(_)) => "claimed",
                (None, None) => "open",
            },
            family: review.family.to_string(),
            hash: HashText::from(&review.hash),
            alert: review
                .alert
                .as_ref()
                .map(|alert| self.alert_document(alert, review.team)),
            fencing: review.fencing,
            lease: lease.map(|lease| lease_document(lease, asker)),
            verdict: review.answer.as_ref().map(|answer| Verdict::name(answer.verdict)),
        }
    }

    /// Wakes those who tell of what came of a third review.
    fn reviewed(&self, done: &Reviewed) {
        if let Some((case, _)) = &done.decided {
            self.ranking.changed(case, done.now);
            self.decided.notify_one();
            self.told.notify_one();
        }
    }
}

impl QualityDocument {
    fn of(
        (team, hours): (String, u32),
        settings: ReviewSettings,
        (figures, now): (ReviewFigures, Timestamp),
    ) -> QualityDocument {
        let agreement = Agreement::of(&figures.pairs);
        let percent = |ppm: u32| f64::from(ppm) / 10_000.0;
        QualityDocument {
            team,
            as_of: instant(now),
            hours,
            share_percent: percent(settings.share_ppm),
            golden_percent: percent(settings.golden_ppm),
            waiting: figures.waiting,
            reviewed: agreement.reviewed,
            agreed: agreement.agreed,
            kappa: agreement.kappa.map(|kappa| KappaDocument {
                value: kappa.value,
                low: kappa.interval.map(|(low, _)| low),
                high: kappa.interval.map(|(_, high)| high),
            }),
            thirds: figures.thirds,
            changed: figures.changed,
            golden: figures.golden,
            golden_right: figures.golden_right,
        }
    }
}

/// The id in the path, if it is text.
type AskedReview = Result<Path<String>, PathRejection>;

/// What is no id names no review.
fn review_id(asked: AskedReview) -> Result<ReviewId, Problem> {
    let id = asked.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or_else(|| Problem::new(problems::of_review_refusal(ReviewRefusal::NoSuchReview)))
}
