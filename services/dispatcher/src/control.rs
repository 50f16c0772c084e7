//! Ordered inputs of the key groups that come from people, from what the alerts said and from what the groups have seen: the watch list,
//! calibrations, and what evidence is worth to teams.
//!
//! One dispatcher does this at a time, under a lease of the store. It may still happen twice, or late: every record has a number, and of
//! two the group goes by the higher one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Append, Appender, Log, LogError, SharedLog, TopicPartition, read_through};
use tocsin_model::{
    Calibration, DeploymentKey, GroupId, Milliseconds, PartitionCount, PlatformNull, Populations, Timestamp,
};
use tocsin_runtime::Shutdown;
use tocsin_store::{PageEpisode, Threshold};
use tocsin_velocity::budget::{Observed, Prior, page_threshold};
use tocsin_velocity::null::calibrate;
use tocsin_velocity::recalibration::{self, AHEAD, Found, must_stand};
use tocsin_wire::{SightingsRecord, TickTime, population, topics};

use crate::telemetry::{Calibrated, ControlFailed, NullsInForce, PagesCounted, PopulationsRead};
use crate::weighing::WeighingMetrics;
use crate::{Dispatcher, pause};

/// How often changes of the watch list are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often pages are counted, and whether the threshold still fits.
const CALIBRATE_INTERVAL: Duration = Duration::from_secs(60);
/// How long one dispatcher acts alone. Longer than everything that it does under one lease.
const LEASE: Milliseconds = Milliseconds::from_seconds(60);
const APPEND_TIMEOUT: Duration = Duration::from_secs(20);

/// What the threshold rests on: the episodes of so many days.
const OBSERVED: Milliseconds = Milliseconds::from_hours(14 * 24);
const DAY: Milliseconds = Milliseconds::from_hours(24);
/// The latest tick stands among so many of the latest records: four come each second, and a block at most each ten milliseconds. Behind much
/// that changed on the watch list it stands among more.
const TICK_WITHIN: [u64; 3] = [1_024, 16_384, 65_536];

pub(crate) struct Control {
    pub dispatcher: Arc<Dispatcher>,
    pub log: SharedLog,
    pub appender: Arc<dyn Appender>,
    pub partitions: PartitionCount,
    pub key: DeploymentKey,
    pub weighed: WeighingMetrics,
    /// Names this dispatcher in the lease.
    pub instance: String,
}

