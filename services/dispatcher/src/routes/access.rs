use axum::http::HeaderMap;
use tocsin_casework::Team;
use tocsin_runtime::{Problem, http, problem};
use tocsin_store::{Principal, Role, Subject};

use crate::{Dispatcher, problems};

/// Who asks, and whose queue it is about.
pub(super) struct Access {
    pub principal: Principal,
    pub team: Team,
}

impl Dispatcher {
    /// Those who may look: readers and moderators.
    pub(super) async fn reader(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        self.access(headers, &[Role::Reader, Role::Moderator]).await
    }

    /// Those who may claim and decide.
    pub(super) async fn moderator(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        self.access(headers, &[Role::Moderator]).await
    }

    async fn access(&self, headers: &HeaderMap, any_of: &[Role]) -> Result<Access, Problem> {
        let key = http::bearer_token(headers).ok_or(problem::UNAUTHENTICATED)?;
        let principal = self.store.authenticate(key).await;
        let principal = principal.map_err(|error| problems::of_store(&error))?;
        let principal = principal.ok_or(problem::UNAUTHENTICATED)?;
        if !any_of.iter().any(|role| principal.has(*role)) {
            return Err(problem::FORBIDDEN.into());
        }
        let team = Team::of_scope(principal.scope()).ok_or(problems::NO_QUEUE)?;
        Ok(Access { principal, team })
    }
}

impl Access {
    /// The name of the team in answers.
    pub(super) fn team_name(&self) -> String {
        match &self.principal.subject {
            Subject::Party(_, name) => name.to_string(),
            Subject::Coordinators | Subject::Operator => "coordinators".to_owned(),
        }
    }
}
