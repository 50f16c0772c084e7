use std::collections::BTreeMap;
use std::ops::Range;

use tocsin_model::SourceId;

/// Where the records of a source did not follow one another: the widest gap of each since it was last looked at. As many as there are sources at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps(BTreeMap<SourceId, Range<u64>>);

impl Gaps {
    /// No record came with these offsets.
    pub(crate) fn note(&mut self, source: SourceId, offsets: Range<u64>) {
        let width = |gap: &Range<u64>| gap.end - gap.start;
        let widest = self.0.entry(source).or_insert_with(|| offsets.clone());
        if width(&offsets) > width(widest) {
            *widest = offsets;
        }
    }

    pub(crate) fn get(&self, source: SourceId) -> Option<Range<u64>> {
        self.0.get(&source).cloned()
    }

    pub(crate) fn forget(&mut self, source: SourceId) {
        self.0.remove(&source);
    }
}
