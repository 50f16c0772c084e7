//! A mapping of Osprey's actions in files, as an operator has it: for the tests of several crates.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

/// Writes a mapping, and the key of accounts that it names as `KEY`, into a directory. The mapping's file.
pub fn write_mapping(directory: &Path, mapping: &str) -> String {
    let (file, key) = (directory.join("mapping.toml"), directory.join("key"));
    std::fs::write(&key, "a key of 32 bytes that is secret").unwrap();
    std::fs::write(&file, mapping.replace("KEY", key.to_str().unwrap())).unwrap();
    file.to_str().unwrap().to_owned()
}
