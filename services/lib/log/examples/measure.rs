//! Measures a log: latency of commits and throughput of appends.
//!
//! `cargo run --release -p tocsin-log --example measure -- embedded DIR` or `-- kafka BOOTSTRAP`. A commit is one unit of ten records of 200
//! bytes and one position, each measured alone. An append is one call with one block of 8 KiB, up to 256 of them under way.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::kafka::{KafkaLog, KafkaOptions};
use tocsin_log::{
    Append, AppenderOptions, Cleanup, Durability, GroupEvent, GroupOptions, Log, LogError, TopicPartition, TopicSpec,
    Unit,
};

const COMMITS: usize = 200;
/// The detector's interval between commits.
const INTERVAL: Duration = Duration::from_millis(100);
const APPENDS: usize = 20_000;
const BLOCK_BYTES: usize = 8_192;
const UNDER_WAY_MAX: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["embedded", directory] => {
            let began = Instant::now();
            let log = EmbeddedLog::open(Path::new(directory), EmbeddedOptions::default())?;
            println!("open_ms {}", began.elapsed().as_millis());
            measure(&log)
        }
        ["kafka", bootstrap_servers] => measure(&KafkaLog::connect(KafkaOptions::new(bootstrap_servers))?),
        _ => Err("measure embedded DIR | measure kafka BOOTSTRAP".into()),
    }
}

fn measure(log: &dyn Log) -> Result<(), Box<dyn std::error::Error>> {
    let topic = format!("measure.{}", std::process::id());
    log.ensure_topics(&[TopicSpec {
        name: topic.clone(),
        partitions: 1,
        cleanup: Cleanup::Delete,
        retention_ms: None,
        record_bytes_max: 100_000,
        may_grow: false,
        compaction: None,
    }])?;
    let to = TopicPartition::new(topic.as_str(), 0);
    commits(log, &to, "back_to_back", Duration::ZERO)?;
    commits(log, &to, "at_intervals", INTERVAL)?;
    for durability in [Durability::Ordered, Durability::Synced] {
        appends(log, &to, durability)?;
    }
    reads(log, &to)?;
    Ok(())
}

fn record(to: &TopicPartition, bytes: usize) -> Append {
    Append {
        to: to.clone(),
        key: None,
        value: Some(vec![7; bytes].into()),
        headers: Vec::new(),
    }
}

fn commits(log: &dyn Log, to: &TopicPartition, name: &str, pause: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = log.group_reader(GroupOptions {
        group: format!("{}.group", to.topic),
        instance: String::new(),
        topics: vec![to.topic.to_string()],
    })?;
    while !matches!(
        reader.poll(Duration::from_secs(1), 1, &mut |_| {})?,
        GroupEvent::Assigned(_)
    ) {}
    let mut committer = log.committer(&format!("{}.committer", to.topic))?;
    let mut micros = Vec::new();
    for number in 0..COMMITS {
        let unit = Unit {
            appends: vec![record(to, 200); 10],
            positions: vec![(to.clone(), number as u64)],
        };
        let began = Instant::now();
        committer.commit(&reader.membership(), unit)?;
        micros.push(began.elapsed().as_micros());
        // Nothing was begun, so this only waits.
        reader.poll(pause, 1, &mut |_| {})?;
    }
    micros.sort_unstable();
    println!("commit_{name}_p50_us {}", micros[COMMITS / 2]);
    println!("commit_{name}_p99_us {}", micros[COMMITS * 99 / 100]);
    reader.close();
    Ok(())
}

fn appends(log: &dyn Log, to: &TopicPartition, durability: Durability) -> Result<(), LogError> {
    let appender = log.appender(AppenderOptions {
        name: "measure".to_owned(),
        durability,
        gapless: false,
    })?;
    let block = record(to, BLOCK_BYTES);
    let began = Instant::now();
    let mut under_way = VecDeque::new();
    for _ in 0..APPENDS {
        under_way.push_back(appender.append(vec![block.clone()]));
        if under_way.len() == UNDER_WAY_MAX
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.wait()?;
        }
    }
    for rest in under_way {
        rest.wait()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("append_{durability:?}_per_second {:.0}", APPENDS as f64 / seconds);
    println!(
        "append_{durability:?}_mb_per_second {:.1}",
        (APPENDS * BLOCK_BYTES) as f64 / seconds / 1e6
    );
    Ok(())
}

fn reads(log: &dyn Log, to: &TopicPartition) -> Result<(), LogError> {
    let mut reader = log.tail_reader(&[(to.clone(), 0)])?;
    let (mut records, mut bytes) = (0, 0);
    let began = Instant::now();
    while records < 2 * APPENDS {
        records += reader.poll(Duration::from_secs(1), 1_000, &mut |record| {
            bytes += record.value.map_or(0, <[u8]>::len);
        })?;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("read_per_second {:.0}", records as f64 / seconds);
    println!("read_mb_per_second {:.1}", bytes as f64 / seconds / 1e6);
    Ok(())
}
