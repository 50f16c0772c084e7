//! What only the embedded log promises: one owner, crash safety, retention, its own clock.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions, FILE_NAME};
use tocsin_log::*;

fn open(directory: &Path) -> Result<EmbeddedLog, LogError> {
    EmbeddedLog::open(directory, EmbeddedOptions::default())
}

fn spec(name: &str, cleanup: Cleanup, retention_ms: Option<u64>) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        cleanup,
        retention_ms,
        record_bytes_max: 10_000,
        may_grow: false,
        compaction: None,
    }
}

fn record(topic: &str, key: Option<&str>, value: Option<&str>) -> Append {
    Append {
        to: TopicPartition::new(topic, 0),
        key: key.map(|key| key.to_owned().into()),
        value: value.map(|value| value.to_owned().into()),
        headers: Vec::new(),
    }
}

fn append(log: &EmbeddedLog, durability: Durability, records: Vec<Append>) -> Result<Vec<u64>, LogError> {
    let options = AppenderOptions {
        name: "test".to_owned(),
        durability,
        gapless: false,
    };
    log.appender(options).unwrap().append(records).wait()
}

fn contents(log: &EmbeddedLog, topic: &str) -> Vec<Record> {
    let mut reader = log.tail_reader(&[(TopicPartition::new(topic, 0), 0)]).unwrap();
    let mut records = Vec::new();
    while reader
        .poll(Duration::ZERO, 1_000, &mut |record| records.push(record.to_record()))
        .unwrap()
        > 0
    {}
    records
}

#[test]
fn a_second_owner_is_refused_and_a_closed_log_lets_go() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).unwrap();
    let refused = open(directory.path()).err().unwrap();
    assert!(matches!(refused, LogError::InUse { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&directory.path().display().to_string()));
    log.ensure_topics(&[spec("t", Cleanup::Delete, None)]).unwrap();
    let mut reader = log.tail_reader(&[(TopicPartition::new("t", 0), 0)]).unwrap();
    log.close();
    // What is left of it answers, and holds nothing back.
    assert!(matches!(
        reader.poll(Duration::from_secs(60), 1, &mut |_| {}),
        Err(LogError::Closed)
    ));
    assert!(matches!(log.topics(), Err(LogError::Closed)));
    open(directory.path()).unwrap();
}

#[test]
fn a_group_has_one_member() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).unwrap();
    let group = || GroupOptions {
        group: "g".to_owned(),
        instance: String::new(),
        topics: vec!["*".to_owned()],
    };
    let first = log.group_reader(group()).unwrap();
    assert!(matches!(log.group_reader(group()), Err(LogError::GroupInUse { .. })));
    first.close();
    log.group_reader(group()).unwrap();
}

