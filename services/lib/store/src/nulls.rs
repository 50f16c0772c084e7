use tocsin_model::{BetaLaw, GammaLaw, PlatformId, PlatformNull};

use crate::StoreError;

/// The platform (2 bytes), then its 24 hours and the figures of both laws (8 bytes each), all little-endian: what comes back has the same
/// bits, which text would not promise.
const BYTES: usize = 2 + 28 * 8;

/// The nulls as they stand in a calibration's row.
pub(crate) fn to_bytes(nulls: &[PlatformNull]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(nulls.len() * BYTES);
    for null in nulls {
        bytes.extend_from_slice(&null.platform.0.to_le_bytes());
        let PlatformNull {
            reuploads, base_rate, ..
        } = null;
        let laws = [reuploads.uploads, reuploads.shares, base_rate.copies, base_rate.hours];
        for figure in null.hours.into_iter().chain(laws) {
            bytes.extend_from_slice(&figure.to_le_bytes());
        }
    }
    bytes
}

/// The nulls in a row.
///
/// # Errors
/// The bytes are not whole records.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<PlatformNull>, StoreError> {
    let (records, rest) = bytes.as_chunks::<BYTES>();
    match rest {
        [] => Ok(records.iter().map(null).collect()),
        _ => Err(StoreError::Malformed { field: "nulls" }),
    }
}

fn null(record: &[u8; BYTES]) -> PlatformNull {
    let (platform, figures) = record.split_first_chunk::<2>().expect("a record is longer");
    let figures = figures.as_chunks::<8>().0;
    let figure = |place: usize| f64::from_le_bytes(figures[place]);
    PlatformNull {
        platform: PlatformId(u16::from_le_bytes(*platform)),
        hours: std::array::from_fn(figure),
        reuploads: BetaLaw {
            uploads: figure(24),
            shares: figure(25),
        },
        base_rate: GammaLaw {
            copies: figure(26),
            hours: figure(27),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_bit_comes_back_and_a_part_of_a_record_is_refused() {
        let null = |platform: u16| PlatformNull {
            platform: PlatformId(platform),
            hours: std::array::from_fn(|hour| 0.1 + hour as f64 / 7.0),
            reuploads: BetaLaw::with(0.02, 2.0),
            base_rate: GammaLaw {
                copies: 0.1,
                hours: 0.5,
            },
        };
        let nulls = [null(1), null(u16::MAX)];
        let bytes = to_bytes(&nulls);
        assert_eq!(from_bytes(&bytes).unwrap(), nulls);
        assert_eq!(from_bytes(&[]).unwrap(), []);
        assert!(from_bytes(&bytes[..BYTES + 1]).is_err());
    }
}
