//! What Coop, the review console of ROOST, asks of the items in its queues (its "Partial Items API"): so a job whose case was decided here is closed there.
//!
//! Coop's API has no call that closes a job. But a queue that closes jobs by itself asks, before it hands one out, for the item as it is now, and closes the
//! job if the item's field in the role "is deleted" is true. Here that field is `closed`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tocsin_casework::{Case, CaseState, Refusal, Team};
use tocsin_model::{ContentId, FamilyId, Timestamp};
use tocsin_runtime::Problem;
use tocsin_store::StoreError;
use utoipa::ToSchema;

use super::refused::{NotRead, Refused};
use super::{answered, body};
use crate::deliveries::coop_item_data;
use crate::{Dispatcher, problems};

/// How many items are asked for at a time.
const ITEMS_MAX: usize = 100;
/// Of a longer list no more is read.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What Coop asks.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CoopItemsRequest {
    /// The items, at most 100.
    pub items: Vec<CoopItemName>,
}

/// Which item.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoopItemName {
    /// The family, 32 hexadecimal digits.
    pub id: String,
    /// The item type in Coop.
    pub type_id: String,
}

/// The items of which the team has a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CoopItemsDocument {
    /// In the order in which they were asked for. What was not reported by Tocsin, or is not this team's, is left out.
    pub items: Vec<CoopItemDocument>,
}

/// An item as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoopItemDocument {
    /// The family, 32 hexadecimal digits.
    pub id: String,
    /// The item type, as it was asked for.
    pub type_id: String,
    /// The fields of a report, by the alert that the case shows, and `closed`: whether there is nothing to decide about the family here, since a decision is
    /// out, or its spread subsided. A decision that can still be taken back, and two that differ, close nothing.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

/// Tells Coop how the families stand that were reported to it, so that a queue there that closes jobs by itself closes those that were decided here.
#[utoipa::path(
    post,
    path = "/v1/coop/items",
    tag = "casework",
    operation_id = "read_coop_items",
    request_body = CoopItemsRequest,
    responses(
        (status = 200, description = "The items", body = CoopItemsDocument),
        (status = 422, description = "More than 100 items", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_coop_items(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let read = async {
        let access = dispatcher.reader(request.headers()).await?;
        let asked: CoopItemsRequest = body::read_at_most(request, BODY_BYTES_MAX).await?;
        if asked.items.len() > ITEMS_MAX {
            let detail = format!("items: at most {ITEMS_MAX}");
            return Err(Problem::new(problems::TOO_MANY_ITEMS).with_detail(detail));
        }
        let mut items = Vec::with_capacity(asked.items.len());
        for item in asked.items {
            items.extend(dispatcher.coop_item(access.team, item).await?);
        }
        Ok(CoopItemsDocument { items })
    };
    answered(&dispatcher, "read_coop_items", read.await)
}

impl Dispatcher {
    async fn coop_item(&self, team: Team, item: CoopItemName) -> Result<Option<CoopItemDocument>, Problem> {
        let Some(family) = ContentId::parse(&item.id).map(FamilyId) else {
            return Ok(None);
        };
        let (case, now) = match self.store.remaining_case(team, family).await {
            Ok(remaining) => remaining,
            Err(StoreError::Refused(Refusal::NoSuchCase)) => return Ok(None),
            Err(error) => return Err(problems::of_store(&error)),
        };
        let names = self.names();
        let mut data = case
            .alert
            .as_ref()
            .map_or_else(Map::new, |alert| coop_item_data(alert, &names, team));
        data.insert("closed".to_owned(), is_closed(&case, now).into());
        Ok(Some(CoopItemDocument {
            id: item.id,
            type_id: item.type_id,
            data,
        }))
    }
}

/// Whether nobody has to look at the family any more.
fn is_closed(case: &Case, now: Timestamp) -> bool {
    match case.state(now) {
        CaseState::Decided => case.undo_until(now).is_none() && !case.is_disputed(),
        CaseState::Closed => true,
        CaseState::Open | CaseState::Claimed | CaseState::Merged => false,
    }
}
