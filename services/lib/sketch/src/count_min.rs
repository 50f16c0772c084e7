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
