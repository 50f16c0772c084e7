//! Perceptual hashes of edited pictures: a hash with bits flipped.

use rand::Rng;
use rand::seq::SliceRandom as _;

/// A PDQ hash with so many bits flipped, each another one; 256 at most.
pub fn flipped(hash: [u8; 32], flips: u32, random: &mut impl Rng) -> [u8; 32] {
    with_flips(hash, &bits(random)[..flips as usize])
}

/// All bits of a PDQ hash, in any order.
pub fn bits(random: &mut impl Rng) -> [u8; 256] {
    let mut bits = std::array::from_fn(|bit| bit as u8);
    bits.shuffle(random);
    bits
}

/// A PDQ hash with these bits flipped.
pub fn with_flips(mut hash: [u8; 32], bits: &[u8]) -> [u8; 32] {
    bits.iter().for_each(|bit| hash[usize::from(bit / 8)] ^= 1 << (bit % 8));
    hash
}
