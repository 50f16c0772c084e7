//! Goal: what the shell tells others beside alerts: which contents are hot, and which are no more.

use tocsin_model::{Class, ContentId};
use tocsin_wire::topics;

use super::bench::{Bench, NOON, SECOND, until};
use super::succeeded::start;

/// The first two contents of one group.
fn two_of_one_group(bench: &Bench) -> [(usize, ContentId); 2] {
    let id = |number| bench.setup.key.content_id(&bench.content(number));
    let mut met: Vec<(usize, ContentId)> = Vec::new();
    for number in 0.. {
        let content = id(number);
        if let Some(first) = met.iter().find(|(_, other)| other.group() == content.group()) {
            return [*first, (number, content)];
        }
        met.push((number, content));
    }
    unreachable!("there are fewer groups than contents")
}

#[test]
fn a_content_that_makes_room_is_withdrawn_from_the_families() {
    let mut bench = Bench::new();
    // One hot record for each group.
    bench.config.hot_limit = 256;
    let [(quiet, quiet_id), (loud, loud_id)] = two_of_one_group(&bench);
    let detector = start(&bench);
    bench.shares(NOON, &[quiet]);
    for second in 1..4 {
        bench.shares(NOON + second * SECOND, &[loud]);
    }
    let newest = |content| {
        let key = tocsin_wire::family::key(content, Class::All);
        let records = bench.records(topics::FAMILIES, 0).into_iter();
        let of_content = records.filter(|record| record.key.as_deref() == Some(&key));
        of_content.last().map(|record| record.value.is_some())
    };
    until("the louder one is announced", || newest(loud_id) == Some(true));
    assert_eq!(newest(quiet_id), Some(false), "its record has no value");
    detector.stop().unwrap();
}
