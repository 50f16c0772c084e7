use crate::Timestamp;

/// The live streams of a family at one time. A stream is one content on one platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveFigures {
    /// How many streams are known.
    pub streams: u32,
    /// Of these, so many run.
    pub running: u32,
    /// When the first of those that run began; of all, where none runs. The earliest sign of life where no start was reported.
    pub started_at: Timestamp,
    /// When the last one ended, or was last heard. `None` while one runs.
    pub ended_at: Option<Timestamp>,
    /// Concurrent viewers by the latest heartbeats of those that run, summed up.
    pub viewers: u64,
    /// The most concurrent viewers of each stream, summed up: with several streams an upper bound.
    pub peak_viewers: u64,
    /// How long all viewers watched together, in minutes.
    pub viewer_minutes: u64,
    /// The log-odds that the audience of a running stream grows because its viewers pass it on, in nats: of several streams the highest.
    pub score: f64,
    /// The score from which the rule rings.
    pub threshold: f64,
}

impl LiveFigures {
    /// The name in the API: `running` while a stream runs, then `ended`.
    pub fn state(&self) -> &'static str {
        if self.running > 0 { "running" } else { "ended" }
    }
}
