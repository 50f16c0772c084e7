use csv::{Terminator, WriterBuilder};
use tocsin_wire::document::instant;

use super::{Table, Value, next_rows};

/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
const BEGINS_FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A line of names, then the rows.
pub(super) fn pieces(table: Table) -> impl Iterator<Item = Vec<u8>> + Send {
    let Table { columns, mut rows } = table;
    let names = columns.iter().map(|column| column.name.to_owned()).collect();
    let lines = std::iter::from_fn(move || {
        let rows = next_rows(rows.as_mut())?;
        Some(written(rows.into_iter().map(|row| row.into_iter().map(text).collect())))
    });
    std::iter::once(written(std::iter::once(names))).chain(lines)
}

fn written(lines: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    for line in lines {
        writer
            .write_record(line)
            .expect("memory takes every line, and all have one length");
    }
    writer.into_inner().expect("memory takes every line")
}

/// What is absent is empty. A text that a spreadsheet would take for a formula has an apostrophe before it: URLs are chosen by whoever uploads.
fn text(value: Value) -> String {
    match value {
        Value::Absent => String::new(),
        Value::Text(text) if text.starts_with(BEGINS_FORMULA) => format!("'{text}"),
        Value::Text(text) => text,
        Value::Whole(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Time(at) => instant(at).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every reader of RFC 4180 gets back what was written, and no spreadsheet a formula.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::Timestamp;

    use super::super::{Column, ColumnType};
    use super::*;

    const COLUMNS: &[Column] = &[
        Column {
            name: "text",
            holds: ColumnType::Text,
        },
        Column {
            name: "number",
            holds: ColumnType::Whole,
        },
        Column {
            name: "at",
            holds: ColumnType::Time,
        },
    ];

    #[test]
    fn rows_come_back_as_they_were_written() {
        let texts = [
            "plain",
            "a,b",
            "say \"no\"",
            "two\r\nlines",
            "",
            "\u{1f514}",
            "=1+1",
            "@x",
            "-3",
            "a=b",
        ];
        let rows = texts.map(|text| {
            vec![
                Value::Text(text.to_owned()),
                Value::Whole(-7),
                Value::Time(Timestamp(1)),
            ]
        });
        let rows = rows
            .into_iter()
            .chain([vec![Value::Absent, Value::Absent, Value::Absent]]);
        let pieces: Vec<Vec<u8>> = pieces(Table {
            columns: COLUMNS,
            rows: Box::new(rows),
        })
        .collect();
        let all = pieces.concat();
        let mut reader = csv::Reader::from_reader(all.as_slice());
        assert_eq!(reader.headers().unwrap(), vec!["text", "number", "at"]);
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        for (text, record) in texts.iter().zip(&read) {
            let wanted = if text.starts_with(['=', '@', '-']) {
                format!("'{text}")
            } else {
                (*text).to_owned()
            };
            assert_eq!(record, vec![wanted.as_str(), "-7", "1970-01-01T00:00:00.001Z"]);
        }
        assert_eq!(read.last().unwrap(), vec!["", "", ""]);
    }
}
