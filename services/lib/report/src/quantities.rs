use std::collections::BTreeMap;

/// Quantities are told apart to one part in so many.
const STEPS: u64 = 128;

/// How often which quantity was measured, from 0 up, in steps of less than 1 %: exact below 256, and above in steps of 1/128 of the power of two
/// below. Its size grows with the sizes of quantities, at most 7,424, and not with their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    /// By the least quantity of each step.
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Quantities {
    /// One more.
    pub fn add(&mut self, quantity: u64) {
        *self.counts.entry(step_of(quantity).0).or_default() += 1;
        self.total += 1;
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Between which quantities, both possible, the one of this nearest rank lies, in percent: 50 is the median. `None` of nothing.
    pub fn at_rank(&self, per_cent: u64) -> Option<(u64, u64)> {
        // As `tocsin_model::nearest_rank`: the least of which at least so many are not greater.
        let rank = (self.total * per_cent).div_ceil(100).max(1);
        let mut below = 0;
        for (low, count) in &self.counts {
            below += count;
            if below >= rank {
                return Some(step_of(*low));
            }
        }
        None
    }
}

/// The least and the greatest quantity of a step.
fn step_of(quantity: u64) -> (u64, u64) {
    if quantity < 2 * STEPS {
        return (quantity, quantity);
    }
    let width = quantity.ilog2() - STEPS.ilog2();
    let low = quantity >> width << width;
    (low, low + ((1 << width) - 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tocsin_model::nearest_rank;

    use super::*;

    proptest! {
        #[test]
        fn a_rank_lies_within_its_step_and_steps_are_narrow(
            mut all in prop::collection::vec(prop_oneof![0..300_u64, 0..100_000_000_u64, any::<u64>()], 1..60),
            per_cent in 0..=100_usize,
        ) {
            let mut quantities = Quantities::default();
            for quantity in &all {
                quantities.add(*quantity);
            }
            all.sort_unstable();
            let exact = *nearest_rank(&all, per_cent).unwrap();
            let (low, high) = quantities.at_rank(per_cent as u64).unwrap();
            prop_assert!((low..=high).contains(&exact), "{exact} in {low}..={high}");
            prop_assert!(high - low <= low / STEPS, "{low}..={high}");
            prop_assert_eq!(quantities.len(), all.len() as u64);
        }
    }

    #[test]
    fn nothing_has_no_rank() {
        assert_eq!(Quantities::default().at_rank(50), None);
        assert!(Quantities::default().is_empty());
    }
}
