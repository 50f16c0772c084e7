//! What both logs promise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tocsin_log::*;

pub use super::deleted::*;
use super::site::*;

pub fn appends_keep_their_order_and_tell_their_offsets(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    let options = AppenderOptions {
        name: "order".to_owned(),
        durability: Durability::Ordered,
        gapless: false,
    };
    let appender = site.log().appender(options).unwrap();
    let calls: Vec<Completion> = (0..50)
        .map(|call| {
            appender.append(
                (0..4)
                    .map(|step| value(&at(&topic, step % 2), format!("{call}.{step}")))
                    .collect(),
            )
        })
        .collect();
    let offsets: Vec<Vec<u64>> = calls.into_iter().map(|call| call.wait().unwrap()).collect();
    for (call, offsets) in offsets.iter().enumerate() {
        let call = call as u64;
        assert_eq!(offsets, &[2 * call, 2 * call, 2 * call + 1, 2 * call + 1]);
    }
    for partition in 0..2 {
        let records = contents(&*site.log(), &at(&topic, partition));
        let wanted: Vec<String> = (0..50)
            .flat_map(|call| [format!("{call}.{partition}"), format!("{call}.{}", partition + 2)])
            .collect();
        assert_eq!(records.iter().map(text).collect::<Vec<_>>(), wanted);
        assert!(records.iter().map(|record| record.offset).eq(0..100));
    }
    assert_eq!(appender.append(Vec::new()).wait().unwrap(), Vec::<u64>::new());
}

