//! Why an alert rang, what it is worth, and whom it called: for a person.

pub(crate) mod answer;
pub(crate) mod figure;
mod text;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::client::Source;

pub use text::explanation;

/// Which alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest that the reader may see.
    Newest,
    /// The one with this id.
    Id(String),
}

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
    let found = source.get(&path).await?;
    match which {
        Which::Newest => Ok(found.document::<answer::Page>()?.alerts.into_iter().next()),
        Which::Id(id) if found.status == 404 => bail!("there is no alert {id} in your scope, or it is no longer held"),
        Which::Id(_) => Ok(Some(found.document()?)),
    }
}
