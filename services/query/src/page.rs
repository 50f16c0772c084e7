//! Cursors of ranked lists: behind which entry a page begins.
//!
//! A ranking changes while it is read. A cursor names the last entry's place by what it is ranked by, so each page goes on behind it, whatever
//! became of that entry: in a ranking that stands still every entry comes once, in one that moves those that pass the place come twice or
//! not at all. A cursor is sealed for its reader's scope and for what was asked: of another list, window or family it does not open.

use tocsin_model::{DeploymentKey, Scope};

use crate::sealed::{SealKind, class_bytes};

/// A place in a list that is ranked by two counts, the largest first, and then by id, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// What ranks first.
    pub counts: (u64, u64),
    /// The family's or content's id.
    pub id: u128,
}

/// The text is no cursor that this deployment gave to a reader of this scope for this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that was given to this reader for this list")]
pub struct PageCursorError;

const KIND: SealKind = SealKind {
    seal: "page cursor seal",
    stream: "page cursor stream",
    bytes_max: 32,
};

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of the list.
impl Ord for Rank {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.counts.cmp(&self.counts).then(self.id.cmp(&other.id))
    }
}

impl Rank {
    /// The cursor behind this place, for a reader of `scope` who asked for `list`.
    pub fn seal(self, key: &DeploymentKey, scope: Scope, list: &str) -> String {
        let mut bytes = Vec::with_capacity(KIND.bytes_max);
        bytes.extend(self.counts.0.to_le_bytes());
        bytes.extend(self.counts.1.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        KIND.seal(key, &[&class_bytes(scope), list.as_bytes()], bytes)
    }

    /// Opens what [`Rank::seal`] made.
    ///
    /// # Errors
    /// The text was not made by this deployment for this scope and list.
    pub fn open(key: &DeploymentKey, scope: Scope, list: &str, text: &str) -> Result<Rank, PageCursorError> {
        let bytes = KIND
            .open(key, &[&class_bytes(scope), list.as_bytes()], text)
            .ok_or(PageCursorError)?;
        let (counts, id) = bytes.split_at_checked(16).ok_or(PageCursorError)?;
        let (first, second) = counts.split_at(8);
        let count = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| PageCursorError);
        Ok(Rank {
            counts: (count(first)?, count(second)?),
            id: id.try_into().map(u128::from_le_bytes).map_err(|_| PageCursorError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a cursor opens for its scope and its list alone, and ranks as the list does.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cursor_opens_for_its_scope_and_list_alone() {
        let key = DeploymentKey::from_bytes([7; 32]);
        let rank = Rank {
            counts: (90, u64::MAX),
            id: 1 << 100,
        };
        let text = rank.seal(&key, Scope::Coordinators, "trending 1h");
        assert_eq!(Rank::open(&key, Scope::Coordinators, "trending 1h", &text), Ok(rank));
        assert!(Rank::open(&key, Scope::All, "trending 1h", &text).is_err());
        assert!(Rank::open(&key, Scope::Coordinators, "trending 5m", &text).is_err());
        let other = DeploymentKey::from_bytes([8; 32]);
        assert!(Rank::open(&other, Scope::Coordinators, "trending 1h", &text).is_err());
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let opened = Rank::open(&key, Scope::Coordinators, "trending 1h", &changed);
            // The last digit of base64 has bits that say nothing.
            assert!(opened.is_err(), "changed at {index}");
        }
        for foreign in ["", "0", "not a cursor", &"A".repeat(100_000)] {
            assert!(Rank::open(&key, Scope::Coordinators, "trending 1h", foreign).is_err());
        }
    }

    #[test]
    fn the_largest_counts_rank_first_and_then_the_lowest_id() {
        let rank = |first, second, id| Rank {
            counts: (first, second),
            id,
        };
        let mut ranks = [rank(1, 1, 1), rank(2, 0, 9), rank(2, 5, 8), rank(2, 5, 7)];
        ranks.sort();
        assert_eq!(ranks, [rank(2, 5, 7), rank(2, 5, 8), rank(2, 0, 9), rank(1, 1, 1)]);
    }
}
