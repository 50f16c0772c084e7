//! What a namespace keeps apart: nothing inside it has a name outside, and nothing outside one inside.

use std::sync::Arc;
use std::time::Duration;

use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::kafka::KafkaLog;
use tocsin_log::*;

use super::site::*;

fn append(log: &dyn Log, records: Vec<Append>) -> Result<Vec<u64>, LogError> {
    let options = AppenderOptions {
        name: "test".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    };
    log.appender(options)?.append(records).wait()
}

fn names(log: &dyn Log, of: &str) -> Vec<String> {
    let names = log.topics().unwrap().into_iter().map(|topic| topic.name);
    names.filter(|name| name.contains(of)).collect()
}

/// Two sides that use the same names; `unique` is in all of them.
fn nothing_crosses(whole: SharedLog, unique: &str) {
    let inside = Namespaced::new(Arc::clone(&whole), "drill.0000000a.").unwrap();
    let beside = Namespaced::new(Arc::clone(&whole), "drill.0000000b.").unwrap();
    let topic = format!("t.{unique}");
    let specs = [spec(&topic, 1, Cleanup::Delete)];
    whole.ensure_topics(&specs).unwrap();
    Log::ensure_topics(&inside, &specs).unwrap();
    let to = at(&topic, 0);
    append(&*whole, vec![value(&to, "real"), value(&to, "real too")]).unwrap();
    append(&inside, vec![value(&to, "drill")]).unwrap();

    // By its name each sees its own, and the other only where it stands.
    let texts = |log: &dyn Log| contents(log, &to).iter().map(text).collect::<Vec<_>>();
    assert_eq!(texts(&*whole), ["real", "real too"]);
    assert_eq!(texts(&inside), ["drill"]);
    assert_eq!(names(&inside, unique), std::slice::from_ref(&topic));
    assert_eq!(
        names(&*whole, unique),
        [format!("drill.0000000a.{topic}"), topic.clone()]
    );
    assert!(names(&beside, unique).is_empty());
    // A name that leads out of a namespace leads nowhere.
    assert!(Log::bounds(&inside, &at(&format!("drill.0000000a.{topic}"), 0)).is_err());
    assert!(Log::bounds(&beside, &to).is_err());

    // Both read as a group of the same name, each all of its own: a position of one is none of the other.
    let group = |log: &dyn Log| {
        let options = GroupOptions {
            group: format!("g.{unique}"),
            instance: String::new(),
            topics: vec![format!("{}*", &topic[..topic.len() - 1])],
        };
        let mut reader = log.group_reader(options).unwrap();
        let ours = assigned(&mut *reader, 1);
        assert_eq!(ours, std::slice::from_ref(&to), "names are those of this side");
        reader.begin(&to, 0).unwrap();
        reader
    };
    let (mut real, mut drill) = (group(&*whole), group(&inside));
    assert_eq!(
        read(&mut *real, 2).iter().map(text).collect::<Vec<_>>(),
        ["real", "real too"]
    );
    let drilled = read(&mut *drill, 1);
    assert_eq!(drilled[0].from, to);
    real.commit_positions(&[(to.clone(), 2)]).unwrap();
    assert_eq!(drill.committed(&to).unwrap(), None);

    // Committers of the same instance do not fence each other.
    let mut committers = [
        whole.committer(unique).unwrap(),
        Log::committer(&inside, unique).unwrap(),
    ];
    for (committer, reader) in committers.iter_mut().zip([&real, &drill]) {
        let unit = Unit {
            appends: vec![value(&to, "committed")],
            positions: vec![(to.clone(), 1)],
        };
        committer.commit(&reader.membership(), unit).unwrap();
    }
    assert_eq!(texts(&*whole), ["real", "real too", "committed"]);
    assert_eq!(texts(&inside), ["drill", "committed"]);
    let group = format!("g.{unique}");
    let positions = Log::positions(&inside, &group, std::slice::from_ref(&to), Duration::from_secs(30)).unwrap();
    assert_eq!(positions, [Some(1)]);
    real.close();
    drill.close();

    Log::delete_topics(&inside, &[&topic]).unwrap();
    assert_eq!(names(&*whole, unique), std::slice::from_ref(&topic));
    assert!(whole.bounds(&to).unwrap().1 >= 3, "its records stay");
    whole.delete_topics(&[&topic]).unwrap();
}

fn unique() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[test]
fn nothing_crosses_on_the_embedded_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap();
    nothing_crosses(Arc::new(log), &unique());
}

#[test]
fn nothing_crosses_on_kafka() {
    if let Some(options) = kafka_options() {
        nothing_crosses(Arc::new(KafkaLog::connect(options).unwrap()), &unique());
    }
}

#[test]
fn what_could_lie_in_another_by_accident_is_no_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let log: SharedLog = Arc::new(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap());
    for prefix in ["", ".", "drill", "drill/1.", "drill.*."] {
        assert!(Namespaced::new(Arc::clone(&log), prefix).is_err(), "{prefix:?}");
    }
}
