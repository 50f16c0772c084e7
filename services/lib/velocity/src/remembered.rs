//! A few figures of many contents that have no record, in a stated room.

use tocsin_model::{ContentId, Milliseconds, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// Counts of contents, of as many as there is room for. A content has one of [`SET`] places; when they are taken, the least of them is forgotten: the one with
/// the lowest count, then the one that was seen longest ago. What was not seen for a while counts as nothing there. So a content that came
/// twice is not pushed out by any number that come once, unless as many others that came twice share its places.
///
/// Which of them is forgotten follows from what is remembered, never from where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// No more than `sets_max`, and none before the first content.
    sets: Vec<Vec<Entry>>,
    sets_max: usize,
    fresh_for: Milliseconds,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    content: ContentId,
    count: u32,
    /// When it was counted first.
    since: Timestamp,
    last: Timestamp,
}

/// The places among which a content has its own.
const SET: usize = 8;

impl Remembered {
    /// Nothing is remembered. There is room for this many contents, rounded up to a multiple of [`SET`]; one that was not seen for `fresh_for` is
    /// the first to be forgotten.
    pub(crate) fn new(contents_max: usize, fresh_for: Milliseconds) -> Self {
        Remembered {
            sets: Vec::new(),
            sets_max: contents_max.div_ceil(SET).max(1),
            fresh_for,
        }
    }

    /// The most bytes of one content.
    pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

    /// Counts so many more of a content. Its count since it is remembered.
    pub(crate) fn add(&mut self, content: ContentId, count: u32, now: Timestamp) -> u32 {
        self.count(content, count, Milliseconds(i64::MAX), now)
    }

    /// Counts one more of a content. Its count since the first one of at most this time ago: when that is over, the count begins anew.
    pub(crate) fn add_within(&mut self, content: ContentId, length: Milliseconds, now: Timestamp) -> u32 {
        self.count(content, 1, length, now)
    }

    fn count(&mut self, content: ContentId, count: u32, length: Milliseconds, now: Timestamp) -> u32 {
        if self.sets.is_empty() {
            self.sets.resize_with(self.sets_max, Vec::new);
        }
        let place = self.set_of(content);
        let fresh_from = Timestamp(now.0.saturating_sub(self.fresh_for.0));
        let set = &mut self.sets[place];
        let known = set.iter().position(|entry| entry.content == content);
        let place = known.unwrap_or_else(|| {
            let entry = Entry {
                content,
                count: 0,
                since: now,
                last: now,
            };
            if set.len() < SET {
                set.push(entry);
                return set.len() - 1;
            }
            let worth = |entry: &Entry| if entry.last < fresh_from { 0 } else { entry.count };
            let least = (0..SET).min_by_key(|place| (worth(&set[*place]), set[*place].last, set[*place].content));
            let least = least.unwrap_or(0);
            set[least] = entry;
            least
        });
        let entry = &mut set[place];
        if now.0.saturating_sub(entry.since.0) >= length.0 {
            (entry.count, entry.since) = (0, now);
        }
        entry.count = entry.count.saturating_add(count);
        entry.last = entry.last.max(now);
        entry.count
    }

    /// What is counted of a content within this time, as [`Remembered::add_within`] says it.
    pub(crate) fn within(&self, content: ContentId, length: Milliseconds, now: Timestamp) -> u32 {
        let set = self.sets.get(self.set_of(content));
        let entry = set.and_then(|set| set.iter().find(|entry| entry.content == content));
        let counted = entry.filter(|entry| now.0.saturating_sub(entry.since.0) < length.0);
        counted.map_or(0, |entry| entry.count)
    }

    /// Forgets a content. Its count.
    pub(crate) fn take(&mut self, content: ContentId) -> u32 {
        let place = self.set_of(content);
        let Some(set) = self.sets.get_mut(place) else {
            return 0;
        };
        match set.iter().position(|entry| entry.content == content) {
            Some(place) => set.swap_remove(place).count,
            None => 0,
        }
    }

    fn set_of(&self, content: ContentId) -> usize {
        (content.0 as u64 % self.sets_max as u64) as usize
    }

