use std::hint::black_box;
use std::ops::Range;

use super::Pdq;
use super::chains::{Chains, Entry, Followed, Wanted};

/// PDQ hashes, each with what it stands for, found within [`Pdq::DISTANCE_MAX`] bits of a query: exactly, none missed.
///
/// Multi-index hashing (Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): of 16 chunks of 16
/// bits, two hashes at most 31 bits apart have one in which they differ in one bit at most, so that 17 buckets in each of 16 tables hold
/// every hash to compare with: of n random hashes n / 241. Of them all but one in 390 are left out by the chunk that follows, which stands in the
/// bucket: if two hashes are at most 31 bits apart, there is such a chunk that differs in three bits at most together with the next one (Qin, Xiao,
/// "Pigeonring: A Principle for Faster Thresholded Similarity Search", VLDB 2018).
///
/// Where the chunks are so alike that the buckets hold more than a pass over all hashes costs, the pass is made; no set of hashes makes
/// a lookup dearer than one.
///
/// Memory: 16 times 64 bytes for each 12 hashes, and 32 bytes and the size of `T` for each; 8 MiB from the first one on.
#[derive(Debug)]
pub struct PdqIndex<T> {
    chains: Chains,
    /// Hashes in lots, so that no growth moves what is there.
    lots: Vec<Lot<T>>,
    used: u32,
    length: usize,
    /// Slots that may be given again.
    unused: Vec<Slot>,
    /// Removed and perhaps named in buckets still: before the sweep that goes on began, and since.
    swept_out: Vec<Slot>,
    removed: Vec<Slot>,
    /// The next bucket to sweep.
    sweep: usize,
}

#[derive(Debug)]
struct Lot<T> {
    hashes: Box<[Pdq]>,
    values: Box<[T]>,
    /// A bit for each place: whether its hash is there.
    is_there: [u64; LOT / 64],
}

/// The place of a hash in an index, until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

/// An index has no place for a further hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an index of PDQ hashes holds 16,777,216 at most")]
pub struct Full;

/// A hash within reach of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found<T> {
    /// In how many bits it differs from the query.
    pub distance: u32,
    /// What it stands for.
    pub value: T,
}

/// What lookups work in, to be used again.
#[derive(Debug, Default)]
pub struct Lookup {
    /// Of several queries, one behind the other.
    chains: Vec<Followed>,
    slots: Vec<u32>,
    /// Where those of each lie: of its chains, then of its slots. `None`: a pass is made.
    of_each: Vec<Option<Range<usize>>>,
    looked_at: usize,
}

impl Lookup {
    /// What the latest lookup came to, or those of the latest batch together: how many hashes it compared with, and how many entries of buckets it looked at for
    /// that. Of one not more than a pass over all places of the index, whatever hashes are in it.
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }
}

const CHUNKS: usize = 16;
const CHUNK_VALUES: usize = 1 << 16;
const BUCKETS: usize = CHUNKS * CHUNK_VALUES;
/// In a chunk that differs in so many bits at most, and with the next one in so many: what the principles above come to.
const FLIPS_MAX: u32 = Pdq::DISTANCE_MAX / CHUNKS as u32;
const FLIPS_MAX_OF_TWO: u8 = (2 * Pdq::DISTANCE_MAX / CHUNKS as u32) as u8;
const _: () = assert!(FLIPS_MAX == 1, "buckets are looked up at one flip");
const LOT: usize = 1 << 10;
/// Hashes asked for from memory at once.
const GROUP: usize = 32;
/// So many queries of a batch are answered side by side. One alone reads its buckets all at once, so that more would only push one another out of the
/// nearest cache.
const AT_ONCE: usize = 2;
/// To look at an entry of a bucket costs so many times what it costs to compare with a hash in a pass over all.
const PASS_FACTOR: usize = 2;
/// Entries looked at with each removal, so that a sweep over all buckets frees an eighth of the hashes.
const SWEPT_PER_REMOVAL: usize = 8 * CHUNKS;

impl<T> Default for PdqIndex<T> {
    fn default() -> Self {
        PdqIndex {
            chains: Chains::default(),
            lots: Vec::new(),
            used: 0,
            length: 0,
            unused: Vec::new(),
            swept_out: Vec::new(),
            removed: Vec::new(),
            sweep: 0,
        }
    }
}

