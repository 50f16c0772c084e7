//! Goal: a reader of the stream of alerts misses none and gets none twice, over a restart of the process.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tocsin_model::Event;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::LIMIT;
use tocsin_wire::event::encode_batch;

use crate::retries::now;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_resumes_over_a_restart() {
    on_each_log(async |ground| check(ground).await).await;
}

/// One server-sent event.
#[derive(Debug)]
struct Sent {
    id: String,
    name: String,
    data: String,
}

/// Reads a stream event by event.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(deployment: &Deployment, key: &str, after: Option<&str>) -> Result<Stream> {
        let response = deployment.api.stream(key, after).await?;
        Ok(Stream {
            response,
            text: String::new(),
        })
    }

    async fn next(&mut self) -> Result<Sent> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start_matches(": ").to_owned()
                };
                let (sent, rest) = (
                    Sent {
                        id: field("id"),
                        name: field("event"),
                        data: field("data"),
                    },
                    rest.to_owned(),
                );
                self.text = rest;
                if !sent.name.is_empty() {
                    return Ok(sent);
                }
                continue;
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk())
                .await
                .context("nothing comes")??;
            self.text
                .push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
        }
    }

    /// The next event, which must be an alert about this content; the id behind it.
    async fn alert(&mut self, url: &str) -> Result<(String, Value)> {
        let sent = self.next().await?;
        assert_eq!(sent.name, "alert", "{sent:?}");
        let alert: Value = serde_json::from_str(&sent.data)?;
        assert_eq!(alert["hash"]["value"], url, "{alert}");
        Ok((sent.id, alert["id"].clone()))
    }
}

async fn ring(deployment: &Deployment, number: usize) -> Result<String> {
    let url = url(number);
    let event = |copy| share(number as u128 * 1_000 + copy, "alpha-video", &url, now());
    let events: Vec<Event> = (1..=35).map(event).collect();
    append(&deployment.log, vec![ingest(ALPHA, Some(encode_batch(&events)), None)]).await?;
    Ok(url)
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 4).await?;
    let key = &site.keys.beta;
    let deployment = Deployment::start(&site).await?;
    let mut stream = Stream::open(&deployment, key, None).await?;
    assert_eq!(stream.next().await?.name, "position");
    let first = ring(&deployment, 1).await?;
    let mut heard = Vec::new();
    let (after_first, id) = stream.alert(&first).await?;
    heard.push(id);
    // These ring while nobody listens: one before the restart, ...
    drop(stream);
    let second = ring(&deployment, 2).await?;
    tocsin_tests::wait::until("it has rung", async || {
        Ok((deployment.api.alerts(key).await?.len() >= 2).then_some(()))
    })
    .await?;
    deployment.stop().await?;
    // ... one after it.
    let deployment = Deployment::start(&site).await?;
    let third = ring(&deployment, 3).await?;
    let mut stream = Stream::open(&deployment, key, Some(&after_first)).await?;
    assert_eq!(stream.next().await?.name, "position");
    for url in [second, third] {
        heard.push(stream.alert(&url).await?.1);
    }
    let fourth = ring(&deployment, 4).await?;
    heard.push(stream.alert(&fourth).await?.1);
    drop(stream);
    let all = deployment.api.alerts(key).await?;
    let mut all: Vec<String> = all.iter().map(|alert| alert["id"].to_string()).collect();
    let mut heard: Vec<String> = heard.iter().map(Value::to_string).collect();
    all.sort_unstable();
    heard.sort_unstable();
    assert_eq!(heard, all);
    deployment.stop().await
}