    /// The contents ascending, each with its count and times.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        let mut entries: Vec<&Entry> = self.sets.iter().flatten().collect();
        entries.sort_unstable_by_key(|entry| entry.content);
        out.number(entries.len() as u64);
        for entry in entries {
            out.fixed128(entry.content.0);
            out.number(u64::from(entry.count));
            out.signed(entry.since.0);
            out.signed(entry.last.0);
        }
    }

    /// The inverse of [`Remembered::encode`], into one in which nothing is remembered. Where there is less room than there was, the least are forgotten.
    pub(crate) fn decode(&mut self, input: &mut Decoder<'_>) -> Result<(), DecodeError> {
        let mut before = None;
        for _ in 0..input.length(19)? {
            let content = ContentId(input.fixed128()?);
            if before.is_some_and(|before| before >= content) {
                return Err(DecodeError::Invalid("order of contents"));
            }
            before = Some(content);
            let entry = Entry {
                content,
                count: input.narrow("count of a content")?,
                since: Timestamp(input.signed()?),
                last: Timestamp(input.signed()?),
            };
            self.put(entry);
        }
        Ok(())
    }

    fn put(&mut self, entry: Entry) {
        if self.sets.is_empty() {
            self.sets.resize_with(self.sets_max, Vec::new);
        }
        let place = self.set_of(entry.content);
        let set = &mut self.sets[place];
        set.push(entry);
        if set.len() > SET {
            let least = (0..set.len()).min_by_key(|place| (set[*place].count, set[*place].last, set[*place].content));
            set.swap_remove(least.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what came twice stays, whatever comes once, and bytes keep everything.
    use super::*;
    use proptest::prelude::*;

    const HOUR: Milliseconds = Milliseconds::from_hours(1);

    fn at(ms: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + ms)
    }

    fn bytes(remembered: &Remembered) -> Vec<u8> {
        let mut out = Encoder::new();
        remembered.encode(&mut out);
        out.finish()
    }

    #[test]
    fn what_came_twice_is_not_pushed_out_by_what_comes_once() {
        let mut remembered = Remembered::new(64, HOUR);
        for place in 0..16 {
            remembered.add(ContentId(place), 1, at(0));
            remembered.add(ContentId(place), 1, at(1));
        }
        for once in 0..100_000u128 {
            remembered.add(ContentId(1_000 + once), 1, at(2 + once as i64));
        }
        assert!((0..16).all(|place| remembered.take(ContentId(place)) == 2));
        assert_eq!(remembered.sets.iter().map(Vec::len).sum::<usize>(), 64 - 16);
    }

    #[test]
    fn what_was_not_seen_for_an_hour_goes_first_and_counts_anew() {
        let mut remembered = Remembered::new(8, HOUR);
        assert_eq!(remembered.add_within(ContentId(0), HOUR, at(0)), 1);
        assert_eq!(remembered.add_within(ContentId(0), HOUR, at(HOUR.0 - 1)), 2);
        assert_eq!(remembered.within(ContentId(0), HOUR, at(HOUR.0 - 1)), 2);
        assert_eq!(remembered.within(ContentId(0), HOUR, at(HOUR.0)), 0);
        assert_eq!(remembered.add_within(ContentId(0), HOUR, at(HOUR.0)), 1);
        for content in 1..8 {
            remembered.add_within(ContentId(content), HOUR, at(2 * HOUR.0));
            remembered.add_within(ContentId(content), HOUR, at(2 * HOUR.0));
        }
        remembered.add(ContentId(9), 1, at(2 * HOUR.0 + 1));
        assert_eq!(remembered.take(ContentId(0)), 0, "it was seen longest ago");
        assert_eq!(remembered.take(ContentId(1)), 2);
    }

    proptest! {
        #[test]
        fn a_restored_one_forgets_as_the_original(acts in prop::collection::vec((0..40u128, 0..4_000_000i64), 1..200), cut in 0usize..200) {
            let mut acts = acts;
            acts.sort_by_key(|act| act.1);
            let new = || Remembered::new(16, HOUR);
            let (mut one, mut other) = (new(), new());
            for (place, (content, ms)) in acts.iter().enumerate() {
                if place == cut {
                    let bytes = bytes(&other);
                    other = new();
                    let mut input = Decoder::new(&bytes);
                    prop_assert!(other.decode(&mut input).is_ok() && input.finish().is_ok());
                }
                let [a, b] = [&mut one, &mut other].map(|each| each.add_within(ContentId(*content), HOUR, at(*ms)));
                prop_assert_eq!(a, b);
            }
            prop_assert_eq!(bytes(&one), bytes(&other));
        }
    }
}
