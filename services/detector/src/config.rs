use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tocsin_model::{DeploymentKey, KEY_GROUPS, KeyEpoch, Milliseconds, PartitionCount};
use tocsin_runtime::{MemoryPart, Refusal};
use tocsin_sketch::{ColdConfig, RecentTokens};
use tocsin_velocity::{
    GroupConfig, REMEMBERED_BYTES_PER_HOT, SNAPSHOT_VERSION, SNAPSHOT_VERSIONS_WRITTEN, SnapshotLayout,
    TriggerParameters,
};

use crate::cache::Cache;

/// How the detector works. Section `[detector]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// The most hot records per visibility class, of the whole deployment; each key group gets an equal part, at least one. 256 to
    /// 1,048,576; default 16,384. Must be the same for every detector.
    pub hot_limit: u32,
    /// Cells per row of a count-min pane of one key group, a power of two from 16 to 1,048,576. Default 256, which is for 2.5 million contents a
    /// day: 256 groups remember 16,384 first sightings each for each cell, 4.2 million, and what is new beyond them makes every bound wider, until all
    /// that is new is taken for hot. Must be the same for every detector, and the state is of one width.
    pub sketch_width: u32,
    /// A content becomes hot when its spread in the last hour may have reached this. 1 to 1,000; default 3.
    pub promote_at: u32,
    /// How often outputs are committed, in milliseconds. 10 to 1,000; default 100.
    pub commit_interval_ms: u64,
    /// How often changed hot records go to the state topic, in milliseconds: what a reader's figures lag at most. 100 to
    /// 1,000, for intake sees by these commits how far detectors are behind; default 500.
    pub state_interval_ms: u64,
    /// How often each changed key group is checkpointed, in seconds: what a restart applies again at most, and how old a cold answer may
    /// be. 1 to 3,600; default 60.
    pub checkpoint_interval_s: u64,
    /// How often each key group's checkpoint is copied to `tocsin.checkpoints`, where an audit begins, in seconds of the log's time, beside the first
    /// one after a start: what an audit applies before its span at most. 60 to 86,400; default 3,600.
    pub audit_interval_s: u64,
    /// The most event ids each key group remembers against retries. Default 262,144.
    pub retry_tokens_max: u32,
    /// A directory of this process alone for local copies of the state it restores, so that its next start reads only what follows. Default:
    /// none. What is there may be lost at any time.
    pub cache_directory: PathBuf,
    /// The version of the layout that the state is written in, 6 or 7; default 7. 6 is for going back to the program before this one.
    pub state_version: u16,
    /// Another set of parameters that runs beside the one in force, rings nothing, and is compared with it.
    pub shadow: ShadowConfig,
}

/// Parameters of the trigger that are compared with those in force. Section `[detector.shadow]`. The defaults are those in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowConfig {
    /// Whether they run. Default false; costs up to as much again as the trigger itself.
    pub enabled: bool,
    /// The score, in nats, from which an episode is raised. -16 to 16; default 5.2.
    pub threshold: f64,
    /// Fewer copies by distinct accounts than this are never a spread. 1 to 1,000; default 6.
    pub copies_min: f64,
    /// The most that growth adds and decay takes, in nats. 0 to 16; default 3.
    pub growth_max: f64,
    /// The most that synchrony adds and its absence takes, in nats. 0 to 16; default 4.
    pub synchrony_max: f64,
    /// The most that re-uploads add and shares take, in nats. 0 to 16; default 5.
    pub reuploads_max: f64,
    /// The most that the pace of a crisis adds, in nats. 0 to 16; default 2.
    pub pace_max: f64,
}

impl Default for ShadowConfig {
    fn default() -> Self {
        let shipped = TriggerParameters::SHIPPED;
        ShadowConfig {
            enabled: false,
            threshold: shipped.threshold,
            copies_min: shipped.copies_min,
            growth_max: shipped.growth_max,
            synchrony_max: shipped.synchrony_max,
            reuploads_max: shipped.reuploads_max,
            pace_max: shipped.pace_max,
        }
    }
}

impl ShadowConfig {
    fn refusals(&self) -> impl Iterator<Item = Refusal> {
        let refusals = [
            Refusal::outside("detector.shadow.threshold", self.threshold, -16.0..=16.0),
            Refusal::outside("detector.shadow.copies_min", self.copies_min, 1.0..=1_000.0),
            Refusal::outside("detector.shadow.growth_max", self.growth_max, 0.0..=16.0),
            Refusal::outside("detector.shadow.synchrony_max", self.synchrony_max, 0.0..=16.0),
            Refusal::outside("detector.shadow.reuploads_max", self.reuploads_max, 0.0..=16.0),
            Refusal::outside("detector.shadow.pace_max", self.pace_max, 0.0..=16.0),
        ];
        refusals.into_iter().flatten()
    }

    fn parameters(&self) -> Option<TriggerParameters> {
        self.enabled.then_some(TriggerParameters {
            threshold: self.threshold,
            copies_min: self.copies_min,
            growth_max: self.growth_max,
            synchrony_max: self.synchrony_max,
            reuploads_max: self.reuploads_max,
            pace_max: self.pace_max,
        })
    }
}

