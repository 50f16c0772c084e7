//! Apache Thrift's compact protocol, as much of it as Parquet's headers and footer need.
//!
//! Source: `doc/specs/thrift-compact-protocol.md` of apache/thrift.

const TRUE: u8 = 1;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct while it is written. Its fields come in ascending order.
#[derive(Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

/// A list, written.
pub(super) struct List(Vec<u8>);

impl Struct {
    pub(super) fn with_true(self, field: u8) -> Struct {
        self.header(field, TRUE)
    }

    pub(super) fn with_int(self, field: u8, number: i64) -> Struct {
        let mut next = self.header(field, I32);
        varint(&mut next.bytes, zigzag(number));
        next
    }

    pub(super) fn with_long(self, field: u8, number: i64) -> Struct {
        let mut next = self.header(field, I64);
        varint(&mut next.bytes, zigzag(number));
        next
    }

    pub(super) fn with_text(self, field: u8, text: &str) -> Struct {
        let mut next = self.header(field, BINARY);
        put_text(&mut next.bytes, text);
        next
    }

    pub(super) fn with_list(self, field: u8, list: List) -> Struct {
        let mut next = self.header(field, LIST);
        next.bytes.extend_from_slice(&list.0);
        next
    }

    pub(super) fn with_struct(self, field: u8, inner: Struct) -> Struct {
        let mut next = self.header(field, STRUCT);
        next.bytes.extend_from_slice(&inner.finish());
        next
    }

    /// The struct, with its end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    /// All fields of Parquet's structs lie near enough to each other for the short form of a header.
    fn header(mut self, field: u8, kind: u8) -> Struct {
        self.bytes.push((field - self.last) << 4 | kind);
        self.last = field;
        self
    }
}

pub(super) fn list_of_structs(structs: Vec<Struct>) -> List {
    let mut bytes = list_header(structs.len(), STRUCT);
    for one in structs {
        bytes.extend_from_slice(&one.finish());
    }
    List(bytes)
}

pub(super) fn list_of_numbers(numbers: &[i64]) -> List {
    let mut bytes = list_header(numbers.len(), I32);
    for number in numbers {
        varint(&mut bytes, zigzag(*number));
    }
    List(bytes)
}

pub(super) fn list_of_texts(texts: &[&str]) -> List {
    let mut bytes = list_header(texts.len(), BINARY);
    for text in texts {
        put_text(&mut bytes, text);
    }
    List(bytes)
}

/// Seven bits to a byte, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn list_header(length: usize, kind: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    if length < 15 {
        bytes.push((length as u8) << 4 | kind);
    } else {
        bytes.push(0xf0 | kind);
        varint(&mut bytes, length as u64);
    }
    bytes
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_specification() {
        let mut bytes = Vec::new();
        for number in [0, 127, 128, 50_399, u64::MAX] {
            varint(&mut bytes, number);
        }
        let of_the_largest = [[0xff; 9].as_slice(), &[0x01]].concat();
        assert_eq!(
            bytes,
            [[0x00, 0x7f, 0x80, 0x01, 0xdf, 0x89, 0x03].as_slice(), &of_the_largest].concat()
        );
        assert_eq!(
            [0, -1, 1, -2, i64::MAX, i64::MIN].map(zigzag),
            [0, 1, 2, 3, u64::MAX - 1, u64::MAX]
        );
        let inner = Struct::default().with_true(1);
        let outer = Struct::default()
            .with_int(1, -1)
            .with_text(4, "ab")
            .with_struct(10, inner);
        assert_eq!(
            outer.finish(),
            [0x15, 0x01, 0x38, 0x02, b'a', b'b', 0x6c, 0x11, 0x00, 0x00]
        );
        assert_eq!(list_of_numbers(&[1, -1]).0, [0x25, 0x02, 0x01]);
        assert_eq!(list_of_numbers(&[0; 15]).0[..2], [0xf5, 0x0f]);
    }
}
