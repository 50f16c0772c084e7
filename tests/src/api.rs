//! The HTTP API of a deployment, as its readers and publishers use it.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::wait::until;

/// A client of one process.
#[derive(Clone, Debug)]
pub struct Api {
    /// Scheme, address and port.
    pub base: String,
    client: reqwest::Client,
}

impl Api {
    /// A client of the process that listens at `address`.
    pub fn new(address: impl std::fmt::Display) -> Api {
        Api {
            base: format!("http://{address}"),
            client: reqwest::Client::new(),
        }
    }

    /// Status and body of a `GET`.
    ///
    /// # Errors
    /// There is no answer, or it is not JSON.
    pub async fn get(&self, key: &str, path: &str, query: &[(&str, &str)]) -> Result<(u16, Value)> {
        let request = self.client.get(format!("{}{path}", self.base)).query(query);
        let response = request
            .bearer_auth(key)
            .send()
            .await
            .with_context(|| format!("GET {path}"))?;
        let status = response.status().as_u16();
        Ok((
            status,
            response
                .json()
                .await
                .with_context(|| format!("GET {path} answers JSON"))?,
        ))
    }

    /// The body of a `GET` that is answered with 200.
    ///
    /// # Errors
    /// It is answered with something else.
    pub async fn read(&self, key: &str, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let (status, answer) = self.get(key, path, query).await?;
        ensure!(status == 200, "GET {path} answers {status}: {answer}");
        Ok(answer)
    }

    /// Status and body of a `POST`.
    ///
    /// # Errors
    /// There is no answer, or it is not JSON.
    pub async fn post(&self, key: &str, path: &str, media_type: &str, body: Vec<u8>) -> Result<(u16, Value)> {
        self.post_with(key, path, &[("content-type", media_type)], body).await
    }

    /// Status and body of a `POST` with these headers.
    ///
    /// # Errors
    /// There is no answer, or it is not JSON.
    pub async fn post_with(
        &self,
        key: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(u16, Value)> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(key);
        let request = headers.iter().fold(request.body(body), |request, (name, value)| {
            request.header(*name, *value)
        });
        let response = request.send().await.with_context(|| format!("POST {path}"))?;
        let status = response.status().as_u16();
        Ok((
            status,
            response
                .json()
                .await
                .with_context(|| format!("POST {path} answers JSON"))?,
        ))
    }

    /// The answer to a `POST` of JSON that succeeds.
    ///
    /// # Errors
    /// It is refused.
    pub async fn act(&self, key: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self
            .post(key, path, "application/json", body.to_string().into_bytes())
            .await?;
        ensure!((200..300).contains(&status), "POST {path} answers {status}: {answer}");
        Ok(answer)
    }

    /// What is known of a content by its URL; `None` when the reader may see nothing of it.
    ///
    /// # Errors
    /// It is answered with something else.
    pub async fn look_up(&self, key: &str, url: &str) -> Result<Option<Value>> {
        let (status, answer) = self
            .get(key, "/v1/lookup", &[("algorithm", "url"), ("value", url)])
            .await?;
        match status {
            200 => Ok(Some(answer)),
            404 => Ok(None),
            _ => bail!("GET /v1/lookup answers {status}: {answer}"),
        }
    }

    /// How often the content of a URL was seen; `None` while its partition has not told its time.
    ///
    /// # Errors
    /// It is answered with something else.
    pub async fn count(&self, key: &str, url: &str) -> Result<Option<Value>> {
        let (status, answer) = self
            .get(key, "/v1/counts", &[("algorithm", "url"), ("value", url)])
            .await?;
        match status {
            200 => Ok(Some(answer["counts"][0].clone())),
            503 => Ok(None),
            _ => bail!("GET /v1/counts answers {status}: {answer}"),
        }
    }

    /// All alerts of the reader's scope that are held, the oldest first.
    ///
    /// # Errors
    /// The API does not answer as it is described.
    pub async fn alerts(&self, key: &str) -> Result<Vec<Value>> {
        let answer = self.read(key, "/v1/alerts", &[("limit", "500")]).await?;
        ensure!(answer["more"] != Value::Bool(true), "more alerts than one page holds");
        let mut alerts = answer["alerts"].as_array().context("alerts is a list")?.clone();
        alerts.sort_by_key(|alert| alert["at"].to_string());
        Ok(alerts)
    }

    /// Opens the stream of alerts.
    ///
    /// # Errors
    /// It is refused.
    pub async fn stream(&self, key: &str, after: Option<&str>) -> Result<reqwest::Response> {
        let mut request = self.client.get(format!("{}/v1/stream", self.base)).bearer_auth(key);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.context("GET /v1/stream")?;
        ensure!(
            response.status().as_u16() == 200,
            "GET /v1/stream answers {}",
            response.status()
        );
        Ok(response)
    }

    /// Sum of a metric over its labels; `None` before it was first told.
    ///
    /// # Errors
    /// The metrics cannot be read.
    pub async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let response = self
            .client
            .get(format!("{}/metrics", self.base))
            .send()
            .await
            .context("GET /metrics")?;
        let text = response.text().await.context("GET /metrics answers text")?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values = text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next());
        let values = values.filter_map(|value| value.parse::<f64>().ok());
        Ok(values.reduce(|sum, value| sum + value))
    }

    /// Waits until all roles are ready.
    ///
    /// # Errors
    /// They do not become ready.
    pub async fn ready(&self) -> Result<()> {
        let mut said = String::new();
        let ready = until("the process is ready", async || {
            let request = self.client.get(format!("{}/readyz", self.base));
            let response = request.send().await.context("GET /readyz")?;
            let is_ready = response.status().as_u16() == 200;
            said = response.text().await.context("GET /readyz answers text")?;
            Ok(is_ready.then_some(()))
        })
        .await;
        ready.with_context(|| format!("it says {said}"))
    }
}
