//! What both logs promise of topics, and of a log that is opened again.

use tocsin_log::*;

use crate::site::*;

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
