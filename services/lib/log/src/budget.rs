use crate::RecordRef;

/// The bytes of keys and values that one poll hands over at most, and one record more: a poll that brings fewer records than it was asked
/// for may have met this. What a caller makes of one poll's records is bounded by it, whatever their number.
pub const POLL_BYTES_MAX: usize = 4 << 20;

/// What a poll may still hand over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    /// The budget of one poll.
    pub(crate) fn of_poll(records_max: usize) -> Self {
        Budget {
            records: records_max,
            bytes: POLL_BYTES_MAX,
        }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    /// Takes note of a record that is handed over.
    pub(crate) fn spend(&mut self, record: &RecordRef<'_>) {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
