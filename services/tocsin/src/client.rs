//! The API over HTTP, as any other program uses it: for commands in a terminal.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client_tls::ClientTls;
use crate::serve::DRILL_HEADER;

/// Where to ask, and as whom.
#[derive(Clone, Debug)]
pub struct Source {
    /// The address of the API.
    pub url: String,
    /// An API key; `None`: a client certificate speaks for itself.
    pub key: Option<String>,
    /// What is trusted and shown over TLS.
    pub tls: ClientTls,
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

/// A stream says that it lives every 15 seconds; one that is silent for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Nobody waits for longer before they ask again, whatever is said.
const AGAIN_MAX_S: u64 = 60;
/// So often a request that may be answered later is made.
const ASKED_MAX: u32 = 30;

impl Source {
    /// The API at `url`, with an API key.
    pub fn with_key(url: &str, key: &str) -> Source {
        Source {
            url: url.to_owned(),
            key: Some(key.to_owned()),
            tls: ClientTls::default(),
        }
    }

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
        let client = self.tls.builder().build().context("make the HTTP client")?;
        let request = self.spoken(client.request(method, &url)).timeout(ANSWER_MAX);
        let request = match sent {
            Sent::Parameters(parameters) => request.query(&parameters),
            Sent::Body(body) => request.json(&body),
        };
        let response = request.send().await.with_context(|| format!("ask {url}"))?;
        Answer::read(url, response).await
    }

    /// A request as whom it is made.
    pub(crate) fn spoken(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key.trim()),
            None => request,
        }
    }

    /// The document that a `GET` gives, asked for again while the API is busy ([`Refused::again`]): up to 30 times, as long after each as it says.
    ///
    /// # Errors
    /// The API does not answer, refuses it for good, or is busy the last time too; then it is [`Refused`].
    pub(crate) async fn wait_for<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<T> {
        let mut asked = 0;
        loop {
            let sent = Sent::Parameters(parameters.to_vec());
            let found = self.ask(Method::GET, path, sent).await?.document();
            asked += 1;
            let again = match &found {
                Ok(_) => None,
                Err(error) => error.downcast_ref::<Refused>().and_then(|refused| refused.again),
            };
            match again.filter(|_| asked < ASKED_MAX) {
                Some(again) => tokio::time::sleep(again).await,
                None => return found,
            }
        }
    }

    /// Opens what a command answers with that is taken piece by piece, however long it is.
    ///
    /// # Errors
    /// The API does not answer, or refuses it; then it is [`Refused`].
    pub(crate) async fn download(&self, path: &str, body: Value) -> Result<Response> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let client = self.tls.builder().read_timeout(SILENCE_MAX).build()?;
        let request = self.spoken(client.post(&url)).json(&body);
        opened(request.send().await.with_context(|| format!("ask {url}"))?, url).await
    }

    /// Opens a stream of events that goes on behind `last`, the id of one.
    ///
    /// # Errors
    /// The API does not answer, or refuses it; then it is [`Refused`].
    pub(crate) async fn stream(&self, path: &str, last: Option<&str>) -> Result<Response> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let client = self.tls.builder().read_timeout(SILENCE_MAX).build()?;
        let mut request = self.spoken(client.get(&url));
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        opened(request.send().await.with_context(|| format!("ask {url}"))?, url).await
    }
}

/// What is taken piece by piece, where the API gives it.
async fn opened(response: Response, url: String) -> Result<Response> {
    let (status, headers) = (response.status(), response.headers().clone());
    say_drill(&headers);
    if status.is_success() {
        return Ok(response);
    }
    let answer = Answer {
        status: status.as_u16(),
        headers,
        body: response.text().await.unwrap_or_default(),
        url,
    };
    Err(answer.refused())
}

/// Says once, beside what the command prints, that the answers are of a drill.
fn say_drill(headers: &HeaderMap) {
    static SAID: std::sync::Once = std::sync::Once::new();
    if let Some(drill) = headers.get(DRILL_HEADER).and_then(|id| id.to_str().ok()) {
        SAID.call_once(|| eprintln!("DRILL {drill}: nothing of this is real."));
    }
}

/// The API answered, and said no: why.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    why: String,
    /// After how long to ask again; `None` where the answer would be the same.
    pub(crate) again: Option<Duration>,
}

#[cfg(test)]
impl Refused {
    pub(crate) fn example(again: Option<Duration>) -> Refused {
        Refused {
            why: "no".to_owned(),
            again,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refused {}

impl Answer {
    /// Reads the whole of what `url` answered.
    ///
    /// # Errors
    /// It broke off.
    pub(crate) async fn read(url: String, response: Response) -> Result<Answer> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        say_drill(&headers);
        let body = response.text().await;
        let body = body.with_context(|| format!("read the answer of {url}"))?;
        Ok(Answer {
            status,
            headers,
            body,
            url,
        })
    }

    /// Whether it has this status.
    pub(crate) fn is(&self, status: u16) -> bool {
        self.status == status
    }

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

    /// What is wrong, in the API's words where it says it by RFC 9457: a [`Refused`].
    pub(crate) fn refused(&self) -> Error {
        let asked_for = self.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let again = matches!(self.status, 429 | 500..).then(|| asked_for.unwrap_or(1).min(AGAIN_MAX_S));
        Error::new(Refused {
            why: self.why(),
            again: again.map(Duration::from_secs),
        })
    }

    fn why(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str();
        match (text("title"), text("code"), text("detail")) {
            (Some(title), Some(code), Some(detail)) => format!("{title} ({code}): {detail}"),
            (Some(title), Some(code), None) => format!("{title} ({code})"),
            _ => format!("{} answers {}: {}", self.url, self.status, self.body),
        }
    }
}
