//! Panes of one length, one after the other.

use std::collections::VecDeque;

use tocsin_model::{Milliseconds, Timestamp};

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::pane::Pane;

/// Panes by their time. A pane exists only where something was counted.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    length: Milliseconds,
    /// The number of the first of `panes` (its start divided by the length).
    first: i64,
    panes: VecDeque<Option<Box<Pane>>>,
}

impl Lane {
    /// No pane yet.
    pub fn new(length: Milliseconds) -> Self {
        Lane {
            length,
            first: 0,
            panes: VecDeque::new(),
        }
    }

    /// The pane that holds the time.
    #[inline]
    pub fn pane(&self, at: Timestamp) -> Option<&Pane> {
        let index = usize::try_from(self.number(at) - self.first).ok()?;
        self.panes.get(index)?.as_deref()
    }

    /// The pane that holds the time, made if there is none. The lane begins at `from`, which is not after `at` and never goes back; the
    /// caller bounds the distance between the two, and with it the memory.
    pub fn pane_mut(&mut self, at: Timestamp, from: Timestamp) -> &mut Pane {
        if self.panes.is_empty() {
            self.first = self.number(from);
        }
        let index = usize::try_from(self.number(at) - self.first).expect("the lane begins before the time");
        if index >= self.panes.len() {
            self.panes.resize_with(index + 1, || None);
        }
        self.panes[index].get_or_insert_with(|| Box::new(Pane::new()))
    }

    /// Removes the panes that begin before the time and gives them with their starts, ascending.
    pub fn take_before(&mut self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Pane)> {
        let first = self.first;
        let length = self.length;
        let gone = usize::try_from(self.number(at).saturating_sub(first))
            .unwrap_or(0)
            .min(self.panes.len());
        self.first += gone as i64;
        self.panes
            .drain(..gone)
            .enumerate()
            .filter_map(move |(index, pane)| Some((Timestamp((first + index as i64) * length.0), *pane?)))
    }

    pub fn memory_bytes(&self) -> usize {
        let slots = self.panes.capacity() * size_of::<Option<Box<Pane>>>();
        let panes = self.panes.iter().flatten();
        slots + panes.map(|pane| size_of::<Pane>() + pane.memory_bytes()).sum::<usize>()
    }

    /// The number of panes, then each one's distance from the one before (the first from `from`), and the pane.
    pub fn encode(&self, from: Timestamp, out: &mut Encoder) {
        out.number(self.panes.iter().flatten().count() as u64);
        let mut next = self.number(from);
        for (number, pane) in (self.first..).zip(&self.panes) {
            if let Some(pane) = pane {
                out.number((number - next) as u64);
                pane.encode(out);
                next = number + 1;
            }
        }
    }

    /// The inverse of [`Lane::encode`] for a lane whose panes lie between `from` and the one that holds `last`.
    pub fn decode(
        length: Milliseconds,
        from: Timestamp,
        last: Timestamp,
        width: usize,
        input: &mut Decoder<'_>,
    ) -> Result<Self, DecodeError> {
        let mut lane = Lane::new(length);
        let count = input.length(3)?;
        let mut next = lane.number(from);
        let last = lane.number(last);
        for _ in 0..count {
            let number = next
                .checked_add(input.narrow("pane")?)
                .filter(|number| *number <= last)
                .ok_or(DecodeError::Invalid("pane"))?;
            let at = Timestamp(number * length.0);
            *lane.pane_mut(at, from) = Pane::decode(width, input)?;
            next = number + 1;
        }
        Ok(lane)
    }

    fn number(&self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.length.0)
    }
}
