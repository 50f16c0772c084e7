//! Any record: what decodes is valid and comes back from its own bytes; a single event of the newest schema is what `apache-avro` reads.
#![no_main]

use apache_avro::types::Value;
use libfuzzer_sys::fuzz_target;
use tocsin_wire::event::{decode, encode_batch, encode_single_object, validate};
use tocsin_wire::{SchemaName, Schemas};

fuzz_target!(|bytes: &[u8]| {
    let Ok(decoded) = decode(bytes, Schemas::builtin()) else {
        return;
    };
    let events = decoded.to_events();
    let good: Vec<_> = events.iter().filter_map(|event| event.clone().ok()).collect();
    good.iter()
        .for_each(|event| validate(event).expect("what decodes is valid"));
    let again = encode_batch(&good);
    let again = decode(&again, Schemas::builtin()).expect("what was encoded decodes");
    assert!(again.to_events().into_iter().flatten().eq(good.iter().cloned()));

    let fingerprint = u64::from_le_bytes(bytes[2..10].try_into().expect("a decoded record has its framing"));
    if fingerprint == SchemaName::Event.fingerprint()
        && let Some(event) = good.first()
    {
        let mut rest = &bytes[10..];
        let read =
            apache_avro::from_avro_datum(SchemaName::Event.newest(), &mut rest, None).expect("apache-avro agrees");
        assert!(rest.is_empty());
        let own = encode_single_object(event);
        let own = apache_avro::from_avro_datum(SchemaName::Event.newest(), &mut &own[10..], None);
        assert_eq!(
            without_unknown_hashes(read),
            own.expect("apache-avro reads what was encoded")
        );
    }
});

/// Hashes of algorithms that this version does not know are left out of an event.
fn without_unknown_hashes(value: Value) -> Value {
    let Value::Record(fields) = value else {
        return value;
    };
    let known = |item: &Value| match item {
        Value::Record(hash) => !matches!(&hash[0].1, Value::Enum(0, _)),
        _ => true,
    };
    let keep = |(name, value): (String, Value)| match value {
        Value::Array(items) => (name, Value::Array(items.into_iter().filter(known).collect())),
        other => (name, other),
    };
    Value::Record(fields.into_iter().map(keep).collect())
}
