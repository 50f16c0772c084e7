//! Server-sent events (the WHATWG HTML standard, "Interpreting an event stream").

use anyhow::{Result, ensure};

/// The longest event of a stream. An alert has a few KiB.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    /// Where the stream is behind it, if it says so.
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    event: Event,
}

impl Events {
    /// The events that `bytes` complete. One without data is none.
    ///
    /// # Errors
    /// An event is too long.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                ensure!(
                    self.line.len() + self.event.data.len() < EVENT_BYTES_MAX,
                    "an event of the stream does not end"
                );
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "id" => self.event.id = Some(value.to_owned()),
                "data" => self.event.data.push_str(value),
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
            let found: Vec<_> = found
                .iter()
                .map(|event| (event.name.as_str(), event.id.as_deref(), event.data.as_str()))
                .collect();
            let wanted = [("position", Some("a"), "{}"), ("alert", None, "{\"a\":1}")];
            assert_eq!(found, wanted, "cut at {cut}");
        }
        assert!(Events::default().take(&vec![b'a'; EVENT_BYTES_MAX + 1]).is_err());
    }
}
