//! A dense HyperLogLog sketch (Flajolet, Fusy, Gandouet and Meunier 2007) with Ertl's improved raw estimator (arXiv 1702.01284, algorithm 6),
//! which needs no correction at either end of its range.
//!
//! One byte a register beside a histogram of the registers, so that an estimate costs the number of ranks and not of registers: the
//! distinct-account gate asks at every sighting of a hot content.

use crate::codec::{DecodeError, Decoder, Encoder};

/// Registers of 64-bit uniform tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HyperLogLog {
    precision: u8,
    registers: Box<[u8]>,
    /// How many registers have each rank, 0 to `rank_max`.
    histogram: Box<[u32]>,
}

/// 2^64, the number of tokens there are.
const TOKENS: f64 = 18_446_744_073_709_551_616.0;
/// 1 / (2 ln 2).
const ALPHA_INFINITY: f64 = 0.721_347_520_444_481_7;

impl HyperLogLog {
    /// An empty sketch of 2^`precision` registers, `precision` from 4 to 18.
    pub fn new(precision: u8) -> Self {
        let count = 1usize << precision;
        let mut histogram = vec![0; usize::from(rank_max(precision)) + 1].into_boxed_slice();
        histogram[0] = count as u32;
        HyperLogLog {
            precision,
            registers: vec![0; count].into_boxed_slice(),
            histogram,
        }
    }

    pub fn precision(&self) -> u8 {
        self.precision
    }

    /// Adds a token.
    #[inline]
    pub fn insert(&mut self, token: u64) {
        let index = (token >> (64 - self.precision)) as usize;
        // The added bit ends the run of zeros at the width of the rest.
        let rest = token << self.precision | 1 << (self.precision - 1);
        self.raise(index, rest.leading_zeros() as u8 + 1);
    }

    /// Reads the register of a token.
    #[inline]
    pub fn touch(&self, token: u64) -> u8 {
        self.registers[(token >> (64 - self.precision)) as usize]
    }

    /// The sketch of the union. The other's precision is at least this one's.
    pub fn merge(&mut self, other: &HyperLogLog) {
        let dropped = other.precision - self.precision;
        for (index, rank) in other.registers.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            let low = index as u64 & ((1 << dropped) - 1);
            let rank = if low == 0 {
                dropped + rank
            } else {
                (dropped as u32 - (u64::BITS - low.leading_zeros()) + 1) as u8
            };
            self.raise(index >> dropped, rank);
        }
    }

    /// The same tokens at a lower precision.
    pub fn reduced(&self, precision: u8) -> HyperLogLog {
        let mut reduced = HyperLogLog::new(precision);
        reduced.merge(self);
        reduced
    }

    /// Registers that hold something: certainly as many distinct tokens.
    pub fn registers_used(&self) -> usize {
        self.registers.len() - self.histogram[0] as usize
    }

    /// The estimated number of distinct tokens; where every register is at its limit, all there are.
    pub fn estimate(&self) -> f64 {
        let m = self.registers.len() as f64;
        let (last, inner) = self.histogram.split_last().expect("a histogram has at least two ranks");
        let mut z = m * tau(1.0 - f64::from(*last) / m);
        for count in inner[1..].iter().rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += m * sigma(f64::from(inner[0]) / m);
        (ALPHA_INFINITY * m * m / z).min(TOKENS)
    }

    pub fn memory_bytes(&self) -> usize {
        self.registers.len() + self.histogram.len() * size_of::<u32>()
    }

    /// Runs: how many registers of rank 0, then the rank after them; at the end a run without a rank.
    pub fn encode(&self, out: &mut Encoder) {
        let mut zeros = 0u64;
        for rank in &self.registers {
            if *rank == 0 {
                zeros += 1;
            } else {
                out.number(zeros);
                out.byte(*rank);
                zeros = 0;
            }
        }
        out.number(zeros);
    }

    /// The inverse of [`HyperLogLog::encode`].
    pub fn decode(precision: u8, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut sketch = HyperLogLog::new(precision);
        let mut index = 0usize;
        loop {
            let zeros: usize = input.narrow("register")?;
            index = index
                .checked_add(zeros)
                .filter(|index| *index <= sketch.registers.len())
                .ok_or(DecodeError::Invalid("register"))?;
            if index == sketch.registers.len() {
                return Ok(sketch);
            }
            let rank = input.byte()?;
            if rank == 0 || rank > rank_max(precision) {
                return Err(DecodeError::Invalid("rank"));
            }
            sketch.raise(index, rank);
            index += 1;
        }
    }

    #[inline]
    fn raise(&mut self, index: usize, rank: u8) {
        let register = &mut self.registers[index];
        if rank > *register {
            self.histogram[usize::from(*register)] -= 1;
            self.histogram[usize::from(rank)] += 1;
            *register = rank;
        }
    }
}

fn rank_max(precision: u8) -> u8 {
    64 - precision + 1
}

/// x + sum of x^(2^k) 2^(k-1) for k from 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let mut y = 1.0;
    let mut z = x;
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// (1 - x - sum of (1 - x^(2^-k))^2 2^-k for k from 1) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let mut y = 1.0;
    let mut z = 1.0 - x;
    loop {
        x = libm::sqrt(x);
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
