//! The same detector on the embedded log, whose writer or whose detector ends at a fail-point, again and again: what was acknowledged stands,
//! and what stands at the end is what nothing disturbed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_detector::DetectorSetup;
use tocsin_failpoint::FailPoint;
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    AppenderOptions, Cleanup, Durability, Log as _, Record, SharedLog, TopicPartition, TopicSpec, read_through,
};
use tocsin_runtime::{Readiness, Shutdown};
use tocsin_wire::topics;

use crate::history::{Setting, draw};
use crate::mutant::Mutant;
use crate::oracle::Undisturbed;
use crate::traffic::{EPOCH, PARTITIONS, PLAYED};
use crate::world::Crashed;

/// The longest a detector may take to come to the end of the log.
const TIME_MAX: Duration = Duration::from_secs(60);

/// One life of the log and of the detector on it, up to a fail-point.
struct Life {
    log: SharedLog,
    /// Fail-points still to be passed.
    left: Arc<AtomicU64>,
}

/// Plays a seed whose detector ends `crashes` times at `point`, or right behind it; gives how many alerts rang.
///
/// # Errors
/// What is wrong, or what failed.
pub fn play(seed: u64, point: FailPoint, crashes: u64) -> Result<usize> {
    let directory = tempfile::tempdir().context("make a directory")?;
    let mut random = SmallRng::seed_from_u64(seed);
    let setting = draw(&mut random, Mutant::Sound);
    let mut to_append: Vec<_> = (0..setting.traffic.sources.len())
        .flat_map(|source| setting.traffic.pack(source, 0, setting.traffic.sources[source].len()))
        .collect();
    let part = to_append.len() / (crashes as usize + 1) + 1;
    let mut acknowledged: BTreeSet<(u32, u64)> = BTreeSet::new();
    for life in 0..=crashes {
        let passes = random.random_range(1..4);
        let is_last = life == crashes;
        let life = Life::open(directory.path(), (!is_last).then_some((point, passes)))?;
        let next = to_append.drain(..part.min(to_append.len())).collect();
        match life.append(next) {
            Ok(places) => acknowledged.extend(places),
            Err(_) if !is_last => {}
            Err(error) => return Err(error),
        }
        life.detect(&setting, is_last)?;
    }
    let life = Life::open(directory.path(), None)?;
    check(&life, &setting, &acknowledged)
}

impl Life {
    fn open(directory: &Path, end: Option<(FailPoint, u64)>) -> Result<Life> {
        let left = Arc::new(AtomicU64::new(end.map_or(u64::MAX, |(_, passes)| passes)));
        let (point, count) = (end.map(|(point, _)| point), left.clone());
        // Topics are made before anything ends.
        let hook = move |reached: FailPoint| {
            if Some(reached) == point && count.fetch_sub(1, Ordering::SeqCst) == 1 {
                std::panic::resume_unwind(Box::new(Crashed));
            }
        };
        let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_armed = armed.clone();
        let hook = move |reached| {
            if is_armed.load(Ordering::SeqCst) {
                hook(reached);
            }
        };
        // The writer's thread inherits it; the detector's gets it in `detect`.
        let _adopted = tocsin_failpoint::adopt(Some(Arc::new(hook)));
        let log = EmbeddedLog::open(directory, EmbeddedOptions::default())?;
        log.ensure_topics(&specs())?;
        armed.store(true, Ordering::SeqCst);
        HOOK.with(|held| *held.borrow_mut() = tocsin_failpoint::inherited());
        Ok(Life {
            log: Arc::new(log),
            left,
        })
    }

    /// Appends; gives the places of what was acknowledged.
    fn append(&self, records: Vec<tocsin_log::Append>) -> Result<Vec<(u32, u64)>> {
        let options = AppenderOptions {
            name: "intake".to_owned(),
            durability: Durability::Synced,
            gapless: true,
        };
        let places: Vec<u32> = records.iter().map(|record| record.to.partition).collect();
        let offsets = self.log.appender(options)?.append(records).wait()?;
        Ok(places.into_iter().zip(offsets).collect())
    }

