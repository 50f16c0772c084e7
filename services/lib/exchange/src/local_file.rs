//! The `local_file` exchange of the `threatexchange` library: a line is `signal_type signal`. Empty lines and lines that begin with '#' say
//! nothing.

use tocsin_model::{BankEntry, ListUpdate};

use crate::{RejectCode, signal};

/// What a line says, if anything.
///
/// # Errors
/// See [`RejectCode`].
pub(crate) fn line(bytes: &[u8]) -> Result<Option<ListUpdate>, RejectCode> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| RejectCode::RecordMalformed)?
        .trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (kind, hash) = text
        .split_once(char::is_whitespace)
        .ok_or(RejectCode::RecordMalformed)?;
    let hash = signal::hash(kind, hash, None)?;
    Ok(Some(ListUpdate::Listed(BankEntry::new(hash))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_library_writes_them() {
        let pdq = "a1".repeat(32);
        let listed = line(format!("pdq {pdq}\r\n").as_bytes()).unwrap().unwrap();
        assert_eq!(listed.hash().value_text(), pdq);
        let url = line(b"url https://example.org/a b").unwrap().unwrap();
        assert_eq!(
            url.hash().value_text(),
            "https://example.org/a b",
            "a signal may hold spaces"
        );
        for nothing in [&b""[..], b"  \n", b"# a note"] {
            assert_eq!(line(nothing), Ok(None));
        }
        assert_eq!(line(b"pdq"), Err(RejectCode::RecordMalformed));
        assert_eq!(line(b"\xff\xfe"), Err(RejectCode::RecordMalformed));
        assert_eq!(line(b"tlsh T1"), Err(RejectCode::AlgorithmUnsupported));
        assert_eq!(line(b"pdq 12"), Err(RejectCode::HashMalformed));
    }
}
