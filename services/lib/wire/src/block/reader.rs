use std::collections::btree_map::Entry;

use tocsin_model::{
    AccountToken, Algorithm, ClockFlag, ContentHash, ContentId, HashRef, KeyEpoch, Kind, Name, PartyId, PlatformId,
    Sharing, Sighting, SightingKeys, SourceCoordinate, SourceId, Surface, Timestamp,
};

use super::columns::{self as column, COLUMN_BYTES, Column};
use super::{BLOCK_BYTES_MAX, BlockError, FLAG_LZ4, HASH_BYTES_MAX, KEYED_BYTES, MAGIC, SIGHTINGS_MAX, checksum};
use crate::Names;

/// A checked block, borrowed from its bytes and a scratch buffer.
#[derive(Clone, Copy, Debug)]
pub struct BlockReader<'a> {
    count: usize,
    key_epoch: KeyEpoch,
    names: &'a [u8],
    columns: &'a [u8],
    keyed: &'a [u8],
    hashes: &'a [u8],
}

/// The sightings of a block, in the order they were pushed.
#[derive(Clone, Debug)]
pub struct Sightings<'a> {
    block: BlockReader<'a>,
    row: usize,
    hashes_read: usize,
}

/// Takes parts off the front of a block.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], BlockError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BlockError::Invalid(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, BlockError> {
        Ok(self.take(1, field)?[0])
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, BlockError> {
        let bytes = self.take(2, field)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, BlockError> {
        let bytes = self.take(4, field)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

impl<'a> BlockReader<'a> {
    /// Checks a block. `scratch` is used when the columns are compressed; it grows to [`COLUMN_BYTES`] for each of at most
    /// [`SIGHTINGS_MAX`] sightings and can be used again for the next block.
    ///
    /// # Errors
    /// The bytes are not a block, or were damaged.
    pub fn new(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<BlockReader<'a>, BlockError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(BlockError::UnknownVersion);
        }
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(BlockError::TooLarge);
        }
        let (body, stated) = bytes.split_last_chunk::<8>().ok_or(BlockError::Checksum)?;
        if checksum(body) != u64::from_le_bytes(*stated) {
            return Err(BlockError::Checksum);
        }
        let mut parts = Parts(&body[MAGIC.len().min(body.len())..]);
        let flags = parts.byte("flags")?;
        if flags & !FLAG_LZ4 != 0 {
            return Err(BlockError::Invalid("flags"));
        }
        let count = usize::from(parts.u16("count")?);
        if count == 0 || count > SIGHTINGS_MAX {
            return Err(BlockError::Invalid("count"));
        }
        let key_epoch = KeyEpoch(parts.u32("key epoch")?);
        let names_length = usize::from(parts.u16("names length")?);
        let names = parts.take(names_length, "names")?;

        let raw_length = parts.u32("columns length")? as usize;
        let stored_length = parts.u32("columns length")? as usize;
        if raw_length != count * COLUMN_BYTES {
            return Err(BlockError::Invalid("columns length"));
        }
        let stored = parts.take(stored_length, "columns")?;
        let columns = if flags & FLAG_LZ4 == 0 {
            stored
        } else {
            scratch.resize(raw_length, 0);
            let written =
                lz4_flex::block::decompress_into(stored, scratch).map_err(|_| BlockError::Invalid("columns"))?;
            &scratch[..written]
        };
        if columns.len() != raw_length {
            return Err(BlockError::Invalid("columns"));
        }

        let hashes_length = parts.u32("hashes length")? as usize;
        if hashes_length > HASH_BYTES_MAX {
            return Err(BlockError::Invalid("hashes length"));
        }
        let keyed = parts.take(count * KEYED_BYTES, "keyed")?;
        let hashes = parts.take(hashes_length, "hashes")?;
        if !parts.0.is_empty() {
            return Err(BlockError::Invalid("length"));
        }
        let block = BlockReader {
            count,
            key_epoch,
            names,
            columns,
            keyed,
            hashes,
        };
        block.check_columns()?;
        block.each_name(|_, _| {})?;
        Ok(block)
    }

    /// How many sightings.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never: a block holds at least one.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The epoch of the key behind the account tokens.
    pub fn key_epoch(&self) -> KeyEpoch {
        self.key_epoch
    }

    /// The names of every party and platform in the block.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        self.add_names(&mut names);
        names
    }

    /// Adds the names that are not known yet. Costs no allocation where all are.
    pub fn add_names(&self, names: &mut Names) {
        // Each was checked when the block was.
        let _ = self.each_name(|whose, text| match whose {
            Whose::Party(id) => {
                if let Entry::Vacant(place) = names.parties.entry(id)
                    && let Ok(name) = text.parse()
                {
                    place.insert(name);
                }
            }
            Whose::Platform(id) => {
                if let Entry::Vacant(place) = names.platforms.entry(id)
                    && let Ok(name) = text.parse()
                {
                    place.insert(name);
                }
            }
        });
    }

    /// The sightings.
    pub fn sightings(&self) -> Sightings<'a> {
        Sightings {
            block: *self,
            row: 0,
            hashes_read: 0,
        }
    }

    /// The keys of each sighting, in their order, for whoever reads ahead.
    pub fn keys(&self) -> impl Iterator<Item = SightingKeys> + 'a {
        let (columns, count) = (self.columns, self.count);
        let keyed = self.keyed.chunks_exact(KEYED_BYTES).enumerate();
        keyed.filter_map(move |(row, keyed)| {
            let (content, rest) = keyed.split_first_chunk::<16>()?;
            let (event_token, rest) = rest.split_first_chunk::<8>()?;
            let account = rest.first_chunk::<8>()?;
            Some(SightingKeys {
                content: ContentId(u128::from_le_bytes(*content)),
                event_token: u64::from_le_bytes(*event_token),
                platform: PlatformId(u16::from_le_bytes(column::PLATFORM.get(columns, count, row))),
                account: AccountToken(u64::from_le_bytes(*account)),
            })
        })
    }

    fn check_columns(&self) -> Result<(), BlockError> {
        let each = |column: Column, field: &'static str, valid: fn(u8) -> bool| {
            let values = column.of(self.columns, self.count);
            if values.iter().all(|&value| valid(value)) {
                Ok(())
            } else {
                Err(BlockError::Invalid(field))
            }
        };
        each(column::KIND, "kind", |value| usize::from(value) < Kind::ALL.len())?;
        each(column::SHARING, "sharing", |value| {
            Sharing::from_number(value).is_some()
        })?;
        each(column::SURFACE, "surface", |value| {
            usize::from(value) < Surface::ALL.len()
        })?;
        each(column::CLOCK, "clock", |value| ClockFlag::from_number(value).is_some())?;
        each(column::ALGORITHM, "algorithm", |value| {
            Algorithm::from_number(value).is_some()
        })?;
        each(column::HAS_ACCOUNT, "account flag", |value| value <= 1)?;
        let mut rest = Parts(self.hashes);
        for row in 0..self.count {
            let length = usize::from(u16::from_le_bytes(column::HASH_LENGTH.get(
                self.columns,
                self.count,
                row,
            )));
            let [number] = column::ALGORITHM.get(self.columns, self.count, row);
            let value = rest.take(length, "hash length")?;
            let algorithm = Algorithm::from_number(number).ok_or(BlockError::Invalid("algorithm"))?;
            ContentHash::check(algorithm, value, None).map_err(|_| BlockError::Invalid("hash"))?;
        }
        if !rest.0.is_empty() {
            return Err(BlockError::Invalid("hashes length"));
        }
        Ok(())
    }

    fn each_name(&self, mut sink: impl FnMut(Whose, &'a str)) -> Result<(), BlockError> {
        let mut parts = Parts(self.names);
        for _ in 0..parts.u16("names")? {
            let id = PartyId(parts.u16("names")?);
            sink(Whose::Party(id), read_name(&mut parts)?);
        }
        for _ in 0..parts.u16("names")? {
            let id = PlatformId(parts.u16("names")?);
            sink(Whose::Platform(id), read_name(&mut parts)?);
        }
        if parts.0.is_empty() {
            Ok(())
        } else {
            Err(BlockError::Invalid("names"))
        }
    }

    fn sighting(&self, row: usize, hash: &'a [u8]) -> Option<Sighting<'a>> {
        let (columns, count) = (self.columns, self.count);
        let (content, rest) = self.keyed[row * KEYED_BYTES..].split_first_chunk::<16>()?;
        let (event_token, rest) = rest.split_first_chunk::<8>()?;
        let (account, _) = rest.split_first_chunk::<8>()?;
        let byte = |column: Column| column.get::<1>(columns, count, row)[0];
        Some(Sighting {
            source: SourceCoordinate {
                source: SourceId(u64::from_le_bytes(column::SOURCE.get(columns, count, row))),
                offset: u64::from_le_bytes(column::OFFSET.get(columns, count, row)),
                index: u32::from_le_bytes(column::INDEX.get(columns, count, row)),
            },
            event_token: u64::from_le_bytes(*event_token),
            party: PartyId(u16::from_le_bytes(column::PARTY.get(columns, count, row))),
            platform: PlatformId(u16::from_le_bytes(column::PLATFORM.get(columns, count, row))),
            kind: Kind::from_number(byte(column::KIND)),
            sharing: Sharing::from_number(byte(column::SHARING))?,
            surface: Surface::from_number(byte(column::SURFACE)),
            clock: ClockFlag::from_number(byte(column::CLOCK))?,
            occurred_at: Timestamp(i64::from_le_bytes(column::OCCURRED_AT.get(columns, count, row))),
            received_at: Timestamp(i64::from_le_bytes(column::RECEIVED_AT.get(columns, count, row))),
            content: ContentId(u128::from_le_bytes(*content)),
            hash: HashRef {
                algorithm: Algorithm::from_number(byte(column::ALGORITHM))?,
                value: hash,
            },
            account: (byte(column::HAS_ACCOUNT) == 1).then_some(AccountToken(u64::from_le_bytes(*account))),
            account_epoch: u32::from_le_bytes(column::ACCOUNT_EPOCH.get(columns, count, row)),
            audience: u32::from_le_bytes(column::AUDIENCE.get(columns, count, row)),
            region: column::REGION.get(columns, count, row),
            language: column::LANGUAGE.get(columns, count, row),
            tvec_confidence: byte(column::TVEC),
        })
    }
}

impl<'a> Iterator for Sightings<'a> {
    type Item = Sighting<'a>;

    fn next(&mut self) -> Option<Sighting<'a>> {
        let block = self.block;
        if self.row == block.count {
            return None;
        }
        let length = u16::from_le_bytes(column::HASH_LENGTH.get(block.columns, block.count, self.row));
        let hash = block.hashes.get(self.hashes_read..)?.get(..usize::from(length))?;
        let sighting = block.sighting(self.row, hash)?;
        self.row += 1;
        self.hashes_read += usize::from(length);
        Some(sighting)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.block.count - self.row;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Sightings<'_> {}

/// Whose name it is.
enum Whose {
    Party(PartyId),
    Platform(PlatformId),
}

fn read_name<'a>(parts: &mut Parts<'a>) -> Result<&'a str, BlockError> {
    let length = usize::from(parts.byte("names")?);
    std::str::from_utf8(parts.take(length, "names")?)
        .ok()
        .filter(|text| Name::check(text).is_ok())
        .ok_or(BlockError::Invalid("names"))
}
