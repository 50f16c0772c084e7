//! Goal: the whole path, from an event to a decision, on the embedded log and on Kafka.
#![allow(clippy::unwrap_used, missing_docs, clippy::large_futures)]

mod accounts;
mod casework;
mod cluster;
mod control;
mod crashes;
mod doors;
mod drill;
mod fan_out;
mod links;
mod live;
mod look_ups;
mod made_anew;
mod merges;
#[path = "../../../services/lib/wire/tests/osprey/mod.rs"]
mod osprey;
mod partitions;
mod poison;
mod retries;
mod stream;
mod traces;
mod weights;
