//! Hash lists of others in every form: nothing panics, a reader ends, and what it takes is within the limits of an entry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_exchange::{Format, ListReader, write};
use tocsin_model::{BankEntry, ListUpdate};

fuzz_target!(|bytes: &[u8]| {
    // The first byte says which form it is.
    let Some((form, list)) = bytes.split_first() else {
        return;
    };
    let format = Format::ALL[usize::from(*form) % Format::ALL.len()];
    let Ok(reader) = ListReader::new(format, list) else {
        return;
    };
    let mut records = 0;
    for read in reader {
        records += 1;
        assert!(records <= 2 * list.len() + 2, "more records than bytes");
        let Ok(Ok(update)) = read else { continue };
        if let ListUpdate::Listed(entry) = &update {
            assert!(entry.opinions.len() <= BankEntry::OPINIONS_MAX);
            assert!(entry.tags.join(" ").len() <= BankEntry::TAGS_LENGTH_MAX);
            assert!(
                entry
                    .source_id
                    .as_ref()
                    .is_none_or(|id| id.len() <= BankEntry::SOURCE_ID_LENGTH_MAX)
            );
        }
        // What is written for others is read again as the same.
        if let Some(line) = write::local_file_line(update.hash()) {
            let again = ListReader::new(Format::LocalFile, line.as_bytes()).expect("lines have no headings");
            let again: Vec<_> = again
                .map(|read| read.expect("it is one line").expect("it is a usable hash"))
                .collect();
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].hash(), update.hash());
        }
    }
});
