/// A stream of pseudo-random numbers: SplitMix64 (Steele, Lea and Flood, 2014).
///
/// Written out here because a scenario must be the same for ever: a generator from a library may change its algorithm between versions.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The stream of one purpose: streams of different purposes and numbers do not depend on each other.
    pub(crate) fn of(seed: u64, purpose: &str, number: u64) -> Self {
        let mut state = Draw(seed);
        for byte in purpose.bytes() {
            state.0 = state.next() ^ u64::from(byte);
        }
        state.0 = state.next() ^ number;
        Draw(state.next())
    }

    /// A stream that goes on from random bits.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Draw(bits)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..`end`; the bias is below 2^-32 for the ranges used here.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential of mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log1p(-self.unit())
    }

    /// A heavy-tailed whole number, Pareto of index 1.2, from `least` to ten million.
    pub(crate) fn heavy(&mut self, least: f64) -> u32 {
        (least * libm::pow(1.0 - self.unit(), -1.0 / 1.2)).min(1e7) as u32
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

/// A choice among weighted places, by a table of cumulated weights.
#[derive(Clone, Debug)]
pub(crate) struct Weighted(Vec<f64>);

impl Weighted {
    pub(crate) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        Weighted(
            weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        )
    }

    /// Zipf's law over `places`: the weight of rank k (from 1) is k to the power of minus `exponent`.
    pub(crate) fn zipf(places: u32, exponent: f64) -> Self {
        Weighted::new((1..=places).map(|rank| libm::pow(f64::from(rank), -exponent)))
    }

    /// The place drawn. There must be one.
    pub(crate) fn draw(&self, draw: &mut Draw) -> usize {
        let total = self.0.last().copied().unwrap_or(0.0);
        let at = draw.unit() * total;
        self.0
            .partition_point(|cumulated| *cumulated <= at)
            .min(self.0.len() - 1)
    }
}
