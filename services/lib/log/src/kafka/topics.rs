use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::settings::BATCH_BYTES;
use super::{QUERY_TIME_MAX, Shared, failed, native};
use crate::{Cleanup, LogError, TopicDifference, TopicInfo, TopicSpec};

/// See [`Log::topics`](crate::Log::topics).
pub(super) fn list(shared: &Shared) -> Result<Vec<TopicInfo>, LogError> {
    let metadata = shared
        .queries
        .fetch_metadata(None, QUERY_TIME_MAX)
        .map_err(failed("list the topics"))?;
    let mut topics: Vec<TopicInfo> = metadata
        .topics()
        .iter()
        .filter(|topic| !topic.name().starts_with("__") && topic.error().is_none())
        .map(|topic| TopicInfo {
            name: topic.name().to_owned(),
            id: 0,
            partitions: topic.partitions().len() as u32,
        })
        .collect();
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let ids = native::topic_ids(shared.queries.client(), &names, QUERY_TIME_MAX)
        .map_err(failed("ask for the ids of the topics"))?;
    // A topic deleted between the two questions has no id, and does not exist.
    topics.retain_mut(|topic| match ids.get(&topic.name) {
        Some(id) => {
            topic.id = *id;
            true
        }
        None => false,
    });
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(topics)
}

/// See [`Log::ensure_topics`](crate::Log::ensure_topics).
pub(super) fn ensure(shared: &Shared, specs: &[TopicSpec]) -> Result<(), LogError> {
    for spec in specs {
        spec.check()?;
    }
    let admin = admin(shared)?;
    let standing = list(shared)?;
    let is_absent = |spec: &&TopicSpec| !standing.iter().any(|topic| topic.name == spec.name);
    let absent: Vec<&TopicSpec> = specs.iter().filter(is_absent).collect();
    create(shared, &admin, &absent)?;
    let counted: Vec<(&TopicSpec, u32)> = specs
        .iter()
        .map(|spec| Ok((spec, wait_for(shared, spec)?)))
        .collect::<Result<_, LogError>>()?;
    if let Some(found) = compare(&admin, &counted)?.into_iter().next() {
        return Err(found.into());
    }
    let mut declared = shared.record_bytes_max.lock().expect("no holder of this lock panics");
    declared.extend(specs.iter().map(|spec| (spec.name.clone(), spec.record_bytes_max)));
    Ok(())
}

/// See [`Log::check_topics`](crate::Log::check_topics).
pub(super) fn check(shared: &Shared, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
    let standing = list(shared)?;
    let partitions = |spec: &TopicSpec| {
        let topic = standing.iter().find(|topic| topic.name == spec.name);
        topic.map(|topic| topic.partitions)
    };
    let counted: Vec<(&TopicSpec, u32)> = specs
        .iter()
        .filter_map(|spec| Some((spec, partitions(spec)?)))
        .collect();
    let mut found = compare(&admin(shared)?, &counted)?;
    let absent = specs.iter().filter(|spec| partitions(spec).is_none());
    found.extend(absent.map(|spec| spec.differs("it is absent")));
    found.sort_by_key(|found| specs.iter().position(|spec| spec.name == found.topic));
    Ok(found)
}

fn admin(shared: &Shared) -> Result<AdminClient<DefaultClientContext>, LogError> {
    let created = shared.options.queries().create();
    created.map_err(failed("make an admin client"))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(QUERY_TIME_MAX))
        .operation_timeout(Some(QUERY_TIME_MAX))
}

fn create(shared: &Shared, admin: &AdminClient<DefaultClientContext>, specs: &[&TopicSpec]) -> Result<(), LogError> {
    if specs.is_empty() {
        return Ok(());
    }
    let values: Vec<_> = specs
        .iter()
        .map(|spec| {
            let retention_ms = spec
                .retention_ms
                .map_or("-1".to_owned(), |retention_ms| retention_ms.to_string());
            // The broker's limit goes by batches, and ours by records; see `settings`.
            (
                retention_ms,
                (spec.record_bytes_max + BATCH_BYTES).to_string(),
                compaction(spec),
            )
        })
        .collect();
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .zip(&values)
        .map(|(spec, (retention_ms, batch_bytes_max, compaction))| {
            let replication = TopicReplication::Fixed(i32::from(shared.options.replication_factor));
            let mut topic = NewTopic::new(&spec.name, spec.partitions as i32, replication);
            for (name, value) in &shared.options.topic_properties {
                topic = topic.set(name, value);
            }
            for (name, value) in compaction {
                if !shared.options.topic_properties.contains_key(*name) {
                    topic = topic.set(name, value);
                }
            }
            topic = topic
                .set("message.timestamp.type", LOG_APPEND_TIME)
                .set("max.message.bytes", batch_bytes_max);
            match spec.cleanup {
                Cleanup::Delete => topic.set("cleanup.policy", "delete").set("retention.ms", retention_ms),
                Cleanup::Compact => topic.set("cleanup.policy", "compact"),
            }
        })
        .collect();
    let created = block_on(admin.create_topics(&topics, &options())).map_err(failed("create topics"))?;
    for result in created {
        match result {
            // Another process may create the same topics at the same time.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(LogError::Kafka {
                    operation: "create a topic",
                    topic: Some(topic),
                    source: KafkaError::AdminOp(code),
                });
            }
        }
    }
    Ok(())
}

