//! Blocks of sightings for one partition of `tocsin.sightings`.
//!
//! Layout, all numbers little-endian:
//!
//! | part | bytes |
//! | --- | --- |
//! | magic | `TOCB`, then the version of the layout, 1 (1 byte) |
//! | flags | 1 byte: bit 0, the columns are lz4 |
//! | sightings | their number n, 1 to [`SIGHTINGS_MAX`] (2) |
//! | key epoch | 4 |
//! | names | their length in bytes (2); then parties and platforms: a count (2) and per name its number (2), length (1) and text |
//! | columns | their length before (4) and after (4) compression; then the bytes |
//! | keyed | the length of the hash bytes (4); then per sighting content id (16), event token (8), account token (8); then all hash bytes |
//! | checksum | xxh3-64 of everything before it (8) |
//!
//! The columns hold, one after the other and each for all sightings, what compresses well: source id (8), offset (8), index (4), party (2),
//! platform (2), kind, sharing, surface, clock (1 each), occurred_at, received_at (8 each), account epoch (4), audience (4), region (2),
//! language (2), tvec confidence (1), algorithm (1), hash length (2), whether there is an account (1). What is keyed or hashed does not
//! compress and is left as it is. A block holds no more than these and a reader checks every length and number before it hands out the
//! first sighting.

mod columns;
mod reader;
mod writer;

pub use reader::{BlockReader, Sightings};
pub use writer::{BlockFull, BlockWriter, SightingNames};

/// The most sightings in a block.
pub const SIGHTINGS_MAX: usize = 512;
/// The most bytes of hash values in a block; the writer is full before.
pub const HASH_BYTES_MAX: usize = 128 << 10;
/// The most bytes of names in a block; the writer is full before.
pub const NAME_BYTES_MAX: usize = 60_000;
/// The largest block.
pub const BLOCK_BYTES_MAX: usize = 512 << 10;

const MAGIC: [u8; 5] = *b"TOCB\x01";
const FLAG_LZ4: u8 = 1;
const KEYED_BYTES: usize = 16 + 8 + 8;

/// Why bytes are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// They do not begin with the magic of a known version.
    #[error("not a block of a known version")]
    UnknownVersion,
    /// They are larger than a block may be.
    #[error("a block is at most {BLOCK_BYTES_MAX} bytes")]
    TooLarge,
    /// The checksum does not match: they were damaged.
    #[error("the block's checksum does not match")]
    Checksum,
    /// The checksum matches but a length or value is impossible: named by the field.
    #[error("the block's {0} is impossible")]
    Invalid(&'static str),
}

/// The checksum at the end of a block whose other bytes are `body`.
pub fn checksum(body: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(body)
}

#[cfg(test)]
mod tests;
