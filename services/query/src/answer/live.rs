use serde::Serialize;
use tocsin_model::LiveFigures;
use utoipa::ToSchema;

use super::instant;

/// The live streams of a family. A stream is one content on one platform.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LiveAnswer {
    /// `running` while one of them runs, then `ended`. One of which nothing was heard for five minutes is over.
    pub state: &'static str,
    /// How many streams are known.
    pub streams: u32,
    /// Of these, so many run.
    pub running: u32,
    /// When the first of those that run began; of all, where none runs. The earliest sign of life where no start was reported.
    pub started_at: Option<String>,
    /// When the last one ended, or was last heard. Null while one runs.
    pub ended_at: Option<String>,
    /// Concurrent viewers by the latest heartbeats of those that run.
    pub viewers: u64,
    /// The most concurrent viewers of each stream, summed up: with several streams an upper bound.
    pub peak_viewers: u64,
    /// How long all viewers watched together, in minutes.
    pub viewer_minutes: u64,
    /// The log-odds that the audience of a running stream grows because its viewers pass it on, in nats.
    pub score: f64,
    /// The score from which the rule rings.
    pub threshold: f64,
}

impl From<LiveFigures> for LiveAnswer {
    fn from(live: LiveFigures) -> Self {
        LiveAnswer {
            state: live.state(),
            streams: live.streams,
            running: live.running,
            started_at: instant(live.started_at),
            ended_at: live.ended_at.and_then(instant),
            viewers: live.viewers,
            peak_viewers: live.peak_viewers,
            viewer_minutes: live.viewer_minutes,
            score: live.score,
            threshold: live.threshold,
        }
    }
}
