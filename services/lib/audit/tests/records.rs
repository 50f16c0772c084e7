//! Goal: a record has one form for ever, says no personal field in the clear, and outlives the erasure of what lies beside it.
#![allow(clippy::unwrap_used, dead_code)]

mod log;

use log::{Log, entry, node, rng, salt, verify};
use proptest::prelude::*;
use tocsin_audit::{
    Action, ChainHead, Checkpoint, DETAIL_BYTES_MAX, Entry, Expected, Fault, Field, Head, OBJECT_BYTES_MAX,
    PERSONAL_BYTES_MAX, Personal, Record, Verifier,
};
use tocsin_model::{PartyId, Scope, Timestamp};

fn example() -> Entry {
    Entry {
        action: Action::Decided,
        team: Some(Scope::Party(PartyId(3))),
        object: "case".to_owned(),
        detail: "benign".to_owned(),
        personal: vec![Personal::new(Field::Rationale, "why"), Personal::new(Field::Key, "who")],
    }
}

#[test]
fn the_bytes_and_the_hash_of_a_record_stay_as_they_are() {
    let sealed = Head::EMPTY
        .clone()
        .append(&node(), Timestamp(1_700_000_000_123), &example(), || [9; 16]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&sealed.bytes), include_str!("golden/record_v1.hex").trim());
    assert_eq!(hex(&sealed.hash), include_str!("golden/hash_v1.hex").trim());
    assert_eq!(Record::from_bytes(&sealed.bytes), Ok(sealed.record));
}

#[test]
fn a_personal_field_is_in_the_record_as_a_digest_alone_and_can_be_erased() {
    let log = Log::new(50, 5);
    for (row, kept) in log.rows.iter().zip(&log.kept) {
        let record = Record::from_bytes(&row.bytes).unwrap();
        assert_eq!(record.personal.len(), kept.len());
        for kept in kept {
            let text = kept.clear.as_bytes();
            assert!(!row.bytes.windows(text.len()).any(|window| window == text));
            assert!(record.is_of(kept.field, &kept.salt, &kept.clear));
            assert!(!record.is_of(kept.field, &kept.salt, "another"));
            assert!(!record.is_of(Field::Person, &kept.salt, &kept.clear));
            assert!(!record.is_of(kept.field, &[0; 16], &kept.clear));
        }
    }
    // Nothing of what lies beside it is needed to verify it.
    drop(log.kept);
    let expected = Log::new(50, 5);
    assert!(verify(expected.verifier(), &log.rows).is_ok());
}

#[test]
fn what_is_too_long_is_cut_at_a_character() {
    let long = "é".repeat(PERSONAL_BYTES_MAX);
    let entry = Entry {
        object: format!("a{long}"),
        detail: long.clone(),
        personal: vec![Personal::new(Field::About, long)],
        ..example()
    };
    let sealed = Head::EMPTY.clone().append(&node(), Timestamp(0), &entry, || [1; 16]);
    assert_eq!(sealed.record.object.len(), OBJECT_BYTES_MAX - 1);
    assert_eq!(sealed.record.detail.len(), DETAIL_BYTES_MAX);
    assert_eq!(sealed.kept[0].clear.len(), PERSONAL_BYTES_MAX);
    assert_eq!(Record::from_bytes(&sealed.bytes), Ok(sealed.record));
}

#[test]
fn two_checkpoints_that_contradict_each_other_are_a_fault_and_one_of_another_chain_says_nothing() {
    let log = Log::new(10, 6);
    let mut other = log.checkpoint.clone();
    other.chains[0].head.hash[0] ^= 1;
    let mut expected = Expected::default();
    expected.add(&log.checkpoint, &node());
    expected.add(&other, &node());
    let found = verify(Verifier::new(node(), expected), &log.rows);
    assert_eq!(found, Err(Fault::Rewritten { records: 10 }));

    let of_another = Checkpoint {
        chains: vec![ChainHead {
            node: "query".parse().unwrap(),
            head: other.chains[0].head,
        }],
        ..log.checkpoint.clone()
    };
    let mut expected = Expected::default();
    expected.add(&of_another, &node());
    assert!(verify(Verifier::new(node(), expected), &log.rows).is_ok());
    // The chain of another node, put in place of this one.
    let found = verify(Verifier::new("query".parse().unwrap(), Expected::default()), &log.rows);
    assert_eq!(found, Err(Fault::Foreign { sequence: 0 }));
}

proptest! {
    #[test]
    fn a_record_reads_back_and_no_other_bytes_read_as_it(
        seed: u64,
        at: i64,
        place in 0_u64..u64::MAX,
        (cut, bit) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mut rng = rng(seed);
        let entry = entry(&mut rng);
        let mut head = Head { records: place, hash: [3; 32] };
        let bytes = head.append(&node(), Timestamp(at), &entry, || salt(&mut rng)).bytes;
        let record = Record::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&record.to_bytes(), &bytes);
        prop_assert_eq!((record.sequence, record.at, record.team), (place, Timestamp(at), entry.team));
        prop_assert!(Record::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        let mut other = bytes.clone();
        let bit = bit.index(8 * bytes.len());
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other_record) = Record::from_bytes(&other) {
            prop_assert_ne!(&other_record, &record);
            prop_assert_eq!(other_record.to_bytes(), other);
        }
    }

    #[test]
    fn bytes_from_anywhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(record) = Record::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
    }
}
