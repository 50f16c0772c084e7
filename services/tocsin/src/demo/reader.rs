use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The API, as the holder of a key uses it.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The client of all requests.
    pub client: Client,
    /// Where the deployment answers.
    pub url: String,
    /// Who asks.
    pub key: String,
}

/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

impl Reader {
    /// The answer to a `GET`; `None` while there is nothing to tell (yet).
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let request = self.client.get(format!("{}{path}", self.url));
        self.answer(request, path).await
    }

    /// The answer to a `POST` of a document; `None` as for [`Reader::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, document: &Value) -> Result<Option<T>> {
        let request = self.client.post(format!("{}{path}", self.url)).json(document);
        self.answer(request, path).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Option<T>> {
        let request = request.bearer_auth(&self.key).timeout(ANSWER_MAX);
        let response = request.send().await.with_context(|| format!("ask {path}"))?;
        match response.status().as_u16() {
            200 => Ok(Some(
                response
                    .json()
                    .await
                    .with_context(|| format!("read the answer of {path}"))?,
            )),
            404 | 503 => Ok(None),
            status => bail!("{path} answers {status}: {}", response.text().await.unwrap_or_default()),
        }
    }
}