impl<T: Copy + Ord> PdqIndex<T> {
    /// How many hashes it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a hash; the same one may be there several times.
    ///
    /// # Errors
    /// It holds as many as it can.
    pub fn insert(&mut self, hash: Pdq, value: T) -> Result<Slot, Full> {
        let slot = match self.unused.pop() {
            Some(slot) => slot,
            None if self.used == Entry::SLOTS => return Err(Full),
            None => {
                if self.used == 0 {
                    self.chains.make(BUCKETS);
                }
                if self.used as usize == self.lots.len() * LOT {
                    self.lots.push(Lot {
                        hashes: vec![hash; LOT].into_boxed_slice(),
                        values: vec![value; LOT].into_boxed_slice(),
                        is_there: [0; LOT / 64],
                    });
                }
                self.used += 1;
                Slot(self.used - 1)
            }
        };
        let (lot, place) = slot.place();
        let lot = &mut self.lots[lot];
        lot.hashes[place] = hash;
        lot.values[place] = value;
        lot.is_there[place / 64] |= 1 << (place % 64);
        for chunk in 0..CHUNKS {
            let entry = Entry::new(slot.0, next_bits(&hash, chunk));
            self.chains.push(bucket(chunk, hash.chunk(chunk)), entry);
        }
        self.length += 1;
        Ok(slot)
    }

    /// Takes a hash away: what it stood for, or nothing if the slot holds none. Its place is given again when all buckets were swept, a
    /// few with each removal.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let (lot, place) = slot.place();
        let lot = self.lots.get_mut(lot)?;
        let value = lot.value(place)?;
        lot.is_there[place / 64] &= !(1 << (place % 64));
        self.length -= 1;
        self.removed.push(slot);
        self.sweep();
        Some(value)
    }

    fn sweep(&mut self) {
        let mut looked_at = 0;
        while looked_at < SWEPT_PER_REMOVAL {
            if self.sweep == BUCKETS {
                self.unused.append(&mut self.swept_out);
                std::mem::swap(&mut self.swept_out, &mut self.removed);
                self.sweep = 0;
            }
            looked_at += 1 + self.chains.len(self.sweep);
            let lots = &self.lots;
            self.chains.retain(self.sweep, |slot| {
                let (lot, place) = Slot(slot).place();
                lots[lot].value(place).is_some()
            });
            self.sweep += 1;
        }
    }

    /// The hashes at most [`Pdq::DISTANCE_MAX`] bits from `query`, the nearest first. Of more than `most` the nearest are told, equally
    /// near ones by value; what `wanted` does not want is passed over.
    pub fn near(
        &self,
        query: &Pdq,
        most: usize,
        wanted: impl Fn(&T) -> bool,
        lookup: &mut Lookup,
        found: &mut Vec<Found<T>>,
    ) {
        self.near_each(std::slice::from_ref(query), most, wanted, (lookup, found), |_, _| {});
    }

    /// What [`PdqIndex::near`] finds of each of these queries: `told` is given the place of each and what was found, in their order.
    ///
    /// Memory is waited for once for [`AT_ONCE`] of them: the buckets of all are read before an entry of any is looked at, and then all hashes before any is
    /// compared with.
    pub fn near_each(
        &self,
        queries: &[Pdq],
        most: usize,
        wanted: impl Fn(&T) -> bool,
        (lookup, found): (&mut Lookup, &mut Vec<Found<T>>),
        mut told: impl FnMut(usize, &[Found<T>]),
    ) {
        found.clear();
        lookup.looked_at = 0;
        let mut place = 0;
        for queries in queries.chunks(AT_ONCE) {
            self.gather(queries, lookup);
            for (query, of_query) in queries.iter().zip(&lookup.of_each) {
                found.clear();
                match of_query {
                    None => {
                        self.pass(query, most, &wanted, found);
                        lookup.looked_at += self.lots.len() * LOT;
                    }
                    Some(of_query) => {
                        let slots = &mut lookup.slots[of_query.clone()];
                        let kept = self.keep_near(query, slots);
                        // What is near is near in several chunks.
                        let slots = &mut slots[..kept];
                        slots.sort_unstable();
                        let mut farthest = Pdq::DISTANCE_MAX;
                        for of_slot in slots.chunk_by(|one, other| one == other) {
                            self.take_up(of_slot[0], (query, most), &mut farthest, &wanted, found);
                        }
                    }
                }
                found.sort_unstable();
                found.truncate(most);
                told(place, found);
                place += 1;
            }
        }
    }

    /// The slots to compare these queries with, where those are fewer than a pass costs.
    fn gather(&self, queries: &[Pdq], lookup: &mut Lookup) {
        let Lookup {
            chains,
            slots,
            of_each,
            looked_at,
        } = lookup;
        chains.clear();
        slots.clear();
        of_each.clear();
        for query in queries {
            let begin = chains.len();
            let entries: usize = match self.is_empty() {
                true => 0,
                false => buckets(query).map(|wanted| self.chains.len(wanted.bucket)).sum(),
            };
            let is_worth_it = entries * PASS_FACTOR <= self.used as usize;
            if is_worth_it && entries > 0 {
                self.chains.begin(buckets(query), chains);
                *looked_at += entries;
            }
            of_each.push(is_worth_it.then_some(begin..chains.len()));
        }
        black_box(self.chains.read_ahead(chains));
        for of_query in of_each.iter_mut().flatten() {
            let begin = slots.len();
            self.chains.follow(&mut chains[of_query.clone()], slots);
            *of_query = begin..slots.len();
        }
        *looked_at += slots.len();
        black_box(self.read_ahead(slots));
    }

    /// Reads the hashes of these slots, and gives some of them so that nobody leaves that out.
    fn read_ahead(&self, slots: &[u32]) -> u64 {
        let words = slots.iter().map(|slot| {
            let (lot, place) = Slot(*slot).place();
            self.lots[lot].hashes[place].0[0]
        });
        words.fold(0, |all, word| all ^ word)
    }

    fn pass(&self, query: &Pdq, most: usize, wanted: impl Fn(&T) -> bool, found: &mut Vec<Found<T>>) {
        let mut farthest = Pdq::DISTANCE_MAX;
        for (lot, number) in self.lots.iter().zip(0..) {
            for (hash, place) in lot.hashes.iter().zip(0..) {
                if query.distance(hash) <= farthest {
                    let slot = number * LOT as u32 + place;
                    self.take_up(slot, (query, most), &mut farthest, &wanted, found);
                }
            }
        }
    }

    /// Puts those of these slots first whose hash is near, and says how many they are. Hashes come from memory a group at a time: what is computed of one would keep the
    /// processor from asking for the next.
    fn keep_near(&self, query: &Pdq, slots: &mut [u32]) -> usize {
        let mut kept = 0;
        let mut hashes = [*query; GROUP];
        for begin in (0..slots.len()).step_by(GROUP) {
            let end = slots.len().min(begin + GROUP);
            for (hash, slot) in hashes.iter_mut().zip(&slots[begin..end]) {
                let (lot, place) = Slot(*slot).place();
                *hash = self.lots[lot].hashes[place];
            }
            for (at, hash) in (begin..end).zip(&hashes) {
                slots[kept] = slots[at];
                kept += usize::from(query.distance(hash) <= Pdq::DISTANCE_MAX);
            }
        }
        kept
    }

    /// Adds what a slot stands for, if it is there still and wanted. When twice as much was found as is wanted, the farther half goes, and nobody
    /// asks any more whether something farther is wanted: of a million copies of one picture that would be a million questions.
    fn take_up(
        &self,
        slot: u32,
        (query, most): (&Pdq, usize),
        farthest: &mut u32,
        wanted: impl Fn(&T) -> bool,
        found: &mut Vec<Found<T>>,
    ) {
        let (lot, place) = Slot(slot).place();
        let lot = &self.lots[lot];
        let distance = query.distance(&lot.hashes[place]);
        if distance > *farthest {
            return;
        }
        let Some(value) = lot.value(place).filter(wanted) else {
            return;
        };
        found.push(Found { distance, value });
        if found.len() >= 2 * most.max(GROUP) {
            found.select_nth_unstable(most);
            found.truncate(most);
            *farthest = found.iter().map(|found| found.distance).max().unwrap_or(*farthest);
        }
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let lists = [&self.unused, &self.swept_out, &self.removed];
        self.chains.bytes()
            + self.lots.len() * (size_of::<Lot<T>>() + LOT * (size_of::<Pdq>() + size_of::<T>()))
            + lists
                .iter()
                .map(|list| list.capacity() * size_of::<Slot>())
                .sum::<usize>()
    }
}