impl Control {
    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut calibrated_at = None::<Instant>;
        while !shutdown.is_requested() {
            if let Err(error) = self.publish_watch_list().await {
                self.failed("publish_watch_list", &error);
            }
            if let Err(error) = self.publish_weighings().await {
                self.failed("publish_weighings", &error);
            }
            if let Err(error) = self.forget_lists().await {
                self.failed("forget_lists", &error);
            }
            if calibrated_at.is_none_or(|at| at.elapsed() >= CALIBRATE_INTERVAL) {
                match self.calibrate().await {
                    // Without a tick there is no time yet: the next look may find one.
                    Ok(false) => {}
                    Ok(true) => calibrated_at = Some(Instant::now()),
                    Err(error) => {
                        calibrated_at = Some(Instant::now());
                        self.failed("calibrate", &error);
                    }
                }
            }
            pause(LOOK_INTERVAL, &shutdown).await;
        }
        Ok(())
    }

    /// Counts pages, and sets another threshold, and other nulls, where those in force do not fit any more. `false`: the log has no tick yet.
    async fn calibrate(&self) -> anyhow::Result<bool> {
        let Some(now) = self.latest_tick().await? else {
            return Ok(false);
        };
        let store = &self.dispatcher.store;
        let budget = f64::from(self.dispatcher.config.pages_per_day);
        let since = store.observing_since(now).await?.max(now - OBSERVED);
        let episodes = store.page_episodes(since).await?;
        let mut latest = store.latest_calibration().await?;
        let in_force = latest.as_ref().map(|(latest, _)| latest);
        let mut found = found(&episodes, since..now, budget);
        found.platforms = self.nulls(in_force, now).await;
        if is_due(in_force, &found, now) && self.holds().await? {
            let made = store.add_calibration(&self.instance, found).await?;
            latest = made.map(|made| (made, false)).or(latest);
        }
        if let Some((calibration, false)) = &latest
            && self.holds().await?
        {
            self.publish(calibration).await?;
            store.forget_page_episodes(now - OBSERVED).await?;
        }
        NullsInForce {
            nulls: latest.as_ref().map_or(&[], |(latest, _)| &latest.platforms),
            number: latest.as_ref().map_or(0, |(latest, _)| latest.number),
            names: &self.dispatcher.names(),
        }
        .emit(&self.dispatcher.metrics);
        PagesCounted {
            budget,
            pages_last_day: pages_since(&episodes, now - DAY),
            episodes: episodes.len(),
            page_threshold: latest
                .as_ref()
                .map_or(Prior::SHIPPED.page_threshold, |(latest, _)| latest.page_threshold),
        }
        .emit(&self.dispatcher.metrics);
        Ok(true)
    }

    async fn publish(&self, calibration: &Calibration) -> anyhow::Result<()> {
        let value = SightingsRecord::Calibration(calibration.clone());
        let partitions = 0..u32::from(self.partitions.get());
        self.append(partitions.map(|to| record(to, &value)).collect()).await?;
        reach(FailPoint::CalibrationAppended);
        self.dispatcher.store.calibration_published(calibration.number).await?;
        Calibrated { calibration }.emit(&self.dispatcher.metrics);
        Ok(())
    }

    /// The nulls that are to follow those in force: the same while these must stand, or where the populations cannot be read.
    async fn nulls(&self, in_force: Option<&Calibration>, now: Timestamp) -> Vec<PlatformNull> {
        let nulls = in_force.map_or(&[][..], |latest| &latest.platforms);
        if in_force.is_some_and(|latest| must_stand(latest, now)) {
            return nulls.to_vec();
        }
        match self.populations().await {
            Ok(seen) => {
                PopulationsRead {
                    groups: seen.groups.len(),
                    refused: seen.refused,
                }
                .emit(&self.dispatcher.metrics);
                let seen: Vec<Populations> = seen.groups.into_values().collect();
                calibrate(nulls, &seen)
            }
            Err(error) => {
                // The page threshold does not wait for them.
                self.failed("read_populations", &error);
                nulls.to_vec()
            }
        }
    }

    async fn populations(&self) -> anyhow::Result<Seen> {
        let log = Arc::clone(&self.log);
        Ok(tokio::task::spawn_blocking(move || populations(log.as_ref())).await??)
    }

    pub(crate) async fn holds(&self) -> anyhow::Result<bool> {
        Ok(self.dispatcher.store.hold_calibrator(&self.instance, LEASE).await?)
    }

    pub(crate) async fn append(&self, appends: Vec<Append>) -> anyhow::Result<()> {
        tokio::time::timeout(APPEND_TIMEOUT, self.appender.append(appends))
            .await
            .context("the log did not take the records in time")??;
        Ok(())
    }

    /// The time of the latest tick of the first partition: the only clock that the groups know.
    pub(crate) async fn latest_tick(&self) -> anyhow::Result<Option<Timestamp>> {
        let log = Arc::clone(&self.log);
        Ok(tokio::task::spawn_blocking(move || latest_tick(log.as_ref())).await??)
    }

    fn failed(&self, operation: &'static str, error: &anyhow::Error) {
        ControlFailed { operation, error }.emit(&self.dispatcher.metrics);
    }
}

fn latest_tick(log: &dyn Log) -> Result<Option<Timestamp>, LogError> {
    let place = TopicPartition::new(topics::SIGHTINGS, 0);
    for within in TICK_WITHIN {
        let (first, end) = log.bounds(&place)?;
        let from = first.max(end.saturating_sub(within));
        let latest = latest_tick_in(log, &place, from..end)?;
        if latest.is_some() || from == first {
            return Ok(latest);
        }
    }
    Ok(None)
}

fn latest_tick_in(log: &dyn Log, place: &TopicPartition, offsets: Range<u64>) -> Result<Option<Timestamp>, LogError> {
    let mut latest = None;
    read_through(log, place, offsets, &|| false, &mut |record| {
        let is_tick = record.value.and_then(|value| SightingsRecord::decode(value).ok());
        let at = match is_tick {
            Some(SightingsRecord::Tick(TickTime::AppendStamp)) => Some(Timestamp(record.appended_at_ms)),
            Some(SightingsRecord::Tick(TickTime::At(at))) => Some(at),
            _ => None,
        };
        latest = latest.max(at);
    })?;
    Ok(latest)
}

