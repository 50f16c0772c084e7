//! The byte layout of state: little-endian fixed numbers, LEB128 variable ones, lengths before bytes. One value has one encoding, so that
//! equal states have equal bytes.

/// Bytes that are not the state they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("state bytes end too early")]
    Truncated,
    /// A number is outside its range: named by the field.
    #[error("state bytes hold an impossible {0}")]
    Invalid(&'static str),
    /// Bytes are left over.
    #[error("state bytes are followed by others")]
    TrailingBytes,
}

/// Writes state.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

/// Reads state, trusting nothing.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A number, small ones in few bytes (LEB128).
    #[inline]
    pub fn number(&mut self, value: u64) {
        match value {
            0..0x80 => self.bytes.push(value as u8),
            _ => self.large_number(value),
        }
    }

    fn large_number(&mut self, mut value: u64) {
        let (mut bytes, mut length) = ([0; 10], 0);
        while value >= 0x80 {
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.bytes.extend_from_slice(&bytes[..=length]);
    }

    /// A signed number, zigzag.
    pub fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Eight bytes.
    pub fn fixed64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Sixteen bytes.
    pub fn fixed128(&mut self, value: u128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A floating-point number by its bits.
    pub fn float(&mut self, value: f64) {
        self.fixed64(value.to_bits());
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Bytes without a length, for a field whose size the reader knows.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// The same, borrowed.
    pub fn written(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins anew in the same memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

impl<'a> Decoder<'a> {
    /// A reader of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Decoder { rest: bytes }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A number as [`Encoder::number`] wrote it; a longer form of the same number is refused.
    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Invalid("number"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(DecodeError::Invalid("number"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(DecodeError::Invalid("number"))
    }

    /// A number that must fit the type asked for.
    pub fn narrow<T: TryFrom<u64>>(&mut self, field: &'static str) -> Result<T, DecodeError> {
        T::try_from(self.number()?).map_err(|_| DecodeError::Invalid(field))
    }

    /// A length of items that take at least `item_bytes_min` bytes each, so that no length asks for more memory than the input pays for.
    pub fn length(&mut self, item_bytes_min: usize) -> Result<usize, DecodeError> {
        let length: usize = self.narrow("length")?;
        if length.saturating_mul(item_bytes_min.max(1)) > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        Ok(length)
    }

    /// A signed number, zigzag.
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Eight bytes.
    pub fn fixed64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(
            self.raw(8)?.try_into().expect("eight bytes were taken"),
        ))
    }

    /// Sixteen bytes.
    pub fn fixed128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(
            self.raw(16)?.try_into().expect("sixteen bytes were taken"),
        ))
    }

    /// A floating-point number by its bits.
    pub fn float(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length(1)?;
        self.raw(length)
    }

    /// That many bytes.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        if length > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Bytes are left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is written is read back, one value has one encoding, and no bytes from outside panic.
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{DecodeError, Decoder, Encoder};

    fn written(write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
        let mut out = Encoder::new();
        write(&mut out);
        out.finish()
    }

    #[test]
    fn numbers_have_the_bytes_of_leb128() {
        for (value, bytes) in [
            (0u64, vec![0u8]),
            (127, vec![0x7f]),
            (128, vec![0x80, 1]),
            (300, vec![0xac, 2]),
            (u64::MAX, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            assert_eq!(written(|out| out.number(value)), bytes);
            assert_eq!(Decoder::new(&bytes).number(), Ok(value));
        }
    }

    #[test]
    fn a_second_form_of_a_number_is_refused() {
        for bytes in [
            &[0x80, 0][..],
            &[0xff, 0x80, 0],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert_eq!(
                Decoder::new(bytes).number(),
                Err(DecodeError::Invalid("number")),
                "{bytes:?}"
            );
        }
        assert_eq!(Decoder::new(&[0x80]).number(), Err(DecodeError::Truncated));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        let bytes = written(|out| out.number(u64::MAX));
        assert_eq!(Decoder::new(&bytes).length(8), Err(DecodeError::Truncated));
        let bytes = written(|out| out.bytes(b"abc"));
        assert_eq!(Decoder::new(&bytes).bytes(), Ok(&b"abc"[..]));
        assert_eq!(Decoder::new(&bytes[..3]).bytes(), Err(DecodeError::Truncated));
        assert_eq!(Decoder::new(&bytes).finish(), Err(DecodeError::TrailingBytes));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, signed: i64, wide: u128, float: f64, byte: u8, text in prop::collection::vec(any::<u8>(), 0..40)) {
            let bytes = written(|out| {
                out.number(number);
                out.signed(signed);
                out.fixed128(wide);
                out.float(float);
                out.byte(byte);
                out.bytes(&text);
                out.fixed64(number);
                out.raw(&text);
            });
            let mut input = Decoder::new(&bytes);
            prop_assert_eq!(input.number(), Ok(number));
            prop_assert_eq!(input.signed(), Ok(signed));
            prop_assert_eq!(input.fixed128(), Ok(wide));
            prop_assert_eq!(input.float().map(f64::to_bits), Ok(float.to_bits()));
            prop_assert_eq!(input.byte(), Ok(byte));
            prop_assert_eq!(input.bytes(), Ok(&text[..]));
            prop_assert_eq!(input.fixed64(), Ok(number));
            prop_assert_eq!(input.raw(text.len()), Ok(&text[..]));
            prop_assert_eq!(input.finish(), Ok(()));
        }

        #[test]
        fn an_encoder_that_begins_anew_writes_as_a_new_one(before: u64, after: u64) {
            let mut out = Encoder::new();
            out.number(before);
            out.clear();
            out.number(after);
            let new = written(|out| out.number(after));
            prop_assert_eq!(out.written(), &new[..]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), order in prop::collection::vec(0u8..7, 0..16)) {
            let mut input = Decoder::new(&bytes);
            for what in order {
                let before = input.remaining();
                let refused = match what {
                    0 => input.number().is_err(),
                    1 => input.signed().is_err(),
                    2 => input.fixed64().is_err(),
                    3 => input.fixed128().is_err(),
                    4 => input.bytes().is_err(),
                    5 => input.narrow::<u16>("field").is_err(),
                    _ => input.length(4).is_ok_and(|length| length * 4 > before),
                };
                prop_assert!(refused || input.remaining() <= before);
            }
        }
    }
}
