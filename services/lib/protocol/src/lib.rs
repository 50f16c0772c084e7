//! Protocols of crises as data: a versioned file says who does what at which level, and when a level is reached.
//!
//! A criterion is written in a closed, typed language over measured figures ([`Figure`]) and over questions that only people can answer. It has no
//! loops, no variables and no functions, and may name only what stands before it: every criterion ends. A result is met, not met or unknown
//! ([`Truth`]), as intervals and missing figures demand.
//!
//! What this crate does not do: it asks nobody for figures, keeps no incident, and activates nothing. People decide; a criterion only shows them
//! what is known.
//!
//! Invariants:
//! * No text makes it panic, recurse deeper than a stated limit, or hold more than [`FILE_BYTES_MAX`] of it.
//! * A result is met or not met only if it is that for every value that the figures leave possible.
//! * The same figures and answers in the same order give the same results.
//!
//! Start reading at [`Protocol`], then `language/mod.rs`, then [`Assessor`]. The language is described in `schemas/protocols/README.md`.

mod assess;
mod fault;
mod figure;
mod file;
mod hold;
mod language;
mod matrix;
mod protocol;
mod shipped;
mod truth;
mod unit;

pub use assess::{Answers, Assessed, AssessedMatrix, Assessment, Assessor};
pub use fault::{FAULTS_MAX, Fault, Problem, Refused};
pub use figure::{Figure, Figures, Measured, Missing, Reading};
pub use file::FILE_BYTES_MAX;
pub use hold::{Held, OutOfOrder, SAMPLE_GAP_MAX};
pub use language::{Because, Finding};
pub use matrix::{Axis, Band, Matrix};
pub use protocol::{Class, Conclusion, Criterion, Level, Protocol, Question, Role, Rule, Source, Step};
pub use shipped::{SHIPPED, shipped};
pub use truth::Truth;
