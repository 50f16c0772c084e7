use std::collections::BTreeMap;

/// What was read since this was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Events accepted.
    pub accepted: u64,
    /// Events and records rejected, by code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Actions of Osprey that are no events.
    pub actions_ignored: u64,
    /// Fields that stood not where the mapping of actions says, and those of another form, in events all the same.
    pub fields_absent: BTreeMap<&'static str, u64>,
    /// See `fields_absent`.
    pub fields_malformed: BTreeMap<&'static str, u64>,
    /// Links found.
    pub links: u64,
    /// PDQ hashes that are not matched by distance: of low quality, or of no picture.
    pub unmatchable: u64,
    /// Announcements and seen contents that the finder of links forgot before their time.
    pub forgotten_early: u64,
    /// Frames of videos that were not looked up: their party had its part of the minute.
    pub frames_refused: u64,
    /// Videos that joined no family since one party alone told the frames they share with it.
    pub frames_uncorroborated: u64,
    /// Events whose time lay ahead, and events too old for any window.
    pub ahead: u64,
    /// See `ahead`.
    pub late: u64,
}
