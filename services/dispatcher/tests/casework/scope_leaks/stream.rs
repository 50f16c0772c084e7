//! The reader's stream, read to where the store stands.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bench::Running;
use crate::sse::Reading;

/// State, last lease, hold and due notice of a case, as they were told last.
pub type Standing = (Value, Value, Value, Value);

/// What the reader's stream told.
pub struct Stream {
    reading: Reading,
    pub began: String,
    pub frames: Vec<Value>,
    told: BTreeMap<String, Standing>,
}

impl Stream {
    pub async fn open(running: &Running, key: &str) -> Stream {
        let mut reading = Reading::open_of(&running.router, key, "/v1/queue/updates", None)
            .await
            .unwrap();
        let position = reading.next().await.unwrap();
        Stream {
            reading,
            began: position.id.unwrap(),
            frames: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    /// How many cases it has told of.
    pub fn cases(&self) -> usize {
        self.told.len()
    }

    /// Reads until each case was told as it stands: its state, its last lease, until when it is put aside, and when a notice is due.
    pub async fn until(&mut self, standing: &BTreeMap<String, Standing>) {
        while self.told != *standing {
            let frame = self.reading.next().await.unwrap();
            if frame.name != "case" {
                continue;
            }
            let case = frame.data["case"].as_str().unwrap().to_owned();
            let is = (
                frame.data["state"].clone(),
                frame.data["fencing"].clone(),
                frame.data["held_until"].clone(),
                frame.data["notice_due_at"].clone(),
            );
            self.told.insert(case, is);
            if frame.data["change"] != "moved" {
                self.frames.push(json!({"id": frame.id, "data": frame.data}));
            }
        }
    }
}
