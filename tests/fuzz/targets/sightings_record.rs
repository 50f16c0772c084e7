//! Any value of a record of `tocsin.sightings`, and of the records that stand beside it: what is read comes back from its own bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_wire::{PartyRecord, Reject, SightingsRecord, alert, decision, family, link};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = SightingsRecord::decode(bytes) {
        assert_eq!(SightingsRecord::decode(&record.encode()), Ok(record));
    }
    if let Ok(record) = decision::decode_told(bytes) {
        assert_eq!(decision::decode_told(&decision::encode_told(&record)), Ok(record));
    }
    if let Ok(record) = link::decode(bytes) {
        assert_eq!(link::decode(&link::encode(&record)), Ok(record));
    }
    if let Ok(record) = family::decode(bytes) {
        assert_eq!(family::decode(&family::encode(&record)), Ok(record));
    }
    if let Ok(record) = PartyRecord::decode(bytes) {
        assert_eq!(PartyRecord::decode(&record.encode()), Ok(record));
    }
    if let Ok(record) = Reject::decode(bytes) {
        let again = Reject::decode(&record.encode()).expect("what was encoded decodes");
        assert_eq!(again.source, record.source);
    }
    if let Ok(record) = alert::decode(bytes) {
        let once = alert::encode(&record.alert, &record.names);
        let again = alert::decode(&once).expect("what was encoded decodes");
        // A NaN is not equal to itself; its bytes are.
        assert_eq!(alert::encode(&again.alert, &again.names), once);
    }
});