#[test]
fn a_damaged_file_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    {
        let log = open(directory.path()).unwrap();
        log.ensure_topics(&[spec("t", Cleanup::Delete, None)]).unwrap();
        append(&log, Durability::Synced, vec![record("t", None, Some("x"))]).unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    let mut foreign = whole.clone();
    foreign[..64].fill(b'?');
    let cuts = [1, 63, 64, 319, 320, 4_095, 4_096, whole.len() / 2, whole.len() - 4_096];
    let broken = cuts
        .iter()
        .map(|cut| whole[..*cut].to_vec())
        .chain([foreign, b"a text file\n".repeat(500)]);
    for bytes in broken {
        std::fs::write(&path, &bytes).unwrap();
        match open(directory.path()) {
            Err(LogError::Damaged { path: named, .. }) => assert_eq!(Path::new(&named), path),
            Err(other) => panic!("{} bytes: {other:?}", bytes.len()),
            Ok(_) => panic!("{} bytes were taken for a log", bytes.len()),
        }
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(contents(&open(directory.path()).unwrap(), "t").len(), 1);
}

static STEPPING_CLOCK: AtomicI64 = AtomicI64::new(1_000_000);

#[test]
fn retention_goes_by_stamps_and_stamps_never_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        clock: || STEPPING_CLOCK.load(Ordering::Relaxed),
        tombstone_retention_ms: 1_000,
        retention_interval: Duration::from_secs(3_600),
        ..EmbeddedOptions::default()
    };
    let log = EmbeddedLog::open(directory.path(), options.clone()).unwrap();
    log.ensure_topics(&[
        spec("short", Cleanup::Delete, Some(500)),
        spec("ever", Cleanup::Delete, None),
        spec("compacted", Cleanup::Compact, None),
    ])
    .unwrap();
    // The clock goes back by 400 s in the middle.
    for now_ms in [1_000_000, 1_000_400, 600_000, 1_000_600] {
        STEPPING_CLOCK.store(now_ms, Ordering::Relaxed);
        let records = vec![record("short", None, Some("x")), record("ever", None, Some("x"))];
        append(&log, Durability::Ordered, records).unwrap();
    }
    let stamps = |log: &EmbeddedLog, topic: &str| -> Vec<i64> {
        contents(log, topic)
            .iter()
            .map(|record| record.appended_at_ms)
            .collect()
    };
    assert_eq!(stamps(&log, "ever"), [1_000_000, 1_000_400, 1_000_400, 1_000_600]);
    assert_eq!(log.enforce_retention(1_000_500).unwrap(), 0);
    assert_eq!(log.enforce_retention(1_000_501).unwrap(), 1);
    assert_eq!(stamps(&log, "short"), [1_000_400, 1_000_400, 1_000_600]);
    assert_eq!(log.bounds(&TopicPartition::new("short", 0)).unwrap(), (1, 4));
    assert_eq!(log.enforce_retention(i64::MAX).unwrap(), 3);
    assert_eq!(log.bounds(&TopicPartition::new("short", 0)).unwrap(), (4, 4));
    assert_eq!(stamps(&log, "ever").len(), 4);

    // A removal is told for a while, and then forgotten together with its key.
    append(
        &log,
        Durability::Ordered,
        vec![
            record("compacted", Some("k"), Some("v")),
            record("compacted", Some("l"), Some("v")),
        ],
    )
    .unwrap();
    append(&log, Durability::Ordered, vec![record("compacted", Some("k"), None)]).unwrap();
    let offsets = |log: &EmbeddedLog| {
        contents(log, "compacted")
            .iter()
            .map(|record| record.offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(&log), [1, 2]);
    assert_eq!(log.enforce_retention(1_001_600).unwrap(), 0);
    assert_eq!(log.enforce_retention(1_001_601).unwrap(), 1);
    assert_eq!(offsets(&log), [1]);
    append(
        &log,
        Durability::Ordered,
        vec![record("compacted", Some("k"), Some("new"))],
    )
    .unwrap();
    assert_eq!(offsets(&log), [1, 3]);

    // Also over a restart no stamp goes back, and no offset is used again.
    drop(log);
    STEPPING_CLOCK.store(5, Ordering::Relaxed);
    let log = EmbeddedLog::open(directory.path(), options).unwrap();
    assert_eq!(
        append(&log, Durability::Ordered, vec![record("short", None, Some("x"))]).unwrap(),
        [4]
    );
    assert_eq!(stamps(&log, "short"), [1_000_600]);
}

#[test]
fn more_old_records_than_one_pass_takes_all_go() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).unwrap();
    log.ensure_topics(&[spec("t", Cleanup::Delete, Some(1))]).unwrap();
    append(&log, Durability::Ordered, vec![record("t", None, Some("x")); 5_001]).unwrap();
    assert_eq!(log.enforce_retention(i64::MAX).unwrap(), 5_001);
    assert_eq!(contents(&log, "t").len(), 0);
}

