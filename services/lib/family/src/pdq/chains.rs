//! Buckets of slots in memory that is neither moved nor left half empty as they grow.

/// A slot's number, below [`Entry::SLOTS`], and sixteen bits of its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    slot: u32,
    bits: u16,
}

/// A bucket, and what of it is worth a look: entries whose bits differ from these in so many at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) bucket: usize,
    pub(super) bits: u16,
    pub(super) distance_max: u8,
}

/// Buckets of entries: each a chain of blocks, of which the first alone has empty places, at its end. While that one holds [`NARROW`] at most, and
/// is not the only one, it is a narrow one: of 10^6 random hashes half of the buckets end so, and it saves a tenth of all memory.
#[derive(Debug, Default)]
pub(super) struct Chains {
    buckets: Vec<Bucket>,
    narrow: Pool<NARROW>,
    wide: Pool<WIDE>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: u32,
    length: u32,
}

/// Entries of one bucket: each part by itself, so that the bits of all are compared at once.
#[derive(Clone, Copy, Debug)]
struct Block<const N: usize> {
    next: u32,
    bits: [u16; N],
    low: [u16; N],
    high: [u8; N],
}

/// Entries of a cache line, and of half of one.
const WIDE: usize = 12;
const NARROW: usize = 5;
const _: () = assert!(size_of::<Block<WIDE>>() == 64 && size_of::<Block<NARROW>>() <= 32);

/// Blocks of one size, in lots, so that no growth moves what is there.
#[derive(Debug, Default)]
struct Pool<const N: usize> {
    lots: Vec<Box<[Line<Block<N>>]>>,
    unused: Vec<u32>,
    used: u32,
}

/// At the beginning of a cache line, or of its second half.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Line<T>(T);

/// A chain that is followed: the next block, and the entries there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    block: u32,
    filled: u8,
    is_narrow: bool,
    distance_max: u8,
    bits: u16,
}

/// No block.
const NONE: u32 = u32::MAX;
/// Blocks are had in lots of so many (64 KiB of wide ones).
const LOT: usize = 1 << 10;

impl Entry {
    /// Slots are numbered below this.
    pub(super) const SLOTS: u32 = 1 << 24;

    pub(super) fn new(slot: u32, bits: u16) -> Entry {
        debug_assert!(slot < Entry::SLOTS, "an index gives no more slots");
        Entry { slot, bits }
    }
}

impl<const N: usize> Block<N> {
    const EMPTY: Block<N> = Block {
        next: NONE,
        bits: [0; N],
        low: [0; N],
        high: [0; N],
    };

    fn put(&mut self, place: usize, entry: Entry) {
        self.bits[place] = entry.bits;
        self.low[place] = entry.slot as u16;
        self.high[place] = (entry.slot >> 16) as u8;
    }

    #[inline]
    fn slot(&self, place: usize) -> u32 {
        u32::from(self.high[place]) << 16 | u32::from(self.low[place])
    }

    fn entries(&self, filled: usize) -> impl Iterator<Item = Entry> + '_ {
        (0..filled).map(|place| Entry {
            slot: self.slot(place),
            bits: self.bits[place],
        })
    }

    /// Appends the slots that are wanted. All places are compared before any is looked at: few blocks have one that is wanted.
    #[inline]
    fn look(&self, chain: Followed, slots: &mut Vec<u32>) {
        let is_near = self
            .bits
            .map(|bits| distance(bits, chain.bits) <= u16::from(chain.distance_max));
        if is_near.iter().fold(false, |any, near| any | near) {
            let places = is_near.iter().take(usize::from(chain.filled)).enumerate();
            slots.extend(places.filter(|(_, near)| **near).map(|(place, _)| self.slot(place)));
        }
    }
}

/// In how many bits two numbers differ: by sums within them, for not every machine has an instruction, and so it is done for many at once.
#[inline]
fn distance(a: u16, b: u16) -> u16 {
    let of_one = a ^ b;
    let of_two = of_one - (of_one >> 1 & 0x5555);
    let of_four = (of_two & 0x3333) + (of_two >> 2 & 0x3333);
    let of_eight = (of_four + (of_four >> 4)) & 0x0f0f;
    (of_eight + (of_eight >> 8)) & 0x1f
}

impl<const N: usize> Pool<N> {
    fn add(&mut self, next: u32) -> u32 {
        let at = self.unused.pop().unwrap_or_else(|| {
            let at = self.used;
            if at as usize == self.lots.len() * LOT {
                self.lots.push(vec![Line(Block::EMPTY); LOT].into_boxed_slice());
            }
            self.used += 1;
            at
        });
        self.at_mut(at).next = next;
        at
    }

    #[inline]
    fn at(&self, at: u32) -> &Block<N> {
        &self.lots[at as usize / LOT][at as usize % LOT].0
    }

    fn at_mut(&mut self, at: u32) -> &mut Block<N> {
        &mut self.lots[at as usize / LOT][at as usize % LOT].0
    }

    fn bytes(&self) -> usize {
        self.lots.len() * LOT * size_of::<Line<Block<N>>>() + self.unused.capacity() * size_of::<u32>()
    }
}

impl Bucket {
    const EMPTY: Bucket = Bucket { first: NONE, length: 0 };

    /// Whether the first block is a narrow one.
    fn is_narrow(self) -> bool {
        self.length as usize > WIDE && self.filled() <= NARROW
    }

    /// The entries of the first block.
    fn filled(self) -> usize {
        match self.length as usize % WIDE {
            0 if self.length > 0 => WIDE,
            filled => filled,
        }
    }
}

