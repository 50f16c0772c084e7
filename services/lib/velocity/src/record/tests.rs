//! Goal: counts near the limits of integers break nothing, and say so.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tocsin_model::Milliseconds;
use tocsin_sketch::codec::{Decoder, Encoder};

use super::*;
use crate::evidence::{evidence, next_hour};
use crate::figures::family_figures;
use crate::forecast::{Calibration, Model};
use crate::trigger::{self, Past, Room, TriggerParameters};
use crate::weight::Weights;

const NOW: Timestamp = Timestamp(1_700_000_100_000);

/// A series of which every resolution has so many bins up to now, each with this count.
fn filled(bins: i64, count: u32) -> Series {
    let mut out = Encoder::new();
    for resolution in Resolution::ALL {
        out.number(bins as u64);
        let latest = resolution.bin_of(NOW);
        for place in 0..bins {
            out.signed(if place == 0 { latest - bins + 1 } else { 1 });
            out.number(u64::from(count));
        }
    }
    Series::decode(&mut Decoder::new(&out.finish())).unwrap()
}

fn record(content: u128, bins: i64, count: u32, events: u64) -> HotRecord {
    let hash = ContentHash::from_bytes(tocsin_model::Algorithm::Sha256, vec![7; 32], None).unwrap();
    let begun = NOW - Milliseconds::from_hours(24);
    let family = FamilyId(ContentId(1));
    let mut record = HotRecord::new(ContentId(content), Class::All, family, hash, begun);
    record.last_seen = NOW;
    record.spread = filled(bins, count);
    for platform in 1..4 {
        for kind in [Kind::Upload, Kind::Share, Kind::Report] {
            record.cells.push(Cell {
                platform: PlatformId(platform),
                kind,
                party: PartyId(platform / 2),
                series: filled(bins, count),
                voice: Voice {
                    first_at: begun,
                    events,
                    audience_sum: u64::MAX,
                    audience_count: events,
                    label_percent: events,
                    after_removal: events,
                },
            });
        }
    }
    record.signals = Signals {
        without_account: events,
        removals: events,
    };
    record
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// 10^9 events and up to 10^17, bins that are full or nearly so, in a family of one content or of two.
    #[test]
    fn a_family_with_counts_near_the_limits_is_judged_and_told(
        bins in 1i64..90,
        below in 0u32..3,
        events in prop_oneof![Just(1_000_000_000u64), Just(u64::from(u32::MAX)), Just(1 << 56)],
        members in 1u128..3,
    ) {
        let records: Vec<HotRecord> = (1..=members).map(|content| record(content, bins, u32::MAX - below, events)).collect();
        let records: Vec<&HotRecord> = records.iter().collect();
        let figures = family_figures(&records, NOW).unwrap();
        for window in &figures.windows {
            prop_assert!(window.spread.low <= window.spread.high);
            let is_full = below == 0;
            prop_assert_eq!(window.spread.high >= OPEN_ABOVE, is_full, "{:?}", window.spread);
        }
        let past = Past::new(NOW - Milliseconds::from_hours(48), Timestamp::MIN, &[]);
        let judgement = trigger::judge(&records, past, NOW, &TriggerParameters::SHIPPED, &mut Room::default());
        prop_assert!(judgement.evidence.score.is_finite() && judgement.evidence.expected >= 0.0);
        let said = evidence(&records, &Weights::FULL, NOW);
        prop_assert!(!said.is_empty() && said.iter().all(|said| said.doubted.is_finite()));
        let hour = next_hour(&records, &Calibration::new(&Model::SHIPPED), NOW);
        for quantiles in [hour.spread, hour.accounts] {
            prop_assert!(0.0 <= quantiles.low && quantiles.low <= quantiles.median && quantiles.median <= quantiles.high);
            prop_assert!(quantiles.high.is_finite());
        }
        for record in records {
            let mut out = Encoder::new();
            record.encode(&mut out);
            prop_assert_eq!(&HotRecord::decode(&mut Decoder::new(&out.finish())).unwrap(), record);
        }
    }

    /// One more event of every kind on top of it.
    #[test]
    fn counting_goes_on_at_the_limits(kind in prop::sample::select(Kind::ALL.to_vec()), audience in any::<u32>()) {
        let mut record = record(1, 2, u32::MAX, 1 << 56);
        let before = record.spread(Resolution::Minute1, NOW - Milliseconds::from_hours(1), NOW + Milliseconds::from_minutes(1));
        let value = [7; 32];
        let seen = crate::tests::harness::Seen { kind, audience, ..crate::tests::harness::seen(1, 1, 0) };
        let sighting = crate::tests::harness::sighting(ContentId(1), &value, seen, 1);
        record.count(&sighting, NOW, NOW);
        let after = record.spread(Resolution::Minute1, NOW - Milliseconds::from_hours(1), NOW + Milliseconds::from_minutes(1));
        prop_assert!(after.low >= before.low && after.high == OPEN_ABOVE);
    }
}
