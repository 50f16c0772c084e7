//! A count-min sketch with conservative update (Cormode and Muthukrishnan 2005; Estan and Varghese 2002): four rows of cells, each key has one
//! cell a row, the least of them is never below the key's count.
//!
//! With width `w` and `n` events a key is over-counted by more than `e * n / w` with probability at most `exp(-4)` = 1.8 %. Rows are placed
//! by the key alone, so sketches of one width add up cell by cell.

use crate::codec::{DecodeError, Decoder, Encoder};

/// Rows of a sketch.
pub(crate) const ROWS: usize = 4;

/// The sketch.
#[derive(Clone, Debug)]
pub(crate) struct CountMin {
    width: usize,
    cells: Cells,
}

/// Two bytes a cell until one of them would not hold its count.
#[derive(Clone, Debug)]
enum Cells {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

impl CountMin {
    /// Four rows of `width` cells, a power of two of at most 65,536.
    pub fn new(width: usize) -> Self {
        debug_assert!(width.is_power_of_two() && width <= 1 << 16);
        CountMin {
            width,
            cells: Cells::Narrow(vec![0; ROWS * width].into_boxed_slice()),
        }
    }

    /// Adds `count` to `key`, raising only the cells that must be.
    pub fn add(&mut self, key: u32, count: u32) {
        let places = self.places(key);
        let raised = self.least(places).saturating_add(count);
        if raised > u32::from(u16::MAX) {
            self.widen();
        }
        for place in places {
            match &mut self.cells {
                Cells::Narrow(cells) => cells[place] = cells[place].max(raised as u16),
                Cells::Wide(cells) => cells[place] = cells[place].max(raised),
            }
        }
    }

    /// At least the count of `key`, as long as that is below `u32::MAX`, where cells stop.
    pub fn get(&self, key: u32) -> u32 {
        self.least(self.places(key))
    }

    /// Adds a sketch of the same width cell by cell.
    pub fn merge(&mut self, other: &CountMin) {
        debug_assert_eq!(self.width, other.width);
        for place in 0..ROWS * self.width {
            let sum = self.cell(place).saturating_add(other.cell(place));
            if sum > u32::from(u16::MAX) {
                self.widen();
            }
            match &mut self.cells {
                Cells::Narrow(cells) => cells[place] = sum as u16,
                Cells::Wide(cells) => cells[place] = sum,
            }
        }
    }

