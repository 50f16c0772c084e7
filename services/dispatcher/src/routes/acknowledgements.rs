//! What platforms confirm of a decision.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tocsin_casework::Awaiting;
use tocsin_model::DecisionId;
use tocsin_runtime::Problem;
use tocsin_store::{AcknowledgementCounts, MemberAcknowledgement};
use tocsin_wire::Names;
use tocsin_wire::document::{HashText, instant};
use utoipa::ToSchema;

use super::answered;
use super::cases::{AskedCase, case_id};
use super::documents::platform_name;
use super::refused::{NoSuchCase, NotRead, Refused};
use crate::{Dispatcher, problems};

/// How many members and platforms are told.
const TOLD_MAX: u32 = 1_000;
/// How many decisions of a team are told.
const DECISIONS_TOLD_MAX: u32 = 200;

/// How far the party's own platforms confirm by events that its decision was carried out.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcknowledgementDocument {
    /// The decision, 32 hexadecimal digits.
    pub decision: String,
    /// `removal`: that the copies were removed; `restore`: that what was removed was restored, since the decision was overturned.
    pub awaits: &'static str,
    /// Members with something to confirm, counted once for each platform.
    pub members: u64,
    /// Those of them that are not confirmed.
    pub unconfirmed: u64,
    /// Removals, or restored copies, of those that are.
    pub copies: u64,
    /// Since when something is not confirmed, RFC 3339: from when the decision was out, or since a copy came again. Null where nothing is waited for.
    pub unconfirmed_since: Option<String>,
    /// When endpoints are reminded next, or it is escalated; null where nothing is waited for, and once it was escalated.
    pub next_reminder_at: Option<String>,
    /// How often they were reminded.
    pub reminders: u8,
    /// Whether it was escalated: nobody is reminded again.
    pub escalated: bool,
}

/// What platforms confirm of a case's decision, member by member.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcknowledgementsDocument {
    /// The case, 32 hexadecimal digits.
    pub case: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The decision as a whole. Null where none stands, where it waits for nothing, and for coordinators, who have no platforms.
    pub acknowledgement: Option<AcknowledgementDocument>,
    /// Members, each on a platform, those that are not confirmed first: at most 1,000.
    pub members: Vec<MemberAcknowledgementDocument>,
    /// How many are left out.
    pub members_left_out: u64,
}

/// What one platform confirms of one member.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberAcknowledgementDocument {
    /// The member, 32 hexadecimal digits.
    pub content: String,
    /// Its strongest hash that is known.
    pub hash: HashText,
    /// The platform, by its name.
    pub platform: String,
    /// Whether it is confirmed.
    pub confirmed: bool,
    /// When it was, RFC 3339; null where it is not.
    pub confirmed_at: Option<String>,
    /// Copies that were posted or restored; where a restore is waited for, removals.
    pub asked: u64,
    /// Removals; where a restore is waited for, restored copies.
    pub answered: u64,
    /// Copies that came after it was confirmed.
    pub returned: u64,
    /// When the recommendation went out again without a person, the last time; null where it did not.
    pub recommended_again_at: Option<String>,
}

/// The decisions of a team that its own platforms did not confirm.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnconfirmedDocument {
    /// `coordinators`, who have no platforms and so none, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The decisions.
    pub decisions: Vec<UnconfirmedDecisionDocument>,
}

/// A decision that is not confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnconfirmedDecisionDocument {
    /// Its case, 32 hexadecimal digits.
    pub case: String,
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// How far it is.
    pub acknowledgement: AcknowledgementDocument,
}

