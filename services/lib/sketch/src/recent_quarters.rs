//! The quarters of an hour that the last hour touches, side by side: every event asks how often its content spread in all of them.

use std::collections::BTreeMap;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::count_min::CountMin;
use crate::pane::{Pane, PaneCount, PaneKey};

/// Counts of the contents of up to eight quarters that follow each other: one row a content, one column a quarter. To ask for all quarters
/// of a content, or to count one event of it, costs one line of memory.
///
/// There are at most four rows per cell of a count-min row; the events of contents beyond them go into one count-min sketch for each quarter.
#[derive(Clone, Debug)]
pub(crate) struct RecentQuarters {
    width: usize,
    lines: Box<[Line]>,
    /// Rows in use.
    len: usize,
    /// Counts of 255 and more, by key and quarter.
    large: BTreeMap<(u32, i64), u64>,
    /// The events of contents without a row, by quarter.
    beyond: BTreeMap<i64, Beyond>,
}

#[derive(Clone, Debug)]
struct Beyond {
    total: u64,
    sketch: CountMin,
}

/// How often a content spread in all of the quarters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecentCount {
    /// As its row says: its own, unless the key is another's too.
    pub listed: u64,
    /// At most so often besides: the least of its cells in the sketches.
    pub beyond: u64,
}

/// Where an event was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In the content's own row.
    Listed,
    /// Among those of other contents.
    Beyond,
}

/// Five rows. Those of a line that is full continue in the next one.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line {
    keys: [u32; ROWS],
    counts: [[u8; COLUMNS]; ROWS],
    len: u8,
}

/// Rows in a line.
const ROWS: usize = 5;
/// Quarters kept at a time, at most.
pub(crate) const COLUMNS: usize = 8;
/// The value that says: the count stands in `large`.
const LARGE: u8 = u8::MAX;
/// Rows in use per line before there are more lines.
const FILL: usize = 4;
/// Up to so many lines a table doubles; beyond, it grows by a quarter.
const LINES_DOUBLED_MAX: usize = 32;

impl RecentQuarters {
    /// Nothing counted. `width` is that of the sketches.
    pub fn new(width: usize) -> Self {
        RecentQuarters {
            width,
            lines: Box::default(),
            len: 0,
            large: BTreeMap::new(),
            beyond: BTreeMap::new(),
        }
    }

    /// Counts one event in a quarter.
    #[inline]
    pub fn add(&mut self, key: PaneKey, quarter: i64) -> Kept {
        match self.find(key.0) {
            Some((line, row)) => {
                self.add_to(line, row, quarter);
                Kept::Listed
            }
            None => self.add_row(key, quarter),
        }
    }

    /// How often the content spread in all of these quarters, at most.
    #[inline]
    pub fn sum(&self, key: PaneKey) -> RecentCount {
        let mut sum = 0u64;
        if let Some((line, row)) = self.find(key.0) {
            let counts = &self.lines[line].counts[row];
            sum = counts.iter().map(|count| u64::from(*count)).sum();
            if counts.contains(&LARGE) {
                let large = self.large.range((key.0, i64::MIN)..=(key.0, i64::MAX));
                sum = large.fold(sum, |sum, (_, count)| sum.saturating_add(count - u64::from(LARGE)));
            }
        }
        let beyond = self.beyond.values().map(|beyond| beyond.high(key));
        RecentCount {
            listed: sum,
            beyond: beyond.fold(0, u64::saturating_add),
        }
    }

    /// At least how often the content spread in one quarter.
    #[inline]
    pub fn count(&self, key: PaneKey, quarter: i64) -> PaneCount {
        let row = self
            .find(key.0)
            .map_or(0, |(line, row)| self.lines[line].counts[row][column(quarter)]);
        let listed = match row {
            LARGE => self.large.get(&(key.0, quarter)).copied().unwrap_or(u64::MAX),
            count => u64::from(count),
        };
        let beyond = self.beyond.get(&quarter);
        let shared = beyond.map_or(0, |beyond| beyond.high(key));
        PaneCount {
            high: listed.saturating_add(shared),
            shared,
            sketch_total: beyond.map_or(0, |beyond| beyond.total),
            collision_probability: self.len as f64 / (1u64 << u32::BITS) as f64,
        }
    }

    /// Reads the line of a content, so that it is near when it is counted.
    #[inline]
    pub fn touch(&self, key: PaneKey) -> u8 {
        let line = self.lines.get(self.home(key.0));
        line.map_or(0, |line| line.len)
    }