/// The settings of a topic's compaction. The defaults of a broker leave the newest segment alone for a week, and wait until half of the
/// others is new: a restore would read everything written meanwhile.
fn compaction(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let Some(compaction) = spec.compaction else {
        return Vec::new();
    };
    vec![
        ("segment.ms", compaction.segment_ms.to_string()),
        ("max.compaction.lag.ms", compaction.lag_ms_max.to_string()),
        (
            "min.cleanable.dirty.ratio",
            (f64::from(compaction.dirty_percent_min) / 100.0).to_string(),
        ),
    ]
}

/// Waits until the metadata shows the topic with a leader for each partition; returns how many.
fn wait_for(shared: &Shared, spec: &TopicSpec) -> Result<u32, LogError> {
    let deadline = Instant::now() + TOPIC_TIME_MAX;
    loop {
        let metadata = shared
            .queries
            .fetch_metadata(Some(&spec.name), QUERY_TIME_MAX)
            .map_err(failed("look for a topic"))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == spec.name);
        if let Some(topic) = topic.filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
            && topic.partitions().iter().all(|partition| partition.leader() >= 0)
        {
            return Ok(topic.partitions().len() as u32);
        }
        if Instant::now() > deadline {
            return Err(LogError::Kafka {
                operation: "wait for a new topic",
                topic: Some(spec.name.clone()),
                source: KafkaError::AdminOp(RDKafkaErrorCode::LeaderNotAvailable),
            });
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Stamps are the broker's: a sender's stamp could say any time, and time comes in with the log.
const LOG_APPEND_TIME: &str = "LogAppendTime";

/// How long a new topic may take to show.
const TOPIC_TIME_MAX: Duration = Duration::from_secs(30);

/// How topics that stand, with so many partitions each, differ from what is asked for: the first difference of each.
fn compare(
    admin: &AdminClient<DefaultClientContext>,
    counted: &[(&TopicSpec, u32)],
) -> Result<Vec<TopicDifference>, LogError> {
    let mut found = Vec::new();
    let resources: Vec<ResourceSpecifier<'_>> = counted
        .iter()
        .map(|(spec, _)| ResourceSpecifier::Topic(&spec.name))
        .collect();
    if resources.is_empty() {
        return Ok(found);
    }
    let described =
        block_on(admin.describe_configs(&resources, &options())).map_err(failed("ask for the settings of topics"))?;
    for ((spec, partitions), described) in counted.iter().zip(described) {
        let described = described.map_err(|code| LogError::Kafka {
            operation: "ask for the settings of a topic",
            topic: Some(spec.name.clone()),
            source: KafkaError::AdminOp(code),
        })?;
        let setting = |name: &str| {
            let entry = described.get(name).and_then(|entry| entry.value.clone());
            entry.unwrap_or_default()
        };
        if let Some(difference) = difference(spec, *partitions, setting) {
            found.push(spec.differs(difference));
        }
    }
    Ok(found)
}

fn difference(spec: &TopicSpec, partitions: u32, setting: impl Fn(&str) -> String) -> Option<String> {
    if let Some(difference) = spec.partitions_differ(partitions) {
        return Some(difference);
    }
    let cleanup = setting("cleanup.policy");
    let wanted = match spec.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
    };
    if cleanup != wanted {
        return Some(format!("its clean-up is {cleanup}, not {wanted}"));
    }
    let stamps = setting("message.timestamp.type");
    if stamps != LOG_APPEND_TIME {
        return Some(format!("its message.timestamp.type is {stamps}, not {LOG_APPEND_TIME}"));
    }
    // Whoever makes a topic by hand may leave out what we add for batches.
    let batch_bytes_max = setting("max.message.bytes");
    let (low, high) = (spec.record_bytes_max, spec.record_bytes_max + BATCH_BYTES);
    if !batch_bytes_max
        .parse()
        .is_ok_and(|bytes: u32| (low..=high).contains(&bytes))
    {
        return Some(format!(
            "its max.message.bytes is {batch_bytes_max}, not {low} to {high}"
        ));
    }
    None
}

/// Waits for a future of the admin client, which its own thread completes. The callers are plain threads.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
