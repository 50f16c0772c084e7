use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use tocsin_exchange::SignalType;
use tocsin_runtime::Problem;
use utoipa::{IntoParams, ToSchema};

use super::look_up::{all_banks, unknown_bank, visible_incidents};
use super::signal::signal_type;
use crate::routes::meter::MeteredReader;
use crate::routes::parameters::Parameters;
use crate::state::QueryState;

/// A bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BankAnswer {
    /// Its name: `HOT_FAMILIES`, that of a bank of the watch list, or `INCIDENT_` and the id of a live incident in capitals.
    name: String,
    /// Which part of its hashes is looked up, 0 to 1; 0 where it is not in use.
    matching_enabled_ratio: f64,
}

/// A signal type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignalTypeAnswer {
    /// Its name.
    name: &'static str,
    /// 1: all of them are looked up.
    enabled_ratio: f64,
}

/// What look-ups of one signal type are answered from, inside the reader's scope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndexStatusAnswer {
    /// When the latest content was announced, in seconds since 1970; -1 where there is none.
    built_to: i64,
    /// Whether there is any.
    present: bool,
    /// How many hashes. What is announced both to all and to the reader's own scope counts twice.
    size: u64,
}

/// Which index.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IndexParameters {
    /// One signal type; all when absent.
    signal_type: Option<String>,
}

/// What look-ups are answered from, by signal type
///
/// There is no build to wait for: a content is found as soon as it is announced.
#[utoipa::path(get, path = "/m/index/status", tag = "hma", security(("api_key" = [])), params(IndexParameters),
    responses(
        (status = 200, description = "By signal type", body = BTreeMap<String, IndexStatusAnswer>),
        (status = 400, description = "`invalid_parameter`, `unknown_signal_type`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn index_status(
    State(state): State<QueryState>,
    metered: MeteredReader,
    Parameters(parameters): Parameters<IndexParameters>,
) -> Result<Json<BTreeMap<&'static str, IndexStatusAnswer>>, Problem> {
    let kinds = match parameters.signal_type {
        Some(name) => vec![signal_type(&state, &name)?],
        None => SignalType::ALL.to_vec(),
    };
    let status = |kind: SignalType| {
        let size = state.replica().announced.size(kind.algorithm(), metered.reader.scope);
        let is_present = size.hashes > 0;
        let built_to = size
            .newest
            .filter(|_| is_present)
            .map_or(-1, |at| at.0.div_euclid(1_000));
        let answer = IndexStatusAnswer {
            built_to,
            present: is_present,
            size: size.hashes,
        };
        (kind.name(), answer)
    };
    Ok(Json(kinds.into_iter().map(status).collect()))
}

/// The banks that look-ups are answered from
///
/// Live incidents are told to those who may read them.
#[utoipa::path(get, path = "/c/banks", tag = "hma", security(("api_key" = [])),
    responses(
        (status = 200, body = Vec<BankAnswer>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn banks(
    State(state): State<QueryState>,
    metered: MeteredReader,
) -> Result<Json<Vec<BankAnswer>>, Problem> {
    let incidents = visible_incidents(&state, &metered.reader).await?;
    let banks = all_banks(&state, &incidents).await?;
    let answer = |(name, ratio): (&String, &f64)| bank_answer(name.clone(), *ratio);
    Ok(Json(banks.iter().map(answer).collect()))
}

/// One bank
#[utoipa::path(get, path = "/c/bank/{bank}", tag = "hma", security(("api_key" = [])),
    params(("bank" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = BankAnswer),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_bank`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn bank(
    State(state): State<QueryState>,
    metered: MeteredReader,
    Path(name): Path<String>,
) -> Result<Json<BankAnswer>, Problem> {
    let incidents = visible_incidents(&state, &metered.reader).await?;
    match all_banks(&state, &incidents).await?.get(&name) {
        Some(ratio) => Ok(Json(bank_answer(name, *ratio))),
        None => Err(unknown_bank(&state, &name)),
    }
}

/// The signal types that are known
#[utoipa::path(get, path = "/c/signal_type", tag = "hma", security(("api_key" = [])),
    responses(
        (status = 200, body = Vec<SignalTypeAnswer>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn signal_types(_metered: MeteredReader) -> Json<Vec<SignalTypeAnswer>> {
    let answer = |kind: SignalType| SignalTypeAnswer {
        name: kind.name(),
        enabled_ratio: 1.0,
    };
    Json(SignalType::ALL.map(answer).into())
}

fn bank_answer(name: String, matching_enabled_ratio: f64) -> BankAnswer {
    BankAnswer {
        name,
        matching_enabled_ratio,
    }
}
