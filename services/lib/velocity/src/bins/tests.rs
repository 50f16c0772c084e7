//! Goal: intervals of bins hold the truth, however much is counted.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tocsin_model::{Milliseconds, Timestamp};
use tocsin_sketch::codec::{Decoder, Encoder};

use super::*;

const START: Timestamp = Timestamp(1_700_000_100_000);

/// A series of which each resolution has one bin with this count, at [`START`].
fn filled(count: u32) -> Series {
    let mut out = Encoder::new();
    for resolution in Resolution::ALL {
        out.number(1);
        out.signed(resolution.bin_of(START));
        out.number(u64::from(count));
    }
    Series::decode(&mut Decoder::new(&out.finish())).unwrap()
}

proptest! {
    #[test]
    fn an_interval_holds_the_truth_near_the_limit_of_a_bin(
        below in 0u32..40,
        times_ms in prop::collection::vec(0i64..20_000, 0..60),
        (from_ms, length_ms) in (-20_000i64..20_000, 0i64..40_000)
    ) {
        let mut series = filled(u32::MAX - below);
        let now = START + Milliseconds(20_000);
        let mut times_ms = times_ms;
        times_ms.sort_unstable();
        for ms in &times_ms {
            series.add(&Place::of(START + Milliseconds(*ms), now));
        }
        let [from, to] = [from_ms, from_ms + length_ms].map(|ms| (START + Milliseconds(ms)).floor_to(Milliseconds(5_000)));
        let inside = |at: Timestamp| from <= at && at < to;
        let first = if inside(START) { u64::from(u32::MAX - below) } else { 0 };
        let truth = first + times_ms.iter().filter(|ms| inside(START + Milliseconds(**ms))).count() as u64;
        let found = series.interval(Resolution::Seconds5, from, to);
        prop_assert!(found.contains(truth), "{} not in {:?}", truth, found);
        prop_assert!(found.is_exact() || found.high == OPEN_ABOVE);
        prop_assert_eq!(found.low, series.sum(Resolution::Seconds5, from, to));
        let in_first = times_ms.iter().filter(|ms| **ms < 5_000).count() as u32;
        if in_first < below {
            prop_assert!(found.is_exact(), "nothing is full");
        }
    }
}
