//! How much memory a process may hold, and when those that can are to hold back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus::{IntGauge, Registry};
use serde::{Deserialize, Serialize};

use crate::{Refusal, Roles};

/// What the process may hold. Section `[memory]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// The most resident memory of the process, in bytes: what its container is limited to. A process whose settings allow it more does not start,
    /// and intake reads no events while nine tenths are in use. At least 67,108,864 (64 MiB); default 0, no limit.
    pub limit_bytes: u64,
}

/// A part of what a process may come to hold by its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    /// What holds it: the setting that says how much, or a few words.
    pub of: &'static str,
    /// How much that is.
    pub bytes: u64,
}

/// Whether the process holds so much that those that can are to hold back.
#[derive(Clone, Debug, Default)]
pub struct MemoryPressure(Arc<AtomicBool>);

const LIMIT_MIN: u64 = 64 << 20;
/// How often it is looked.
const LOOKED_EVERY: Duration = Duration::from_millis(200);
/// Parts of the limit, in tenths: from the one on it is high, until it is below the other.
const HIGH_TENTHS: u64 = 9;
const LOW_TENTHS: u64 = 8;
/// A process that holds back lets go of what is on its way within seconds. What it still holds then it needs, and to wait longer would free
/// nothing: it goes on, and ends at the limit or does not.
const HOLDS_BACK_MAX: Duration = Duration::from_secs(10);

impl MemoryConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        match self.limit_bytes {
            0 => Vec::new(),
            bytes => Refusal::outside("memory.limit_bytes", bytes, LIMIT_MIN..=1 << 50)
                .into_iter()
                .collect(),
        }
    }

    /// The refusal of a limit below what the settings allow a process to hold, if it is. Names the parts, the largest first.
    pub fn exceeded_by(&self, mut parts: Vec<MemoryPart>) -> Option<Refusal> {
        let sum = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.bytes));
        if self.limit_bytes == 0 || sum <= self.limit_bytes {
            return None;
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        let told: Vec<String> = parts
            .iter()
            .map(|part| format!("{} {} MiB", part.of, part.bytes >> 20))
            .collect();
        let reason = format!(
            "{} MiB are less than the {} MiB that the settings allow: {}",
            self.limit_bytes >> 20,
            sum >> 20,
            told.join(", ")
        );
        Some(Refusal::new("memory.limit_bytes", reason))
    }

    /// Watches the process on a thread of its own, if there is a limit.
    ///
    /// # Errors
    /// The system refuses another thread, or a metric is registered already.
    pub fn watch(&self, registry: &Registry, roles: &mut Roles) -> anyhow::Result<MemoryPressure> {
        let pressure = MemoryPressure::default();
        if self.limit_bytes == 0 {
            return Ok(pressure);
        }
        let limit = IntGauge::new("tocsin_memory_limit_bytes", "The most that the process may hold")?;
        let is_high = IntGauge::new(
            "tocsin_memory_high",
            "1 from nine tenths of the limit on, until less than eight are in use, else 0",
        )?;
        registry.register(Box::new(limit.clone()))?;
        registry.register(Box::new(is_high.clone()))?;
        limit.set(i64::try_from(self.limit_bytes).unwrap_or(i64::MAX));
        let (shutdown, told, mut level) = (roles.shutdown().clone(), pressure.clone(), Level::new(self.limit_bytes));
        roles.spawn_thread("memory", move || {
            while !shutdown.is_requested() {
                // Who cannot be asked holds nobody up.
                let resident = resident_bytes().unwrap_or(0);
                let was_high = level.high_since.is_some();
                told.0
                    .store(level.holds_back(resident, Instant::now()), Ordering::Release);
                is_high.set(i64::from(level.high_since.is_some()));
                if !was_high && level.high_since.is_some() {
                    tracing::warn!(
                        resident,
                        limit = level.limit,
                        "memory is short: intake holds back for a while"
                    );
                }
                std::thread::sleep(LOOKED_EVERY);
            }
            Ok(())
        })?;
        Ok(pressure)
    }
}

impl MemoryPressure {
    /// Whether to take on nothing new now.
    pub fn holds_back(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How near the limit the process is.
#[derive(Debug)]
struct Level {
    limit: u64,
    high_since: Option<Instant>,
}

impl Level {
    fn new(limit: u64) -> Self {
        Level {
            limit,
            high_since: None,
        }
    }

    /// Whether to hold back when so much is held.
    fn holds_back(&mut self, resident: u64, now: Instant) -> bool {
        let tenths = |tenths: u64| self.limit / 10 * tenths;
        if resident >= tenths(HIGH_TENTHS) {
            self.high_since.get_or_insert(now);
        } else if resident < tenths(LOW_TENTHS) {
            self.high_since = None;
        }
        let since = self.high_since.map(|since| now.saturating_duration_since(since));
        since.is_some_and(|since| since < HOLDS_BACK_MAX)
    }
}

/// The resident memory of this process, where Linux says it.
fn resident_bytes() -> Option<u64> {
    // proc(5): VmRSS, in units of 1,024 bytes that are called "kB".
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    //! Goal: settings beyond the limit are refused by name, and a process near it holds back, but not for ever.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn settings_that_allow_more_than_the_limit_are_refused() {
        let parts = |mebibytes: [u64; 2]| {
            let named = ["detector.hot_limit", "detector.retry_tokens_max"];
            let parts = named.into_iter().zip(mebibytes);
            parts
                .map(|(of, mebibytes)| MemoryPart {
                    of,
                    bytes: mebibytes << 20,
                })
                .collect()
        };
        let limit = MemoryConfig { limit_bytes: 1 << 30 };
        assert_eq!(limit.exceeded_by(parts([512, 512])), None);
        let refusal = limit.exceeded_by(parts([512, 513])).unwrap();
        assert_eq!(
            refusal.to_string(),
            "memory.limit_bytes: 1024 MiB are less than the 1025 MiB that the settings allow: detector.retry_tokens_max 513 MiB, \
             detector.hot_limit 512 MiB"
        );
        assert_eq!(MemoryConfig::default().exceeded_by(parts([1 << 40, 1 << 40])), None);
        for (bytes, refused) in [(0, 0), (1, 1), (LIMIT_MIN, 0), (u64::MAX, 1)] {
            assert_eq!(MemoryConfig { limit_bytes: bytes }.refusals().len(), refused, "{bytes}");
        }
    }

    #[test]
    fn it_holds_back_near_the_limit_for_a_while() {
        let start = Instant::now();
        let mut level = Level::new(1_000);
        for (second, resident, holds_back) in [
            (0, 899, false),
            (1, 900, true),
            (2, 850, true),
            (3, 799, false),
            (4, 850, false),
            (5, 1_500, true),
            (14, 1_500, true),
            (15, 1_500, false),
            (60, 900, false),
            (61, 700, false),
            (62, 950, true),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(level.holds_back(resident, now), holds_back, "second {second}");
        }
    }

    #[test]
    fn this_process_holds_something() {
        if cfg!(target_os = "linux") {
            assert!(resident_bytes().unwrap() > 1 << 20);
        }
    }
}
