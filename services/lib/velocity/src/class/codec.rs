use tocsin_model::{ContentId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use super::{ClassCounts, Hot, Quiet};
use crate::record::{HotRecord, Repeats};
use crate::snapshot::SnapshotLayout;

impl ClassCounts {
    pub(crate) fn encode_hot(&self, layout: SnapshotLayout, out: &mut Encoder) {
        out.signed(self.since.0);
        out.signed(self.looked_at.0);
        out.number(self.quietest.len() as u64);
        for (spread, content) in &self.quietest {
            out.number(*spread);
            out.fixed128(content.0);
        }
        out.number(self.hot.len() as u64);
        for content in self.hot_contents() {
            let Hot { record, quiet, .. } = &self.hot[&content];
            record.encode(out);
            record.repeats.encode(out);
            if layout == SnapshotLayout::Current {
                record.encode_others(out);
            }
            out.number(quiet.copies);
            out.signed(quiet.until.0);
        }
        out.number(self.quarantined.len() as u64);
        for record in self.quarantined.values() {
            record.encode(out);
        }
        if layout == SnapshotLayout::Current {
            self.candidates.encode(out);
            self.removals.encode(out);
        }
    }

    /// The inverse of [`ClassCounts::encode_hot`]; before version 5 nobody noted what accounts repeated, before 6 since when a content is
    /// watched: since `now`, then; and before 10 neither removals of what is not hot nor candidates.
    pub(crate) fn decode_hot(
        &mut self,
        version: u16,
        now: Timestamp,
        input: &mut Decoder<'_>,
    ) -> Result<(), DecodeError> {
        let (has_repeats, has_remembered) = (version >= 5, version >= 10);
        self.since = Timestamp(input.signed()?);
        self.looked_at = Timestamp(input.signed()?);
        for _ in 0..input.length(17)? {
            self.quietest.push((input.number()?, ContentId(input.fixed128()?)));
        }
        for _ in 0..input.length(42)? {
            let mut record = HotRecord::decode(input)?;
            if has_repeats {
                record.repeats = Repeats::decode(input)?;
            }
            if has_remembered {
                record.decode_others(input)?;
            }
            record.set_watched(record.watched().map(|severity| (severity, now)));
            let content = record.content();
            self.insert(record);
            let quiet = Quiet {
                copies: input.number()?,
                until: Timestamp(input.signed()?),
            };
            self.set_quiet(content, quiet);
        }
        for _ in 0..input.length(40)? {
            let record = HotRecord::decode(input)?;
            self.quarantined.insert(record.content(), record);
        }
        if has_remembered {
            self.candidates.decode(input)?;
            self.removals.decode(input)?;
        }
        Ok(())
    }
}