#[test]
fn a_full_queue_makes_its_callers_wait_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        queue_jobs_max: 2,
        queue_bytes_max: 2_000,
        ..EmbeddedOptions::default()
    };
    let log = EmbeddedLog::open(directory.path(), options).unwrap();
    log.ensure_topics(&[spec("t", Cleanup::Delete, None)]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    // Larger than the whole queue: let in alone.
                    append(
                        &log,
                        Durability::Ordered,
                        vec![record("t", None, Some(&"x".repeat(3_000)))],
                    )
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(contents(&log, "t").len(), 200);
}

#[tokio::test]
async fn a_completion_is_a_future() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).unwrap();
    log.ensure_topics(&[spec("t", Cleanup::Delete, None)]).unwrap();
    let options = AppenderOptions {
        name: "async".to_owned(),
        durability: Durability::Ordered,
        gapless: false,
    };
    let appender = log.appender(options).unwrap();
    assert_eq!(appender.append(vec![record("t", None, Some("x"))]).await.unwrap(), [0]);
}

/// Not a test of its own: the process that [`units_survive_a_kill_whole`] starts and kills. Each unit puts its number into two topics and
/// into the position; each acknowledged one is told on standard output, and so are synced appends.
#[test]
fn a_process_that_commits_units() {
    let Ok(directory) = std::env::var("TOCSIN_TEST_COMMITS") else {
        return;
    };
    let log = open(Path::new(&directory)).unwrap();
    log.ensure_topics(&[
        spec("a", Cleanup::Delete, None),
        spec("b", Cleanup::Compact, None),
        spec("s", Cleanup::Delete, None),
    ])
    .unwrap();
    let group = GroupOptions {
        group: "g".to_owned(),
        instance: String::new(),
        topics: vec!["a".to_owned()],
    };
    let reader = log.group_reader(group).unwrap();
    let mut committer = log.committer("c").unwrap();
    let start = log.bounds(&TopicPartition::new("a", 0)).unwrap().1;
    for number in start.. {
        let text = number.to_string();
        let unit = Unit {
            appends: vec![record("a", None, Some(&text)), record("b", Some("k"), Some(&text))],
            positions: vec![(TopicPartition::new("a", 0), number)],
        };
        committer.commit(&reader.membership(), unit).unwrap();
        println!("unit {number}");
        let offsets = append(&log, Durability::Synced, vec![record("s", None, Some(&text))]).unwrap();
        println!("synced {}", offsets[0]);
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn units_survive_a_kill_whole() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["a_process_that_commits_units", "--exact", "--nocapture"])
            .env("TOCSIN_TEST_COMMITS", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut unit, mut synced, mut told) = (None, None, 0);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed wherever it is after so many lines; what it told before it died counts too.
        for line in lines.by_ref().map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("unit", number)) => unit = number.parse::<u64>().ok().or(unit),
                Some(("synced", offset)) => synced = offset.parse::<u64>().ok().or(synced),
                _ => continue,
            }
            told += 1;
            if told == 10 * round + round % 2 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();

        let log = open(directory.path()).unwrap();
        let values = |topic| -> Vec<u64> {
            let records = contents(&log, topic);
            records
                .iter()
                .map(|record| {
                    std::str::from_utf8(record.value.as_ref().unwrap())
                        .unwrap()
                        .parse()
                        .unwrap()
                })
                .collect()
        };
        let a = values("a");
        assert!(a.iter().copied().eq(0..a.len() as u64), "round {round}: {a:?}");
        let last = *a.last().unwrap();
        assert!(last >= unit.unwrap(), "round {round}: an acknowledged unit is gone");
        assert_eq!(values("b"), [last], "round {round}: half a unit");
        let group = GroupOptions {
            group: "g".to_owned(),
            instance: String::new(),
            topics: vec!["a".to_owned()],
        };
        let mut reader = log.group_reader(group).unwrap();
        assert_eq!(
            reader.committed(&TopicPartition::new("a", 0)).unwrap(),
            Some(last),
            "round {round}"
        );
        let (_, end) = log.bounds(&TopicPartition::new("s", 0)).unwrap();
        assert!(end > synced.unwrap(), "round {round}: a synced append is gone");
    }
}
