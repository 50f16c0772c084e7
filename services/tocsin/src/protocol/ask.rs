use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tocsin_model::Timestamp;
use tocsin_protocol::Figures;

use super::figures::{FamilyAnswer, MembersAnswer, figures};
use crate::explain::Source;

/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

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
    let family: FamilyAnswer = serde_json::from_str(&family).context("read the family")?;
    // A family that is counted approximately has no members to tell, and one may have become cold meanwhile.
    let members = match &family {
        FamilyAnswer::Hot(_) => get(source, &format!("/v1/families/{id}/members")).await?,
        FamilyAnswer::Cold(_) => None,
    };
    let members: Option<MembersAnswer> = match members {
        Some(members) => Some(serde_json::from_str(&members).context("read the members of the family")?),
        None => None,
    };
    figures(&family, members.as_ref())
        .context("the family has no time up to which it is counted: its partition is not ready")
}

/// The body of an answer; `None` when there is no such thing.
async fn get(source: &Source, path: &str) -> Result<Option<String>> {
    let url = format!("{}{path}", source.url.trim_end_matches('/'));
    let request = reqwest::Client::new()
        .get(&url)
        .bearer_auth(source.key.trim())
        .timeout(ANSWER_MAX);
    let response = request.send().await.with_context(|| format!("ask {url}"))?;
    let status = response.status().as_u16();
    let body = response
        .text()
        .await
        .with_context(|| format!("read the answer of {url}"))?;
    match status {
        200 => Ok(Some(body)),
        404 => Ok(None),
        _ => bail!("{url} answers {status}: {body}"),
    }
}
