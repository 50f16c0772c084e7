//! Goal: over a real log, a real store and real HTTP: an alert becomes a case, the case is claimed and decided, the decision is on the
//! log; other teams see nothing of it, and bad input gets its documented code. Parties, calibrations and the watch list reach the log, and
//! endpoints are told of what they may see.
#![allow(clippy::unwrap_used, missing_docs)]

mod account_members;
mod account_turns;
mod accounts;
mod acknowledgements;
mod appeals;
mod audit;
mod bench;
mod browser;
mod care;
mod carrying;
mod case_refusals;
mod cases;
mod control;
mod coop;
#[path = "../../../lib/store/tests/fixture/database.rs"]
mod database;
mod deliveries;
mod disclosed;
mod evidence;
#[path = "../../../lib/model/tests/example/mod.rs"]
mod example;
mod incident_refusals;
mod incidents;
mod links;
mod mail;
mod notices;
mod ozone;
mod ozone_server;
mod ozone_told;
mod pages;
mod provider;
mod queue_stream;
mod ranking;
mod receiver;
mod relay;
mod reports;
mod research;
mod retention;
mod reviews;
mod scope_leaks;
mod shared;
mod sign_in;
mod sign_in_links;
#[path = "../signer/mod.rs"]
mod signer;
mod silent_receivers;
#[path = "../../../lib/runtime/tests/sse/mod.rs"]
mod sse;
mod streams;
mod views;
mod weighings;