pub fn headers_keys_and_missing_values_come_back(site: &mut Site) {
    let topic = site.topic("t", 1, Cleanup::Delete);
    let to = at(&topic, 0);
    let header = |name: &str, value: &[u8]| Header {
        name: name.to_owned(),
        value: value.to_vec().into(),
    };
    let full = Append {
        to: to.clone(),
        key: Some("k".into()),
        value: Some(vec![0, 255, 0].into()),
        headers: vec![
            header("traceparent", b"00-1"),
            header("other", b""),
            header("traceparent", b"2nd"),
        ],
    };
    let bare = Append {
        to: to.clone(),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    let empty = keyed(&to, "", Some(""));
    site.append(vec![full.clone(), bare.clone(), empty.clone()]);
    let records = contents(&*site.log(), &to);
    for (record, append) in records.iter().zip([full, bare, empty]) {
        assert_eq!(record.from, to);
        assert_eq!(record.key, append.key);
        assert_eq!(record.value, append.value);
        assert_eq!(record.headers, append.headers);
    }
    let mut reader = site.log().tail_reader(&[(to, 0)]).unwrap();
    let mut first = None;
    until("the first record", || {
        reader
            .poll(STEP, 1, &mut |record| {
                first = record.headers.get("traceparent").map(<[u8]>::to_vec)
            })
            .unwrap()
            > 0
    });
    assert_eq!(first.unwrap(), b"00-1");
}

pub fn a_unit_is_applied_whole_or_not_at_all(site: &mut Site) {
    let (one, other) = (
        site.topic("one", 1, Cleanup::Delete),
        site.topic("other", 1, Cleanup::Delete),
    );
    let (one, other) = (at(&one, 0), at(&other, 0));
    let mut reader = site.reader("g", &[one.topic.to_string()], 1);
    site.append(vec![value(&one, "in")]);
    read(&mut *reader, 1);
    let mut committer = site.log().committer(&site.name("c")).unwrap();
    let unit = Unit {
        appends: vec![value(&one, "a"), value(&other, "b"), value(&one, "c")],
        positions: vec![(one.clone(), 1)],
    };
    committer.commit(&reader.membership(), unit).unwrap();

    // One record too large spoils its whole unit, the position included.
    let spoilt = Unit {
        appends: vec![value(&one, "never"), value(&other, "x".repeat(1_001))],
        positions: vec![(one.clone(), 2)],
    };
    let refused = committer.commit(&reader.membership(), spoilt);
    assert!(
        matches!(
            refused,
            Err(CommitError::NotApplied(LogError::RecordTooLarge { bytes: 1_001, .. }))
        ),
        "{refused:?}"
    );
    let nowhere = Unit {
        appends: vec![value(&one, "never"), value(&at(&one.topic, 7), "x")],
        positions: Vec::new(),
    };
    let refused = committer.commit(&reader.membership(), nowhere);
    assert!(
        matches!(refused, Err(CommitError::NotApplied(LogError::NoSuchPartition { .. }))),
        "{refused:?}"
    );

    assert_eq!(reader.committed(&one).unwrap(), Some(1));
    let texts = |partition| contents(&*site.log(), partition).iter().map(text).collect::<Vec<_>>();
    assert_eq!(texts(&one), ["in", "a", "c"]);
    assert_eq!(texts(&other), ["b"]);
}

pub fn a_refused_unit_can_be_tried_again_and_is_applied_once(site: &mut Site) {
    let to = at(&site.topic("t", 1, Cleanup::Compact), 0);
    let mut reader = site.reader("g", &[to.topic.to_string()], 1);
    let mut committer = site.log().committer(&site.name("c")).unwrap();
    let unit = || Unit {
        appends: vec![keyed(&to, "k", Some("v")), value(&to, "no key")],
        positions: vec![(to.clone(), 0)],
    };
    // On Kafka this one is refused by the broker, in the middle of the transaction.
    let refused = committer.commit(&reader.membership(), unit());
    assert!(
        matches!(refused, Err(CommitError::NotApplied(LogError::KeyMissing { .. }))),
        "{refused:?}"
    );
    let mut mended = unit();
    mended.appends[1] = keyed(&to, "l", Some("w"));
    committer.commit(&reader.membership(), mended).unwrap();
    assert_eq!(read(&mut *reader, 2).iter().map(text).collect::<Vec<_>>(), ["v", "w"]);
    assert_eq!(contents(&*site.log(), &to).len(), 2);
    assert_eq!(reader.committed(&to).unwrap(), Some(0));
}

pub fn positions_are_kept_per_group(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    site.append((0..10).map(|n| value(&at(&topic, n % 2), n.to_string())).collect());
    let mut one = site.reader("one", std::slice::from_ref(&topic), 2);
    let mut other = site.reader("other", std::slice::from_ref(&topic), 2);
    assert_eq!(one.committed(&at(&topic, 0)).unwrap(), None);
    one.commit_positions(&[(at(&topic, 0), 3), (at(&topic, 1), 5)]).unwrap();
    assert_eq!(one.committed(&at(&topic, 0)).unwrap(), Some(3));
    assert_eq!(one.committed(&at(&topic, 1)).unwrap(), Some(5));
    assert_eq!(other.committed(&at(&topic, 0)).unwrap(), None);
    // And told to whoever asks.
    let places = [at(&topic, 1), at(&topic, 0)];
    for (group, positions) in [
        ("one", [Some(5), Some(3)]),
        ("other", [None, None]),
        ("nobody", [None, None]),
    ] {
        let group = site.group(group, std::slice::from_ref(&topic)).group;
        let told = site.log().positions(&group, &places, Duration::from_secs(15)).unwrap();
        assert_eq!(told, positions, "{group}");
    }
    one.close();
    // A position never makes a reader start: `begin` does.
    let mut again = site
        .log()
        .group_reader(site.group("one", std::slice::from_ref(&topic)))
        .unwrap();
    assigned(&mut *again, 2);
    let committed = again.committed(&at(&topic, 0)).unwrap().unwrap();
    again.begin(&at(&topic, 0), committed).unwrap();
    assert_eq!(read(&mut *again, 2).iter().map(text).collect::<Vec<_>>(), ["6", "8"]);
}

pub fn nothing_is_read_before_begin_and_begin_states_where(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    site.append((0..10).map(|n| value(&at(&topic, 0), n.to_string())).collect());
    let mut reader = site
        .log()
        .group_reader(site.group("g", std::slice::from_ref(&topic)))
        .unwrap();
    assigned(&mut *reader, 2);
    // A committed position is no reason to begin, and a begun partition none for the other.
    reader.commit_positions(&[(at(&topic, 0), 1)]).unwrap();
    for _ in 0..5 {
        let event = reader
            .poll(STEP, 100, &mut |_| panic!("a record before begin"))
            .unwrap();
        assert_eq!(event, GroupEvent::Polled);
    }
    reader.begin(&at(&topic, 0), 7).unwrap();
    assert_eq!(
        read(&mut *reader, 3).iter().map(text).collect::<Vec<_>>(),
        ["7", "8", "9"]
    );
    // Beyond the end is the end.
    reader.begin(&at(&topic, 1), 1_000_000).unwrap();
    site.append(vec![value(&at(&topic, 1), "first")]);
    assert_eq!(read(&mut *reader, 1).iter().map(text).collect::<Vec<_>>(), ["first"]);
    // Beginning again goes back.
    reader.begin(&at(&topic, 0), 9).unwrap();
    assert_eq!(read(&mut *reader, 1).iter().map(text).collect::<Vec<_>>(), ["9"]);
    assert!(matches!(
        reader.begin(&at("no-such-topic", 0), 0),
        Err(LogError::NoSuchPartition { .. })
    ));
}

pub fn pause_stops_the_flow_and_resume_loses_nothing(site: &mut Site) {
    let topic = site.topic("t", 2, Cleanup::Delete);
    let (one, other) = (at(&topic, 0), at(&topic, 1));
    let mut reader = site
        .log()
        .group_reader(site.group("g", std::slice::from_ref(&topic)))
        .unwrap();
    assigned(&mut *reader, 2);
    // Paused before begin stays paused.
    reader.pause(std::slice::from_ref(&other)).unwrap();
    reader.begin(&one, 0).unwrap();
    reader.begin(&other, 0).unwrap();
    site.append(
        (0..50)
            .flat_map(|n| [value(&one, n.to_string()), value(&other, n.to_string())])
            .collect(),
    );
    let mut got = read(&mut *reader, 20);
    reader.pause(std::slice::from_ref(&one)).unwrap();
    for _ in 0..5 {
        reader
            .poll(STEP, 100, &mut |record| panic!("a paused record: {}", record.offset))
            .unwrap();
    }
    reader.resume(std::slice::from_ref(&one)).unwrap();
    got.extend(read(&mut *reader, 30));
    assert!(got.iter().all(|record| record.from == one));
    assert!(got.iter().map(|record| record.offset).eq(0..50));
    reader.resume(std::slice::from_ref(&other)).unwrap();
    let got = read(&mut *reader, 50);
    assert!(got.iter().all(|record| record.from == other));
    assert!(got.iter().map(|record| record.offset).eq(0..50));
    // What was fetched and not handed over is not handed over after a new begin.
    for (begin, count) in [(10, 5), (0, 3), (20, 30)] {
        reader.begin(&other, begin).unwrap();
        let got = read(&mut *reader, count);
        assert!(got.iter().all(|record| record.from == other));
        assert!(got.iter().map(|record| record.offset).eq(begin..begin + count as u64));
    }
}

pub fn a_flood_in_one_topic_keeps_no_other_waiting(site: &mut Site) {
    let (flood, other) = (
        site.topic("flood", 4, Cleanup::Delete),
        site.topic("other", 1, Cleanup::Delete),
    );
    site.append((0..20_000).map(|n| value(&at(&flood, n % 4), "flood")).collect());
    site.append((0..50).map(|_| value(&at(&other, 0), "other")).collect());
    let mut reader = site
        .log()
        .group_reader(site.group("g", &[flood.clone(), other.clone()]))
        .unwrap();
    let mut places = assigned(&mut *reader, 5);
    places.sort_by_key(|place| *place.topic == *flood);
    for place in &places {
        reader.begin(place, 0).unwrap();
    }
    let mut is_other = Vec::new();
    until("all records", || {
        let sink = &mut |record: tocsin_log::RecordRef<'_>| is_other.push(record.topic == other);
        reader.poll(STEP, 1_000, sink).unwrap();
        is_other.len() == 20_050
    });
    let last = is_other.iter().rposition(|is_other| *is_other);
    assert!(last.is_some_and(|last| last < 10_000), "{last:?}");
}

pub fn a_prefix_takes_in_topics_that_appear_later(site: &mut Site) {
    let first = site.topic("ingest.a", 1, Cleanup::Delete);
    site.topic("other.b", 1, Cleanup::Delete);
    let mut reader = site
        .log()
        .group_reader(site.group("g", &[site.name("ingest.*")]))
        .unwrap();
    assert_eq!(assigned(&mut *reader, 1), [at(&first, 0)]);
    reader.begin(&at(&first, 0), 0).unwrap();
    let later = site.topic("ingest.c", 2, Cleanup::Delete);
    site.append(vec![value(&at(&later, 1), "later"), value(&at(&first, 0), "first")]);
    let mut got = Vec::new();
    let mut found = Vec::new();
    until("the later topic and the records of both", || {
        let event = reader
            .poll(STEP, 10, &mut |record| got.push(text(&record.to_record())))
            .unwrap();
        match event {
            GroupEvent::Assigned(new) => {
                for partition in new {
                    reader.begin(&partition, 0).unwrap();
                    found.push(partition);
                }
            }
            GroupEvent::Revoked(gone) => panic!("revoked {gone:?}"),
            GroupEvent::Polled => {}
        }
        found.len() == 2 && got.len() == 2
    });
    found.sort();
    got.sort();
    assert_eq!(found, [at(&later, 0), at(&later, 1)]);
    assert_eq!(got, ["first", "later"]);
}

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

pub fn what_a_topic_does_not_allow_is_refused(site: &mut Site) {
    let (free, compacted) = (
        site.topic("f", 1, Cleanup::Delete),
        site.topic("c", 1, Cleanup::Compact),
    );
    let options = AppenderOptions {
        name: "refused".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    };
    let appender = site.log().appender(options).unwrap();
    let append = |append: Append| appender.append(vec![append]).wait();
    assert!(append(value(&at(&free, 0), "x".repeat(1_000))).is_ok());
    let refused = append(value(&at(&free, 0), "x".repeat(1_001)));
    assert!(
        matches!(refused, Err(LogError::RecordTooLarge { bytes: 1_001, .. })),
        "{refused:?}"
    );
    let refused = append(value(&at(&compacted, 0), "no key"));
    assert!(matches!(refused, Err(LogError::KeyMissing { .. })), "{refused:?}");
    for nowhere in [at(&free, 1), at(&site.name("none"), 0)] {
        let refused = append(value(&nowhere, "x"));
        assert!(matches!(refused, Err(LogError::NoSuchPartition { .. })), "{refused:?}");
    }
    // The appender goes on after all that.
    assert!(append(value(&at(&free, 0), "y")).is_ok());
    assert_eq!(contents(&*site.log(), &at(&free, 0)).len(), 2);
}

pub fn a_gapless_appender_appends_nothing_behind_a_failure(site: &mut Site) {
    let to = at(&site.topic("f", 1, Cleanup::Delete), 0);
    let options = AppenderOptions {
        name: "gapless".to_owned(),
        durability: Durability::Ordered,
        gapless: true,
    };
    let appender = site.log().appender(options.clone()).unwrap();
    let texts = ["a".to_owned(), "x".repeat(1_001), "b".to_owned(), "c".to_owned()];
    let calls: Vec<Completion> = texts
        .iter()
        .map(|text| appender.append(vec![value(&to, text)]))
        .collect();
    let outcomes: Vec<bool> = calls.into_iter().map(|call| call.wait().is_ok()).collect();
    assert_eq!(outcomes, [true, false, false, false]);
    assert!(appender.append(vec![value(&to, "d")]).wait().is_err());
    // Another appender is another matter.
    assert!(
        site.log()
            .appender(options)
            .unwrap()
            .append(vec![value(&to, "e")])
            .wait()
            .is_ok()
    );
    let appended = contents(&*site.log(), &to);
    assert_eq!(appended.iter().map(text).collect::<Vec<_>>(), ["a", "e"]);
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

pub fn append_stamps_never_go_back(site: &mut Site) {
    let to = at(&site.topic("t", 1, Cleanup::Delete), 0);
    let options = AppenderOptions {
        name: "stamps".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    };
    let appender = site.log().appender(options).unwrap();
    for n in 0..20 {
        appender.append(vec![value(&to, n.to_string())]).wait().unwrap();
    }
    let stamps: Vec<i64> = contents(&*site.log(), &to)
        .iter()
        .map(|record| record.appended_at_ms)
        .collect();
    assert!(stamps.is_sorted(), "{stamps:?}");
    assert!(stamps[0] > 1_700_000_000_000, "{stamps:?}");
}

pub fn a_newer_committer_fences_the_older(site: &mut Site) {
    let to = at(&site.topic("t", 1, Cleanup::Delete), 0);
    let membership = Membership::Absent(String::new());
    let unit = |text: &str| Unit {
        appends: vec![value(&to, text)],
        positions: Vec::new(),
    };
    let mut older = site.log().committer(&site.name("c")).unwrap();
    older.commit(&membership, unit("older")).unwrap();
    let mut newer = site.log().committer(&site.name("c")).unwrap();
    newer.commit(&membership, unit("newer")).unwrap();
    for _ in 0..2 {
        let refused = older.commit(&membership, unit("fenced"));
        assert!(
            matches!(refused, Err(CommitError::Fenced(LogError::TakenOver { .. }))),
            "{refused:?}"
        );
    }
    newer.commit(&membership, unit("newest")).unwrap();
    // Another instance is another matter.
    site.log()
        .committer(&site.name("d"))
        .unwrap()
        .commit(&membership, unit("aside"))
        .unwrap();
    newer.commit(&membership, unit("last")).unwrap();
    let texts: Vec<String> = contents(&*site.log(), &to).iter().map(text).collect();
    assert_eq!(texts, ["older", "newer", "newest", "aside", "last"]);
}

pub fn positions_need_membership(site: &mut Site) {
    let to = at(&site.topic("t", 1, Cleanup::Delete), 0);
    let mut committer = site.log().committer(&site.name("c")).unwrap();
    let unit = || Unit {
        appends: vec![value(&to, "x")],
        positions: vec![(to.clone(), 1)],
    };
    let refused = committer.commit(&Membership::Absent(site.name("g")), unit());
    assert!(
        matches!(refused, Err(CommitError::Fenced(LogError::NotAMember { .. }))),
        "{refused:?}"
    );
    // A proof that is stale by now: the member left.
    let reader = site.reader("g", &[to.topic.to_string()], 1);
    let stale = reader.membership();
    committer.commit(&stale, unit()).unwrap();
    reader.close();
    let refused = committer.commit(&stale, unit());
    assert!(matches!(refused, Err(CommitError::Fenced(_))), "{refused:?}");
    let reader = site.reader("g", &[to.topic.to_string()], 1);
    committer.commit(&reader.membership(), unit()).unwrap();
    assert_eq!(contents(&*site.log(), &to).len(), 2);
}

pub fn a_log_closed_and_opened_again_is_the_same(site: &mut Site) {
    let topic = site.topic("t", 1, Cleanup::Delete);
    let to = at(&topic, 0);
    site.append(vec![value(&to, "a"), value(&to, "b")]);
    let mut reader = site.reader("g", std::slice::from_ref(&topic), 1);
    reader.commit_positions(&[(to.clone(), 2)]).unwrap();
    reader.close();
    let topics = |log: SharedLog| -> Vec<TopicInfo> {
        log.topics()
            .unwrap()
            .into_iter()
            .filter(|info| info.name == topic)
            .collect()
    };
    let before = topics(site.log());
    site.reopen();
    assert_eq!(topics(site.log()), before);
    site.append(vec![value(&to, "c")]);
    let records = contents(&*site.log(), &to);
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(records.iter().map(|record| record.offset).eq(0..3));
    assert!(records.iter().map(|record| record.appended_at_ms).is_sorted());
    let mut reader = site.reader("g", std::slice::from_ref(&topic), 1);
    assert_eq!(reader.committed(&to).unwrap(), Some(2));
}

pub fn topics_have_an_identity_and_a_shape(site: &mut Site) {
    let (b, a) = (
        site.topic("b", 2, Cleanup::Delete),
        site.topic("a", 1, Cleanup::Compact),
    );
    let topics: Vec<TopicInfo> = site
        .log()
        .topics()
        .unwrap()
        .into_iter()
        .filter(|info| info.name == a || info.name == b)
        .collect();
    assert_eq!(
        topics.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(),
        [&a, &b]
    );
    assert_eq!(topics.iter().map(|info| info.partitions).collect::<Vec<_>>(), [1, 2]);
    assert_ne!(topics[0].id, topics[1].id);
    assert!(topics.iter().all(|info| info.id != 0));
    // The same again is no difference, nor are more partitions of a topic that may grow.
    let may_grow = |partitions| TopicSpec {
        may_grow: true,
        ..spec(&b, partitions, Cleanup::Delete)
    };
    for same in [spec(&b, 2, Cleanup::Delete), may_grow(1), may_grow(2)] {
        site.log()
            .ensure_topics(&[spec(&a, 1, Cleanup::Compact), same])
            .unwrap();
    }
    let others = [
        spec(&b, 1, Cleanup::Delete),
        spec(&b, 3, Cleanup::Delete),
        may_grow(3),
        spec(&b, 2, Cleanup::Compact),
    ];
    for other in others {
        let refused = site.log().ensure_topics(&[other]);
        assert!(matches!(refused, Err(LogError::TopicMismatch { .. })), "{refused:?}");
    }
    // To look changes nothing, and tells of every topic.
    let absent = site.name("absent");
    let wanted = [
        spec(&absent, 1, Cleanup::Delete),
        spec(&a, 1, Cleanup::Compact),
        spec(&b, 3, Cleanup::Delete),
    ];
    let found = site.log().check_topics(&wanted).unwrap();
    let found: Vec<_> = found.iter().map(|found| (&*found.topic, &*found.difference)).collect();
    assert_eq!(found, [(&*absent, "it is absent"), (&*b, "it has 2 partitions, not 3")]);
    assert!(site.log().topics().unwrap().iter().all(|topic| topic.name != absent));
    // Records that are kept for another time are told of, and no reason not to start.
    let shorter = TopicSpec {
        retention_ms: Some(86_400_000),
        ..spec(&b, 2, Cleanup::Delete)
    };
    let found = site.log().check_topics(std::slice::from_ref(&shorter)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].difference.ends_with("86400000") || found[0].difference.ends_with("86400000 ms"));
    site.log().ensure_topics(&[shorter]).unwrap();
    let refused = site.log().ensure_topics(&[spec("a b", 1, Cleanup::Delete)]);
    assert!(matches!(refused, Err(LogError::TopicRefused { .. })), "{refused:?}");
}

pub fn many_threads_append_at_once(site: &mut Site) {
    let to = at(&site.topic("t", 1, Cleanup::Delete), 0);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (log, to) = (site.log(), to.clone());
            std::thread::spawn(move || {
                let options = AppenderOptions {
                    name: format!("many-{thread}"),
                    durability: Durability::Ordered,
                    gapless: false,
                };
                let appender = log.appender(options).unwrap();
                let calls: Vec<Completion> = (0..100)
                    .map(|n| appender.append(vec![value(&to, format!("{thread}.{n}"))]))
                    .collect();
                calls
                    .into_iter()
                    .map(|call| call.wait().unwrap()[0])
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let offsets: Vec<Vec<u64>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let records = contents(&*site.log(), &to);
    assert_eq!(records.len(), 400);
    for (thread, offsets) in offsets.iter().enumerate() {
        assert!(offsets.is_sorted());
        for (n, offset) in offsets.iter().enumerate() {
            assert_eq!(text(&records[*offset as usize]), format!("{thread}.{n}"));
        }
    }
}
