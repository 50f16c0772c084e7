//! A map from keys to bytes without a free slot: the keys' high bits say which bucket, only the low ones are stored.
//!
//! About 3.2 bytes an entry once a map holds some hundreds: two bytes of key, one of value, and the starts of the buckets. This is quotienting
//! as in Knuth, The Art of Computer Programming 3, exercise 6.4-13; the layout is that of a static table, rebuilt when it grows. Buckets are
//! ascending, entries within one are not, so that growing copies whole buckets.

/// Keys and their values.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    layout: Layout,
    /// Where each bucket begins, and the end of the last.
    starts: Starts,
    /// `layout.remainder_bytes` little-endian bytes per entry.
    remainders: Box<[u8]>,
    values: Box<[u8]>,
}

/// Ascending numbers, in two bytes each where they fit.
#[derive(Clone, Debug)]
enum Starts {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

/// [`Starts`] that are being written, in the width they keep.
enum StartsWritten {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl StartsWritten {
    /// Room for the starts of so many buckets and the end of the last, which is `len`.
    fn of(buckets: usize, len: usize) -> Self {
        if len <= usize::from(u16::MAX) {
            StartsWritten::Narrow(Vec::with_capacity(buckets + 1))
        } else {
            StartsWritten::Wide(Vec::with_capacity(buckets + 1))
        }
    }

    fn len(&self) -> usize {
        match self {
            StartsWritten::Narrow(starts) => starts.len(),
            StartsWritten::Wide(starts) => starts.len(),
        }
    }

    /// Writes one more; none is above the stated end.
    fn push(&mut self, start: usize) {
        match self {
            StartsWritten::Narrow(starts) => starts.push(start as u16),
            StartsWritten::Wide(starts) => starts.push(start as u32),
        }
    }

    fn finish(self) -> Starts {
        match self {
            StartsWritten::Narrow(starts) => Starts::Narrow(starts.into_boxed_slice()),
            StartsWritten::Wide(starts) => Starts::Wide(starts.into_boxed_slice()),
        }
    }
}

impl Starts {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Starts::Narrow(starts) => starts.len(),
            Starts::Wide(starts) => starts.len(),
        }
    }

