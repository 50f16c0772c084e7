//! What only Kafka has: several members of a group, the death of one, and records of others that were called off.
//!
//! The members here keep count the way a service does: a unit commits what was read, as copies, together with the positions. If a partition
//! were begun twice or lost, a copy would be double or missing.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tocsin_log::kafka::KafkaLog;
use tocsin_log::*;

use super::site::*;

const PARTITIONS: u32 = 4;
const RECORDS: usize = 800;

/// Copies `from` to `to` as a member of `group`, exactly once, until told to stop. Returns how many copies it committed.
fn copy(log: &dyn Log, group: &GroupOptions, to: &TopicPartition, committer: &str, stop: &AtomicBool) -> usize {
    let mut reader = log.group_reader(group.clone()).unwrap();
    let mut committer = log.committer(committer).unwrap();
    let mut ours = BTreeSet::new();
    let mut copied = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut unit = Unit::default();
        let event = reader
            .poll(Duration::from_millis(50), 10, &mut |record| {
                unit.appends.push(value(to, text(&record.to_record())));
                let partition = at(record.topic, record.partition);
                unit.positions.retain(|(other, _)| *other != partition);
                unit.positions.push((partition, record.offset + 1));
            })
            .unwrap();
        assert!(
            unit.positions.iter().all(|(partition, _)| ours.contains(partition)),
            "a record that is not ours"
        );
        let appends = unit.appends.len();
        match committer.commit(&reader.membership(), unit) {
            Ok(()) => copied += appends,
            // Not ours any more: whoever has them now begins at the position before. Ours to the last go back there too.
            Err(CommitError::Fenced(_) | CommitError::NotApplied(_)) => {
                for partition in &ours {
                    begin_at_committed(&mut *reader, partition);
                }
            }
            Err(unknown) => panic!("{unknown:?}"),
        }
        match event {
            GroupEvent::Assigned(new) => {
                for partition in new {
                    assert!(ours.insert(partition.clone()), "assigned twice");
                    begin_at_committed(&mut *reader, &partition);
                }
            }
            GroupEvent::Revoked(gone) => {
                for partition in gone {
                    assert!(ours.remove(&partition), "revoked what was not ours");
                }
            }
            GroupEvent::Polled => {}
        }
    }
    reader.close();
    copied
}

