//! What evidence is worth to teams, on its way to the key groups: an ordered input of theirs whenever appeals overturned families of a team.

use prometheus::{IntCounter, Registry};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::Append;
use tocsin_wire::SightingsRecord;

use crate::control::{Control, record};

/// What is counted of weighings.
#[derive(Clone)]
pub(crate) struct WeighingMetrics {
    published: IntCounter,
}

/// Weighings are on the log.
struct WeighingsPublished {
    count: usize,
}

impl WeighingMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<WeighingMetrics, prometheus::Error> {
        let published = IntCounter::new(
            "tocsin_dispatcher_weighings_published_total",
            "Times that the key groups were told what the evidence behind overturned families is worth to a team",
        )?;
        registry.register(Box::new(published.clone()))?;
        Ok(WeighingMetrics { published })
    }
}

impl WeighingsPublished {
    fn emit(&self, metrics: &WeighingMetrics) {
        metrics.published.inc_by(self.count as u64);
        tracing::info!(count = self.count, "told the key groups what was overturned");
    }
}

impl Control {
    /// What is said of a team's overturned families is written down before it is said. So one that is said again, since the process ended before it noted that, is
    /// the same record, and the groups, which know its number, change nothing.
    pub(crate) async fn publish_weighings(&self) -> anyhow::Result<()> {
        let store = &self.dispatcher.store;
        // Looking costs a read; only who finds something asks for the lease.
        if !store.weighing_is_pending().await? || !self.holds().await? {
            return Ok(());
        }
        // Without a tick there is no time yet.
        let Some(at) = self.latest_tick().await? else {
            return Ok(());
        };
        store.weigh_overturned(&self.instance, at).await?;
        let weighings = store.unpublished_weighings().await?;
        let Some(last) = weighings.last().map(|weighing| weighing.number) else {
            return Ok(());
        };
        let count = weighings.len();
        let mut appends: Vec<Append> = Vec::new();
        for weighing in weighings {
            let value = SightingsRecord::Weighing(weighing);
            appends.extend((0..u32::from(self.partitions.get())).map(|to| record(to, &value)));
        }
        self.append(appends).await?;
        reach(FailPoint::WeighingsAppended);
        store.weighings_published(last).await?;
        WeighingsPublished { count }.emit(&self.weighed);
        Ok(())
    }
}
