//! What researchers are told of a day: how many families of contents did what, on the platforms of each party that takes part, so that no small number
//! can be found.
//!
//! Pure: counts go in ([`Counts::add`]), a [`Publication`] comes out. No I/O, no clock: the day is an argument.
//!
//! What this crate does not do: it reads no store, decides neither who takes part nor when a day is published, and knows no content, account or person.
//!
//! Invariants:
//! * Whatever is counted is a family of a party, and counts once in its table and day, in one cell. No two tables count the same things, no two parties'
//!   numbers are added up, and no number of one day is a part of another day's, so no sum of published numbers equals another one.
//! * Every cell of every table is published, whether anything is in it or not.
//! * A number under [`tocsin_suppression::SMALL`] is told as "<10", whichever it is; a publication is the same bytes for all of them.
//! * A total is made of what is told of the cells, never of what is known of them.
//! * The order in which things are counted changes nothing.
//!
//! Start reading at [`Counted`] (what is counted), then [`Publication::of`] (what is told of it) and [`data_sheet`] (what it means).

mod counted;
mod csv;
mod data_sheet;
mod publication;
mod table;

pub use counted::{Appealed, Content, Copies, Counted, Counts, FirstNotice, Outcome, Took};
pub use csv::csv;
pub use data_sheet::{
    DataSheet, DataSheetCell, DataSheetColumn, DataSheetDimension, DataSheetSection, DataSheetTable, Deployment,
    data_sheet,
};
pub use publication::{By, Cell, Population, Publication, TableOfDay, Told};
pub use table::{Dimension, TABLES, Table};

/// The version of the tables, their cells and what they mean. A published day keeps its own.
pub const VERSION: u32 = 1;
