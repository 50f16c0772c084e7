//! Follows `GET /v1/stream`.

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::reader::Reader;
use crate::events::Events;
use crate::explain::answer::Alert;

/// Alerts that may wait to be shown; the server waits beyond that.
const WAITING_MAX: usize = 64;

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
        for event in events.take(&chunk.context("read the stream of alerts")?)? {
            match event.name.as_str() {
                "alert" => {
                    let alert = serde_json::from_str(&event.data).context("read an alert")?;
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