impl<T: Copy> Lot<T> {
    fn value(&self, place: usize) -> Option<T> {
        let is_there = self.is_there[place / 64] >> (place % 64) & 1 == 1;
        is_there.then(|| self.values[place])
    }
}

impl Slot {
    #[inline]
    fn place(self) -> (usize, usize) {
        (self.0 as usize / LOT, self.0 as usize % LOT)
    }
}

/// The buckets with all hashes that may be near.
fn buckets(query: &Pdq) -> impl Iterator<Item = Wanted> {
    (0..CHUNKS).flat_map(|chunk| {
        let (value, bits) = (query.chunk(chunk), next_bits(query, chunk));
        let wanted = move |value: u16, flips: u8| Wanted {
            bucket: bucket(chunk, value),
            bits,
            distance_max: FLIPS_MAX_OF_TWO - flips,
        };
        let flipped = (0..u16::BITS).map(move |bit| wanted(value ^ (1 << bit), 1));
        std::iter::once(wanted(value, 0)).chain(flipped)
    })
}

/// The chunk that follows.
#[inline]
fn next_bits(hash: &Pdq, chunk: usize) -> u16 {
    hash.chunk((chunk + 1) % CHUNKS)
}

#[inline]
fn bucket(chunk: usize, value: u16) -> usize {
    chunk * CHUNK_VALUES + usize::from(value)
}
