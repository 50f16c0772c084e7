//! Where each column of a block of n sightings begins.

/// A column: where it begins, in bytes per sighting before it, and how wide it is.
#[derive(Clone, Copy)]
pub(super) struct Column {
    before: usize,
    width: usize,
}

macro_rules! columns {
    ($($name:ident = $before:expr, $width:expr;)*) => {
        $(pub(super) const $name: Column = Column { before: $before, width: $width };)*
    };
}

columns! {
    SOURCE = 0, 8;
    OFFSET = 8, 8;
    INDEX = 16, 4;
    PARTY = 20, 2;
    PLATFORM = 22, 2;
    KIND = 24, 1;
    SHARING = 25, 1;
    SURFACE = 26, 1;
    CLOCK = 27, 1;
    OCCURRED_AT = 28, 8;
    RECEIVED_AT = 36, 8;
    ACCOUNT_EPOCH = 44, 4;
    AUDIENCE = 48, 4;
    REGION = 52, 2;
    LANGUAGE = 54, 2;
    TVEC = 56, 1;
    ALGORITHM = 57, 1;
    HASH_LENGTH = 58, 2;
    HAS_ACCOUNT = 60, 1;
}

/// Bytes of all columns of one sighting.
pub(super) const COLUMN_BYTES: usize = 61;

impl Column {
    /// The bytes of this column in the columns of `count` sightings.
    pub(super) fn of(self, columns: &[u8], count: usize) -> &[u8] {
        &columns[self.before * count..][..self.width * count]
    }

    pub(super) fn of_mut(self, columns: &mut [u8], count: usize) -> &mut [u8] {
        &mut columns[self.before * count..][..self.width * count]
    }

    /// The value of sighting `row`.
    #[inline]
    pub(super) fn get<const N: usize>(self, columns: &[u8], count: usize, row: usize) -> [u8; N] {
        debug_assert_eq!(N, self.width);
        let mut value = [0; N];
        value.copy_from_slice(&columns[self.before * count + row * N..][..N]);
        value
    }

    pub(super) fn set<const N: usize>(self, columns: &mut [u8], count: usize, row: usize, value: [u8; N]) {
        debug_assert_eq!(N, self.width);
        self.of_mut(columns, count)[row * N..][..N].copy_from_slice(&value);
    }
}
