//! What the processes of the pipeline do.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tocsin_detector::DetectorConfig;
use tocsin_intake::IntakeConfig;
use tocsin_log::SharedLog;
use tocsin_log::kafka::{KafkaLog, KafkaOptions};
use tocsin_runtime::{Readiness, Shutdown};
use tocsin_wire::Schemas;

use super::corpus;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// [`tocsin_intake::run`].
    Intake,
    /// [`tocsin_detector::run`].
    Detector,
    /// Reads stated topics and does nothing.
    DoNothing,
}

/// Plays a role. Says on standard output `ready`, `began` (with the first event) and, at the end, `counted` with the number of events.
pub fn play(
    role: Role,
    bootstrap: &str,
    instance: &str,
    (records, topics): (u64, &[String]),
    cache: Option<PathBuf>,
) -> anyhow::Result<()> {
    let shutdown = stop_with_standard_input();
    let registry = Registry::new();
    match role {
        Role::DoNothing => return do_nothing(bootstrap, records, topics, &shutdown),
        Role::Intake => {
            let readiness = Readiness::new();
            let ready = readiness.flag("intake", "starting");
            tell(&registry, readiness, "tocsin_intake_events_total", &shutdown)?;
            tocsin_intake::run(
                &IntakeConfig::default(),
                corpus::setup(),
                Schemas::builtin().clone(),
                &connect(bootstrap)?,
                &registry,
                &ready,
                &shutdown,
            )?;
            println!("counted {}", counted(&registry, "tocsin_intake_events_total"));
        }
        Role::Detector => {
            let readiness = Readiness::new();
            let ready = readiness.flag("detector", "starting");
            tell(&registry, readiness, "tocsin_detector_sightings_total", &shutdown)?;
            tocsin_detector::run(
                &DetectorConfig {
                    cache_directory: cache.unwrap_or_default(),
                    ..DetectorConfig::default()
                },
                &corpus::detector_setup(instance),
                &connect(bootstrap)?,
                &registry,
                &ready,
                &shutdown,
            )?;
            println!("counted {}", counted(&registry, "tocsin_detector_sightings_total"));
        }
    }
    Ok(())
}

pub(super) fn connect(bootstrap: &str) -> anyhow::Result<SharedLog> {
    let log = KafkaLog::connect(KafkaOptions::new(bootstrap)).context("connect to Kafka")?;
    Ok(Arc::new(log))
}

fn stop_with_standard_input() -> Shutdown {
    let shutdown = Shutdown::new();
    let request = shutdown.clone();
    std::thread::spawn(move || {
        // Until it ends, or can no longer be read: in both cases whoever started us is done.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        request.request();
    });
    shutdown
}

/// Says `ready` and `began` when it is so; looks every 5 ms, which costs less than a thousandth of a processor.
fn tell(registry: &Registry, readiness: Readiness, metric: &'static str, shutdown: &Shutdown) -> anyhow::Result<()> {
    let (registry, shutdown) = (registry.clone(), shutdown.clone());
    let wait_until = move |holds: &dyn Fn() -> bool| {
        while !holds() && !shutdown.is_requested() {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    std::thread::Builder::new().name("tell".to_owned()).spawn(move || {
        wait_until(&|| readiness.parts().values().all(Option::is_none));
        println!("ready");
        wait_until(&|| counted(&registry, metric) > 0);
        println!("began");
    })?;
    Ok(())
}

/// The sum of a counter over its labels.
fn counted(registry: &Registry, metric: &str) -> u64 {
    let families = registry.gather();
    let family = families.iter().filter(|family| family.name() == metric);
    let values = family
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value());
    values.sum::<f64>() as u64
}

/// The settings of the log's consumers, so that only the work differs.
fn do_nothing(bootstrap: &str, records: u64, topics: &[String], shutdown: &Shutdown) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "tocsin-loadtest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "2")
        .set("fetch.wait.max.ms", "100")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    let mut places = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(15))?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        for partition in partitions {
            places.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
    }
    println!("ready");
    consumer.assign(&places)?;
    let mut read = 0;
    while read < records && !shutdown.is_requested() {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            std::hint::black_box(message?);
            if read == 0 {
                println!("began");
            }
            read += 1;
        }
    }
    println!("done");
    // Whoever measures reads our processor time now.
    while !shutdown.is_requested() {
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("counted {read}");
    Ok(())
}
