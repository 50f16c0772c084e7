//! Whole lists from a file or a pipe, record by record.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Read};
use std::rc::Rc;

use tocsin_model::ListUpdate;

use crate::table::Columns;
use crate::{Page, PageError, RejectCode, bank_contents, fetch_hashes, hash_list, local_file, threat_updates};

/// The longest line of `local_file` and row of CSV.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
/// The longest page, or whole JSON value, of the formats that have pages.
pub const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for each: `signal_type signal`.
    LocalFile,
    /// CSV with headings.
    Csv,
    /// Pages of ThreatExchange's `threat_updates`, one after the other.
    ThreatExchange,
    /// Pages of the hash list of Tech Against Terrorism, one after the other.
    TechAgainstTerrorism,
    /// Pages of StopNCII's `FetchHashes`, one after the other.
    StopNcii,
    /// Contents of a bank of HMA, one after the other or in arrays.
    Hma,
}

/// The list cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or pipe failed.
    #[error("read the list")]
    Read(#[source] std::io::Error),
    /// A record or page is longer than it may be.
    #[error("record {record} is longer than {bytes_max} bytes")]
    TooLong {
        /// Which, from 1.
        record: u64,
        /// The limit.
        bytes_max: usize,
    },
    /// The first row of a CSV names no column of kinds or of hashes.
    #[error("the first row names no columns `algorithm` and `value`")]
    HeadingsMissing,
    /// It is no page.
    #[error("page {page} of the list")]
    Page {
        /// Which, from 1.
        page: u64,
        /// Why.
        #[source]
        source: PageError,
    },
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] = [
        Format::LocalFile,
        Format::Csv,
        Format::ThreatExchange,
        Format::TechAgainstTerrorism,
        Format::StopNcii,
        Format::Hma,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::LocalFile => "local-file",
            Format::Csv => "csv",
            Format::ThreatExchange => "threatexchange",
            Format::TechAgainstTerrorism => "tech-against-terrorism",
            Format::StopNcii => "stopncii",
            Format::Hma => "hma",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// How one page is read; `None`: the format has lines.
    fn page(self) -> Option<ReadPage> {
        match self {
            Format::LocalFile | Format::Csv => None,
            Format::ThreatExchange => Some(threat_updates),
            Format::TechAgainstTerrorism => Some(hash_list),
            Format::StopNcii => Some(fetch_hashes),
            Format::Hma => Some(bank_contents),
        }
    }
}

/// How one page of a format is read.
type ReadPage = fn(&[u8]) -> Result<Page, PageError>;

/// Reads a list: an iterator of what it says and of what was refused. Ends behind the first error.
pub struct ListReader<R: Read> {
    source: Source<R>,
    records: u64,
    has_ended: bool,
}

enum Source<R: Read> {
    Lines(BufReader<R>),
    Rows {
        rows: csv::ByteRecordsIntoIter<Allowance<R>>,
        columns: Columns,
        allowed: Allowed,
    },
    Pages {
        pages: serde_json::StreamDeserializer<
            'static,
            serde_json::de::IoRead<BufReader<Allowance<R>>>,
            Box<serde_json::value::RawValue>,
        >,
        read: ReadPage,
        allowed: Allowed,
        /// Of the page that was read last, what is still to be told.
        updates: std::vec::IntoIter<ListUpdate>,
        rejects: Vec<RejectCode>,
    },
}

