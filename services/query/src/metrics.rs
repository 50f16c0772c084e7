//! What an operator sees of the query role. Labels are topics, partitions and fixed words.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::replica::{Position, Skipped};

/// What became of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookUp {
    /// Something was found.
    Matched,
    /// Nothing was found.
    Unmatched,
    /// Refused, as the problem of this name says.
    UnknownSignalType,
    MalformedSignal,
    UnmatchableSignal,
    UnknownBank,
    RateLimited,
    TimedOut,
}

impl LookUp {
    pub(crate) const ALL: [LookUp; 8] = [
        LookUp::Matched,
        LookUp::Unmatched,
        LookUp::UnknownSignalType,
        LookUp::MalformedSignal,
        LookUp::UnmatchableSignal,
        LookUp::UnknownBank,
        LookUp::RateLimited,
        LookUp::TimedOut,
    ];

    /// The name in metrics: of a refusal that of its problem.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LookUp::Matched => "matched",
            LookUp::Unmatched => "unmatched",
            LookUp::UnknownSignalType => "unknown_signal_type",
            LookUp::MalformedSignal => "malformed_signal",
            LookUp::UnmatchableSignal => "unmatchable_signal",
            LookUp::UnknownBank => "unknown_bank",
            LookUp::RateLimited => "rate_limited",
            LookUp::TimedOut => "look_up_timed_out",
        }
    }
}

/// What becomes of the record of a read.
const OUTCOMES: [&str; 2] = ["written", "refused"];

