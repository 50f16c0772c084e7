//! Synthetic traffic with ground truth: a stranger's video that begins to spread inside ordinary uploads, and exact counts to hold the
//! detector against.
//!
//! What this crate does not do: it is no part of the detector and runs none, and it does not pretend to be real data. What it generates follows
//! stated laws; where those laws are flatter or simpler than the world, the item that states them says so.
//!
//! Invariants:
//! * A scenario or a day is a function of its configuration: the same seed gives the same events on every machine, and a crisis that is added
//!   or taken away changes no ordinary event.
//! * Events come in the order of their receipt and are made as they are asked for: memory grows with what is going on and on its way, not with
//!   the run.
//! * Generators, oracles and rivals share nothing but the event or record type, and none of them shares anything with the detector but that.
//!
//! There are two generators with an oracle each. For the Christchurch test: [`day::Day`] makes the records, [`truth::Truth`] says what truly
//! happened, [`rival`] holds the detectors to compare with, [`score`] gives verdicts and figures. For plays and pipeline tests:
//! [`scenario::Scenario`] makes events ([`scenario::DemoPlan`] is what `tocsin demo` plays), [`oracle::Oracle`] counts. [`cascade::cascade`] is the
//! spread of one content, for forecasts, [`picture`] edits hashes of pictures. [`report::Report`] is the page on which an evaluation shows its
//! figures. The binary of this crate measures throughput; see `loadtest/README.md`.

pub mod cascade;
pub mod day;
pub mod oracle;
pub mod picture;
pub mod report;
pub mod rival;
pub mod scenario;
pub mod score;
pub mod truth;
