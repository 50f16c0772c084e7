//! Goal: bad bytes are named by code and place and lose nothing beside them; a configured Confluent id is read as its schema.

use std::collections::BTreeMap;

use tocsin_intake::{IntakeConfig, REJECTS_PER_RECORD_MAX, TimeSource};
use tocsin_wire::event::{encode_batch, encode_single_object};

use crate::bench::{ALPHA, Bench, MINUTE, NOON, SOURCE, places, share};

/// The framing of single objects has ten bytes: a marker of two and a fingerprint.
const SINGLE_OBJECT_BYTES: usize = 10;

fn confluent(id: u32, single_object: &[u8]) -> Vec<u8> {
    let mut value = vec![0];
    value.extend_from_slice(&id.to_be_bytes());
    value.extend_from_slice(&single_object[SINGLE_OBJECT_BYTES..]);
    value
}

#[test]
fn a_configured_confluent_id_is_read_and_any_other_is_refused() {
    let mapped = [("17", "event/2"), ("1000018", "event_batch/1")];
    let mut bench = Bench::with(&IntakeConfig {
        confluent_schema_ids: BTreeMap::from(mapped.map(|(id, schema)| (id.to_owned(), schema.to_owned()))),
        ..IntakeConfig::default()
    });
    let single = encode_single_object(&share(1, 1, NOON));
    let batch = encode_batch(&[share(2, 2, NOON), share(3, 3, NOON)]);
    bench.read(NOON, Some(&confluent(17, &single)));
    bench.read(NOON, Some(&confluent(19, &single)));
    bench.read(NOON, Some(&confluent(1_000_018, &batch)));
    // The id of the other schema: its bytes are no datum of that one.
    bench.read(NOON, Some(&confluent(1_000_018, &single)));
    let (seen, rejects) = bench.judged();
    let read: Vec<_> = seen
        .iter()
        .map(|seen| (seen.source.offset, seen.source.index))
        .collect();
    assert_eq!(read, [(0, 0), (2, 0), (2, 1)]);
    assert!(seen.iter().all(|seen| seen.party == ALPHA));
    assert_eq!(
        places(&rejects),
        [(1, 0, "unknown_schema_id"), (3, 0, "malformed_avro")]
    );
    assert!(rejects[0].detail.contains("19"), "{}", rejects[0].detail);
}

#[test]
fn without_a_configured_id_confluent_framing_is_refused() {
    let mut bench = Bench::new(TimeSource::Log);
    bench.read(NOON, Some(&confluent(17, &encode_single_object(&share(1, 1, NOON)))));
    let (seen, rejects) = bench.judged();
    assert_eq!(
        (seen.len(), &*places(&rejects)),
        (0, &[(0, 0, "unknown_schema_id")][..])
    );
}

#[test]
fn bad_bytes_lose_nothing_beside_them() {
    let good = |id| encode_single_object(&share(id, 1, NOON));
    let mut cut = good(90);
    cut.pop();
    let mut other_schema = good(91);
    other_schema[2..SINGLE_OBJECT_BYTES].fill(9);
    let bad: [(Option<&[u8]>, &str); 6] = [
        (None, "empty_record"),
        (Some(b""), "unknown_framing"),
        (Some(b"{}"), "unknown_framing"),
        (Some(&cut), "malformed_avro"),
        (Some(&other_schema), "unknown_schema"),
        (Some(&vec![0xc3; (1 << 20) + 1]), "too_large"),
    ];
    let mut bench = Bench::new(TimeSource::Log);
    for (number, (value, _)) in bad.iter().enumerate() {
        bench.read(NOON, Some(&good(number as u128 + 1)));
        bench.read(NOON, *value);
    }
    let (seen, rejects) = bench.judged();
    let read: Vec<u64> = seen.iter().map(|seen| seen.source.offset).collect();
    assert_eq!(read, [0, 2, 4, 6, 8, 10]);
    let expected: Vec<_> = bad
        .iter()
        .zip([1, 3, 5, 7, 9, 11])
        .map(|((_, code), at)| (at, 0, *code))
        .collect();
    assert_eq!(places(&rejects), expected);
    let counted = bench.intake.take_counted();
    assert_eq!((counted.accepted, counted.rejected["unknown_framing"]), (6, 2));
    // The bad ones are behind us too.
    assert_eq!(bench.intake.source(SOURCE).unwrap().next_offset, 12);
}

#[test]
fn a_bad_event_of_a_batch_is_named_by_its_index() {
    let mut batch: Vec<_> = (1..=5).map(|id| share(id, id as usize, NOON)).collect();
    batch[1].event_id.0 = [0; 16];
    batch[4].content.clear();
    let mut bench = Bench::new(TimeSource::Log);
    bench.next_offset = 41;
    bench.read(NOON + MINUTE, Some(&encode_batch(&batch)));
    let (seen, rejects) = bench.judged();
    let read: Vec<u32> = seen.iter().map(|seen| seen.source.index).collect();
    assert_eq!(read, [0, 2, 3]);
    assert_eq!(places(&rejects), [(41, 1, "event_id_nil"), (41, 4, "no_routing_hash")]);
    let first = &rejects[0];
    assert_eq!(
        (&*first.source.topic, first.source.partition),
        ("tocsin.ingest.alpha", 3)
    );
    assert_eq!(first.party.as_ref().map(|name| name.as_str()), Some("alpha"));
    assert_eq!(first.received_at.0, NOON + MINUTE);
}

#[test]
fn one_record_names_a_hundred_refused_events_and_counts_the_rest() {
    let mut events: Vec<_> = (1..=10_000).map(|id| share(id, 1, NOON)).collect();
    for event in &mut events[1..] {
        event.platform = "beta-social".parse().unwrap();
    }
    let mut bench = Bench::new(TimeSource::Log);
    bench.read(NOON, Some(&encode_batch(&events)));
    let (seen, rejects) = bench.judged();
    assert_eq!(seen.len(), 1);
    assert_eq!(rejects.len(), REJECTS_PER_RECORD_MAX + 1);
    let places = places(&rejects);
    assert_eq!(places[0], (0, 1, "platform_not_of_party"));
    assert_eq!(places[REJECTS_PER_RECORD_MAX], (0, 101, "further_refused"));
    assert_eq!(
        rejects[REJECTS_PER_RECORD_MAX].detail,
        "9899 further events of the record were refused and are not named, the last with platform_not_of_party"
    );
    let rejected = bench.intake.take_counted().rejected;
    assert_eq!(rejected, BTreeMap::from([("platform_not_of_party", 9_999)]));
}
