use std::ops::Range;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use tocsin_log::{LogError, TopicPartition};

use crate::counted::Counted;

/// Intake's metrics. Labels are bounded by their definition: codes are a closed list, partitions are few.
pub(crate) struct Metrics {
    events: IntCounter,
    rejects: IntCounterVec,
    actions_ignored: IntCounter,
    fields_absent: IntCounterVec,
    fields_malformed: IntCounterVec,
    links: IntCounter,
    unmatchable: IntCounter,
    frames_refused: IntCounter,
    frames_uncorroborated: IntCounter,
    forgotten_early: IntCounter,
    clocks: IntCounterVec,
    positions_not_stored: IntCounter,
    unreadable: IntCounterVec,
    skipped: IntCounter,
    replaced: IntCounter,
    pub(crate) sources: IntGauge,
    pub(crate) lag_offsets: IntGaugeVec,
    pub(crate) held_back: IntGauge,
    pub(crate) pressure_unknown: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Metrics {
            events: IntCounter::new("tocsin_intake_events_total", "Events accepted")?,
            rejects: IntCounterVec::new(
                Opts::new("tocsin_intake_rejects_total", "Events and records rejected"),
                &["code"],
            )?,
            actions_ignored: IntCounter::new(
                "tocsin_intake_actions_ignored_total",
                "Actions of Osprey that are no events by their party's mapping",
            )?,
            fields_absent: IntCounterVec::new(
                Opts::new(
                    "tocsin_intake_fields_absent_total",
                    "Fields that stood not where the mapping of actions says, in events accepted without them",
                ),
                &["field"],
            )?,
            fields_malformed: IntCounterVec::new(
                Opts::new(
                    "tocsin_intake_fields_malformed_total",
                    "Fields of actions that had another form than theirs, in events accepted without them",
                ),
                &["field"],
            )?,
            links: IntCounter::new("tocsin_intake_links_total", "Links found")?,
            frames_refused: IntCounter::new(
                "tocsin_intake_frames_refused_total",
                "Frames of videos not looked up, since their party had its part of the minute",
            )?,
            frames_uncorroborated: IntCounter::new(
                "tocsin_intake_frames_uncorroborated_total",
                "Videos that joined no family, since one party alone told the frames they share with it",
            )?,
            unmatchable: IntCounter::new(
                "tocsin_intake_unmatchable_total",
                "PDQ hashes not matched by distance: of low quality, or with too few or too many bits set for a picture",
            )?,
            forgotten_early: IntCounter::new(
                "tocsin_intake_forgotten_early_total",
                "Announced families and seen contents forgotten before their time: links may be missed",
            )?,
            clocks: IntCounterVec::new(
                Opts::new(
                    "tocsin_intake_clock_flags_total",
                    "Events whose time was ahead or too late",
                ),
                &["flag"],
            )?,
            positions_not_stored: IntCounter::new(
                "tocsin_intake_positions_not_stored_total",
                "Times that the group's positions could not be stored; they are stored a second later",
            )?,
            unreadable: IntCounterVec::new(
                Opts::new(
                    "tocsin_intake_unreadable_total",
                    "Records passed over since they could not be read: of parties, families, decisions and intake's own state",
                ),
                &["topic"],
            )?,
            skipped: IntCounter::new(
                "tocsin_intake_skipped_records_total",
                "Records of ingest topics that the log had deleted before they were read: what they told is lost",
            )?,
            replaced: IntCounter::new(
                "tocsin_intake_sources_replaced_total",
                "Ingest partitions that were deleted and made anew while they were read",
            )?,
            sources: IntGauge::new("tocsin_intake_sources", "Ingest partitions read by this process")?,
            lag_offsets: IntGaugeVec::new(
                Opts::new("tocsin_intake_lag_offsets", "Records of ingest topics not yet read"),
                &["topic"],
            )?,
            pressure_unknown: IntCounter::new(
                "tocsin_intake_pressure_unknown_total",
                "Times that intake could not see how far the detectors are behind, and held nothing back",
            )?,
            held_back: IntGauge::new(
                "tocsin_intake_held_back",
                "1 while no events are read because the detectors are behind or memory is short, else 0",
            )?,
        };
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.rejects.clone()))?;
        registry.register(Box::new(metrics.actions_ignored.clone()))?;
        registry.register(Box::new(metrics.fields_absent.clone()))?;
        registry.register(Box::new(metrics.fields_malformed.clone()))?;
        registry.register(Box::new(metrics.links.clone()))?;
        registry.register(Box::new(metrics.unmatchable.clone()))?;
        registry.register(Box::new(metrics.frames_refused.clone()))?;
        registry.register(Box::new(metrics.frames_uncorroborated.clone()))?;
        registry.register(Box::new(metrics.forgotten_early.clone()))?;
        registry.register(Box::new(metrics.clocks.clone()))?;
        registry.register(Box::new(metrics.positions_not_stored.clone()))?;
        registry.register(Box::new(metrics.unreadable.clone()))?;
        registry.register(Box::new(metrics.skipped.clone()))?;
        registry.register(Box::new(metrics.replaced.clone()))?;
        registry.register(Box::new(metrics.sources.clone()))?;
        registry.register(Box::new(metrics.lag_offsets.clone()))?;
        registry.register(Box::new(metrics.held_back.clone()))?;
        registry.register(Box::new(metrics.pressure_unknown.clone()))?;
        Ok(metrics)
    }
}

