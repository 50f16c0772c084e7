//! What both logs promise of units and of who may commit them.

use std::time::Duration;

use tocsin_log::*;

use crate::site::*;

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
