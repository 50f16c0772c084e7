/// Why bytes are not a datum of their schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// A variable-length number is longer than its type.
    #[error("a number is too long for its type")]
    NumberTooLong,
    /// A length or count is negative.
    #[error("a length is negative")]
    NegativeLength,
    /// An array says it has more items than bytes are left, or a datum has more values of no bytes than it may.
    #[error("an array has more items than bytes")]
    TooManyItems,
    /// An enum or union has no such branch.
    #[error("no such enum symbol or union branch")]
    NoSuchBranch,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A boolean is neither 0 nor 1.
    #[error("a boolean is neither 0 nor 1")]
    NotBoolean,
    /// Records are nested too deeply: 32 values within one another are read.
    #[error("records are nested too deeply")]
    TooDeep,
    /// Bytes follow the datum.
    #[error("bytes follow the datum")]
    TrailingBytes,
    /// The bytes are of a registered writer schema that the newest one cannot read.
    #[error("the writer's schema does not resolve to the newest one")]
    Unresolvable,
}

/// Reads Avro primitives from a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, Malformed> {
        // Most numbers of an event (lengths, branches, symbols) take one byte.
        if let Some((&first, rest)) = self.rest.split_first()
            && first < 0x80
        {
            self.rest = rest;
            return Ok(i64::from(first >> 1) ^ -i64::from(first & 1));
        }
        self.long_of_many_bytes()
    }

    fn long_of_many_bytes(&mut self) -> Result<i64, Malformed> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if index == 9 && byte > 1 {
                return Err(Malformed::NumberTooLong);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(if self.rest.len() < 10 {
            Malformed::Truncated
        } else {
            Malformed::NumberTooLong
        })
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.long()?).map_err(|_| Malformed::NumberTooLong)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::NotBoolean),
        }
    }

    pub(crate) fn float(&mut self) -> Result<f32, Malformed> {
        self.fixed().map(|bytes| f32::from_le_bytes(*bytes))
    }

    pub(crate) fn double(&mut self) -> Result<f64, Malformed> {
        self.fixed().map(|bytes| f64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.long()?).map_err(|_| Malformed::NegativeLength)?;
        self.take(length)
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::NotUtf8)
    }

    /// The number of an enum symbol or a union branch, below `count`.
    #[inline]
    pub(crate) fn branch(&mut self, count: u8) -> Result<u8, Malformed> {
        match u8::try_from(self.long()?) {
            Ok(branch) if branch < count => Ok(branch),
            _ => Err(Malformed::NoSuchBranch),
        }
    }

    /// Whether the second branch of a union of null and something follows.
    #[inline]
    pub(crate) fn present(&mut self) -> Result<bool, Malformed> {
        self.branch(2).map(|branch| branch == 1)
    }

    /// How many items the next block of an array has; 0 ends the array.
    #[inline]
    pub(crate) fn block(&mut self) -> Result<usize, Malformed> {
        let count = self.long()?;
        if count < 0 {
            // A negative count is followed by the block's size in bytes, for readers that skip.
            let size = self.long()?;
            if size < 0 {
                return Err(Malformed::NegativeLength);
            }
        }
        let count = usize::try_from(count.unsigned_abs()).map_err(|_| Malformed::TooManyItems)?;
        // Every item of our schemas takes a byte or more, so a count beyond the bytes left is a lie.
        if count > self.rest.len() {
            return Err(Malformed::TooManyItems);
        }
        Ok(count)
    }

    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::TrailingBytes)
        }
    }
}

/// Steps through the items of an array.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ArrayWalk {
    left_in_block: usize,
}

impl ArrayWalk {
    /// Whether an item follows at the cursor.
    #[inline]
    pub(crate) fn step(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        if self.left_in_block == 0 {
            self.left_in_block = cursor.block()?;
            if self.left_in_block == 0 {
                return Ok(false);
            }
        }
        self.left_in_block -= 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    //! Numbers and lengths from outside are read exactly or refused.
    use super::*;
    use crate::avro::put_long;

    #[test]
    fn every_long_is_read_back() {
        for value in [0, -1, 1, 63, -64, 64, 8_191, i64::MAX, i64::MIN, 1_770_000_000_000] {
            let mut bytes = Vec::new();
            put_long(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.long(), Ok(value));
            assert_eq!(cursor.finish(), Ok(()));
        }
    }

    #[test]
    fn broken_numbers_are_refused() {
        assert_eq!(Cursor::new(&[]).long(), Err(Malformed::Truncated));
        assert_eq!(Cursor::new(&[0x80; 9]).long(), Err(Malformed::Truncated));
        assert_eq!(Cursor::new(&[0xff; 10]).long(), Err(Malformed::NumberTooLong));
        assert_eq!(Cursor::new(&[0x80; 11]).long(), Err(Malformed::NumberTooLong));
        assert_eq!(Cursor::new(&[0x01]).bytes(), Err(Malformed::NegativeLength));
        assert_eq!(Cursor::new(&[0x08, 1]).bytes(), Err(Malformed::Truncated));
        assert_eq!(Cursor::new(&[0x04]).branch(2), Err(Malformed::NoSuchBranch));
        assert_eq!(Cursor::new(&[0xfe, 0x7f]).block(), Err(Malformed::TooManyItems));
    }
}
