use std::collections::BTreeMap;

use tocsin_model::{SourceCoordinate, SourceId};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// The highest position applied per source. Intake sends each group its share of a source in order, so whatever does not lie beyond the
/// mark was sent before: by an intake that restarted, or by one that did not know it had been replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    highest: BTreeMap<SourceId, (u64, u32)>,
}

impl Marks {
    /// Moves the mark of this source. `false`: the position was applied before.
    pub(crate) fn advance(&mut self, at: SourceCoordinate) -> bool {
        let position = (at.offset, at.index);
        match self.highest.get_mut(&at.source) {
            Some(highest) if *highest >= position => false,
            Some(highest) => {
                *highest = position;
                true
            }
            None => {
                self.highest.insert(at.source, position);
                true
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.highest.len() as u64);
        for (source, (offset, index)) in &self.highest {
            out.fixed64(source.0);
            out.number(*offset);
            out.number(u64::from(*index));
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut marks = Marks::default();
        for _ in 0..input.length(10)? {
            let source = SourceId(input.fixed64()?);
            let position = (input.number()?, input.narrow("index of a mark")?);
            marks.highest.insert(source, position);
        }
        Ok(marks)
    }
}
