//! Actions of Osprey in any form, through a mapping that looks everywhere: nothing panics, and what is taken for an event is a valid one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tocsin_model::Timestamp;
use tocsin_wire::event::validate;
use tocsin_wire::osprey::{Mapping, decode};

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let text = include_str!("../../../deploy/osprey/mapping.toml");
    Mapping::parse(text, |_| Ok(vec![7; 32])).expect("the example for operators is a mapping")
});

fuzz_target!(|bytes: &[u8]| {
    // The first byte says which form the header names.
    let Some((form, value)) = bytes.split_first() else {
        return;
    };
    let encoding = (form % 2 == 1).then_some(&b"proto"[..]);
    let Ok(action) = decode(value, encoding) else { return };
    if let Ok(Some(mapped)) = MAPPING.event(&action, Timestamp(1_773_576_000_000), "place") {
        assert_eq!(validate(&mapped.event), Ok(()));
    }
});
