//! What both logs promise of topics that are deleted.

use tocsin_log::*;

use crate::site::*;

pub fn a_deleted_topic_leaves_nothing_to_its_successor(site: &mut Site) {
    let (gone, kept) = (
        site.topic("gone", 2, Cleanup::Compact),
        site.topic("kept", 1, Cleanup::Compact),
    );
    for topic in [&gone, &kept] {
        site.append(vec![
            keyed(&at(topic, 0), "k", Some("v")),
            keyed(&at(topic, 0), "t", None),
        ]);
    }
    let mut reader = site.reader("g", std::slice::from_ref(&gone), 2);
    reader.commit_positions(&[(at(&gone, 0), 1)]).unwrap();
    reader.close();
    let id = |name: &str| {
        site.log()
            .topics()
            .unwrap()
            .into_iter()
            .find(|topic| topic.name == name)
            .map(|topic| topic.id)
    };
    let before = id(&gone);
    assert!(before.is_some());
    let absent = site.name("absent");
    site.log().delete_topics(&[&gone, &absent]).unwrap();
    assert_eq!(id(&gone), None);
    let unknown = site.log().bounds(&at(&gone, 0));
    assert!(matches!(unknown, Err(LogError::NoSuchPartition { .. })), "{unknown:?}");
    // Again is no error.
    site.log().delete_topics(&[&gone]).unwrap();

    site.log().ensure_topics(&[spec(&gone, 3, Cleanup::Delete)]).unwrap();
    assert_ne!(id(&gone), before, "another topic");
    for partition in 0..3 {
        assert_eq!(site.log().bounds(&at(&gone, partition)).unwrap(), (0, 0));
    }
    assert_eq!(site.append(vec![value(&at(&gone, 2), "new")]), [0]);
    assert_eq!(contents(&*site.log(), &at(&gone, 2)).len(), 1);
    assert_eq!(
        contents(&*site.log(), &at(&kept, 0)).len(),
        2,
        "its neighbour is untouched"
    );
}
