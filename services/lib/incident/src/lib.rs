//! The rules of an incident: who declares it, attaches families to it, answers a protocol's questions, activates, changes level and concludes,
//! who takes part, what is to be done until when, and who may read what is written.
//!
//! Pure: no I/O, no clock (the time is an argument), no randomness (the incident's id is an argument). A [`Command`] goes in, an [`Event`] or a
//! [`Refusal`] comes out, and the events of an incident, one after another, are the incident: [`Incident::declared`] and [`Incident::take`].
//!
//! What this crate does not do: it measures nothing and assesses no criterion. What criteria said when people acted comes in with the command
//! ([`Shown`]) and is kept; it decides nothing. People decide.
//!
//! Invariants:
//! * A refused command changes nothing.
//! * The same events give the same incident, and their stored form reads back alike.
//! * An incident keeps the name and version of its protocol for ever.
//! * Who may not read a thing learns nothing of it: versions and numbers do not rise with notes.
//! * Every list and text has a stated limit.
//!
//! Start reading at [`Incident`], then [`Incident::decide`], then [`Marking`].

mod command;
pub mod debrief;
mod event;
mod form;
mod incident;
mod marking;
mod pack;
mod parts;
mod rules;

pub use command::{By, Command, Declaration, Refusal};
pub use event::{Event, Shown, ShownFigure};
pub use incident::{Incident, IncidentId, Phase};
pub use marking::{Author, Marking, RECIPIENTS_MAX, Reader, Tlp, may_read};
pub use pack::{PACK_HASHES_MAX, PACKS_MAX, Pack};
pub use parts::{Answer, Attached, Done, NumberedRule, Origin, Participant, ProtocolVersion, RingRule, Task};
pub use rules::{
    FAMILIES_MAX, NOTE_BYTES_MAX, NOTES_MAX, PARTICIPANTS_MAX, REASON_BYTES_MAX, REMIND_AFTER, RULES_MAX, TASKS_MAX,
    TITLE_BYTES_MAX,
};
