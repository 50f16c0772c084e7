use tocsin_model::{KeyEpoch, Name, PartyId, PlatformId, Sighting};

use super::columns::{self as column, COLUMN_BYTES};
use super::{FLAG_LZ4, HASH_BYTES_MAX, KEYED_BYTES, MAGIC, NAME_BYTES_MAX, SIGHTINGS_MAX, checksum};
use crate::Names;

/// Packs sightings into a block. Reused from block to block; what it holds is bounded by [`SIGHTINGS_MAX`], [`HASH_BYTES_MAX`] and
/// [`NAME_BYTES_MAX`].
#[derive(Debug)]
pub struct BlockWriter {
    key_epoch: KeyEpoch,
    rows: Vec<Row>,
    keyed: Vec<u8>,
    hashes: Vec<u8>,
    /// The names of all blocks so far: most blocks name the same ones.
    known: Names,
    /// Those of this block, ascending.
    parties: Vec<PartyId>,
    platforms: Vec<PlatformId>,
    name_bytes: usize,
    columns: Vec<u8>,
}

/// What a writer keeps of a sighting until the columns can be laid out. 8-byte values first.
#[derive(Clone, Copy, Debug)]
struct Row {
    source: u64,
    offset: u64,
    occurred_at: i64,
    received_at: i64,
    index: u32,
    account_epoch: u32,
    audience: u32,
    party: u16,
    platform: u16,
    hash_length: u16,
    region: [u8; 2],
    language: [u8; 2],
    kind: u8,
    sharing: u8,
    surface: u8,
    clock: u8,
    tvec: u8,
    algorithm: u8,
    has_account: u8,
}

/// The names that go with a sighting.
#[derive(Clone, Copy, Debug)]
pub struct SightingNames<'a> {
    /// The name of the sighting's party.
    pub party: &'a Name,
    /// The name of the sighting's platform.
    pub platform: &'a Name,
}

/// The block has no room for the sighting: finish it, and push the sighting again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block is full")]
pub struct BlockFull;

/// Bytes of a block that are there whatever it holds: magic, flags, number, epoch, lengths and checksum.
const FIXED_BYTES: usize = 5 + 1 + 2 + 4 + 2 + 8 + 4 + 8;

impl BlockWriter {
    /// An empty writer; the account tokens of its sightings are of `key_epoch`.
    pub fn new(key_epoch: KeyEpoch) -> Self {
        BlockWriter {
            key_epoch,
            rows: Vec::new(),
            keyed: Vec::new(),
            hashes: Vec::new(),
            known: Names::default(),
            parties: Vec::new(),
            platforms: Vec::new(),
            name_bytes: 4,
            columns: Vec::new(),
        }
    }

    /// How many sightings it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it holds [`SIGHTINGS_MAX`].
    pub fn is_full(&self) -> bool {
        self.rows.len() == SIGHTINGS_MAX
    }

    /// Adds a sighting.
    ///
    /// # Errors
    /// There is no room; nothing was added. An empty writer has room for any one sighting.
    pub fn push(&mut self, sighting: &Sighting<'_>, names: SightingNames<'_>) -> Result<(), BlockFull> {
        let hash = sighting.hash.value;
        let hash_length = u16::try_from(hash.len()).map_err(|_| BlockFull)?;
        if self.is_full() || self.hashes.len() + hash.len() > HASH_BYTES_MAX {
            return Err(BlockFull);
        }
        self.add_names(sighting, names)?;
        self.hashes.extend_from_slice(hash);
        self.keyed.extend_from_slice(&sighting.content.0.to_le_bytes());
        self.keyed.extend_from_slice(&sighting.event_token.to_le_bytes());
        self.keyed
            .extend_from_slice(&sighting.account.map_or(0, |token| token.0).to_le_bytes());
        self.rows.push(Row {
            source: sighting.source.source.0,
            offset: sighting.source.offset,
            occurred_at: sighting.occurred_at.0,
            received_at: sighting.received_at.0,
            index: sighting.source.index,
            account_epoch: sighting.account_epoch,
            audience: sighting.audience,
            party: sighting.party.0,
            platform: sighting.platform.0,
            hash_length,
            region: sighting.region,
            language: sighting.language,
            kind: sighting.kind as u8,
            sharing: sighting.sharing as u8,
            surface: sighting.surface as u8,
            clock: sighting.clock as u8,
            tvec: sighting.tvec_confidence,
            algorithm: sighting.hash.algorithm as u8,
            has_account: u8::from(sighting.account.is_some()),
        });
        Ok(())
    }

    fn add_names(&mut self, sighting: &Sighting<'_>, names: SightingNames<'_>) -> Result<(), BlockFull> {
        let party = self.parties.binary_search(&sighting.party);
        let platform = self.platforms.binary_search(&sighting.platform);
        if party.is_ok() && platform.is_ok() {
            return Ok(());
        }
        let entry = |new: bool, name: &Name| if new { 3 + name.as_str().len() } else { 0 };
        let added = entry(party.is_err(), names.party) + entry(platform.is_err(), names.platform);
        if self.name_bytes + added > NAME_BYTES_MAX {
            return Err(BlockFull);
        }
        self.name_bytes += added;
        if let Err(place) = party {
            self.parties.insert(place, sighting.party);
            if self.known.parties.get(&sighting.party) != Some(names.party) {
                self.known.parties.insert(sighting.party, names.party.clone());
            }
        }
        if let Err(place) = platform {
            self.platforms.insert(place, sighting.platform);
            if self.known.platforms.get(&sighting.platform) != Some(names.platform) {
                self.known.platforms.insert(sighting.platform, names.platform.clone());
            }
        }
        Ok(())
    }

