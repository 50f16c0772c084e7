//! Goal: which time an event gets, and what nobody can do to the times of others.

use tocsin_intake::{RECEIVED_AT_HEADER, TimeSource};
use tocsin_log::StampedBy;
use tocsin_model::{ClockFlag, Event, Sharing, Timestamp};
use tocsin_wire::event::{encode_batch, encode_single_object};

use crate::bench::{Bench, MINUTE, NOON, Seen, places, share};

fn times(seen: &[Seen]) -> Vec<(ClockFlag, i64)> {
    seen.iter()
        .map(|seen| (seen.clock, (seen.occurred_at.0 - NOON) / MINUTE))
        .collect()
}

#[test]
fn what_is_ahead_counts_at_its_receipt_and_what_is_too_old_is_late() {
    let mut bench = Bench::new(TimeSource::Log);
    let minutes = [5, 6, 600, 0, -120, -121];
    let events = minutes.map(|minute| share((minute + 1_000) as u128, 1, NOON + minute * MINUTE));
    bench.read(NOON, Some(&encode_batch(&events)));
    let (seen, rejects) = bench.judged();
    assert_eq!(rejects, []);
    assert_eq!(
        times(&seen),
        [
            (ClockFlag::Plausible, 5),
            (ClockFlag::Ahead, 0),
            (ClockFlag::Ahead, 0),
            (ClockFlag::Plausible, 0),
            (ClockFlag::Plausible, -120),
            (ClockFlag::Late, -121),
        ]
    );
    let counted = bench.intake.take_counted();
    assert_eq!((counted.accepted, counted.ahead, counted.late), (6, 2, 1));
}

#[test]
fn a_stamp_of_the_senders_is_no_time_of_receipt() {
    const IN_2100: i64 = 4_102_444_800_000;
    let value = encode_single_object(&share(1, 1, NOON));
    let mut bench = Bench::new(TimeSource::Log);
    bench.stamped_by = StampedBy::Sender;
    bench.read(IN_2100, Some(&value));
    bench.stamped_by = StampedBy::Log;
    bench.read(NOON, Some(&value));
    let (seen, rejects) = bench.judged();
    assert_eq!(places(&rejects), [(0, 0, "not_stamped_by_log")]);
    assert_eq!(seen.iter().map(|seen| seen.received_at.0).collect::<Vec<_>>(), [NOON]);

    // A replay takes no stamp at all, so whose it is does not matter.
    let mut bench = Bench::new(TimeSource::Supplied);
    bench.stamped_by = StampedBy::Sender;
    let noon = NOON.to_string();
    bench.read_from(
        "tocsin.ingest.alpha",
        IN_2100,
        Some(&value),
        &[(RECEIVED_AT_HEADER, &noon)],
    );
    assert_eq!(bench.judged().0[0].received_at, Timestamp(NOON));
}

#[test]
fn a_supplied_time_counts_only_where_it_was_asked_for() {
    let value = encode_single_object(&share(1, 1, NOON));
    let supplied = (NOON + MINUTE).to_string();
    for (time_source, text, expected) in [
        (TimeSource::Log, &*supplied, NOON),
        (TimeSource::Supplied, &supplied, NOON + MINUTE),
        (TimeSource::Supplied, "noon", NOON),
    ] {
        let mut bench = Bench::new(time_source);
        bench.read_from("tocsin.ingest.alpha", NOON, Some(&value), &[(RECEIVED_AT_HEADER, text)]);
        let (seen, _) = bench.judged();
        assert_eq!(seen[0].received_at, Timestamp(expected), "{time_source:?} {text}");
    }
}

/// Two hundred events whose clock is four hours behind, then one that tells what was made of it.
fn skewed(sharing: Sharing, platform: &str, last: Event) -> Seen {
    let mut bench = Bench::new(TimeSource::Log);
    for minute in 0..200 {
        let mut event = share(minute as u128 + 1, 1, NOON + (minute - 240) * MINUTE);
        event.platform = platform.parse().unwrap();
        event.sharing = sharing;
        bench.read(NOON + minute * MINUTE, Some(&encode_single_object(&event)));
    }
    bench.read(NOON + 200 * MINUTE, Some(&encode_single_object(&last)));
    bench.judged().0[200]
}

#[test]
fn a_wrong_clock_is_put_right_for_its_platform_and_scope_alone() {
    let slow = share(999, 1, NOON + (200 - 240) * MINUTE);
    let corrected = skewed(Sharing::All, "alpha-video", slow.clone());
    assert_eq!(times(&[corrected]), [(ClockFlag::Plausible, 200)]);
    // Another platform's clock, and events that a reader of `all` may not see, say nothing about this one.
    for (sharing, platform) in [
        (Sharing::All, "alpha-chat"),
        (Sharing::Party, "alpha-video"),
        (Sharing::Coordinators, "alpha-video"),
    ] {
        let alone = skewed(sharing, platform, slow.clone());
        assert_eq!(times(&[alone]), [(ClockFlag::Late, -40)], "{sharing:?} {platform}");
    }
}