    /// Takes a quarter out, as a pane; `None` if nothing was counted in it.
    pub fn take(&mut self, quarter: i64) -> Option<Pane> {
        let column = column(quarter);
        let mut entries = Vec::new();
        for line in &mut self.lines {
            for row in 0..usize::from(line.len) {
                match std::mem::take(&mut line.counts[row][column]) {
                    0 => {}
                    LARGE => {
                        let key = line.keys[row];
                        let count = self.large.remove(&(key, quarter));
                        entries.push((key, count.unwrap_or(u64::MAX)));
                    }
                    count => entries.push((line.keys[row], u64::from(count))),
                }
            }
        }
        entries.sort_unstable();
        if !entries.is_empty() {
            self.drop_empty_rows();
        }
        let beyond = self.beyond.remove(&quarter);
        if entries.is_empty() && beyond.is_none() {
            return None;
        }
        let listed = entries.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        let total = listed.saturating_add(beyond.as_ref().map_or(0, |beyond| beyond.total));
        let sketch = beyond.map(|beyond| beyond.sketch);
        Some(Pane::of(total, &entries, sketch, self.width))
    }

    pub fn memory_bytes(&self) -> usize {
        // A map node of a large count takes some 40 bytes with its share of the tree.
        let beyond = self.beyond.values().map(|beyond| 64 + beyond.sketch.memory_bytes());
        size_of_val(&*self.lines) + self.large.len() * 40 + beyond.sum::<usize>()
    }

    /// Rows ascending by key: distance to the one before, which columns hold something, their counts. Then the sketches.
    pub fn encode(&self, from: i64, out: &mut Encoder) {
        let mut rows: Vec<(u32, [u8; COLUMNS])> = self.rows().collect();
        rows.sort_unstable();
        out.number(rows.len() as u64);
        let mut next = 0u64;
        for (key, counts) in rows {
            out.number(u64::from(key) - next);
            next = u64::from(key) + 1;
            let in_turn = || (from..).take(COLUMNS).map(|quarter| (quarter, counts[column(quarter)]));
            out.byte(in_turn().fold(0, |used, (quarter, count)| {
                used | u8::from(count > 0) << (quarter - from)
            }));
            for (quarter, count) in in_turn().filter(|(_, count)| *count > 0) {
                out.byte(count);
                if count == LARGE {
                    let large = self.large.get(&(key, quarter)).copied().unwrap_or(u64::MAX);
                    out.number(large - u64::from(LARGE));
                }
            }
        }
        out.number(self.beyond.len() as u64);
        for (quarter, beyond) in &self.beyond {
            out.number((quarter - from) as u64);
            out.number(beyond.total);
            beyond.sketch.encode(out);
        }
    }

    /// The inverse of [`RecentQuarters::encode`] for quarters between `from` and `last`.
    pub fn decode(width: usize, from: i64, last: i64, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut recent = RecentQuarters::new(width);
        let len = input.length(3)?;
        if len > recent.rows_max() {
            return Err(DecodeError::Invalid("number of rows"));
        }
        recent.rebuild(len.div_ceil(FILL));
        let mut next = 0u64;
        for _ in 0..len {
            let key = next
                .checked_add(input.number()?)
                .and_then(|key| u32::try_from(key).ok())
                .ok_or(DecodeError::Invalid("key of a row"))?;
            next = u64::from(key) + 1;
            let used = input.byte()?;
            if used == 0 {
                return Err(DecodeError::Invalid("row"));
            }
            let mut counts = [0; COLUMNS];
            for quarter in (from..)
                .take(COLUMNS)
                .filter(|quarter| used >> (quarter - from) & 1 == 1)
            {
                let count = input.byte()?;
                if count == 0 || quarter > last {
                    return Err(DecodeError::Invalid("count of a quarter"));
                }
                counts[column(quarter)] = count;
                if count == LARGE {
                    let large = input.number()?.checked_add(u64::from(LARGE));
                    let large = large.ok_or(DecodeError::Invalid("count of a quarter"))?;
                    recent.large.insert((key, quarter), large);
                }
            }
            recent.put(key, counts);
            recent.len += 1;
        }
        let mut next = from;
        for _ in 0..input.length(3)? {
            let quarter = from
                .checked_add(input.narrow("quarter")?)
                .filter(|quarter| (next..=last).contains(quarter))
                .ok_or(DecodeError::Invalid("quarter"))?;
            next = quarter + 1;
            let beyond = Beyond {
                total: input.number()?,
                sketch: CountMin::decode(width, input)?,
            };
            recent.beyond.insert(quarter, beyond);
        }
        Ok(recent)
    }

