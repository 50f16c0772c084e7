//! Any text: what is read is valid, and comes back from its own JSON and its own Avro.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_wire::Schemas;
use tocsin_wire::event::{decode, encode_single_object, from_json, from_json_body, from_ndjson, to_json, validate};

fuzz_target!(|text: &[u8]| {
    let body = from_json_body(text).unwrap_or_default();
    let lines = from_ndjson(text).unwrap_or_default();
    for event in body.into_iter().chain(lines).flatten() {
        validate(&event).expect("what is read is valid");
        assert_eq!(from_json(to_json(&event).as_bytes()), Ok(event.clone()));
        let avro = encode_single_object(&event);
        let decoded = decode(&avro, Schemas::builtin()).expect("what was encoded decodes");
        assert_eq!(decoded.to_events(), [Ok(event)]);
    }
});