    pub fn memory_bytes(&self) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => size_of_val(&**cells),
            Cells::Wide(cells) => size_of_val(&**cells),
        }
    }

    /// The number of cells that are not 0, then each as the distance to the one before, and its count.
    pub fn encode(&self, out: &mut Encoder) {
        let used = (0..ROWS * self.width).filter(|place| self.cell(*place) != 0);
        out.number(used.clone().count() as u64);
        let mut next = 0;
        for place in used {
            out.number((place - next) as u64);
            out.number(u64::from(self.cell(place)));
            next = place + 1;
        }
    }

    /// The inverse of [`CountMin::encode`].
    pub fn decode(width: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let used = input.length(2)?;
        let mut sketch = CountMin::new(width);
        let mut next = 0usize;
        for _ in 0..used {
            let place = next
                .checked_add(input.narrow("cell")?)
                .filter(|place| *place < ROWS * width)
                .ok_or(DecodeError::Invalid("cell"))?;
            let count: u32 = input.narrow("count")?;
            if count == 0 {
                return Err(DecodeError::Invalid("count"));
            }
            if count > u32::from(u16::MAX) {
                sketch.widen();
            }
            match &mut sketch.cells {
                Cells::Narrow(cells) => cells[place] = count as u16,
                Cells::Wide(cells) => cells[place] = count,
            }
            next = place + 1;
        }
        Ok(sketch)
    }

    /// The key's cell in each row, from slices of one 64-bit mix of the key (MurmurHash3's finaliser).
    fn places(&self, key: u32) -> [usize; ROWS] {
        let mut mix = u64::from(key) ^ 0x9e37_79b9_7f4a_7c15;
        mix = (mix ^ mix >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mix = (mix ^ mix >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mix ^= mix >> 33;
        std::array::from_fn(|row| row * self.width + ((mix >> (16 * row)) as usize & (self.width - 1)))
    }

    fn least(&self, places: [usize; ROWS]) -> u32 {
        places
            .into_iter()
            .map(|place| self.cell(place))
            .fold(u32::MAX, u32::min)
    }

    fn cell(&self, place: usize) -> u32 {
        match &self.cells {
            Cells::Narrow(cells) => u32::from(cells[place]),
            Cells::Wide(cells) => cells[place],
        }
    }

    fn widen(&mut self) {
        if let Cells::Narrow(cells) = &self.cells {
            self.cells = Cells::Wide(cells.iter().map(|cell| u32::from(*cell)).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: never below the truth, not worse than another implementation of the same size on the same stream, and sums stay bounds.
    #![allow(clippy::unwrap_used)]

    use std::collections::HashMap;

    use probabilistic_collections::SipHasherBuilder;
    use probabilistic_collections::count_min_sketch::{CountMinSketch, CountMinStrategy};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::{CountMin, ROWS};
    use crate::codec::{Decoder, Encoder};

    const WIDTH: usize = 256;

    fn stream(seed: u64, events: usize) -> Vec<u32> {
        let mut random = SmallRng::seed_from_u64(seed);
        // A heavy-tailed popularity: key k about proportional to 1 / k.
        (0..events)
            .map(|_| (2_000f64.powf(random.random::<f64>())) as u32)
            .map(|rank| rank.wrapping_mul(0x9e37_79b1))
            .collect()
    }

    fn exact(stream: &[u32]) -> HashMap<u32, u32> {
        let mut counts = HashMap::new();
        for key in stream {
            *counts.entry(*key).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn beside_probabilistic_collections() {
        for seed in 1..=5 {
            let stream = stream(seed, 20_000);
            let mut ours = CountMin::new(WIDTH);
            let builders = [
                SipHasherBuilder::from_seed(seed, 1),
                SipHasherBuilder::from_seed(seed, 2),
            ];
            let mut theirs = CountMinSketch::<CountMinStrategy, u32>::with_hashers(ROWS, WIDTH, builders);
            for key in &stream {
                ours.add(*key, 1);
                theirs.insert(key, 1);
            }
            let (mut our_error, mut their_error, mut beyond_bound) = (0i64, 0i64, 0usize);
            let counts = exact(&stream);
            let bound = std::f64::consts::E * stream.len() as f64 / WIDTH as f64;
            for (key, truth) in &counts {
                assert!(ours.get(*key) >= *truth, "seed {seed}");
                let error = i64::from(ours.get(*key)) - i64::from(*truth);
                our_error += error;
                their_error += theirs.count(key) - i64::from(*truth);
                beyond_bound += usize::from(error as f64 > bound);
            }
            assert!(
                our_error <= their_error,
                "seed {seed}: {our_error} against {their_error}"
            );
            assert!(beyond_bound as f64 <= 0.0184 * counts.len() as f64, "seed {seed}");
        }
    }

    #[test]
    fn a_sum_of_sketches_bounds_the_sum_of_streams() {
        let (first, second) = (stream(7, 3_000), stream(8, 3_000));
        let mut sum = CountMin::new(64);
        let mut other = CountMin::new(64);
        first.iter().for_each(|key| sum.add(*key, 1));
        second.iter().for_each(|key| other.add(*key, 1));
        sum.merge(&other);
        for (key, truth) in exact(&[first, second].concat()) {
            assert!(sum.get(key) >= truth);
        }
    }

    #[test]
    fn cells_widen_and_stop_at_their_limit() {
        let mut sketch = CountMin::new(16);
        sketch.add(1, 65_535);
        assert_eq!(sketch.memory_bytes(), ROWS * 16 * 2);
        sketch.add(1, 1);
        assert_eq!((sketch.get(1), sketch.memory_bytes()), (65_536, ROWS * 16 * 4));
        sketch.add(1, u32::MAX);
        assert_eq!(sketch.get(1), u32::MAX);
        let mut out = Encoder::new();
        sketch.encode(&mut out);
        let bytes = out.finish();
        assert!(bytes.len() <= 1 + 4 * 7, "four cells are {} bytes", bytes.len());
        let restored = CountMin::decode(16, &mut Decoder::new(&bytes)).unwrap();
        assert_eq!((restored.get(1), restored.memory_bytes()), (u32::MAX, ROWS * 16 * 4));
    }
}
