//! What both logs promise of appends.

use tocsin_log::*;

use crate::site::*;

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
