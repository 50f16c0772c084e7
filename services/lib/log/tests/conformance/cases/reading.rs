//! What both logs promise to those who read by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tocsin_log::*;

use crate::site::*;

pub fn the_newest_of_each_key_is_always_readable(site: &mut Site) {
    let topic = site.topic("t", 1, Cleanup::Compact);
    let to = at(&topic, 0);
    for round in 0..5 {
        let newest = round.to_string();
        let mut records: Vec<Append> = (0..20).map(|key| keyed(&to, &key.to_string(), Some(&newest))).collect();
        records.push(keyed(&to, "gone", (round < 4).then_some("x")));
        site.append(records);
    }
    let state = || {
        let mut state = BTreeMap::new();
        for record in contents(&*site.log(), &to) {
            state.insert(record.key.unwrap(), record.value);
        }
        state
    };
    let check = |state: BTreeMap<bytes::Bytes, Option<bytes::Bytes>>| {
        for key in 0..20 {
            let value = state.get(key.to_string().as_bytes()).unwrap().as_deref();
            assert_eq!(value, Some("4".as_bytes()), "key {key}");
        }
        assert!(state.get(b"gone".as_slice()).is_none_or(Option::is_none));
    };
    check(state());
    // What is older goes in time (on Kafka once the segment rolled, for which something must be appended).
    until("the older records are gone", || {
        site.append(vec![keyed(&to, "roll", Some("on"))]);
        let records = contents(&*site.log(), &to);
        records
            .iter()
            .filter(|record| record.key.as_deref() == Some(b"0"))
            .count()
            == 1
    });
    check(state());
}

pub fn a_tail_reader_gets_over_gaps_to_the_end(site: &mut Site) {
    let topic = site.topic("t", 1, Cleanup::Compact);
    let to = at(&topic, 0);
    let mut reader = site.log().tail_reader(&[(to.clone(), 0)]).unwrap();
    let mut committer = site.log().committer(&site.name("c")).unwrap();
    let membership = Membership::Absent(String::new());
    let mut newest = None;
    for round in 0..3 {
        let unit = Unit {
            appends: vec![keyed(&to, "k", Some("1")), keyed(&to, "k", Some(&round.to_string()))],
            positions: Vec::new(),
        };
        committer.commit(&membership, unit).unwrap();
        let (_, end) = site.log().bounds(&to).unwrap();
        until("the position reaches the end", || {
            reader
                .poll(STEP, 100, &mut |record| newest = Some(text(&record.to_record())))
                .unwrap();
            reader.position(&to).unwrap() >= end
        });
        assert_eq!(reader.position(&to).unwrap(), end);
        assert_eq!(newest.clone().unwrap(), round.to_string());
    }
    assert_eq!(reader.position(&at(&topic, 9)), None);
}

pub fn a_tail_reader_waits_for_what_comes(site: &mut Site) {
    let to = at(&site.topic("t", 1, Cleanup::Delete), 0);
    let mut reader = site.log().tail_reader(&[(to.clone(), 0)]).unwrap();
    assert_eq!(
        reader
            .poll(Duration::from_millis(1), 10, &mut |_| panic!("there is nothing"))
            .unwrap(),
        0
    );
    let log = site.log();
    let waiting = std::thread::spawn(move || tail(&mut *reader, 3).iter().map(text).collect::<Vec<_>>());
    let options = AppenderOptions {
        name: "late".to_owned(),
        durability: Durability::Ordered,
        gapless: false,
    };
    let appender = log.appender(options).unwrap();
    for text in ["a", "b", "c"] {
        appender.append(vec![value(&to, text)]).wait().unwrap();
    }
    assert_eq!(waiting.join().unwrap(), ["a", "b", "c"]);
    let mut middle = log.tail_reader(&[(to, 1)]).unwrap();
    assert_eq!(tail(&mut *middle, 2).iter().map(text).collect::<Vec<_>>(), ["b", "c"]);
    assert!(matches!(
        log.tail_reader(&[(at("none", 0), 0)]),
        Err(LogError::NoSuchPartition { .. })
    ));
}

