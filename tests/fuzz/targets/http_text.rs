//! What HTTP brings beside events: cursors, trace contexts, and packed bodies. Nothing of it panics, no cursor is made up, and what is
//! inflated keeps within its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_model::{DeploymentKey, PartyId, Scope};

// Single files of their crates: those stand on servers and the log, whose libraries take minutes to build with instrumentation.
#[allow(dead_code)]
#[path = "../../../services/query/src/cursor.rs"]
mod cursor;
#[allow(dead_code)]
#[path = "../../../services/gateway/src/inflate.rs"]
mod inflate;
#[allow(dead_code)]
#[path = "../../../services/query/src/page.rs"]
mod page;
#[allow(dead_code)]
#[path = "../../../services/query/src/sealed.rs"]
mod sealed;
#[allow(dead_code)]
#[path = "../../../services/lib/runtime/src/traceparent.rs"]
mod traceparent;

use cursor::Cursor;
use inflate::{Inflated, inflate};
use page::Rank;
use traceparent::Traceparent;

const INFLATED_BYTES_MAX: usize = 4_096;

fuzz_target!(|bytes: &[u8]| {
    let key = DeploymentKey::from_bytes([7; 32]);
    if let Ok(text) = std::str::from_utf8(bytes) {
        for scope in [Scope::All, Scope::Coordinators, Scope::Party(PartyId(3))] {
            if let Ok(cursor) = Cursor::open(&key, scope, text) {
                let count = (text.len() * 3 / 4).saturating_sub(16) / 8;
                assert_eq!(
                    cursor.seal(&key, scope, count as u32),
                    text,
                    "only what was sealed is opened"
                );
            }
        }
        if let Ok(rank) = Rank::open(&key, Scope::All, "a list", text) {
            assert_eq!(
                rank.seal(&key, Scope::All, "a list"),
                text,
                "only what was sealed is opened"
            );
        }
        if let Some(trace) = Traceparent::parse(text) {
            assert_eq!(Traceparent::parse(&trace.to_string()), Some(trace));
        }
    }
    Traceparent::from_header(Some(bytes));

    // A cursor is a reader's own, however its positions stand.
    let mut cursor = Cursor::default();
    for (partition, position) in bytes.chunks_exact(8).take(16).enumerate() {
        let offset = u64::from_le_bytes(position.try_into().expect("chunks have eight bytes"));
        cursor.pass(partition as u32, offset);
    }
    let sealed = cursor.seal(&key, Scope::Coordinators, 16);
    let opened = Cursor::open(&key, Scope::Coordinators, &sealed).expect("what was sealed opens");
    assert!((0..16).all(|partition| opened.next(partition) == cursor.next(partition)));
    assert!(Cursor::open(&key, Scope::All, &sealed).is_err());

    if let Inflated::Whole(inflated) = inflate(bytes, INFLATED_BYTES_MAX) {
        assert!(inflated.len() <= INFLATED_BYTES_MAX);
    }
});