impl<R: Read> ListReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// The headings of a CSV are missing or cannot be read.
    pub fn new(format: Format, input: R) -> Result<ListReader<R>, ReadError> {
        let source = match format.page() {
            None if format == Format::LocalFile => Source::Lines(BufReader::new(input)),
            None => rows(input)?,
            Some(read) => {
                let allowed = Allowed::new(PAGE_BYTES_MAX);
                let allowance = Allowance {
                    input,
                    allowed: allowed.clone(),
                };
                let reader = serde_json::Deserializer::from_reader(BufReader::new(allowance));
                Source::Pages {
                    pages: reader.into_iter(),
                    read,
                    allowed,
                    updates: Vec::new().into_iter(),
                    rejects: Vec::new(),
                }
            }
        };
        Ok(ListReader {
            source,
            records: 0,
            has_ended: false,
        })
    }

    fn read(&mut self) -> Result<Option<Result<ListUpdate, RejectCode>>, ReadError> {
        match &mut self.source {
            Source::Lines(lines) => loop {
                let mut line = Vec::new();
                let limit = RECORD_BYTES_MAX as u64 + 1;
                let length = lines
                    .take(limit)
                    .read_until(b'\n', &mut line)
                    .map_err(ReadError::Read)?;
                if length == 0 {
                    return Ok(None);
                }
                self.records += 1;
                if length > RECORD_BYTES_MAX {
                    return Err(ReadError::TooLong {
                        record: self.records,
                        bytes_max: RECORD_BYTES_MAX,
                    });
                }
                if let Some(read) = local_file::line(&line).transpose() {
                    return Ok(Some(read));
                }
            },
            Source::Rows { rows, columns, allowed } => {
                allowed.renew();
                self.records += 1;
                match rows.next() {
                    None => Ok(None),
                    Some(Ok(row)) => Ok(Some(columns.read(&row))),
                    Some(Err(error)) => Err(row_error(error, allowed, self.records)),
                }
            }
            Source::Pages {
                pages,
                read,
                allowed,
                updates,
                rejects,
            } => loop {
                if let Some(update) = updates.next() {
                    return Ok(Some(Ok(update)));
                }
                if let Some(code) = rejects.pop() {
                    return Ok(Some(Err(code)));
                }
                allowed.renew();
                self.records += 1;
                let text = match pages.next() {
                    None => return Ok(None),
                    Some(Ok(text)) => text,
                    Some(Err(error)) if allowed.is_spent() => {
                        let _ = error;
                        return Err(ReadError::TooLong {
                            record: self.records,
                            bytes_max: PAGE_BYTES_MAX,
                        });
                    }
                    Some(Err(error)) if error.is_io() => return Err(ReadError::Read(error.into())),
                    Some(Err(error)) => {
                        let source = PageError::NotJson(error);
                        return Err(ReadError::Page {
                            page: self.records,
                            source,
                        });
                    }
                };
                let page = read(text.get().as_bytes()).map_err(|source| ReadError::Page {
                    page: self.records,
                    source,
                })?;
                *updates = page.updates.into_iter();
                let many = |(code, count): (RejectCode, u64)| std::iter::repeat_n(code, count as usize);
                *rejects = page.rejects.by_code().flat_map(many).collect();
            },
        }
    }
}

fn rows<R: Read>(input: R) -> Result<Source<R>, ReadError> {
    let allowed = Allowed::new(RECORD_BYTES_MAX);
    let allowance = Allowance {
        input,
        allowed: allowed.clone(),
    };
    // A row of another length is a malformed record, not the end of the list.
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(true)
        .from_reader(allowance);
    let headings = reader.byte_headers().map_err(|error| row_error(error, &allowed, 1))?;
    let columns = Columns::of(headings).ok_or(ReadError::HeadingsMissing)?;
    Ok(Source::Rows {
        rows: reader.into_byte_records(),
        columns,
        allowed,
    })
}

fn row_error(error: csv::Error, allowed: &Allowed, record: u64) -> ReadError {
    match allowed.is_spent() {
        true => ReadError::TooLong {
            record,
            bytes_max: RECORD_BYTES_MAX,
        },
        false => ReadError::Read(error.into()),
    }
}

impl<R: Read> Iterator for ListReader<R> {
    type Item = Result<Result<ListUpdate, RejectCode>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let read = self.read().transpose();
        self.has_ended = !matches!(read, Some(Ok(_)));
        read
    }
}

/// How many more bytes may be read before the next record.
#[derive(Clone)]
struct Allowed {
    left: Rc<Cell<usize>>,
    most: usize,
}

impl Allowed {
    fn new(most: usize) -> Allowed {
        Allowed {
            left: Rc::new(Cell::new(most)),
            most,
        }
    }

    fn renew(&self) {
        self.left.set(self.most);
    }

    fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}

/// A reader that fails once more is read for one record than is allowed: a quotation mark without its fellow would otherwise take the whole
/// rest of the list into memory.
struct Allowance<R> {
    input: R,
    allowed: Allowed,
}

