//! Drafts of statements of reasons, a request of the DSA Transparency Database at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_model::DrillId;
use tocsin_report::statement::{LeftOut, RestrictionRow, STATEMENTS_MAX, Statement, Territory, draft};
use tocsin_runtime::Problem;
use tocsin_store::RestrictionCursor;
use utoipa::{IntoParams, ToSchema};

use super::answered;
use super::refused::Refused;
use super::reports::{NotReported, invalid, period};
use crate::{Dispatcher, problems};

/// What a reader of the drafts is to know.
const HOW: [&str; 4] = [
    "Drafts: a person of the platform checks each before it is sent. There is one for each content whose removal the platform's events confirmed on these days after a decision of the party; the platform \
     makes as many of it as it restricted uploads, and adds to `puid` what makes each unique. `puid` is made with the deployment's key: it is the same each time, and says nothing of the content to others.",
    "`content_date` is the day on which the family was first seen on the platform, as the platform told it: no copy is older as far as is known. `application_date` is the day of the confirmed removal.",
    "The category is that of terrorist content, and the ground the policy that the decision names, as incompatible with the terms: change both where the law is the ground. Nothing that a person wrote is in it but \
     the policy, and that is left out where it may name somebody.",
    "There is none for what only was recommended to be shown less or labelled, since no event says what was: and none of what `left_out` says.",
];

/// Which statements.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementParameters {
    /// The first day, UTC: `YYYY-MM-DD`.
    pub from: String,
    /// The last day, which is in it. At most 400 days.
    pub to: String,
    /// Where the restrictions hold, which only the platform knows: `EU`, `EEA`, or countries of the EEA by two letters, with commas between.
    pub territory: String,
    /// Look at so many removals: 1 to 100, by default 100, as many as the database takes in one request.
    pub limit: Option<u32>,
    /// Go on where the page before ended: its `next`.
    pub after: Option<String>,
}

/// Drafts of statements of reasons.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementsDocument {
    /// In the fields of the DSA Transparency Database, version 2 of its API. With `statements` alone this is the body of its request for several.
    #[schema(value_type = Vec<Object>)]
    pub statements: Vec<Statement>,
    /// Removals of this page of which there is no draft.
    pub left_out: Vec<LeftOutDocument>,
    /// Where to go on, if there is more.
    pub next: Option<String>,
    /// What a reader of the drafts is to know.
    pub how: Vec<&'static str>,
}

/// Removals of which there is no draft.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOutDocument {
    /// `ordered`: an authority ordered it, and statements are not made of orders; `perhaps_ordered`: an order about its case names a content by another kind of hash, perhaps this one; `not_violating`; `no_policy`: the decision names no ground; `policy_personal`: the policy may name a
    /// person; `no_content_date`: it is not known when it was posted.
    pub why: &'static str,
    /// How many.
    pub count: u64,
}

/// Drafts of the statements of reasons that the Digital Services Act asks for (Regulation (EU) 2022/2065, Art. 17 and 24(5)), of what the platforms of the key's party removed.
#[utoipa::path(
    get,
    path = "/v1/reports/statements",
    tag = "reports",
    operation_id = "read_statements",
    params(StatementParameters),
    responses(
        (status = 200, description = "A page of drafts", body = StatementsDocument),
        Refused,
        NotReported
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_statements(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<StatementParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.reporting_party(&headers).await?;
        let Query(asked) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let limit = asked.limit.unwrap_or(STATEMENTS_MAX as u32);
        if !(1..=STATEMENTS_MAX as u32).contains(&limit) {
            return Err(invalid("limit: 1 to 100"));
        }
        let territory = asked.territory.parse::<Territory>();
        let territory = territory.map_err(|error| invalid(&format!("territory: {error}")))?;
        let after = asked.after.map(|text| text.parse::<RestrictionCursor>()).transpose();
        let after = after.map_err(|_| invalid("after: it is no `next` of a page"))?;
        let period = period(&asked.from, &asked.to)?;
        let made = dispatcher.begin_report(access.team)?;
        let page = dispatcher.store.restrictions(access.team, period, (after, limit)).await;
        drop(made);
        let page = page.map_err(|error| problems::of_store(&error))?;
        let mut statements = Vec::new();
        let mut left_out: BTreeMap<LeftOut, u64> = BTreeMap::new();
        for row in &page.rows {
            match draft(row, &territory, unique(&dispatcher, access.team, row)) {
                Ok(statement) => statements.push(of_drill(statement, dispatcher.store.drill())),
                Err(why) => *left_out.entry(why).or_default() += 1,
            }
        }
        let left_out = left_out
            .into_iter()
            .map(|(why, count)| LeftOutDocument { why: why.name(), count });
        Ok::<_, Problem>(StatementsDocument {
            statements,
            left_out: left_out.collect(),
            next: page.next.map(|next| next.to_string()),
            how: HOW.to_vec(),
        })
    };
    answered(&dispatcher, "read_statements", read.await)
}

/// A draft of a drill says so where it says what it rests on: it has no other place for that.
fn of_drill(statement: Statement, drill: Option<DrillId>) -> Statement {
    match drill {
        Some(drill) => Statement {
            decision_facts: format!("DRILL {drill}: nothing of this is real. {}", statement.decision_facts),
            ..statement
        },
        None => statement,
    }
}

/// The number of a draft: the same each time, and of nobody else's drafts.
fn unique(dispatcher: &Dispatcher, team: Team, row: &RestrictionRow) -> u128 {
    let parts: [&[u8]; 4] = [
        &team.to_number().to_le_bytes(),
        &row.content.0.to_le_bytes(),
        &row.platform.0.to_le_bytes(),
        &row.decided_at.0.to_le_bytes(),
    ];
    dispatcher.key.digest("statement of reasons", &parts)
}
