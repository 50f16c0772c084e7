//! What a group is told and what it says.

use tocsin_model::{
    Calibration, Class, ContentId, Decision, Delta, DeploymentKey, FamilyAnnouncement, Link, Milliseconds, Sighting,
    Timestamp, Watch, Weighing,
};
use tocsin_sketch::ColdConfig;

use crate::membership::REMOTE_MEMBERS_MAX;
use crate::trigger::TriggerParameters;

/// What a group is told when it is made. The same for all groups of a deployment.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The permanent key: alert ids derive from it.
    pub key: DeploymentKey,
    /// Cold counts of every class.
    pub cold: ColdConfig,
    /// The most hot records per class, of this group. At least 1.
    pub hot_max: usize,
    /// A content becomes hot when its spread in the last hour may have reached this.
    pub promote_at: u32,
    /// How long an event id is remembered.
    pub retry_horizon: Milliseconds,
    /// The most event ids remembered.
    pub retry_tokens_max: usize,
    /// Parameters to compare the live ones with. They change no output and no state.
    pub shadow: Option<TriggerParameters>,
}

/// What a group is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// An event.
    Sighting(&'a Sighting<'a>),
    /// A content of this group joins a family.
    Link(&'a Link),
    /// Figures of a member of a family whose home this is.
    Delta(&'a Delta),
    /// It is at least this late.
    Tick(Timestamp),
    /// People decided about a family whose home this is.
    Decision(&'a Decision),
    /// From when on which score interrupts a person, and what is ordinary on each platform. Every group is told.
    Calibration(&'a Calibration),
    /// A content of this group was put on the watch list, or taken off.
    Watch(&'a Watch),
    /// How often evidence was right and wrong for a team. Every group is told.
    Weighing(&'a Weighing),
}

/// What a group has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An alarm.
    Alert(Box<tocsin_model::Alert>),
    /// A content became hot.
    Announcement(FamilyAnnouncement),
    /// A content made room for another and is hot no more, or it was taken off the watch list and is not hot: it was announced, and that holds
    /// no longer.
    Withdrawal(HotKey),
    /// Figures for the home of a family in another group.
    Delta(Delta),
    /// A link for another content: its family joined another one.
    Link(Link),
    /// A decision for the family that the one decided about joined: its home is another group.
    Decision(Decision),
}

/// A hot record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HotKey {
    /// The content.
    pub content: ContentId,
    /// The class.
    pub class: Class,
}

/// What happened to the inputs, for metrics. Not part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sightings that counted.
    pub counted: u64,
    /// Sightings that lie at or before their source's mark.
    pub resent: u64,
    /// Events whose id was seen within the horizon.
    pub retried: u64,
    /// Events beyond the allowed lateness, in no window.
    pub late: u64,
    /// Events of a kind this version does not know.
    pub unknown_kind: u64,
    /// Contents that became hot.
    pub promoted: u64,
    /// Of these, live streams that became hot as such.
    pub live: u64,
    /// Hot contents that made room.
    pub evicted: u64,
    /// Hot contents that were put into quarantine as floods.
    pub quarantined: u64,
    /// Contents that would have become hot, had there been room.
    pub hot_refused: u64,
    /// Links beyond the limit.
    pub links_refused: u64,
    /// Links that wait, since one party alone says so and others tell of the content's family.
    pub links_uncorroborated: u64,
    /// Deltas that are broken, misdirected, or beyond the limit of members or families.
    pub deltas_refused: u64,
    /// Alarms and decisions for which the limit of families left no room: every one of them has an open episode.
    pub states_refused: u64,
    /// Changes of the watch list beyond its limit, or of a content of another group.
    pub watches_refused: u64,
    /// Calibrations with figures beyond their limits.
    pub calibrations_refused: u64,
    /// Weighings that say of nobody, or of some kind of evidence twice.
    pub weighings_refused: u64,
}

impl Counters {
    /// Adds another count.
    pub fn add(&mut self, other: Counters) {
        self.counted += other.counted;
        self.resent += other.resent;
        self.retried += other.retried;
        self.late += other.late;
        self.unknown_kind += other.unknown_kind;
        self.promoted += other.promoted;
        self.live += other.live;
        self.evicted += other.evicted;
        self.quarantined += other.quarantined;
        self.hot_refused += other.hot_refused;
        self.links_refused += other.links_refused;
        self.links_uncorroborated += other.links_uncorroborated;
        self.deltas_refused += other.deltas_refused;
        self.states_refused += other.states_refused;
        self.watches_refused += other.watches_refused;
        self.calibrations_refused += other.calibrations_refused;
        self.weighings_refused += other.weighings_refused;
    }
}

/// Links and family states per hot record.
const LINKS_PER_HOT: usize = 16;
/// Members in other groups per hot record.
const REMOTE_PER_HOT: usize = 4;
/// But never fewer than this.
const LINKS_MIN: usize = 1_024;
/// Contents whose removals are remembered, and candidates, each per hot record.
const REMEMBERED_PER_HOT: usize = 8;
/// But no more than this.
const REMEMBERED_MAX: usize = 1 << 16;
/// The most bytes of what is remembered without a record, per hot record that there may be and class.
pub const REMEMBERED_BYTES_PER_HOT: usize = 2 * REMEMBERED_PER_HOT * crate::remembered::Remembered::ENTRY_BYTES;
/// The most contents on the watch list of one group: 16 million in a deployment, since a list falls evenly on 256 groups. A full group's list
/// takes 4.3 MB of memory, and 1.4 MB of each of its checkpoints.
pub const WATCHED_MAX: usize = 65_536;

impl GroupConfig {
    /// The most members of families here that live in other groups, per class. As many as one family may have: each is several KiB.
    pub(crate) fn remote_members_max(&self) -> usize {
        (self.hot_max * REMOTE_PER_HOT).max(REMOTE_MEMBERS_MAX)
    }

    /// The most contents that are not hot of which removals are remembered, and the most that are counted as candidates, each per class.
    pub(crate) fn remembered_max(&self) -> usize {
        (self.hot_max * REMEMBERED_PER_HOT).min(REMEMBERED_MAX)
    }

    /// The most links and the most family states, each per class.
    pub(crate) fn links_max(&self) -> usize {
        (self.hot_max * LINKS_PER_HOT).max(LINKS_MIN)
    }
}
