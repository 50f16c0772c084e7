//! The ways to run a detector.

use std::time::Instant;

use prometheus::Registry;
use tocsin_log::SharedLog;
use tocsin_runtime::{ReadinessFlag, Shutdown};

use crate::config::{DetectorConfig, DetectorSetup};
use crate::error::DetectorError;
use crate::restore::Outbox;
use crate::restorers::Hands;
use crate::shell::run_by;

/// Runs the detector on the calling thread until shutdown is requested.
///
/// # Errors
/// [`DetectorError`]: the state or the log needs an operator, or another process took over.
pub fn run(
    config: &DetectorConfig,
    setup: &DetectorSetup,
    log: &SharedLog,
    registry: &Registry,
    ready: &ReadinessFlag,
    shutdown: &Shutdown,
) -> Result<(), DetectorError> {
    let by = Means {
        clock: &Instant::now,
        hands: Hands::Threads,
        outbox: Outbox::Repeated,
    };
    run_by(by, config, setup, log, registry, ready, shutdown)
}

/// [`run`] by another clock and on the calling thread alone: the simulation's. The clock says when a unit, a state or a checkpoint is due, and
/// decides nothing else; what is restored goes on by a step between two polls.
///
/// # Errors
/// See [`run`].
pub fn run_at(
    clock: &dyn Fn() -> Instant,
    config: &DetectorConfig,
    setup: &DetectorSetup,
    log: &SharedLog,
    registry: &Registry,
    ready: &ReadinessFlag,
    shutdown: &Shutdown,
) -> Result<(), DetectorError> {
    let by = Means {
        clock,
        hands: Hands::Caller,
        outbox: Outbox::Repeated,
    };
    run_by(by, config, setup, log, registry, ready, shutdown)
}

/// [`run`] without saying again what other groups may not have heard: what it appends follows from its input alone, so that the input can come to
/// rest. Whoever runs the detector after it says all of it again.
///
/// # Errors
/// See [`run`].
pub(crate) fn run_silently(
    config: &DetectorConfig,
    setup: &DetectorSetup,
    log: &SharedLog,
    registry: &Registry,
    ready: &ReadinessFlag,
    shutdown: &Shutdown,
) -> Result<(), DetectorError> {
    let by = Means {
        clock: &Instant::now,
        hands: Hands::Threads,
        outbox: Outbox::LeftToTheNext,
    };
    run_by(by, config, setup, log, registry, ready, shutdown)
}

/// By what a detector runs.
pub(crate) struct Means<'a> {
    pub(crate) clock: &'a dyn Fn() -> Instant,
    pub(crate) hands: Hands,
    pub(crate) outbox: Outbox,
}
