use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, NewTopic, ResourceSpecifier, TopicReplication};
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
    if let Some(found) = compare(&admin, &counted, |_| Vec::new())?.into_iter().next() {
        return Err(found.into());
    }
    let mut declared = shared.record_bytes_max.lock().expect("no holder of this lock panics");
    declared.extend(specs.iter().map(|spec| (spec.name.clone(), spec.record_bytes_max)));
    Ok(())
}

/// See [`Log::delete_topics`](crate::Log::delete_topics).
pub(super) fn delete(shared: &Shared, names: &[&str]) -> Result<(), LogError> {
    let standing = list(shared)?;
    let is_standing = |name: &&&str| standing.iter().any(|topic| topic.name == **name);
    let names: Vec<&str> = names.iter().filter(is_standing).copied().collect();
    if names.is_empty() {
        return Ok(());
    }
    let deleted = block_on(admin(shared)?.delete_topics(&names, &options())).map_err(failed("delete topics"))?;
    for result in deleted {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
            Err((topic, code)) => {
                return Err(LogError::Kafka {
                    operation: "delete a topic",
                    topic: Some(topic),
                    source: KafkaError::AdminOp(code),
                });
            }
        }
    }
    // The controller knows at once, the brokers' metadata a moment later.
    let deadline = Instant::now() + TOPIC_TIME_MAX;
    while let Some(left) = list(shared)?.into_iter().find(|topic| names.contains(&&*topic.name)) {
        if Instant::now() >= deadline {
            return Err(LogError::Kafka {
                operation: "wait until a topic is deleted",
                topic: Some(left.name),
                source: KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut),
            });
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
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
    let wanted = |spec: &TopicSpec| settings(shared, spec);
    let mut found = compare(&admin(shared)?, &counted, wanted)?;
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
        // The broker's limit goes by batches, and ours by records; see `settings`.
        .map(|spec| {
            (
                (spec.record_bytes_max + BATCH_BYTES).to_string(),
                settings(shared, spec),
            )
        })
        .collect();
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .zip(&values)
        .map(|(spec, (batch_bytes_max, settings))| {
            let replication = TopicReplication::Fixed(i32::from(shared.options.replication_factor));
            let mut topic = NewTopic::new(&spec.name, spec.partitions as i32, replication);
            for (name, value) in &shared.options.topic_properties {
                topic = topic.set(name, value);
            }
            for (name, value) in settings {
                if !shared.options.topic_properties.contains_key(*name) {
                    topic = topic.set(name, value);
                }
            }
            topic
                .set("message.timestamp.type", LOG_APPEND_TIME)
                .set("max.message.bytes", batch_bytes_max)
                .set("cleanup.policy", cleanup(spec))
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

fn cleanup(spec: &TopicSpec) -> &'static str {
    match spec.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
    }
}

/// How long records stay, as this topic should have it: what is declared, and instead of that what the operator sets for all topics.
fn settings(shared: &Shared, spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let mut settings = declared(spec);
    for (name, value) in &mut settings {
        if let Some(set) = shared.options.topic_properties.get(*name) {
            value.clone_from(set);
        }
    }
    settings
}

/// What is declared of how long records stay. The defaults of a broker leave the newest segment of a compacted topic alone for a week, and wait
/// until half of the others is new: a restore would read everything written meanwhile.
fn declared(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if spec.cleanup == Cleanup::Delete {
        let for_ever = || "-1".to_owned();
        let retention_ms = spec
            .retention_ms
            .map_or_else(for_ever, |retention_ms| retention_ms.to_string());
        settings.push(("retention.ms", retention_ms));
    }
    if let Some(compaction) = spec.compaction {
        settings.extend([
            ("segment.ms", compaction.segment_ms.to_string()),
            ("max.compaction.lag.ms", compaction.lag_ms_max.to_string()),
            (
                "min.cleanable.dirty.ratio",
                (f64::from(compaction.dirty_percent_min) / 100.0).to_string(),
            ),
        ]);
    }
    settings
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

/// How topics that stand, with so many partitions each, differ from what is asked for: in their shape, and in the settings that are wanted of
/// each.
fn compare(
    admin: &AdminClient<DefaultClientContext>,
    counted: &[(&TopicSpec, u32)],
    wanted: impl Fn(&TopicSpec) -> Vec<(&'static str, String)>,
) -> Result<Vec<TopicDifference>, LogError> {
    let mut found = Vec::new();
    let resources: Vec<ResourceSpecifier<'_>> = counted
        .iter()
        .map(|(spec, _)| ResourceSpecifier::Topic(&spec.name))
        .collect();
    if resources.is_empty() {
        return Ok(found);
    }
    for ((spec, partitions), described) in counted.iter().zip(describe(admin, &resources)?) {
        let described = described.map_err(|code| LogError::Kafka {
            operation: "ask for the settings of a topic",
            topic: Some(spec.name.clone()),
            source: KafkaError::AdminOp(code),
        })?;
        let setting = |name: &str| {
            let entry = described.get(name).and_then(|entry| entry.value.clone());
            entry.unwrap_or_default()
        };
        let differences = in_shape(spec, *partitions, setting)
            .into_iter()
            .chain(in_settings(&wanted(spec), setting));
        found.extend(differences.map(|difference| spec.differs(difference)));
    }
    Ok(found)
}

/// Asks until every topic has settings: one that stands has some, and a broker that has not heard of a new topic yet tells of none. (Which of
/// several brokers is asked is up to the client.)
fn describe(
    admin: &AdminClient<DefaultClientContext>,
    resources: &[ResourceSpecifier<'_>],
) -> Result<Vec<ConfigResourceResult>, LogError> {
    let deadline = Instant::now() + TOPIC_TIME_MAX;
    loop {
        let asked = block_on(admin.describe_configs(resources, &options()));
        let described = asked.map_err(failed("ask for the settings of topics"))?;
        let mut told = described.iter().flatten();
        if told.all(|topic| !topic.entries.is_empty()) || Instant::now() > deadline {
            return Ok(described);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// What the rest of Tocsin counts on: a topic of another shape is not used.
fn in_shape(spec: &TopicSpec, partitions: u32, setting: impl Fn(&str) -> String) -> Vec<String> {
    let mut found: Vec<String> = spec.partitions_differ(partitions).into_iter().collect();
    let stands = setting("cleanup.policy");
    let wanted = cleanup(spec);
    if stands != wanted {
        found.push(format!("its clean-up is {stands}, not {wanted}"));
    }
    let stamps = setting("message.timestamp.type");
    if stamps != LOG_APPEND_TIME {
        found.push(format!("its message.timestamp.type is {stamps}, not {LOG_APPEND_TIME}"));
    }
    // Whoever makes a topic by hand may leave out what we add for batches.
    let batch_bytes_max = setting("max.message.bytes");
    let (low, high) = (spec.record_bytes_max, spec.record_bytes_max + BATCH_BYTES);
    if !batch_bytes_max
        .parse()
        .is_ok_and(|bytes: u32| (low..=high).contains(&bytes))
    {
        found.push(format!(
            "its max.message.bytes is {batch_bytes_max}, not {low} to {high}"
        ));
    }
    found
}

/// What works otherwise than it should, or later: a topic with other settings is used, and told of.
fn in_settings(wanted: &[(&'static str, String)], setting: impl Fn(&str) -> String) -> Vec<String> {
    // A broker may write a number otherwise than we do.
    let is_same = |one: &str, other: &str| match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    wanted
        .iter()
        .map(|(name, wanted)| (name, setting(name), wanted))
        .filter(|(_, stands, wanted)| !is_same(stands, wanted))
        .map(|(name, stands, wanted)| format!("its {name} is {stands}, not {wanted}"))
        .collect()
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

#[cfg(test)]
mod tests {
    //! Goal: everything that is declared of a topic is compared, and a difference says which.
    use std::collections::BTreeMap;

    use super::*;
    use crate::Compaction;

    fn compacted() -> TopicSpec {
        TopicSpec {
            name: "tocsin.state".to_owned(),
            partitions: 16,
            may_grow: false,
            cleanup: Cleanup::Compact,
            retention_ms: None,
            record_bytes_max: 1_000,
            compaction: Some(Compaction {
                segment_ms: 600_000,
                lag_ms_max: 1_800_000,
                dirty_percent_min: 10,
            }),
        }
    }

    fn deleted() -> TopicSpec {
        TopicSpec {
            cleanup: Cleanup::Delete,
            retention_ms: Some(604_800_000),
            compaction: None,
            ..compacted()
        }
    }

    /// What a broker says of a topic that was made as it is declared.
    fn as_declared(spec: &TopicSpec) -> BTreeMap<&'static str, String> {
        let mut settings = BTreeMap::from([
            ("cleanup.policy", cleanup(spec).to_owned()),
            ("message.timestamp.type", LOG_APPEND_TIME.to_owned()),
            ("max.message.bytes", (spec.record_bytes_max + BATCH_BYTES).to_string()),
        ]);
        settings.extend(declared(spec));
        settings
    }

    fn found(spec: &TopicSpec, partitions: u32, settings: &BTreeMap<&'static str, String>) -> Vec<String> {
        let setting = |name: &str| settings.get(name).cloned().unwrap_or_default();
        let mut found = in_shape(spec, partitions, setting);
        found.extend(in_settings(&declared(spec), setting));
        found
    }

    #[test]
    fn every_setting_that_is_declared_is_compared() {
        let check = |spec: &TopicSpec, name: &'static str, stands: &str, told: &str| {
            let mut settings = as_declared(spec);
            assert_eq!(found(spec, 16, &settings), [""; 0], "as it is declared");
            assert!(settings.insert(name, stands.to_owned()).is_some(), "{name}");
            assert_eq!(found(spec, 16, &settings), [told]);
        };
        for (name, stands, told) in [
            ("cleanup.policy", "delete", "its clean-up is delete, not compact"),
            (
                "message.timestamp.type",
                "CreateTime",
                "its message.timestamp.type is CreateTime, not LogAppendTime",
            ),
            ("segment.ms", "604800000", "its segment.ms is 604800000, not 600000"),
            (
                "max.compaction.lag.ms",
                "9223372036854775807",
                "its max.compaction.lag.ms is 9223372036854775807, not 1800000",
            ),
            (
                "min.cleanable.dirty.ratio",
                "0.5",
                "its min.cleanable.dirty.ratio is 0.5, not 0.1",
            ),
        ] {
            check(&compacted(), name, stands, told);
        }
        check(
            &deleted(),
            "retention.ms",
            "86400000",
            "its retention.ms is 86400000, not 604800000",
        );
        let for_ever = TopicSpec {
            retention_ms: None,
            ..deleted()
        };
        check(
            &for_ever,
            "retention.ms",
            "86400000",
            "its retention.ms is 86400000, not -1",
        );
    }

    #[test]
    fn all_differences_are_told_and_a_number_may_be_written_otherwise() {
        let mut settings = as_declared(&compacted());
        settings.insert("min.cleanable.dirty.ratio", "0.10".to_owned());
        assert_eq!(found(&compacted(), 16, &settings), [""; 0]);
        settings.insert("segment.ms", String::new());
        assert_eq!(
            found(&compacted(), 4, &settings),
            ["it has 4 partitions, not 16", "its segment.ms is , not 600000"]
        );
    }
}
