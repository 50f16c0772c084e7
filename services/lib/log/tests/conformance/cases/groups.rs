//! What both logs promise to members of a group.

use tocsin_log::*;

use crate::site::*;

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
