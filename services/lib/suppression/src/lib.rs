//! How numbers of accounts are told to those whose accounts they are not: under 10 as "<10", rounded above, on a one-minute grid, and so that no
//! small number follows from the others beside it.
//!
//! Pure: no I/O, no clock (the time is an argument), no randomness. Who owns a platform is known by the caller.
//!
//! Deliberately absent: noise. A number that was drawn anew at each reading could be averaged, and one that was drawn once would have to be kept for as
//! long as anybody may ask; rounding gives the same answer to the same number everywhere.
//!
//! Invariants:
//! * What is told of a number holds it: it lies between `low` and `high` wherever the number did.
//! * Nothing that is told changes when a number becomes another one that is told alike: not its own cell, not the total, not what is expected of it.
//! * What is told of one family to readers of one scope changes at most once a minute, and no more often than its budget says.
//!
//! Start reading at [`Shown::to_others`] (one number), then [`AccountsTable`] (those of several platforms with their total) and [`Ledger`] (when they
//! change).

mod ledger;
mod rounding;
mod table;

pub use ledger::{Ledger, LedgerLimits, MINUTE_MS, Told};
pub use rounding::{Disclosure, SMALL, Shown, ShownQuantiles};
pub use table::{AccountsTable, expected, total};
