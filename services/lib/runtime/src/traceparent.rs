use std::fmt;

use rand::RngCore as _;

/// A W3C trace context (<https://www.w3.org/TR/trace-context/>, version 00): which trace a request or a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

impl Traceparent {
    /// The name of the HTTP header and of the record header.
    pub const HEADER: &str = "traceparent";

    /// The bit of the flags that says: record this trace.
    const SAMPLED: u8 = 1;

    /// The begin of a new trace.
    pub fn generate() -> Self {
        let mut trace = Traceparent {
            trace_id: [0; 16],
            parent_id: [0; 8],
            flags: Self::SAMPLED,
        };
        let mut random = rand::rng();
        // All zero is the one value that is not valid.
        while trace.trace_id == [0; 16] || trace.parent_id == [0; 8] {
            random.fill_bytes(&mut trace.trace_id);
            random.fill_bytes(&mut trace.parent_id);
        }
        trace
    }

    /// The context in this text, if it is one. A version after 00 is read as far as 00 goes, as the standard says.
    pub fn parse(text: &str) -> Option<Self> {
        // 00-<32 hex>-<16 hex>-<2 hex>
        let lower_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut parts = text.trim().split('-');
        let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_later = version != "00";
        if version.len() != 2 || version == "ff" || (!is_later && parts.next().is_some()) {
            return None;
        }
        if ![version, trace_id, parent_id, flags].into_iter().all(lower_hex) {
            return None;
        }
        let mut trace = Traceparent {
            trace_id: [0; 16],
            parent_id: [0; 8],
            flags: 0,
        };
        hex::decode_to_slice(trace_id, &mut trace.trace_id).ok()?;
        hex::decode_to_slice(parent_id, &mut trace.parent_id).ok()?;
        hex::decode_to_slice(flags, std::slice::from_mut(&mut trace.flags)).ok()?;
        (trace.trace_id != [0; 16] && trace.parent_id != [0; 8]).then_some(trace)
    }

    /// The context in a header's bytes; a new trace when there is none or it is broken.
    pub fn from_header(value: Option<&[u8]>) -> Self {
        value
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(Traceparent::parse)
            .unwrap_or_else(Traceparent::generate)
    }

    /// The same trace, one step further: what this process hands on.
    pub fn child(self) -> Self {
        Traceparent {
            parent_id: Traceparent::generate().parent_id,
            ..self
        }
    }

    /// The trace's id as 32 lower-case hexadecimal digits, for logs.
    pub fn trace_id(self) -> String {
        hex::encode(self.trace_id)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, parent) = (hex::encode(self.trace_id), hex::encode(self.parent_id));
        write!(f, "00-{trace}-{parent}-{:02x}", self.flags)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: valid contexts come through unchanged; anything else begins a new trace.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_context_is_read_and_written() {
        let trace = Traceparent::parse(VALID).unwrap();
        assert_eq!(trace.to_string(), VALID);
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.child().trace_id(), trace.trace_id());
        assert_ne!(trace.child(), trace);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else";
        assert_eq!(Traceparent::parse(later).unwrap().to_string(), VALID);
    }

    #[test]
    fn what_is_not_valid_begins_a_new_trace() {
        let broken = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7aa-01",
        ];
        for text in broken {
            assert_eq!(Traceparent::parse(text), None, "{text}");
            let generated = Traceparent::from_header(Some(text.as_bytes()));
            assert_eq!(Traceparent::parse(&generated.to_string()), Some(generated));
        }
        assert_ne!(
            Traceparent::from_header(None),
            Traceparent::from_header(Some(b"\xff\xfe"))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = Traceparent::parse(&text);
        }
    }
}