impl Default for DetectorConfig {
    fn default() -> Self {
        DetectorConfig {
            hot_limit: 16_384,
            sketch_width: 256,
            promote_at: 3,
            commit_interval_ms: 100,
            state_interval_ms: 500,
            checkpoint_interval_s: 60,
            audit_interval_s: 3_600,
            retry_tokens_max: 262_144,
            cache_directory: PathBuf::new(),
            state_version: SNAPSHOT_VERSION,
            shadow: ShadowConfig::default(),
        }
    }
}

/// A busy record: five platforms with three kinds of events each, and their accounts counted by sketches. Those of a few crises take several times as much.
const HOT_RECORD_BYTES: u64 = 32 << 10;

impl DetectorConfig {
    /// See `audit_interval_s`.
    pub(crate) fn audit_interval(&self) -> Milliseconds {
        Milliseconds::from_seconds(self.audit_interval_s as i64)
    }

    /// See `cache_directory`.
    pub(crate) fn cache(&self, setup: &DetectorSetup) -> Option<Cache> {
        (!self.cache_directory.as_os_str().is_empty()).then(|| Cache {
            directory: self.cache_directory.clone(),
            identity: setup.key.digest("cached state", &[]),
        })
    }

    /// See `state_version`.
    pub(crate) fn layout(&self) -> SnapshotLayout {
        SnapshotLayout::of_version(self.state_version).unwrap_or_default()
    }

    /// What the groups of a whole deployment may come to hold by these settings, of what all may see: what few see comes besides, and is
    /// seldom much.
    pub fn memory_parts(&self, lateness: Milliseconds) -> Vec<MemoryPart> {
        let groups = u64::from(KEY_GROUPS);
        let cold = ColdConfig {
            width: self.sketch_width,
            seed: 0,
            lateness,
        };
        let tokens = RecentTokens::memory_bytes_max(self.retry_tokens_max as usize);
        vec![
            MemoryPart {
                of: "detector.retry_tokens_max",
                bytes: groups * tokens as u64,
            },
            MemoryPart {
                of: "detector.sketch_width",
                bytes: groups * cold.memory_bytes_max() as u64,
            },
            MemoryPart {
                of: "detector.hot_limit",
                bytes: u64::from(self.hot_limit) * (HOT_RECORD_BYTES + REMEMBERED_BYTES_PER_HOT as u64),
            },
        ]
    }

    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = [
            Refusal::outside("detector.hot_limit", self.hot_limit, 256..=1 << 20),
            Refusal::outside("detector.sketch_width", self.sketch_width, 16..=1 << 20),
            Refusal::outside("detector.promote_at", self.promote_at, 1..=1_000),
            Refusal::outside("detector.commit_interval_ms", self.commit_interval_ms, 10..=1_000),
            Refusal::outside("detector.state_interval_ms", self.state_interval_ms, 100..=1_000),
            Refusal::outside("detector.checkpoint_interval_s", self.checkpoint_interval_s, 1..=3_600),
            Refusal::outside("detector.audit_interval_s", self.audit_interval_s, 60..=86_400),
            Refusal::outside("detector.state_version", self.state_version, SNAPSHOT_VERSIONS_WRITTEN),
            Refusal::outside("detector.retry_tokens_max", self.retry_tokens_max, 1_024..=1 << 28),
        ]
        .into_iter()
        .flatten()
        .collect();
        refusals.extend(self.shadow.refusals());
        if !self.sketch_width.is_power_of_two() {
            refusals.push(Refusal::new("detector.sketch_width", "a power of two is wanted"));
        }
        refusals
    }
}

/// What all detectors of a deployment share.
#[derive(Clone, Debug)]
pub struct DetectorSetup {
    /// A name of this process that is stable over restarts (a StatefulSet's pod name).
    pub instance: String,
    /// The permanent key.
    pub key: DeploymentKey,
    /// The key epoch whose seeds the sketches use.
    pub epoch: KeyEpoch,
    /// The partitions of sightings and state.
    pub partitions: PartitionCount,
    /// The allowed lateness.
    pub lateness: Milliseconds,
}

impl DetectorSetup {
    /// The configuration of every key group.
    pub fn group_config(&self, config: &DetectorConfig) -> GroupConfig {
        GroupConfig {
            key: self.key.clone(),
            cold: ColdConfig {
                width: config.sketch_width,
                seed: self.key.epoch_key(self.epoch).sketch_seed("cold counts"),
                lateness: self.lateness,
            },
            hot_max: config.hot_limit.div_ceil(u32::from(KEY_GROUPS)) as usize,
            promote_at: config.promote_at,
            retry_horizon: self.lateness + RETRY_SLACK,
            retry_tokens_max: config.retry_tokens_max as usize,
            shadow: config.shadow.parameters(),
        }
    }
}

/// An event may be ahead by five minutes, and as much again is slack.
const RETRY_SLACK: Milliseconds = Milliseconds::from_minutes(10);
