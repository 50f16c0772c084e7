use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use tocsin_model::Timestamp;
use tocsin_protocol::Figures;

use super::figures::{FamilyAnswer, MembersAnswer, figures};
use crate::client::Source;

/// A family as the API tells it.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its id. Differs from the one asked for when that content belongs to another's family.
    pub id: String,
    /// The reader's scope.
    pub scope: String,
    /// Up to when it is counted.
    pub as_of: Timestamp,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
    /// What is known of it.
    pub figures: Figures,
}

/// Asks for the figures of a family now.
///
/// # Errors
/// Nothing is known of it in the reader's scope, or the API does not answer.
pub async fn ask(source: &Source, id: &str) -> Result<Family> {
    let Some(family) = get(source, &format!("/v1/families/{id}")).await? else {
        bail!("nothing is known of the family {id} in your scope");
    };
    // A family that is counted approximately has no members to tell, and one may have become cold meanwhile.
    let members: Option<MembersAnswer> = match &family {
        FamilyAnswer::Hot(_) => get(source, &format!("/v1/families/{id}/members")).await?,
        FamilyAnswer::Cold(_) => None,
    };
    figures(&family, members.as_ref())
        .context("the family has no time up to which it is counted: its partition is not ready")
}

/// The document of an answer; `None` when there is no such thing.
async fn get<T: DeserializeOwned>(source: &Source, path: &str) -> Result<Option<T>> {
    let answer = source.get(path).await?;
    match answer.status {
        404 => Ok(None),
        _ => Ok(Some(answer.document()?)),
    }
}
