//! Follows `GET /v1/stream`: server-sent events (the WHATWG HTML standard, "Interpreting an event stream").

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::reader::Reader;
use crate::explain::answer::Alert;

/// Alerts that may wait to be shown; the server waits beyond that.
const WAITING_MAX: usize = 64;
/// The longest line of a stream. An alert has a few KiB.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The alerts as they come. The last item is an error when the stream breaks; a stream that the server ends is just the end.
pub fn follow(reader: Reader) -> mpsc::Receiver<Result<Alert>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        if let Err(error) = read(&reader, &sender).await {
            // Nobody listens any more: then nobody wants to know.
            let _ = sender.send(Err(error)).await;
        }
    });
    receiver
}

async fn read(reader: &Reader, sender: &mpsc::Sender<Result<Alert>>) -> Result<()> {
    let request = reader
        .client
        .get(format!("{}/v1/stream", reader.url))
        .bearer_auth(&reader.key);
    let response = request.send().await.context("open the stream of alerts")?;
    ensure!(
        response.status().as_u16() == 200,
        "/v1/stream answers {}",
        response.status()
    );
    let mut bytes = response.bytes_stream();
    let mut events = Events::default();
    while let Some(chunk) = bytes.next().await {
        for (name, data) in events.take(&chunk.context("read the stream of alerts")?)? {
            match name.as_str() {
                "alert" => {
                    let alert = serde_json::from_str(&data).context("read an alert")?;
                    if sender.send(Ok(alert)).await.is_err() {
                        return Ok(());
                    }
                }
                "end" => return Ok(()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
struct Events {
    line: Vec<u8>,
    name: String,
    data: String,
}

impl Events {
    /// The events that `bytes` complete, as (name, data).
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<(String, String)>> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                ensure!(
                    self.line.len() + self.data.len() < LINE_BYTES_MAX,
                    "an event of the stream does not end"
                );
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                if !self.data.is_empty() {
                    events.push((std::mem::take(&mut self.name), std::mem::take(&mut self.data)));
                }
                self.name.clear();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.name),
                "data" => self.data.push_str(value),
                _ => {}
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let text =
            b": alive\n\nevent: position\nid: a\ndata: {}\n\nevent:alert\r\ndata: {\"a\":1}\r\n\r\nevent: end\n\n";
        for cut in 0..text.len() {
            let mut events = Events::default();
            let mut found = events.take(&text[..cut]).unwrap();
            found.extend(events.take(&text[cut..]).unwrap());
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(name, data)| (name.as_str(), data.as_str()))
                .collect();
            assert_eq!(found, [("position", "{}"), ("alert", "{\"a\":1}")], "cut at {cut}");
        }
        assert!(Events::default().take(&vec![b'a'; LINE_BYTES_MAX + 1]).is_err());
    }
}
