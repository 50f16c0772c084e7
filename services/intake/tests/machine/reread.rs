//! Goal: whoever reads a source again from intake's own state says the same of it, so that the groups' marks drop what they have.

use tocsin_intake::{Intake, SourceState, TimeSource};
use tocsin_wire::event::{encode_batch, encode_single_object};

use crate::bench::{Bench, MINUTE, NOON, SOURCE, Seen, share};

/// Records of a source whose clock is four hours ahead, with an event sent twice and a bad record now and then.
fn records() -> Vec<Vec<u8>> {
    let event = |number: i64| share(number as u128 + 1, number as usize % 5, NOON + (number + 240) * MINUTE);
    let record = |number| match number % 10 {
        3 => b"no event".to_vec(),
        7 => encode_batch(&[event(number), event(number - 1), event(number)]),
        _ => encode_single_object(&event(number)),
    };
    (0..120).map(record).collect()
}

fn read(bench: &mut Bench, records: &[Vec<u8>], from: usize) {
    for (number, record) in records.iter().enumerate().skip(from) {
        bench.next_offset = number as u64;
        bench.read(NOON + number as i64 * MINUTE, Some(record));
    }
}

#[test]
fn a_successor_says_the_same_from_the_written_position_on() {
    let records = records();
    let mut original = Bench::new(TimeSource::Log);
    read(&mut original, &records[..60], 0);
    let written = original.intake.source(SOURCE).unwrap().encode();
    let (before, _) = original.judged();
    // It goes on and dies before it writes its position again.
    read(&mut original, &records, 60);
    let (after, rejects) = original.judged();

    let state = SourceState::decode(&written).unwrap();
    assert_eq!(state.next_offset, 60);
    let mut successor = Bench::new(TimeSource::Log);
    successor.intake.begin_source(SOURCE, state);
    read(&mut successor, &records, 60);
    assert_eq!(successor.judged(), (after.clone(), rejects));
    assert_eq!(successor.intake.source(SOURCE), original.intake.source(SOURCE));

    // One that began without the clock would say something else: this test sees the difference.
    let mut ignorant = Bench::new(TimeSource::Log);
    read(&mut ignorant, &records, 60);
    assert_ne!(ignorant.judged().0, after);

    // No two sightings have one coordinate, so a mark never drops what is new; a copy has the token of its original.
    let all: Vec<Seen> = before.into_iter().chain(after).collect();
    assert!(all.windows(2).all(|pair| pair[0].source < pair[1].source));
    let of_batch: Vec<_> = all
        .iter()
        .filter(|seen| seen.source.offset == 67)
        .map(|seen| seen.event_token)
        .collect();
    let original = all.iter().find(|seen| seen.source.offset == 66).unwrap().event_token;
    assert_eq!((of_batch.len(), of_batch[0], of_batch[1]), (3, of_batch[2], original));
}

#[test]
fn a_source_is_a_partition_of_a_topic_by_its_identity() {
    let bench = Bench::new(TimeSource::Log);
    let id = |topic, partition| Intake::source_id(&bench.intake, topic, partition);
    assert_eq!(id(1, 0), id(1, 0));
    // A topic that was deleted and made anew begins at offset 0 again: its old marks must not drop the new events.
    assert_ne!(id(1, 0), id(2, 0));
    assert_ne!(id(1, 0), id(1, 1));
}

#[test]
fn a_source_that_was_let_go_is_not_remembered() {
    let mut bench = Bench::new(TimeSource::Log);
    read(&mut bench, &records()[..5], 0);
    assert_eq!(bench.intake.end_source(SOURCE).unwrap().next_offset, 5);
    assert_eq!(bench.intake.source(SOURCE), None);
}