    /// Runs a detector until it ended at its fail-point or, in the last life, has come to the end of the log.
    fn detect(&self, setting: &Setting, is_last: bool) -> Result<()> {
        let setup = DetectorSetup {
            instance: "detector".to_owned(),
            ..setting.setup.clone()
        };
        let (log, config, shutdown) = (self.log.clone(), setting.detector.clone(), Shutdown::new());
        let (stop, hook) = (shutdown.clone(), HOOK.with(|held| held.borrow().clone()));
        let work = move || {
            let _adopted = tocsin_failpoint::adopt(hook);
            let ready = Readiness::new().flag("detector", "restoring");
            tocsin_detector::run(
                tocsin_detector::OF_ITS_OWN,
                &config,
                &setup,
                &log,
                &prometheus::Registry::new(),
                &ready,
                &stop,
            )
        };
        let detector = std::thread::spawn(work);
        let began = Instant::now();
        while !detector.is_finished() && !self.is_level()? {
            ensure!(
                began.elapsed() < TIME_MAX,
                "the detector does not come to the end of the log"
            );
            std::thread::sleep(Duration::from_millis(2)); // poll: until the detector ended or is level with the log
        }
        shutdown.request();
        match detector.join() {
            Ok(Ok(())) => Ok(()),
            // The writer or the detector ended at its fail-point.
            Ok(Err(_)) | Err(_) if !is_last && self.left.load(Ordering::SeqCst) == 0 => Ok(()),
            Ok(Err(error)) => Err(error).context("the detector"),
            Err(_) => anyhow::bail!("the detector panicked"),
        }
    }

    /// Whether the state says that everything was applied; not if the log cannot be read any more.
    fn is_level(&self) -> Result<bool> {
        for number in 0..PLAYED {
            let header = self
                .records(topics::STATE, number)?
                .into_iter()
                .rev()
                .find_map(|record| {
                    let key = record.key.as_deref().and_then(tocsin_wire::state::StateKey::from_bytes);
                    let is_header = matches!(key, Some(tocsin_wire::state::StateKey::Header { .. }));
                    let state = record.value.as_deref().filter(|_| is_header);
                    let state = tocsin_wire::state::StateRecord::decode(state?).ok()?;
                    tocsin_wire::state::StateHeader::decode(&state.body).ok()
                });
            let (_, end) = self.log.bounds(&TopicPartition::new(topics::SIGHTINGS, number))?;
            if header.map_or(0, |header| header.next_offset) != end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn records(&self, topic: &str, number: u32) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        let place = TopicPartition::new(topic, number);
        read_through(self.log.as_ref(), &place, .., &|| false, &mut |record| {
            records.push(record.to_record());
        })?;
        Ok(records)
    }
}

thread_local! {
    /// The hook of the life under way, for its detector.
    static HOOK: std::cell::RefCell<tocsin_failpoint::Hook> = const { std::cell::RefCell::new(None) };
}

fn specs() -> Vec<TopicSpec> {
    let spec = |(name, partitions, cleanup): (&str, u32, Cleanup)| TopicSpec {
        name: name.to_owned(),
        partitions,
        cleanup,
        retention_ms: None,
        record_bytes_max: 8 << 20,
        may_grow: false,
        compaction: None,
    };
    let specs = [
        (topics::SIGHTINGS, PLAYED, Cleanup::Delete),
        (topics::STATE, u32::from(PARTITIONS), Cleanup::Compact),
        (topics::CHECKPOINTS, u32::from(PARTITIONS), Cleanup::Delete),
        (topics::POPULATIONS, 1, Cleanup::Compact),
        (topics::ALERTS, 1, Cleanup::Delete),
        (topics::FAMILIES, 1, Cleanup::Compact),
        (topics::PARTIES, 1, Cleanup::Compact),
    ];
    specs.map(spec).to_vec()
}

fn check(life: &Life, setting: &Setting, acknowledged: &BTreeSet<(u32, u64)>) -> Result<usize> {
    let mut undisturbed_alerts = BTreeSet::new();
    let config = setting.setup.group_config(&setting.detector);
    for number in 0..PLAYED {
        let records = life.records(topics::SIGHTINGS, number)?;
        let held: BTreeSet<(u32, u64)> = records.iter().map(|record| (number, record.offset)).collect();
        let here = acknowledged.iter().filter(|(partition, _)| *partition == number);
        for place in here {
            ensure!(held.contains(place), "I1: what was acknowledged at {place:?} is lost");
        }
        let partitions = setting.setup.partitions;
        let (restored, _) = tocsin_detector::restore(life.log.as_ref(), number, partitions, &config, EPOCH, &|| false)?;
        // The last life may have been asked to stop while figures for another group were on their way: those are still to be applied.
        let applied = records.partition_point(|record| record.offset < restored.next_offset());
        let undisturbed = Undisturbed::play(setting, number, &records[..applied]);
        for (one, other) in restored.states().zip(undisturbed.partition.states()) {
            ensure!(
                one.encode_core() == other.encode_core(),
                "I1: group {} differs",
                one.id().0
            );
        }
        undisturbed_alerts.extend(undisturbed.alerts.into_keys());
    }
    let mut rung = BTreeSet::new();
    for record in life.records(topics::ALERTS, 0)? {
        let alert = tocsin_wire::alert::decode(record.value.as_deref().context("an alert has a value")?)?;
        rung.insert(alert.alert.id.0);
    }
    ensure!(rung == undisturbed_alerts, "I2: other alerts rang than undisturbed");
    Ok(rung.len())
}
