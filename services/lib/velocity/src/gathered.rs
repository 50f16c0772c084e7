//! The records a rule is asked about, without a list where there is but one.

use crate::record::HotRecord;

/// Records of one family in one scope. Nearly every family is one content in one class: its record needs no list on the heap.
#[derive(Debug)]
pub(crate) enum Gathered<'a> {
    /// At most one.
    One(Option<&'a HotRecord>),
    /// Any number.
    Many(Vec<&'a HotRecord>),
}

impl<'a> Gathered<'a> {
    pub(crate) fn as_slice(&self) -> &[&'a HotRecord] {
        match self {
            Gathered::One(record) => record.as_slice(),
            Gathered::Many(records) => records,
        }
    }
}