pub fn reading_through_ends_at_the_end_that_was_asked_for(site: &mut Site) {
    let to = at(&site.topic("t", 2, Cleanup::Delete), 1);
    let read = |log: &dyn Log, from: &TopicPartition, offsets: (std::ops::Bound<u64>, std::ops::Bound<u64>)| {
        let mut read = Vec::new();
        read_through(log, from, offsets, &|| false, &mut |record| {
            read.push(text(&record.to_record()))
        })
        .unwrap();
        read
    };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let log = site.log();
    assert!(read(log.as_ref(), &to, (Unbounded, Unbounded)).is_empty());
    site.append((0..5).map(|n| value(&to, n.to_string())).collect());
    assert_eq!(
        read(log.as_ref(), &to, (Unbounded, Unbounded)),
        ["0", "1", "2", "3", "4"]
    );
    assert_eq!(read(log.as_ref(), &to, (Included(1), Excluded(3))), ["1", "2"]);
    assert_eq!(read(log.as_ref(), &to, (Excluded(1), Included(3))), ["2", "3"]);
    // What is not written yet is not waited for.
    assert_eq!(read(log.as_ref(), &to, (Included(4), Excluded(9))), ["4"]);
    assert!(read(log.as_ref(), &to, (Included(7), Unbounded)).is_empty());
    // The end may be a gap: the marker of a transaction.
    let unit = Unit {
        appends: vec![value(&to, "5")],
        positions: Vec::new(),
    };
    let mut committer = log.committer(&site.name("c")).unwrap();
    committer.commit(&Membership::Absent(String::new()), unit).unwrap();
    assert_eq!(read(log.as_ref(), &to, (Included(5), Unbounded)), ["5"]);
    let nowhere = read_through(log.as_ref(), &at("none", 0), .., &|| false, &mut |_| {
        panic!("there is nothing")
    });
    assert!(matches!(nowhere, Err(LogError::NoSuchPartition { .. })), "{nowhere:?}");
}

pub fn bounds_move_with_the_appends(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    assert_eq!(site.log().bounds(&at(&topic, 0)).unwrap(), (0, 0));
    site.append((0..3).map(|n| value(&at(&topic, 0), n.to_string())).collect());
    assert_eq!(site.log().bounds(&at(&topic, 0)).unwrap(), (0, 3));
    assert_eq!(site.log().bounds(&at(&topic, 1)).unwrap(), (0, 0));
    for nowhere in [at(&topic, 2), at(&site.name("none"), 0)] {
        let refused = site.log().bounds(&nowhere);
        assert!(matches!(refused, Err(LogError::NoSuchPartition { .. })), "{refused:?}");
    }
    let both = [at(&topic, 1), at(&topic, 0)];
    assert_eq!(site.log().ends(&both, LIMIT).unwrap(), [0, 3]);
    let refused = site.log().ends(&[at(&topic, 0), at(&topic, 2)], LIMIT);
    assert!(matches!(refused, Err(LogError::NoSuchPartition { .. })), "{refused:?}");
}