/// The group's positions could not be stored; the next time makes up for it.
pub(crate) struct PositionsNotStored<'a> {
    pub(crate) error: &'a LogError,
}

impl PositionsNotStored<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.positions_not_stored.inc();
        tracing::warn!(error = %tocsin_runtime::roles::chain(self.error), "positions of the group were not stored");
    }
}

/// A record that is no event could not be read.
pub(crate) struct RecordUnreadable {
    /// One of Tocsin's own topics.
    pub(crate) topic: &'static str,
    pub(crate) offset: u64,
}

impl RecordUnreadable {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.unreadable.with_label_values(&[self.topic]).inc();
        tracing::warn!(
            topic = self.topic,
            offset = self.offset,
            "passed over a record that cannot be read"
        );
    }
}

/// Retention took records before they were read.
pub(crate) struct RecordsSkipped<'a> {
    pub(crate) place: &'a TopicPartition,
    pub(crate) offsets: Range<u64>,
}

impl RecordsSkipped<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.skipped.inc_by(self.offsets.end - self.offsets.start);
        tracing::error!(
            topic = &*self.place.topic,
            partition = self.place.partition,
            from = self.offsets.start,
            to = self.offsets.end,
            "the log had deleted records of an ingest topic before they were read: what they told is lost"
        );
    }
}

/// A topic was deleted and made anew while it was read.
pub(crate) struct SourceReplaced<'a> {
    pub(crate) place: &'a TopicPartition,
    /// How far the one before was read.
    pub(crate) position: u64,
}

impl SourceReplaced<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.replaced.inc();
        tracing::error!(
            topic = &*self.place.topic,
            partition = self.place.partition,
            read_to = self.position,
            "an ingest topic was deleted and made anew: it is read from its beginning, and what was not read of the one before is lost"
        );
    }
}

/// A batch of records was read.
pub(crate) struct BatchRead {
    pub(crate) counted: Counted,
}

impl BatchRead {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        let counted = &self.counted;
        metrics.events.inc_by(counted.accepted);
        metrics.actions_ignored.inc_by(counted.actions_ignored);
        for (field, count) in &counted.fields_absent {
            metrics.fields_absent.with_label_values(&[field]).inc_by(*count);
        }
        for (field, count) in &counted.fields_malformed {
            metrics.fields_malformed.with_label_values(&[field]).inc_by(*count);
        }
        metrics.links.inc_by(counted.links);
        metrics.unmatchable.inc_by(counted.unmatchable);
        metrics.frames_refused.inc_by(counted.frames_refused);
        metrics.frames_uncorroborated.inc_by(counted.frames_uncorroborated);
        metrics.forgotten_early.inc_by(counted.forgotten_early);
        metrics.clocks.with_label_values(&["ahead"]).inc_by(counted.ahead);
        metrics.clocks.with_label_values(&["late"]).inc_by(counted.late);
        for (code, count) in &counted.rejected {
            metrics.rejects.with_label_values(&[code]).inc_by(*count);
        }
        if !counted.rejected.is_empty() {
            tracing::info!(rejected = ?counted.rejected, "rejected events");
        }
    }
}
