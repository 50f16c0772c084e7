//! How the spread of a record divides over a day: by surface, by region, by language.

use tocsin_model::{Surface, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::bins::{Place, Quarters};

/// Spread by one feature of its events, in bins of fifteen minutes. As many values as the limit have counts of their own, and the others
/// one together: whoever sends every value there is fills no memory.
///
/// A value that comes when the limit is reached takes the place of the one that was silent longest, if that was for an hour; the counts
/// of that one go to the others'. So values that nobody repeats do not keep out for long what spreads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breakdown<K> {
    /// Ascending by value.
    entries: Vec<(K, Quarters)>,
    others: Quarters,
}

/// A region (ISO 3166-1 alpha-2) or a language (ISO 639-1). Two zero bytes say none.
pub type Code = [u8; 2];

/// No region, no language.
pub(crate) const UNSTATED: Code = [0; 2];

/// An hour.
const SILENT_QUARTERS: i64 = 4;

/// A feature of events by which spread is counted apart.
pub(crate) trait Feature: Copy + Ord {
    /// The most values with counts of their own.
    const VALUES_MAX: usize;

    fn encode(self, out: &mut Encoder);
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

impl Feature for Surface {
    const VALUES_MAX: usize = Surface::ALL.len();

    fn encode(self, out: &mut Encoder) {
        out.byte(self as u8);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let surface = Surface::ALL.get(usize::from(input.byte()?)).copied();
        surface.ok_or(DecodeError::Invalid("surface"))
    }
}

impl Feature for Code {
    const VALUES_MAX: usize = 32;

    fn encode(self, out: &mut Encoder) {
        out.raw(&self);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let code = [input.byte()?, input.byte()?];
        if code == UNSTATED {
            return Err(DecodeError::Invalid("code"));
        }
        Ok(code)
    }
}

impl<K> Default for Breakdown<K> {
    fn default() -> Self {
        Breakdown {
            entries: Vec::new(),
            others: Quarters::default(),
        }
    }
}

impl<K: Feature> Breakdown<K> {
    /// Counts one event. Costs a search among at most [`Feature::VALUES_MAX`] values, and a look at each of them when it is one more.
    #[inline]
    pub(crate) fn add(&mut self, value: K, place: &Place) {
        match self.entries.binary_search_by_key(&value, |entry| entry.0) {
            Ok(entry) => self.entries[entry].1.add(place),
            Err(_) if self.entries.len() >= K::VALUES_MAX && !self.make_room(place) => self.others.add(place),
            Err(_) => {
                let mut quarters = Quarters::default();
                quarters.add(place);
                let entry = self.entries.partition_point(|entry| entry.0 < value);
                self.entries.insert(entry, (value, quarters));
            }
        }
    }

    fn make_room(&mut self, place: &Place) -> bool {
        let by_silence = |entry: &usize| (self.entries[*entry].1.latest_bin(), self.entries[*entry].0);
        let Some(longest_silent) = (0..self.entries.len()).min_by_key(by_silence) else {
            return false;
        };
        if !self.entries[longest_silent].1.is_silent(SILENT_QUARTERS, place) {
            return false;
        }
        let (_, quarters) = self.entries.remove(longest_silent);
        self.others.absorb(&quarters);
        true
    }

    /// The counts of bins that start in `from..to`, ascending by value.
    pub(crate) fn sums(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (K, u64)> + '_ {
        let entries = self.entries.iter();
        entries.map(move |(value, quarters)| (*value, quarters.sum(from, to)))
    }

    /// The count of the values that have none of their own.
    pub(crate) fn others(&self, from: Timestamp, to: Timestamp) -> u64 {
        self.others.sum(from, to)
    }

    /// Reads what most of its counters stand in.
    #[inline]
    pub(crate) fn touch(&self) -> u8 {
        self.entries.first().map_or(0, |entry| entry.1.latest_bin() as u8)
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.entries.len() as u64);
        for (value, quarters) in &self.entries {
            value.encode(out);
            quarters.encode(out);
        }
        self.others.encode(out);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut breakdown = Breakdown::default();
        let length = input.length(2)?;
        if length > K::VALUES_MAX {
            return Err(DecodeError::Invalid("number of values"));
        }
        for _ in 0..length {
            let value = K::decode(input)?;
            if breakdown.entries.last().is_some_and(|entry: &(K, _)| entry.0 >= value) {
                return Err(DecodeError::Invalid("order of values"));
            }
            breakdown.entries.push((value, Quarters::decode(input)?));
        }
        breakdown.others = Quarters::decode(input)?;
        Ok(breakdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn code(number: usize) -> Code {
        [b'A' + (number / 26) as u8, b'A' + (number % 26) as u8]
    }

    fn add(breakdown: &mut Breakdown<Code>, value: Code, at: i64) {
        breakdown.add(value, &Place::of(Timestamp(at), Timestamp(at)));
    }

    fn day(breakdown: &Breakdown<Code>, now: i64) -> (Vec<(Code, u64)>, u64) {
        let (from, to) = (Timestamp(now - 24 * HOUR), Timestamp(now + HOUR));
        (breakdown.sums(from, to).collect(), breakdown.others(from, to))
    }

    #[test]
    fn every_event_is_counted_once_and_the_values_are_bounded() {
        let mut breakdown = Breakdown::<Code>::default();
        for number in 0..676 {
            add(&mut breakdown, code(number), HOUR);
            add(&mut breakdown, code(number), HOUR + 1);
        }
        let (own, others) = day(&breakdown, HOUR);
        assert_eq!(own.len(), Code::VALUES_MAX);
        assert!(own.iter().all(|(_, count)| *count == 2));
        assert_eq!(others, 2 * (676 - Code::VALUES_MAX as u64));
    }

    #[test]
    fn values_that_nobody_repeats_give_way_after_an_hour() {
        let mut breakdown = Breakdown::<Code>::default();
        for number in 0..Code::VALUES_MAX {
            add(&mut breakdown, code(number), 0);
        }
        add(&mut breakdown, *b"NZ", HOUR);
        assert_eq!(day(&breakdown, HOUR).1, 1, "they were seen within the hour");
        for copy in 0..10 {
            add(&mut breakdown, *b"NZ", 2 * HOUR + copy);
        }
        let (own, others) = day(&breakdown, 2 * HOUR);
        assert_eq!(own.last(), Some(&(*b"NZ", 10)));
        assert_eq!(
            (own.len(), others),
            (Code::VALUES_MAX, 2),
            "the first one's count went to the others'"
        );
        let mut out = Encoder::new();
        breakdown.encode(&mut out);
        let bytes = out.finish();
        assert_eq!(Breakdown::decode(&mut Decoder::new(&bytes)), Ok(breakdown));
        for length in 0..bytes.len() {
            assert!(Breakdown::<Code>::decode(&mut Decoder::new(&bytes[..length])).is_err());
        }
    }
}
