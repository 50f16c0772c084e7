//! Any record of `tocsin.families`, key and value: what is read comes back from its own key and bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_model::ContentId;
use tocsin_wire::family::{self, FamilyRecord};

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how long the key is, and its highest bit whether there is a value.
    let Some((form, rest)) = bytes.split_first() else {
        return;
    };
    let (key, value) = rest.split_at(usize::from(form & 0x3f).min(rest.len()));
    let value = (form & 0x80 == 0).then_some(value);
    let Ok(record) = family::read(Some(key), value) else {
        return;
    };
    let again = match &record {
        FamilyRecord::Announcement(announcement) => {
            let key = family::key(announcement.content, announcement.class);
            family::read(Some(&key), Some(&family::encode(announcement)))
        }
        FamilyRecord::FurtherHash(further) => {
            let key = family::further_hash_key(further.content, further.class, ContentId(1));
            family::read(Some(&key), Some(&family::encode_further_hash(further)))
        }
        FamilyRecord::Withdrawal(content, class) => {
            let named = family::key(*content, *class);
            assert_eq!(named, key, "the key names it");
            family::read(Some(&named), None)
        }
        FamilyRecord::FurtherHashGone(..) => {
            assert_eq!(key.len(), 36);
            family::read(Some(key), None)
        }
    };
    assert_eq!(again, Ok(record));
});