/// The metrics of one replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Records that changed the replica.
    pub(crate) applied: IntCounterVec,
    skipped: IntCounterVec,
    /// The offset up to which a partition was applied.
    pub(crate) next_offset: IntGaugeVec,
    /// Records between the replica and the end of a partition.
    pub(crate) lag_offsets: IntGaugeVec,
    /// Seconds since the last header of a partition was appended.
    pub(crate) lag_seconds: GaugeVec,
    /// Hot records held.
    pub(crate) hot_records: IntGauge,
    /// Checkpoints of cold counts held.
    pub(crate) cold_states: IntGauge,
    /// Announced contents held.
    pub(crate) announced_contents: IntGauge,
    /// Hashes of announced contents held.
    pub(crate) announced_hashes: IntGauge,
    /// Families of which others than the owners were told numbers of accounts.
    pub(crate) families_disclosed: IntGauge,
    look_ups: IntCounterVec,
    /// Contents of which the store was asked who lists them.
    pub(crate) listings_asked: IntCounter,
    /// Contents of which it was known from a moment ago.
    pub(crate) listings_remembered: IntCounter,
    /// Live incidents that look-ups are answered from.
    pub(crate) incidents: IntGauge,
    /// Hashes of their packs that are held.
    pub(crate) incident_hashes: IntGauge,
    /// Entries of their packs that found no place.
    pub(crate) incident_hashes_left_out: IntGauge,
    /// Alerts held.
    pub(crate) alerts: IntGauge,
    /// How long it will take to catch up.
    pub(crate) restore_seconds_left: Gauge,
    /// 1 once the replica had caught up.
    pub(crate) ready: IntGauge,
    /// Failed reads of the log.
    pub(crate) read_failures: IntCounter,
    /// Streams open.
    pub(crate) streams: IntGauge,
    /// How long the last frames took.
    pub(crate) frame_seconds: Gauge,
    /// Streams ended because their reader was too slow.
    pub(crate) streams_evicted: IntCounter,
    /// Requests refused because their key asked more than it may.
    pub(crate) reads_limited: IntCounter,
    recorded: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// A metric of one of these names is registered already.
    pub fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let metrics = Metrics {
            applied: IntCounterVec::new(
                Opts::new(
                    "tocsin_query_records_applied_total",
                    "Records of the log that were applied",
                ),
                &["topic"],
            )?,
            skipped: IntCounterVec::new(
                Opts::new(
                    "tocsin_query_records_skipped_total",
                    "Records of the log that were left out, by reason",
                ),
                &["topic", "reason"],
            )?,
            next_offset: IntGaugeVec::new(
                Opts::new(
                    "tocsin_query_next_offset",
                    "The offset up to which a partition was applied",
                ),
                &["topic", "partition"],
            )?,
            lag_offsets: IntGaugeVec::new(
                Opts::new(
                    "tocsin_query_lag_offsets",
                    "Offsets between the replica and the end of a partition",
                ),
                &["topic", "partition"],
            )?,
            lag_seconds: GaugeVec::new(
                Opts::new(
                    "tocsin_query_lag_seconds",
                    "Seconds since the last applied header of a partition was appended",
                ),
                &["partition"],
            )?,
            hot_records: IntGauge::new("tocsin_query_hot_records", "Hot records held")?,
            cold_states: IntGauge::new("tocsin_query_cold_states", "Checkpoints of cold counts held")?,
            alerts: IntGauge::new("tocsin_query_alerts", "Alerts held")?,
            announced_contents: IntGauge::new(
                "tocsin_query_announced_contents",
                "Announced contents held, each once for each class of an announcement",
            )?,
            announced_hashes: IntGauge::new("tocsin_query_announced_hashes", "Hashes of announced contents held")?,
            families_disclosed: IntGauge::new(
                "tocsin_query_families_disclosed",
                "Families of which readers were told numbers of others' accounts, by scope",
            )?,
            look_ups: IntCounterVec::new(
                Opts::new(
                    "tocsin_query_look_ups_total",
                    "Look-ups of hashes, by what became of them",
                ),
                &["outcome"],
            )?,
            listings_asked: IntCounter::new(
                "tocsin_query_listings_asked_total",
                "Contents of look-ups of which the store was asked who lists them",
            )?,
            listings_remembered: IntCounter::new(
                "tocsin_query_listings_remembered_total",
                "Contents of look-ups of which it was known from a moment ago who lists them",
            )?,
            restore_seconds_left: Gauge::new(
                "tocsin_query_restore_seconds_left",
                "How long what is left to be read before the first answer will take at the pace so far; 0 once the replica caught up",
            )?,
            incidents: IntGauge::new(
                "tocsin_query_incidents",
                "Live incidents that look-ups are answered from",
            )?,
            incident_hashes: IntGauge::new(
                "tocsin_query_incident_hashes",
                "Hashes of packs of live incidents held for look-ups",
            )?,
            incident_hashes_left_out: IntGauge::new(
                "tocsin_query_incident_hashes_left_out",
                "Entries of packs of live incidents that look-ups do not find, since an incident has too many",
            )?,
            ready: IntGauge::new("tocsin_query_ready", "1 once the replica caught up with the log")?,
            read_failures: IntCounter::new(
                "tocsin_query_read_failures_total",
                "Reads of the log that failed and were tried again",
            )?,
            streams: IntGauge::new("tocsin_query_streams", "Streams that are open")?,
            frame_seconds: Gauge::new(
                "tocsin_query_frame_seconds",
                "How long it took to make the last frames of what moved, for all scopes",
            )?,
            streams_evicted: IntCounter::new(
                "tocsin_query_streams_evicted_total",
                "Streams that were ended because their reader was too slow",
            )?,
            reads_limited: IntCounter::new(
                "tocsin_query_reads_limited_total",
                "Requests refused because their key asked more than it may in a minute",
            )?,
            recorded: IntCounterVec::new(
                Opts::new(
                    "tocsin_query_reads_recorded_total",
                    "Reads whose record in the audit chain was written, or was not and which were refused, by outcome",
                ),
                &["outcome"],
            )?,
        };
        registry.register(Box::new(metrics.applied.clone()))?;
        registry.register(Box::new(metrics.skipped.clone()))?;
        registry.register(Box::new(metrics.recorded.clone()))?;
        for outcome in OUTCOMES {
            metrics.recorded.with_label_values(&[outcome]);
        }
        registry.register(Box::new(metrics.next_offset.clone()))?;
        registry.register(Box::new(metrics.lag_offsets.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        for gauge in [
            &metrics.hot_records,
            &metrics.cold_states,
            &metrics.alerts,
            &metrics.announced_contents,
            &metrics.announced_hashes,
            &metrics.families_disclosed,
            &metrics.incidents,
            &metrics.incident_hashes,
            &metrics.incident_hashes_left_out,
            &metrics.ready,
            &metrics.streams,
        ] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(metrics.frame_seconds.clone()))?;
        registry.register(Box::new(metrics.restore_seconds_left.clone()))?;
        registry.register(Box::new(metrics.look_ups.clone()))?;
        for counter in [
            &metrics.listings_asked,
            &metrics.listings_remembered,
            &metrics.read_failures,
            &metrics.streams_evicted,
            &metrics.reads_limited,
        ] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(metrics)
    }

    /// A read was recorded, or refused because it could not be.
    pub(crate) fn recorded(&self, is_written: bool) {
        let [written, refused] = OUTCOMES;
        let outcome = if is_written { written } else { refused };
        self.recorded.with_label_values(&[outcome]).inc();
    }

    /// A hash was looked up.
    pub(crate) fn look_up(&self, outcome: LookUp) {
        self.look_ups.with_label_values(&[outcome.name()]).inc();
    }

    /// A record was left out.
    pub(crate) fn record_skipped(&self, topic: &str, position: Position, reason: Skipped) {
        self.skipped.with_label_values(&[topic, reason.name()]).inc();
        if matches!(reason, Skipped::Corrupt | Skipped::Full) {
            tracing::warn!(
                topic,
                partition = position.partition,
                offset = position.offset,
                reason = reason.name(),
                "a record of the log was left out"
            );
        }
    }
}
