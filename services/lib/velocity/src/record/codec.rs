use tocsin_model::{Algorithm, ContentHash, ContentId, FamilyId, Joined, Kind, PartyId, PlatformId, Timestamp};
use tocsin_sketch::Reach;
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use super::{Before, Cell, HotRecord, Listing, PlatformReach, Signals};
use crate::bins::Series;
use crate::breakdown::Breakdown;
use crate::deadline::decode_class;
use crate::edge::{decode_joined, encode_joined};
use crate::flood::Flood;
use crate::live::Live;
use crate::voice::Voice;
use crate::watched::{decode_severity, encode_severity};

/// What stands behind the rest of a record.
const LIVE: u8 = 1;
const JOINED: u8 = 2;
const LISTING: u8 = 4;

impl HotRecord {
    /// The record's bytes: one encoding per record.
    pub fn encode(&self, out: &mut Encoder) {
        self.encode_with(self.joined.as_ref(), self.listing.as_deref(), out);
    }

    /// The same without what came of it since it was listed.
    pub(crate) fn encode_member(&self, out: &mut Encoder) {
        self.encode_with(self.joined.as_ref(), None, out);
    }

    /// What not every record has stands behind the rest and is announced in the last flags.
    fn encode_with(&self, joined: Option<&Joined>, listing: Option<&Listing>, out: &mut Encoder) {
        out.fixed128(self.content.0);
        out.number(u64::from(self.class.number()));
        out.fixed128(self.family.0.0);
        out.byte(self.hash.algorithm() as u8);
        out.bytes(self.hash.value());
        out.signed(self.first_seen.0);
        out.signed(self.last_seen.0);
        out.signed(self.exact_since.0);
        self.before.encode(out);
        self.spread.encode(out);
        out.number(self.cells.len() as u64);
        for cell in &self.cells {
            out.number(u64::from(cell.platform.0));
            out.byte(cell.kind as u8);
            out.number(u64::from(cell.party.0));
            cell.series.encode(out);
            cell.voice.encode(out);
        }
        self.surfaces.encode(out);
        self.regions.encode(out);
        self.languages.encode(out);
        out.number(self.reach.len() as u64);
        for entry in &self.reach {
            out.number(u64::from(entry.platform.0));
            out.number(u64::from(entry.first_epoch));
            out.byte(u8::from(entry.epochs_mixed));
            entry.accounts.encode(out);
        }
        out.number(self.signals.without_account);
        out.number(self.signals.removals);
        out.byte(u8::from(self.flood.is_some()));
        if let Some(flood) = &self.flood {
            flood.encode(out);
        }
        out.byte(encode_severity(self.watched));
        let flag = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
        out.byte(flag(LIVE, self.live.is_some()) | flag(JOINED, joined.is_some()) | flag(LISTING, listing.is_some()));
        if let Some(live) = self.live() {
            live.encode(out);
        }
        if joined.is_some() {
            encode_joined(joined, out);
        }
        if let Some(listing) = listing {
            listing.encode(out);
        }
    }

    /// What of the bounds before promotion is probably of others: it stands beside the record's bytes, in the snapshot alone.
    pub(crate) fn encode_others(&self, out: &mut Encoder) {
        out.number(self.before.others.len() as u64);
        for others in &self.before.others {
            out.number(u64::from(*others));
        }
    }

    /// The inverse of [`HotRecord::encode_others`].
    pub(crate) fn decode_others(&mut self, input: &mut Decoder<'_>) -> Result<(), DecodeError> {
        let len = input.length(1)?;
        if len > 0 && len != self.before.since.len() {
            return Err(DecodeError::Invalid("bounds before promotion"));
        }
        for _ in 0..len {
            self.before.others.push(input.narrow("count of others")?);
        }
        Ok(())
    }

    /// The record from its bytes.
    ///
    /// # Errors
    /// The bytes are not a record.
    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let content = ContentId(input.fixed128()?);
        let class = decode_class(input)?;
        let family = FamilyId(ContentId(input.fixed128()?));
        let algorithm = Algorithm::from_number(input.byte()?).ok_or(DecodeError::Invalid("algorithm"))?;
        let hash = ContentHash::from_slice(algorithm, input.bytes()?, None)
            .map_err(|_| DecodeError::Invalid("content hash"))?;
        let mut record = HotRecord::new(content, class, family, hash, Timestamp(0));
        record.first_seen = Timestamp(input.signed()?);
        record.last_seen = Timestamp(input.signed()?);
        record.exact_since = Timestamp(input.signed()?);
        record.before = Before::decode(input)?;
        record.spread = Series::decode(input)?;
        for _ in 0..input.length(12)? {
            let platform = PlatformId(input.narrow("platform")?);
            let kind = Kind::ALL
                .get(usize::from(input.byte()?))
                .copied()
                .ok_or(DecodeError::Invalid("kind"))?;
            record.cells.push(Cell {
                platform,
                kind,
                party: PartyId(input.narrow("party")?),
                series: Series::decode(input)?,
                voice: Voice::decode(input)?,
            });
        }
        record.surfaces = Breakdown::decode(input)?;
        record.regions = Breakdown::decode(input)?;
        record.languages = Breakdown::decode(input)?;
        for _ in 0..input.length(4)? {
            record.reach.push(PlatformReach {
                platform: PlatformId(input.narrow("platform")?),
                first_epoch: input.narrow("epoch")?,
                epochs_mixed: input.byte()? != 0,
                accounts: Reach::decode(input)?,
            });
        }
        record.signals = Signals {
            without_account: input.number()?,
            removals: input.number()?,
        };
        if input.byte()? != 0 {
            record.flood = Some(Flood::decode(input)?);
        }
        record.watched = decode_severity(input)?;
        let flags = input.byte()?;
        if flags > LIVE | JOINED | LISTING {
            return Err(DecodeError::Invalid("flags of a record"));
        }
        if flags & LIVE != 0 {
            record.live = Some(Box::new(Live::decode(input)?));
        }
        if flags & JOINED != 0 {
            record.joined = decode_joined(input)?;
        }
        if flags & LISTING != 0 {
            record.listing = Some(Box::new(Listing::decode(input)?));
        }
        Ok(record)
    }
}