impl Chains {
    /// So many buckets, all empty.
    pub(super) fn make(&mut self, buckets: usize) {
        self.buckets = vec![Bucket::EMPTY; buckets];
    }

    pub(super) fn len(&self, bucket: usize) -> usize {
        self.buckets[bucket].length as usize
    }

    pub(super) fn push(&mut self, bucket: usize, entry: Entry) {
        let Bucket { first, length } = self.buckets[bucket];
        let place = length as usize % WIDE;
        let is_only = (length as usize) < WIDE;
        let block = match place {
            0 if is_only => self.wide.add(first),
            0 => self.narrow.add(first),
            NARROW if !is_only => {
                let grown = *self.narrow.at(first);
                let block = self.wide.add(grown.next);
                for (place, entry) in grown.entries(NARROW).enumerate() {
                    self.wide.at_mut(block).put(place, entry);
                }
                self.narrow.unused.push(first);
                block
            }
            _ => first,
        };
        match place < NARROW && !is_only {
            true => self.narrow.at_mut(block).put(place, entry),
            false => self.wide.at_mut(block).put(place, entry),
        }
        self.buckets[bucket] = Bucket {
            first: block,
            length: length + 1,
        };
    }

    /// Keeps of a bucket the slots that `keep` names, in any order.
    pub(super) fn retain(&mut self, bucket: usize, keep: impl Fn(u32) -> bool) {
        let whole = self.buckets[bucket];
        let (mut all, mut blocks) = (Vec::new(), Vec::new());
        let (mut at, mut filled) = (whole.first, whole.filled());
        let narrow = whole.is_narrow().then_some(at);
        if let Some(first) = narrow {
            let block = self.narrow.at(first);
            all.extend(block.entries(filled));
            (at, filled) = (block.next, WIDE);
        }
        while at != NONE {
            let block = self.wide.at(at);
            all.extend(block.entries(filled));
            blocks.push(at);
            (at, filled) = (block.next, WIDE);
        }
        all.retain(|entry| keep(entry.slot));
        if all.len() < whole.length as usize {
            self.narrow.unused.extend(narrow);
            self.wide.unused.extend(blocks);
            self.buckets[bucket] = Bucket::EMPTY;
            all.into_iter().for_each(|entry| self.push(bucket, entry));
        }
    }

    /// Appends the beginnings of the buckets that are wanted and hold anything.
    pub(super) fn begin(&self, wanted: impl Iterator<Item = Wanted>, chains: &mut Vec<Followed>) {
        chains.extend(wanted.filter_map(|wanted| {
            let bucket = self.buckets[wanted.bucket];
            (bucket.length > 0).then(|| Followed {
                block: bucket.first,
                filled: bucket.filled() as u8,
                is_narrow: bucket.is_narrow(),
                bits: wanted.bits,
                distance_max: wanted.distance_max,
            })
        }));
    }

    /// Reads the next block of each chain, and gives some of it so that nobody leaves that out: between one and the next there is so little to do that the
    /// processor asks for many lines of memory at once. What is computed of a block's entries would keep it from that.
    pub(super) fn read_ahead(&self, chains: &[Followed]) -> u32 {
        let next = chains.iter().map(|chain| match chain.is_narrow {
            true => self.narrow.at(chain.block).next,
            false => self.wide.at(chain.block).next,
        });
        next.fold(0, |all, next| all ^ next)
    }

    /// Appends the slots that are wanted, and follows the chains to their ends, all side by side.
    pub(super) fn follow(&self, chains: &mut [Followed], slots: &mut Vec<u32>) {
        let mut left = chains.len();
        while left > 0 {
            let mut going_on = 0;
            for place in 0..left {
                let chain = chains[place];
                let next = if chain.is_narrow {
                    let block = self.narrow.at(chain.block);
                    block.look(chain, slots);
                    block.next
                } else {
                    let block = self.wide.at(chain.block);
                    block.look(chain, slots);
                    block.next
                };
                chains[going_on] = Followed {
                    block: next,
                    filled: WIDE as u8,
                    is_narrow: false,
                    ..chain
                };
                going_on += usize::from(next != NONE);
            }
            left = going_on;
            std::hint::black_box(self.read_ahead(&chains[..left]));
        }
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>() + self.narrow.bytes() + self.wide.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_two_numbers_is_the_bits_they_differ_in() {
        for number in 0..=u16::MAX {
            let other = number.rotate_left(7) ^ 0x5a17;
            assert_eq!(u32::from(distance(number, other)), (number ^ other).count_ones());
        }
    }

    #[test]
    fn a_bucket_holds_what_was_put_in_whatever_its_blocks() {
        let mut chains = Chains::default();
        chains.make(2);
        let held = |chains: &Chains| {
            let (mut followed, mut slots) = (Vec::new(), Vec::new());
            let all = Wanted {
                bucket: 1,
                bits: 0,
                distance_max: 16,
            };
            chains.begin(std::iter::once(all), &mut followed);
            chains.follow(&mut followed, &mut slots);
            slots.sort_unstable();
            slots
        };
        for number in 0..100_u32 {
            assert_eq!(
                held(&chains),
                (0..number).map(|slot| slot * 167_001).collect::<Vec<_>>()
            );
            chains.push(1, Entry::new(number * 167_001, number as u16));
        }
        let before = chains.bytes();
        for kept in (0..100_u32).rev() {
            chains.retain(1, |slot| slot < kept * 167_001);
            assert_eq!(held(&chains).len(), kept as usize);
        }
        assert!(chains.bytes() < before + 1_024, "blocks are used again");
    }
}
