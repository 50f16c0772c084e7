//! What a unit appends beside the state, record by record.

use bytes::Bytes;
use tocsin_log::{Append, Header, TopicPartition};
use tocsin_model::Populations;
use tocsin_runtime::Traceparent;
use tocsin_wire::{population, topics};

use crate::partition::FamilyNews;

/// A record of `tocsin.families`; one without a value takes the announcement away.
pub(crate) fn family_record(news: &FamilyNews) -> Append {
    let (content, class, value) = match news {
        FamilyNews::Announced(said) => (said.content, said.class, Some(tocsin_wire::family::encode(said))),
        FamilyNews::Withdrawn(key) => (key.content, key.class, None),
    };
    append(
        topics::FAMILIES,
        0,
        Some(tocsin_wire::family::key(content, class)),
        value,
    )
}

/// A record of `tocsin.populations`.
pub(crate) fn population_record(seen: &Populations) -> Append {
    let (key, value) = (population::key(seen.group), population::encode(seen));
    append(topics::POPULATIONS, 0, Some(key), Some(value))
}

pub(crate) fn append(topic: &str, partition: u32, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Append {
    Append {
        to: TopicPartition::new(topic, partition),
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: Vec::new(),
    }
}

/// The record with the trace it belongs to, one step further.
pub(crate) fn traced(record: Append, trace: Option<Traceparent>) -> Append {
    let headers = trace.map(|trace| Header {
        name: Traceparent::HEADER.to_owned(),
        value: Bytes::from(trace.child().to_string()),
    });
    Append {
        headers: headers.into_iter().collect(),
        ..record
    }
}