/// What the team's own platforms confirm of the decision that stands: that copies were removed, or restored.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/acknowledgements",
    tag = "casework",
    operation_id = "read_acknowledgements",
    params(("id" = String, Path, description = "The case")),
    responses(
        (status = 200, description = "What is confirmed, and what is not", body = AcknowledgementsDocument),
        Refused,
        NotRead,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_acknowledgements(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let read = dispatcher.store.case(access.team, case_id(id)?).await;
        let (case, now) = read.map_err(|error| problems::of_store(&error))?;
        let (mut whole, mut members) = (None, Vec::new());
        if let Some(decision) = case.decision_out(now) {
            whole = dispatcher.awaited(decision.id, TOLD_MAX).await?;
        }
        let told = whole.map(|(document, told)| {
            members = told;
            document
        });
        let names = dispatcher.names();
        let all = told.as_ref().map_or(0, |document| document.members);
        Ok(AcknowledgementsDocument {
            case: case.id.to_string(),
            as_of: instant(now),
            members_left_out: all.saturating_sub(members.len() as u64),
            members: members.iter().map(|of| member(of, &names)).collect(),
            acknowledgement: told,
        })
    };
    answered(&dispatcher, "read_acknowledgements", read.await)
}

/// The decisions of the team that are not confirmed, those first that are so for longest: at most 200.
#[utoipa::path(
    get,
    path = "/v1/unconfirmed",
    tag = "casework",
    operation_id = "read_unconfirmed",
    responses(
        (status = 200, description = "What is waited for and not confirmed", body = UnconfirmedDocument),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_unconfirmed(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let failed = |error| problems::of_store(&error);
        let found = dispatcher.store.unconfirmed_decisions(access.team, DECISIONS_TOLD_MAX);
        let (found, now) = found.await.map_err(failed)?;
        let mut decisions = Vec::with_capacity(found.len());
        for of in found {
            let (_, counts) = dispatcher
                .store
                .acknowledgements(of.decision, 0)
                .await
                .map_err(failed)?;
            decisions.push(UnconfirmedDecisionDocument {
                case: of.case.to_string(),
                family: of.family.to_string(),
                acknowledgement: document(of.decision, &of.awaiting, counts),
            });
        }
        Ok(UnconfirmedDocument {
            team: access.team_name(),
            as_of: instant(now),
            decisions,
        })
    };
    answered(&dispatcher, "read_unconfirmed", read.await)
}

impl Dispatcher {
    /// How far a decision is confirmed, and at most so many of its members; `None` if it waits for nothing.
    pub(super) async fn awaited(
        &self,
        decision: DecisionId,
        most: u32,
    ) -> Result<Option<(AcknowledgementDocument, Vec<MemberAcknowledgement>)>, Problem> {
        let failed = |error| problems::of_store(&error);
        let Some(awaiting) = self.store.awaiting(decision).await.map_err(failed)? else {
            return Ok(None);
        };
        let (members, counts) = self.store.acknowledgements(decision, most).await.map_err(failed)?;
        Ok(Some((document(decision, &awaiting, counts), members)))
    }
}

fn document(decision: DecisionId, awaiting: &Awaiting, counts: AcknowledgementCounts) -> AcknowledgementDocument {
    AcknowledgementDocument {
        decision: format!("{:032x}", decision.0),
        awaits: awaiting.awaits.name(),
        members: counts.all,
        unconfirmed: counts.unconfirmed,
        copies: counts.answered,
        unconfirmed_since: awaiting.since.filter(|_| counts.unconfirmed > 0).and_then(instant),
        next_reminder_at: awaiting.due_at().filter(|_| counts.unconfirmed > 0).and_then(instant),
        reminders: awaiting.told - u8::from(awaiting.is_escalated()),
        escalated: awaiting.is_escalated(),
    }
}

fn member(of: &MemberAcknowledgement, names: &Names) -> MemberAcknowledgementDocument {
    let acknowledgement = &of.acknowledgement;
    MemberAcknowledgementDocument {
        content: of.content.to_string(),
        hash: HashText::from(&of.hash),
        platform: platform_name(names, of.platform),
        confirmed: acknowledgement.confirmed_at.is_some(),
        confirmed_at: acknowledgement.confirmed_at.and_then(instant),
        asked: acknowledgement.asked,
        answered: acknowledgement.answered,
        returned: acknowledgement.returned,
        recommended_again_at: of.recommended_at.and_then(instant),
    }
}