    fn rows_max(&self) -> usize {
        4 * self.width
    }

    #[inline]
    fn home(&self, key: u32) -> usize {
        ((u64::from(key) * self.lines.len() as u64) >> u32::BITS) as usize
    }

    /// The line and the row of a key.
    #[inline]
    fn find(&self, key: u32) -> Option<(usize, usize)> {
        let mut number = self.home(key);
        // A line that is full continues in the next; some line is not.
        loop {
            let line = self.lines.get(number)?;
            let used = usize::from(line.len);
            if let Some(row) = line.keys[..used].iter().position(|other| *other == key) {
                return Some((number, row));
            }
            if used < ROWS {
                return None;
            }
            number = (number + 1) % self.lines.len();
        }
    }

    fn add_to(&mut self, line: usize, row: usize, quarter: i64) {
        let Line { keys, counts, .. } = &mut self.lines[line];
        let count = &mut counts[row][column(quarter)];
        if *count < LARGE - 1 {
            *count += 1;
        } else if *count < LARGE {
            *count = LARGE;
            self.large.insert((keys[row], quarter), u64::from(LARGE));
        } else if let Some(large) = self.large.get_mut(&(keys[row], quarter)) {
            *large = large.saturating_add(1);
        }
    }

    fn add_row(&mut self, key: PaneKey, quarter: i64) -> Kept {
        if self.len == self.rows_max() {
            let width = self.width;
            let beyond = self.beyond.entry(quarter).or_insert_with(|| Beyond {
                total: 0,
                sketch: CountMin::new(width),
            });
            beyond.total = beyond.total.saturating_add(1);
            beyond.sketch.add(key.0, 1);
            return Kept::Beyond;
        }
        if self.len >= self.lines.len() * FILL {
            let lines = self.lines.len();
            let more = if lines < LINES_DOUBLED_MAX { lines } else { lines / 4 };
            self.rebuild(lines + more + 1);
        }
        let mut counts = [0; COLUMNS];
        counts[column(quarter)] = 1;
        self.put(key.0, counts);
        self.len += 1;
        Kept::Listed
    }

    /// Writes a row that is not there yet. Some line has room.
    fn put(&mut self, key: u32, counts: [u8; COLUMNS]) {
        let mut number = self.home(key);
        while usize::from(self.lines[number].len) == ROWS {
            number = (number + 1) % self.lines.len();
        }
        let line = &mut self.lines[number];
        let row = usize::from(line.len);
        line.keys[row] = key;
        line.counts[row] = counts;
        line.len += 1;
    }

    /// The room stays for the rows of the next quarter, unless it is twice what is needed.
    fn drop_empty_rows(&mut self) {
        let used = self.rows().filter(|(_, counts)| *counts != [0; COLUMNS]).count();
        let needed = used.div_ceil(FILL);
        let lines = if needed * 2 < self.lines.len() {
            needed
        } else {
            self.lines.len()
        };
        self.rebuild(lines);
    }

    /// Makes the table one of so many lines, without the rows that hold nothing.
    fn rebuild(&mut self, lines: usize) {
        let old = std::mem::replace(&mut self.lines, vec![Line::default(); lines].into_boxed_slice());
        self.len = 0;
        for (key, counts) in rows(&old).filter(|(_, counts)| *counts != [0; COLUMNS]) {
            self.put(key, counts);
            self.len += 1;
        }
    }

    fn rows(&self) -> impl Iterator<Item = (u32, [u8; COLUMNS])> + '_ {
        rows(&self.lines)
    }
}

fn rows(lines: &[Line]) -> impl Iterator<Item = (u32, [u8; COLUMNS])> + '_ {
    lines.iter().flat_map(|line| {
        let rows = line.keys.into_iter().zip(line.counts);
        rows.take(usize::from(line.len))
    })
}

impl Beyond {
    fn high(&self, key: PaneKey) -> u64 {
        match self.sketch.get(key.0) {
            // A cell that cannot grow bounds nothing.
            u32::MAX => u64::MAX,
            count => u64::from(count),
        }
    }
}

/// The place of a quarter among [`COLUMNS`] that follow each other.
#[inline]
fn column(quarter: i64) -> usize {
    quarter.rem_euclid(COLUMNS as i64) as usize
}
