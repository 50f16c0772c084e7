use serde::{Deserialize, Serialize};
use tocsin_model::{DeploymentKey, KeyEpoch, Milliseconds, PartitionCount};
use tocsin_runtime::Refusal;

/// How intake works. Section `[intake]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeConfig {
    /// Whose time counts as the time of receipt. Default: `log`.
    pub time_source: TimeSource,
    /// How old an event may be, by its source's corrected clock, and still be counted in windows; in minutes. 1 to 720; default 120. Must
    /// be the same for every intake and detector.
    pub lateness_minutes: u32,
    /// How often time goes on for the key groups when nothing happens, in milliseconds. 10 to 10,000; default 250.
    pub tick_interval_ms: u64,
}

/// Whose time counts as the time of receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The log's append stamp.
    #[default]
    Log,
    /// The header `tocsin-received-at` (milliseconds since 1970) of each ingest record: a replay. Whoever can write to an ingest topic
    /// then sets the time, so this is for evaluation and drills, never for production.
    Supplied,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        IntakeConfig {
            time_source: TimeSource::Log,
            lateness_minutes: 120,
            tick_interval_ms: 250,
        }
    }
}

impl IntakeConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        [
            Refusal::outside("intake.lateness_minutes", self.lateness_minutes, 1..=720),
            Refusal::outside("intake.tick_interval_ms", self.tick_interval_ms, 10..=10_000),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The allowed lateness.
    pub fn lateness(&self) -> Milliseconds {
        Milliseconds::from_minutes(i64::from(self.lateness_minutes))
    }
}

/// What all intakes of a deployment share.
#[derive(Clone, Debug)]
pub struct IntakeSetup {
    /// The permanent key.
    pub key: DeploymentKey,
    /// The key epoch of account tokens.
    pub epoch: KeyEpoch,
    /// The partitions of sightings.
    pub partitions: PartitionCount,
}
