//! Cursors of the alert feed: where a reader stands in every partition of the alerts topic.
//!
//! Positions are offsets, and the gaps between a reader's offsets would tell how many alerts others got. A cursor is therefore sealed for its
//! reader's scope.

use tocsin_model::{DeploymentKey, KEY_GROUPS, Scope};

use crate::sealed::{SealKind, class_bytes};

const POSITION_BYTES: usize = 8;

const KIND: SealKind = SealKind {
    seal: "alert cursor seal",
    stream: "alert cursor stream",
    bytes_max: POSITION_BYTES * Cursor::PARTITIONS_MAX,
};

/// The next offset to read of each partition of the alerts topic; a partition beyond the end stands at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    next: Vec<u64>,
}

/// The text is no cursor that this deployment gave to a reader of this scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that was given to this reader")]
pub struct CursorError;

impl Cursor {
    /// The most partitions a cursor has room for.
    pub const PARTITIONS_MAX: usize = KEY_GROUPS as usize;

    /// The next offset to read of a partition.
    pub fn next(&self, partition: u32) -> u64 {
        self.next.get(partition as usize).copied().unwrap_or(0)
    }

    /// Moves past a record; never back.
    pub fn pass(&mut self, partition: u32, offset: u64) {
        let index = partition as usize;
        if index >= Self::PARTITIONS_MAX {
            return;
        }
        if self.next.len() <= index {
            self.next.resize(index + 1, 0);
        }
        self.next[index] = self.next[index].max(offset.saturating_add(1));
    }

    /// Moves past everything that `other` has passed.
    pub fn pass_all(&mut self, other: &Cursor) {
        for (partition, next) in other.next.iter().enumerate() {
            if let Some(last) = next.checked_sub(1) {
                self.pass(partition as u32, last);
            }
        }
    }

    /// The cursor as text for a reader of `scope`: base64url. Its length tells the number of partitions and nothing else.
    pub fn seal(&self, key: &DeploymentKey, scope: Scope, partitions: u32) -> String {
        let count = (partitions as usize).clamp(self.next.len(), Self::PARTITIONS_MAX);
        let positions: Vec<u8> = (0..count as u32).flat_map(|p| self.next(p).to_le_bytes()).collect();
        KIND.seal(key, &[&class_bytes(scope)], positions)
    }

    /// Opens what [`Cursor::seal`] made.
    ///
    /// # Errors
    /// The text was not made by this deployment for this scope.
    pub fn open(key: &DeploymentKey, scope: Scope, text: &str) -> Result<Cursor, CursorError> {
        let positions = KIND.open(key, &[&class_bytes(scope)], text).ok_or(CursorError)?;
        if positions.len() % POSITION_BYTES != 0 {
            return Err(CursorError);
        }
        let next = positions
            .chunks_exact(POSITION_BYTES)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("chunks have eight bytes")))
            .collect();
        Ok(Cursor { next })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tocsin_model::PartyId;

    fn key() -> DeploymentKey {
        DeploymentKey::from_bytes([7; 32])
    }

    #[test]
    fn a_sealed_cursor_opens_to_the_same_positions_for_its_scope_alone() {
        let mut cursor = Cursor::default();
        cursor.pass(0, 41);
        cursor.pass(2, 9);
        cursor.pass(2, 3);
        let text = cursor.seal(&key(), Scope::Coordinators, 4);
        let opened = Cursor::open(&key(), Scope::Coordinators, &text).unwrap();
        assert_eq!(
            (opened.next(0), opened.next(1), opened.next(2), opened.next(3)),
            (42, 0, 10, 0)
        );
        assert_eq!(Cursor::open(&key(), Scope::Party(PartyId(0)), &text), Err(CursorError));
        assert_eq!(
            Cursor::open(&DeploymentKey::from_bytes([8; 32]), Scope::Coordinators, &text),
            Err(CursorError)
        );
    }

    #[test]
    fn what_readers_hold_is_opened_for_ever() {
        let mut cursor = Cursor::default();
        cursor.pass(0, 41);
        cursor.pass(2, 9);
        assert_eq!(
            cursor.seal(&key(), Scope::Coordinators, 4),
            "aqCSZeyPNDYqFVfqsZwQM1lPKrcJtIK3r-kD5Su8QDSIxyTLAHHtWNkTohoMHjZI"
        );
    }

    #[test]
    fn a_changed_or_foreign_text_is_refused() {
        let mut cursor = Cursor::default();
        cursor.pass(1, 5);
        let text = cursor.seal(&key(), Scope::All, 2);
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                Cursor::open(&key(), Scope::All, &changed).is_err(),
                "changed at {index}"
            );
        }
        for foreign in ["", "0", "not a cursor", &"A".repeat(100_000)] {
            assert!(Cursor::open(&key(), Scope::All, foreign).is_err());
        }
    }

    #[test]
    fn positions_do_not_show_in_the_text() {
        let mut low = Cursor::default();
        low.pass(0, 1);
        let mut high = Cursor::default();
        high.pass(0, u64::MAX - 1);
        let (low, high) = (low.seal(&key(), Scope::All, 16), high.seal(&key(), Scope::All, 16));
        assert_eq!(low.len(), high.len());
        assert_ne!(low, high);
    }
}
