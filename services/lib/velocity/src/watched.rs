use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;

use tocsin_model::{ContentId, Severity, Timestamp, Watch};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::class::IdHasher;

/// The contents of one group that are on the watch list, up to a stated number; and those that were taken off lately, so that an older
/// record that comes behind does not bring them back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WatchList {
    entries: HashMap<ContentId, Entry, BuildHasherDefault<IdHasher>>,
    /// Those taken off, by the number of the record that did it. Derived from `entries`.
    taken_off: BTreeSet<(u64, ContentId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    number: u64,
    listed: Option<Severity>,
    /// Since when it is listed, or not.
    since: Timestamp,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It changed whether, or how gravely, the content is listed.
    Changed,
    /// It is as it was: the record says nothing new, or only has a higher number.
    Unchanged,
    /// The list is full.
    Refused,
}

impl WatchList {
    /// Takes a record. At the limit the one that was taken off longest ago gives way.
    pub(crate) fn take(&mut self, watch: &Watch, entries_max: usize) -> Listed {
        let known = self.entries.get(&watch.content).copied();
        let was_listed = known.filter(|known| known.listed.is_some() && watch.listed.is_some());
        let new = Entry {
            number: watch.number,
            listed: watch.listed,
            since: was_listed.map_or(watch.at, |known| known.since),
        };
        if known.is_some_and(|known| known.number >= new.number) {
            return Listed::Unchanged;
        }
        if known.is_none() && self.entries.len() >= entries_max {
            let Some((_, oldest)) = self.taken_off.pop_first() else {
                return Listed::Refused;
            };
            self.entries.remove(&oldest);
        }
        if let Some(known) = known {
            self.taken_off.remove(&(known.number, watch.content));
        }
        self.insert(watch.content, new);
        match known.and_then(|known| known.listed) == new.listed {
            true => Listed::Unchanged,
            false => Listed::Changed,
        }
    }

    /// How grave a content is that is listed.
    #[inline]
    pub(crate) fn severity(&self, content: ContentId) -> Option<Severity> {
        // Most groups watch nothing, and this is asked of every event.
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get(&content)?.listed
    }

    /// How grave a content is that is listed, and since when.
    pub(crate) fn watched(&self, content: ContentId) -> Option<(Severity, Timestamp)> {
        let entry = self.entries.get(&content)?;
        Some((entry.listed?, entry.since))
    }

    /// How many contents are listed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.taken_off.len()
    }

    fn insert(&mut self, content: ContentId, entry: Entry) {
        if entry.listed.is_none() {
            self.taken_off.insert((entry.number, content));
        }
        self.entries.insert(content, entry);
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        let mut contents: Vec<ContentId> = self.entries.keys().copied().collect();
        contents.sort_unstable();
        out.number(contents.len() as u64);
        for content in contents {
            let entry = self.entries[&content];
            out.fixed128(content.0);
            out.number(entry.number);
            out.byte(encode_severity(entry.listed));
            out.signed(entry.since.0);
        }
    }

    /// The inverse of [`WatchList::encode`]. Before version 6 nobody kept since when: since `now`, then.
    pub(crate) fn decode(has_since: bool, now: Timestamp, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut list = WatchList::default();
        for _ in 0..input.length(18)? {
            let content = ContentId(input.fixed128()?);
            let number = input.number()?;
            let listed = decode_severity(input)?;
            let since = if has_since { Timestamp(input.signed()?) } else { now };
            let entry = Entry { number, listed, since };
            list.insert(content, entry);
        }
        Ok(list)
    }
}

/// 0 for a content that is not listed.
pub(crate) fn encode_severity(severity: Option<Severity>) -> u8 {
    severity.map_or(0, Severity::get)
}

/// The inverse of [`encode_severity`].
pub(crate) fn decode_severity(input: &mut Decoder<'_>) -> Result<Option<Severity>, DecodeError> {
    match input.byte()? {
        0 => Ok(None),
        number => Severity::new(number).map(Some).ok_or(DecodeError::Invalid("severity")),
    }
}

#[cfg(test)]
mod tests {
    use tocsin_model::{Algorithm, ContentHash, Timestamp};

    use super::*;

    fn watch(number: u64, content: u128, severity: u8) -> Watch {
        Watch {
            number,
            content: ContentId(content),
            hash: ContentHash::from_bytes(Algorithm::Md5, vec![1; 16], None).unwrap(),
            listed: Severity::new(severity),
            source: "example".parse().unwrap(),
            at: Timestamp(0),
        }
    }

    #[test]
    fn the_highest_number_counts_in_whatever_order_records_come() {
        let records = [watch(1, 7, 1), watch(2, 7, 3), watch(3, 7, 0)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut list = WatchList::default();
            for place in order {
                list.take(&records[place], 4);
                list.take(&records[place], 4);
            }
            assert_eq!(list.severity(ContentId(7)), None, "{order:?}");
            assert_eq!(list.len(), 0);
        }
    }

    #[test]
    fn listing_again_changes_nothing() {
        let mut list = WatchList::default();
        assert_eq!(list.take(&watch(1, 7, 2), 4), Listed::Changed);
        assert_eq!(list.take(&watch(1, 7, 2), 4), Listed::Unchanged);
        assert_eq!(
            list.take(&watch(5, 7, 2), 4),
            Listed::Unchanged,
            "a higher number, the same severity"
        );
        assert_eq!(list.take(&watch(6, 7, 4), 4), Listed::Changed);
        assert_eq!(list.severity(ContentId(7)), Severity::new(4));
        assert_eq!(list.severity(ContentId(8)), None);
    }

    #[test]
    fn a_full_list_refuses_and_forgets_first_what_was_taken_off() {
        let mut list = WatchList::default();
        for content in 0..4 {
            assert_eq!(list.take(&watch(content as u64 + 1, content, 1), 4), Listed::Changed);
        }
        assert_eq!(list.take(&watch(9, 9, 1), 4), Listed::Refused);
        assert_eq!(list.take(&watch(10, 2, 0), 4), Listed::Changed);
        assert_eq!(list.take(&watch(11, 9, 1), 4), Listed::Changed);
        assert_eq!(list.len(), 4);
        let mut out = Encoder::new();
        list.encode(&mut out);
        let bytes = out.finish();
        assert_eq!(
            WatchList::decode(true, Timestamp(0), &mut Decoder::new(&bytes)).unwrap(),
            list
        );
    }
}
