//! Why an alert rang, what it is worth, and whom it called: for a person.

pub(crate) mod answer;
pub(crate) mod figure;
mod text;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub use text::explanation;

/// Which alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest that the reader may see.
    Newest,
    /// The one with this id.
    Id(String),
}

/// Where to ask, and as whom.
#[derive(Clone, Debug)]
pub struct Source {
    /// The address of the API.
    pub url: String,
    /// An API key with the role `reader` or `moderator`.
    pub key: String,
}

/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest" => Ok(Which::Newest),
            id if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Which::Id(id.to_ascii_lowercase())),
            _ => Err("an alert is named by its 32 hexadecimal digits, or as `newest`".to_owned()),
        }
    }
}

/// The alert as the API gives it; `None` when nothing rang yet.
///
/// # Errors
/// There is no such alert in the reader's scope, or the API does not answer.
pub async fn fetch(source: &Source, which: &Which) -> Result<Option<Value>> {
    let path = match which {
        Which::Newest => "/v1/alerts?limit=1".to_owned(),
        Which::Id(id) => format!("/v1/alerts/{id}"),
    };
    let (status, body) = ask(source, &path).await?;
    match (status, which) {
        (200, Which::Id(_)) => Ok(Some(serde_json::from_str(&body).context("read the alert")?)),
        (200, Which::Newest) => {
            let page: answer::Page = serde_json::from_str(&body).context("read the alerts")?;
            Ok(page.alerts.into_iter().next())
        }
        (404, Which::Id(id)) => bail!("there is no alert {id} in your scope, or it is no longer held"),
        _ => bail!("{} answers {status}: {body}", source.url),
    }
}

/// The status and the body of an answer.
///
/// # Errors
/// The API does not answer.
pub(crate) async fn ask(source: &Source, path: &str) -> Result<(u16, String)> {
    let url = format!("{}{path}", source.url.trim_end_matches('/'));
    let request = reqwest::Client::new()
        .get(&url)
        .bearer_auth(source.key.trim())
        .timeout(ANSWER_MAX);
    let response = request.send().await.with_context(|| format!("ask {url}"))?;
    let status = response.status().as_u16();
    let body = response.text().await;
    Ok((status, body.with_context(|| format!("read the answer of {url}"))?))
}
