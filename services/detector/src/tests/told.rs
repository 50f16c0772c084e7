//! Goal: what the shell tells others beside alerts: which contents are hot, which are no more, and how late it is.

use tocsin_model::{Class, ContentId, Populations};
use tocsin_wire::state::{StateHeader, StateKey};
use tocsin_wire::topics;

use super::bench::{Bench, NOON, NUMBER, SECOND, until};
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

#[test]
fn what_an_hour_has_seen_is_told_when_it_ends_and_never_in_the_middle_of_one() {
    let mut bench = Bench::new();
    let hour = 3_600 * SECOND;
    let detector = start(&bench);
    bench.tick(NOON - NOON % hour);
    for share in 0..3 {
        bench.shares(NOON + share * hour, &[1]);
    }
    bench.tick(NOON + 3 * hour);
    let group = bench.setup.key.content_id(&bench.content(1)).group();
    let newest = || {
        let records = bench.records(topics::POPULATIONS, 0).into_iter();
        let key = tocsin_wire::population::key(group);
        let of_group = records.filter(|record| record.key.as_deref() == Some(&key));
        let value = of_group.last().and_then(|record| record.value);
        value.map(|value| tocsin_wire::population::decode(&value).unwrap())
    };
    let told = |newest: &Option<Populations>| newest.as_ref().map(|seen| seen.at.0);
    let latest = (NOON + 3 * hour).div_euclid(hour) * hour;
    until("the last hour is told", || told(&newest()) == Some(latest));
    let seen = newest().unwrap();
    assert_eq!((seen.group, seen.platforms.len()), (group, 1));
    detector.stop().unwrap();
}

#[test]
fn the_lag_grows_when_ticks_stop() {
    let mut bench = Bench::new();
    bench.config.checkpoint_interval_s = 1;
    bench.shares(NOON, &[1]);
    bench.tick(NOON);
    let detector = start(&bench);
    let is_settled = || {
        let header = bench.state().remove(&StateKey::Header { partition: NUMBER });
        let header = header.and_then(|record| StateHeader::decode(&record.body).ok());
        header.is_some_and(|header| header.next_offset == 2 && header.checkpoint_offset == 2)
    };
    until("everything is on the log, and nothing more is to be done", is_settled);
    let lag = || {
        let families = detector.registry.gather();
        let lag = families
            .iter()
            .find(|family| family.name() == "tocsin_detector_lag_seconds");
        let metrics = lag.map(|family| family.get_metric().to_vec()).unwrap_or_default();
        let of_partition = metrics
            .iter()
            .find(|metric| metric.get_label()[0].value() == NUMBER.to_string());
        of_partition.map(|metric| metric.get_gauge().get_value() as i64)
    };
    until("a lag is shown", || lag().is_some());
    let before = lag().unwrap();
    // One more could have been under way.
    until("the lag grows", || lag().unwrap() > before + 1);
    detector.stop().unwrap();
}
