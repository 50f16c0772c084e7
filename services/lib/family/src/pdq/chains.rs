//! Buckets of slots in memory that is neither moved nor left half empty as they grow.

/// A slot's number, and eight bits of its hash above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(u32);

/// A bucket, and what of it is worth a look: entries whose eight bits differ from these in so many at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) bucket: usize,
    pub(super) bits: u8,
    pub(super) distance_max: u8,
}

/// Buckets of entries: each a chain of blocks, of which the first alone has empty places, at its end.
#[derive(Debug, Default)]
pub(super) struct Chains {
    buckets: Vec<Bucket>,
    lots: Vec<Box<[Block]>>,
    unused: Vec<u32>,
    used: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: u32,
    length: u32,
}

/// Entries of one bucket, a cache line of them.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block {
    entries: [Entry; PER_BLOCK],
    next: u32,
}

/// A chain that is followed: the next block, and the entries there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    block: u32,
    filled: u8,
    bits: u8,
    distance_max: u8,
}

const PER_BLOCK: usize = 15;
/// No block.
const NONE: u32 = u32::MAX;
/// Blocks are had in lots of so many (64 KiB), so that no growth moves what is there.
const LOT: usize = 1 << 10;

/// How many bits of a byte are set, since not every machine has an instruction for it.
const BITS_SET: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = byte.count_ones() as u8;
        byte += 1;
    }
    table
};

impl Entry {
    /// Slots are numbered below this.
    pub(super) const SLOTS: u32 = 1 << 24;

    pub(super) fn new(slot: u32, bits: u8) -> Entry {
        Entry(slot | u32::from(bits) << 24)
    }

    #[inline]
    fn slot(self) -> u32 {
        self.0 % Entry::SLOTS
    }

    #[inline]
    fn bits(self) -> u8 {
        (self.0 >> 24) as u8
    }
}

impl Bucket {
    const EMPTY: Bucket = Bucket { first: NONE, length: 0 };

    /// The entries of the first block.
    fn filled(self) -> usize {
        match self.length as usize % PER_BLOCK {
            0 => PER_BLOCK,
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
        let place = length as usize % PER_BLOCK;
        let block = if place == 0 { self.add(first) } else { first };
        self.block_mut(block).entries[place] = entry;
        self.buckets[bucket] = Bucket {
            first: block,
            length: length + 1,
        };
    }

    /// Keeps of a bucket the slots that `keep` names, in any order.
    pub(super) fn retain(&mut self, bucket: usize, keep: impl Fn(u32) -> bool) {
        let whole = self.buckets[bucket];
        let (mut kept, mut blocks) = (Vec::new(), Vec::new());
        let (mut at, mut filled) = (whole.first, whole.filled());
        while at != NONE {
            let block = self.block(at);
            kept.extend(block.entries[..filled].iter().filter(|entry| keep(entry.slot())));
            blocks.push(at);
            (at, filled) = (block.next, PER_BLOCK);
        }
        if kept.len() < whole.length as usize {
            self.unused.extend(blocks);
            self.buckets[bucket] = Bucket::EMPTY;
            kept.into_iter().for_each(|entry| self.push(bucket, entry));
        }
    }

    /// Appends the slots that are wanted. Chains are followed side by side: a block's line comes from memory while others are looked at.
    pub(super) fn gather(
        &self,
        wanted: impl Iterator<Item = Wanted>,
        chains: &mut Vec<Followed>,
        slots: &mut Vec<u32>,
    ) {
        chains.clear();
        chains.extend(wanted.filter_map(|wanted| {
            let bucket = self.buckets[wanted.bucket];
            (bucket.length > 0).then(|| Followed {
                block: bucket.first,
                filled: bucket.filled() as u8,
                bits: wanted.bits,
                distance_max: wanted.distance_max,
            })
        }));
        let mut found = [0; PER_BLOCK];
        while !chains.is_empty() {
            let mut going_on = 0;
            for place in 0..chains.len() {
                let chain = chains[place];
                let block = self.block(chain.block);
                let mut count = 0;
                for entry in &block.entries[..usize::from(chain.filled)] {
                    found[count] = entry.slot();
                    let differing = BITS_SET[usize::from(entry.bits() ^ chain.bits)];
                    count += usize::from(differing <= chain.distance_max);
                }
                slots.extend_from_slice(&found[..count]);
                chains[going_on] = Followed {
                    block: block.next,
                    filled: PER_BLOCK as u8,
                    ..chain
                };
                going_on += usize::from(block.next != NONE);
            }
            chains.truncate(going_on);
        }
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
            + self.lots.len() * LOT * size_of::<Block>()
            + self.unused.capacity() * size_of::<u32>()
    }

    fn add(&mut self, next: u32) -> u32 {
        let at = self.unused.pop().unwrap_or_else(|| {
            let at = self.used;
            if at as usize == self.lots.len() * LOT {
                let empty = Block {
                    entries: [Entry(0); PER_BLOCK],
                    next: NONE,
                };
                self.lots.push(vec![empty; LOT].into_boxed_slice());
            }
            self.used += 1;
            at
        });
        self.block_mut(at).next = next;
        at
    }

    #[inline]
    fn block(&self, at: u32) -> &Block {
        &self.lots[at as usize / LOT][at as usize % LOT]
    }

    fn block_mut(&mut self, at: u32) -> &mut Block {
        &mut self.lots[at as usize / LOT][at as usize % LOT]
    }
}
