//! What parties hold of the contents of a case's family.

use std::collections::BTreeSet;

use serde::Serialize;
use tocsin_casework::Case;
use tocsin_model::ContentHash;
use tocsin_runtime::Problem;
use tocsin_store::Subject;
use tocsin_wire::document::{HashText, instant};
use utoipa::ToSchema;

use super::access::Access;
use crate::{Dispatcher, problems};

/// Of so many contents at most it is asked what parties hold of them.
const CONTENTS_MAX: usize = 1_000;
/// So many opinions are told at most.
const OPINIONS_TOLD_MAX: u32 = 100;

/// What a party holds of a content.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpinionDocument {
    /// The content's strongest hash.
    pub hash: HashText,
    /// `positive` (it violates), `investigation_seed` or `negative`.
    pub opinion: &'static str,
    /// Whose it is. To coordinators all are told; to a party its own, and what lists brought of those who are no parties here.
    pub party: String,
    /// Since when, RFC 3339: when it was decided; null where a list brought it.
    pub held_at: Option<String>,
}

impl Dispatcher {
    /// What parties hold of the contents of a case's family inside the team's scope, by hash; at most [`OPINIONS_TOLD_MAX`].
    pub(super) async fn opinions(&self, case: &Case, access: &Access) -> Result<Vec<OpinionDocument>, Problem> {
        let mut hashes: BTreeSet<ContentHash> = BTreeSet::from([case.hash.clone()]);
        let hot = self.ranking.figures().hashes(case.family, access.team, CONTENTS_MAX);
        hashes.extend(hot.into_values().map(|(hash, _)| hash));
        hashes.extend(self.carrying.hashes_of(access.team, case.family, CONTENTS_MAX));
        let hashes: Vec<ContentHash> = hashes.into_iter().take(CONTENTS_MAX).collect();
        // What others decided is theirs: a party learns of it by look-ups alone, which say what all hold together.
        let own = match &access.principal.subject {
            Subject::Party(_, name) => Some(name),
            Subject::Coordinators | Subject::Operator => None,
        };
        let held = self.store.held_opinions(&hashes, own, OPINIONS_TOLD_MAX);
        let held = held.await.map_err(|error| problems::of_store(&error))?;
        let told = held.into_iter().map(|held| OpinionDocument {
            hash: HashText::from(&held.hash),
            opinion: held.opinion.name(),
            party: held.party.to_string(),
            held_at: held.held_at.and_then(instant),
        });
        Ok(told.collect())
    }
}
