//! Whether the topics that a process reads and writes are still those that it restored from.

use std::collections::BTreeMap;

use tocsin_log::{SharedLog, TopicWatch};
use tocsin_wire::topics;

use crate::check::SHORT_LOOKS_MAX;
use crate::error::DetectorError;
use crate::partition::Partition;
use crate::restorers::Hands;

/// What is known of the topics while a process runs.
pub(crate) struct Standing {
    watch: TopicWatch,
    /// How often in a row a partition's input was seen to end before its position.
    short: BTreeMap<u32, u32>,
}

impl Standing {
    /// # Errors
    /// No thread can be had.
    pub(crate) fn watch(log: &SharedLog, hands: Hands) -> Result<Self, DetectorError> {
        let watch = match hands {
            Hands::Threads => TopicWatch::begin(log)?,
            Hands::Caller => TopicWatch::in_turn(log),
        };
        Ok(Standing {
            watch,
            short: BTreeMap::new(),
        })
    }

    /// Looks at the partitions, and at the ends of their inputs in the same order, as far as they are known.
    ///
    /// # Errors
    /// [`DetectorError::InputReplaced`], [`DetectorError::InputEndsBefore`] or [`DetectorError::StateReplaced`].
    pub(crate) fn check(&mut self, partitions: &BTreeMap<u32, Partition>, ends: &[u64]) -> Result<(), DetectorError> {
        self.short.retain(|number, _| partitions.contains_key(number));
        for (place, (number, partition)) in partitions.iter().enumerate() {
            let (number, ids) = (*number, partition.topics());
            if self.watch.is_replaced(topics::SIGHTINGS, ids.sightings) {
                return Err(DetectorError::InputReplaced { partition: number });
            }
            if self.watch.is_replaced(topics::STATE, ids.state) {
                return Err(DetectorError::StateReplaced);
            }
            let Some(&end) = ends.get(place) else { continue };
            let needed = partition.next_offset();
            if end >= needed {
                self.short.remove(&number);
                continue;
            }
            let looks = self.short.entry(number).or_insert(0);
            *looks += 1;
            if *looks >= SHORT_LOOKS_MAX {
                return Err(DetectorError::InputEndsBefore {
                    partition: number,
                    needed,
                    end,
                });
            }
            self.watch.ask();
        }
        Ok(())
    }
}