    /// At most how many bytes the block has that is made of what it holds.
    pub fn bytes_max(&self) -> usize {
        let columns = lz4_flex::block::get_maximum_output_size(self.rows.len() * COLUMN_BYTES);
        FIXED_BYTES + self.name_bytes + columns + self.keyed.len() + self.hashes.len()
    }

    /// The block of everything pushed since the last one, appended to `out`; the writer is empty afterwards.
    ///
    /// Nothing is appended when it holds nothing.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.rows.is_empty() {
            return;
        }
        let begin = out.len();
        out.extend_from_slice(&MAGIC);
        let flags_at = out.len();
        out.push(0);
        out.extend_from_slice(&(self.rows.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.key_epoch.0.to_le_bytes());
        self.put_names(out);

        self.lay_out_columns();
        if self.put_columns(out) {
            out[flags_at] |= FLAG_LZ4;
        }

        out.extend_from_slice(&(self.hashes.len() as u32).to_le_bytes());
        debug_assert_eq!(self.keyed.len(), self.rows.len() * KEYED_BYTES);
        out.extend_from_slice(&self.keyed);
        out.extend_from_slice(&self.hashes);
        let checksum = checksum(&out[begin..]);
        out.extend_from_slice(&checksum.to_le_bytes());
        self.clear();
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.keyed.clear();
        self.hashes.clear();
        self.parties.clear();
        self.platforms.clear();
        self.name_bytes = 4;
    }

    fn put_names(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.name_bytes as u16).to_le_bytes());
        let parties = self.parties.iter().map(|id| (id.0, &self.known.parties[id]));
        let platforms = self.platforms.iter().map(|id| (id.0, &self.known.platforms[id]));
        put_dictionary(out, parties);
        put_dictionary(out, platforms);
    }

    fn lay_out_columns(&mut self) {
        let count = self.rows.len();
        self.columns.clear();
        self.columns.resize(count * COLUMN_BYTES, 0);
        let columns = &mut self.columns;
        for (row, value) in self.rows.iter().enumerate() {
            column::SOURCE.set(columns, count, row, value.source.to_le_bytes());
            column::OFFSET.set(columns, count, row, value.offset.to_le_bytes());
            column::INDEX.set(columns, count, row, value.index.to_le_bytes());
            column::PARTY.set(columns, count, row, value.party.to_le_bytes());
            column::PLATFORM.set(columns, count, row, value.platform.to_le_bytes());
            column::KIND.set(columns, count, row, [value.kind]);
            column::SHARING.set(columns, count, row, [value.sharing]);
            column::SURFACE.set(columns, count, row, [value.surface]);
            column::CLOCK.set(columns, count, row, [value.clock]);
            column::OCCURRED_AT.set(columns, count, row, value.occurred_at.to_le_bytes());
            column::RECEIVED_AT.set(columns, count, row, value.received_at.to_le_bytes());
            column::ACCOUNT_EPOCH.set(columns, count, row, value.account_epoch.to_le_bytes());
            column::AUDIENCE.set(columns, count, row, value.audience.to_le_bytes());
            column::REGION.set(columns, count, row, value.region);
            column::LANGUAGE.set(columns, count, row, value.language);
            column::TVEC.set(columns, count, row, [value.tvec]);
            column::ALGORITHM.set(columns, count, row, [value.algorithm]);
            column::HASH_LENGTH.set(columns, count, row, value.hash_length.to_le_bytes());
            column::HAS_ACCOUNT.set(columns, count, row, [value.has_account]);
        }
    }

    /// Whether the columns were written compressed: only where that saves a quarter.
    fn put_columns(&self, out: &mut Vec<u8>) -> bool {
        let raw = &self.columns;
        let lengths_at = out.len();
        out.extend_from_slice(&[0; 8]);
        let data_at = out.len();
        out.resize(data_at + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
        let compressed = lz4_flex::block::compress_into(raw, &mut out[data_at..]).unwrap_or(usize::MAX);
        let pays = compressed <= raw.len() - raw.len() / 4;
        let stored = if pays { compressed } else { raw.len() };
        if !pays {
            out.truncate(data_at);
            out.extend_from_slice(raw);
        }
        out.truncate(data_at + stored);
        out[lengths_at..][..4].copy_from_slice(&(raw.len() as u32).to_le_bytes());
        out[lengths_at + 4..][..4].copy_from_slice(&(stored as u32).to_le_bytes());
        pays
    }
}

fn put_dictionary<'n>(out: &mut Vec<u8>, entries: impl ExactSizeIterator<Item = (u16, &'n Name)>) {
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    for (id, name) in entries {
        out.extend_from_slice(&id.to_le_bytes());
        out.push(name.as_str().len() as u8);
        out.extend_from_slice(name.as_str().as_bytes());
    }
}
