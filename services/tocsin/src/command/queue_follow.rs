//! Follows the queue in a terminal: `GET /v1/queue/updates`, over broken connections.

use std::fmt::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::api::{Api, print};
use super::casework_text::text;
use crate::client::{Refused, Source};
use crate::events::{Event, Events};

/// How long to wait before a stream that ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Of which changes to tell.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// In this lane.
    pub lane: Option<&'a str>,
    /// At this desk.
    pub desk: Option<&'a str>,
}

/// What becomes of a stream.
enum Ended {
    /// It is opened again.
    GoesOn,
    /// The queue is read again before.
    ReadAgain,
}

/// Shows the queue as `read` does, and then what changes, until it is refused or whoever reads it goes away.
///
/// # Errors
/// The API refuses the stream or the queue for good, or ends the stream because of the key; or nobody reads what is printed.
pub async fn follow(api: &Api, wanted: &Wanted<'_>, read: impl AsyncFn() -> Result<()>) -> Result<()> {
    let (source, mut last, mut is_read) = (api.source()?, None, false);
    loop {
        let mut pause = PAUSE;
        match stream(&source, &mut last, &mut is_read, &read, |event| {
            tell(api, wanted, event)
        })
        .await
        {
            Ok(Ended::GoesOn) => {}
            Ok(Ended::ReadAgain) => is_read = false,
            Err(error) => match again(&error, is_read) {
                Some(after) => {
                    eprintln!("The stream broke: {error:#}. It is opened again.");
                    pause = after;
                }
                None => return Err(error),
            },
        }
        tokio::time::sleep(pause).await;
    }
}

/// After how long the stream is opened again; `None` if that would not help.
fn again(error: &anyhow::Error, is_read: bool) -> Option<Duration> {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.again.map(|after| after.max(PAUSE)),
        None => (is_read && !error.is::<Lost>()).then_some(PAUSE),
    }
}

/// What cannot be helped by opening the stream again.
#[derive(Clone, Copy, Debug)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue cannot be followed any more")
    }
}

async fn stream(
    source: &Source,
    last: &mut Option<String>,
    is_read: &mut bool,
    read: &impl AsyncFn() -> Result<()>,
    tell: impl Fn(&Event) -> Result<()>,
) -> Result<Ended> {
    let response = source.stream("/v1/queue/updates", last.as_deref()).await?;
    let mut bytes = response.bytes_stream();
    let mut events = Events::default();
    while let Some(chunk) = bytes.next().await {
        for event in events.take(&chunk.context("read the stream of the queue")?)? {
            match event.name.as_str() {
                "end" => {
                    let end: Value = serde_json::from_str(&event.data).unwrap_or_default();
                    if end["code"] == "unauthenticated" {
                        return Err(anyhow!("the key is no longer valid").context(Lost));
                    }
                    return Ok(Ended::GoesOn);
                }
                "gap" => {
                    *last = event.id;
                    return Ok(Ended::ReadAgain);
                }
                // Whatever changes from here on is told.
                "position" => {
                    if !*is_read {
                        read().await?;
                        *is_read = true;
                    }
                }
                _ => tell(&event).map_err(|error| error.context(Lost))?,
            }
            if event.id.is_some() {
                *last = event.id;
            }
        }
    }
    Ok(Ended::GoesOn)
}

fn tell(api: &Api, wanted: &Wanted<'_>, event: &Event) -> Result<()> {
    let data: Value = serde_json::from_str(&event.data).context("read an event of the queue")?;
    let is = |name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| data[name] == wanted);
    if event.name == "case" && !(is("lane", wanted.lane) && is("desk", wanted.desk)) {
        return Ok(());
    }
    if api.json {
        let line = json!({"event": event.name, "id": event.id, "data": data});
        return print(&format!("{line}\n"));
    }
    match event.name.as_str() {
        "case" => print(&update_text(&data)),
        "figures" => print(&figures_text(&data)),
        "lease" => print(&lease_text(&data)),
        _ => Ok(()),
    }
}

/// What changed of a case in the queue, in a line.
fn update_text(update: &Value) -> String {
    let priority = update["live_priority"].as_f64().or(update["priority"].as_f64());
    let mut out = format!(
        "{}  {}  {:<8}  {:<7}  {:<5}  {:>12.0}  {:<12}  {}",
        text(&update["at"]),
        text(&update["case"]),
        text(&update["change"]),
        text(&update["state"]),
        text(&update["rank"]),
        priority.unwrap_or(0.0),
        text(&update["lane"]),
        text(&update["desk"]),
    );
    if update["lease"]["is_yours"] == true {
        out.push_str("  yours");
    } else if update["was_yours"] == true {
        out.push_str("  no longer yours");
    }
    if update["state"] == "decided" && update["verdict"].is_string() {
        let _ = write!(out, "  {}", text(&update["verdict"]));
    }
    if update["merged_into"].is_string() {
        let _ = write!(out, "  into {}", text(&update["merged_into"]));
    }
    out.push('\n');
    out
}

/// The figures of a case that is held, in a line.
fn figures_text(case: &Value) -> String {
    let priority = case["live_priority"].as_f64().or(case["priority"].as_f64());
    format!(
        "{}  {}  figures   {:>12.0}  {} copies in 5 min, {} in 1 h\n",
        text(&case["as_of"]),
        text(&case["id"]),
        priority.unwrap_or(0.0),
        text(&case["alert"]["spread_5m"]["high"]),
        text(&case["alert"]["spread_1h"]["high"]),
    )
}

/// That a lease ends, in a line.
fn lease_text(lease: &Value) -> String {
    format!(
        "Your lease of case {} ends at {}, in {} s: tocsin case renew.\n",
        text(&lease["case"]),
        text(&lease["expires_at"]),
        lease["left_ms"].as_i64().unwrap_or(0) / 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_an_api_that_is_busy_and_ends_where_it_is_refused() {
        let refused = |again| anyhow::Error::new(Refused::example(again));
        let minute = Duration::from_secs(60);
        assert_eq!(again(&refused(Some(minute)), false), Some(minute));
        assert_eq!(again(&refused(Some(Duration::ZERO)), true), Some(PAUSE));
        assert_eq!(again(&refused(None), true), None);
        let broken = || anyhow!("broken");
        assert_eq!((again(&broken(), true), again(&broken(), false)), (Some(PAUSE), None));
        assert_eq!(again(&broken().context(Lost), true), None);
    }

    #[test]
    fn what_changed_of_a_case_is_a_line_without_control_characters() {
        let update = json!({
            "at": "2026-01-01T00:00:00Z", "case": "c1", "change": "decided", "state": "decided", "rank": null, "priority": 9.4,
            "live_priority": null, "lane": "general", "desk": "moderators", "lease": null, "was_yours": true,
            "verdict": "violating", "merged_into": "c2\nc3"
        });
        let line = update_text(&update);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        for part in ["decided", "9", "general", "no longer yours", "violating", "into c2 c3"] {
            assert!(line.contains(part), "{line}");
        }
        let lease = lease_text(&json!({"case": "c1", "expires_at": "2026-01-01T00:00:00Z", "left_ms": 29_000}));
        assert!(lease.contains("in 29 s"), "{lease}");
    }
}
