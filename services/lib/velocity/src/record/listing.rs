use tocsin_model::{Kind, PlatformId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use super::HotRecord;

/// What came of a content since it is on the watch list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Since when.
    pub at: Timestamp,
    /// Each platform and kind of which something came since, ascending; [`HotRecord::CELLS_MAX`] at most.
    pub since: Vec<SinceListing>,
}

/// Events of one platform and kind since the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinceListing {
    /// The platform.
    pub platform: PlatformId,
    /// The kind.
    pub kind: Kind,
    /// How many.
    pub events: u64,
    /// When the earliest of them occurred.
    pub first_at: Timestamp,
}

impl Listing {
    pub(crate) fn begun(at: Timestamp) -> Self {
        Listing { at, since: Vec::new() }
    }

    /// Takes an event in, unless it occurred before.
    pub(crate) fn hear(&mut self, platform: PlatformId, kind: Kind, at: Timestamp) {
        if at < self.at {
            return;
        }
        match self
            .since
            .binary_search_by_key(&(platform, kind), |entry| (entry.platform, entry.kind))
        {
            Ok(place) => {
                let entry = &mut self.since[place];
                entry.events += 1;
                entry.first_at = entry.first_at.min(at);
            }
            Err(_) if self.since.len() >= HotRecord::CELLS_MAX => {}
            Err(place) => self.since.insert(
                place,
                SinceListing {
                    platform,
                    kind,
                    events: 1,
                    first_at: at,
                },
            ),
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.signed(self.at.0);
        out.number(self.since.len() as u64);
        for entry in &self.since {
            out.number(u64::from(entry.platform.0));
            out.byte(entry.kind as u8);
            out.number(entry.events);
            out.signed(entry.first_at.0);
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut listing = Listing::begun(Timestamp(input.signed()?));
        for _ in 0..input.length(4)? {
            let platform = PlatformId(input.narrow("platform")?);
            let kind = Kind::ALL.get(usize::from(input.byte()?)).copied();
            listing.since.push(SinceListing {
                platform,
                kind: kind.ok_or(DecodeError::Invalid("kind"))?,
                events: input.number()?,
                first_at: Timestamp(input.signed()?),
            });
        }
        Ok(listing)
    }
}
