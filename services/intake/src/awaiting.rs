use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tocsin_log::TopicPartition;

/// A topic may be found, and hold events, before its party's announcement is read (an operator may make it by hand). Its events wait so
/// long for the announcement before they are refused as nobody's.
const ANNOUNCEMENT_AWAITED_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether a topic that was absent is there.
const TOPIC_LOOKED_FOR_EVERY: Duration = Duration::from_secs(1);

/// What tells how far a partition was read whose source has no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadBefore {
    /// The group's position.
    ByTheGroup,
    /// Nothing was: the topic was made anew, and the group's position is of the one before.
    Nothing,
}

/// Assigned partitions that are not begun yet, and since when they wait.
#[derive(Debug, Default)]
pub(crate) struct Awaiting(BTreeMap<TopicPartition, (Awaited, Instant)>);

#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// That their party is announced.
    Announcement,
    /// That the topic, which was assigned and is absent, is there.
    Topic(ReadBefore),
}

impl Awaiting {
    pub(crate) fn announcement(&mut self, place: TopicPartition) {
        self.0.insert(place, (Awaited::Announcement, Instant::now()));
    }

    pub(crate) fn topic(&mut self, place: TopicPartition, before: ReadBefore) {
        self.0.insert(place, (Awaited::Topic(before), Instant::now()));
    }

    pub(crate) fn remove(&mut self, place: &TopicPartition) {
        self.0.remove(place);
    }

    /// Takes those that are to be begun: their party is announced by now, they waited for it long enough, or their topic is to be looked for again.
    pub(crate) fn take_due(&mut self, is_announced: impl Fn(&str) -> bool) -> Vec<(TopicPartition, ReadBefore)> {
        let is_due = |place: &TopicPartition, (awaited, since): &mut (Awaited, Instant)| match awaited {
            Awaited::Announcement => is_announced(&place.topic) || since.elapsed() >= ANNOUNCEMENT_AWAITED_MAX,
            Awaited::Topic(_) => since.elapsed() >= TOPIC_LOOKED_FOR_EVERY,
        };
        let due = self.0.extract_if(.., is_due);
        due.map(|(place, (awaited, _))| match awaited {
            Awaited::Announcement => (place, ReadBefore::ByTheGroup),
            Awaited::Topic(before) => (place, before),
        })
        .collect()
    }
}
