//! Events as records of a topic: CloudEvents in Kafka's binary mode (attributes are `ce_` headers, the value is the document), and actions
//! of Osprey.

use bytes::Bytes;
use tocsin_casework::Team;
use tocsin_log::{Append, Header, TopicPartition};
use tocsin_model::Alert;
use tocsin_wire::{Names, osprey};

use super::event::{self, CloudEvent};

/// The name under which Osprey's rules know an alert.
pub(crate) const ACTION_NAME: &str = "virality_alert";

/// Which of the forms that Osprey reads its input topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OspreyShape {
    /// What its worker reads: JSON.
    Worker,
    /// What its coordinator reads: JSON inside a text of MessagePack.
    Coordinator,
}

pub(crate) fn cloud_event(topic: &str, event: &CloudEvent) -> Append {
    let header = |name: String, value: &str| Header {
        name,
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    let attributes = event.attributes().into_iter();
    let mut headers: Vec<Header> = attributes
        .map(|(name, value)| header(format!("ce_{name}"), value))
        .collect();
    headers.push(header("content-type".to_owned(), event::CONTENT_TYPE));
    Append {
        to: TopicPartition::new(topic, 0),
        key: Some(Bytes::copy_from_slice(event.subject.as_bytes())),
        value: Some(Bytes::copy_from_slice(&event.data)),
        headers,
    }
}

pub(crate) fn action(topic: &str, shape: OspreyShape, alert: &Alert, names: &Names, reader: Team) -> Append {
    let answer = event::answer(alert, names, reader);
    let action = osprey::NewAction {
        // Osprey's ids are numbers of 63 bits; these are as good as random.
        id: (alert.id.0 as u64) >> 1,
        name: ACTION_NAME,
        at: alert.at,
        data: serde_json::to_value(&answer).expect("text, numbers and lists are always JSON"),
    };
    let value = match shape {
        OspreyShape::Worker => osprey::encode_worker(action),
        OspreyShape::Coordinator => osprey::encode_coordinator(action),
    };
    Append {
        to: TopicPartition::new(topic, 0),
        key: Some(Bytes::from(answer.family)),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a record of a party's topic is a CloudEvent of Kafka's binary mode.
    #![allow(clippy::unwrap_used)]

    use tocsin_store::DeliveryEvent;

    use super::*;
    use crate::deliveries::example::alert;

    #[test]
    fn attributes_are_headers_and_the_family_is_the_key() {
        let event = CloudEvent::of(
            &DeliveryEvent::Alert(Box::new(alert())),
            &Names::default(),
            Team::Coordinators,
        );
        let append = cloud_event("tocsin.deliveries.north", &event);
        let names: Vec<&str> = append.headers.iter().map(|header| header.name.as_str()).collect();
        let expected = [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_subject",
            "ce_time",
            "content-type",
        ];
        assert_eq!(names, expected);
        assert_eq!(append.key.unwrap(), alert().family.to_string());
        let document: serde_json::Value = serde_json::from_slice(&append.value.unwrap()).unwrap();
        assert_eq!(document["id"], alert().id.to_string());
    }
}
