//! Goal: ticks, links and decisions stand in every partition behind what was read before them, and links follow from what was read.

use tocsin_intake::{RECEIVED_AT_HEADER, TimeSource};
use tocsin_model::{
    Algorithm, Class, ContentHash, Decision, DecisionId, FamilyAnnouncement, FamilyId, Scope, Timestamp, Verdict,
};
use tocsin_wire::TickTime;
use tocsin_wire::event::encode_single_object;

use crate::bench::{Bench, MINUTE, NOON, PARTITIONS, Said, content, home, key, share};

const TOPIC: &str = "tocsin.ingest.alpha";

fn ticks(said: &[Said]) -> Vec<(u32, TickTime)> {
    let tick = |said: &Said| match said {
        Said::Tick(partition, time) => Some((*partition, *time)),
        _ => None,
    };
    said.iter().filter_map(tick).collect()
}

fn everywhere(time: TickTime) -> Vec<(u32, TickTime)> {
    (0..u32::from(PARTITIONS)).map(|partition| (partition, time)).collect()
}

#[test]
fn a_tick_goes_to_every_partition_behind_what_was_read() {
    let mut bench = Bench::new(TimeSource::Log);
    bench.read(NOON, Some(&encode_single_object(&share(1, 1, NOON))));
    bench.intake.tick();
    assert!(!bench.intake.has_open_blocks());
    bench.read(NOON + MINUTE, Some(&encode_single_object(&share(2, 1, NOON))));
    let said = bench.said();
    assert_eq!(ticks(&said), everywhere(TickTime::AppendStamp));
    let offset_of = |said: &Said| match said {
        Said::Block {
            partition, sightings, ..
        } => Some((*partition, sightings[0].source.offset)),
        _ => None,
    };
    assert_eq!(said.first().and_then(offset_of), Some((home(1), 0)));
    assert_eq!(said.last().and_then(offset_of), Some((home(1), 1)));
}

#[test]
fn supplied_time_ticks_once_an_interval_before_what_lies_beyond() {
    let mut bench = Bench::new(TimeSource::Supplied);
    let read = |bench: &mut Bench, id, at: i64| {
        let value = encode_single_object(&share(id, 1, at));
        // The log's own stamp says something else.
        bench.read_from(
            TOPIC,
            NOON + 1_000 * MINUTE,
            Some(&value),
            &[(RECEIVED_AT_HEADER, &at.to_string())],
        );
    };
    read(&mut bench, 1, NOON + 10);
    read(&mut bench, 2, NOON + 249);
    assert_eq!(ticks(&bench.said()), everywhere(TickTime::At(Timestamp(NOON))));
    read(&mut bench, 3, NOON + 240);
    read(&mut bench, 4, NOON + 1_260);
    let said = bench.said();
    assert_eq!(ticks(&said), everywhere(TickTime::At(Timestamp(NOON + 1_250))));
    let blocks: Vec<usize> = said
        .iter()
        .enumerate()
        .filter_map(|(place, said)| matches!(said, Said::Block { .. }).then_some(place))
        .collect();
    assert_eq!(blocks, [0, said.len() - 1], "one before the tick and one behind it");
    // Time does not go back.
    read(&mut bench, 5, NOON + 500);
    assert_eq!(ticks(&bench.said()), []);
}

#[test]
fn a_link_stands_behind_the_sighting_that_says_it() {
    let mut bench = Bench::new(TimeSource::Log);
    let mut event = share(1, 1, NOON);
    event.same_as = vec![content(2)];
    bench.read(NOON, Some(&encode_single_object(&event)));
    let said = bench.said();
    let links: Vec<_> = said
        .iter()
        .enumerate()
        .filter_map(|(place, said)| match said {
            Said::Link(partition, link) => Some((place, *partition, link.content)),
            _ => None,
        })
        .collect();
    assert_eq!(bench.intake.take_counted().links as usize, links.len());
    assert!(!links.is_empty());
    for (place, partition, of) in links {
        let number = [1, 2]
            .into_iter()
            .find(|number| key().content_id(&content(*number)) == of)
            .unwrap();
        assert_eq!(partition, home(number));
        let block = said.iter().position(|said| matches!(said, Said::Block { .. })).unwrap();
        assert!(partition != home(1) || block < place, "{said:?}");
    }
}

#[test]
fn a_pdq_hash_that_no_picture_has_is_counted_and_matched_with_nothing() {
    let mut bench = Bench::new(TimeSource::Log);
    let pdq = |byte, quality| ContentHash::from_bytes(Algorithm::Pdq, vec![byte; 32], Some(quality)).unwrap();
    for (id, pdq) in [
        (1, pdq(0x0f, 80)),
        (2, pdq(0x0f, 49)),
        (3, pdq(0, 100)),
        (4, pdq(0xff, 100)),
    ] {
        let mut event = share(id, id as usize, NOON);
        event.content.push(pdq);
        bench.read(NOON, Some(&encode_single_object(&event)));
    }
    let hash = content(9);
    let announcement = FamilyAnnouncement {
        content: key().content_id(&hash),
        hash: pdq(0x0f, 80),
        family: FamilyId(key().content_id(&hash)),
        class: Class::All,
        at: Timestamp(NOON),
    };
    bench.intake.announced(&announcement);
    let counted = bench.intake.take_counted();
    assert_eq!((counted.accepted, counted.unmatchable, counted.links), (4, 3, 1));
}

#[test]
fn a_decision_goes_to_the_home_of_its_family() {
    let mut bench = Bench::new(TimeSource::Log);
    bench.read(NOON, Some(&encode_single_object(&share(1, 1, NOON))));
    bench.intake.decided(Decision {
        id: DecisionId(5),
        family: FamilyId(key().content_id(&content(1))),
        scope: Scope::All,
        verdict: Verdict::Benign,
        at: Timestamp(NOON),
    });
    let said = bench.said();
    assert!(matches!(said[0], Said::Block { .. }), "{said:?}");
    assert_eq!(said[1], Said::Decision(home(1), 5));
}

#[test]
fn a_block_carries_the_trace_of_its_latest_event() {
    let mut bench = Bench::new(TimeSource::Log);
    let value = |id| encode_single_object(&share(id, 1, NOON));
    for (id, trace) in [(1, "first"), (2, "second")] {
        bench.read_from(TOPIC, NOON, Some(&value(id)), &[("traceparent", trace)]);
    }
    let trace = |said: Vec<Said>| match &said[..] {
        [Said::Block { trace, .. }] => trace.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(trace(bench.said()).as_deref(), Some("second"));
    bench.read(NOON, Some(&value(3)));
    assert_eq!(trace(bench.said()), None);
}
