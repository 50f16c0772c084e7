use serde_json::{Map, Value, json};

use super::{Configured, Partitions, TopicCleanup, TopicDeclaration, declared};
use crate::SchemaName;

/// The AsyncAPI 3.0 document of all topics, made from their declaration: one channel a topic, one operation for each of its directions,
/// the Avro schemas as payloads, Kafka's topic settings as bindings.
pub fn asyncapi() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for topic in declared() {
        let channel = channel_name(topic);
        channels.insert(channel.clone(), channel_of(topic));
        operations.insert(
            format!("{channel}Write"),
            operation(topic, "send", "Writers", &topic.writers),
        );
        operations.insert(
            format!("{channel}Read"),
            operation(topic, "receive", "Readers", &topic.readers),
        );
        for payload in &topic.payload {
            messages.insert(payload.clone(), message(payload));
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin topics",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Generated from schemas/topics.toml and schemas/avro.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/octet-stream",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    })
}

/// `tocsin.ingest.<party>` becomes `ingest`, `tocsin.alerts` becomes `alerts`.
fn channel_name(topic: &TopicDeclaration) -> String {
    let name = topic.name.strip_prefix("tocsin.").unwrap_or(&topic.name);
    name.split('.').next().unwrap_or(name).to_owned()
}

fn channel_of(topic: &TopicDeclaration) -> Value {
    let messages: Map<String, Value> = topic
        .payload
        .iter()
        .map(|payload| (payload.clone(), reference(&format!("#/components/messages/{payload}"))))
        .collect();
    let mut channel = json!({
        "address": topic.name.replace("<party>", "{party}"),
        "description": format!("{} Key: {}. Partitions: {}.", topic.purpose, topic.key, partitions_text(topic)),
        "messages": messages,
        "bindings": { "kafka": kafka_binding(topic) },
    });
    if topic.name.contains("<party>") {
        channel["parameters"] = json!({ "party": { "description": "The party's name." } });
    }
    channel
}

fn partitions_text(topic: &TopicDeclaration) -> String {
    match topic.partitions {
        Partitions::Number(number) => number.to_string(),
        Partitions::Configured(Configured::Sightings) => "as configured for the deployment".to_owned(),
    }
}

fn kafka_binding(topic: &TopicDeclaration) -> Value {
    let mut settings = json!({
        "cleanup.policy": [match topic.cleanup {
            TopicCleanup::Delete => "delete",
            TopicCleanup::Compact => "compact",
        }],
        "max.message.bytes": topic.record_bytes_max,
    });
    if let Some(retention_ms) = topic.retention_ms() {
        settings["retention.ms"] = retention_ms.into();
    }
    let mut binding = json!({ "topicConfiguration": settings, "bindingVersion": "0.5.0" });
    if let Partitions::Number(number) = topic.partitions {
        binding["partitions"] = number.into();
    }
    binding
}

fn operation(topic: &TopicDeclaration, action: &str, who: &str, roles: &[String]) -> Value {
    json!({
        "action": action,
        "channel": reference(&format!("#/channels/{}", channel_name(topic))),
        "summary": format!("{who}: {}.", roles.join(", ")),
    })
}

fn message(payload: &str) -> Value {
    match payload {
        "cloud_event" => return cloud_event(),
        "osprey_action" => return osprey_action(),
        _ => {}
    }
    let Some(name) = SchemaName::from_name(payload) else {
        return json!({
            "name": payload,
            "contentType": "application/octet-stream",
            "summary": "An internal layout of Tocsin, described with the code that reads it.",
        });
    };
    let text = name.versions().last().expect("every schema has a version");
    let schema: Value = serde_json::from_str(text).expect("the project's own schemas are parsed in every test run");
    json!({
        "name": payload,
        "contentType": "application/avro",
        "summary": schema["doc"],
        "description": "Avro single-object encoding: C3 01, the CRC-64-AVRO fingerprint of the schema, the datum.",
        "payload": { "schemaFormat": "application/vnd.apache.avro+json;version=1.9.0", "schema": schema },
    })
}

/// A CloudEvent in Kafka's binary mode.
fn cloud_event() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "name": "cloud_event",
        "contentType": "application/json",
        "summary": "An alert, a decision or a message about an incident as a CloudEvent 1.0 in Kafka's binary mode.",
        "description": "The value is the document: an alert as /v1/alerts/{id} shows it, a decision, the members that one is about, the answer to an appeal, or what a participant of an incident is told. Delivered at least once: drop what has a ce_id that you had.",
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
            "properties": {
                "ce_specversion": { "const": "1.0" },
                "ce_id": text("The alert's, the decision's, the appeal's or the timeline entry's id, or one of its own, 32 hexadecimal digits."),
                "ce_source": { "const": "urn:tocsin" },
                "ce_type": text("tocsin.alert.raised, .escalated, .sustained or .subsided; tocsin.decision; tocsin.decision.members; tocsin.decision.unconfirmed; tocsin.appeal.answered; tocsin.notice.overdue; or tocsin.incident.invited, .reminded, .activated, .level_changed, .concluded or .reopened."),
                "ce_subject": text("The family or the incident, 32 hexadecimal digits."),
                "ce_time": text("When it happened, RFC 3339."),
                "content-type": { "const": "application/json" },
            },
        },
    })
}

fn osprey_action() -> Value {
    json!({
        "name": "osprey_action",
        "contentType": "application/octet-stream",
        "summary": "An action of Osprey, of a party whose mapping the operator configured.",
        "description": "Its worker's JSON, its coordinator's JSON inside a text of MessagePack, or, with the header encoding=proto, osprey.rpc.actions.v1.Action.",
    })
}

fn reference(to: &str) -> Value {
    json!({ "$ref": to })
}
