//! Unpacks gzip within a limit: the rest of a bomb is not even unpacked. Apart from the server, so that it can be fuzzed by itself.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

/// What became of packed bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Inflated {
    /// They were whole: what was in them.
    Whole(Vec<u8>),
    /// More was in them than may be.
    TooLarge,
    /// They are not whole and valid gzip.
    Broken,
}

/// Unpacks gzip of one or several members. What it inflates to is bounded, whatever its size.
pub fn inflate(packed: &[u8], bytes_max: usize) -> Inflated {
    let mut inflated = Vec::new();
    let unpacked = MultiGzDecoder::new(packed)
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut inflated);
    match unpacked {
        Err(_) => Inflated::Broken,
        Ok(_) if inflated.len() > bytes_max => Inflated::TooLarge,
        Ok(_) => Inflated::Whole(inflated),
    }
}
