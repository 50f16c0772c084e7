//! Escalates notices whose time is over. The store's clock decides, and the store escalates each once: every dispatcher looks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use tocsin_casework::{Notice, NoticeKind};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_runtime::Shutdown;
use tocsin_store::StoreError;

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// What is counted of notices.
#[derive(Clone)]
pub(crate) struct NoticeMetrics {
    waiting: IntGaugeVec,
    missed: IntCounterVec,
}

impl NoticeMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<NoticeMetrics, prometheus::Error> {
        let metrics = NoticeMetrics {
            waiting: IntGaugeVec::new(
                Opts::new(
                    "tocsin_dispatcher_notices",
                    "Notices that wait for an answer: in time, and escalated as overdue",
                ),
                &["state"],
            )?,
            missed: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_notices_overdue_total",
                    "Notices that this dispatcher escalated because their time was over",
                ),
                &["kind"],
            )?,
        };
        // An alarm needs a nought to rise from.
        for kind in NoticeKind::ALL {
            metrics.missed.with_label_values(&[kind.name()]);
        }
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.missed.clone()))?;
        Ok(metrics)
    }
}

/// The time of a notice is over, and its case was brought before everything else.
struct NoticeMissed<'a> {
    notice: &'a Notice,
}

impl NoticeMissed<'_> {
    fn emit(&self, metrics: &NoticeMetrics) {
        let filing = &self.notice.filing;
        metrics.missed.with_label_values(&[filing.kind.name()]).inc();
        let (notice, case) = (self.notice.id, self.notice.case);
        tracing::error!(%notice, %case, kind = filing.kind.name(), "the time of a notice is over, and it is not answered");
    }
}

pub(crate) async fn run(dispatcher: Arc<Dispatcher>, metrics: NoticeMetrics, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut counted_at = None::<Instant>;
    while !shutdown.is_requested() {
        let escalated = escalate(&dispatcher, &metrics).await;
        let is_due = counted_at.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL);
        let result = match escalated {
            Ok(0) if is_due => {
                counted_at = Some(Instant::now());
                count(&dispatcher, &metrics).await
            }
            Ok(0) => Ok(()),
            // There may be more.
            Ok(_) => {
                counted_at = None;
                continue;
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            StoreFailed { error: &error }.emit(&dispatcher.metrics);
        }
        pause(LOOK_INTERVAL, &shutdown).await;
    }
    Ok(())
}

/// How many were escalated.
async fn escalate(dispatcher: &Dispatcher, metrics: &NoticeMetrics) -> Result<usize, StoreError> {
    let escalated = dispatcher.store.escalate_overdue().await?;
    if !escalated.is_empty() {
        reach(FailPoint::NoticesEscalated);
    }
    for done in &escalated {
        dispatcher.ranking.changed(&done.case, done.now);
        NoticeMissed { notice: &done.notice }.emit(metrics);
    }
    Ok(escalated.len())
}

async fn count(dispatcher: &Dispatcher, metrics: &NoticeMetrics) -> Result<(), StoreError> {
    let (waiting, overdue) = dispatcher.store.count_notices().await?;
    for (state, count) in [("in_time", waiting - overdue), ("overdue", overdue)] {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        metrics.waiting.with_label_values(&[state]).set(count);
    }
    Ok(())
}
