use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use tocsin_model::{Event, Milliseconds, Timestamp};

use super::{Destination, Pace, Replayed};
use crate::client::Source;
use crate::recorded::Recorded;

/// How often a batch is sent again after an answer that says "later".
const ATTEMPTS_MAX: u32 = 6;
/// The longest pause between two attempts, whatever the answer asks for.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A gateway that takes longer than this to answer is not there.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Publishes events through a gateway, in Avro batches, as the party that owns their platforms.
///
/// The time of receipt is the gateway's. Each event's own time is moved with it, so that the delay between the two stays as recorded.
///
/// # Errors
/// The gateway cannot be reached, or refuses a whole request. Single events that it refuses are counted.
pub async fn into_gateway(source: &Source, recorded: &[Recorded], pace: Pace) -> Result<Replayed> {
    pace.play(recorded, &mut Gateway::new(source)?).await
}

/// A gateway, as one party publishes to it.
pub(crate) struct Gateway {
    client: Client,
    events_url: Url,
    source: Source,
}

impl Destination for Gateway {
    async fn send(&mut self, batch: &[Recorded], replayed: &mut Replayed) -> Result<()> {
        let now = now();
        let events: Vec<Event> = batch.iter().map(|recorded| moved(recorded, now)).collect();
        let answer = self.publish(&events).await?;
        let count = |name: &str| answer[name].as_u64().unwrap_or(0);
        // Sent again after a lost answer, an event is accepted again and counted once.
        replayed.taken += count("accepted") + count("duplicates");
        replayed.refused += count("rejected");
        if replayed.first_refusal.is_none() {
            replayed.first_refusal = first_refusal(&answer);
        }
        Ok(())
    }
}

impl Gateway {
    /// A gateway, and as whom to publish to it.
    pub(crate) fn new(source: &Source) -> Result<Gateway> {
        let url = &source.url;
        let events_url = Url::parse(url)
            .and_then(|url| url.join("/v1/events"))
            .with_context(|| format!("{url:?} is no URL of a gateway, such as http://127.0.0.1:8340"))?;
        let client = source.tls.builder().timeout(ANSWER_MAX).build();
        Ok(Gateway {
            client: client.context("make the HTTP client")?,
            events_url,
            source: source.clone(),
        })
    }

    /// Publishes a batch. The answer to a request that was taken, or of whose events each was refused by itself.
    pub(crate) async fn publish(&self, events: &[Event]) -> Result<Value> {
        let body = tocsin_wire::event::encode_batch(events);
        let mut attempt = 1;
        loop {
            let request = self
                .source
                .spoken(self.client.post(self.events_url.clone()))
                .header(CONTENT_TYPE, "application/avro")
                .body(body.clone());
            let response = request
                .send()
                .await
                .with_context(|| format!("the gateway at {} does not answer", self.events_url))?;
            let status = response.status().as_u16();
            if matches!(status, 429 | 503) && attempt < ATTEMPTS_MAX {
                tokio::time::sleep(pause(&response, attempt)).await;
                attempt += 1;
                continue;
            }
            let answer: Value = response
                .json()
                .await
                .with_context(|| format!("{} answers {status} without JSON: it is no gateway", self.events_url))?;
            if status == 202 || answer["code"] == "all_rejected" {
                return Ok(answer);
            }
            let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
            bail!(
                "the gateway refuses: {status} {} {} {}",
                text("code"),
                text("title"),
                text("detail")
            );
        }
    }
}

fn pause(response: &Response, attempt: u32) -> Duration {
    let asked = response.headers().get(RETRY_AFTER);
    let asked_s = asked.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    asked_s
        .map_or(Duration::from_millis(100 << attempt), Duration::from_secs)
        .min(PAUSE_MAX)
}

/// The event as if it were received `now`.
fn moved(recorded: &Recorded, now: Timestamp) -> Event {
    let delay: Milliseconds = recorded.received_at - recorded.event.occurred_at;
    Event {
        occurred_at: Timestamp(now.0.saturating_sub(delay.0)),
        ..recorded.event.clone()
    }
}

/// Why the first event was refused that was, as an answer of the gateway says.
pub(crate) fn first_refusal(answer: &Value) -> Option<String> {
    let results = answer["results"].as_array()?;
    let refused = results.iter().find(|result| result["status"] == "rejected")?;
    let text = |field: &str| refused[field].as_str().unwrap_or_default();
    Some(format!("{} ({})", text("code"), text("detail")))
}

/// This host's time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