impl<R: Read> Read for Allowance<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.allowed.left.get();
        if left == 0 {
            return Err(std::io::Error::other("the record is too long"));
        }
        let most = buffer.len().min(left);
        let length = self.input.read(&mut buffer[..most])?;
        self.allowed.left.set(left - length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tocsin_model::{BankEntry, Severity, Timestamp};

    use super::*;

    fn read(format: Format, text: &[u8]) -> Result<(Vec<ListUpdate>, Vec<RejectCode>), ReadError> {
        let (mut updates, mut rejects) = (Vec::new(), Vec::new());
        for item in ListReader::new(format, text)? {
            match item? {
                Ok(update) => updates.push(update),
                Err(code) => rejects.push(code),
            }
        }
        Ok((updates, rejects))
    }

    #[test]
    fn a_csv_is_read_by_its_headings() {
        let (pdq, md5) = ("a1".repeat(32), "b2".repeat(16));
        let text = format!(
            "\u{feff}ID,Signal_Type,hash,quality,severity,tags,listed_at,deleted,other\r\n\
             7,pdq,{pdq},50,3,\"a b;c\",2024-01-01T00:00:00Z,,x\r\n\
             8,MD5,{md5},,,,,yes,\r\n\
             9,pdq,{pdq},49,,,,,\r\n\
             9,pdq,{pdq},high,,,,,\r\n\
             9,pdq,{pdq},101,,,,,\r\n\
             9,pdq,{pdq},,5,,,,\r\n\
             9,pdq,{pdq},,,,soon,,\r\n\
             9,pdq,{pdq},,,,,perhaps,\r\n\
             9,pdq\r\n\
             9,tmk,x,,,,,,\r\n"
        );
        let (updates, rejects) = read(Format::Csv, text.as_bytes()).unwrap();
        let [ListUpdate::Listed(entry), ListUpdate::Withdrawn(_)] = &updates[..] else {
            panic!("{updates:?}")
        };
        let expected = BankEntry {
            severity: Severity::new(3),
            source_id: Some("7".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            listed_at: Some(Timestamp(1_704_067_200_000)),
            ..BankEntry::new(entry.hash.clone())
        };
        assert_eq!(*entry, expected);
        use RejectCode::{AlgorithmUnsupported, QualityLow, RecordMalformed};
        let malformed = [RecordMalformed; 6];
        assert_eq!(
            rejects,
            [&[QualityLow], &malformed[..], &[AlgorithmUnsupported]].concat()
        );
        assert!(matches!(
            read(Format::Csv, b"a,b\n1,2\n"),
            Err(ReadError::HeadingsMissing)
        ));
        assert!(matches!(read(Format::Csv, b""), Err(ReadError::HeadingsMissing)));
    }

    #[test]
    fn pages_follow_one_another_and_a_broken_one_ends_the_list() {
        let page = |digest: &str| {
            let record = format!(r#"{{"id": 1, "hash_digest": "{digest}", "algorithm": "MD5", "deleted": false}}"#);
            format!("{{\n\"next\": null,\n\"results\": [{record}, 3]}}\n")
        };
        let two = page(&"b2".repeat(16)) + &page(&"c3".repeat(16));
        let (updates, rejects) = read(Format::TechAgainstTerrorism, two.as_bytes()).unwrap();
        assert_eq!((updates.len(), rejects.len()), (2, 2));
        let half = &two[..two.len() - 20];
        assert!(matches!(
            read(Format::TechAgainstTerrorism, half.as_bytes()),
            Err(ReadError::Page { page: 2, .. })
        ));
        assert!(matches!(
            read(Format::StopNcii, two.as_bytes()),
            Err(ReadError::Page { page: 1, .. })
        ));
        assert!(matches!(
            read(Format::Hma, b"<html>"),
            Err(ReadError::Page { page: 1, .. })
        ));
    }

    #[test]
    fn nothing_is_read_without_a_limit() {
        let endless = "pdq ".to_owned() + &"a".repeat(RECORD_BYTES_MAX);
        assert!(matches!(
            read(Format::LocalFile, endless.as_bytes()),
            Err(ReadError::TooLong { record: 1, .. })
        ));
        let unclosed = "algorithm,value\nmd5,\"".to_owned() + &"b,\n".repeat(RECORD_BYTES_MAX);
        assert!(matches!(
            read(Format::Csv, unclosed.as_bytes()),
            Err(ReadError::TooLong { .. })
        ));
        let page = "{\"data\": [\"".to_owned() + &"a".repeat(PAGE_BYTES_MAX + 1_000_000);
        assert!(matches!(
            read(Format::ThreatExchange, page.as_bytes()),
            Err(ReadError::TooLong { record: 1, .. })
        ));
    }

    proptest! {
        #[test]
        fn nothing_from_outside_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[\\[\\]{}\":,a-z0-9 \\n]{0,200}") {
            for format in Format::ALL {
                let _ = read(format, &bytes);
                let _ = read(format, text.as_bytes());
            }
        }

        /// A broken record, whatever it is, loses nothing beside it.
        #[test]
        fn a_broken_line_loses_nothing_else(broken in "[^\\n\\r]{0,80}", place in 0_usize..5) {
            let lines: Vec<String> = (0..5).map(|number| format!("md5 {number:032x}")).collect();
            let mut with = lines.clone();
            with.insert(place, broken.clone());
            let (updates, _) = read(Format::LocalFile, with.join("\n").as_bytes()).unwrap();
            let values: Vec<String> = updates.iter().map(|update| format!("md5 {}", update.hash().value_text())).collect();
            prop_assert!(lines.iter().all(|line| values.contains(line)), "{broken}");
        }
    }
}
