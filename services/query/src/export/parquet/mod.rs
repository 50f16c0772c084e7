//! Apache Parquet, as much of it as flat tables need: columns that may be absent, one page for each column of a row group, values as they are
//! (encoding PLAIN), uncompressed.
//!
//! Source: the format's specification and `parquet.thrift` of apache/parquet-format, version 2.12. Every reader of Parquet reads this subset; tests
//! hold it to two others' (`tests/checks/parquet.py`). Why it is written here: `services/decisions/parquet.md`.

mod thrift;

use self::thrift::{Struct, list_of_numbers, list_of_structs};
use super::{Column, ColumnType, Row, Table, Value, next_rows};

const MAGIC: &[u8; 4] = b"PAR1";
const CREATED_BY: &str = concat!("tocsin version ", env!("CARGO_PKG_VERSION"));

/// Numbers of `parquet.thrift`.
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const OPTIONAL: i64 = 1;
const UNCOMPRESSED: i64 = 0;
const DATA_PAGE: i64 = 0;

/// A table as a file: the magic number, a row group for each piece of rows, the footer.
pub(super) fn pieces(table: Table) -> impl Iterator<Item = Vec<u8>> + Send {
    let Table { columns, mut rows } = table;
    let mut file = File::new(columns);
    let mut is_ended = false;
    let groups = std::iter::from_fn(move || {
        if is_ended {
            return None;
        }
        Some(match next_rows(rows.as_mut()) {
            Some(rows) => file.row_group(&rows),
            None => {
                is_ended = true;
                file.footer()
            }
        })
    });
    std::iter::once(MAGIC.to_vec()).chain(groups)
}

/// What the footer has to tell of what was written.
struct File {
    columns: &'static [Column],
    written: i64,
    rows: i64,
    groups: Vec<Struct>,
}

impl File {
    fn new(columns: &'static [Column]) -> File {
        File {
            columns,
            written: MAGIC.len() as i64,
            rows: 0,
            groups: Vec::new(),
        }
    }

    fn row_group(&mut self, rows: &[Row]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut chunks = Vec::with_capacity(self.columns.len());
        for (place, column) in self.columns.iter().enumerate() {
            let page = page(rows.iter().map(|row| &row[place]));
            let at = self.written + bytes.len() as i64;
            bytes.extend_from_slice(&page);
            chunks.push(chunk(column, rows.len() as i64, at, page.len() as i64));
        }
        self.groups.push(
            Struct::default()
                .with_list(1, list_of_structs(chunks))
                .with_long(2, bytes.len() as i64)
                .with_long(3, rows.len() as i64),
        );
        self.written += bytes.len() as i64;
        self.rows += rows.len() as i64;
        bytes
    }

    fn footer(&mut self) -> Vec<u8> {
        let root = Struct::default()
            .with_text(4, "rows")
            .with_int(5, self.columns.len() as i64);
        let elements = std::iter::once(root).chain(self.columns.iter().map(element)).collect();
        let metadata = Struct::default()
            .with_int(1, 1)
            .with_list(2, list_of_structs(elements))
            .with_long(3, self.rows)
            .with_list(4, list_of_structs(std::mem::take(&mut self.groups)))
            .with_text(6, CREATED_BY);
        let mut bytes = metadata.finish();
        let length = bytes.len() as u32;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }
}

/// The physical type, and how it is to be understood: as `ConvertedType` for older readers, as `LogicalType` for newer ones.
fn element(column: &Column) -> Struct {
    let element = Struct::default()
        .with_int(1, physical(column))
        .with_int(3, OPTIONAL)
        .with_text(4, column.name);
    match column.holds {
        // UTF8, and STRING.
        ColumnType::Text => element
            .with_int(6, 0)
            .with_struct(10, Struct::default().with_struct(1, Struct::default())),
        // TIMESTAMP_MILLIS, and TIMESTAMP of milliseconds in UTC.
        ColumnType::Time => {
            let milliseconds = Struct::default().with_struct(1, Struct::default());
            let timestamp = Struct::default().with_true(1).with_struct(2, milliseconds);
            element
                .with_int(6, 9)
                .with_struct(10, Struct::default().with_struct(8, timestamp))
        }
        ColumnType::Whole | ColumnType::Flag => element,
    }
}

/// BOOLEAN, INT64 or BYTE_ARRAY.
fn physical(column: &Column) -> i64 {
    match column.holds {
        ColumnType::Flag => 0,
        ColumnType::Whole | ColumnType::Time => 2,
        ColumnType::Text => 6,
    }
}

fn chunk(column: &Column, values: i64, at: i64, bytes: i64) -> Struct {
    let path = thrift::list_of_texts(&[column.name]);
    let metadata = Struct::default()
        .with_int(1, physical(column))
        .with_list(2, list_of_numbers(&[PLAIN, RLE]))
        .with_list(3, path)
        .with_int(4, UNCOMPRESSED)
        .with_long(5, values)
        .with_long(6, bytes)
        .with_long(7, bytes)
        .with_long(9, at);
    Struct::default().with_long(2, at).with_struct(3, metadata)
}

/// A data page with its header: which values are there (definition levels), then those.
fn page<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Vec<u8> {
    let levels = bits(values.clone().map(|value| *value != Value::Absent));
    // One run of groups of eight levels.
    let mut run = Vec::with_capacity(levels.len() + 5);
    thrift::varint(&mut run, ((levels.len() as u64) << 1) | 1);
    run.extend_from_slice(&levels);
    let mut body = (run.len() as u32).to_le_bytes().to_vec();
    body.extend_from_slice(&run);
    plain(values.clone(), &mut body);
    let size = body.len() as i64;
    let of_values = Struct::default()
        .with_int(1, values.count() as i64)
        .with_int(2, PLAIN)
        .with_int(3, RLE)
        .with_int(4, RLE);
    let header = Struct::default()
        .with_int(1, DATA_PAGE)
        .with_int(2, size)
        .with_int(3, size)
        .with_struct(5, of_values);
    let mut page = header.finish();
    page.extend_from_slice(&body);
    page
}

fn plain<'a>(values: impl Iterator<Item = &'a Value>, out: &mut Vec<u8>) {
    let mut flags = Vec::new();
    for value in values {
        match value {
            Value::Absent => {}
            Value::Text(text) => {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Value::Whole(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Time(at) => out.extend_from_slice(&at.0.to_le_bytes()),
            Value::Flag(flag) => flags.push(*flag),
        }
    }
    out.extend_from_slice(&bits(flags.into_iter()));
}

/// Eight to a byte, the first in its lowest bit.
fn bits(flags: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, flag) in flags.enumerate() {
        if place % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut() {
            *last |= u8::from(flag) << (place % 8);
        }
    }
    bytes
}
