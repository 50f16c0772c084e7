use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use tocsin_model::KeyId;
use tocsin_model::Scope;
use tocsin_runtime::http::bearer_token;
use tocsin_runtime::{Problem, problem};
use tocsin_store::{Principal, Role, StoreError};

use super::NOT_READY;
use super::meter::charge_read;
use crate::state::QueryState;

/// Who asks: a key that was checked and has asked no more than it may, on a replica that caught up.
pub(crate) struct Reader {
    pub(crate) scope: Scope,
    pub(crate) key_id: KeyId,
    pub(crate) principal: Principal,
    /// The key as it was shown, to check it again during a stream.
    token: String,
}

impl FromRequestParts<QueryState> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &QueryState) -> Result<Reader, Problem> {
        let reader = Reader::unmetered(parts, state).await?;
        charge_read(state, reader.key_id, parts)?;
        Ok(reader)
    }
}

impl Reader {
    /// Who asks, where the request is none of the reads that are counted.
    pub(super) async fn unmetered(parts: &Parts, state: &QueryState) -> Result<Reader, Problem> {
        let token = token(&parts.headers)?;
        let principal = authenticate(state, token).await?;
        if !state.is_ready() {
            return Err(Problem::new(NOT_READY).with_retry_after_s(1));
        }
        Ok(Reader {
            scope: principal.scope(),
            key_id: principal.key_id,
            principal,
            token: token.to_owned(),
        })
    }

    /// The key, or the token of the session, that was shown.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Checks the key again, which nobody asked for: the scope is the same as long as this is `Ok`.
    pub(crate) async fn check_again(&self, state: &QueryState) -> Result<(), Problem> {
        let principal = may_read(state.store().authenticate_unasked(&self.token).await)?;
        match principal.scope() == self.scope {
            true => Ok(()),
            false => Err(Problem::new(problem::UNAUTHENTICATED)),
        }
    }
}

/// Who asks, if they may ask here.
pub(super) async fn principal(state: &QueryState, headers: &HeaderMap) -> Result<Principal, Problem> {
    authenticate(state, token(headers)?).await
}

fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    bearer_token(headers).ok_or_else(|| Problem::new(problem::UNAUTHENTICATED))
}

async fn authenticate(state: &QueryState, token: &str) -> Result<Principal, Problem> {
    may_read(state.store().authenticate(token).await)
}

fn may_read(principal: Result<Option<Principal>, StoreError>) -> Result<Principal, Problem> {
    let principal = principal.map_err(|error| {
        tracing::error!(
            error = tocsin_runtime::roles::chain(&error),
            "a key could not be checked"
        );
        Problem::new(problem::UNAVAILABLE).with_retry_after_s(1)
    })?;
    let principal = principal.ok_or_else(|| Problem::new(problem::UNAUTHENTICATED))?;
    // Who decides a case must see what it rests on.
    match principal.has(Role::Reader) || principal.has(Role::Moderator) {
        true => Ok(principal),
        false => Err(Problem::new(problem::FORBIDDEN)),
    }
}
