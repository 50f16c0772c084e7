//! What a team did within some days, as figures that can be published: each says what it counts, from what, and what bounds it; and drafts of the
//! statements of reasons that the Digital Services Act asks for.
//!
//! Pure: rows go in one after the other ([`Tally::case`] and its neighbours), a [`Report`] comes out. No I/O, no clock: the days are an argument.
//!
//! What this crate does not do: it reads no store, keeps no row, knows no account and no person, and decides nothing about what is published.
//!
//! Invariants:
//! * A report follows from the set of its rows: their order changes no byte of it. Everything is counted in integers; what is rounded says how.
//! * What happened after the last day is not known: whatever later times rows carry count as if they were not there.
//! * What is not known is [`Amount::Unknown`], with the reason, and never 0.
//! * Memory grows with platforms, names (at most [`NAMES_MAX`] of a kind) and sizes of durations, never with rows.
//! * A draft holds no text that a person wrote but the name of the rule it rests on.
//!
//! Start reading at [`Tally`], then [`transparency`], then [`statement::draft`].

mod day;
mod figure;
mod names;
mod quantities;
mod row;
pub mod statement;
mod tally;
mod terrorist_content;
mod transparency;

pub use day::{DAYS_MAX, Day, DayError, Period, PeriodError};
pub use figure::{Amount, By, Definition, Figure, Report, Section};
pub use names::NAMES_MAX;
pub use quantities::Quantities;
pub use row::{
    AppealRow, CaseRow, ContentKind, DecisionRow, NoticeRow, Ordered, PartRow, ParticipationRow, RemovalRow,
};
pub use tally::{Owner, Tally};
pub use terrorist_content::terrorist_content;
pub use transparency::transparency;