fn begin_at_committed(reader: &mut dyn GroupReader, partition: &TopicPartition) {
    let offset = reader.committed(partition).unwrap().unwrap_or(0);
    match reader.begin(partition, offset) {
        Ok(()) | Err(LogError::NoSuchPartition { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn fill(site: &Site, topic: &str, from: usize) {
    let record = |n: usize| value(&at(topic, n as u32 % PARTITIONS), n.to_string());
    site.append((from..from + RECORDS / 2).map(record).collect());
}

/// Waits for the copies: all of them, each once.
fn check_copies(site: &Site, to: &TopicPartition) {
    let mut reader = site.log().tail_reader(&[(to.clone(), 0)]).unwrap();
    let mut copies = Vec::new();
    let deadline = Instant::now() + LIMIT;
    let distinct = |copies: &[usize]| copies.iter().collect::<BTreeSet<_>>().len();
    while distinct(&copies) < RECORDS {
        assert!(Instant::now() < deadline, "{} of {RECORDS} copies", distinct(&copies));
        reader
            .poll(STEP, 1_000, &mut |record| {
                copies.push(text(&record.to_record()).parse().unwrap())
            })
            .unwrap();
    }
    reader
        .poll(Duration::from_secs(1), 1_000, &mut |record| {
            copies.push(text(&record.to_record()).parse().unwrap())
        })
        .unwrap();
    assert_eq!(copies.len(), RECORDS, "copies that are double");
}

#[test]
fn partitions_move_between_members_with_no_loss_and_no_double() {
    let Some(site) = Site::kafka() else { return };
    let from = site.topic("from", PARTITIONS, Cleanup::Delete);
    let to = at(&site.topic("to", 1, Cleanup::Delete), 0);
    let member = |name: &str| {
        let (log, to, stop) = (site.log(), to.clone(), Arc::new(AtomicBool::new(false)));
        let (group, name, stopped) = (
            site.group("g", std::slice::from_ref(&from)),
            site.name(name),
            stop.clone(),
        );
        let thread = std::thread::spawn(move || copy(&*log, &group, &to, &name, &stopped));
        (thread, stop)
    };
    let (one, stop_one) = member("one");
    fill(&site, &from, 0);
    // The second joins in the middle, takes over partitions, and the first leaves.
    let (other, stop_other) = member("other");
    let mut watcher = site.log().tail_reader(&[(to.clone(), 0)]).unwrap();
    tail(&mut *watcher, RECORDS / 4);
    fill(&site, &from, RECORDS / 2);
    tail(&mut *watcher, RECORDS / 4);
    stop_one.store(true, Ordering::Relaxed);
    let by_one = one.join().unwrap();
    check_copies(&site, &to);
    stop_other.store(true, Ordering::Relaxed);
    assert_eq!(by_one + other.join().unwrap(), RECORDS);
}

/// Not a test of its own: the member that [`a_member_killed_loses_and_doubles_nothing`] starts as a process and kills.
#[test]
fn a_member_in_a_process_of_its_own() {
    let Ok(names) = std::env::var("TOCSIN_TEST_MEMBER") else {
        return;
    };
    let [group, from, to, committer] = names.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let log = KafkaLog::connect(kafka_options().unwrap()).unwrap();
    let group = GroupOptions {
        group: group.to_owned(),
        instance: String::new(),
        topics: vec![from.to_owned()],
    };
    copy(&log, &group, &at(to, 0), committer, &AtomicBool::new(false));
}

#[test]
fn a_member_killed_loses_and_doubles_nothing() {
    let Some(site) = Site::kafka() else { return };
    let from = site.topic("from", PARTITIONS, Cleanup::Delete);
    let to = at(&site.topic("to", 1, Cleanup::Delete), 0);
    let group = site.group("g", std::slice::from_ref(&from));
    let names = format!("{} {from} {} {}", group.group, to.topic, site.name("killed"));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kafka_only::a_member_in_a_process_of_its_own", "--exact"])
        .env("TOCSIN_TEST_MEMBER", names)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    fill(&site, &from, 0);
    let mut watcher = site.log().tail_reader(&[(to.clone(), 0)]).unwrap();
    tail(&mut *watcher, RECORDS / 8);
    child.kill().unwrap();
    child.wait().unwrap();
    fill(&site, &from, RECORDS / 2);
    // The same instance comes back and finds the unit of the dead one aborted; the group lets its partitions go after the session's time.
    let (log, stop) = (site.log(), Arc::new(AtomicBool::new(false)));
    let (copies, stopped, committer) = (to.clone(), stop.clone(), site.name("killed"));
    let heir = std::thread::spawn(move || copy(&*log, &group, &copies, &committer, &stopped));
    check_copies(&site, &to);
    stop.store(true, Ordering::Relaxed);
    heir.join().unwrap();
}

#[test]
fn what_was_called_off_is_never_seen_and_bounds_include_it() {
    let Some(site) = Site::kafka() else { return };
    let to = at(&site.topic("t", 1, Cleanup::Delete), 0);
    // Another log does not know the topic's limit, so the broker refuses the record with the transaction under way.
    let stranger = KafkaLog::connect(kafka_options().unwrap()).unwrap();
    let mut committer = stranger.committer(&site.name("c")).unwrap();
    let membership = Membership::Absent(String::new());
    for round in 0..3 {
        let unit = |size| Unit {
            appends: vec![value(&to, round.to_string()), value(&to, "x".repeat(size))],
            positions: Vec::new(),
        };
        let refused = committer.commit(&membership, unit(2_000_000));
        assert!(
            matches!(refused, Err(CommitError::NotApplied(LogError::RecordTooLarge { .. }))),
            "{refused:?}"
        );
        committer.commit(&membership, unit(10)).unwrap();
    }
    let (_, end) = site.log().bounds(&to).unwrap();
    let records = contents(&*site.log(), &to);
    assert_eq!(records.len(), 6);
    assert!(end > 6, "the ends of transactions take offsets");
}

/// Makes a topic of one partition by hand, with settings that we would not give it.
fn make_by_hand(name: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka_options().unwrap().bootstrap_servers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let topic = settings
        .iter()
        .fold(topic, |topic, (name, value)| topic.set(name, value));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let made = runtime.block_on(admin.create_topics(&[topic], &options)).unwrap();
    assert!(made[0].is_ok(), "{made:?}");
    // The controller has it; the broker that is asked may hear of it later.
    let log = KafkaLog::connect(kafka_options().unwrap()).unwrap();
    until("the topic is there", || {
        log.topics().unwrap().iter().any(|topic| topic.name == name)
    });
    config
}

#[test]
fn a_topic_whose_senders_stamp_records_is_refused_and_its_records_say_so() {
    const IN_2100: i64 = 4_102_444_800_000;
    let Some(site) = Site::kafka() else { return };
    let name = site.name("ingest.by-hand");
    // By default a broker lets a sender be an hour ahead at most (KIP-937), and as far behind as it likes.
    let any_time = ("message.timestamp.after.max.ms", "9223372036854775807");
    let config = make_by_hand(&name, &[("max.message.bytes", "1000"), any_time]);
    let producer: BaseProducer = config.create().unwrap();
    let record = BaseRecord::<(), str>::to(&name).payload("x").timestamp(IN_2100);
    assert!(producer.send(record).is_ok());
    producer.flush(LIMIT).unwrap();
    let mut reader = site.reader("g", std::slice::from_ref(&name), 1);
    let mut stamp = None;
    until("the record", || {
        let polled = reader.poll(STEP, 1, &mut |record| {
            stamp = Some((record.appended_at_ms, record.stamped_by));
        });
        polled.unwrap();
        stamp.is_some()
    });
    assert_eq!(stamp, Some((IN_2100, StampedBy::Sender)));

    let refused = site
        .log()
        .ensure_topics(&[spec(&name, 1, Cleanup::Delete)])
        .unwrap_err();
    assert!(
        matches!(&refused, LogError::TopicMismatch { difference, .. } if difference.contains("CreateTime")),
        "{refused:?}"
    );
}

#[test]
fn a_topic_with_another_limit_of_bytes_is_refused() {
    let Some(site) = Site::kafka() else { return };
    for bytes_max in ["999", "300000", "10000000"] {
        let name = site.name(&format!("by-hand-{bytes_max}"));
        let by_log = ("message.timestamp.type", "LogAppendTime");
        make_by_hand(&name, &[("max.message.bytes", bytes_max), by_log]);
        let found = site.log().check_topics(&[spec(&name, 1, Cleanup::Delete)]).unwrap();
        let wanted = format!("its max.message.bytes is {bytes_max}, not 1000 to 267240");
        assert_eq!(found[0].difference, wanted);
    }
}

#[test]
fn who_asks_for_ends_waits_no_longer_than_it_said() {
    let Some(site) = Site::kafka() else { return };
    let place = at(&site.topic("t", 1, Cleanup::Delete), 0);
    let late = site.log().ends(&[place], Duration::ZERO);
    assert!(matches!(late, Err(LogError::Kafka { .. })), "{late:?}");
}

#[test]
fn a_compacted_topic_has_the_settings_that_were_asked_for_and_the_operators_go_before() {
    let Some(site) = Site::kafka() else { return };
    let name = site.name("compacted");
    let compaction = Compaction {
        segment_ms: 600_000,
        lag_ms_max: 1_800_000,
        dirty_percent_min: 10,
    };
    let compacted = TopicSpec {
        compaction: Some(compaction),
        ..spec(&name, 1, Cleanup::Compact)
    };
    let mut options = kafka_options().unwrap();
    // The test's own settings, but for one, would go before.
    options
        .topic_properties
        .retain(|property, _| property == "max.compaction.lag.ms");
    let servers = options.bootstrap_servers.clone();
    KafkaLog::connect(options).unwrap().ensure_topics(&[compacted]).unwrap();

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let topic = ResourceSpecifier::Topic(&name);
    let described = runtime
        .block_on(admin.describe_configs([&topic], &AdminOptions::new()))
        .unwrap();
    let described = described[0].as_ref().unwrap();
    let setting = |name: &str| described.get(name).unwrap().value.clone().unwrap();
    assert_eq!(setting("segment.ms"), "600000");
    assert_eq!(setting("min.cleanable.dirty.ratio"), "0.1");
    assert_eq!(setting("max.compaction.lag.ms"), "1000");
}

#[test]
fn static_members_come_back_to_their_partitions() {
    let Some(site) = Site::kafka() else { return };
    let topic = site.topic("t", 2, Cleanup::Delete);
    let mut group = site.group("g", std::slice::from_ref(&topic));
    group.instance = "ordinal-0".to_owned();
    for round in 0..2 {
        let mut reader = site.log().group_reader(group.clone()).unwrap();
        let ours = assigned(&mut *reader, 2);
        reader.commit_positions(&[(ours[0].clone(), round)]).unwrap();
        assert!(matches!(reader.membership(), Membership::Kafka(_)));
        reader.close();
    }
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    let mut options = tocsin_log::kafka::KafkaOptions::new("127.0.0.1:1");
    options
        .client_properties
        .insert("no.such.property".to_owned(), "x".to_owned());
    let refused = KafkaLog::connect(options).err().unwrap();
    assert!(
        matches!(
            refused,
            LogError::Kafka {
                operation: "make a client",
                ..
            }
        ),
        "{refused:?}"
    );
}

#[test]
fn a_tail_reader_that_looks_seldom_sees_what_came() {
    let Some(site) = Site::kafka() else { return };
    let topic = site.topic("t", 2, Cleanup::Delete);
    let (to, silent) = (at(&topic, 0), at(&topic, 1));
    let mut reader = site.log().tail_reader(&[(to.clone(), 0)]).unwrap();
    // Waiting for a partition in which nothing comes takes the time between two looks, in which more than one event of the client's comes.
    let mut pause = site.log().tail_reader(&[(silent, 0)]).unwrap();
    let mut look = || {
        pause.poll(STEP, 1, &mut |_| panic!("a record of nobody")).unwrap();
        reader.poll(Duration::ZERO, 100, &mut |_| {}).unwrap()
    };
    for _ in 0..5 {
        assert_eq!(look(), 0);
    }
    site.append(vec![value(&to, "late")]);
    let looks = (1..=15).find(|_| look() == 1);
    assert!(looks.is_some(), "it never came");
    println!("seen at look {looks:?}");
}
