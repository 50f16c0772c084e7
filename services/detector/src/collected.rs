//! What the state topic holds of one partition: the newest records of its keys, as far as a restore needs them.

use std::collections::BTreeMap;

use tocsin_model::{Class, GroupId, Timestamp};
use tocsin_velocity::{Group, GroupConfig};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};

use crate::partition::Tracked;

/// What the state topic holds of one partition.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The newest one; or why it cannot be used.
    pub(crate) header: Option<Result<(StateHeader, Timestamp), Unusable>>,
    pub(crate) core: BTreeMap<GroupId, Chunks>,
    pub(crate) cold: BTreeMap<(GroupId, Class), Chunks>,
    /// `None`: the last unit had nothing to say to other partitions, or it has arrived.
    pub(crate) onward: Option<Chunks>,
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It has this layout, which only a newer program knows.
    Newer(u16),
    /// It cannot be read.
    Broken(String),
}

/// The chunks of one state, by number.
#[derive(Debug, Default)]
pub(crate) struct Chunks(BTreeMap<u32, StateRecord>);

impl Collected {
    /// The header, if it can be used.
    pub(crate) fn usable_header(&self) -> Option<&(StateHeader, Timestamp)> {
        self.header.as_ref()?.as_ref().ok()
    }

    /// The records that say the same; `None` where something was not to be read, is missing, or stands for a moment only.
    pub(crate) fn kept(&self, number: u32) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let (header, as_of) = self.usable_header()?;
        if self.onward.is_some() {
            return None;
        }
        let header = StateRecord {
            applied_through: header.next_offset,
            as_of: *as_of,
            format: header.format(),
            chunk: 0,
            chunks: 1,
            body: header.encode(),
        };
        let mut records = vec![(StateKey::Header { partition: number }.to_bytes(), header.encode())];
        for (group, chunks) in &self.core {
            let key = |chunk| StateKey::Core { group: *group, chunk };
            records.extend(
                chunks
                    .0
                    .iter()
                    .map(|(chunk, record)| (key(*chunk).to_bytes(), record.encode())),
            );
        }
        for ((group, class), chunks) in &self.cold {
            let key = |chunk| StateKey::Cold {
                group: *group,
                class: *class,
                chunk,
            };
            records.extend(
                chunks
                    .0
                    .iter()
                    .map(|(chunk, record)| (key(*chunk).to_bytes(), record.encode())),
            );
        }
        Some(records)
    }

    /// Takes one record of the state of partition `number`, behind those taken before.
    pub(crate) fn take(&mut self, number: u32, key: Option<&[u8]>, value: Option<&[u8]>) {
        let Some(key) = key.and_then(StateKey::from_bytes) else {
            return;
        };
        // What cannot be read takes the place of what it replaced: a state is whole as of its newest records or refused, never patched up
        // with older ones.
        let state = || value.and_then(|value| StateRecord::decode(value).ok());
        match key {
            StateKey::Header { partition } if partition == number => self.header = Some(header(state())),
            StateKey::Core { group, chunk } => self.core.entry(group).or_default().put(chunk, state()),
            StateKey::Cold { group, class, chunk } => {
                self.cold.entry((group, class)).or_default().put(chunk, state());
            }
            StateKey::Onward { partition, chunk } if partition == number && value.is_none() => {
                if let Some(chunks) = &mut self.onward {
                    chunks.put(chunk, None);
                }
                self.onward.take_if(|chunks| chunks.end() == 0);
            }
            StateKey::Onward { partition, chunk } if partition == number => {
                self.onward.get_or_insert_default().put(chunk, state());
            }
            StateKey::Header { .. } | StateKey::Hot { .. } | StateKey::Onward { .. } => {}
        }
    }
}

fn header(record: Option<StateRecord>) -> Result<(StateHeader, Timestamp), Unusable> {
    let record = record.ok_or_else(|| Unusable::Broken("it is no state record".to_owned()))?;
    let (written, known) = (record.format, StateHeader::FORMAT);
    if written > known {
        return Err(Unusable::Newer(written));
    }
    if ![known, StateHeader::FORMAT_BEFORE].contains(&written) {
        let reason = format!("it has layout {written}, this program knows layout {known}");
        return Err(Unusable::Broken(reason));
    }
    let header = StateHeader::decode(&record.body).map_err(|error| Unusable::Broken(error.to_string()))?;
    if header.format() != written {
        let reason = format!("it has not the layout {written} that it names");
        return Err(Unusable::Broken(reason));
    }
    Ok((header, record.as_of))
}

/// The groups of what was collected, one after the other: what one was made of is freed before the next is made.
#[derive(Debug)]
pub(crate) struct Groups {
    core: BTreeMap<GroupId, Chunks>,
    cold: BTreeMap<(GroupId, Class), Chunks>,
}

impl Groups {
    pub(crate) fn of(core: BTreeMap<GroupId, Chunks>, cold: BTreeMap<(GroupId, Class), Chunks>) -> Self {
        Groups { core, cold }
    }

    /// The next one, ascending by id; or why it cannot be used.
    pub(crate) fn next_of(&mut self, config: &GroupConfig) -> Option<(GroupId, Result<Tracked, String>)> {
        let (id, chunks) = self.core.pop_first()?;
        let mut of_classes = BTreeMap::new();
        // Groups ascend in both.
        while let Some(entry) = self.cold.first_entry().filter(|entry| entry.key().0 <= id) {
            let ((group, class), chunks) = entry.remove_entry();
            if group == id {
                of_classes.insert(class, chunks);
            }
        }
        Some((id, tracked(config, &chunks, of_classes)))
    }
}

fn tracked(config: &GroupConfig, core: &Chunks, cold: BTreeMap<Class, Chunks>) -> Result<Tracked, String> {
    let (bytes, offset) = core.join().ok_or("its checkpoint is incomplete")?;
    let mut of_classes = BTreeMap::new();
    for (class, chunks) in cold {
        let (bytes, cut_at) = chunks.join().ok_or("its cold counts are incomplete")?;
        if cut_at != offset {
            return Err("its parts were cut at different offsets".to_owned());
        }
        of_classes.insert(class, bytes);
    }
    let group = Group::decode(config.clone(), &bytes, &of_classes).map_err(|error| error.to_string())?;
    Ok(Tracked::restored(group, offset, core.format()))
}

impl Chunks {
    pub(crate) fn put(&mut self, chunk: u32, record: Option<StateRecord>) {
        match record {
            Some(record) => self.0.insert(chunk, record),
            None => self.0.remove(&chunk),
        };
    }

    /// The version of the body's layout, by its first chunk.
    pub(crate) fn format(&self) -> u16 {
        self.0.first_key_value().map_or(0, |(_, record)| record.format)
    }

    /// The number after the highest chunk.
    pub(crate) fn end(&self) -> u32 {
        self.0.last_key_value().map_or(0, |(chunk, _)| chunk + 1)
    }

    /// The whole body and the offset it was cut at. Chunks left over from a longer state before are passed over.
    pub(crate) fn join(&self) -> Option<(Vec<u8>, u64)> {
        let first = self.0.get(&0)?;
        let mut body = Vec::new();
        for chunk in 0..first.chunks {
            let record = self.0.get(&chunk)?;
            if record.applied_through != first.applied_through || record.chunks != first.chunks {
                return None;
            }
            body.extend_from_slice(&record.body);
        }
        Some((body, first.applied_through))
    }
}
