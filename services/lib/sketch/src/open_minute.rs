//! The minute that events fall into now.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::pane::PaneKey;

/// The keys of one minute's events that are not in its pane yet: to add one costs a write beside the last. Put into the pane in ascending
/// order when there are enough of them or the minute is over, so that which order they came in changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenMinute {
    number: i64,
    keys: Vec<u32>,
}

/// How many keys wait at most.
const KEYS_MAX: usize = 128;

/// What is to be done with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Nothing.
    Kept,
    /// Its minute is over: it belongs into its pane.
    Past,
    /// It was kept, but there is no more room: [`OpenMinute::take`] is due.
    Full,
}

impl OpenMinute {
    /// Keeps an event of the open minute. The caller has taken what was kept of an earlier one.
    #[inline]
    pub fn add(&mut self, minute: i64, key: PaneKey) -> Noted {
        if self.keys.is_empty() {
            self.number = minute;
            if self.keys.capacity() == 0 {
                self.keys.reserve_exact(KEYS_MAX);
            }
        } else if minute < self.number {
            return Noted::Past;
        }
        debug_assert_eq!(minute, self.number, "an earlier minute is closed");
        self.keys.push(key.0);
        if self.keys.len() == KEYS_MAX {
            Noted::Full
        } else {
            Noted::Kept
        }
    }

    /// Whether keys of a minute before this one wait.
    #[inline]
    pub fn is_before(&self, minute: i64) -> bool {
        !self.keys.is_empty() && self.number < minute
    }

    /// The number of the minute.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// How often the content is among them, if this is the minute.
    pub fn count(&self, minute: i64, key: PaneKey) -> u64 {
        if minute != self.number {
            return 0;
        }
        self.keys.iter().filter(|kept| **kept == key.0).count() as u64
    }

    /// Hands over the keys, ascending, and forgets them.
    pub fn take(&mut self, sink: impl FnOnce(&[u32])) {
        self.keys.sort_unstable();
        sink(&self.keys);
        self.keys.clear();
    }

    pub fn memory_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<u32>()
    }

    /// How many keys wait; the minute, as its distance from `from`; the keys, each as the distance to the one before.
    pub fn encode(&self, from: i64, out: &mut Encoder) {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        out.number(keys.len() as u64);
        if keys.is_empty() {
            return;
        }
        out.number((self.number - from) as u64);
        let mut before = 0;
        for key in keys {
            out.number(u64::from(key - before));
            before = key;
        }
    }

    /// The inverse of [`OpenMinute::encode`] for a minute between `from` and `last`.
    pub fn decode(from: i64, last: i64, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let len = input.length(1)?;
        if len == 0 {
            return Ok(OpenMinute::default());
        }
        if len >= KEYS_MAX {
            return Err(DecodeError::Invalid("number of keys of the open minute"));
        }
        let number = from
            .checked_add(input.narrow("open minute")?)
            .filter(|number| *number <= last)
            .ok_or(DecodeError::Invalid("open minute"))?;
        let mut keys = Vec::with_capacity(KEYS_MAX);
        let mut before = 0u32;
        for _ in 0..len {
            before = before
                .checked_add(input.narrow("key of the open minute")?)
                .ok_or(DecodeError::Invalid("key of the open minute"))?;
            keys.push(before);
        }
        Ok(OpenMinute { number, keys })
    }
}