    #[inline]
    fn at(&self, bucket: usize) -> u32 {
        match self {
            Starts::Narrow(starts) => u32::from(starts[bucket]),
            Starts::Wide(starts) => starts[bucket],
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Starts::Narrow(starts) => size_of_val(&**starts),
            Starts::Wide(starts) => size_of_val(&**starts),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    remainder_bits: u32,
    remainder_bytes: usize,
}

impl Layout {
    /// The split of keys that takes the least memory for `len` entries while buckets stay near 8 to 16 entries.
    fn choose(key_bits: u32, len: usize) -> (Layout, usize) {
        let bucket_bits_min = len.max(1).ilog2().saturating_sub(3).min(key_bits);
        let mut best = None;
        for remainder_bytes in 1..=4usize {
            let bucket_bits = bucket_bits_min.max(key_bits.saturating_sub(8 * remainder_bytes as u32));
            let remainder_bits = key_bits - bucket_bits;
            let start_bytes = if len <= usize::from(u16::MAX) { 2 } else { 4 };
            let bytes = (start_bytes << bucket_bits.min(32)) + len * remainder_bytes;
            if best.is_none_or(|(least, _, _)| bytes < least) {
                let layout = Layout {
                    remainder_bits,
                    remainder_bytes,
                };
                best = Some((bytes, layout, 1usize << bucket_bits));
            }
        }
        let (_, layout, buckets) = best.expect("the loop looks at four layouts");
        (layout, buckets)
    }

    #[inline]
    fn bucket(self, key: u32) -> usize {
        (u64::from(key) >> self.remainder_bits) as usize
    }

    #[inline]
    fn remainder(self, key: u32) -> u32 {
        (u64::from(key) & ((1u64 << self.remainder_bits) - 1)) as u32
    }
}

impl Packed {
    /// A map of no entry, on no heap: most panes are filled at once, when they are made.
    pub fn empty() -> Self {
        Packed {
            layout: Layout {
                remainder_bits: u32::BITS,
                remainder_bytes: 4,
            },
            starts: Starts::Narrow(Box::default()),
            remainders: Box::default(),
            values: Box::default(),
        }
    }

    /// A map of `len` entries with strictly ascending keys of `key_bits` bits.
    pub fn from_sorted(key_bits: u32, len: usize, entries: impl Iterator<Item = (u32, u8)>) -> Self {
        if len == 0 {
            return Self::empty();
        }
        let (layout, buckets) = Layout::choose(key_bits, len);
        let mut starts = StartsWritten::of(buckets, len);
        let mut remainders = Vec::with_capacity(len * layout.remainder_bytes);
        let mut values = Vec::with_capacity(len);
        for (key, value) in entries {
            let bucket = layout.bucket(key);
            while starts.len() <= bucket {
                starts.push(values.len());
            }
            remainders.extend_from_slice(&layout.remainder(key).to_le_bytes()[..layout.remainder_bytes]);
            values.push(value);
        }
        while starts.len() <= buckets {
            starts.push(values.len());
        }
        Packed {
            layout,
            starts: starts.finish(),
            remainders: remainders.into_boxed_slice(),
            values: values.into_boxed_slice(),
        }
    }

    /// A map of these entries and of the `added` ones, which are ascending by keys that are not there yet.
    pub fn grown(&self, key_bits: u32, added: &[(u32, u8)]) -> Self {
        let len = self.len() + added.len();
        let (layout, buckets) = Layout::choose(key_bits, len);
        if layout != self.layout || buckets + 1 != self.starts.len() {
            let mut entries = Vec::with_capacity(len);
            entries.extend(self.iter());
            entries.extend_from_slice(added);
            entries.sort_unstable();
            return Self::from_sorted(key_bits, len, entries.into_iter());
        }
        let width = layout.remainder_bytes;
        let mut starts = StartsWritten::of(buckets, len);
        let mut remainders = Vec::with_capacity(len * width);
        let mut values = Vec::with_capacity(len);
        let mut copied = 0;
        for (index, (key, value)) in added.iter().enumerate() {
            let bucket = layout.bucket(*key);
            // Everything up to the end of this entry's bucket, then the entry.
            (starts.len()..=bucket).for_each(|bucket| starts.push(self.starts.at(bucket) as usize + index));
            let end = self.starts.at(bucket + 1) as usize;
            remainders.extend_from_slice(&self.remainders[copied * width..end * width]);
            values.extend_from_slice(&self.values[copied..end]);
            copied = end;
            remainders.extend_from_slice(&layout.remainder(*key).to_le_bytes()[..width]);
            values.push(*value);
        }
        (starts.len()..self.starts.len()).for_each(|bucket| starts.push(self.starts.at(bucket) as usize + added.len()));
        remainders.extend_from_slice(&self.remainders[copied * width..]);
        values.extend_from_slice(&self.values[copied..]);
        Packed {
            layout,
            starts: starts.finish(),
            remainders: remainders.into_boxed_slice(),
            values: values.into_boxed_slice(),
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: u32) -> Option<u8> {
        self.position(key).map(|at| self.values[at])
    }

    /// The value of `key`.
    #[inline]
    pub fn get_mut(&mut self, key: u32) -> Option<&mut u8> {
        let at = self.position(key)?;
        Some(&mut self.values[at])
    }

    /// All entries, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> {
        (0..self.starts.len().saturating_sub(1)).flat_map(move |bucket| {
            let high = ((bucket as u64) << self.layout.remainder_bits) as u32;
            let mut entries: Vec<(u32, u8)> = (self.starts.at(bucket) as usize..self.starts.at(bucket + 1) as usize)
                .map(|at| (high | self.remainder_at(at), self.values[at]))
                .collect();
            entries.sort_unstable();
            entries
        })
    }

    pub fn memory_bytes(&self) -> usize {
        self.starts.memory_bytes() + self.remainders.len() + self.values.len()
    }

    #[inline]
    fn position(&self, key: u32) -> Option<usize> {
        let bucket = self.layout.bucket(key);
        if bucket + 1 >= self.starts.len() {
            return None;
        }
        let start = self.starts.at(bucket) as usize;
        let end = self.starts.at(bucket + 1) as usize;
        let remainder = self.layout.remainder(key);
        let within = match self.layout.remainder_bytes {
            1 => self.remainders[start..end]
                .iter()
                .position(|byte| u32::from(*byte) == remainder),
            2 => {
                let wanted = (remainder as u16).to_le_bytes();
                self.remainders[start * 2..end * 2]
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .position(|two| *two == wanted)
            }
            3 => {
                let [a, b, c, _] = remainder.to_le_bytes();
                self.remainders[start * 3..end * 3]
                    .as_chunks::<3>()
                    .0
                    .iter()
                    .position(|three| *three == [a, b, c])
            }
            _ => {
                let wanted = remainder.to_le_bytes();
                self.remainders[start * 4..end * 4]
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .position(|four| *four == wanted)
            }
        };
        within.map(|offset| start + offset)
    }

    fn remainder_at(&self, at: usize) -> u32 {
        let width = self.layout.remainder_bytes;
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(&self.remainders[at * width..][..width]);
        u32::from_le_bytes(bytes)
    }
}
