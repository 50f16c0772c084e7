//! The replica: what the state, alerts, families and parties topics say, as of the records applied. No I/O and no clock in here.

mod alerts;
mod announced;
mod cold;
mod decode;
mod disclosed;
mod hot;
mod moves;
mod names;
mod partitions;

use std::sync::Arc;

use tocsin_model::{
    Alert, Class, ContentId, FamilyAnnouncement, FurtherHash, GroupId, PartitionCount, Scope, Timestamp,
};
use tocsin_sketch::ColdConfig;
use tocsin_velocity::HotRecord;
use tocsin_wire::PartyRecord;

pub use alerts::{AlertLimits, AlertPage, AlertRings, HeldAlert};
pub use announced::{Announced, AnnouncedTable, IndexSize, MatchedHash, Shares};
pub use cold::{ChunkError, ChunkPlace, ColdState, ColdSum, ColdTable, cold_sum};
pub use decode::{Feed, Position, decode};
pub use disclosed::{Disclosed, OthersAccounts};
pub use hot::{Held, HotTable, classes_of};
pub use moves::{Marked, Moves};
pub use names::Names;
pub use partitions::{PartitionView, Partitions};

/// How much a replica holds.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaLimits {
    /// The most hot records.
    pub hot_records_max: usize,
    /// The most hashes of announced contents.
    pub announced_hashes_max: usize,
    /// Alerts, per scope.
    pub alerts: AlertLimits,
}

/// Everything a replica knows. Written by one thread, read by many.
#[derive(Debug)]
pub struct ReplicaState {
    /// How far each partition of the state came.
    pub partitions: Partitions,
    /// Hot records and families.
    pub hot: HotTable,
    /// Cold counts.
    pub cold: ColdTable,
    /// Announced contents by their hashes.
    pub announced: AnnouncedTable,
    /// Alerts.
    pub alerts: AlertRings,
    /// Names of platforms and parties.
    pub names: Names,
    /// The numbers of accounts that others than their owners were told.
    pub disclosed: Disclosed,
}

/// What one record of the log changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// A partition of the state came this far.
    Header(PartitionView),
    /// The newest record of a hot content in a class, and the time up to which it counts everything.
    Hot(Box<HotRecord>, Timestamp),
    /// The content is no longer hot in this class.
    HotGone(ContentId, Class),
    /// A chunk of a checkpoint of cold counts.
    Cold(GroupId, Class, ChunkPlace, Vec<u8>),
    /// A chunk that cannot be read.
    ColdBroken(GroupId, Class),
    /// The group no longer has cold counts of this class.
    ColdGone(GroupId, Class),
    /// An alert.
    Alert(Box<Alert>),
    /// A content became hot or watch-listed in a class.
    Announced(FamilyAnnouncement),
    /// An announced content has a further hash, which has this id.
    FurtherHash(FurtherHash, ContentId),
    /// A content is announced no more in this class.
    Withdrawn(ContentId, Class),
    /// The further hash of this id is none of the content in this class any more.
    FurtherHashGone(ContentId, Class, ContentId),
    /// A party and its platforms.
    Party(PartyRecord),
    /// Nothing a reader asks for.
    Nothing,
}

/// Why a record changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// Its bytes are not what its topic holds.
    Corrupt,
    /// It lies in a partition that does not own its key group: left over from another number of partitions.
    Foreign,
    /// A header older than the one held.
    Stale,
    /// The replica is full: the record was left out, or older announcements for it.
    Full,
}

impl Skipped {
    /// All reasons.
    pub const ALL: [Skipped; 4] = [Skipped::Corrupt, Skipped::Foreign, Skipped::Stale, Skipped::Full];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Skipped::Corrupt => "corrupt",
            Skipped::Foreign => "foreign",
            Skipped::Stale => "stale",
            Skipped::Full => "full",
        }
    }
}

impl ReplicaState {
    /// A replica that knows nothing yet.
    pub fn new(partitions: PartitionCount, cold: ColdConfig, limits: ReplicaLimits) -> Self {
        ReplicaState {
            partitions: Partitions::new(partitions),
            hot: HotTable::new(limits.hot_records_max),
            cold: ColdTable::new(cold),
            announced: AnnouncedTable::new(limits.announced_hashes_max),
            alerts: AlertRings::new(limits.alerts),
            names: Names::default(),
            disclosed: Disclosed::default(),
        }
    }

    /// The time up to which a content's cold counts of the classes inside a scope hold everything; `None` when there are none.
    pub fn cold_as_of(&self, content: ContentId, scope: Scope) -> Option<Timestamp> {
        let group = content.group();
        let checkpointed = self.partitions.checkpointed(group);
        let held = self.cold.visible(content, scope);
        let as_of = |(class, state): &(Class, Arc<ColdState>)| match self.cold.is_newest(group, *class) {
            true => checkpointed.map_or(state.as_of, |checkpointed| checkpointed.max(state.as_of)),
            false => state.as_of,
        };
        held.iter().map(as_of).min()
    }

    /// Applies what the record at `position` changes.
    ///
    /// # Errors
    /// The record was skipped; the replica answers as before.
    pub fn apply(&self, position: Position, change: Change) -> Result<(), Skipped> {
        let owned = |group: GroupId| match self.partitions.owns(position.partition, group) {
            true => Ok(()),
            false => Err(Skipped::Foreign),
        };
        match change {
            Change::Header(view) => match self.partitions.advance(position.partition, view) {
                true => Ok(()),
                false => Err(Skipped::Stale),
            },
            Change::Hot(record, as_of) => {
                owned(record.content().group())?;
                self.hot.put(*record, as_of).map_err(|_| Skipped::Full)
            }
            Change::HotGone(content, class) => {
                owned(content.group())?;
                self.hot.remove(content, class);
                Ok(())
            }
            Change::Cold(group, class, place, body) => {
                owned(group)?;
                self.cold.put(group, class, place, body).map_err(|_| Skipped::Corrupt)
            }
            Change::ColdBroken(group, class) => {
                owned(group)?;
                self.cold.mark_broken(group, class);
                Err(Skipped::Corrupt)
            }
            Change::ColdGone(group, class) => {
                owned(group)?;
                self.cold.remove(group, class);
                Ok(())
            }
            Change::Alert(alert) => {
                self.alerts
                    .push(position.partition, position.offset, position.appended_at_ms, *alert);
                Ok(())
            }
            Change::Announced(announcement) => self.announced.announce(announcement).map_err(|_| Skipped::Full),
            Change::FurtherHash(further, id) => self.announced.add(&further, id).map_err(|_| Skipped::Full),
            Change::Withdrawn(content, class) => {
                self.announced.withdraw(content, class);
                Ok(())
            }
            Change::FurtherHashGone(content, class, id) => {
                self.announced.remove(content, class, id);
                Ok(())
            }
            Change::Party(party) => {
                self.names.set(party);
                Ok(())
            }
            Change::Nothing => Ok(()),
        }
    }
}
