use axum::http::HeaderMap;
use tocsin_casework::Team;
use tocsin_runtime::{Problem, http, problem};
use tocsin_store::{Asking, Principal, Role, StoreError, Subject};

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

    /// For whom a reader's key speaks now, which nobody asked for: it keeps no session alive.
    async fn reader_unasked(&self, headers: &HeaderMap) -> Result<Team, Problem> {
        let key = http::bearer_token(headers).ok_or(problem::UNAUTHENTICATED)?;
        let principal = Self::may(
            self.store.authenticate_unasked(key).await,
            &[Role::Reader, Role::Moderator],
        )?;
        Ok(Team::of_scope(principal.scope()).ok_or(problems::NO_QUEUE)?)
    }

    /// Those who may claim and decide.
    pub(super) async fn moderator(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        self.access(headers, &[Role::Moderator]).await
    }

    /// Those who may file appeals: whoever publishes for a platform, and moderators.
    pub(super) async fn appellant(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        self.access(headers, &[Role::Publisher, Role::Moderator]).await
    }

    /// Those who may look at one appeal: also whoever files them.
    pub(super) async fn appeal_reader(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        let any_of = [Role::Publisher, Role::Reader, Role::Moderator];
        self.access(headers, &any_of).await
    }

    /// Those who may look at incidents: readers and moderators, whomever they speak for. What they are told is decided by the store.
    pub(super) async fn incident_reader(&self, headers: &HeaderMap) -> Result<Asking, Problem> {
        self.asking(headers, &[Role::Reader, Role::Moderator]).await
    }

    /// Those who may act in incidents.
    pub(super) async fn incident_moderator(&self, headers: &HeaderMap) -> Result<Asking, Problem> {
        self.asking(headers, &[Role::Moderator]).await
    }

    /// Those who read aggregates and nothing else, whomever they speak for.
    pub(super) async fn researcher(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        self.principal(headers, &[Role::Researcher]).await
    }

    /// Whoever is known.
    pub(super) async fn anybody(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        self.principal(headers, &Role::ALL).await
    }

    async fn asking(&self, headers: &HeaderMap, any_of: &[Role]) -> Result<Asking, Problem> {
        let principal = self.principal(headers, any_of).await?;
        Ok(Asking {
            key: principal.key_id,
            team: Team::of_scope(principal.scope()),
        })
    }

    async fn access(&self, headers: &HeaderMap, any_of: &[Role]) -> Result<Access, Problem> {
        let principal = self.principal(headers, any_of).await?;
        let team = Team::of_scope(principal.scope()).ok_or(problems::NO_QUEUE)?;
        Ok(Access { principal, team })
    }

    async fn principal(&self, headers: &HeaderMap, any_of: &[Role]) -> Result<Principal, Problem> {
        let key = http::bearer_token(headers).ok_or(problem::UNAUTHENTICATED)?;
        Self::may(self.store.authenticate(key).await, any_of)
    }

    fn may(principal: Result<Option<Principal>, StoreError>, any_of: &[Role]) -> Result<Principal, Problem> {
        let principal = principal.map_err(|error| problems::of_store(&error))?;
        let principal = principal.ok_or(problem::UNAUTHENTICATED)?;
        if !any_of.iter().any(|role| principal.has(*role)) {
            return Err(problem::FORBIDDEN.into());
        }
        Ok(principal)
    }
}

impl Access {
    /// Whether the key that was shown no longer speaks for this team. That the store does not answer says nothing against it.
    pub(super) async fn is_over(&self, dispatcher: &Dispatcher, headers: &HeaderMap) -> bool {
        match dispatcher.reader_unasked(headers).await {
            Ok(team) => team != self.team,
            Err(problem) => problem.status().is_client_error(),
        }
    }

    /// The name of the team in answers.
    pub(super) fn team_name(&self) -> String {
        match &self.principal.subject {
            Subject::Party(_, name) => name.to_string(),
            Subject::Coordinators | Subject::Operator => "coordinators".to_owned(),
        }
    }
}