/// What the key groups have seen.
#[derive(Debug, Default)]
struct Seen {
    /// The newest of each; ascending, so that every dispatcher sums them up in one order.
    groups: BTreeMap<GroupId, Populations>,
    /// Records that cannot be read, or that stand under the key of another group.
    refused: u64,
}

/// The whole topic: a record of some hundred bytes of each platform and group, compacted.
fn populations(log: &dyn Log) -> Result<Seen, LogError> {
    let mut seen = Seen::default();
    let place = TopicPartition::new(topics::POPULATIONS, 0);
    read_through(log, &place, .., &|| false, &mut |record| {
        let read = record.value.and_then(|value| population::decode(value).ok());
        match read.filter(|read| record.key == Some(&population::key(read.group))) {
            Some(read) => {
                seen.groups.insert(read.group, read);
            }
            None => seen.refused += 1,
        }
    })?;
    Ok(seen)
}

/// What the episodes of this time lead to.
fn found(episodes: &[PageEpisode], observed: Range<Timestamp>, pages_per_day: f64) -> Threshold {
    let peaks: Vec<f64> = episodes.iter().map(|episode| episode.peak).collect();
    let (since, now) = (observed.start, observed.end);
    let earliest = episodes.first().map_or(since, |episode| episode.raised_at.min(since));
    let observed = Observed {
        peaks: &peaks,
        days: (now - earliest).0 as f64 / DAY.0 as f64,
    };
    Threshold {
        page_threshold: page_threshold(&observed, &Prior::SHIPPED, pages_per_day),
        pages_per_day,
        episodes: u32::try_from(peaks.len()).unwrap_or(u32::MAX),
        effective_from: now + AHEAD,
        at: now,
        platforms: Vec::new(),
    }
}

/// Whether another calibration than the one in force is to be made of this.
fn is_due(in_force: Option<&Calibration>, found: &Threshold, now: Timestamp) -> bool {
    let found = Found {
        page_threshold: found.page_threshold,
        pages_per_day: found.pages_per_day,
        platforms: &found.platforms,
    };
    recalibration::is_due(in_force, &found, now)
}

fn pages_since(episodes: &[PageEpisode], since: Timestamp) -> usize {
    let paged = episodes
        .iter()
        .filter(|episode| episode.paged_at.is_some_and(|at| at >= since));
    paged.count()
}

pub(crate) fn record(to: u32, value: &SightingsRecord<'_>) -> Append {
    Append {
        to: TopicPartition::new(topics::SIGHTINGS, to),
        key: None,
        value: Some(Bytes::from(value.encode())),
        headers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_770_000_000_000);

    #[test]
    fn episodes_are_kept_as_is_stated() {
        let stated = tocsin_wire::retention::of_table("page_episodes").and_then(|kind| kind.hours);
        assert_eq!(
            stated.map(|hours| Milliseconds::from_hours(hours as i64)),
            Some(OBSERVED)
        );
    }

    fn episodes(count: i64) -> Vec<PageEpisode> {
        let episode = |number: i64| PageEpisode {
            raised_at: NOW - Milliseconds::from_minutes(count - number),
            peak: (number % 100) as f64 + 1.0,
            paged_at: (number % 100 >= 90).then_some(NOW - Milliseconds::from_minutes(count - number)),
        };
        (0..count).map(episode).collect()
    }

    #[test]
    fn the_threshold_follows_the_episodes_within_a_stated_time_ahead() {
        // An episode each minute of two days, evenly between 1 and 100: 15 of 1,440 a day lie above 98.96.
        let seen = episodes(2 * 1_440);
        let made = found(&seen, NOW - Milliseconds::from_hours(48)..NOW, 15.0);
        assert!((90.0..110.0).contains(&made.page_threshold), "{made:?}");
        assert_eq!((made.episodes, made.effective_from), (2_880, NOW + AHEAD));
        assert_eq!(pages_since(&seen, NOW - DAY), 140, "of the last 1,440 minutes");
    }
}
