//! What the tests of the whole system stand on: a place to run on (embedded log or Kafka), a deployment inside the test's process or as
//! processes of their own, its API, and traffic.
//!
//! What this crate does not do: it repeats no rule of the system. What a test expects is written in the test.
//!
//! Invariants:
//! * A test on Kafka has the brokers to itself and begins without a topic of Tocsin.
//! * Nothing sleeps for a time: everything waits for a condition, and gives up after [`wait::LIMIT`].
//!
//! Start reading at [`ground::on_each_log`], then [`site::Site`].

pub mod api;
pub mod child;
pub mod deployment;
pub mod findings;
pub mod ground;
pub mod members;
pub mod records;
pub mod site;
pub mod traffic;
pub mod wait;
