use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redb::ReadableDatabase;

use super::queue::Job;
use super::read::{Cursor, Cursors};
use super::{Shared, failed, tables};
use crate::topic::subscribed;
use crate::{GroupEvent, GroupOptions, GroupReader, LogError, Membership, RecordRef, TopicPartition};

/// The groups that have a member. One process owns the log, so a group needs no more than one; a second is refused rather than given a
/// share, because a share would need rebalancing and nothing here runs two.
#[derive(Default)]
pub(super) struct OneMember(Mutex<HashSet<String>>);

impl OneMember {
    pub(super) fn holds(&self, group: &str) -> bool {
        self.0.lock().expect("no holder of this lock panics").contains(group)
    }

    fn join(&self, group: &str) -> Result<(), LogError> {
        let mut groups = self.0.lock().expect("no holder of this lock panics");
        if groups.insert(group.to_owned()) {
            return Ok(());
        }
        Err(LogError::GroupInUse {
            group: group.to_owned(),
        })
    }

    fn leave(&self, group: &str) {
        self.0.lock().expect("no holder of this lock panics").remove(group);
    }
}

/// See [`GroupReader`]. The only member of its group: all partitions are its own and none is ever revoked.
pub(super) struct Member {
    shared: Arc<Shared>,
    options: GroupOptions,
    cursors: Cursors,
    paused: HashSet<TopicPartition>,
    begun: HashSet<TopicPartition>,
    topics_seen: usize,
}

impl Member {
    pub(super) fn join(shared: Arc<Shared>, options: GroupOptions) -> Result<Self, LogError> {
        shared.members.join(&options.group)?;
        Ok(Member {
            shared,
            options,
            cursors: Cursors::default(),
            paused: HashSet::new(),
            begun: HashSet::new(),
            topics_seen: 0,
        })
    }

    /// Partitions of topics that were not there when last looked.
    fn discover(&mut self) -> Vec<TopicPartition> {
        if self.shared.catalogue.topic_count() == self.topics_seen {
            return Vec::new();
        }
        let topics = self.shared.catalogue.topics();
        self.topics_seen = topics.len();
        let mut found = Vec::new();
        for topic in topics {
            let wanted = self
                .options
                .topics
                .iter()
                .any(|subscription| subscribed(subscription, &topic.name));
            let known = self
                .cursors
                .all
                .iter()
                .any(|cursor| cursor.topic.row.id == topic.row.id);
            if !wanted || known {
                continue;
            }
            for partition in 0..topic.row.partitions {
                let cursor = Cursor {
                    topic: topic.clone(),
                    partition,
                    position: 0,
                    flows: false,
                };
                found.push(cursor.name());
                self.cursors.all.push(cursor);
            }
        }
        found
    }

    fn cursor(&mut self, partition: &TopicPartition) -> Result<&mut Cursor, LogError> {
        let cursor = self.cursors.all.iter_mut().find(|cursor| cursor.is(partition));
        cursor.ok_or_else(|| LogError::NoSuchPartition {
            topic: partition.topic.to_string(),
            partition: partition.partition,
        })
    }

    fn let_flow(&mut self, partition: &TopicPartition) -> Result<(), LogError> {
        let flows = self.begun.contains(partition) && !self.paused.contains(partition);
        self.cursor(partition)?.flows = flows;
        Ok(())
    }
}

/// The position stored for a group.
pub(super) fn position(shared: &Shared, group: &str, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
    let id = shared.catalogue.topic_of(partition)?.row.id;
    let database = shared.database()?;
    let transaction = database.begin_read().map_err(failed("begin to read"))?;
    let positions = transaction
        .open_table(tables::POSITIONS)
        .map_err(failed("open the positions"))?;
    let position = positions
        .get((group, id, partition.partition))
        .map_err(failed("read a position"))?;
    Ok(position.map(|position| position.value()))
}

impl GroupReader for Member {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.shared.refuse_closed()?;
            let seen = self.shared.catalogue.changes();
            let found = self.discover();
            if !found.is_empty() {
                return Ok(GroupEvent::Assigned(found));
            }
            let handed = self.cursors.read(&self.shared, records_max, sink)?;
            if handed > 0 || !self.shared.catalogue.wait(seen, deadline) {
                return Ok(GroupEvent::Polled);
            }
        }
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.cursor(partition)?.seek(offset);
        self.begun.insert(partition.clone());
        self.let_flow(partition)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
        position(&self.shared, &self.options.group, partition)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        for partition in partitions {
            self.paused.insert(partition.clone());
            self.let_flow(partition)?;
        }
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        for partition in partitions {
            self.paused.remove(partition);
            self.let_flow(partition)?;
        }
        Ok(())
    }

    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        let (group, positions) = (self.options.group.clone(), positions.to_vec());
        self.shared.ask(|done| Job::Positions { group, positions, done })
    }

    fn membership(&self) -> Membership {
        Membership::Embedded(self.options.group.clone())
    }

    fn close(self: Box<Self>) {}
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.members.leave(&self.options.group);
    }
}
