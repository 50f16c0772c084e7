//! Deterministic simulation of groups, log and time: the real detectors on a model broker, in histories that seeds decide.
//!
//! A history has intakes (two of them may send the same), up to three detectors and a read replica. Any of them may be stopped or end at
//! any call of the log and at any fail-point; partitions change hands at any time; commits are refused, applied unheard, late or twice;
//! compaction happens at any time. At its end stands what the shadow model says, or the seed is a find. Some histories have a second act, in which a
//! topic is deleted and made anew: then nobody goes on, and nothing of the new one is counted.
//!
//! What this crate does not do: it repeats no rule of the detector. It drives `tocsin_detector::run` itself, through the seam of
//! `tocsin-log`, and plays Kafka there; that Kafka is as the model has it is for the conformance suite and the faults to show.
//!
//! Invariants:
//! * A seed is one history, on every machine: one process runs at a time, and the seed says which.
//! * The simulation can fail: [`mutant::Mutant`]s are found within a few seeds, and a test holds that.
//!
//! Start reading at [`history::play`], then [`world::World::step`], then [`check`].

pub mod anew;
pub mod broker;
pub mod check;
pub mod counted;
pub mod director;
pub mod embedded;
pub mod history;
pub mod log;
pub mod mutant;
pub mod oracle;
pub mod process;
pub mod run;
mod sabotage;
pub mod traffic;
pub mod world;