pub fn a_time_leads_to_the_first_record_that_is_not_older(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    let to = at(&topic, 1);
    let log = site.log();
    assert_eq!(log.offset_at(&to, 0).unwrap(), 0, "nothing was written");
    let mut committer = log.committer(&site.name("c")).unwrap();
    for round in 0..6 {
        // Stamps of their own: each waits for the clock to go on. A unit leaves a gap on Kafka.
        let last = contents(log.as_ref(), &to)
            .last()
            .map_or(0, |record| record.appended_at_ms);
        until("the clock goes on", || {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            now.as_millis() as i64 > last
        });
        let appends: Vec<Append> = (0..3).map(|n| value(&to, format!("{round}.{n}"))).collect();
        match round % 2 {
            0 => drop(site.append(appends)),
            _ => {
                let positions = Vec::new();
                let unit = Unit { appends, positions };
                committer.commit(&Membership::Absent(String::new()), unit).unwrap();
            }
        }
    }
    let records = contents(log.as_ref(), &to);
    let end = log.bounds(&to).unwrap().1;
    let read_from = |at_ms: i64| -> Vec<String> {
        let from = log.offset_at(&to, at_ms).unwrap();
        let mut read = Vec::new();
        read_through(log.as_ref(), &to, from.., &|| false, &mut |record| {
            read.push(text(&record.to_record()))
        })
        .unwrap();
        read
    };
    let stamps: Vec<i64> = records.iter().map(|record| record.appended_at_ms).collect();
    let times: BTreeSet<i64> = stamps.iter().flat_map(|stamp| [stamp - 1, *stamp, stamp + 1]).collect();
    for at_ms in times {
        let wanted = records.iter().filter(|record| record.appended_at_ms >= at_ms);
        assert_eq!(
            read_from(at_ms),
            wanted.map(text).collect::<Vec<_>>(),
            "{at_ms} of {stamps:?}"
        );
    }
    assert_eq!(log.offset_at(&to, i64::MIN).unwrap(), 0);
    assert_eq!(log.offset_at(&to, i64::MAX / 2).unwrap(), end);
    assert_eq!(log.offset_at(&at(&topic, 0), 0).unwrap(), 0);
    let nowhere = log.offset_at(&at("none", 0), 0);
    assert!(matches!(nowhere, Err(LogError::NoSuchPartition { .. })), "{nowhere:?}");
}

/// What a poll hands its records to.
type Sink<'a> = &'a mut dyn FnMut(RecordRef<'_>);

pub fn one_poll_brings_no_more_bytes_than_its_limit(site: &mut Site) {
    const RECORDS: u64 = 12;
    const BYTES: usize = 1_000_000;
    let topic = site.name("large");
    let large = TopicSpec {
        record_bytes_max: BYTES as u32,
        ..spec(&topic, 1, Cleanup::Delete)
    };
    site.log().ensure_topics(&[large]).unwrap();
    for _ in 0..RECORDS {
        site.append(vec![value(&at(&topic, 0), "x".repeat(BYTES))]);
    }
    let check = |what: &str, poll: &mut dyn FnMut(Sink<'_>)| {
        let mut offsets = Vec::new();
        until(what, || {
            let before = offsets.len();
            poll(&mut |record| offsets.push(record.offset));
            let records = offsets.len() - before;
            assert!(
                records <= POLL_BYTES_MAX / BYTES + 1,
                "{what}: {records} records of one poll"
            );
            offsets.len() as u64 >= RECORDS
        });
        assert!(offsets.iter().copied().eq(0..RECORDS), "{what}: {offsets:?}");
    };
    let mut member = site.reader("g", std::slice::from_ref(&topic), 1);
    check("the records of a group", &mut |sink| {
        member.poll(STEP, 1_000, sink).unwrap();
    });
    let mut tail = site.log().tail_reader(&[(at(&topic, 0), 0)]).unwrap();
    check("the records of a tail", &mut |sink| {
        tail.poll(STEP, 1_000, sink).unwrap();
    });
}

pub fn two_readers_see_the_same(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    let mut one = site.reader("one", std::slice::from_ref(&topic), 2);
    let mut other = site.reader("other", std::slice::from_ref(&topic), 2);
    site.append((0..40).map(|n| value(&at(&topic, n % 2), n.to_string())).collect());
    let sorted = |mut records: Vec<Record>| {
        records.sort_by_key(|record| (record.from.partition, record.offset));
        records
    };
    let (one, other) = (sorted(read(&mut *one, 40)), sorted(read(&mut *other, 40)));
    assert_eq!(one, other);
    let mut tails = site
        .log()
        .tail_reader(&[(at(&topic, 0), 0), (at(&topic, 1), 0)])
        .unwrap();
    assert_eq!(sorted(tail(&mut *tails, 40)), one);
}
