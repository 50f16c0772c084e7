//! Where an open load goes.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use tocsin_loadtest::scenario::PartyPlan;
use tocsin_log::{Append, Appender, Completion, Log, TopicPartition};
use tocsin_wire::{event, topics};

use super::pipeline::options;
use super::schedule::Due;

/// Takes what is due. Waits only where too much is on its way, and then the load falls behind.
pub(super) trait Sink {
    /// Hands over what is due, and looks after what arrived. `began` is the moment that times of the load count from.
    ///
    /// # Errors
    /// Something did not arrive.
    fn send(&mut self, due: Vec<Due>, began: Instant) -> anyhow::Result<()>;

    /// Waits until everything has arrived; how many events that were, in the whole load.
    ///
    /// # Errors
    /// Something did not arrive.
    fn finish(&mut self) -> anyhow::Result<u64>;
}

/// Lots that are not acknowledged yet.
const LOTS_ON_THEIR_WAY_MAX: usize = 2_000;

/// The parties' ingest topics, one event a record.
pub(super) struct Ingest {
    appender: Box<dyn Appender>,
    topics: Vec<String>,
    on_their_way: VecDeque<Completion>,
    events: u64,
}

impl Ingest {
    pub(super) fn open(log: &dyn Log, parties: &[PartyPlan]) -> anyhow::Result<Ingest> {
        Ok(Ingest {
            appender: log.appender(options())?,
            topics: parties.iter().map(|party| topics::ingest_name(&party.name)).collect(),
            on_their_way: VecDeque::new(),
            events: 0,
        })
    }
}

impl Sink for Ingest {
    fn send(&mut self, due: Vec<Due>, _: Instant) -> anyhow::Result<()> {
        self.events += due.len() as u64;
        if !due.is_empty() {
            let record = |due: Due| Append {
                to: TopicPartition::new(self.topics[due.party].as_str(), due.partition),
                key: None,
                value: Some(Bytes::from(event::encode_single_object(&due.event))),
                headers: Vec::new(),
            };
            let records = due.into_iter().map(record).collect();
            self.on_their_way.push_back(self.appender.append(records));
        }
        while let Some(result) = self.on_their_way.front_mut().and_then(Completion::poll_now) {
            result?;
            self.on_their_way.pop_front();
        }
        while self.on_their_way.len() > LOTS_ON_THEIR_WAY_MAX {
            self.on_their_way.pop_front().context("there are many")?.wait()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<u64> {
        for completion in self.on_their_way.drain(..) {
            completion.wait()?;
        }
        Ok(self.events)
    }
}
