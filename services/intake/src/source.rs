use std::collections::BTreeMap;

use tocsin_model::{Milliseconds, PlatformId, Sharing, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::clock::{Corrected, SourceClock};

/// What intake keeps of one source partition. Written to `tocsin.intake`, so that whoever reads the source next decides the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// The offset of the next record to read.
    pub next_offset: u64,
    /// The clocks, per platform and sharing: what a reader may not see must not move the times of what it sees.
    clocks: BTreeMap<(PlatformId, Sharing), SourceClock>,
}

/// The version of the layout below.
const VERSION: u64 = 1;

impl SourceState {
    /// Corrects an event's time by its source's clock.
    pub fn correct(
        &mut self,
        source: (PlatformId, Sharing),
        occurred_at: Timestamp,
        received_at: Timestamp,
        lateness: Milliseconds,
    ) -> Corrected {
        self.clocks
            .entry(source)
            .or_default()
            .correct(occurred_at, received_at, lateness)
    }

    /// The bytes that go to `tocsin.intake`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.number(VERSION);
        out.number(self.next_offset);
        out.number(self.clocks.len() as u64);
        for ((platform, sharing), clock) in &self.clocks {
            out.number(u64::from(platform.0));
            out.byte(*sharing as u8);
            clock.encode(&mut out);
        }
        out.finish()
    }

    /// The state in these bytes.
    ///
    /// # Errors
    /// They are not a state of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        if input.number()? != VERSION {
            return Err(DecodeError::Invalid("version of a source state"));
        }
        let mut state = SourceState {
            next_offset: input.number()?,
            clocks: BTreeMap::new(),
        };
        for _ in 0..input.length(5)? {
            let platform = PlatformId(input.narrow("platform")?);
            let sharing = Sharing::from_number(input.byte()?).ok_or(DecodeError::Invalid("sharing"))?;
            state
                .clocks
                .insert((platform, sharing), SourceClock::decode(&mut input)?);
        }
        input.finish()?;
        Ok(state)
    }
}
