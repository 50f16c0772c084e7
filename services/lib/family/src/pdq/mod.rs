//! PDQ hashes and the index of those within 31 bits of one another.

mod chains;
mod index;

pub use index::{Found, Full, Lookup, PdqIndex, Slot};

use tocsin_model::{Algorithm, ContentHash, Frame};

/// A PDQ hash that may be matched: 256 bits, compared by Hamming distance.
///
/// Davis et al., "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pdq([u64; 4]);

/// Why a hash is not matched by distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmatchable {
    /// It is no PDQ hash.
    #[error("only PDQ hashes are matched by distance")]
    NotPdq,
    /// Its quality is below [`Algorithm::PDQ_QUALITY_MIN`].
    #[error("a PDQ hash of quality below 50 is not matched")]
    LowQuality,
    /// So few or so many of its bits are set that no picture has it.
    #[error("a PDQ hash with fewer than 32 or more than 224 bits set is not of a picture")]
    Degenerate,
}

impl Pdq {
    /// Two hashes at most so many bits apart are of the same picture, by the authors of PDQ.
    pub const DISTANCE_MAX: u32 = 31;

    /// Each bit says whether a coefficient is above the median of all, so about half of a picture's bits are set (112 to 142 in the sets
    /// that its authors publish). What is far from that, as all zeros are, is of a flat picture or made up, and near to all others of
    /// its kind.
    const BITS_SET: std::ops::RangeInclusive<u32> = 32..=224;

    /// The hash to match by.
    ///
    /// # Errors
    /// See [`Unmatchable`].
    pub fn of(hash: &ContentHash) -> Result<Pdq, Unmatchable> {
        if hash.algorithm() != Algorithm::Pdq {
            return Err(Unmatchable::NotPdq);
        }
        if !hash.routes() {
            return Err(Unmatchable::LowQuality);
        }
        let bytes: [u8; 32] = hash.value().try_into().map_err(|_| Unmatchable::NotPdq)?;
        Pdq::of_picture(bytes)
    }

    /// The hash to match a frame of a video by.
    ///
    /// # Errors
    /// As of a picture.
    pub fn of_frame(frame: &Frame) -> Result<Pdq, Unmatchable> {
        if frame.quality < Algorithm::PDQ_QUALITY_MIN {
            return Err(Unmatchable::LowQuality);
        }
        Pdq::of_picture(frame.pdq)
    }

    fn of_picture(bytes: [u8; 32]) -> Result<Pdq, Unmatchable> {
        let pdq = Pdq::from_bytes(bytes);
        let set: u32 = pdq.0.iter().map(|word| word.count_ones()).sum();
        if Pdq::BITS_SET.contains(&set) {
            Ok(pdq)
        } else {
            Err(Unmatchable::Degenerate)
        }
    }

    /// Any 256 bits, in the order of the hexadecimal text.
    pub fn from_bytes(bytes: [u8; 32]) -> Pdq {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        Pdq(words)
    }

    /// The inverse of [`Pdq::from_bytes`].
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *bytes = word.to_be_bytes();
        }
        bytes
    }

    /// In how many of the 256 bits two hashes differ.
    #[inline]
    pub fn distance(&self, other: &Pdq) -> u32 {
        let differing = |place: usize| (self.0[place] ^ other.0[place]).count_ones();
        differing(0) + differing(1) + differing(2) + differing(3)
    }

    /// The chunk at `place` of 16: 16 bits.
    #[inline]
    fn chunk(&self, place: usize) -> u16 {
        (self.0[place / 4] >> (48 - 16 * (place % 4))) as u16
    }
}

#[cfg(test)]
mod tests;
