//! Answers as tables: for spreadsheets (CSV) and for analysis (Parquet). A table is written while it is read, a piece at a time.

mod csv;
mod parquet;

use tocsin_model::Timestamp;
use tocsin_wire::document::parse_instant;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableFormat {
    /// RFC 4180, with a first line of names.
    Csv,
    /// Apache Parquet, uncompressed.
    Parquet,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Text,
    Whole,
    Flag,
    Time,
}

/// A column. Any of its values may be absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) holds: ColumnType,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Absent,
    Text(String),
    Whole(i64),
    Flag(bool),
    Time(Timestamp),
}

/// One row, a value for each column.
pub(crate) type Row = Vec<Value>;

/// Rows that are made as they are asked for.
pub(crate) struct Table {
    pub(crate) columns: &'static [Column],
    pub(crate) rows: Box<dyn Iterator<Item = Row> + Send>,
}

/// So many rows are made and written at a time.
const ROWS_AT_ONCE: usize = 512;

impl TableFormat {
    /// The name in the API, and the end of a file's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TableFormat::Csv => "csv",
            TableFormat::Parquet => "parquet",
        }
    }

    /// The media type, as it is registered.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            TableFormat::Csv => "text/csv; charset=utf-8; header=present",
            TableFormat::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// A table as pieces of a file. No more than [`ROWS_AT_ONCE`] rows are held.
    pub(crate) fn pieces(self, table: Table) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        match self {
            TableFormat::Csv => Box::new(csv::pieces(table)),
            TableFormat::Parquet => Box::new(parquet::pieces(table)),
        }
    }
}

impl Value {
    /// A number, in so far as the formats' 64 bits with a sign hold it.
    pub(crate) fn whole(number: u64) -> Value {
        Value::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A time as answers write it.
    pub(crate) fn time(text: Option<&str>) -> Value {
        text.and_then(parse_instant).map_or(Value::Absent, Value::Time)
    }

    /// A text, if there is one.
    pub(crate) fn text(text: Option<&str>) -> Value {
        text.map_or(Value::Absent, |text| Value::Text(text.to_owned()))
    }
}

/// The next rows of a table, [`ROWS_AT_ONCE`] at most; `None` behind the last.
fn next_rows(rows: &mut dyn Iterator<Item = Row>) -> Option<Vec<Row>> {
    let next: Vec<Row> = rows.take(ROWS_AT_ONCE).collect();
    (!next.is_empty()).then_some(next)
}
