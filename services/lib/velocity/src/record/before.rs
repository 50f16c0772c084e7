use tocsin_model::Timestamp;
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// Upper bounds of the spread that was counted before promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// No event at or after this time was counted before promotion.
    pub(crate) to: Timestamp,
    /// At most so many events from a time on, latest time first: the times fall and the bounds rise. Nested and not side by side, since
    /// each bound is rounded outward and a sum of them would count what lies at an edge twice.
    pub(crate) since: Vec<(Timestamp, u32)>,
    /// So much of each of these bounds is probably of other contents, which share its cells; empty where nothing is. Not part of the record's own bytes, as
    /// [`super::Repeats`]: only the trigger of its own group asks.
    pub(crate) others: Vec<u32>,
}

impl Before {
    /// Nothing was counted before.
    pub(crate) const NOTHING: Before = Before {
        to: Timestamp::MIN,
        since: Vec::new(),
        others: Vec::new(),
    };

    /// At most so many events of `from..to` were counted before promotion.
    pub(super) fn high(&self, from: Timestamp, to: Timestamp) -> u64 {
        if from >= self.to || to <= from {
            return 0;
        }
        self.nearest(from).map_or(0, |place| u64::from(self.since[place].1))
    }

    /// So many events from this time on were probably counted before promotion.
    pub(super) fn probable(&self, from: Timestamp) -> u64 {
        if from >= self.to {
            return 0;
        }
        self.nearest(from).map_or(0, |place| {
            let others = self.others.get(place).copied().unwrap_or(0);
            u64::from(self.since[place].1.saturating_sub(others))
        })
    }

    /// The place of the latest time at or before `from`, or of the earliest there is.
    fn nearest(&self, from: Timestamp) -> Option<usize> {
        let nearest = self.since.iter().position(|(since, _)| *since <= from);
        nearest.or(self.since.len().checked_sub(1))
    }

    pub(super) fn encode(&self, out: &mut Encoder) {
        out.signed(self.to.0);
        out.number(self.since.len() as u64);
        for (since, high) in &self.since {
            out.signed(since.0);
            out.number(u64::from(*high));
        }
    }

    pub(super) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let to = Timestamp(input.signed()?);
        let mut since = Vec::new();
        for _ in 0..input.length(2)? {
            since.push((Timestamp(input.signed()?), input.narrow("count before promotion")?));
        }
        Ok(Before {
            to,
            since,
            others: Vec::new(),
        })
    }
}
