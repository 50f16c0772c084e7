use std::collections::BTreeMap;
use std::ops::Range;

use tocsin_model::SourceId;

/// Of a source so many gaps are kept between two looks. A transaction of a sender leaves one of one offset or two.
const GAPS_MAX: usize = 16;

/// Where the records of a source did not follow one another: the widest gaps of each since it was last looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps(BTreeMap<SourceId, Vec<Range<u64>>>);

impl Gaps {
    /// No record came with these offsets.
    pub(crate) fn note(&mut self, source: SourceId, offsets: Range<u64>) {
        let width = |gap: &Range<u64>| gap.end - gap.start;
        let gaps = self.0.entry(source).or_default();
        if gaps.len() < GAPS_MAX {
            gaps.push(offsets);
            return;
        }
        let narrowest = gaps.iter_mut().min_by_key(|gap| width(gap));
        if let Some(narrowest) = narrowest.filter(|gap| width(gap) < width(&offsets)) {
            *narrowest = offsets;
        }
    }

    /// Whether a source has any.
    pub(crate) fn has(&self, source: SourceId) -> bool {
        self.0.contains_key(&source)
    }

    /// Those of a source, which are forgotten.
    pub(crate) fn take(&mut self, source: SourceId) -> Vec<Range<u64>> {
        self.0.remove(&source).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: many narrow gaps push out no wide one.

    use super::*;

    #[test]
    fn the_widest_are_kept() {
        let (mut gaps, source) = (Gaps::default(), SourceId(1));
        gaps.note(source, 100..103);
        (0..100).for_each(|offset| gaps.note(source, 200 + 2 * offset..201 + 2 * offset));
        gaps.note(source, 500..520);
        gaps.note(source, 600..610);
        assert!(gaps.has(source));
        let taken = gaps.take(source);
        assert_eq!(taken.len(), GAPS_MAX);
        assert!(
            [100..103, 500..520, 600..610].iter().all(|wide| taken.contains(wide)),
            "{taken:?}"
        );
        assert!(!gaps.has(source) && gaps.take(source).is_empty());
    }
}
