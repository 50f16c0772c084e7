//! The API over HTTP, as any other program uses it: for commands in a terminal.

use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Where to ask, and as whom.
#[derive(Clone, Debug)]
pub struct Source {
    /// The address of the API.
    pub url: String,
    /// An API key.
    pub key: String,
}

/// What is sent with a request.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    Parameters(Vec<(&'static str, String)>),
    Body(Value),
}

/// What the API answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: String,
    url: String,
}

/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

impl Source {
    /// The answer to a `GET`, whatever its status is.
    ///
    /// # Errors
    /// The API does not answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.ask(Method::GET, path, Sent::Parameters(Vec::new())).await
    }

    /// The answer to a request, whatever its status is.
    ///
    /// # Errors
    /// The API does not answer.
    pub(crate) async fn ask(&self, method: Method, path: &str, sent: Sent) -> Result<Answer> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let request = reqwest::Client::new()
            .request(method, &url)
            .bearer_auth(self.key.trim())
            .timeout(ANSWER_MAX);
        let request = match sent {
            Sent::Parameters(parameters) => request.query(&parameters),
            Sent::Body(body) => request.json(&body),
        };
        let response = request.send().await.with_context(|| format!("ask {url}"))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.text().await;
        let body = body.with_context(|| format!("read the answer of {url}"))?;
        Ok(Answer {
            status,
            headers,
            body,
            url,
        })
    }
}

impl Answer {
    /// The document, of an answer that is a success.
    ///
    /// # Errors
    /// It is no success ([`Answer::refused`]), or another document.
    pub(crate) fn document<T: DeserializeOwned>(&self) -> Result<T> {
        if !(200..300).contains(&self.status) {
            return Err(self.refused());
        }
        serde_json::from_str(&self.body).with_context(|| format!("read the answer of {}", self.url))
    }

    /// The text, of an answer that is a success.
    ///
    /// # Errors
    /// It is no success ([`Answer::refused`]).
    pub(crate) fn text(&self) -> Result<&str> {
        match self.status {
            200..300 => Ok(&self.body),
            _ => Err(self.refused()),
        }
    }

    /// A header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What is wrong, in the API's words where it says it by RFC 9457.
    pub(crate) fn refused(&self) -> Error {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str();
        match (text("title"), text("code"), text("detail")) {
            (Some(title), Some(code), Some(detail)) => anyhow!("{title} ({code}): {detail}"),
            (Some(title), Some(code), None) => anyhow!("{title} ({code})"),
            _ => anyhow!("{} answers {}: {}", self.url, self.status, self.body),
        }
    }
}
