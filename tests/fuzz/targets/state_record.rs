//! Any state record, key and header: what is read comes back from its own bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = StateRecord::decode(bytes) {
        let _ = StateHeader::decode(&record.body);
        assert_eq!(StateRecord::decode(&record.encode()), Ok(record));
    }
    if let Ok(header) = StateHeader::decode(bytes) {
        assert_eq!(StateHeader::decode(&header.encode()), Ok(header));
    }
    if let Some(key) = StateKey::from_bytes(bytes) {
        assert_eq!(key.to_bytes(), bytes);
    }
});
